// module.js - the reader as it ships, from build/web (or the folder CXR_WEB), small generated radiographs for it, and the
// case files beside the repository.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { dicomFile, radiograph } from './write.js';

/** @type {URL} ends in '/' */
export const web = process.env.CXR_WEB
  ? pathToFileURL(`${resolve(process.env.CXR_WEB)}/`)
  : new URL('../../../build/web/', import.meta.url);

/**
 * @typedef {object} Reader
 * @property {(bytes: Uint8Array|ArrayBuffer, options?: { maxBytes?: number }) => Promise<any>} openDicom
 * @property {(request: any) => Promise<any>} answer
 * @property {(gray: any) => Uint8ClampedArray} toGray8
 * @property {(bytes: Uint8Array) => boolean} looksLikeDicom
 */

/** @type {Reader} */
export const { answer, openDicom, toGray8, looksLikeDicom } = await import(new URL('dicom.js', web).href);

/**
 * The code that opening and rendering a file ends with.
 * @param {Uint8Array} bytes
 * @returns {Promise<{ code: string, message: string }|null>} null: it opens
 */
export async function refusal(bytes) {
  try {
    const dicom = await openDicom(bytes);
    for (let i = 0; i < Math.min(dicom.frames, 4); i++) toGray8(await dicom.frame(i));
    return null;
  } catch (error) {
    const { name, code, message } = /** @type {any} */ (error);
    if (name !== 'DicomError') throw error;
    return { code, message };
  }
}

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

/** @param {number} centre @param {number} span @returns {Record<string, import('./write.js').Element>} */
export const windowed = (centre, span) => ({
  '00281050': ['DS', String(centre)],
  '00281051': ['DS', String(span)],
});

/** The ways in which a data set may be written. @type {[string, import('./write.js').FileOptions][]} */
export const WAYS = [
  ['explicit', {}],
  ['implicit', { implicit: true, syntax: '1.2.840.10008.1.2' }],
  ['big endian', { big: true, syntax: '1.2.840.10008.1.2.2' }],
];

const folder = process.env.CASES ?? fileURLToPath(new URL('../../../../shared/cases/', import.meta.url));
export const skip = existsSync(folder) ? false : `no case files in ${folder}`;
/** @param {string} name @returns {Buffer<ArrayBuffer>} */
export const read = (name) => readFileSync(`${folder}/${name}.dcm`);
