/** Reads values from the maps of a result: pure arithmetic, for the viewer and for exports. */

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

/** Fewest cells of a group that is drawn as lung, or as a gap in one: a lung covers dozens of the map's 576, a speck a few. */
const FEWEST_CELLS = 6;

/**
 * The lungs' map for drawing: specks, groups of a few cells above the threshold, are set to 0, then holes, such groups below
 * it, to 1. The verdict's own rule takes the cells as they are, since they may be lung, or none.
 * @param {import('./resample.js').Grid} lungs
 * @param {number} threshold
 * @returns {import('./resample.js').Grid}
 */
export function smoothLungs({ width, height, values }, threshold) {
  const smooth = Array.from(values);
  for (const [isPart, other] of /** @type {const} */ ([
    [(/** @type {number} */ value) => value >= threshold, 0],
    [(/** @type {number} */ value) => value < threshold, 1],
  ]))
    for (const group of groupsOf(smooth.map(isPart), width)) if (group.length < FEWEST_CELLS) for (const at of group) smooth[at] = other;
  return { width, height, values: smooth };
}

/**
 * The cells of each group, joined by their sides.
 * @param {boolean[]} isPart row by row
 * @param {number} width
 */
function groupsOf(isPart, width) {
  const left = new Set(isPart.flatMap((is, at) => (is ? [at] : [])));
  return Array.from(left, (start) => {
    left.delete(start);
    const group = [start];
    for (const at of group) {
      // Grows while it is walked.
      const beside = [at % width > 0 ? at - 1 : -1, (at + 1) % width > 0 ? at + 1 : -1, at - width, at + width];
      group.push(...beside.filter((next) => left.delete(next)));
    }
    return group;
  });
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
  return {
    lungs: above(smoothLungs(maps.lungs, lungsThreshold), lungsThreshold),
    opacities: above(opacitiesInside(maps, lungsThreshold), opacityThreshold),
  };
}
