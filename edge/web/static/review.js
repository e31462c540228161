// The Review view: one event after another, one key for what it is; what is said is sent at once.
import { because, byId, GLYPH, make, metres, say } from "./format.js";
import { Marking } from "./marking.js";

const AHEAD = 12; // events that are fetched at a time
const FEW = 4; // left, at which more are fetched

const filter = byId("filter");
const marking = new Marking(byId("picture"), byId("shown"), byId("marks"));
let [events, at, left] = [[], 0, 0]; // what was fetched, which is shown, how many there are beyond
let past = []; // what was done, to be undone: [event, what had been said of it]
let [fetching, asked] = [null, 0];
let showsOverlay = true;

const current = () => events[at];
const by = () => byId("by").value.trim() || "somebody";

// A filter may come with the address, and so be kept as a bookmark.
for (const [name, value] of new URLSearchParams(location.search)) {
  const field = filter.elements[name];
  if (field?.options) choices(field, [value]);
  if (field) field.value = value;
}

byId("by").value = localStorage.getItem("reviewer") ?? "";
byId("by").addEventListener("change", () => localStorage.setItem("reviewer", byId("by").value));

function query(after) {
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData(filter)) if (value !== "") wanted.set(name, value);
  wanted.set("count", AHEAD);
  if (after !== undefined) wanted.set("after", after);
  return wanted;
}

/** The first events anew: the filter has changed, and what is still on its way is of the old one. */
async function begin() {
  asked += 1;
  [events, at, past, fetching] = [[], 0, [], null];
  await more();
  show();
}

/** Those that come after what is here; one question at a time, whoever waits for it. */
function more() {
  if (!fetching) {
    const one = load(asked).finally(() => { if (fetching === one) fetching = null; });
    fetching = one;
  }
  return fetching;
}

async function load(mine) {
  try {
    const answer = await fetch(`/review/events?${query(events.at(-1)?.id)}`);
    if (answer.status === 401) location.assign("/login");
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.message);
    if (mine !== asked) return;
    events.push(...found.events);
    left = found.left - found.events.length;
    choices(filter.elements.label, found.labels);
    choices(filter.elements.camera, found.cameras);
    choices(byId("mark-label"), found.labels);
    byId("class-list").replaceChildren(...found.labels.map(classButton));
    status("ready");
  } catch (error) {
    status(`the box does not answer: ${error.message}`);
  }
}

/** What one may choose, with what was chosen. */
function choices(select, names) {
  const known = [...select.options].map((option) => option.value);
  for (const name of names) if (!known.includes(name)) select.append(make("option", { textContent: name }));
}

function classButton(name, index) {
  const key = index < 9 ? make("kbd", { textContent: index + 1 }) : "";
  const button = make("button", { type: "button" }, key, ` ${name}`);
  button.addEventListener("click", () => call("class", { class_name: name }));
  return button;
}

function show() {
  leaveModes();
  const event = current();
  byId("calls").querySelectorAll("button").forEach((button) => { button.disabled = !event; });
  byId("back").disabled = at === 0;
  byId("next").disabled = at + 1 >= events.length;
  byId("undo").disabled = past.length === 0;
  const rest = Math.max(0, events.length - at) + left;
  say(byId("left"), rest === 1 ? "1 event from here on" : `${rest} events from here on`);
  const picture = byId("shown");
  picture.hidden = !event;
  if (!event) {
    say(byId("event-title"), "No event is left");
    say(byId("reason"), "Nothing is left to be reviewed under this filter.");
    for (const id of ["facts", "said"]) say(byId(id), "");
    verdict(null);
    return;
  }
  verdict(event.state);
  say(byId("event-title"), `Event ${event.id}`);
  const score = event.score === null ? "" : `, score ${event.score.toFixed(2)}`;
  const unfamiliar = event.unfamiliar === null ? "" : `, unfamiliar ${event.unfamiliar.toFixed(1)}`;
  say(byId("facts"), `${event.camera}, run ${event.run}, ${metres(event.start_mm)}, ${new Date(event.utc).toLocaleString("en-GB")}${score}${unfamiliar}`);
  const found = event.found.map(({ label, score: sure }) => `${label} ${sure.toFixed(2)}`);
  say(byId("reason"), because(event.reasons.length ? event.reasons : found) || `kept as ${event.why}`);
  say(byId("said"), event.review ? saidOf(event.review) : "");
  say(byId("sound-name"), event.state === "OK" ? "Sound" : "False reject");
  showPicture(event);
  preload();
}

function verdict(state) {
  const line = byId("state");
  line.dataset.state = state ?? "none";
  say(line.firstElementChild, GLYPH[state] ?? "·");
  say(line.lastElementChild, state ?? "none");
}

const source = (event) =>
  `/review/events/${event.id}/${showsOverlay && event.overlay ? event.overlay : "frame.png"}`;

