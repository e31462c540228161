// Marks in a picture: boxes and strokes of a brush, in the picture's own pixels.
const BRUSH_PX = 4; // its radius, in pixels of the picture
const LEAST_PX = 2; // a smaller box is a slip of the hand

export class Marking {
  label = "defect";
  brush = false;
  #frame;
  #picture;
  #canvas;
  #marks = [];
  #active = false;
  #from = null; // where the pointer went down
  #stroke = null; // the pixels that are painted: [mask, width, height]

  constructor(frame, picture, canvas) {
    [this.#frame, this.#picture, this.#canvas] = [frame, picture, canvas];
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    picture.addEventListener("load", () => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(picture);
  }

  /** What was marked before, to be looked at. */
  show(marks) {
    this.#marks = marks;
    this.#draw();
  }

  start(marks) {
    [this.#active, this.#marks, this.#from, this.#stroke] = [true, [...marks], null, null];
    this.#frame.classList.add("marking");
    this.#draw();
  }

  stop() {
    this.#active = false;
    [this.#from, this.#stroke] = [null, null];
    this.#frame.classList.remove("marking");
  }

  /** All marks; what was painted is one. */
  taken() {
    const painted = this.#painted();
    return painted ? [...this.#marks, painted] : [...this.#marks];
  }

  get #size() {
    return [this.#picture.naturalWidth, this.#picture.naturalHeight];
  }

  /** How the picture lies in its element: it keeps its shape there. */
  get #lies() {
    const [width, height] = this.#size;
    const { clientWidth, clientHeight } = this.#picture;
    const scale = Math.min(clientWidth / width, clientHeight / height) || 1;
    return { scale, left: (clientWidth - width * scale) / 2, top: (clientHeight - height * scale) / 2 };
  }

  #at(event) {
    const { scale, left, top } = this.#lies;
    const { x, y } = this.#canvas.getBoundingClientRect();
    const [width, height] = this.#size;
    const within = (value, most) => Math.min(Math.max(0, value), most);
    return [within((event.clientX - x - left) / scale, width), within((event.clientY - y - top) / scale, height)];
  }

  #down(event) {
    if (!this.#active) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#from = this.#at(event);
    if (this.brush) this.#paint(this.#from);
  }

  #move(event) {
    if (!this.#from) return;
    if (this.brush) this.#paint(this.#at(event));
    this.#draw(this.brush ? null : this.#box(this.#from, this.#at(event)));
  }

  #up(event) {
    if (!this.#from) return;
    const box = this.#box(this.#from, this.#at(event));
    if (!this.brush && Math.min(box[2], box[3]) >= LEAST_PX) {
      this.#marks.push({ label: this.label, box_px: box, runs: null });
    }
    this.#from = null;
    this.#draw();
  }

  #box([x0, y0], [x1, y1]) {
    const [left, top] = [Math.floor(Math.min(x0, x1)), Math.floor(Math.min(y0, y1))];
    return [left, top, Math.ceil(Math.max(x0, x1)) - left, Math.ceil(Math.max(y0, y1)) - top];
  }

  #paint([x, y]) {
    const [width, height] = this.#size;
    this.#stroke ??= new Uint8Array(width * height);
    for (let row = Math.max(0, Math.floor(y - BRUSH_PX)); row <= Math.min(height - 1, y + BRUSH_PX); row += 1) {
      for (let column = Math.max(0, Math.floor(x - BRUSH_PX)); column <= Math.min(width - 1, x + BRUSH_PX); column += 1) {
        if ((column - x) ** 2 + (row - y) ** 2 <= BRUSH_PX ** 2) this.#stroke[row * width + column] = 1;
      }
    }
  }

  /** What was painted, as run lengths within its box. */
  #painted() {
    if (!this.#stroke) return null;
    const [width] = this.#size;
    let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
    this.#stroke.forEach((value, index) => {
      if (!value) return;
      const [column, row] = [index % width, Math.floor(index / width)];
      [left, right] = [Math.min(left, column), Math.max(right, column)];
      [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    });
    if (right < 0) return null;
    const runs = [0];
    let value = 0;
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) {
        if (this.#stroke[row * width + column] !== value) {
          runs.push(0);
          value = 1 - value;
        }
        runs[runs.length - 1] += 1;
      }
    }
    return { label: this.label, box_px: [left, top, right - left + 1, bottom - top + 1], runs };
  }

  #draw(growing = null) {
    const { clientWidth, clientHeight } = this.#picture;
    [this.#canvas.width, this.#canvas.height] = [clientWidth, clientHeight];
    if (!clientWidth || !this.#size[0]) return;
    const { scale, left, top } = this.#lies;
    const pen = this.#canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, left, top);
    pen.lineWidth = 2 / scale;
    pen.strokeStyle = "#00b7ff";
    pen.fillStyle = "rgba(0, 183, 255, 0.45)";
    for (const mark of this.taken()) drawMark(pen, mark);
    if (growing) pen.strokeRect(...growing);
  }
}

function drawMark(pen, { box_px: [x, y, width, height], runs }) {
  pen.strokeRect(x, y, width, height);
  if (!runs) return;
  let at = 0;
  runs.forEach((length, index) => {
    for (let left = length; index % 2 && left > 0;) {
      const [column, row] = [at % width, Math.floor(at / width)];
      const part = Math.min(left, width - column);
      pen.fillRect(x + column, y + row, part, 1);
      [at, left] = [at + part, left - part];
    }
    if (index % 2 === 0) at += length;
  });
}
