// pictures.js - small generated radiographs, and what the reader makes of them.
import { openDicom, toGray8 } from './module.js';
import { dicomFile, radiograph } from './write.js';

export const width = 48;
export const height = 40;
export const ramp = Uint16Array.from({ length: width * height }, (_, i) => (i * 13) % 4096);
export const bytes = Uint8Array.from({ length: width * height }, (_, i) => (i * 7) % 256);

/** @param {Record<string, any>} [more] @param {object} [image] @param {object} [file] */
export const deep = (more = {}, image = {}, file = {}) =>
  dicomFile(radiograph({ width, height, bits: 12, pixels: ramp, ...image }, more), file);
/** @param {Record<string, any>} [more] @param {object} [image] @param {object} [file] */
export const shallow = (more = {}, image = {}, file = {}) => dicomFile(radiograph({ width, height, pixels: bytes, ...image }, more), file);

/** @param {Uint8Array} file @param {number} [frame] @param {object} [options] */
export async function shades(file, frame, options) {
  return toGray8(await (await openDicom(file)).frame(frame, options));
}

export const windowed = (/** @type {number} */ centre, /** @type {number} */ span) => ({
  '00281050': ['DS', String(centre)],
  '00281051': ['DS', String(span)],
});
