/** What the maps of a result say of a place: pure arithmetic, for the viewer and for exports. */

import { enlarge } from './resample.js';

/**
 * @typedef {import('../classifier.js').Maps} Maps
 * @typedef {{ lungsThreshold: number, opacityThreshold: number }} Thresholds as the model's info names them
 */

/**
 * Cells of the opacity map that count as inside the lungs: those that cover lung, and their neighbours (src/network/evidence.c).
 * @param {Maps} maps
 * @param {number} threshold
 * @returns {boolean[]} row by row
 */
export function insideLungs({ lungs, opacities: { width, height } }, threshold) {
  const lung = (/** @type {number} */ x, /** @type {number} */ y) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return false;
    const at = 2 * y * lungs.width + 2 * x;
    const { values } = lungs;
    return (values[at] + values[at + 1] + values[at + lungs.width] + values[at + lungs.width + 1]) / 4 >= threshold;
  };
  return Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return lung(x, y) || lung(x - 1, y) || lung(x + 1, y) || lung(x, y - 1) || lung(x, y + 1);
  });
}

/** The opacity map with nothing outside the lungs. @param {Maps} maps @param {number} threshold of the lungs */
export function opacitiesInside(maps, threshold) {
  const inside = insideLungs(maps, threshold);
  const { width, height, values } = maps.opacities;
  return { width, height, values: values.map((value, i) => (inside[i] ? value : 0)) };
}

/**
 * Which pixels of the frame, scaled to `side` each way, are lung, and which are part of a finding.
 * @param {Maps} maps
 * @param {Thresholds} thresholds
 * @param {number} side
 * @returns {{ lungs: boolean[], opacities: boolean[] }}
 */
export function masksOf(maps, { lungsThreshold, opacityThreshold }, side) {
  const above = (/** @type {import('./resample.js').Grid} */ grid, /** @type {number} */ threshold) =>
    Array.from(enlarge(grid, side), (value) => value >= threshold);
  return { lungs: above(maps.lungs, lungsThreshold), opacities: above(opacitiesInside(maps, lungsThreshold), opacityThreshold) };
}
