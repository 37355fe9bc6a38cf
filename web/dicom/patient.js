// patient.js - whom a DICOM file is about, and of which study it is: read only when the user asks for a report
// that has to say so, from the file itself, and kept nowhere.
import { DicomError } from './error.js';
import { readDicom } from './parser.js';

/** @typedef {Required<Pick<import('../dicom-sr.js').SrOptions, 'patient'|'study'>>} Identity as toDicomSr() takes it */

const PATIENT = { name: 'x00100010', id: 'x00100020', issuer: 'x00100021', birthDate: 'x00100030', sex: 'x00100040' };
const STUDY = {
  date: 'x00080020',
  time: 'x00080030',
  zone: 'x00080201',
  id: 'x00200010',
  accession: 'x00080050',
  referrer: 'x00080090',
  description: 'x00081030',
};
const CHARACTER_SET = 'x00080005';
const ELEMENTS = new Set([CHARACTER_SET, ...Object.values(PATIENT), ...Object.values(STUDY)]);

/**
 * @param {Uint8Array} bytes the whole file
 * @returns {Promise<Identity>} what the file does not say is left empty
 * @throws {import('./error.js').DicomError}
 */
export async function identityOf(bytes) {
  const { tags } = await readDicom(bytes, undefined, ELEMENTS);
  const valueOf = (/** @type {string} */ key) => {
    const value = tags.whole(key, true).trimEnd();
    // No report is better than one under another name or ID.
    if (value.includes('\ufffd'))
      throw new DicomError('dicom-unsupported', 'Patient or study cannot be read in the character set (0008,0005) of the file.');
    return value;
  };
  const valuesOf = (/** @type {Record<string, string>} */ keys) =>
    Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, valueOf(key)]));
  return { patient: valuesOf(PATIENT), study: valuesOf(STUDY) };
}
