// picture.js - one frame of a DICOM file for looking at, in halving sizes, and what a viewer offers to choose.
import { halved } from '../shared/resample.js';
import { toGray8 } from './grayscale.js';

/**
 * @typedef {import('../shared/resample.js').Level} Level
 *
 * @typedef {object} Picture
 * @property {Level[]} levels the largest first
 * @property {number} width of the frame itself, in pixels
 * @property {number} frames
 * @property {(string|null)[]} windows their names, where they have one
 * @property {import('./findings.js').Spacing|null} spacing
 */

/** Narrower levels are made in no time by whoever wants them. */
const LEAST_WIDTH = 512;

/**
 * @param {import('../dicom.js').Dicom} dicom
 * @param {import('./classifier-job.js').Choice & { maxSide?: number }} [choice] maxSide: of the largest level
 * @returns {Promise<Picture>}
 */
export async function pictureOf(dicom, { frame = 0, window, maxSide = Infinity } = {}) {
  const gray = await dicom.frame(frame, { window });
  /** @type {Level} */
  let level = { width: gray.width, height: gray.height, gray: toGray8(gray) };
  while (Math.max(level.width, level.height) > maxSide) level = halved(level);
  const levels = [level];
  while (levels[levels.length - 1].width > LEAST_WIDTH) levels.push(halved(levels[levels.length - 1]));
  return {
    levels,
    width: gray.width,
    frames: dicom.frames,
    windows: dicom.windowsOf(frame).map(({ explanation }) => explanation),
    spacing: dicom.about.spacing,
  };
}
