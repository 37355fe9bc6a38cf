/** Enlarges a map of few cells to a picture, and halves a picture. */

/** @typedef {{ width: number, height: number, values: ArrayLike<number> }} Grid */

/**
 * A smooth enlargement that keeps each cell's value at its centre (Catmull-Rom, edges repeated).
 * @param {Grid} grid
 * @param {number} side
 */
export function enlarge({ width, height, values }, side) {
  const across = taps(width, side);
  const down = taps(height, side);
  const rows = new Float32Array(height * side);
  for (let y = 0; y < height; y++) combine(across, values, y * width, 1, rows, y * side, 1);
  const out = new Float32Array(side * side);
  for (let x = 0; x < side; x++) combine(down, rows, x, side, out, x, side);
  return out;
}

/** @typedef {{ index: Uint32Array, weight: Float64Array }} Taps four for each place */

/**
 * For each place of the longer axis, the four cells it draws on.
 * @param {number} from
 * @param {number} to
 * @returns {Taps}
 */
function taps(from, to) {
  const index = new Uint32Array(4 * to);
  const weight = new Float64Array(4 * to);
  for (let place = 0; place < to; place++) {
    const centre = ((place + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre) - 1;
    for (let k = 0; k < 4; k++) {
      index[4 * place + k] = Math.min(Math.max(first + k, 0), from - 1);
      weight[4 * place + k] = cubic(Math.abs(centre - first - k));
    }
  }
  return { index, weight };
}

/**
 * One line of weighted sums. The loop is plain because the page waits for it.
 * @param {Taps} taps
 * @param {ArrayLike<number>} from
 * @param {number} start of the line in `from`
 * @param {number} step from one of its cells to the next
 * @param {Float32Array} to
 * @param {number} at where the line begins in `to`
 * @param {number} stride
 */
function combine({ index, weight }, from, start, step, to, at, stride) {
  for (let tap = 0; tap < index.length; tap += 4, at += stride) {
    let total = 0;
    for (let k = tap; k < tap + 4; k++) total += weight[k] * from[start + index[k] * step];
    to[at] = total;
  }
}

/** Keys' cubic, a = -0.5. @param {number} d distance in cells */
function cubic(d) {
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

/** @typedef {{ width: number, height: number, gray: Uint8Array | Uint8ClampedArray }} Level of an image in halving sizes */

/** Each pixel the mean of four. @param {Level} level @returns {Level} */
export function halved({ width, height, gray }) {
  const w = Math.max(1, width >> 1);
  const h = Math.max(1, height >> 1);
  const out = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const at = 2 * y * width + 2 * x;
      const right = width > 1 ? 1 : 0;
      const below = height > 1 ? width : 0;
      out[y * w + x] = (gray[at] + gray[at + right] + gray[at + below] + gray[at + below + right] + 2) >> 2;
    }
  }
  return { width: w, height: h, gray: out };
}
