// The picture on the stage: zoom and pan, a slider between two panes, or both side by side.

const LARGEST = 8; // 800 %

export class Viewer extends EventTarget {
  constructor(root) {
    super();
    this.root = root;
    this.panes = [...root.querySelectorAll(".pane")];
    this.canvas = root.querySelector("canvas");
    this.line = root.querySelector(".line");
    this.split = root.querySelector("#split");
    this.tags = [...root.querySelectorAll(".tag")];
    this.width = this.height = 1;
    this.fitted = true;
    this.mode = "one"; // one pane, slider, side
    this.scale = 1;
    this.x = this.y = 0;
    this.pointers = new Map();
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(root);
    this.split.addEventListener("input", () => this.place());
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"])
      root.addEventListener(kind, (event) => this.#pointer(kind, event));
    root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show pictures: {width, height, one: {picture, ghost}, two: {...}, mode, tags}. A size that changes is fitted anew. */
  show({ width, height, one, two, mode, tags = [] }) {
    const fit = width !== this.width || height !== this.height || mode !== this.mode;
    Object.assign(this, { width, height, mode });
    [one, two].forEach((content, which) => {
      const pane = this.panes[which];
      pane.hidden = !content;
      for (const name of ["picture", "ghost"]) {
        const image = pane.querySelector(`.${name}`);
        const url = content?.[name];
        image.hidden = !url;
        if (url && image.getAttribute("src") !== url) image.src = url;
        if (!url) image.removeAttribute("src");
        image.alt = url && name === "picture" ? (content.alt ?? "") : "";
      }
    });
    this.split.hidden = this.line.hidden = mode !== "slider";
    this.tags.forEach((tag, which) => {
      tag.hidden = !tags[which];
      tag.textContent = tags[which] ?? "";
    });
    this.root.dataset.mode = mode;
    if (fit && this.fitted) this.fit();
    else this.place();
  }

  get room() {
    const { clientWidth, clientHeight } = this.root;
    return [this.mode === "side" ? clientWidth / 2 : clientWidth, clientHeight];
  }

  fit() {
    const [width, height] = this.room;
    const scale = Math.min((width - 24) / this.width, (height - 24) / this.height);
    this.scale = Math.max(Math.min(scale, 4), 0.01);
    this.x = (width - this.width * this.scale) / 2;
    this.y = (height - this.height * this.scale) / 2;
    this.fitted = true;
    this.place();
  }

  /** Zoom by a factor; the picture's point under (x, y) of the stage stays where it is. */
  zoom(factor, x = this.room[0] / 2, y = this.room[1] / 2) {
    const least = Math.min(0.05, this.scale);
    const scale = Math.min(Math.max(this.scale * factor, least), LARGEST);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.place();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.place();
  }

  /** Pan so far that a point of the picture is in sight. */
  reveal([left, top]) {
    const edge = 12; // as `fit` leaves it
    const off = (at, length) => Math.max(edge - at, 0) + Math.min(length - edge - at, 0);
    const [width, height] = this.room;
    const [dx, dy] = [off(this.x + left * this.scale, width), off(this.y + top * this.scale, height)];
    if (Math.abs(dx) + Math.abs(dy) > 0.5) this.pan(dx, dy);
  }

  /** Put everything where it belongs; a corner of the picture always stays in sight. */
  place() {
    const [width, height] = this.room;
    const keep = 40;
    this.x = Math.min(Math.max(this.x, keep - this.width * this.scale), width - keep);
    this.y = Math.min(Math.max(this.y, keep - this.height * this.scale), height - keep);
    const share = Number(this.split.value);
    this.panes.forEach((pane, which) => {
      const stack = pane.firstElementChild;
      stack.style.width = `${this.width}px`;
      stack.style.height = `${this.height}px`;
      stack.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      stack.style.setProperty("--scale", this.scale);
      stack.classList.toggle("pixels", this.scale >= 3);
      const inset = which ? `inset(0 0 0 ${share}%)` : `inset(0 ${100 - share}% 0 0)`;
      pane.style.clipPath = this.mode === "slider" ? inset : "";
    });
    this.line.style.left = `${share}%`;
    this.dispatchEvent(new Event("moved"));
  }

  /** Return a pointer's place in the picture's pixels. */
  point(event) {
    const box = this.root.getBoundingClientRect();
    const left = this.mode === "side" && event.clientX - box.left > box.width / 2 ? box.width / 2 : 0;
    return [(event.clientX - box.left - left - this.x) / this.scale, (event.clientY - box.top - this.y) / this.scale];
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.root.getBoundingClientRect();
    const x = (event.clientX - box.left) % this.room[0];
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), x, event.clientY - box.top);
  }

  /** One pointer pans, unless `brush` takes it; two pan and zoom. */
  #pointer(kind, event) {
    if (event.target === this.split) return;
    const at = [event.clientX, event.clientY];
    if (kind === "pointerdown") {
      this.root.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at);
      this.painting = this.pointers.size === 1 && event.button === 0 && Boolean(this.brush) && !event.shiftKey;
      if (this.painting) this.brush("begin", this.point(event));
      else if (this.pointers.size === 2 && this.brush) this.brush("cancel");
    } else if (kind === "pointermove") {
      this.brush?.("hover", this.point(event), event);
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      if (this.painting && this.pointers.size === 1) {
        for (const each of event.getCoalescedEvents?.() ?? [event]) this.brush("extend", this.point(each));
      } else this.#drag(event.pointerId, before, at);
      this.pointers.set(event.pointerId, at);
    } else {
      if (this.painting && this.pointers.size === 1 && this.pointers.has(event.pointerId)) this.brush("end");
      this.painting &&= this.pointers.size !== 1;
      this.pointers.delete(event.pointerId);
    }
  }

  #drag(id, before, at) {
    const others = [...this.pointers].filter(([other]) => other !== id);
    if (!others.length) {
      this.pan(at[0] - before[0], at[1] - before[1]);
      return;
    }
    const [, fixed] = others[0];
    const length = ([x, y]) => Math.hypot(x - fixed[0], y - fixed[1]) || 1;
    const box = this.root.getBoundingClientRect();
    this.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.zoom(length(at) / length(before), (at[0] + fixed[0]) / 2 - box.left, (at[1] + fixed[1]) / 2 - box.top);
  }

  #key(event) {
    if (event.target !== this.root || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 120 : 30;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (this.brush?.("key", event)) event.preventDefault();
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else if (moves[event.key]) {
      this.pan(...moves[event.key]);
      event.preventDefault();
    }
  }
}
