// A second pipeline on the picture of the stage, and where the two results differ.

import { automatic, framed, lacks } from "./answers.js";
import { Chain } from "./chain.js";
import { $, chosen } from "./elements.js";
import { announce, besideIds, page } from "./page.js";
import { difference } from "./picture.js";

/** Have the other pipeline done for the picture on the stage; it is asked for once. */
export async function compare() {
  const picture = page.current, row = page.rows.find(({ name }) => name === $("other").value);
  if (!picture || !row) return;
  const key = JSON.stringify([row.name, ...besideIds()]);
  if (picture.other?.key !== key) {
    const other = (picture.other = { key, name: row.name, error: "", answer: null });
    const chain = new Chain(row, page.stages);
    other.error = lacks(chain, picture);
    if (!other.error) {
      $("differs").textContent = `${row.name} is at work`;
      try {
        other.answer = await automatic(picture, chain);
      } catch (error) {
        other.error = error.message;
      }
      if (picture.other !== other) return;
    }
  }
  announce("answer", picture);
}

/** Return what the viewer shows of both results of a picture, for the chosen way to compare. */
export async function compared(picture) {
  const { shown: answer, other } = picture;
  const mine = page.chain.name || "From YAML";
  if (!other?.answer) {
    if (other?.error) $("differs").textContent = other.error;
    return { two: { picture: answer.urls.result, alt: mine } };
  }
  const { answer: second, name } = other;
  if (second.against !== answer) {
    const { url, share } = await difference(answer.layers.alpha.blob, second.layers.alpha.blob);
    Object.assign(second, { against: answer, share });
    second.urls.difference = url;
  }
  const percent = (100 * second.share).toFixed(second.share < 0.1 ? 2 : 1);
  $("differs").textContent = `Opacity differs by more than a tenth in ${percent} % of the picture`;
  const how = chosen("how"), tags = [mine, name];
  if (how === "difference")
    return { two: { picture: second.urls.difference, alt: "Where the two differ" }, tags: [`orange: more in ${mine}`, `blue: more in ${name}`] };
  const cut = framed(answer) || framed(second);
  const [one, two] = cut ? await Promise.all([picture.cut(answer), picture.cut(second)]) : [answer.urls.result, second.urls.result];
  return { mode: how, one: { picture: one, alt: mine }, two: { picture: two, alt: name }, tags };
}
