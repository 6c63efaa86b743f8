// Elements of the document: found, made, and those in which the page speaks.

export const $ = (id) => document.getElementById(id);

/** Return the value that is chosen of radio buttons of one name; `choose` sets it. */
export const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

export const choose = (name, value) => (document.querySelector(`input[name=${name}][value=${value}]`).checked = true);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Say how it stands, in the page's head; screen readers read it aloud. */
export const say = (text) => ($("status").textContent = text);

/** Say on the stage what is at work, or with "" that nothing is. */
export function chip(text) {
  $("chip").textContent = text;
  $("chip").hidden = !text;
}

/** Show an error above the settings, and at the control that it names; null takes it away. */
export function problem(error) {
  const text = error?.message ?? "";
  $("problem").hidden = !text;
  $("problem").textContent = text;
  for (const row of $("form").querySelectorAll(".param")) {
    const own = row.querySelector(".error");
    if (text && row.dataset.name && text.includes(`${row.dataset.name}:`)) Object.assign(own, { hidden: false, textContent: text });
    else if (!row.querySelector("[aria-invalid=true]")) own.hidden = true;
  }
}
