// The page: one stream of small messages in, everything else drawn from what they say.
import { latencyChart, verdictChart } from "./charts.js";
import { Controls } from "./controls.js";
import { because, byId, GLYPH, make, milliseconds, say, timeOfDay } from "./format.js";
import { showHealth, showMode } from "./health.js";
import { Rejects } from "./rejects.js";
import { Strip } from "./strip.js";

const MOST_PASSED = 300;
const SILENT_MS = 4000; // health comes every second

const [strip, rejects, controls] = [new Strip(), new Rejects(), new Controls()];
let [run, passed, bins, health] = [null, [], [], null];
let [heardAt, frameShown, fetching] = [performance.now(), null, false];
let pictured = null; // the camera whose frames are shown

function take(state) {
  const restarted = run !== null && run !== state.run;
  ({ run, passed, bins, health } = state);
  frameShown = null;
  strip.clear();
  if (health.strip) strip.know(health.strip);
  strip.see(passed);
  strip.moveTo(state.place_mm);
  strip.settle(state.settled);
  rejects.show(state.rejects, false);
  byId("log-out").hidden = !state.guarded;
  byId("to-review").hidden = !state.keeps_events;
  connected(restarted ? "the line was started again" : "live");
  show(passed.length > 0);
}

function add(news) {
  if (news.passed) {
    passed = [...passed, ...news.passed].slice(-MOST_PASSED);
    strip.see(news.passed);
  }
  if ("place_mm" in news) strip.moveTo(news.place_mm);
  if (news.settled) strip.settle(news.settled);
  if (news.rejects) rejects.show(news.rejects, true);
  if (news.health) {
    health = news.health;
    const before = bins.filter((bin) => !news.bins.some((each) => each.start_s === bin.start_s));
    bins = [...before, ...news.bins].slice(-60);
    connected("live");
  }
  show(Boolean(news.passed), Boolean(news.health));
}

function show(hasPassed, hasHealth = true) {
  if (hasPassed) {
    showCameras();
    showVerdict();
    showFrame();
  }
  if (!hasHealth || !health.facts) return;
  showHealth(health);
  controls.know(health);
  strip.know(health.strip);
  strip.label();
  showPace();
  verdictChart(byId("verdict-chart"), bins, health.uptime_s);
  const latency = latencyChart(byId("latency-chart"), passed, health.deadline_ms);
  if (latency) {
    const { p50, p99, max } = latency;
    const parts = [["p50", p50], ["p99", p99], ["max", max], ["deadline", health.deadline_ms]];
    const known = parts.filter(([, ms]) => ms !== null); // before the first frame no deadline is
    say(byId("latency"), known.map(([name, ms]) => `${name}\u00a0${milliseconds(ms)}`).join("   "));
  }
}

const latestOf = (camera) => passed.findLast((each) => each.camera === camera);

/** A button for each camera, with its latest verdict, where there are several. */
function showCameras() {
  const names = (health.strip?.lanes ?? []).map(({ camera }) => camera);
  pictured ??= names[0] ?? passed.at(-1)?.camera ?? null;
  const list = byId("cameras");
  list.hidden = names.length < 2;
  if (list.hidden) return;
  if (list.children.length !== names.length) {
    list.replaceChildren(...names.map((camera) => {
      const button = make("button", { type: "button" }, make("b"), ` ${camera}`);
      button.addEventListener("click", () => {
        [pictured, frameShown] = [camera, null];
        showCameras();
        showFrame();
      });
      return make("li", {}, button);
    }));
  }
  names.forEach((camera, index) => {
    const button = list.children[index].firstChild;
    const state = latestOf(camera)?.state;
    say(button.firstChild, GLYPH[state] ?? "·");
    button.dataset.state = state ?? "none";
    button.setAttribute("aria-pressed", camera === pictured);
    button.title = `${camera}: ${state ?? "no frame yet"}`;
  });
}

