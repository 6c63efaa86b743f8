// The queue of pictures: each with its result, its name and its state; one of them is on the stage.

import { $, make, problem } from "./elements.js";
import { announce, on, outdated, page } from "./page.js";
import { forget, Picture } from "./picture.js";
import { pump, redo } from "./work.js";

const items = new Map(); // the queue's item of each picture

async function add(files) {
  const added = [...files].map((file) => new Picture(file));
  if (!added.length) return;
  const held = document.activeElement === $("choose");
  document.body.classList.remove("empty");
  if (held) $("stage").focus(); // the button is out of sight
  page.pictures.push(...added);
  await Promise.all(added.map((picture) => picture.measure()));
  if (!page.current) select(added[0]);
  announce("pictures");
  if (page.chain) pump();
}

function select(picture) {
  page.current = picture;
  problem(picture.error ? new Error(picture.error) : null);
  if (outdated(picture)) redo([picture]);
  list();
  items.get(picture).scrollIntoView({ block: "nearest", inline: "nearest" });
  announce("current");
}

function takeOut(picture) {
  const { pictures } = page;
  const index = pictures.indexOf(picture);
  pictures.splice(index, 1);
  picture.whole?.abort();
  forget(picture.automatic);
  forget(picture.shown);
  URL.revokeObjectURL(picture.url);
  if (page.current === picture) {
    page.current = null;
    if (pictures.length) select(pictures[Math.min(index, pictures.length - 1)]);
    else document.body.classList.add("empty");
  }
  announce("pictures");
  pump();
  ($("queue").querySelector("button[aria-current]") ?? $("choose")).focus();
}

function list() {
  for (const [picture, item] of items) {
    if (page.pictures.includes(picture)) continue;
    item.remove();
    items.delete(picture);
  }
  page.pictures.forEach(update);
  redoable();
}

function redoable() {
  $("redoall").hidden = !page.pictures.some(outdated);
  $("again").hidden = page.current?.state !== "failed";
}

function update(picture) {
  if (!page.pictures.includes(picture)) return;
  if (!items.has(picture)) items.set(picture, entry(picture));
  const item = items.get(picture), button = item.firstElementChild;
  const { state, automatic, shown, name } = picture;
  const flagged = state === "done" && (shown ?? automatic).flags.length > 0;
  item.dataset.state = state;
  item.toggleAttribute("data-flagged", flagged);
  if (picture === page.current) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  const url = automatic ? (shown ?? automatic).urls.result : picture.foreign ? "" : picture.url;
  const image = button.querySelector("img");
  if (!url) image.removeAttribute("src");
  else if (image.getAttribute("src") !== url) image.src = url;
  button.querySelector(".name").textContent = name;
  button.querySelector(".state").textContent = outdated(picture) ? "older settings" : flagged ? "look at it" : state;
  button.querySelector("progress").hidden = state !== "working";
}

function entry(picture) {
  const { name } = picture;
  const parts = [make("img", { alt: "" }), make("span", { className: "name" }), make("span", { className: "state" }), make("progress", { ariaLabel: `${name}: working` })];
  const button = make("button", { type: "button" }, ...parts);
  button.addEventListener("click", () => select(picture));
  const away = make("button", { type: "button", className: "icon away", textContent: "×", ariaLabel: `Take ${name} out` });
  away.addEventListener("click", () => takeOut(picture));
  const item = make("li", {}, button, away);
  $("queue").firstElementChild.append(item);
  return item;
}

/** Let files be chosen, pasted, and dropped anywhere. */
function doors() {
  for (const button of [$("add"), $("choose")]) button.addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    add($("files").files);
    $("files").value = "";
  });
  document.addEventListener("paste", (event) => add([...event.clipboardData.files].filter(({ type }) => type.startsWith("image/"))));
  let depth = 0; // of the elements that the files are dragged over
  const dropping = (change) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    depth = change ? depth + change : 0;
    $("dropping").hidden = depth <= 0;
  };
  document.addEventListener("dragenter", dropping(1));
  document.addEventListener("dragleave", dropping(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", dropping(0), { capture: true }); // before a field takes the file for itself
  document.addEventListener("drop", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
}

export function wireQueue() {
  doors();
  on("pictures", list);
  on("picture", (picture) => (update(picture), redoable()));
  $("again").addEventListener("click", () => {
    redo([page.current]);
    $("pipeline").focus(); // the button is out of sight
  });
  $("redoall").addEventListener("click", () => {
    redo(page.pictures.filter(outdated));
    if ($("redoall").hidden) $("pipeline").focus();
  });
}
