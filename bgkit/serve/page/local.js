// Pictures done in this browser, one after the other, by a worker that holds the embedded network.

let worker = null;
let last = Promise.resolve();

/** Return what the server would answer: layers as blobs, seconds, and which network ran.
 * `model` is its row in /v1/models; its file lies in `folder`. */
export function removeHere(model, file, folder = document.baseURI) {
  const answer = last.then(() => ask(model, file, folder));
  last = answer.catch(() => {});
  return answer;
}

async function ask({ name, browser }, file, folder) {
  worker ??= new Worker(new URL("./network-worker.js", import.meta.url), { type: "module" });
  const told = await new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = () => resolve({ error: "This browser cannot run the network." });
    worker.postMessage({ card: browser, folder, file });
  });
  if (told.error) {
    worker.terminate();
    worker = null;
    throw new Error(told.error);
  }
  const layer = (blob) => ({ type: blob.type, size: told.size, blob });
  const layers = { result: layer(told.result), alpha: layer(told.alpha) };
  return { layers, seconds: told.seconds, models: [{ model: name }], findings: {}, warnings: [], flags: [], local: true };
}
