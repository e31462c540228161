// How the line is doing: what stands out is said in words, and never by colour alone.
import { because, byId, duration, GLYPH, make, milliseconds, say, whole } from "./format.js";

const STRONG_DRIFT = 0.25;

export function showHealth(health) {
  const { facts, frames, outputs, rejects } = health;
  say(byId("line"), facts.line);
  showMode(outputs.mode);
  showAlarms(health);
  showCounts(frames);
  const { ordered, fired, missed, pending } = rejects;
  say(byId("orders"), `${ordered} ordered, ${fired} fired, ${missed} missed, ${pending} on their way`);
  byId("tiles").replaceChildren(...tiles(health).map(tile));
  showStages(health.stages_ms);
  const { bundle, bundle_digest, engine, version } = facts;
  const trying = health.swap?.trying;
  const trial = trying ? ` · ${trying.doing} ${trying.request.name}, ${trying.frames} of ${trying.of}` : "";
  const release = health.fleet?.runs ? ` · release ${health.fleet.runs}` : "";
  const in_force = `Bundle ${bundle}, ${bundle_digest.slice(0, 12)}`;
  say(byId("facts"), `${in_force} · ${engine} · Trackside ${version}${release}${trial}`);
}

export function showMode(mode) {
  const pill = byId("mode");
  pill.dataset.mode = mode;
  say(pill.lastElementChild, mode);
}

/** What somebody has to see to. */
export function* alarms({ outputs, cameras, troubles, swap, fleet }) {
  const { mode, causes } = outputs;
  const overriding = causes.filter((each) => each.mode !== "as ordered");
  const reasons = overriding.map((each) => `${each.name}: ${each.reason}`);
  if (mode !== "as ordered") yield `Outputs: ${mode}. ${because(reasons)}`;
  for (const [name, { source }] of Object.entries(cameras)) {
    if (source?.fault) yield `Camera ${name}: ${source.fault}`;
  }
  for (const trouble of Object.values(troubles)) yield trouble;
  if (swap?.last?.refusal) yield `Bundle ${swap.last.request.name} was refused: ${swap.last.refusal}`;
  if (fleet?.trouble) yield `Fleet: ${fleet.trouble}`;
  const last = fleet?.refused.at(-1);
  if (last && last.release >= (fleet.runs ?? 0)) yield `Release ${last.release} was refused: ${last.why}`;
}

/** Of a box that belongs to a fleet. */
function* ofTheFleet(fleet) {
  if (!fleet) return;
  const { runs, wants, doing, refused } = fleet;
  const there = wants === null || wants === runs;
  yield ["Fleet's release", runs === null ? "none yet" : `${runs}`, false];
  if (!there) yield ["On its way", `${wants}${doing === "nothing" ? "" : `, ${doing}`}`, refused.some((each) => each.release === wants)];
}

function showAlarms(health) {
  const said = [...alarms(health)].join("\n");
  byId("alarm").hidden = !said;
  say(byId("alarm"), said);
}

function showCounts(frames) {
  const list = byId("counts");
  if (!list.children.length) {
    for (const state of Object.keys(frames)) {
      const glyph = make("b", { className: state.toLowerCase(), textContent: GLYPH[state] });
      list.append(make("li", {}, glyph, ` ${state} `, make("strong")));
    }
  }
  Object.values(frames).forEach((count, index) => say(list.children[index].lastChild, whole(count)));
}

/** What is told of each camera; its name is left out where there is no other. */
function* ofTheCameras(cameras) {
  const several = Object.keys(cameras).length > 1;
  for (const [name, { source, drift }] of Object.entries(cameras)) {
    const of = several ? `, ${name}` : "";
    if (source) {
      yield [`Frames dropped${of}`, whole(source.dropped), source.dropped > 0];
      yield [`Camera reopened${of}`, whole(source.reopened), source.reopened > 0];
    }
    const figures = Object.entries(drift);
    if (!figures.length) yield [`Drift${of}`, "not measured", false];
    for (const [figure, index] of figures) {
      yield [`Drift of ${figure}${of}`, index.toFixed(2), index >= STRONG_DRIFT];
    }
  }
}

function* ofTheBox({ memory_bytes, temperatures_c, throttled }) {
  yield ["Memory", `${whole(memory_bytes / 1e6)} MB`];
  const hottest = Object.entries(temperatures_c).sort((a, b) => b[1] - a[1])[0];
  if (hottest) yield [`Temperature, ${hottest[0]}`, `${hottest[1].toFixed(0)} °C`, hottest[1] >= 85];
  if (throttled !== null) yield ["Throttled", throttled ? "yes" : "no", throttled];
}

function tiles(health) {
  return [
    ["Running for", duration(health.uptime_s)],
    ["Last frame", health.last_frame_age_s === null ? "none yet" : `${duration(health.last_frame_age_s)} ago`, health.last_frame_age_s > 2],
    ["Lost frames", whole(health.lost_frames), health.lost_frames > 0],
    ["Deadlines missed", whole(health.deadlines_missed), health.deadlines_missed > 0],
    ...ofTheCameras(health.cameras),
    ...ofTheFleet(health.fleet),
    ...ofTheBox(health.box),
  ];
}

function tile([name, value, stands_out]) {
  const said = make("dd", { textContent: stands_out ? `${value} ` : value });
  if (stands_out) said.append(make("b", { className: "warn", textContent: "!", title: "out of the ordinary" }));
  return make("div", {}, make("dt", { textContent: name }), said);
}

function showStages(stages) {
  const total = Object.values(stages).reduce((sum, ms) => sum + ms, 0) || 1;
  const bar = byId("stage-bar");
  const list = byId("stages");
  if (!list.children.length) {
    Object.keys(stages).forEach((name, index) => {
      bar.append(make("i", { className: `stage${index}` }));
      const key = make("i", { className: `key stage${index}` });
      list.append(make("div", {}, make("dt", {}, key, name), make("dd")));
    });
  }
  Object.values(stages).forEach((ms, index) => {
    bar.children[index].style.flexGrow = ms / total;
    say(list.children[index].lastChild, milliseconds(ms));
  });
}
