// The page of `bgkit serve`: pictures in a queue, one of them on the stage, and a pipeline that all of them share.
//
// page.js holds what the parts share. Each part wires its own elements and imports only parts that stand before it:
// answers (asked of the server) < work < queue; pen, comparison < stage < settings, with beside and yaml; download.

import { get, onAway } from "./api.js";
import { Chain } from "./chain.js";
import { wireDownload } from "./download.js";
import { $, make, say } from "./elements.js";
import { askForKeys } from "./key.js";
import { page } from "./page.js";
import { wireQueue } from "./queue.js";
import { use, wireSettings } from "./settings.js";
import { wireStage } from "./stage.js";
import { toggleTheme } from "./theme.js";
import { pump } from "./work.js";

async function start() {
  wireQueue();
  wireStage();
  wireSettings();
  wireDownload();
  toggleTheme($("theme"));
  askForKeys();
  onAway((away) => ($("away").hidden = !away));
  let schema, models;
  try {
    const paths = ["/v1/pipelines", "/v1/stages", "/v1/schema", "/v1/models"];
    [page.rows, page.stages, schema, models] = await Promise.all(paths.map(get));
  } catch (error) {
    say(error.message);
    return;
  }
  const { rows } = page;
  page.checks = schema.properties.checks.properties;
  page.network = models.find(({ browser }) => browser);
  $("here").hidden = !page.network;
  const option = ({ name }) => make("option", { value: name, textContent: name });
  $("pipeline").replaceChildren(...rows.map(option), make("option", { value: "", textContent: "Your own", disabled: true }));
  $("other").replaceChildren(...rows.map(option));
  $("other").value = rows.some(({ name }) => name === "fast") ? "fast" : rows.at(-1).name;
  use(new Chain(rows.find(({ name }) => name === "auto") ?? rows[0], page.stages));
  document.body.classList.add("ready");
  if (page.pictures.length) pump();
}

start();
