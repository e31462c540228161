// The rail as it goes from the camera, at the right, to the actuators: to scale along and across.
import { byId, make, nice, say, whole } from "./format.js";

const MM_PER_PX = 2; // where there is room for it
const BEYOND = 1.25; // of the way to the furthest actuator
const LEAST_PX = 3; // of anything that must be seen
const LEAST_TALL = 3.75, LANE_TALL = 0.95; // rem, of the map and of each camera's lane in it

export class Strip {
  #window = byId("window");
  #rail = byId("rail");
  #marks = byId("marks");
  #passed = []; // those in sight, and a little more
  #orders = new Map(); // "start:end" -> element
  #settled = new Map(); // "start:end" -> why it was missed, or null
  #origin = 0; // mm, of the rail element's left edge
  #ticked = 0; // mm, up to which there are ticks
  #placeMm = null; // of the rail under the camera, by the encoder
  #lanes = new Map(); // camera -> where it looks, across all that is seen
  #widthMm = 1;
  #actuators = [];
  #scale = 0; // px a mm
  #movedAt = 0;

  constructor() {
    new ResizeObserver(() => this.#rebuild()).observe(this.#window);
  }

  clear() {
    this.#passed = [];
    this.#placeMm = null;
    this.#settled.clear();
    this.#rebuild();
  }

  see(passed) {
    this.#passed.push(...passed);
    const jumps = passed.length > 20;
    if (jumps || !this.#scale) this.#rebuild();
    else {
      for (const each of passed) this.#draw(each);
      if (this.#placeMm === null) this.#move(true);
    }
    this.#forget();
  }

  /** What became of orders. */
  settle(settled) {
    for (const { start_mm, end_mm, missed } of settled) {
      const key = `${start_mm}:${end_mm}`;
      if (this.#settled.get(key) === undefined) {
        this.#settled.set(key, missed);
        if (this.#orders.has(key)) this.#show(key);
      }
    }
  }

  /** Where the cameras look, and where the actuators sit. */
  know({ lanes, actuators }) {
    const known = JSON.stringify([lanes, actuators]);
    if (known === JSON.stringify([[...this.#lanes.values()], this.#actuators])) return;
    this.#lanes = new Map(lanes.map((lane) => [lane.camera, lane]));
    this.#widthMm = Math.max(...lanes.map(({ left_mm, width_mm }) => left_mm + width_mm)) || 1;
    this.#actuators = actuators;
    const tall = Math.max(LEAST_TALL, LANE_TALL * lanes.length);
    this.#window.style.setProperty("--tall", `${tall}rem`);
    this.#rebuild();
  }

  /** The rail has gone on; frames come some time after it. */
  moveTo(placeMm) {
    this.#placeMm = placeMm;
    if (this.#scale) this.#move(true);
  }

  get #endMm() {
    return this.#placeMm ?? this.#passed.at(-1)?.end_mm ?? 0;
  }

  #rebuild() {
    const width = this.#window.clientWidth;
    const furthest = Math.max(0, ...this.#actuators.map(([, offset]) => offset));
    this.#scale = width / Math.max(furthest * BEYOND, width * MM_PER_PX);
    this.#orders.clear();
    this.#rail.replaceChildren();
    this.#origin = this.#ticked = this.#passed[0]?.start_mm ?? 0;
    for (const each of this.#passed) this.#draw(each);
    this.#drawMarks(width);
    this.#move(false);
  }

  #drawMarks(width) {
    const mark = (name, kind, right) => {
      const made = make("div", { className: `mark ${kind}` }, make("span", { textContent: name }));
      made.style.left = `${width - right}px`;
      return made;
    };
    this.#marks.replaceChildren(
      mark("camera", "camera", 0),
      ...this.#actuators.map(([name, offset]) => mark(name, "actuator", offset * this.#scale)),
    );
  }

  #draw(passed) {
    const kind = passed.state.toLowerCase();
    const { left_mm = 0, width_mm = this.#widthMm } = this.#lanes.get(passed.camera) ?? {};
    const share = (mm) => mm / (this.#widthMm || 1);
    const cell = this.#put(make("i", { className: `cell ${kind}` }), passed, 0);
    if (this.#lanes.size > 1) {
      cell.style.top = `calc(var(--tall) * ${share(left_mm)})`;
      cell.style.height = `calc(var(--tall) * ${share(width_mm)})`;
    }
    const reported = passed.reported.map(({ said }) => `reported ${said}`);
    cell.title = `${passed.camera} frame ${passed.frame}: ${[passed.state, ...passed.reasons, ...reported].join(", ")}`;
    const found = [
      ...passed.reported.map((each) => [each, "defect reported"]),
      ...passed.defects.map((each) => [each, "defect"]),
    ];
    for (const [defect, className] of found) {
      const piece = this.#put(make("i", { className, title: defect.said }), defect);
      piece.style.top = `${100 * share(left_mm + defect.left_mm)}%`;
      piece.style.height = `max(${LEAST_PX}px, ${100 * share(defect.right_mm - defect.left_mm)}%)`;
      cell.parentElement.append(this.#inLane(piece));
    }
    for (const order of passed.orders) {
      const key = `${order.start_mm}:${order.end_mm}`;
      if (this.#orders.get(key)?.isConnected) continue; // another camera has ordered the same
      this.#orders.set(key, this.#put(make("i", { className: "order" }), order));
      this.#show(key);
    }
    this.#tickUpTo(passed.end_mm);
  }

  #inLane(piece) {
    const lane = make("i", { className: "lane" }, piece);
    [lane.style.left, lane.style.width] = [piece.style.left, piece.style.width];
    [piece.style.left, piece.style.width] = ["0", "100%"];
    return lane;
  }

  #put(element, { start_mm, end_mm }, least = LEAST_PX) {
    element.style.left = `${(start_mm - this.#origin) * this.#scale}px`;
    element.style.width = `${Math.max(least, (end_mm - start_mm) * this.#scale)}px`;
    element.dataset.endMm = end_mm;
    this.#rail.append(element);
    return element;
  }

  #show(key) {
    const [order, missed] = [this.#orders.get(key), this.#settled.get(key)];
    const kind = missed === undefined ? "pending" : missed === null ? "fired" : "missed";
    order.className = `order ${kind}`;
    order.title = { pending: "reject on its way", fired: "rejected" }[kind] ?? `missed: ${missed}`;
  }

  #tickUpTo(endMm) {
    const step = nice(90 / this.#scale); // a label has 90 px of room
    for (let mm = (Math.floor(this.#ticked / step) + 1) * step; mm <= endMm; mm += step) {
      const tick = make("i", { className: "tick", textContent: `${whole(mm)} mm` });
      this.#put(tick, { start_mm: mm, end_mm: mm });
    }
    this.#ticked = Math.max(this.#ticked, endMm);
  }

  #move(smoothly) {
    const now = performance.now();
    const since = Math.min(600, Math.max(120, now - this.#movedAt));
    this.#movedAt = now;
    const left = this.#window.clientWidth - (this.#endMm - this.#origin) * this.#scale;
    this.#rail.style.transitionDuration = smoothly ? `${since}ms` : "0ms";
    this.#rail.style.transform = `translateX(${left}px)`;
  }

  /** What has gone out of sight at the left, and what came of orders that went with it. */
  #forget() {
    const gone = this.#endMm - (1.5 * this.#window.clientWidth) / (this.#scale || 1);
    while (this.#passed.length > 1 && this.#passed[0].end_mm < gone) this.#passed.shift();
    for (const child of [...this.#rail.children]) {
      const end = child.dataset.endMm ?? child.firstChild?.dataset?.endMm;
      if (Number(end) < gone) child.remove();
    }
    for (const [key, order] of this.#orders) {
      if (!order.isConnected) {
        this.#orders.delete(key);
        this.#settled.delete(key);
      }
    }
    while (this.#settled.size > 400) this.#settled.delete(this.#settled.keys().next().value);
  }

  describe() {
    const count = (state) => this.#passed.filter((each) => each.state === state).length;
    const on_way = [...this.#orders.values()].filter((each) => each.classList.contains("pending"));
    return (
      `The rail between camera and actuator: ${count("OK")} frames OK, ${count("NG")} NG, ` +
      `${count("UNKNOWN")} UNKNOWN, ${on_way.length} rejects on their way`
    );
  }

  label() {
    const description = this.describe();
    if (this.#window.getAttribute("aria-label") !== description) {
      this.#window.setAttribute("aria-label", description);
    }
    const called = this.#passed.at(-1)?.called;
    const at = `camera at ${whole(this.#endMm)} mm${called ? ` (${called})` : ""}`;
    say(byId("place"), this.#passed.length ? at : "");
  }
}
