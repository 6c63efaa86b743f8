// Form controls made from the stages' schemas: range, unit and help text come from the stage itself.

import { same } from "./chain.js";
import { make } from "./elements.js";

const plain = (text) => text.replace(/:[a-z]+:`~?([^`]+)`/g, "$1").replaceAll("`", "");
const spoken = (word) => word.replaceAll("_", " ");
let number = 0;

/** Fill `root` with the controls of a chain; `change()` is called after each edit, `live` is true while dragging. */
export function build(root, chain, checks, change) {
  const open = new Set([...root.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  const parts = chain.steps.map((step, index) => stagePart(chain, step, index, change));
  parts.push(checksPart(chain, checks, change));
  for (const part of parts) part.open = open.has(part.dataset.key);
  root.replaceChildren(...parts);
}

/** Show only what has every word of `text` in its name or help. */
export function filter(root, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const part of root.querySelectorAll("details")) {
    let any = false;
    for (const field of part.querySelectorAll(".param")) {
      const content = `${part.dataset.key} ${field.dataset.text}`.toLowerCase();
      field.hidden = !words.every((word) => content.includes(word));
      any ||= !field.hidden;
    }
    part.hidden = words.length > 0 && !any;
    if (words.length) part.open = any;
  }
}

function stagePart(chain, step, index, change) {
  const info = chain.stages[step.stage];
  const part = make("details", { className: "stage" });
  part.dataset.key = `${step.stage}#${index}`;
  const mark = make("span", { className: "changed", textContent: "changed" });
  const original = chain.row.stages[index]?.stage === step.stage ? chain.row.stages[index].values : null;
  const note = () => (mark.hidden = !original || same(original, step.values));
  part.append(make("summary", {}, make("span", { textContent: spoken(step.stage) }), mark));
  part.append(make("p", { className: "help", textContent: plain(info.summary) }));
  for (const [word, schema] of Object.entries(info.parameters.properties)) {
    const set = (value, live) => {
      step.values[word] = value;
      note();
      change(live, `${step.stage}.${word}`);
    };
    part.append(field(`${step.stage}.${word}`, spoken(word), schema, step.values[word], set, original?.[word]));
  }
  note();
  return part;
}

function checksPart(chain, checks, change) {
  const part = make("details", { className: "stage" });
  part.dataset.key = "checks";
  part.append(make("summary", {}, make("span", { textContent: "checks" })));
  part.append(make("p", { className: "help", textContent: "a threshold for each finding to report. Empty: not looked at." }));
  for (const [name, schema] of Object.entries(checks)) {
    const id = `c${number++}`;
    const input = make("input", { type: "number", id, step: "any", value: chain.checks[name] ?? "" });
    if (schema.minimum !== undefined) input.min = schema.minimum;
    if (schema.maximum !== undefined) input.max = schema.maximum;
    const error = make("p", { className: "error", hidden: true });
    input.addEventListener("change", () => {
      if (!valid(input, error)) return;
      if (input.value === "") delete chain.checks[name];
      else chain.checks[name] = Number(input.value);
      change(false, `checks.${name}`);
    });
    const row = make("div", { className: "param" }, make("label", { htmlFor: id, textContent: spoken(name) }));
    row.append(make("div", { className: "control" }, input), help(id, input, schema.description), error);
    row.dataset.text = `${name} ${schema.description}`;
    part.append(row);
  }
  return part;
}

function field(name, label, schema, value, set, original) {
  const id = `p${number++}`;
  const row = make("div", { className: "param" });
  row.dataset.name = name;
  row.dataset.text = `${label} ${schema.description}`;
  const error = make("p", { className: "error", hidden: true });
  const control = make("div", { className: "control" });
  const inputs = controls(id, label, schema, value, error, (given, live) => {
    reset.hidden = original === undefined || same(given, original);
    set(given, live);
  });
  control.append(...inputs);
  if (schema.unit && schema.unit.length <= 8 && !/^(of|per mille)/.test(schema.unit)) control.append(make("span", { className: "unit", textContent: schema.unit }));
  const reset = make("button", { type: "button", className: "icon reset", textContent: "↺", title: "As it was" });
  reset.setAttribute("aria-label", `${label}: as it was`);
  reset.hidden = original === undefined || same(value, original);
  reset.addEventListener("click", () => {
    const renewed = field(name, label, schema, original, set, original);
    row.replaceWith(renewed);
    renewed.querySelector("input, select").focus(); // the arrow is gone
    set(original, false);
  });
  const text = [schema.description, schema.expected && `Expected: ${schema.expected}.`].filter(Boolean).join(" ");
  const caption = make("label", { htmlFor: id, textContent: label });
  row.append(caption, reset, control, help(id, inputs[inputs.length - 1], text), error);
  return row;
}

function help(id, input, text) {
  input.setAttribute("aria-describedby", `${id}h`);
  return make("p", { className: "help", id: `${id}h`, textContent: plain(text) });
}

/** Return the inputs for a value; the last one bears the id. */
function controls(id, label, schema, value, error, set) {
  if (schema.enum) {
    const select = make("select", { id });
    schema.enum.forEach((each) => select.append(make("option", { value: String(each), textContent: String(each) })));
    select.value = String(value);
    select.addEventListener("change", () => set(schema.enum[select.selectedIndex], false));
    return [select];
  }
  if (schema.type === "boolean") {
    const box = make("input", { type: "checkbox", id, checked: value, className: "switch" });
    box.addEventListener("change", () => set(box.checked, false));
    return [box];
  }
  if (schema.type === "number" || schema.type === "integer") return numbers(id, label, schema, value, error, set);
  const list = schema.type === "array";
  const text = make("input", { type: "text", id, value: list ? value.join(", ") : value, autocomplete: "off", spellcheck: false });
  const item = schema.items?.type;
  const read = () => {
    if (!list) return text.value.trim();
    const words = text.value.split(",").map((word) => word.trim()).filter(Boolean);
    return item === "number" || item === "integer" ? words.map(Number) : words;
  };
  text.addEventListener("change", () => set(read(), false));
  const words = schema.examples ?? (/\bcolor\b/.test(schema.expected ?? "") ? ["none", "white", "black", "#f4f4f2"] : []);
  if (words.length) {
    const choices = make("datalist", { id: `${id}l` }, ...words.map((word) => make("option", { value: word })));
    text.setAttribute("list", choices.id);
    return [choices, text];
  }
  return [text];
}

/** A number with a slider over its usual range; a wide range of positive numbers slides by powers of ten. */
function numbers(id, label, schema, value, error, set) {
  const whole = schema.type === "integer";
  const input = make("input", { type: "number", id, value, step: whole ? 1 : "any" });
  if (schema.minimum !== undefined) input.min = schema.minimum;
  if (schema.maximum !== undefined) input.max = schema.maximum;
  const [low, high] = schema.ui ?? [schema.minimum, schema.maximum];
  if (low === undefined || high === undefined) {
    input.addEventListener("change", () => valid(input, error) && set(Number(input.value), false));
    return [input];
  }
  const wide = low > 0 && high / low >= 1000;
  const to = (shown) => (wide ? Math.log10(Math.max(shown, low)) : shown);
  const from = (place) => (wide ? Number((10 ** place).toPrecision(2)) : place);
  const [first, last] = [to(low), to(high)];
  const step = whole && !wide ? 1 : nice((last - first) / 200);
  const slider = make("input", { type: "range", min: first, max: last, step, value: to(value) });
  slider.setAttribute("aria-label", `${label}, slider`);
  const slide = (live) => {
    const shown = from(Number(slider.value));
    input.value = whole ? Math.round(shown) : Number(shown.toPrecision(6));
    if (valid(input, error)) set(Number(input.value), live);
  };
  slider.addEventListener("input", () => slide(true));
  slider.addEventListener("change", () => slide(false));
  input.addEventListener("change", () => {
    if (!valid(input, error)) return;
    slider.value = to(Number(input.value));
    set(Number(input.value), false);
  });
  return [slider, input];
}

const nice = (step) => {
  const power = 10 ** Math.floor(Math.log10(step));
  return Number((power * [1, 2, 5, 10].find((each) => each * power >= step)).toPrecision(3));
};

function valid(input, error) {
  const ok = input.checkValidity() && (input.value !== "" || !input.validity.badInput);
  error.hidden = ok;
  input.setAttribute("aria-invalid", String(!ok));
  if (!ok) error.textContent = `Expected ${input.min || "any"} to ${input.max || "any"}, got ${input.value || "no number"}.`;
  return ok;
}
