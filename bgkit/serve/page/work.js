// The work on pictures: two at a time at full size, then the strokes on each as they come.

import { automatic, corrected, lacks, sketched } from "./answers.js";
import { $, chip, problem, say } from "./elements.js";
import { announce, local, page, settings } from "./page.js";
import { forget } from "./picture.js";

const AT_ONCE = 2; // pictures at the server
const PAUSE = 250; // milliseconds in which another stroke may come

const inState = (state) => page.pictures.filter((picture) => picture.state === state);

/** Begin as many of the waiting pictures as may be at work, the one on the stage first. */
export function pump() {
  const waiting = inState("waiting").sort((one, other) => (other === page.current) - (one === page.current));
  for (const picture of waiting) {
    if (inState("working").length >= AT_ONCE) break;
    work(picture);
  }
  const all = page.pictures.length;
  const [done, failed] = [inState("done").length, inState("failed").length];
  $("all").disabled = !done;
  if (!all) return;
  if (done + failed < all) say(`${done} of ${all} done`);
  else if (failed) say(`${failed} of ${all} failed`);
  else say(all === 1 ? "Done" : `All ${all} done`);
}

/** Do pictures again with the settings and strokes as they are now, also those at work. */
export function redo(pictures) {
  for (const picture of pictures) {
    picture.anew = picture.state === "working";
    if (picture.anew) picture.whole.abort();
    else picture.state = "waiting";
  }
  announce("pictures");
  pump();
}

/** Do a picture at full size, with the settings as they are now. */
async function work(picture) {
  const lacking = local() ? "" : lacks(page.chain, picture);
  picture.state = lacking ? "failed" : "working";
  picture.error = lacking;
  const made = settings();
  announce("picture", picture);
  if (picture === page.current) problem(lacking ? new Error(lacking) : null);
  if (lacking) return;
  picture.making = made;
  picture.anew = false;
  picture.whole = new AbortController();
  try {
    const answer = await automatic(picture, page.chain, { signal: picture.whole.signal });
    if (!page.pictures.includes(picture)) return;
    forget(picture.automatic, picture.url);
    if (picture.shown !== picture.automatic) forget(picture.shown, picture.url);
    picture.automatic = picture.shown = answer;
    picture.settings = made;
    picture.state = picture.anew || made !== settings() ? "waiting" : "done";
  } catch (error) {
    if (picture.anew) picture.state = "waiting";
    else if (error.name === "AbortError") picture.state = "done"; // with older settings, until the hand rests
    else {
      picture.state = "failed";
      picture.error = error.message;
      if (picture === page.current) problem(error);
    }
  }
  picture.making = "";
  announce("picture", picture);
  pump();
  const answered = picture.state === "done" && picture.settings === made;
  if (answered && !picture.strokes.empty && !page.chain.needs("strokes") && !local()) correct(picture);
}

/** Show another answer for a picture. */
export function show(picture, answer) {
  if (picture.shown !== picture.automatic) forget(picture.shown, picture.url);
  picture.shown = answer;
  announce("answer", picture);
}

/** Answer to strokes: one request at a time, the last strokes win. */
export async function correct(picture) {
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
      const { chain } = page;
      if (chain.needs("strokes")) break; // such a pipeline has been chosen meanwhile: it does the picture by itself
      if (chain.putRetouchIn()) announce("steps");
      chip("Solving around the strokes");
      const sketch = await sketched(picture, chain);
      show(picture, sketch);
      if (picture === page.current) say(`Corrected in ${sketch.took.toFixed(2)} s`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      picture.again ||= page.chain !== chain;
      if (picture.again) continue;
      picture.whole = new AbortController();
      try {
        show(picture, await corrected(picture, chain, picture.whole.signal));
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    } while (picture.again);
    problem(null);
  } catch (error) {
    problem(error);
  }
  picture.correcting = false;
  announce("picture", picture);
}

/** The strokes on a picture have changed. */
export function painted(picture) {
  if (page.chain.needs("strokes")) redo([picture]);
  else if (picture.automatic && picture.state === "done") correct(picture);
}
