// module.js - the reader as it ships, from build/web (or the folder CXR_WEB).
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

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
