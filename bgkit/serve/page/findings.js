// What was found of the picture on the stage: sentences below it, what asks for a look first.

import { $, make } from "./elements.js";
import { sentences } from "./sentences.js";

export function showFindings({ shown: answer, error }) {
  const { flagged, fine } = sentences(answer ?? {});
  if (error) flagged.unshift(error);
  const list = (texts, className) => make("ul", { className }, ...texts.map((textContent) => make("li", { textContent })));
  const parts = [];
  if (flagged.length) parts.push(list(flagged, "flagged"));
  if (fine.length) {
    const summary = make("summary", { textContent: fine.length === 1 ? "1 check passed" : `${fine.length} checks passed` });
    parts.push(make("details", {}, summary, list(fine, "")));
  }
  if (answer && !answer.preview) parts.push(make("p", { className: "facts", textContent: facts(answer) }));
  $("findings").replaceChildren(...parts);
}

function facts({ layers, seconds, models }) {
  const [rows, cols] = layers.result.size;
  const took = Object.values(seconds).reduce((sum, each) => sum + each, 0);
  const networks = models.length ? `, network ${models.map(({ model }) => model).join(", ")}` : "";
  return `${cols} × ${rows} pixels, ${took.toFixed(2)} s${networks}`;
}
