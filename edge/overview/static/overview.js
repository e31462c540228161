// All lines of this box, as each says of itself; one that says nothing is never shown as well.
import { because, byId, duration, GLYPH, make, metres, say, timeOfDay, whole } from "./format.js";
import { alarms } from "./health.js";

const EVERY_MS = 2000;
const SILENT_MS = 8000;
const STILL_S = 5; // without a frame
const MARK = { well: "✓", still: "·", trouble: "!", gone: "✕" };

const cards = new Map(); // by unit
let heardAt = performance.now();

/** How a line is doing: in one word for the card, in a few for people, and why. */
function standing({ why, heard_utc, summary }) {
  if (why !== null) {
    const before = heard_utc === null ? "" : `\nLast heard at ${timeOfDay(heard_utc)}.`;
    return ["gone", "not answering", `${why}${before}`];
  }
  const { health, latest } = summary;
  if (!health.facts) return ["still", "starting", ""];
  const said = [...alarms(health)];
  for (const [camera, state] of Object.entries(latest)) {
    if (state === "UNKNOWN") said.push(`Camera ${camera} sees nothing that can be judged`);
  }
  if (said.length) return ["trouble", "needs somebody", said.join("\n")];
  const age = health.last_frame_age_s;
  if (age === null) return ["still", "waiting", "not every camera has shown a frame yet"];
  if (age > STILL_S) return ["still", "no frames come", ""];
  return ["well", "inspecting", ""];
}

/** Of each camera its verdict and its age. */
function lastFrames({ health, latest }) {
  const cameras = Object.entries(health.cameras ?? {});
  return cameras.map(([name, { last_frame_age_s: age }]) => {
    const of = cameras.length > 1 ? ` ${name}` : "";
    const said = age === null ? "none yet" : `${duration(age)} ago`;
    return make("span", { textContent: `${GLYPH[latest[name]] ?? "·"}${of} ${said} ` });
  });
}

function lastReject({ reject }) {
  if (!reject) return "none since the line was started";
  const { utc, camera, state, start_mm, called, reasons } = reject;
  const day = new Date(utc).toDateString() === new Date().toDateString() ? "" : `${utc.slice(0, 10)} `;
  const place = called ? `${metres(start_mm)} (${called})` : metres(start_mm);
  return `${day}${timeOfDay(utc)}, ${camera}, ${place}: ${GLYPH[state]} ${because(reasons)}`;
}

const counts = ({ health }) =>
  Object.entries(health.frames ?? {}).map(([state, count]) => `${whole(count)} ${state}`).join(", ");

/** By the name or address by which this page was reached, where the line's page has it too. */
function address({ link }) {
  if (link === null) return null;
  const { scheme, port, on_this_box_alone: alone } = link;
  const here = /^(localhost|127\..*|\[::1\])$/.test(location.hostname);
  return alone && !here ? null : `${scheme}://${location.hostname}:${port}/`;
}

function card() {
  const parts = Object.fromEntries(["frame", "reject", "counts"].map((name) => [name, make("dd")]));
  const [name, note] = [make("a"), make("small")];
  const [state, why] = [make("p", { className: "state" }), make("p", { className: "why" })];
  const list = make("dl", {}, make("dt", { textContent: "Last frame" }), parts.frame,
    make("dt", { textContent: "Last reject" }), parts.reject, make("dt", { textContent: "Frames" }), parts.counts);
  const element = make("li", {}, make("h2", {}, name, note), state, why, list);
  return { element, name, note, state, why, list, ...parts };
}

function show(line) {
  if (!cards.has(line.unit)) cards.set(line.unit, card());
  const on = cards.get(line.unit);
  const [is, words, why] = standing(line);
  const [to, summary] = [address(line), line.summary];
  on.element.dataset.is = is;
  say(on.name, line.name);
  if (to === null) on.name.removeAttribute("href");
  else if (on.name.getAttribute("href") !== to) on.name.href = to;
  const unit = line.unit === line.name ? "" : line.unit;
  say(on.note, to === null && line.link ? `${unit} its page is for the box alone` : unit);
  say(on.state, `${MARK[is]} ${words}`);
  say(on.why, why);
  on.list.hidden = summary === null;
  if (summary === null) return on.element;
  on.frame.replaceChildren(...lastFrames(summary));
  say(on.reject, lastReject(summary));
  say(on.counts, counts(summary));
  return on.element;
}

function take({ box, guarded, trouble, lines }) {
  heardAt = performance.now();
  say(byId("box"), box);
  byId("log-out").hidden = !guarded;
  byId("alarm").hidden = trouble === null;
  say(byId("alarm"), trouble ?? "");
  const elements = lines.map(show);
  const list = byId("lines");
  if (elements.length !== list.children.length || elements.some((each, at) => each !== list.children[at])) {
    list.replaceChildren(...elements);
  }
  const well = elements.filter((each) => each.dataset.is === "well").length;
  say(byId("how-many"), `${well} of ${lines.length} inspecting`);
  document.title = `${well} of ${lines.length} · ${box} · Trackside`;
  connection("live", "live");
}

function connection(is, text) {
  byId("connection").dataset.is = is;
  say(byId("connection"), text);
}

async function ask() {
  const answer = await fetch("/lines", { signal: AbortSignal.timeout(SILENT_MS) }).catch(() => null);
  if (answer?.status === 401) {
    location.assign("/login");
    return;
  }
  const told = answer?.ok ? await answer.json().catch(() => null) : null;
  if (told) take(told);
  else gone();
  setTimeout(ask, EVERY_MS);
}

function gone() {
  if (byId("connection").dataset.is !== "gone") {
    connection("gone", `no answer since ${timeOfDay(Date.now())}: what is shown is old; trying again`);
  }
  say(byId("how-many"), "not known");
}

setInterval(() => {
  if (performance.now() - heardAt > SILENT_MS) gone();
}, 1000);
ask();
