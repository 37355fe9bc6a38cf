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
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < side; x++) rows[y * side + x] = sum(across[x], (i) => values[y * width + i]);
  }
  const out = new Float32Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) out[y * side + x] = sum(down[y], (i) => rows[i * side + x]);
  }
  return out;
}

/** @typedef {{ index: number, weight: number }} Tap */

/**
 * For each place of the longer axis, the four cells it draws on.
 * @param {number} from
 * @param {number} to
 * @returns {Tap[][]}
 */
function taps(from, to) {
  return Array.from({ length: to }, (_, place) => {
    const centre = ((place + 0.5) * from) / to - 0.5;
    const first = Math.floor(centre) - 1;
    return [0, 1, 2, 3].map((k) => ({
      index: Math.min(Math.max(first + k, 0), from - 1),
      weight: cubic(Math.abs(centre - first - k)),
    }));
  });
}

/** Keys' cubic, a = -0.5. @param {number} d distance in cells */
function cubic(d) {
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

/**
 * @param {readonly Tap[]} row
 * @param {(index: number) => number} at
 */
function sum(row, at) {
  let total = 0;
  for (const { index, weight } of row) total += weight * at(index);
  return total;
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
