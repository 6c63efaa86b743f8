// The stage: one picture in the chosen view, with what is behind it, zoom, and the small copy on a phone.

import { clear, framed } from "./answers.js";
import { compare, compared } from "./comparison.js";
import { $, chip, choose, chosen } from "./elements.js";
import { showFindings } from "./findings.js";
import { on, page } from "./page.js";
import { BRUSH_KEYS, Pen } from "./pen.js";
import { Viewer } from "./viewer.js";

const VIEW_KEYS = "Plus and minus zoom, 0 fits, arrow keys move the picture.";

const viewer = new Viewer($("stage"));
const pen = new Pen(viewer);
let viewBefore = ""; // to go back to, after a pipeline that begins with the brush

/** Show the picture in another view. */
export function setView(name) {
  pen.lift();
  page.view = name;
  choose("view", name);
  draw();
  if (name === "compare") compare();
}

/** Open the brush for a pipeline that begins with strokes, and go back for the next that does not. */
export function suit(chain) {
  if (chain.needs("strokes")) {
    if (page.view !== "brush") viewBefore = page.view;
    setView("brush");
  } else if (viewBefore) {
    setView(viewBefore); // keys that go through the list have only passed the pipeline of strokes
    viewBefore = "";
  }
}

/** Each view: what the viewer shows of a picture and its answer. */
const VIEWS = {
  result: ({ width, height }, answer) => {
    const [rows, cols] = framed(answer) ? answer.layers.result.size : [height, width];
    return { width: cols, height: rows, two: { picture: answer.urls.result } };
  },
  slider: async (picture, answer) => {
    const two = clear(answer) || !framed(answer) ? answer.urls.result : await picture.cut(answer);
    return { mode: "slider", one: { picture: picture.url, alt: "Before" }, two: { picture: two, alt: "After" }, tags: ["Before", "After"] };
  },
  alpha: (_, answer) => ({ two: { picture: answer.urls.alpha } }),
  brush: async (picture, answer) => ({
    two: { picture: clear(answer) ? answer.urls.result : await picture.cut(answer), ghost: picture.url },
  }),
  compare: compared,
};

async function draw() {
  const { current: picture, view } = page;
  if (!picture) return;
  const { shown: answer, width = 1, height = 1, url } = picture;
  peek();
  pen.use(view === "brush");
  $("comparebar").hidden = view !== "compare";
  $("keys").textContent = view === "brush" ? BRUSH_KEYS : VIEW_KEYS;
  const original = picture.foreign ? null : { picture: url, alt: `${picture.name}, as it came` };
  const shown = answer ? await VIEWS[view](picture, answer) : { two: original };
  if (picture !== page.current || view !== page.view || answer !== picture.shown) return; // the hand was quicker
  if (answer) shown.two.alt ??= `${picture.name}, ${view}`;
  viewer.show({ width, height, mode: "one", one: null, ...shown });
  if (view === "brush" && !$("two").hidden) pen.show();
  const busy = picture.correcting ? "Solving around the strokes" : picture.state === "working" ? "Working" : "";
  chip(busy || (answer?.preview ? "Preview" : ""));
  showFindings(picture);
  $("save1").disabled = !answer || answer.preview || picture.state === "working";
  pen.offer();
}

/** On a phone the settings lie below the picture: a small copy of it stays in sight. */
function peek() {
  const image = $("peek").firstElementChild, { current } = page;
  const url = current?.shown?.urls.result ?? (current?.foreign ? "" : current?.url);
  if ($("peek").hidden || !url) image.removeAttribute("src");
  else if (image.getAttribute("src") !== url) image.src = url;
}

function ground() {
  $("stage").dataset.ground = chosen("ground");
  $("stage").style.setProperty("--ground", $("groundcolor").value);
  document.documentElement.style.setProperty("--chosen", $("groundcolor").value);
}

export function wireStage() {
  const ifCurrent = (picture) => picture === page.current && draw();
  on("picture", ifCurrent);
  on("answer", ifCurrent);
  on("current", () => {
    viewer.fitted = true;
    draw();
    if (page.view === "compare") compare();
  });
  $("views").addEventListener("change", () => {
    viewBefore = "";
    setView(chosen("view"));
  });
  $("grounds").addEventListener("input", (event) => {
    if (event.target === $("groundcolor")) choose("ground", "color");
    ground();
  });
  ground();
  $("in").addEventListener("click", () => viewer.zoom(1.4));
  $("out").addEventListener("click", () => viewer.zoom(1 / 1.4));
  $("fit").addEventListener("click", () => viewer.fit());
  viewer.addEventListener("moved", () => ($("percent").textContent = `${Math.round(100 * viewer.scale)} %`));
  $("other").addEventListener("change", compare);
  $("comparebar").addEventListener("change", (event) => event.target.name === "how" && draw());
  new IntersectionObserver(([{ isIntersecting }]) => {
    $("peek").hidden = isIntersecting;
    peek();
  }).observe($("stage"));
  $("peek").addEventListener("click", () => {
    $("bar").scrollIntoView();
    $("stage").focus({ preventScroll: true });
  });
}