function showPicture(event) {
  const picture = byId("shown");
  const url = source(event);
  if (!picture.src.endsWith(url)) picture.src = url;
  picture.alt = `Event ${event.id}, ${event.state}${showsOverlay ? ", with what was found" : ""}`;
  byId("overlay").setAttribute("aria-pressed", showsOverlay);
  marking.show(event.review?.marks ?? []);
}

function preload() {
  for (const event of events.slice(at + 1, at + 4)) new Image().src = source(event);
  if (left > 0 && events.length - at <= FEW && !fetching) more().then(() => {
    byId("next").disabled = at + 1 >= events.length;
  });
}

function saidOf({ call: what, class_name: name, by: who, marks }) {
  const words = { defect: "true defect", sound: "nothing in it is defective", class: `of the class ${name}`, missed: "something was missed", marked: "marked anew" };
  const many = marks.length ? ` (${marks.length} marked)` : "";
  return `${words[what]}${many}, says ${who}`;
}

/** Say what the event is, and go on; the next one is there before the answer has come. */
async function call(what, more_of_it = {}) {
  const event = current();
  if (!event) return;
  const before = event.review;
  event.review = { call: what, class_name: null, marks: [], by: by(), ...more_of_it };
  past.push([event, before]);
  announce(`event ${event.id}: ${saidOf(event.review)}`);
  await step(1);
  if (!(await send(event, event.review))) {
    event.review = before;
    past = past.filter(([each]) => each !== event);
    show();
  }
}

async function send(event, { call: what, class_name, marks, by: who }) {
  const body = JSON.stringify({ call: what, class_name, marks, by: who });
  try {
    const answer = await fetch(`/review/events/${event.id}`, { method: "POST", body });
    if (answer.ok) return true;
    const { message } = await answer.json();
    status(`event ${event.id} was not entered: ${message}`);
  } catch {
    status(`event ${event.id} was not entered: the box does not answer`);
  }
  return false;
}

async function undo() {
  const last = past.pop();
  if (!last) return;
  const [event, before] = last;
  const index = events.indexOf(event);
  event.review = before;
  if (index >= 0) at = index;
  show();
  announce(`event ${event.id}: taken back`);
  await send(event, before ?? { call: "withdrawn", class_name: null, marks: [], by: by() });
}

async function step(by_how_many) {
  if (by_how_many > 0 && at + 1 >= events.length && left > 0) await more();
  at = Math.min(Math.max(0, at + by_how_many), events.length);
  show();
}

function startMarking() {
  const event = current();
  if (!event) return;
  leaveModes();
  byId("marking").hidden = false;
  marking.start(event.review?.call === "missed" ? event.review.marks : []);
  say(byId("marking-help"), "Draw a box round it, or paint it by the brush.");
}

function saveMarks() {
  const marks = marking.taken();
  if (marks.length === 0) {
    say(byId("marking-help"), "Nothing is marked yet: draw a box round it first.");
    return;
  }
  call("missed", { marks });
}

function leaveModes() {
  byId("marking").hidden = true;
  byId("classes").hidden = true;
  marking.stop();
}

function chooseClass() {
  leaveModes();
  byId("classes").hidden = !current();
}

const status = (text) => say(byId("status"), text);
const announce = (text) => { byId("announcement").textContent = text; };

const calls = { defect: () => call("defect"), sound: () => call("sound"), class: chooseClass, missed: startMarking };
byId("calls").addEventListener("click", ({ target }) => calls[target.closest("button")?.dataset.call]?.());
byId("back").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("undo").addEventListener("click", undo);
byId("overlay").addEventListener("click", toggleOverlay);
byId("brush").addEventListener("click", toggleBrush);
byId("clear").addEventListener("click", () => marking.start([]));
byId("save-marks").addEventListener("click", saveMarks);
byId("cancel-marks").addEventListener("click", show);
byId("mark-label").addEventListener("change", () => { marking.label = byId("mark-label").value; });
filter.addEventListener("change", begin);
filter.addEventListener("submit", (event) => event.preventDefault());

function toggleOverlay() {
  showsOverlay = !showsOverlay;
  if (current()) showPicture(current());
}

function toggleBrush() {
  marking.brush = !marking.brush;
  byId("brush").setAttribute("aria-pressed", marking.brush);
}

const keys = {
  1: calls.defect, 2: calls.sound, 3: calls.class, 4: calls.missed,
  ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  j: () => step(1), k: () => step(-1), u: undo, o: toggleOverlay, b: toggleBrush, Escape: show,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.key !== "Escape") return;
  if (!byId("classes").hidden && /^[1-9]$/.test(event.key)) {
    byId("class-list").children[event.key - 1]?.click();
  } else if (event.key === "Enter") {
    if (byId("marking").hidden || event.target.tagName === "BUTTON") return;
    saveMarks();
  } else if (keys[event.key]) {
    keys[event.key]();
  } else {
    return;
  }
  event.preventDefault();
});

begin();
