// The brush on the stage, by mouse, pen, finger and keys: begins, extends and ends the strokes of the picture.

import { copies } from "./answers.js";
import { $, choose, chosen, say } from "./elements.js";
import { announce, on, page } from "./page.js";
import { correct, painted } from "./work.js";

export const BRUSH_KEYS =
  "Arrow keys move the brush, Space paints: held, or pressed to begin and to end. K keeps, R removes, brackets change the size, Control Z undoes. Plus and minus zoom.";
const FINEST = 2048; // pixels of a side of the canvas on which strokes are shown

export class Pen {
  #viewer;
  #at = null; // the place of the ring, in the picture's pixels
  #down = false; // by a key
  #held = false; // the key that put it down has not been let go
  #moved = false; // since then

  constructor(viewer) {
    this.#viewer = viewer;
    this.#wire();
  }

  /** Take the stage, or leave it: strokes are shown, and the viewer asks the brush first. */
  use(wanted) {
    $("brushbar").hidden = !wanted;
    $("stage").classList.toggle("brushing", wanted);
    this.#viewer.brush = wanted ? this.#take.bind(this) : null;
    this.#viewer.canvas.hidden = !wanted || !$("showstrokes").checked;
    this.#rest();
  }

  /** Draw the strokes of the picture on the stage. */
  show() {
    const { width, height, strokes } = page.current, { canvas } = this.#viewer;
    const scale = Math.min(1, FINEST / Math.max(width, height));
    const [cols, rows] = [width, height].map((length) => Math.max(1, Math.round(length * scale)));
    if (canvas.width !== cols || canvas.height !== rows) Object.assign(canvas, { width: cols, height: rows });
    strokes.show(canvas, scale);
  }

  /** Offer what can be undone; the focus does not stay on a button that is out of use. */
  offer() {
    const { empty, undone } = page.current.strokes;
    const held = document.activeElement;
    $("undo").disabled = $("clear").disabled = empty;
    $("redo").disabled = !undone.length;
    if (held.disabled && $("brushbar").contains(held)) $(empty ? "redo" : "undo").focus();
  }

  /** End the stroke that keys have begun. */
  lift() {
    if (!this.#down) return;
    this.#down = false;
    this.#ended();
    this.#ring(this.#at);
    say("The brush is up");
  }

  get #size() {
    return Number($("size").value) / this.#viewer.scale;
  }

  /** What the viewer asks of the brush; returns true for keys that were the brush's. */
  #take(kind, what) {
    const { strokes, automatic } = page.current;
    if (kind === "hover") return this.#ring(what);
    if (kind === "key") return this.#key(what);
    if (kind === "end") return this.#ended();
    if (kind === "begin") {
      strokes.begin(chosen("sign"), this.#size, what);
      if (automatic) copies(page.current).catch(() => {}); // told when the stroke is answered
    } else if (kind === "extend") strokes.extend(what);
    else if (kind === "cancel") strokes.undo();
    return this.show();
  }

  #key(event) {
    const { width, height } = page.current;
    const step = Math.max(1, this.#size / (event.shiftKey ? 1 : 3));
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    this.#at ??= [width / 2, height / 2];
    if (moves[event.key]) {
      const within = (place, move, length) => Math.min(Math.max(place + move, 0), length);
      const to = [within(this.#at[0], moves[event.key][0], width), within(this.#at[1], moves[event.key][1], height)];
      this.#viewer.reveal(to);
      this.#ring(to);
      this.#moved = true;
      if (this.#down) this.#take("extend", to);
    } else if (event.key === " " || event.key === "Enter") {
      if (!event.repeat) this.#press();
    } else if (/^[kr]$/i.test(event.key)) {
      choose("sign", event.key.toLowerCase() === "k" ? "keep" : "remove");
      this.#ring(this.#at);
    } else if (event.key === "[" || event.key === "]") {
      $("size").value = Number($("size").value) * (event.key === "]" ? 1.25 : 0.8);
      this.#ring(this.#at);
    } else return false;
    return true;
  }

  #press() {
    this.#held = !this.#down;
    this.#moved = false;
    if (this.#down) return this.lift();
    this.#down = true;
    this.#take("begin", this.#at);
    this.#ring(this.#at);
    return say("The brush is down");
  }

  #ended() {
    this.show();
    this.offer();
    painted(page.current);
  }

  #change(how) {
    if (!page.current || page.view !== "brush") return;
    page.current.strokes[how]();
    this.#ended();
  }

  /** Show how large the brush is, and where. */
  #ring(point) {
    this.#at = point;
    const ring = $("cursor"), { x, y, scale } = this.#viewer;
    ring.hidden = false;
    ring.dataset.sign = chosen("sign");
    ring.dataset.down = this.#down;
    ring.style.width = ring.style.height = `${$("size").value}px`;
    ring.style.transform = `translate(${x + point[0] * scale}px, ${y + point[1] * scale}px) translate(-50%, -50%)`;
  }

  /** The ring follows the mouse, and stands still for keys as long as they move it. */
  #rest() {
    $("cursor").hidden = true;
    if (page.view === "brush" && page.current && $("stage").matches(":focus-visible")) this.#ring(this.#at ?? [page.current.width / 2, page.current.height / 2]);
  }

  #wire() {
    const stage = $("stage");
    stage.addEventListener("pointerleave", () => this.#rest());
    stage.addEventListener("focus", () => this.#rest());
    stage.addEventListener("blur", () => this.lift());
    stage.addEventListener("keyup", ({ key }) => {
      if (key !== " " && key !== "Enter") return;
      if (this.#held && this.#moved) this.lift();
      this.#held = false;
    });
    this.#viewer.addEventListener("moved", () => {
      if (this.#at && !$("cursor").hidden) this.#ring(this.#at);
    });
    on("current", () => (this.#at = null));
    for (const how of ["undo", "redo", "clear"]) $(how).addEventListener("click", () => this.#change(how));
    $("showstrokes").addEventListener("change", () => this.use(true));
    $("reach").addEventListener("change", () => {
      page.chain.putRetouchIn();
      page.chain.retouch.values.reach = Number($("reach").value);
      announce("steps");
      if (page.current && !page.current.strokes.empty) correct(page.current);
    });
    document.addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.target.matches("input:not([type=range],[type=radio],[type=checkbox]), textarea")) return;
      const key = event.key.toLowerCase();
      if (key === "z" && !event.shiftKey) this.#change("undo");
      else if (key === "y" || (key === "z" && event.shiftKey)) this.#change("redo");
      else return;
      event.preventDefault();
    });
  }
}
