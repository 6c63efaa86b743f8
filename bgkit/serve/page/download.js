// Results as files: one in the chosen format, or all of them in a zip.

import { $, say } from "./elements.js";
import { page } from "./page.js";
import { encode } from "./picture.js";
import { zip } from "./zip.js";

const ENDINGS = { png: "png", webp: "webp", jpeg: "jpg" };

/** Hand a file to the user. */
export function hand(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const ending = () => ENDINGS[$("format").value];
const encoded = ({ shown }) => encode(shown.layers.result.blob, $("format").value, $("jpegcolor").value);

async function downloadAll() {
  const taken = new Set(), files = [];
  for (const picture of page.pictures) {
    if (picture.state !== "done" || picture.shown.preview) continue;
    let name = `${picture.stem}.${ending()}`;
    for (let copy = 2; taken.has(name); copy++) name = `${picture.stem}-${copy}.${ending()}`;
    taken.add(name);
    files.push({ name, blob: await encoded(picture) });
  }
  hand(await zip(files), "cutouts.zip");
  say(`${files.length} of ${page.pictures.length} in the zip`);
}

export function wireDownload() {
  $("format").addEventListener("change", () => ($("jpegground").hidden = $("format").value !== "jpeg"));
  $("save1").addEventListener("click", async () => hand(await encoded(page.current), `${page.current.stem}.${ending()}`));
  $("all").addEventListener("click", downloadAll);
}
