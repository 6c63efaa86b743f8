// The page: pictures in a queue, one of them on the stage, and a pipeline that all of them share.

import { ApiError, check, get, remove } from "./api.js";
import { Chain } from "./chain.js";
import { build, filter } from "./form.js";
import { askForKeys } from "./key.js";
import { removeHere } from "./local.js";
import { cutOut, difference, encode, forget, loaded, Picture, reduced } from "./picture.js";
import { sentences } from "./sentences.js";
import { toggleTheme } from "./theme.js";
import { Viewer } from "./viewer.js";
import { zip } from "./zip.js";

const $ = (id) => document.getElementById(id);
const PREVIEW = 300_000; // pixels of the reduced copy while a parameter moves
const QUICK = 400_000; // pixels of the copy on which strokes are answered first
const AT_ONCE = 2; // pictures at the server

const viewer = new Viewer($("stage"));
const pictures = [];
const beside = { plate: null, second: null, background: null };
let current = null;
let rows = [], stages = {}, checks = {};
let chain = null;
let network = null; // that this browser can run, as /v1/models lists it
let view = "result";
let viewBefore = ""; // to go back to, after a pipeline that begins with the brush

const besides = () => Object.values(beside).map((each) => each?.id);
const say = (text) => ($("status").textContent = text);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const local = () => $("local").checked;
const megapixels = (picture) => (picture.width ?? 1) * (picture.height ?? 1);

// --- the server --------------------------------------------------------------------------------

/** What makes a picture's automatic result: the settings without the strokes' own step. */
function settings() {
  if (local()) return "in this browser";
  const copy = chain.copy();
  copy.steps = copy.steps.filter(({ stage }) => stage !== "retouch");
  return JSON.stringify([copy.yaml(), ...besides()]);
}

function parts(picture, from) {
  const found = { ...from.fields(), file: picture.file, layer: picture.foreign ? "result,alpha,image" : "result,alpha" };
  for (const layer of ["plate", "second"]) if (beside[layer] && from.takes(layer)) found[layer] = beside[layer].file;
  if (beside.background && from.has("composite")) found.background = beside.background.file;
  return found;
}

const lacks = (from, picture) =>
  from.needs("plate") && !beside.plate
    ? `The pipeline ${from.name} needs the empty scene: add it on the right.`
    : from.needs("second") && !beside.second
      ? `The pipeline ${from.name} needs the second shot, before another ground: add it on the right.`
      : from.needs("strokes") && picture.strokes.empty
        ? "Paint with the brush: some of the subject and some of the background."
        : "";

async function automatic(picture, from, preview = 0, signal = undefined) {
  if (local()) return picture.take(await removeHere(network, picture.file));
  const asked = parts(picture, from);
  if (from.needs("strokes")) asked.strokes = await picture.strokes.picture(picture.width, picture.height);
  if (preview && megapixels(picture) > preview) asked.preview = preview;
  return { ...picture.take(await remove(asked, signal)), preview: Boolean(asked.preview) };
}

/** The automatic result corrected by the strokes, as the pipeline goes on from there. */
async function corrected(picture, signal) {
  const asked = parts(picture, chain.corrections());
  asked.alpha = picture.automatic.layers.alpha.blob;
  asked.strokes = await picture.strokes.picture(picture.width, picture.height);
  return picture.take(await remove(asked, signal));
}

/** Return the reduced copies on which strokes are answered first; made while the first stroke is still painted. */
function copies(picture) {
  const { automatic } = picture;
  picture.small ??= reduced(picture.url, QUICK);
  automatic.small ??= reduced(automatic.urls.alpha, QUICK);
  return Promise.all([picture.small, automatic.small]);
}

