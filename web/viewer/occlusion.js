/**
 * Occlusion sensitivity (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014): how much each
 * class loses when a part of the image is blurred away, measured by reading the image again for every part. A second
 * opinion beside the findings: it asks what the verdict depends on, wherever that lies.
 */

import { enlarge } from '../shared/resample.js';

/**
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../classifier.js').Box} Box
 * @typedef {import('./image.js').Level} Level
 * @typedef {{ pixels: Uint16Array } & Omit<import('../engine/wasm.js').Gray16, 'pixels'>} Gray
 *
 * @typedef {object} OcclusionMap
 * @property {number} width
 * @property {number} height
 * @property {{ id: string, values: Float32Array }[]} classes losses in logits, less their mean over the classes, as only
 *   differences of logits count
 * @property {number} done parts that were read
 * @property {number} total
 */

/** Cells of the map each way. A part that is covered is two cells wide and moves by one. */
const CELLS = 8;
const PLACES = CELLS - 1;
/** An image of this width or up to twice as wide is as good as a larger one: the network reads 192 pixels. */
export const OCCLUSION_WIDTH = 256;
/** Side of the picture from which the cover is taken: fine enough, as it holds nothing but blur. */
const GROUND = 64;

/** As it is: black is 0, white is 255. */
const WHOLE = /** @type {const} */ ({ shape: 'linear-exact', centre: 127.5, width: 255 });

/** The parts in the order of reading: first those that tile the frame, then those between them. @type {[x: number, y: number][][]} */
const WAVES = [
  [0, 0],
  [1, 1],
  [1, 0],
  [0, 1],
].map(([left, top]) => {
  /** @type {[number, number][]} */
  const wave = [];
  for (let y = top; y < PLACES; y += 2) for (let x = left; x < PLACES; x += 2) wave.push([x, y]);
  return wave;
});

/** The test of one image: it can stop between two readings and go on later. Between two runs it keeps nothing of the image. */
export class Occlusion {
  /** What each class lost, by place. @type {(number[] | undefined)[]} */
  #losses = [];
  /** @type {Result | null} the image as it is */
  #whole = null;

  /**
   * @param {{ width: number, height: number }} image its size
   * @param {boolean} inverted whether it is a negative
   * @param {Box} frame the part that the network reads
   */
  constructor({ width, height }, inverted, frame) {
    this.inverted = inverted;
    this.left = Math.round(frame.x * width);
    this.top = Math.round(frame.y * height);
    this.width = Math.round(frame.width * width);
    this.height = Math.round(frame.height * height);
  }

  /** What is known so far; null before the first wave. @returns {OcclusionMap | null} */
  get map() {
    if (!this.#whole || WAVES[0].some(([x, y]) => !this.#losses[y * PLACES + x])) return null;
    const classes = this.#whole.classes.map(({ id }, k) => ({
      id,
      values: Float32Array.from({ length: CELLS * CELLS }, (_, cell) => this.#mean(cell % CELLS, Math.floor(cell / CELLS), k)),
    }));
    return { width: CELLS, height: CELLS, classes, done: this.#losses.filter(Boolean).length, total: PLACES * PLACES };
  }

  /**
   * Reads what has not been read yet.
   * @param {Level} image the same each time
   * @param {(image: Gray) => Promise<Result>} classify rejects when the test is to stop
   * @param {() => void} onwave the map has become finer
   */
  async run(image, classify, onwave) {
    const { width, height } = image;
    const ground = this.#blurred(image);
    const read = (/** @type {Uint16Array} */ pixels) => classify({ pixels, width, height, bits: 8, window: WHOLE, invert: this.inverted });
    const whole = this.#whole ?? read(Uint16Array.from(image.gray));
    for (const wave of WAVES) {
      const open = wave.filter(([x, y]) => !this.#losses[y * PLACES + x]);
      if (open.length === 0) continue;
      const parts = open.map(([x, y]) => read(this.#covered(image, ground, x, y)));
      const [before, ...after] = await Promise.all([whole, ...parts]);
      this.#whole = before;
      open.forEach(([x, y], i) => {
        this.#losses[y * PLACES + x] = loss(before, after[i]);
      });
      onwave();
    }
  }

  /** A cell's value: the mean over the parts that covered it, in a fixed order. @param {number} x @param {number} y @param {number} k class */
  #mean(x, y, k) {
    let sum = 0,
      count = 0;
    for (let row = Math.max(y - 1, 0); row <= Math.min(y, PLACES - 1); row++) {
      for (let column = Math.max(x - 1, 0); column <= Math.min(x, PLACES - 1); column++) {
        const lost = this.#losses[row * PLACES + column];
        if (!lost) continue;
        sum += lost[k];
        count += 1;
      }
    }
    return sum / count;
  }

  /** The frame so blurred that nothing is left of it but light and dark: means of the cells, and smooth between them. @param {Level} image */
  #blurred({ width, gray }) {
    const values = new Float64Array(CELLS * CELLS);
    const counts = new Uint32Array(CELLS * CELLS);
    for (let y = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++) {
        const cell = Math.floor((y * CELLS) / this.height) * CELLS + Math.floor((x * CELLS) / this.width);
        values[cell] += gray[(this.top + y) * width + this.left + x];
        counts[cell] += 1;
      }
    }
    return enlarge({ width: CELLS, height: CELLS, values: values.map((sum, i) => sum / Math.max(counts[i], 1)) }, GROUND);
  }

  /**
   * A copy of the image in which two by two cells are blurred.
   * @param {Level} image @param {Float32Array} ground the blur @param {number} column @param {number} row
   */
  #covered(image, ground, column, row) {
    const pixels = Uint16Array.from(image.gray);
    const edge = (/** @type {number} */ cell, /** @type {number} */ side) => Math.round((cell * side) / CELLS);
    for (let y = edge(row, this.height); y < edge(row + 2, this.height); y++) {
      const line = Math.floor((y * GROUND) / this.height) * GROUND;
      const at = (this.top + y) * image.width + this.left;
      for (let x = edge(column, this.width); x < edge(column + 2, this.width); x++) {
        pixels[at + x] = Math.min(Math.max(Math.round(ground[line + Math.floor((x * GROUND) / this.width)]), 0), 255);
      }
    }
    return pixels;
  }
}

/** What each class lost. An image that was read in another position cannot be compared. @param {Result} whole @param {Result} part */
function loss(whole, part) {
  if (part.warnings.includes('rotated') !== whole.warnings.includes('rotated')) return whole.classes.map(() => 0);
  const [before, after] = [whole, part].map(({ classes }) => {
    const mean = classes.reduce((sum, { logit }) => sum + logit, 0) / classes.length;
    return classes.map(({ logit }) => logit - mean);
  });
  return before.map((logit, k) => logit - after[k]);
}
