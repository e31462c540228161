// How figures are written, and small things of the document.
export const GLYPH = { OK: "✓", NG: "✕", UNKNOWN: "?" };

export const byId = (id) => document.getElementById(id);

/** An element with its properties and what is in it. */
export function make(name, properties = {}, ...within) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...within);
  return made;
}

/** Write only what has changed: a reader's selection, and a screen reader, are left alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const whole = (number) => Math.round(number).toLocaleString("en-GB");
export const metres = (mm) => `${(mm / 1000).toFixed(3)} m`;

export function milliseconds(ms) {
  return `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : whole(ms)}\u00a0ms`;
}

export function duration(s) {
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(s % 60)} s` : `${Math.floor(s)} s`;
}

export const because = (reasons) =>
  reasons.join("; ").replaceAll("mm2", "mm²").replace(/\bum\b/g, "µm");

export const timeOfDay = (utc) => new Date(utc).toLocaleTimeString("en-GB");

/** 1, 2 or 5 times a power of ten: the first at or above. */
export function nice(value) {
  const decade = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * decade).find((step) => step >= value * 0.999);
}
