/**
 * The cover test: how much each class's figure loses when one part of the film is blurred away, measured by reading the
 * film anew for every part. The activation map says in which cells the sum was made, and each of those sees the whole film;
 * this asks what the answer depends on. (Occlusion sensitivity: Zeiler and Fergus, "Visualizing and Understanding
 * Convolutional Networks", 2014.)
 */

import { enlarge } from '../shared/resample.js';

/**
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('./image.js').Level} Level
 * @typedef {{ pixels: Uint16Array } & Omit<import('../engine/wasm.js').Gray16, 'pixels'>} Gray
 * @typedef {{ width: number, height: number, classes: { id: string, values: Float32Array }[] }} CoverMap in logits, less
 *   their mean over the classes, as only their differences count
 */

/** Parts each way. What is covered is twice as wide, lest something fall between two. */
const PARTS = 8;
/** A film of this width or up to twice as wide is as good as a larger one: the network reads 192 pixels. */
export const COVER_WIDTH = 256;
/** Side of the picture from which the cover is taken: fine enough, as it holds nothing but blur. */
const GROUND = 64;

/** As it is: black is 0, white is 255. */
const WHOLE = /** @type {const} */ ({ shape: 'linear-exact', centre: 127.5, width: 255 });

/**
 * @param {(image: Gray) => Promise<Result>} classify
 * @param {Level} film
 * @param {boolean} inverted whether it is a negative
 * @returns {Promise<CoverMap>}
 */
export async function coverTest(classify, film, inverted) {
  const { width, height } = film;
  const read = (/** @type {Uint16Array} */ pixels) => classify({ pixels, width, height, bits: 8, window: WHOLE, invert: inverted });
  const whole = await read(Uint16Array.from(film.gray));
  const ground = groundOf(film);
  /** @type {number[][]} */
  const losses = [];
  for (let y = 0; y < PARTS; y++) {
    // A row at a time: enough for all workers, and few copies of the film.
    const row = Array.from({ length: PARTS }, (_, x) => read(covered(film, ground, x, y)));
    for (const result of await Promise.all(row)) losses.push(loss(whole, result));
  }
  const classes = whole.classes.map(({ id }, k) => ({ id, values: Float32Array.from(losses, (each) => each[k]) }));
  return { width: PARTS, height: PARTS, classes };
}

/** What each class lost. A film that was read in another position cannot be compared. @param {Result} whole @param {Result} part */
function loss(whole, part) {
  if (part.warnings.includes('rotated')) return whole.classes.map(() => 0);
  const [before, after] = [whole, part].map(({ classes }) => {
    const mean = classes.reduce((sum, { logit }) => sum + logit, 0) / classes.length;
    return classes.map(({ logit }) => logit - mean);
  });
  return before.map((logit, k) => logit - after[k]);
}

/** The film so blurred that nothing is left of it but light and dark: means of the parts, and smooth between them. @param {Level} film */
function groundOf({ width, height, gray }) {
  const values = new Float64Array(PARTS * PARTS);
  const counts = new Uint32Array(PARTS * PARTS);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const part = Math.floor((y * PARTS) / height) * PARTS + Math.floor((x * PARTS) / width);
      values[part] += gray[at];
      counts[part] += 1;
    }
  }
  return enlarge({ width: PARTS, height: PARTS, values: values.map((sum, i) => sum / Math.max(counts[i], 1)) }, GROUND);
}

/**
 * A copy of the film with one part, and half of each neighbour, taken from the ground.
 * @param {Level} film
 * @param {Float32Array} ground
 * @param {number} column of the part
 * @param {number} row
 */
function covered({ width, height, gray }, ground, column, row) {
  const pixels = Uint16Array.from(gray);
  const span = (/** @type {number} */ part, /** @type {number} */ length) =>
    [part - 0.5, part + 1.5].map((at) => Math.min(Math.max(Math.round((at * length) / PARTS), 0), length));
  const [left, right] = span(column, width);
  const [top, bottom] = span(row, height);
  for (let y = top; y < bottom; y++) {
    const line = Math.floor((y * GROUND) / height) * GROUND;
    for (let x = left; x < right; x++) {
      pixels[y * width + x] = Math.min(Math.max(Math.round(ground[line + Math.floor((x * GROUND) / width)]), 0), 255);
    }
  }
  return pixels;
}
