// What the server is asked about a picture, and what comes of the answer.

import { remove } from "./api.js";
import { removeHere } from "./local.js";
import { local, page } from "./page.js";
import { cutOut, reduced } from "./picture.js";

const PREVIEW = 300_000; // pixels of the reduced copy while a parameter moves
const QUICK = 400_000; // pixels of the copy on which strokes are answered first

const pixels = ({ width = 1, height = 1 }) => width * height;

/** Whether a preview would be no smaller than the picture itself. */
export const small = (picture) => pixels(picture) <= PREVIEW;

/** Say what a pipeline needs and the picture does not have; "" if nothing. */
export function lacks(chain, picture) {
  if (chain.needs("plate") && !page.beside.plate) return `The pipeline ${chain.name} needs the empty scene: add it in the field of this name.`;
  if (chain.needs("second") && !page.beside.second) return `The pipeline ${chain.name} needs the second shot, before another ground: add it in the field of this name.`;
  if (chain.needs("strokes") && picture.strokes.empty) return "Paint with the brush: some of the subject and some of the background.";
  return "";
}

function parts(picture, chain) {
  const { plate, second, background } = page.beside;
  const asked = { ...chain.fields(), file: picture.file, layer: picture.foreign ? "result,alpha,image" : "result,alpha" };
  if (plate && chain.takes("plate")) asked.plate = plate.file;
  if (second && chain.takes("second")) asked.second = second.file;
  if (background && chain.has("composite")) asked.background = background.file;
  return asked;
}

/** The result of a pipeline, without the corrections: at full size, or as a preview on a reduced copy. */
export async function automatic(picture, chain, { preview = false, signal } = {}) {
  if (local()) return picture.take(await removeHere(page.network, picture.file));
  const asked = parts(picture, chain);
  if (chain.needs("strokes")) asked.strokes = await picture.strokes.picture(picture.width, picture.height);
  preview &&= !small(picture);
  if (preview) asked.preview = PREVIEW;
  return { ...picture.take(await remove(asked, signal)), preview };
}

/** The automatic result corrected by the strokes, as the pipeline goes on from there. */
export async function corrected(picture, chain, signal) {
  const asked = parts(picture, chain.corrections());
  asked.alpha = picture.automatic.layers.alpha.blob;
  asked.strokes = await picture.strokes.picture(picture.width, picture.height);
  return picture.take(await remove(asked, signal));
}

/** Return the reduced copies on which strokes are answered first; made while the first stroke is still painted. */
export function copies(picture) {
  const { automatic } = picture;
  picture.small ??= reduced(picture.url, QUICK);
  automatic.small ??= reduced(automatic.urls.alpha, QUICK);
  return Promise.all([picture.small, automatic.small]);
}

/** The same at once: a reduced copy and the one step that corrects; colors, frame and findings follow. */
export async function sketched(picture, chain) {
  const began = performance.now();
  const [file, alpha] = await copies(picture);
  const strokes = await picture.strokes.picture(file.width, file.height, file.width / picture.width);
  const yaml = chain.correctionAlone().yaml();
  const answer = picture.take(await remove({ yaml, file: file.blob, alpha: alpha.blob, strokes, layer: "alpha" }));
  answer.urls.result = answer.urls.cut = await cutOut(file.canvas, answer.layers.alpha.blob);
  const layers = { ...answer.layers, result: answer.layers.alpha };
  const { findings, flags, warnings } = picture.shown ?? picture.automatic;
  return { ...answer, layers, findings, flags, warnings, preview: true, took: (performance.now() - began) / 1000 };
}

/** Whether the result has another size than the picture. */
export const framed = ({ layers }) => layers.result.size.join() !== layers.alpha.size.join();

/** Whether the result shows what is behind it, or has a background of its own. */
export const clear = (answer) =>
  answer.local ||
  (!framed(answer) && !page.beside.background && page.chain.steps.findLast(({ stage }) => stage === "composite")?.values.background === "none");
