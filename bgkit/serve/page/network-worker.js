// A worker that runs the embedded network, so that the page answers while it computes.

import { load, maskOf } from "./network.js";

let network = null;

/** Takes {card, folder, file}; answers {result, alpha, size, seconds, threads}, or {error}. */
addEventListener("message", async ({ data: { card, folder, file } }) => {
  try {
    network ??= load(card, folder);
    const ready = await network;
    const began = performance.now();
    const image = await pixels(file);
    const decoded = performance.now();
    const mask = await maskOf(image, ready);
    const ran = performance.now();
    const answer = { ...(await pictures(image, mask)), size: [mask.rows, mask.cols], threads: ready.threads };
    const took = [decoded - began, ran - decoded, performance.now() - ran].map((each) => each / 1000);
    postMessage({ ...answer, seconds: { read: took[0], cnn_mask: took[1], write: took[2] } });
  } catch (error) {
    postMessage({ error: error.message });
  }
});

async function pixels(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("This browser cannot read this picture; the server may.");
  });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Return the picture with the mask as its opacity, times its own, and the mask in gray; both as PNG. */
async function pictures(image, mask) {
  const gray = new ImageData(mask.cols, mask.rows);
  for (let at = 0, to = 0; at < mask.values.length; at++, to += 4) {
    const opacity = Math.round(mask.values[at] * image.data[to + 3]);
    gray.data[to] = gray.data[to + 1] = gray.data[to + 2] = opacity;
    gray.data[to + 3] = 255;
    image.data[to + 3] = opacity;
  }
  const [result, alpha] = await Promise.all([image, gray].map((each) => {
    const canvas = new OffscreenCanvas(each.width, each.height);
    canvas.getContext("2d").putImageData(each, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }));
  return { result, alpha };
}
