// What lies beside every picture: the empty scene, a second shot, a background; each in a field of its own.

import { $ } from "./elements.js";
import { page } from "./page.js";

const PROMPTS = { plate: "Without the subject: drop it or", second: "Before another ground: drop it or", background: "To put behind: drop it or" };

/** Say in each field what it is for, what it holds, or that the pipeline makes no use of it. */
export function showBeside() {
  const { chain, beside } = page;
  const taken = { plate: chain.takes("plate"), second: chain.takes("second"), background: chain.has("composite") };
  $("second").hidden = !taken.second && !beside.second; // few pipelines take one
  for (const [name, prompt] of Object.entries(PROMPTS)) {
    $(name).classList.toggle("unused", !taken[name]);
    $(name).querySelector(".well-text").textContent = beside[name]?.file.name ?? (taken[name] ? prompt : "This pipeline makes no use of it.");
  }
}

/** Call `changed` when something is laid beside the pictures or taken away. */
export function wireBeside(changed) {
  for (const name of Object.keys(PROMPTS)) field(name, changed);
}

function field(name, changed) {
  const well = $(name), { beside } = page;
  const [input, image, away, link] = ["input", "img", ".drop-it", ".link"].map((selector) => well.querySelector(selector));
  let count = 0;
  const set = (file) => {
    const held = [link, away].includes(document.activeElement);
    if (beside[name]) URL.revokeObjectURL(image.src);
    beside[name] = file ? { file, id: ++count } : null;
    image.hidden = away.hidden = !file;
    link.hidden = Boolean(file);
    if (held) (file ? away : link).focus();
    if (file) image.src = URL.createObjectURL(file);
    else image.removeAttribute("src");
    changed();
  };
  link.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files[0]) set(input.files[0]);
    input.value = "";
  });
  away.addEventListener("click", () => set(null));
  well.addEventListener("drop", (event) => {
    event.preventDefault(); // the file is no picture of the queue
    if (event.dataTransfer.files[0]) set(event.dataTransfer.files[0]);
  });
}
