// One picture of the queue: its file, what came of it, and its strokes.

import { blobOf, Strokes } from "./brush.js";

let count = 0;

export class Picture {
  constructor(file) {
    this.id = ++count;
    this.file = file;
    this.name = file.name && file.name !== "image.png" ? file.name : `pasted-${count}.png`;
    this.url = URL.createObjectURL(file);
    this.state = "waiting"; // waiting, working, done, failed
    this.strokes = new Strokes();
    this.automatic = null; // the result before any stroke; its alpha is what strokes correct
    this.shown = null; // the last result, with strokes or as a preview
    this.settings = ""; // that made `automatic`
    this.making = ""; // settings that are at work at full size; `whole` can abort it
    this.anew = false; // whether what is at work must be done once more
    this.error = "";
  }

  /** Find out the picture's size, or that the browser cannot show it. */
  async measure() {
    const image = new Image();
    image.src = this.url;
    try {
      await image.decode();
      [this.width, this.height] = [image.naturalWidth, image.naturalHeight];
    } catch {
      this.foreign = true; // TIFF, HEIC: the server shows it
    }
  }

  /** Take an answer of the server in. */
  take(answer) {
    const urls = Object.fromEntries(Object.entries(answer.layers).map(([name, { blob }]) => [name, URL.createObjectURL(blob)]));
    if (this.foreign && urls.image) {
      this.url = urls.image;
      [this.height, this.width] = answer.layers.image.size;
    }
    return { ...answer, urls };
  }

  /** Return the address of the picture's size with the subject alone, for views that lay it over the original. */
  async cut(answer) {
    answer.urls.cut ??= await cutOut(await loaded(this.url), answer.layers.alpha.blob);
    return answer.urls.cut;
  }

  get stem() {
    return this.name.replace(/\.[^.]+$/, "");
  }
}

/** Free an answer's pictures once nothing shows them. */
export function forget(answer, kept) {
  if (!answer) return;
  for (const url of Object.values(answer.urls)) if (url !== kept) URL.revokeObjectURL(url);
}

/** Return a copy of at most so many pixels, on a canvas and as a PNG, with its size. */
export async function reduced(url, pixels) {
  const image = await loaded(url);
  const { naturalWidth: cols, naturalHeight: rows } = image;
  const scale = Math.min(1, Math.sqrt(pixels / (cols * rows)));
  const [width, height] = [cols, rows].map((length) => Math.max(1, Math.floor(length * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return { blob: await blobOf(canvas, "image/png"), canvas, width, height };
}

/** Return the image at an address, ready to be drawn. */
async function loaded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** Return a result in a format: PNG as the server wrote it, WebP with its opacity, JPEG on a color. */
export async function encode(blob, format, color) {
  if (format === "png") return blob;
  const bitmap = await createImageBitmap(blob);
  const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d");
  if (format === "jpeg") {
    context.fillStyle = color;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.drawImage(bitmap, 0, 0);
  return blobOf(canvas, `image/${format}`, 0.92);
}

/** Return where two alphas differ, as a picture's address, and the share of pixels that differ by more than a tenth. */
export async function difference(one, other) {
  const bitmaps = await Promise.all([createImageBitmap(one), createImageBitmap(other)]);
  const scale = Math.min(1, 2048 / Math.max(bitmaps[0].width, bitmaps[0].height));
  const [width, height] = [bitmaps[0].width, bitmaps[0].height].map((length) => Math.max(1, Math.round(length * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [first, second] = bitmaps.map((bitmap) => {
    context.drawImage(bitmap, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  });
  let differing = 0;
  for (let at = 0; at < first.data.length; at += 4) {
    const [a, b] = [first.data[at], second.data[at]];
    const apart = Math.abs(a - b);
    const gray = 40 + ((a + b) / 2) * 0.3;
    differing += apart > 25.5;
    // Orange: more of it in the first; blue: more of it in the second.
    const [red, green, blue] = a > b ? [255, 140, 40] : [70, 150, 255];
    const share = apart / 255;
    first.data[at] = gray + (red - gray) * share;
    first.data[at + 1] = gray + (green - gray) * share;
    first.data[at + 2] = gray + (blue - gray) * share;
    first.data[at + 3] = 255;
  }
  context.putImageData(first, 0, 0);
  return { url: URL.createObjectURL(await blobOf(canvas, "image/png")), share: differing / (width * height) };
}

/** Return a picture, drawn or loaded, with alpha as its opacity. */
export async function cutOut(image, alpha) {
  const mask = await createImageBitmap(alpha);
  const canvas = Object.assign(document.createElement("canvas"), { width: mask.width, height: mask.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0);
  const opacity = context.getImageData(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = opacity.data[at - 3];
  context.putImageData(pixels, 0, 0);
  return URL.createObjectURL(await blobOf(canvas, "image/png"));
}
