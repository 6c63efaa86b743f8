// The operator's wall: what comes of a watched folder, as the server sends it; what asks for a look comes first.

import { events, get, request } from "./api.js";
import { $, make } from "./elements.js";
import { askForKeys } from "./key.js";
import { sentence } from "./sentences.js";
import { toggleTheme } from "./theme.js";

const KEPT = 200; // pictures on the wall
const CHARTS = { scale: "Scale", ground: "Ground level", filled: "Frame filled" };
const series = Object.fromEntries(Object.keys(CHARTS).map((name) => [name, []]));
let last = 0; // number of the newest picture
let began = ""; // when the watch began that counts them

function shot(arrival) {
  const item = make("li");
  const frame = make("div", { className: "frame" });
  if (arrival.thumbnail) {
    const image = make("img", { alt: `Result of ${arrival.name}` });
    frame.append(image);
    request(arrival.thumbnail, {}, (answer) => answer.blob())
      .then((blob) => (image.src = URL.createObjectURL(blob)))
      .catch(() => image.remove());
  } else {
    frame.classList.add("none");
    frame.append("no result");
  }
  const time = new Date(arrival.time).toLocaleTimeString();
  item.append(frame, make("h3", { textContent: arrival.name, title: arrival.name }));
  const why = Object.entries(arrival.findings).filter(([, { flagged }]) => flagged).map(([name, each]) => sentence(name, each));
  if (arrival.status === "failed") why.unshift(arrival.error);
  if (why.length) item.append(make("ul", { className: "why" }, ...why.map((text) => make("li", { textContent: text }))));
  item.append(make("p", { textContent: `${time}, ${arrival.seconds.toFixed(1)} s` }));
  return item;
}

function arrived(arrival) {
  if (arrival.number <= last) return;
  last = arrival.number;
  const bad = arrival.status === "failed" || arrival.flags.length > 0;
  const place = $(bad ? "flagged" : "fine");
  place.prepend(shot(arrival));
  while (place.children.length > KEPT) {
    const old = place.lastElementChild;
    URL.revokeObjectURL(old.querySelector("img")?.src ?? "");
    old.remove();
  }
  for (const name of Object.keys(CHARTS)) {
    const value = arrival.series[name];
    if (value !== undefined) series[name] = [...series[name], { value, bad, name: arrival.name }].slice(-KEPT);
  }
  $("nothing").hidden = true;
  for (const each of ["flagged", "fine"]) {
    const count = $(each).children.length;
    $(`${each}title`).parentElement.hidden = count === 0;
    $(`${each}title`).querySelector(".count").textContent = count;
  }
  charts();
}

function stands(now) {
  $("folder").textContent = `${now.folder} → ${now.output}, pipeline ${now.pipeline}`;
  $("trouble").hidden = !now.trouble;
  $("trouble").textContent = now.trouble;
  const figures = { Done: now.counts.done, "To look at": now.counts.flagged, Failed: now.counts.failed, Waiting: now.waiting };
  $("counts").replaceChildren(
    ...Object.entries(figures).map(([name, value]) => {
      const bad = value > 0 && (name === "To look at" || name === "Failed");
      return make("div", { className: bad ? "bad" : "" }, make("dt", { textContent: name }), make("dd", { textContent: value }));
    }),
  );
}

/** A line of the last values of each series about their median, what was flagged as dots. */
function charts() {
  const drawn = Object.entries(series).filter(([, values]) => values.length > 1).map(([name, values]) => chart(CHARTS[name], values));
  $("charts").replaceChildren(...drawn);
}

function chart(title, values) {
  const numbers = values.map(({ value }) => value).toSorted((a, b) => a - b);
  const [low, high, median] = [numbers[0], numbers.at(-1), numbers[numbers.length >> 1]];
  const span = Math.max(high - low, 0.02 * Math.abs(median), 1e-6);
  const x = (index) => (100 * index) / (values.length - 1);
  const y = (value) => 38 - (32 * (value - (low + high) / 2)) / span - 16;
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const figure = (value) => Number(value.toPrecision(3));
  const picture = svg("svg", { viewBox: "0 0 100 46", preserveAspectRatio: "none", role: "img", "aria-label": `${title} of the last ${values.length} pictures: ${figure(low)} to ${figure(high)}, median ${figure(median)}` });
  picture.append(svg("line", { x1: 0, x2: 100, y1: y(median), y2: y(median) }));
  picture.append(svg("polyline", { points: values.map(({ value }, index) => `${x(index)},${y(value)}`).join(" ") }));
  values.forEach(({ value, bad, name }, index) => {
    if (!bad) return;
    const dot = svg("path", { d: `M${x(index)} ${y(value)}h0` });
    dot.append(svg("title", {}));
    dot.firstChild.textContent = `${name}: ${figure(value)}`;
    picture.append(dot);
  });
  const caption = make("figcaption", {}, make("span", { textContent: title }), make("b", { textContent: `${figure(median)} (${figure(low)} to ${figure(high)})` }));
  return make("figure", { className: "chart" }, caption, picture);
}

function link(state, text) {
  $("link").dataset.state = state;
  $("link").textContent = text;
}

async function listen() {
  for (;;) {
    try {
      const now = await get("/v1/watch");
      if (now.began !== began) [began, last] = [now.began, 0]; // a watch that was started again counts from 1
      await events("/v1/watch/events", (kind, arrival) => {
        link("live", "Live");
        if (kind === "picture") arrived(arrival);
        else if (kind === "stand") stands(arrival);
      }, last);
    } catch (error) {
      if (error.status === 404) {
        link("lost", "No folder is watched");
        $("nothing").textContent = error.message;
        return;
      }
    }
    link("lost", "No connection; trying again");
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

toggleTheme($("theme"));
askForKeys();
for (const each of ["flagged", "fine"]) $(`${each}title`).parentElement.hidden = true;
listen();
