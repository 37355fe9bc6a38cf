// classifier-job.js - a DICOM file as the classifier takes it: one frame for the engine, and what the result then tells
// of the file. Nothing of the patient is in it.
import { sha256 } from '../shared/sha256.js';
import { DicomError } from './error.js';

/**
 * @typedef {import('../dicom.js').Dicom} Dicom
 * @typedef {import('./findings.js').About} About
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./grayscale.js').Gray} Gray
 * @typedef {import('../engine/wasm.js').Result} Result
 * @typedef {import('../engine/wasm.js').Sent} Sent
 *
 * @typedef {object} Choice
 * @property {number} [frame] from 0 (the first)
 * @property {number} [window] which of the frame's windows, from 0 (the first)
 *
 * @typedef {object} Source
 * @property {string} photometric interpretation
 * @property {number} bits stored
 * @property {number} frames
 * @property {number} frame the one that was read, from 0
 * @property {{ kind: 'window'|'lut', shape: string|null, centre: number|null, width: number|null,
 *   explanation: string|null }|null} window that was applied; null: the frame has none, or is in colour
 * @property {ReadonlyArray<Finding>} findings warnings, each with the tag that gave rise to it
 *
 * @typedef {Readonly<About & Source>} DicomPart what a result tells of its file
 *
 * @typedef {object} DicomJob what crosses from the thread that reads the file to the one that classifies
 * @property {Sent} gray16 with pixels of its own, to be given away
 * @property {string|null} sha256 of the file
 * @property {DicomPart} dicom
 * @property {string[]} warnings
 * @property {number} decode_ms
 */

/**
 * @param {Dicom} dicom
 * @param {Choice} [choice]
 * @returns {Promise<DicomJob>}
 * @throws {DicomError} with the finding's code, where the tags say that this is no frontal chest radiograph
 */
export async function jobOf(dicom, { frame = 0, window } = {}) {
  const findings = dicom.findingsOf(frame);
  const refused = findings.find(({ level }) => level === 'refuse');
  if (refused) throw new DicomError(refused.code, refused.message);
  // The platform hashes on another thread meanwhile.
  const hash = sha256(dicom.bytes());
  const start = performance.now();
  const { coloured, ...gray } = await dicom.frame(frame, { window });
  const pixels = gray.pixels.slice();
  return {
    decode_ms: performance.now() - start,
    gray16: { ...gray, pixels },
    sha256: await hash,
    dicom: { ...dicom.about, ...sourceOf(dicom, frame, window), findings },
    warnings: [...(coloured ? ['colour'] : []), ...findings.map(({ code }) => code)],
  };
}

/** @param {Result} result the engine's, of the pixels @param {DicomJob} job @returns {Result} that of the file */
export const completed = (result, { sha256, dicom, warnings, decode_ms }) => ({
  ...result,
  sha256,
  image: { ...result.image, format: 'dicom' },
  warnings: [...result.warnings, ...warnings],
  timings: { ...result.timings, decode_ms: result.timings.decode_ms + decode_ms },
  dicom,
});

/**
 * @param {Dicom} dicom
 * @param {number} frame
 * @param {number} [window]
 * @returns {Omit<Source, 'findings'>}
 */
function sourceOf({ layout, frames, windowsOf }, frame, window = 0) {
  const used = windowsOf(frame)[window];
  const { shape = null, centre = null, width = null } = used?.window ?? {};
  return {
    photometric: layout.photometric,
    bits: layout.stored,
    frames,
    frame,
    window: used ? { kind: used.kind, shape, centre, width, explanation: used.explanation } : null,
  };
}
