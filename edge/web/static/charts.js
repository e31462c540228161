// Two charts as SVG: verdicts in bars of ten seconds, latency as a dot for each frame.
import { milliseconds, nice } from "./format.js";

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, TOP, FOOT, LEFT] = [400, 118, 8, 18, 46];
const BIN_S = 10;
const [FEWEST_BINS, MOST_BINS] = [12, 60];

function draw(name, attributes, text) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function chart(place, label, parts) {
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  svg.append(...parts);
  place.replaceChildren(svg);
}

const base = HEIGHT - FOOT;
const height = (share) => base - (base - TOP) * share;

function* axis(values, at, write) {
  for (const value of values) {
    const y = at(value);
    yield draw("path", { class: y < base ? "grid" : "axis", d: `M${LEFT} ${y}H${WIDTH}` });
    yield draw("text", { x: LEFT - 6, y: y + 3.5, "text-anchor": "end" }, write(value));
  }
}

function* foot(left, right) {
  yield draw("text", { x: LEFT, y: HEIGHT - 3 }, left);
  yield draw("text", { x: WIDTH, y: HEIGHT - 3, "text-anchor": "end" }, right);
}

/** Stacked, the worst on top. */
export function verdictChart(place, bins, uptimeS) {
  const last = Math.floor(uptimeS / BIN_S) * BIN_S;
  const total = (bin) => bin.OK + bin.NG + bin.UNKNOWN;
  const most = nice(Math.max(10, ...bins.map(total)));
  const asked = last / BIN_S + 1;
  const shown = [FEWEST_BINS, 30, MOST_BINS].find((count) => count >= asked) ?? MOST_BINS;
  const at = (value) => height(value / most);
  const pitch = (WIDTH - LEFT) / shown;
  const since = `${(shown * BIN_S) / 60} min`;
  const parts = [...axis([0, most / 2, most], at, (value) => `${value}`), ...foot(`${since} ago`, "now")];
  for (const bin of bins) {
    const x = WIDTH - ((last - bin.start_s) / BIN_S + 1) * pitch;
    if (x < LEFT - 1) continue;
    let stacked = 0;
    for (const state of ["OK", "NG", "UNKNOWN"]) {
      const [lower, upper] = [at(stacked), at(stacked + bin[state])];
      stacked += bin[state];
      if (lower === upper) continue;
      parts.push(
        draw("rect", {
          class: state.toLowerCase(),
          x: x + 0.5,
          y: upper,
          width: pitch - 1,
          height: lower - upper,
        }),
      );
    }
  }
  const sum = (state) => bins.reduce((so_far, bin) => so_far + bin[state], 0);
  const label = `Verdicts of the last ${since}: ${sum("OK")} OK, ${sum("NG")} NG, `;
  chart(place, `${label}${sum("UNKNOWN")} UNKNOWN`, parts);
}

/** By decades, so that a few late frames do not flatten the rest. Gives percentiles too. */
export function latencyChart(place, passed, deadlineMs) {
  const sorted = passed.map((each) => each.latency_ms).sort((a, b) => a - b);
  if (!sorted.length) return null;
  const part = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const low = Math.floor(Math.log10(Math.max(0.01, sorted[0])));
  const high = Math.max(low + 1, Math.ceil(Math.log10(sorted.at(-1))));
  const decades = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  const at = (ms) => height((Math.log10(Math.max(10 ** low, ms)) - low) / (high - low));
  const step = (WIDTH - LEFT) / Math.max(60, passed.length);
  const dots = { OK: "", NG: "", UNKNOWN: "" };
  passed.forEach((each, index) => {
    const x = WIDTH - (passed.length - index - 0.5) * step;
    dots[each.state] += `M${x.toFixed(1)} ${at(each.latency_ms).toFixed(1)}h0`;
  });
  const parts = [...axis(decades, at, (ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`)), ...foot(`${passed.length} frames ago`, "now")];
  if (deadlineMs !== null && deadlineMs <= 10 ** high) {
    parts.push(draw("path", { class: "deadline", d: `M${LEFT} ${at(deadlineMs)}H${WIDTH}` }));
  }
  for (const [state, d] of Object.entries(dots)) {
    if (d) parts.push(draw("path", { class: `dots ${state.toLowerCase()}`, d }));
  }
  const known = { p50: part(0.5), p99: part(0.99), max: sorted.at(-1) };
  const label = `Latency of the last ${passed.length} frames: half within ${milliseconds(known.p50)}`;
  chart(place, `${label}, 99 of 100 within ${milliseconds(known.p99)}`, parts);
  return known;
}