/** The same at once: a reduced copy and the one step that corrects; colors, frame and findings follow. */
async function sketched(picture) {
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

function show(picture, answer) {
  if (picture.shown !== picture.automatic) forget(picture.shown, picture.url);
  picture.shown = answer;
  if (picture === current) draw();
}

// --- the queue ---------------------------------------------------------------------------------

async function add(files) {
  const added = [...files].map((file) => new Picture(file));
  if (!added.length) return;
  const held = document.activeElement === $("choose");
  document.body.classList.remove("empty");
  if (held) $("stage").focus(); // the button is out of sight
  pictures.push(...added);
  await Promise.all(added.map((picture) => picture.measure()));
  if (!current) select(added[0]);
  list();
  pump();
}

function pump() {
  const working = pictures.filter(({ state }) => state === "working").length;
  const waiting = pictures.filter(({ state }) => state === "waiting");
  if (current?.state === "waiting") waiting.unshift(current);
  for (const picture of new Set(waiting)) {
    if (pictures.filter(({ state }) => state === "working").length >= AT_ONCE) break;
    work(picture);
  }
  const done = pictures.filter(({ state }) => state === "done").length;
  const failed = pictures.filter(({ state }) => state === "failed").length;
  if (pictures.length && (working || waiting.length)) say(`${done} of ${pictures.length} done`);
  else if (failed) say(`${failed} of ${pictures.length} failed`);
  else if (pictures.length) say(pictures.length === 1 ? "Done" : `All ${pictures.length} done`);
  $("all").disabled = !done;
}

/** Do a picture at full size, with the settings as they are now. */
async function work(picture) {
  const lacking = local() ? "" : lacks(chain, picture);
  picture.state = lacking ? "failed" : "working";
  picture.error = lacking;
  const made = settings();
  list(picture);
  if (picture === current) {
    draw();
    problem(lacking ? new Error(lacking) : null);
  }
  if (lacking) return;
  picture.making = made;
  picture.whole = new AbortController();
  try {
    const answer = await automatic(picture, chain, 0, picture.whole.signal);
    if (!pictures.includes(picture)) return;
    forget(picture.automatic, picture.url);
    if (picture.shown !== picture.automatic) forget(picture.shown, picture.url);
    picture.automatic = picture.shown = answer;
    picture.settings = made;
    picture.state = made === settings() ? "done" : "waiting";
    picture.error = "";
    if (!picture.strokes.empty && !chain.needs("strokes") && !local()) await correct(picture);
  } catch (error) {
    if (error.name === "AbortError") picture.state = "done"; // with older settings, until the hand rests
    else {
      picture.state = "failed";
      picture.error = error.message;
      if (picture === current) problem(error);
    }
  }
  picture.making = "";
  list(picture);
  if (picture === current) draw();
  pump();
}

/** Answer to strokes: one request at a time, the last strokes win. */
async function correct(picture) {
  if (picture.correcting) {
    picture.again = true;
    picture.whole?.abort(); // the full size of strokes that are no longer all
    return;
  }
  picture.correcting = true;
  try {
    do {
      picture.again = false;
      if (picture.strokes.empty) {
        show(picture, picture.automatic);
        break;
      }
      if (!chain.has("retouch")) {
        void chain.retouch; // puts it in
        settled();
      }
      chip("Solving around the strokes");
      const sketch = await sketched(picture);
      show(picture, sketch);
      if (picture === current) say(`Corrected in ${sketch.took.toFixed(2)} s`);
      await new Promise((resolve) => setTimeout(resolve, 250)); // another stroke may come
      if (picture.again) continue;
      picture.whole = new AbortController();
      try {
        show(picture, await corrected(picture, picture.whole.signal));
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    } while (picture.again);
    problem(null);
  } catch (error) {
    problem(error);
  }
  picture.correcting = false;
  list(picture);
  if (picture === current) draw();
}

function list(only = null) {
  const place = $("queue").firstElementChild;
  const held = document.activeElement.closest("#queue li button");
  if (only) {
    place.querySelector(`[data-id="${only.id}"]`)?.replaceWith(entry(only));
  } else place.replaceChildren(...pictures.map(entry));
  if (held) place.querySelector(`[data-id="${held.parentElement.dataset.id}"] button${held.matches(".away") ? ".away" : ""}`)?.focus();
  const sign = chain && settings();
  $("redoall").hidden = !pictures.some(({ state, settings }) => state === "done" && settings !== sign);
}

function entry(picture) {
  const item = document.createElement("li");
  item.dataset.id = picture.id;
  item.dataset.state = picture.state;
  const button = document.createElement("button");
  button.type = "button";
  if (picture === current) button.setAttribute("aria-current", "true");
  const image = document.createElement("img");
  image.alt = "";
  image.src = picture.automatic ? (picture.shown ?? picture.automatic).urls.result : picture.url;
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = picture.name;
  const state = document.createElement("span");
  state.className = "state";
  const flagged = picture.state === "done" && picture.automatic.flags.length;
  if (flagged) item.dataset.flagged = "";
  const old = picture.state === "done" && picture.settings !== settings();
  state.textContent = old ? "older settings" : flagged ? "look at it" : picture.state;
  button.append(image, name, state);
  if (picture.state === "working") button.append(Object.assign(document.createElement("progress"), { ariaLabel: `${picture.name}: working` }));
  button.addEventListener("click", () => select(picture));
  const away = document.createElement("button");
  away.type = "button";
  away.className = "icon away";
  away.textContent = "×";
  away.setAttribute("aria-label", `Take ${picture.name} out`);
  away.addEventListener("click", () => takeOut(picture));
  item.append(button, away);
  return item;
}

function takeOut(picture) {
  const index = pictures.indexOf(picture);
  pictures.splice(index, 1);
  forget(picture.automatic);
  forget(picture.shown);
  URL.revokeObjectURL(picture.url);
  if (current === picture) {
    current = null;
    if (pictures.length) select(pictures[Math.min(index, pictures.length - 1)]);
    else document.body.classList.add("empty");
  }
  list();
  pump();
  ($("queue").querySelector("button[aria-current]") ?? $("choose")).focus();
}

function select(picture) {
  current = picture;
  viewer.fitted = true;
  problem(picture.error ? new Error(picture.error) : null);
  if (picture.state === "done" && picture.settings !== settings()) {
    picture.state = "waiting";
    pump();
  }
  for (const item of $("queue").querySelectorAll("li")) {
    const button = item.firstElementChild;
    if (item.dataset.id === String(picture.id)) {
      button.setAttribute("aria-current", "true");
      item.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else button.removeAttribute("aria-current");
  }
  draw();
  if (view === "compare") compare();
}

// --- the stage ---------------------------------------------------------------------------------

const framed = (answer) => answer.layers.result.size.join() !== answer.layers.alpha.size.join();

/** Whether the result shows what is behind it, or has a background of its own. */
const clear = (answer) =>
  answer.local || (!framed(answer) && !beside.background && chain.steps.findLast(({ stage }) => stage === "composite")?.values.background === "none");

/** The picture's size with the subject alone, for views that lay it over the original. */
async function subject(picture, answer) {
  if (clear(answer)) return answer.urls.result;
  answer.urls.cut ??= await cutOut(await loaded(picture.url), answer.layers.alpha.blob);
  return answer.urls.cut;
}

function chip(text) {
  $("chip").textContent = text;
  $("chip").hidden = !text;
}

/** On a phone the settings lie below the picture: a small copy of it stays in sight. */
function peek() {
  const image = $("peek").firstElementChild;
  const url = current?.shown?.urls.result ?? (current?.foreign ? "" : current?.url);
  if ($("peek").hidden || !url) image.removeAttribute("src");
  else if (image.getAttribute("src") !== url) image.src = url;
}

async function draw() {
  const picture = current;
  if (!picture) return;
  const answer = picture.shown;
  peek();
  const alt = `${picture.name}, ${answer ? view : "as it came"}`;
  const { width = 1, height = 1, url } = picture;
  const whole = { width, height, mode: "one", one: null, two: { picture: url, alt } };
  $("brushbar").hidden = view !== "brush";
  $("comparebar").hidden = view !== "compare";
  viewer.brush = view === "brush" ? brush : null;
  viewer.canvas.hidden = view !== "brush" || !$("showstrokes").checked;
  hideCursor();
  $("stage").classList.toggle("brushing", view === "brush");
  $("keys").textContent = view === "brush" ? BRUSH_KEYS : VIEW_KEYS;
  if (!picture.foreign || answer) {
    if (!answer) viewer.show({ ...whole, tags: [] });
    else if (view === "slider") {
      const cut = await subject(picture, answer);
      if (picture !== current || view !== "slider") return;
      const two = clear(answer) || framed(answer) ? cut : answer.urls.result;
      viewer.show({ ...whole, mode: "slider", one: { picture: url, alt: "Before" }, two: { picture: two, alt: "After" }, tags: ["Before", "After"] });
    } else if (view === "alpha") viewer.show({ ...whole, two: { picture: answer.urls.alpha, alt } });
    else if (view === "brush") {
      const cut = await subject(picture, answer);
      if (picture !== current || view !== "brush") return;
      viewer.show({ ...whole, two: { picture: cut, ghost: url, alt } });
      strokes();
    } else if (view === "compare") drawComparison(picture, whole);
    else {
      const [rows, cols] = framed(answer) ? answer.layers.result.size : [height, width];
      viewer.show({ ...whole, width: cols, height: rows, two: { picture: answer.urls.result, alt } });
    }
  }
  const busy = picture.correcting ? "Solving around the strokes" : picture.state === "working" ? "Working" : "";
  chip(busy || (answer?.preview ? "Preview" : ""));
  tell(picture);
  $("save1").disabled = !answer || answer.preview || picture.state === "working";
  undoable();
}

function tell(picture) {
  const place = $("findings");
  place.replaceChildren();
  const answer = picture.shown;
  const { flagged, fine } = sentences(answer ?? {});
  if (picture.error) flagged.unshift(picture.error);
  const lines = (texts) => texts.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  if (flagged.length) {
    const bad = Object.assign(document.createElement("ul"), { className: "flagged" });
    bad.append(...lines(flagged));
    place.append(bad);
  }
  if (fine.length) {
    const part = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = fine.length === 1 ? "1 check passed" : `${fine.length} checks passed`;
    const good = document.createElement("ul");
    good.append(...lines(fine));
    part.append(summary, good);
    place.append(part);
  }
  if (!answer || answer.preview) return;
  const [rows, cols] = answer.layers.result.size;
  const seconds = Object.values(answer.seconds).reduce((sum, each) => sum + each, 0);
  const facts = Object.assign(document.createElement("p"), { className: "facts" });
  facts.textContent = `${cols} × ${rows} pixels, ${seconds.toFixed(2)} s${answer.models.length ? `, network ${answer.models.map(({ model }) => model).join(", ")}` : ""}`;
  place.append(facts);
}

// --- the brush ---------------------------------------------------------------------------------

const pen = { at: null, down: false, held: false, moved: false };
const VIEW_KEYS = "Plus and minus zoom, 0 fits, arrow keys move the picture.";
const BRUSH_KEYS =
  "Arrow keys move the brush, Space paints: held, or pressed to begin and to end. K keeps, R removes, brackets change the size, Control Z undoes. Plus and minus zoom.";

const size = () => Number($("size").value) / viewer.scale;

function strokes() {
  const scale = Math.min(1, 2048 / Math.max(current.width, current.height));
  const [width, height] = [current.width, current.height].map((length) => Math.max(1, Math.round(length * scale)));
  if (viewer.canvas.width !== width || viewer.canvas.height !== height) Object.assign(viewer.canvas, { width, height });
  current.strokes.show(viewer.canvas, scale);
}

function cursor(point) {
  pen.at = point;
  const ring = $("cursor");
  ring.hidden = false;
  ring.dataset.sign = chosen("sign");
  ring.dataset.down = pen.down;
  ring.style.width = ring.style.height = `${$("size").value}px`;
  ring.style.transform = `translate(${viewer.x + point[0] * viewer.scale}px, ${viewer.y + point[1] * viewer.scale}px) translate(-50%, -50%)`;
}

/** The ring follows the mouse, and stands still for keys as long as they move it. */
function hideCursor() {
  $("cursor").hidden = true;
  if (view === "brush" && $("stage").matches(":focus-visible")) cursor(pen.at ?? [current.width / 2, current.height / 2]);
}

/** Offer what can be undone; the focus does not stay on a button that is out of use. */
function undoable() {
  const { empty, undone } = current.strokes;
  const held = document.activeElement;
  $("undo").disabled = $("clear").disabled = empty;
  $("redo").disabled = !undone.length;
  if (held.disabled && $("brushbar").contains(held)) $(empty ? "redo" : "undo").focus();
}

function ended() {
  const picture = current;
  strokes();
  undoable();
  if (chain.needs("strokes")) {
    picture.state = "waiting";
    pump();
  } else if (picture.automatic && picture.state === "done") correct(picture);
}

/** What the viewer asks of the brush; returns true for keys that were the brush's. */
function brush(kind, what) {
  const { strokes: drawn } = current;
  if (kind === "begin") {
    drawn.begin(chosen("sign"), size(), what);
    if (current.automatic) copies(current).catch(() => {}); // told when the stroke is answered
  } else if (kind === "extend") drawn.extend(what);
  else if (kind === "cancel") drawn.undo();
  else if (kind === "end") return ended();
  else if (kind === "hover") return cursor(what);
  else return brushKey(what);
  return strokes();
}

function brushKey(event) {
  const step = Math.max(1, size() / (event.shiftKey ? 1 : 3));
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  pen.at ??= [current.width / 2, current.height / 2];
  if (moves[event.key]) {
    const to = [pen.at[0] + moves[event.key][0], pen.at[1] + moves[event.key][1]];
    const held = ([x, y]) => [Math.min(Math.max(x, 0), current.width), Math.min(Math.max(y, 0), current.height)];
    viewer.reveal(held(to));
    cursor(held(to));
    pen.moved = true;
    if (pen.down) brush("extend", pen.at);
  } else if (event.key === " " || event.key === "Enter") {
    if (event.repeat) return true;
    Object.assign(pen, { held: !pen.down, moved: false });
    if (pen.down) lift();
    else {
      pen.down = true;
      brush("begin", pen.at);
      cursor(pen.at);
      say("The brush is down");
    }
  } else if (/^[kr]$/i.test(event.key)) {
    document.querySelector(`input[name=sign][value=${event.key.toLowerCase() === "k" ? "keep" : "remove"}]`).checked = true;
    cursor(pen.at);
  } else if (event.key === "[" || event.key === "]") {
    $("size").value = Number($("size").value) * (event.key === "]" ? 1.25 : 0.8);
    cursor(pen.at);
  } else return false;
  return true;
}

/** End the stroke that keys have begun. */
function lift() {
  if (!pen.down) return;
  pen.down = false;
  ended();
  cursor(pen.at);
  say("The brush is up");
}

function change(how) {
  if (!current || view !== "brush") return;
  current.strokes[how]();
  ended();
}

// --- comparing ---------------------------------------------------------------------------------

async function compare() {
  const picture = current, row = rows.find(({ name }) => name === $("other").value);
  if (!picture || !row) return;
  const key = JSON.stringify([row.name, ...besides()]);
  if (picture.other?.key !== key) {
    picture.other = { key, name: row.name };
    const other = new Chain(row, stages);
    const lacking = lacks(other, picture);
    if (lacking) picture.other.error = lacking;
    else {
      $("differs").textContent = `${row.name} is at work`;
      try {
        const answer = await automatic(picture, other);
        if (picture.other.key !== key) return;
        picture.other.answer = answer;
      } catch (error) {
        picture.other.error = error.message;
      }
    }
  }
  if (picture === current) draw();
}

async function drawComparison(picture, whole) {
  const answer = picture.shown, { answer: other, error, name } = picture.other ?? {};
  if (!other) {
    if (error) $("differs").textContent = error;
    viewer.show({ ...whole, two: { picture: answer.urls.result, alt: chain.name } });
    return;
  }
  if (other.against !== answer) {
    other.against = answer;
    const { url, share } = await difference(answer.layers.alpha.blob, other.layers.alpha.blob);
    Object.assign(other, { share });
    other.urls.difference = url;
  }
  if (picture !== current || view !== "compare") return;
  const percent = (100 * other.share).toFixed(other.share < 0.1 ? 2 : 1);
  $("differs").textContent = `Opacity differs by more than a tenth in ${percent} % of the picture`;
  const how = chosen("how"), tags = [chain.name || "From YAML", name];
  if (how === "difference") {
    viewer.show({ ...whole, two: { picture: other.urls.difference, alt: "Where the two differ" }, tags: [`orange: more in ${tags[0]}`, `blue: more in ${tags[1]}`] });
    return;
  }
  const plain = framed(answer) || framed(other);
  const [one, two] = plain ? await Promise.all([cut(picture, answer), cut(picture, other)]) : [answer.urls.result, other.urls.result];
  if (picture !== current || view !== "compare") return;
  viewer.show({ ...whole, mode: how, one: { picture: one, alt: tags[0] }, two: { picture: two, alt: tags[1] }, tags });
}

const cut = async (picture, answer) => (answer.urls.cut ??= await cutOut(await loaded(picture.url), answer.layers.alpha.blob));

// --- settings ----------------------------------------------------------------------------------

function problem(error) {
  const place = $("problem");
  place.hidden = !error;
  place.textContent = error?.message ?? "";
  for (const row of $("form").querySelectorAll(".param")) {
    const own = row.querySelector(".error");
    const named = Boolean(error) && row.dataset.name && error.message.includes(`${row.dataset.name}:`);
    if (named) {
      own.hidden = false;
      own.textContent = error.message;
    } else if (own && !row.querySelector("[aria-invalid=true]")) own.hidden = true;
  }
}

let fullTimer = 0, previewing = false, previewed = "", prepared = "";

/** The settings have changed: preview at once, full size when the hand rests. */
function edited(live, name = "") {
  if (!$("yaml").matches(":focus")) $("yaml").value = chain.yaml();
  $("yamlproblem").hidden = true;
  $("pipeline").value = chain.untouched ? chain.name : "";
  if (name === "retouch.reach") $("reach").value = chain.retouch.values.reach;
  clearTimeout(fullTimer);
  if (name.startsWith("retouch.")) {
    if (!live && current && !current.strokes.empty) correct(current);
    return;
  }
  if (current?.automatic && current.making && current.making !== settings()) current.whole.abort(); // it would be in the way
  preview();
  fullTimer = setTimeout(() => {
    for (const picture of pictures) if (picture.state === "failed") picture.state = "waiting";
    if (current && current.settings !== settings() && current.state !== "working") current.state = "waiting";
    list();
    pump();
  }, live ? 900 : 350);
}

async function preview() {
  const picture = current;
  const wanted = settings() + picture?.id;
  if (!picture || [picture.settings, picture.making].includes(settings()) || local() || previewing || wanted === previewed || megapixels(picture) <= PREVIEW || lacks(chain, picture)) return;
  previewing = true;
  previewed = wanted;
  try {
    chip("Preview");
    const answer = await automatic(picture, chain, PREVIEW);
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
  const picture = current;
  const wanted = `${chain?.fields().pipeline} ${besides()} ${picture?.id}`;
  if (wanted === prepared || picture?.state !== "done" || local() || previewing || megapixels(picture) <= PREVIEW) return;
  previewing = true;
  prepared = wanted;
  forget(await automatic(picture, chain, PREVIEW).catch(() => null));
  previewing = false;
  preview();
}

/** Another chain, or another step in it: form, YAML and words follow. */
function settled() {
  build($("form"), chain, checks, edited);
  filter($("form"), $("filter").value);
  if (!$("yaml").matches(":focus")) $("yaml").value = chain.yaml();
  $("about").textContent = chain.description;
  $("pipeline").value = chain.untouched ? chain.name : "";
  const taken = { plate: chain.takes("plate"), second: chain.takes("second"), background: chain.has("composite") };
  $("second").hidden = !taken.second && !beside.second; // few pipelines take one
  for (const [name, used] of Object.entries(taken)) {
    $(name).classList.toggle("unused", !used);
    const prompts = { plate: "Without the subject: drop it or", second: "Before another ground: drop it or", background: "To put behind: drop it or" };
    $(name).querySelector(".well-text").textContent = beside[name] ? beside[name].file.name : used ? prompts[name] : "This pipeline makes no use of it.";
  }
}

/** Done here or by the server: what only the server does goes out of sight, and pictures are done again. */
function elsewhere() {
  document.body.classList.toggle("local", local());
  $("where").textContent = local() ? "They stay in this browser." : "This server processes them and sends them nowhere else.";
  for (const name of ["brush", "compare"]) document.querySelector(`input[name=view][value=${name}]`).disabled = local();
  if (local() && ["brush", "compare"].includes(view)) setView("result");
  problem(null);
  edited(false);
}

function use(next) {
  chain = next;
  problem(null);
  settled();
  edited(false);
  if (chain.needs("strokes")) {
    if (view !== "brush") viewBefore = view;
    setView("brush");
  } else if (viewBefore) {
    setView(viewBefore); // keys that go through the list have only passed the pipeline of strokes
    viewBefore = "";
  }
}

let yamlTimer = 0;

function yamlEdited() {
  clearTimeout(yamlTimer);
  yamlTimer = setTimeout(async () => {
    const text = $("yaml").value;
    try {
      const row = await check(text);
      if (text !== $("yaml").value) return;
      $("yamlproblem").hidden = true;
      use(new Chain(row, stages, ""));
    } catch (error) {
      if (text === $("yaml").value) yamlWrong(error);
    }
  }, 400);
}

function yamlWrong(error) {
  const place = $("yamlproblem");
  place.hidden = false;
  place.replaceChildren();
  if (error.line) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "link" });
    button.textContent = `Line ${error.line}, column ${error.column}`;
    button.addEventListener("click", () => {
      const lines = $("yaml").value.split("\n");
      const at = lines.slice(0, error.line - 1).reduce((sum, line) => sum + line.length + 1, 0) + error.column - 1;
      $("yaml").focus();
      $("yaml").setSelectionRange(at, at + Math.max(1, lines[error.line - 1].slice(error.column - 1).search(/[\s,:}\]]|$/)));
    });
    place.append(button, `: ${error.message.replace(/^[^:\s]+:\d+:\d+: /, "")}`);
  } else place.textContent = error.message;
}

