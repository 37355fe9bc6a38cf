// dicom-identity.js - whom a DICOM file is about, and of which study it is: read only when the user asks for a report
// that has to say so, from the file itself, and kept nowhere.
import { readDicom } from './dicom-file.js';
import { decoded } from './dicom-text.js';

/** @typedef {Required<Pick<import('./dicom-sr.js').SrOptions, 'patient'|'study'>>} Identity as toDicomSr() takes it */

const PATIENT = { name: 'x00100010', id: 'x00100020', birthDate: 'x00100030', sex: 'x00100040' };
const STUDY = {
  date: 'x00080020', time: 'x00080030', zone: 'x00080201', id: 'x00200010', accession: 'x00080050', referrer: 'x00080090',
};
const CHARACTER_SET = 'x00080005';
const ELEMENTS = new Set([CHARACTER_SET, ...Object.values(PATIENT), ...Object.values(STUDY)]);

/**
 * @param {Uint8Array} bytes the whole file
 * @returns {Promise<Identity>} what the file does not say is left empty
 * @throws {import('./dicom-error.js').DicomError}
 */
export async function identityOf(bytes) {
  const { tags } = await readDicom(bytes, undefined, ELEMENTS);
  const [first] = tags.texts(CHARACTER_SET);
  const valuesOf = (/** @type {Record<string, string>} */ keys) =>
    Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, decoded(tags.raw(key), first).replaceAll('\0', '').trimEnd()]));
  return { patient: valuesOf(PATIENT), study: valuesOf(STUDY) };
}