/** Of the frame that is pictured, not of one that came after it. */
function showVerdict() {
  const mine = passed.filter((each) => each.camera === pictured);
  const shown = document.hidden ? null : mine.find((each) => each.frame === frameShown);
  const known = shown ?? mine.at(-1);
  if (!known) return;
  const { frame, state, reasons } = known;
  const verdict = byId("verdict");
  verdict.dataset.state = state;
  say(verdict.firstElementChild, GLYPH[state]);
  say(verdict.lastElementChild, state);
  say(byId("frame-number"), `${frame}`);
  say(byId("reason"), because(reasons) || "no defect that counts");
  document.title = `${GLYPH[state]} ${health.facts?.line ?? ""} · Trackside`;
}

function showPace() {
  const latest = passed.filter((each) => each.camera === pictured).slice(-20);
  const [first, last] = [latest[0], latest.at(-1)];
  const seconds = latest.length > 1 ? last.at_s - first.at_s : 0;
  const stands = !seconds || health.last_frame_age_s > 2;
  const speed = stands ? 0 : (last.end_mm - first.end_mm) / seconds;
  say(byId("speed"), stands ? "no frames come" : `${speed.toFixed(0)} mm/s`);
  say(byId("rate"), stands ? "" : `${((latest.length - 1) / seconds).toFixed(1)} frames/s`);
}

/** One at a time, so that a slow way to the box only means fewer of them. */
async function showFrame() {
  const index = latestOf(pictured)?.frame;
  if (index === undefined) return;
  if (fetching || document.hidden || frameShown === index) return;
  fetching = true;
  try {
    const camera = pictured;
    const response = await fetch(`/frame.jpg?camera=${encodeURIComponent(camera)}`);
    if (!response.ok) return;
    const picture = byId("frame");
    const before = picture.src;
    const has_picture = response.status === 200;
    if (has_picture) {
      picture.src = URL.createObjectURL(await response.blob());
      await picture.decode();
      URL.revokeObjectURL(before);
    }
    if (camera === pictured) frameShown = Number(response.headers.get("Frame"));
    picture.alt = `${camera} frame ${frameShown} with what was found drawn over it`;
    picture.hidden = !has_picture;
    showVerdict();
  } catch {
    // The stream says that the line is gone; the next frame is asked for when it is back.
  } finally {
    fetching = false;
  }
}

function connected(how) {
  heardAt = performance.now();
  const status = byId("connection");
  if (status.dataset.is === "live" && how === "live") return;
  status.dataset.is = "live";
  say(status, how);
  if (how !== "live") setTimeout(() => status.dataset.is === "live" && say(status, "live"), 10_000);
}

function disconnected(why) {
  showOld("gone", `${why} at ${timeOfDay(Date.now())}:`);
}

/** The line answers, and sends no news. */
function turnedAway(why) {
  heardAt = performance.now();
  showOld("full", `${why};`);
}

function showOld(is, why) {
  const status = byId("connection");
  if (status.dataset.is !== is) {
    status.dataset.is = is;
    say(status, `${why} what is shown is old; trying again`);
    document.title = "no connection · Trackside";
  }
  showMode("not known");
  controls.disconnected();
}

function listen() {
  const stream = new EventSource("/events");
  const on = (name, act) => stream.addEventListener(name, ({ data }) => act(JSON.parse(data)));
  on("state", take);
  on("news", add);
  on("end", () => disconnected("the line was stopped"));
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) askWhy();
    else disconnected("connection lost"); // the browser itself tries again
  });
}

async function askWhy() {
  const answer = await fetch("/state").catch(() => null);
  if (answer?.status === 401) {
    location.assign("/login");
    return;
  }
  const state = answer?.ok ? await answer.json().catch(() => null) : null;
  if (state?.full) turnedAway(state.full);
  else disconnected("connection lost");
  setTimeout(listen, 2000);
}

setInterval(() => {
  if (performance.now() - heardAt > SILENT_MS) disconnected("nothing heard");
}, 1000);
listen();
