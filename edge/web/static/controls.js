// Acknowledge and self-test. A button that does not work now can still be reached, and says why.
import { because, byId, make, say } from "./format.js";

const WHAT_IT_DOES =
  "Moves no output: opens the network once more beside the line, holds it against its golden " +
  "pair, and looks at rejector, inputs, encoder, memory, heat and disk.";

export class Controls {
  #acknowledge = byId("acknowledge");
  #selfTest = byId("self-test");
  #result = byId("result");
  #refusal = "not connected";
  #latched = 0;
  #testing = false;

  constructor() {
    this.#acknowledge.addEventListener("click", () => this.#press(this.#acknowledge, acknowledged));
    this.#selfTest.addEventListener("click", () => this.#press(this.#selfTest, () => this.#test()));
    this.#update();
  }

  know({ refusal, outputs }) {
    this.#refusal = refusal;
    this.#latched = outputs.causes.filter((each) => each.latched).length;
    const causes = outputs.causes.map(({ name, reason, mode, latched }) => {
      const how = latched ? "latched" : mode === "as ordered" ? "reported" : "while it lasts";
      return make("li", {}, make("b", { textContent: name }), ` ${because([reason])} `, make("small", { textContent: `${mode}, ${how}` }));
    });
    const list = byId("causes");
    const wanted = causes.map((each) => each.textContent).join();
    if (wanted !== [...list.children].map((each) => each.textContent).join()) list.replaceChildren(...causes);
    this.#update();
  }

  disconnected() {
    this.#refusal = "not connected";
    this.#update();
  }

  #update() {
    const idle = this.#latched ? null : "nothing is latched";
    set(this.#acknowledge, this.#refusal ?? idle, `${this.#latched} latched: says that it was seen to`);
    const busy = this.#testing ? "under way" : null;
    set(this.#selfTest, this.#refusal ?? busy, WHAT_IT_DOES);
  }

  async #press(button, act) {
    if (button.getAttribute("aria-disabled") === "true") return;
    try {
      this.#result.replaceChildren(...(await act()));
    } catch (error) {
      this.#result.replaceChildren(line(false, button.textContent, error.message));
    }
  }

  async #test() {
    this.#testing = true;
    this.#update();
    this.#result.replaceChildren(line(null, "self-test", "under way; the line goes on"));
    try {
      const { checks } = await post("/self-test");
      return checks.map((each) => line(each.passed, each.name, each.detail));
    } finally {
      this.#testing = false;
      this.#update();
    }
  }
}

async function acknowledged() {
  return [line(true, "acknowledge", (await post("/acknowledge")).message)];
}

async function post(path) {
  const response = await fetch(path, { method: "POST" });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

function set(button, refusal, otherwise) {
  button.setAttribute("aria-disabled", refusal !== null);
  say(byId(`${button.id}-why`), refusal ?? otherwise);
}

function line(passed, name, detail) {
  const glyph = passed === null ? "…" : passed ? "✓" : "✕";
  const mark = make("b", { className: passed === null ? "" : passed ? "ok" : "ng", textContent: glyph });
  return make("li", {}, mark, ` ${name}: ${detail}`);
}
