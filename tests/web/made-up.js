/** A made-up answer of the engine: two lungs, and an opacity whose place is known. */

export const CLASSES = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];
export const THRESHOLDS = { lungsThreshold: 0.5, opacityThreshold: 0.4 };

/** Lungs of a frame, as shares of it: left, top, right, bottom. */
const LUNGS = [
  [0.125, 0.125, 0.4375, 0.875],
  [0.5625, 0.125, 0.875, 0.875],
];

/**
 * @typedef {{ x: number, y: number, width: number, height: number }} Box
 *
 * @param {object} [options]
 * @param {string} [options.verdict]
 * @param {Box} [options.frame]
 * @param {number[][]} [options.cells] of the opacity map, 12 x 12: [left, top, columns, rows] of each finding
 * @param {string[]} [options.warnings]
 * @param {Record<string, any>} [options.more]
 * @returns {any}
 */
export function madeUp({
  verdict = 'covid-19',
  frame = { x: 0, y: 0, width: 1, height: 1 },
  cells = [[2, 7, 3, 2]],
  warnings = [],
  more = {},
} = {}) {
  const lungs = Float32Array.from({ length: 24 * 24 }, (_, i) => {
    const [x, y] = [((i % 24) + 0.5) / 24, (Math.floor(i / 24) + 0.5) / 24];
    return LUNGS.some(([left, top, right, bottom]) => x > left && x < right && y > top && y < bottom) ? 0.95 : 0.02;
  });
  const opacities = Float32Array.from({ length: 12 * 12 }, (_, i) =>
    cells.some(
      ([left, top, columns, rows]) =>
        i % 12 >= left && i % 12 < left + columns && Math.floor(i / 12) >= top && Math.floor(i / 12) < top + rows,
    )
      ? 0.9
      : 0.01,
  );
  return {
    schema: 'cxrlens.result/2',
    file: 'image.png',
    sha256: 'a'.repeat(64),
    image: { width: 2000, height: 1600, format: 'png' },
    frame,
    model: { id: 'cxrlens-test', version: '1.0.0', sha256: 'b'.repeat(64) },
    verdict,
    classes: CLASSES.map((id, k) => ({ id, logit: k - 1.5, probability: id === verdict ? 0.7 : 0.1 })),
    gate: { score: 0.9, threshold: 0.5, accepted: verdict !== 'not-a-chest-x-ray' },
    opacity: { score: cells.length > 0 ? 0.9 : 0.01, threshold: 0.3 },
    findings: cells.map(([left, top, columns, rows]) => ({
      side: left < 6 ? 'right' : 'left',
      zone: top < 4 ? 'upper' : top < 7 ? 'middle' : 'lower',
      strength: Math.fround(0.9),
      x: frame.x + (left / 12) * frame.width,
      y: frame.y + (top / 12) * frame.height,
      width: (columns / 12) * frame.width,
      height: (rows / 12) * frame.height,
    })),
    maps: { lungs: { width: 24, height: 24, values: lungs }, opacities: { width: 12, height: 12, values: opacities } },
    warnings,
    timings: { decode_ms: 1, preprocess_ms: 2, network_ms: 3 },
    ...more,
  };
}
