// The last rejects, the newest first, each with its picture; one press shows it large.
import { because, byId, GLYPH, make, metres, timeOfDay } from "./format.js";

const SPEAK_MS = 4000; // between two announcements, so that each can be heard

export class Rejects {
  #list = byId("rejects");
  #dialog = byId("enlarged");
  #announcement = byId("announcement");
  #items = new Map(); // name -> [element, what it was made of]
  #newest = null;
  #spokeAt = -SPEAK_MS;

  show(rejects, speaks) {
    const items = new Map();
    for (const reject of rejects) {
      const made_of = JSON.stringify(reject);
      const known = this.#items.get(reject.name);
      items.set(reject.name, known?.[1] === made_of ? known : [this.#item(reject), made_of]);
    }
    const wanted = [...items.values()].map(([element]) => element);
    const is_same = wanted.every((each, index) => this.#list.children[index] === each);
    if (!is_same || wanted.length !== this.#list.children.length) this.#list.replaceChildren(...wanted);
    this.#items = items;
    byId("no-rejects").hidden = rejects.length > 0;
    this.#list.hidden = rejects.length === 0;
    const newest = rejects[0]?.name ?? null;
    if (speaks && newest && newest !== this.#newest) this.#speak(rejects[0]);
    this.#newest = newest;
  }

  #speak(reject) {
    const now = performance.now();
    if (now - this.#spokeAt < SPEAK_MS) return;
    this.#spokeAt = now;
    this.#announcement.textContent = `${title(reject)}: ${because(reject.reasons)}`;
  }

  #item(reject) {
    const head = make("p", { className: "head" },
      make("b", { className: reject.state.toLowerCase(), textContent: `${GLYPH[reject.state]} ${reject.state}` }),
      make("span", { textContent: `${reject.camera} ${placeOf(reject)}` }),
      make("time", { dateTime: reject.utc, textContent: timeOfDay(reject.utc) }),
    );
    const reasons = make("p", { className: "reasons", textContent: because(reject.reasons) });
    if (reject.frames > 1) {
      const until = `${reject.frames} frames, to ${metres(reject.end_mm)}`;
      reasons.prepend(make("span", { textContent: `${until}: ` }));
    }
    return make("li", {}, this.#thumb(reject), make("div", {}, head, reasons));
  }

  #thumb(reject) {
    if (!reject.has_picture) return make("span", { className: "thumb", textContent: "no image" });
    const picture = make("img", { src: `/rejects/${reject.name}.jpg`, alt: "" });
    const button = make("button", { type: "button", className: "thumb" }, picture);
    button.setAttribute("aria-label", `Show ${title(reject)} large`);
    button.addEventListener("click", () => this.#enlarge(reject, picture.src));
    return button;
  }

  #enlarge(reject, source) {
    const [heading, picture, text] = this.#dialog.children;
    heading.textContent = title(reject);
    [picture.src, picture.alt] = [source, `Frame ${reject.frame}, with what was found`];
    text.textContent = `${timeOfDay(reject.utc)}: ${because(reject.reasons)}`;
    this.#dialog.showModal();
  }
}

function title(reject) {
  return `${reject.state} at ${placeOf(reject)}, frame ${reject.frame}`;
}

/** By the encoder, and as people call it. */
function placeOf(reject) {
  const at = metres(reject.start_mm);
  return reject.called ? `${at} (${reject.called})` : at;
}
