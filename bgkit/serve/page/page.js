// What the parts of the page share: the pictures, their pipeline, what lies beside them, and word of a change.

import { $ } from "./elements.js";

export const page = {
  pictures: [], // the queue
  current: null, // the picture on the stage
  view: "result", // result, slider, alpha, brush, compare
  chain: null, // the pipeline of all pictures
  beside: { plate: null, second: null, background: null }, // {file, id} that lie beside every picture
  rows: [], // pipelines, as /v1/pipelines lists them
  stages: {}, // as /v1/stages lists them
  checks: {}, // the schema of the thresholds for findings
  network: null, // that this browser can run, as /v1/models lists it
};

const news = new EventTarget();

/** Call `act` with what is announced: "pictures" (some came or went), "picture" (one's state or result is another),
 * "answer" (something else is shown of one), "current" (the stage has another one), "steps" (the pipeline has others). */
export const on = (kind, act) => news.addEventListener(kind, ({ detail }) => act(detail));
export const announce = (kind, detail) => news.dispatchEvent(new CustomEvent(kind, { detail }));

/** Whether pictures are done in this browser. */
export const local = () => $("local").checked;

export const besideIds = () => Object.values(page.beside).map((each) => each?.id);

/** What makes a picture's automatic result, as text: the pipeline without the strokes' own step, and what lies beside. */
export function settings() {
  if (local()) return "in this browser";
  const copy = page.chain.copy();
  copy.steps = copy.steps.filter(({ stage }) => stage !== "retouch");
  return JSON.stringify([copy.yaml(), ...besideIds()]);
}

/** Whether a picture's result was made with other settings than those on the screen. */
export const outdated = (picture) => picture.state === "done" && picture.settings !== settings();
