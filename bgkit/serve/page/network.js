// The embedded network in the browser: what bgkit/models does with a picture, step by step, on ONNX Runtime's WASM.
// Resample to the network's size, one run, a closer look where the subject is small, resample to the picture's size.

const RUNTIME = "./ort/ort.wasm.bundle.min.mjs";
const SPARSE = 4, PARTS = 256; // rows read for one of the network's, parts of a pixel, as models/resampling.py has them
const FOUND = 0.5, MARGIN = 0.3, SIDE = 512; // of the closer look, as models/second_look.py has it

/** Load ONNX Runtime and the network. `card` is what the server says of it in /v1/models, `folder` where its file lies. */
export async function load(card, folder, threads = usable()) {
  const ort = await import(RUNTIME);
  ort.env.wasm.wasmPaths = { wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };
  ort.env.wasm.numThreads = threads;
  const answer = await fetch(new URL(card.file, folder));
  if (!answer.ok) throw new Error(`The network cannot be loaded: the server answers ${answer.status}.`);
  const session = await ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()), { executionProviders: ["wasm"] });
  const run = async (tensor) => {
    const input = new ort.Tensor("float32", tensor, [1, 3, ...card.fixed]);
    const output = await session.run({ [session.inputNames[0]]: input });
    return output[session.outputNames[0]].data;
  };
  return { card, run, threads };
}

/** Return how many threads WASM may use: one where the page is not isolated from other origins. */
function usable() {
  return globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
}

/** Return the probability of foreground of each pixel of an ImageData, as the stage cnn_mask gives it. */
export async function maskOf(image, network) {
  const picture = pictureOf(image);
  const mask = await look(picture, network, whole(picture));
  const found = findWindow(mask, network.card.closer);
  if (found) {
    const closer = await look(picture, network, found);
    for (let row = 0; row < found.rows; row++) {
      const start = (found.top + row) * mask.cols + found.left;
      for (let col = 0; col < found.cols; col++) {
        const weight = Math.fround(found.down[row] * found.across[col]);
        mask.values[start + col] += (closer.values[row * found.cols + col] - mask.values[start + col]) * weight;
      }
    }
  }
  return mask;
}

/** Return an ImageData as an array of RGBA bytes with its size. */
export const pictureOf = ({ data, height, width }) => ({ values: data, rows: height, cols: width, stride: 4 });

const whole = ({ rows, cols }) => ({ top: 0, left: 0, rows, cols });

/** Return the network's map of part of a picture, of that part's size. */
async function look(picture, { card, run }, part) {
  const small = await run(fill(picture, card, part));
  const map = { values: small.map((value) => Math.min(Math.max(value, 0), 1)), rows: card.fixed[0], cols: card.fixed[1], stride: 1 };
  const { rows, cols } = part;
  return { values: resample(map, whole(map), [rows, cols], 1, false), rows, cols };
}

/** Return the network's input, three planes, for part of a picture of RGBA bytes: every bit as the server's. */
export function fill(picture, { fixed, mean, deviation }, part = whole(picture)) {
  const [rows, cols] = fixed;
  const small = resample(picture, part, fixed, 3, true);
  const planes = new Float32Array(3 * rows * cols);
  const { fround } = Math, share = fround(1 / (255 * PARTS ** 2));
  for (let channel = 0; channel < 3; channel++) {
    const width = fround(deviation[channel]);
    const factor = fround(1 / width), offset = fround(-fround(mean[channel]) / width);
    for (let at = 0; at < rows * cols; at++)
      planes[channel * rows * cols + at] = fround(fround(small[3 * at + channel] * share) * factor) + offset;
  }
  return planes;
}

/** Resize part of an array, rows first and then columns: means where a side shrinks, linear where it grows.
 * `whole` weighs in 256ths, as whole numbers, and reads four rows for one where more than four are covered. */
function resample({ values, cols: width, stride }, { top, left, rows, cols }, [height, across], channels, whole) {
  const down = whole && rows > SPARSE * height ? fourRows(rows, height) : places(rows, height, whole);
  const along = places(cols, across, whole);
  const result = new Float32Array(height * across * channels);
  const line = new Float32Array(cols * channels);
  for (let row = 0; row < height; row++) {
    line.fill(0);
    for (const [source, weight] of down[row]) {
      let from = ((top + source) * width + left) * stride;
      for (let at = 0; at < line.length; from += stride) {
        for (let channel = 0; channel < channels; channel++) line[at++] += values[from + channel] * weight;
      }
    }
    let to = row * across * channels;
    for (let col = 0; col < across; col++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (const [source, weight] of along[col]) sum += line[source * channels + channel] * weight;
        result[to++] = sum;
      }
    }
  }
  return result;
}

/** For each of `many` places along a side: the [place, weight] pairs out of `from` that it is made of. */
function places(from, many, whole) {
  const part = (share, of) => (whole ? Math.floor((2 * PARTS * share + of) / (2 * of)) : share / of);
  return Array.from({ length: many }, (_, place) => {
    if (from <= many) {
      const at = Math.min(Math.max((2 * place + 1) * from - many, 0), 2 * many * (from - 1)); // in parts of a pixel
      const before = Math.floor(at / (2 * many)), after = part(at % (2 * many), 2 * many);
      return after ? [[before, part(1, 1) - after], [before + 1, after]] : [[before, part(1, 1)]];
    }
    const pairs = [], start = place * from; // in parts of a pixel, too
    for (let each = Math.floor(start / many); each * many < start + from; each++) {
      const ends = [Math.max(each * many - start, 0), Math.min((each + 1) * many - start, from)];
      pairs.push([each, part(ends[1], from) - part(ends[0], from)]);
    }
    return pairs;
  });
}

/** The same of four rows each, spread evenly over those that a place covers. */
function fourRows(from, many) {
  const step = Math.floor(from / (SPARSE * many));
  return Array.from({ length: many }, (_, place) => {
    const first = Math.floor(((2 * place + 1) * from - (SPARSE - 1) * step * many) / (2 * many));
    return Array.from({ length: SPARSE }, (_, each) => [first + each * step, PARTS / SPARSE]);
  });
}

/** Return the window around what is above one half, and its weights along both sides; null if it is more than `share`. */
function findWindow({ values, rows, cols }, share) {
  const step = Math.max(1, Math.floor(Math.max(rows, cols) / SIDE));
  let [top, left, bottom, right] = [rows, cols, -1, -1];
  for (let row = 0; row < rows; row += step) {
    for (let col = 0; col < cols; col += step) {
      if (values[row * cols + col] <= FOUND) continue;
      [top, left, bottom, right] = [Math.min(top, row), Math.min(left, col), Math.max(bottom, row), Math.max(right, col)];
    }
  }
  if (bottom < 0) return null;
  const down = side(top, Math.min(rows, bottom + step), rows), across = side(left, Math.min(cols, right + step), cols);
  if (down.weights.length * across.weights.length > share * rows * cols) return null;
  return { top: down.start, left: across.start, rows: down.weights.length, cols: across.weights.length, down: down.weights, across: across.weights };
}

/** Return where the window begins along one side, and its weights: 1 on what was found, falling to 0 over the margins. */
function side(first, last, end) {
  const margin = Math.ceil(MARGIN * (last - first));
  const start = Math.max(0, first - margin), stop = Math.min(end, last + margin);
  const weights = Float32Array.from({ length: stop - start }, (_, at) => {
    const place = start + at + 0.5;
    const before = start > 0 ? (place - start) / (first - start) : 1;
    const after = stop < end ? (stop - place) / (stop - last) : 1;
    return Math.min(1, before, after);
  });
  return { start, weights };
}
