// classifier-job.js - a DICOM file as the classifier takes it: one frame for the engine, and what the result then tells
// of the file. Nothing of the patient is in it.
import { DicomError } from './error.js';

/**
 * @typedef {import('../dicom.js').Dicom} Dicom
 * @typedef {import('./findings.js').About} About
 * @typedef {import('./findings.js').Finding} Finding
 * @typedef {import('./grayscale.js').Gray} Gray
 * @typedef {import('../engine/wasm.js').Result} Result
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
 * @typedef {object} DicomJob
 * @property {{ gray16: Gray, file: Uint8Array }} job copies, to be given away: others may look at the same file
 * @property {ArrayBuffer[]} transfer
 * @property {(result: Result) => Result} complete the engine's answer to that of the file
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
  const start = performance.now();
  const { coloured, ...gray } = await dicom.frame(frame, { window });
  const file = dicom.bytes().slice();
  const pixels = pixelsIn(file, dicom.bytes(), gray.pixels);
  const took = performance.now() - start;
  const part = { ...dicom.about, ...sourceOf(dicom, frame, window), findings };
  const warnings = [...(coloured ? ['colour'] : []), ...findings.map(({ code }) => code)];
  return {
    job: { gray16: { ...gray, pixels }, file },
    transfer: /** @type {ArrayBuffer[]} */ ([...new Set([file.buffer, pixels.buffer])]),
    complete: (result) => ({
      ...result,
      image: { ...result.image, format: 'dicom' },
      warnings: [...result.warnings, ...warnings],
      timings: { ...result.timings, decode_ms: result.timings.decode_ms + took },
      dicom: part,
    }),
  };
}

/**
 * The same pixels in a copy of the file, if they are a part of it.
 * @param {Uint8Array} copy
 * @param {Uint8Array} file
 * @param {Uint16Array} pixels
 */
function pixelsIn(copy, file, pixels) {
  const offset = pixels.byteOffset - file.byteOffset;
  return pixels.buffer === file.buffer && offset % 2 === 0 ? new Uint16Array(copy.buffer, offset, pixels.length) : pixels.slice();
}

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
