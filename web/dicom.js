// dicom.js - opens DICOM files: what they are, what speaks against them, and any frame as gray pixels for
// classify() or for the screen. Loaded only when a file looks like DICOM (dicom-sniff.js); its decoders arrive
// when a file needs them.
//
//     const dicom = await openDicom(bytes);
//     dicom.findings               // [] or refusals and warnings that name their tag
//     const gray = await dicom.frame(0);
//     const result = await cxr.classify(gray);
//     const shades = toGray8(gray); // width * height bytes
import { aboutOf, findingsOf } from './dicom-about.js';
import { DicomError } from './dicom-error.js';
import { readDicom } from './dicom-file.js';
import { grayOf, grayOfColour, renderingOf, toGray8 } from './dicom-gray.js';
import { identityOf } from './dicom-identity.js';
import { jobOf } from './dicom-job.js';
import { layoutOf, readFrame } from './dicom-pixels.js';
import { looksLikeDicom } from './dicom-sniff.js';

export { DicomError, identityOf, jobOf, looksLikeDicom, toGray8 };

/**
 * @typedef {import('./dicom-about.js').About} About
 * @typedef {import('./dicom-about.js').Finding} Finding
 * @typedef {import('./dicom-gray.js').Gray} Gray
 * @typedef {import('./dicom-gray.js').Window} Window
 * @typedef {import('./dicom-pixels.js').Layout} Layout
 * @typedef {import('./dicom-pixels.js').Samples} Samples
 *
 * @typedef {object} WindowChoice
 * @property {'window'|'lut'} kind
 * @property {string|null} explanation the file's own name for it
 * @property {Window|null} window null for a LUT
 *
 * @typedef {object} FrameOptions
 * @property {number} [window] which of `windows` to use; default: the first
 *
 * @typedef {object} Dicom
 * @property {About} about
 * @property {Finding[]} findings
 * @property {number} frames
 * @property {Layout} layout
 * @property {WindowChoice[]} windows of the first frame; empty: the file has none, or is in colour
 * @property {(index?: number, options?: FrameOptions) => Promise<Gray & { coloured: boolean }>} frame from 0
 * @property {(index?: number) => Promise<Samples>} stored the samples as they are stored
 */

/**
 * @param {Uint8Array|ArrayBuffer} input the whole file; must stay unchanged while the result is in use
 * @param {{ maxBytes?: number }} [options] the largest file taken, also when inflated (256 MiB)
 * @returns {Promise<Readonly<Dicom>>}
 * @throws {DicomError}
 */
export async function openDicom(input, { maxBytes } = {}) {
  const dicom = await readDicom(plainBytes(input), maxBytes);
  if (dicom.syntax.decoder === null)
    throw new DicomError('dicom-syntax', `Pictures in the transfer syntax ${dicom.syntax.name} are not read.`);
  const layout = layoutOf(dicom.tags);
  const about = aboutOf(dicom);
  const monochrome = layout.photometric.startsWith('MONOCHROME');
  const rendering = (/** @type {number} */ index) => renderingOf(dicom.tags, layout, index, dicom.little);

  /** @type {Dicom['frame']} */
  const frame = async (index = 0, { window } = {}) => {
    const samples = await readFrame(dicom, layout, index);
    if (monochrome) return { ...grayOf(samples, layout, rendering(index), window), coloured: false };
    const { gray, coloured } = grayOfColour(dicom.tags, samples, layout, dicom.little);
    return { ...gray, coloured };
  };

  const windows = monochrome ? rendering(0).vois.map(choiceOf) : [];
  // Bytes are meant as they are; deeper pixels use an unknown part of their range.
  const windowless = monochrome && layout.stored > 8 && windows.length === 0;
  return Object.freeze({
    about,
    findings: findingsOf(dicom, about, { frames: layout.frames, windowless }),
    frames: layout.frames,
    layout,
    windows,
    frame,
    stored: (index = 0) => readFrame(dicom, layout, index),
  });
}

/** Node's Buffers are Uint8Arrays whose slice() does not copy. @param {Uint8Array|ArrayBuffer} input */
const plainBytes = (input) =>
  ArrayBuffer.isView(input) ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input);

/** @param {import('./dicom-gray.js').Voi} voi @returns {WindowChoice} */
const choiceOf = (voi) => ({
  kind: voi.kind,
  explanation: voi.explanation,
  window: voi.kind === 'window' ? voi.window : null,
});
