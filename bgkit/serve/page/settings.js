// The pipeline's settings: chosen, moved in the form, previewed, and done at full size when the hand rests.

import { automatic, lacks, small } from "./answers.js";
import { showBeside, wireBeside } from "./beside.js";
import { Chain } from "./chain.js";
import { $, chip, problem } from "./elements.js";
import { build, filter } from "./form.js";
import { besideIds, local, on, page, settings } from "./page.js";
import { forget } from "./picture.js";
import { setView, suit } from "./stage.js";
import { correct, redo, show } from "./work.js";
import { showYaml, wireYaml } from "./yaml.js";

const REST = { live: 900, set: 350 }; // milliseconds until the full size is asked for: the slider moves, or is let go

let fullTimer = 0, previewing = false, previewed = "", prepared = "";

/** Take another pipeline for all pictures. */
export function use(chain) {
  page.chain = chain;
  problem(null);
  showSteps();
  edited(false);
  suit(chain);
}

/** Another pipeline, or another step in it: form, YAML and words follow. */
function showSteps() {
  build($("form"), page.chain, page.checks, edited);
  filter($("form"), $("filter").value);
  $("about").textContent = page.chain.description;
  showValues();
  showBeside();
}

function showValues() {
  showYaml();
  $("pipeline").value = page.chain.untouched ? page.chain.name : "";
}

/** The settings have changed: preview at once, full size when the hand rests. */
function edited(live, name = "") {
  showValues();
  if (name === "retouch.reach") $("reach").value = page.chain.retouch.values.reach;
  clearTimeout(fullTimer);
  const { current } = page;
  if (!current) return; // pictures that come later are done with what is set now
  if (name.startsWith("retouch.")) {
    if (!live && !current.strokes.empty) correct(current);
    return;
  }
  if (current.automatic && current.making && current.making !== settings()) current.whole.abort(); // it would be in the way
  preview();
  fullTimer = setTimeout(() => {
    const again = page.pictures.filter((picture) => picture.state === "failed");
    if (current.settings !== settings() && current.state !== "working") again.push(current);
    redo(again);
  }, live ? REST.live : REST.set);
}

/** Whether a preview of the picture on the stage would be of use. */
const previewable = () => page.current && !local() && !previewing && !small(page.current);

async function preview() {
  const picture = page.current, made = page.chain && settings();
  const wanted = made + picture?.id;
  if (!previewable() || wanted === previewed || [picture.settings, picture.making].includes(made) || lacks(page.chain, picture)) return;
  previewing = true;
  previewed = wanted;
  try {
    chip("Preview");
    const answer = await automatic(picture, page.chain, { preview: true });
    problem(null);
    if (picture.settings !== settings()) show(picture, answer);
  } catch (error) {
    problem(error);
  }
  previewing = false;
  preview();
}

/** A hand is at the settings: the server takes the first preview's way now, and later ones begin at what has changed. */
async function prepare() {
  const picture = page.current;
  const wanted = `${page.chain?.fields().pipeline} ${besideIds()} ${picture?.id}`;
  if (!previewable() || wanted === prepared || picture.state !== "done") return;
  previewing = true;
  prepared = wanted;
  forget(await automatic(picture, page.chain, { preview: true }).catch(() => null));
  previewing = false;
  preview();
}

/** Done here or by the server: what only the server does goes out of sight, and pictures are done again. */
function elsewhere() {
  document.body.classList.toggle("local", local());
  $("where").textContent = local() ? "They stay in this browser." : "This server processes them and sends them nowhere else.";
  for (const name of ["brush", "compare"]) document.querySelector(`input[name=view][value=${name}]`).disabled = local();
  if (local() && ["brush", "compare"].includes(page.view)) setView("result");
  problem(null);
  edited(false);
}

export function wireSettings() {
  on("steps", showSteps);
  $("pipeline").addEventListener("change", () => {
    const row = page.rows.find(({ name }) => name === $("pipeline").value);
    if (row) use(new Chain(row, page.stages));
  });
  $("local").addEventListener("change", elsewhere);
  $("form").addEventListener("focusin", prepare);
  $("filter").addEventListener("input", () => filter($("form"), $("filter").value));
  wireYaml((row) => use(new Chain(row, page.stages, "")));
  wireBeside(() => {
    if (!page.chain) return;
    showBeside();
    edited(false);
  });
}