function besideWell(name) {
  const well = $(name), input = well.querySelector("input"), image = well.querySelector("img"), away = well.querySelector(".drop-it");
  let count = 0;
  const link = well.querySelector(".link");
  const set = (file) => {
    const held = [link, away].includes(document.activeElement);
    if (beside[name]) URL.revokeObjectURL(image.src);
    beside[name] = file ? { file, id: ++count } : null;
    image.hidden = away.hidden = !file;
    link.hidden = Boolean(file);
    if (held) (file ? away : link).focus();
    if (file) image.src = URL.createObjectURL(file);
    else image.removeAttribute("src");
    if (chain) {
      settled();
      edited(false);
    }
  };
  link.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files[0]) set(input.files[0]);
    input.value = "";
  });
  away.addEventListener("click", () => set(null));
  well.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    dropping(false);
    if (event.dataTransfer.files[0]) set(event.dataTransfer.files[0]);
  });
}

// --- downloads ---------------------------------------------------------------------------------

function hand(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const ending = () => ({ png: "png", webp: "webp", jpeg: "jpg" })[$("format").value];
const encoded = (picture) => encode(picture.shown.layers.result.blob, $("format").value, $("jpegcolor").value);

async function downloadAll() {
  const taken = new Set(), files = [];
  for (const picture of pictures) {
    if (picture.state !== "done" || picture.shown.preview) continue;
    let name = `${picture.stem}.${ending()}`;
    for (let copy = 2; taken.has(name); copy++) name = `${picture.stem}-${copy}.${ending()}`;
    taken.add(name);
    files.push({ name, blob: await encoded(picture) });
  }
  hand(await zip(files), "cutouts.zip");
  say(`${files.length} of ${pictures.length} in the zip`);
}

// --- hands and keys ----------------------------------------------------------------------------

function setView(name) {
  lift();
  view = name;
  document.querySelector(`input[name=view][value=${name}]`).checked = true;
  draw();
  if (name === "compare") compare();
}

function dropping(on) {
  $("dropping").hidden = !on;
}

function wire() {
  for (const button of [$("add"), $("choose")]) button.addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", () => {
    add($("files").files);
    $("files").value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter(({ type }) => type.startsWith("image/"));
    if (files.length) add(files);
  });
  let depth = 0;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) dropping(++depth > 0);
  });
  document.addEventListener("dragleave", (event) => {
    if (holdsFiles(event)) dropping(--depth > 0);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    dropping(false);
    if (event.dataTransfer.files.length) add(event.dataTransfer.files);
  });
  for (const name of ["plate", "second", "background"]) besideWell(name);

  $("views").addEventListener("change", () => {
    viewBefore = "";
    setView(chosen("view"));
  });
  const ground = () => {
    $("stage").dataset.ground = chosen("ground");
    $("stage").style.setProperty("--ground", $("groundcolor").value);
    document.documentElement.style.setProperty("--chosen", $("groundcolor").value);
  };
  $("grounds").addEventListener("input", (event) => {
    if (event.target === $("groundcolor")) document.querySelector("input[name=ground][value=color]").checked = true;
    ground();
  });
  ground();
  $("in").addEventListener("click", () => viewer.zoom(1.4));
  $("out").addEventListener("click", () => viewer.zoom(1 / 1.4));
  $("fit").addEventListener("click", () => viewer.fit());
  viewer.addEventListener("moved", () => {
    $("percent").textContent = `${Math.round(100 * viewer.scale)} %`;
    if (pen.at && !$("cursor").hidden) cursor(pen.at);
  });
  new IntersectionObserver(([{ isIntersecting }]) => {
    $("peek").hidden = isIntersecting;
    peek();
  }).observe($("stage"));
  $("peek").addEventListener("click", () => {
    $("bar").scrollIntoView();
    $("stage").focus({ preventScroll: true });
  });
  $("stage").addEventListener("pointerleave", hideCursor);
  $("stage").addEventListener("focus", () => current && hideCursor());
  $("stage").addEventListener("keyup", ({ key }) => {
    if (key !== " " && key !== "Enter") return;
    if (pen.held && pen.moved) lift();
    pen.held = false;
  });
  $("stage").addEventListener("blur", lift);
  $("showstrokes").addEventListener("change", draw);
  for (const how of ["undo", "redo", "clear"]) $(how).addEventListener("click", () => change(how));
  $("reach").addEventListener("change", () => {
    chain.retouch.values.reach = Number($("reach").value);
    settled();
    if (current && !current.strokes.empty) correct(current);
  });
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.target.matches("input:not([type=range],[type=radio],[type=checkbox]), textarea")) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) change("undo");
    else if (key === "y" || (key === "z" && event.shiftKey)) change("redo");
    else return;
    event.preventDefault();
  });
  $("other").addEventListener("change", compare);
  $("comparebar").addEventListener("change", (event) => event.target.name === "how" && draw());

  $("pipeline").addEventListener("change", () => {
    const row = rows.find(({ name }) => name === $("pipeline").value);
    if (row) use(new Chain(row, stages));
  });
  $("local").addEventListener("change", elsewhere);
  $("redoall").addEventListener("click", () => {
    for (const picture of pictures) if (picture.state === "done" && picture.settings !== settings()) picture.state = "waiting";
    list();
    pump();
    if ($("redoall").hidden) $("pipeline").focus();
  });
  $("form").addEventListener("focusin", prepare);
  $("filter").addEventListener("input", () => filter($("form"), $("filter").value));
  $("yaml").addEventListener("input", yamlEdited);
  // A browser brings only the cursor into sight.
  $("yaml").addEventListener("focus", () => $("yaml").scrollIntoView({ block: "nearest" }));
  $("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText($("yaml").value);
    say("Copied");
  });
  $("save").addEventListener("click", () => hand(new Blob([$("yaml").value], { type: "text/yaml" }), `${chain.name || "pipeline"}.yaml`));
  $("openyaml").addEventListener("click", () => $("yamlfile").click());
  $("yamlfile").addEventListener("change", async () => {
    $("yaml").value = await $("yamlfile").files[0].text();
    $("yamlfile").value = "";
    yamlEdited();
  });
  $("format").addEventListener("change", () => ($("jpegground").hidden = $("format").value !== "jpeg"));
  $("save1").addEventListener("click", async () => hand(await encoded(current), `${current.stem}.${ending()}`));
  $("all").addEventListener("click", downloadAll);
  toggleTheme($("theme"));
}

askForKeys();

async function start() {
  wire();
  let schema, models;
  try {
    const paths = ["/v1/pipelines", "/v1/stages", "/v1/schema", "/v1/models"];
    [rows, stages, schema, models] = await Promise.all(paths.map(get));
  } catch (error) {
    say(error instanceof ApiError ? error.message : "The server does not answer.");
    return;
  }
  checks = schema.properties.checks.properties;
  network = models.find(({ browser }) => browser);
  $("here").hidden = !network;
  const option = ({ name }) => Object.assign(document.createElement("option"), { value: name, textContent: name });
  $("pipeline").replaceChildren(...rows.map(option), Object.assign(document.createElement("option"), { value: "", textContent: "Your own", disabled: true }));
  $("other").replaceChildren(...rows.map(option));
  const first = rows.find(({ name }) => name === "auto") ?? rows[0];
  $("other").value = rows.some(({ name }) => name === "fast") ? "fast" : rows.at(-1).name;
  chain = new Chain(first, stages);
  settled();
  document.body.classList.add("ready");
  if (pictures.length) pump();
}

start();
