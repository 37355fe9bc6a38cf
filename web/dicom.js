// dicom.js - opens DICOM files: what they are, what speaks against them, and any frame as gray pixels for
// classify() or for the screen. Loaded only when a file looks like DICOM (dicom-sniff.js); its decoders arrive
// when a file needs them.
//
//     const dicom = await openDicom(bytes);
//     dicom.findings               // [] or refusals and warnings that name their tag
//     const gray = await dicom.frame(0);
//     const result = await cxr.classify(gray);
//     const shades = toGray8(gray); // width * height bytes
import { aboutOf, findingsOf } from './dicom/findings.js';
import { DicomError } from './dicom/error.js';
import { MAX_FILE_BYTES, readDicom, tooLarge } from './dicom/parser.js';
import { grayOf, grayOfColour, renderingOf, toGray8 } from './dicom/grayscale.js';
import { identityOf } from './dicom/patient.js';
import { jobOf } from './dicom/classifier-job.js';
import { pictureOf } from './dicom/picture.js';
import { layoutOf, readFrame } from './dicom/pixel-data.js';
import { looksLikeDicom } from './shared/dicom-sniff.js';

export { DicomError, identityOf, looksLikeDicom, toGray8 };

/**
 * @typedef {import('./dicom/findings.js').About} About
 * @typedef {import('./dicom/findings.js').Finding} Finding
 * @typedef {import('./dicom/grayscale.js').Gray} Gray
 * @typedef {import('./dicom/grayscale.js').Window} Window
 * @typedef {import('./dicom/pixel-data.js').Layout} Layout
 * @typedef {import('./dicom/pixel-data.js').Samples} Samples
 *
 * @typedef {object} WindowChoice
 * @property {'window'|'lut'} kind
 * @property {string|null} explanation the file's own name for it
 * @property {Window|null} window null for a LUT
 *
 * @typedef {object} FrameOptions
 * @property {number} [window] which of the frame's windows to use; default: the first, if it has any
 *
 * @typedef {object} Dicom
 * @property {() => Uint8Array} bytes the whole file; a function, so that who writes the rest down writes nothing of the patient
 * @property {About} about
 * @property {Finding[]} findings those of the first frame
 * @property {(index?: number) => Finding[]} findingsOf a frame
 * @property {number} frames
 * @property {Layout} layout
 * @property {(index?: number) => WindowChoice[]} windowsOf a frame; empty: it has none, or is in colour
 * @property {(index?: number, options?: FrameOptions) => Promise<Gray & { coloured: boolean }>} frame from 0
 * @property {(index?: number) => Promise<Samples>} stored the samples as they are stored; not to be written
 */

/** Bundlers find assets by this literal form only. @type {import('./dicom/pixel-data.js').Modules} */
const modules = {
  jpegls: () => new URL('./dicom-jpegls.wasm', import.meta.url),
  jpeg2000: () => new URL('./dicom-jpeg2000.wasm', import.meta.url),
};

/**
 * @typedef {object} Request of one image; dicom-remote.js makes them
 * @property {'job'|'picture'} type for the classifier, or for the viewer
 * @property {number} [key] the same for requests of one file
 * @property {Blob|Uint8Array} source
 * @property {import('./dicom/classifier-job.js').Choice & { maxSide?: number }} [choice]
 */

/** The file that was asked for last: viewer and classifier ask for it at the same time, and then for its other frames. @type {{ key: number, opened: Promise<Readonly<Dicom>> }|undefined} */
let last;
/** What the classifier waits for. @type {Promise<unknown>} */
let jobs = Promise.resolve();

/**
 * @param {Request} request
 * @returns {Promise<import('./dicom/classifier-job.js').DicomJob | import('./dicom/picture.js').Picture>}
 * @throws {DicomError}
 */
export async function answer({ type, key, source, choice }) {
  const opened = key !== undefined && last?.key === key ? last.opened : openSource(source);
  if (key !== undefined) last = { key, opened };
  opened.catch(() => {
    if (last?.opened === opened) last = undefined; // what could not be read may be there again
  });
  if (type === 'job') {
    const job = opened.then((dicom) => jobOf(dicom, choice));
    jobs = Promise.allSettled([jobs, job]).then(() => {}); // without the values, which would never be let go of
    return job;
  }
  const dicom = await opened;
  await jobs; // the result first: a picture keeps this thread busy as long as the file's hash takes
  return pictureOf(dicom, choice);
}

/** @param {Blob|Uint8Array} source */
async function openSource(source) {
  if (source instanceof Uint8Array) return openDicom(source);
  if (source.size > MAX_FILE_BYTES) throw tooLarge(MAX_FILE_BYTES);
  const bytes = await source.arrayBuffer().catch((cause) => {
    throw new DicomError('unreadable', 'The file can not be read; it may have been moved or changed.', { cause });
  });
  return openDicom(bytes);
}

/**
 * @param {Uint8Array|ArrayBuffer} input the whole file; must stay unchanged while the result is in use
 * @param {{ maxBytes?: number }} [options] the largest file taken, also when inflated (256 MiB)
 * @returns {Promise<Readonly<Dicom>>}
 * @throws {DicomError}
 */
export async function openDicom(input, { maxBytes } = {}) {
  const bytes = plainBytes(input);
  const dicom = await readDicom(bytes, maxBytes);
  const { decoder, name } = dicom.syntax;
  if (decoder === null) throw new DicomError('dicom-syntax', `Pictures in the transfer syntax ${name} are not read.`);
  const layout = layoutOf(dicom.tags);
  const about = aboutOf(dicom);
  const monochrome = layout.photometric.startsWith('MONOCHROME');
  const rendering = (/** @type {number} */ index) => renderingOf(dicom.tags, layout, index, dicom.little);

  /** The frame that was asked for last. @type {{ index: number, samples: Promise<Samples> }|undefined} */
  let last;
  const stored = (index = 0) => {
    if (last?.index === index) return last.samples;
    const samples = readFrame(dicom, decoder, layout, index, modules);
    last = { index, samples };
    // A decoder that did not arrive may arrive next time.
    samples.catch(() => (last = undefined));
    return samples;
  };

  /** @type {Dicom['frame']} */
  const frame = async (index = 0, { window } = {}) => {
    const samples = await stored(index);
    if (monochrome) return { ...grayOf(samples, layout, rendering(index), window), coloured: false };
    const { gray, coloured } = grayOfColour(dicom.tags, samples, layout, dicom.little);
    return { ...gray, coloured };
  };

  const windowsOf = (index = 0) => (monochrome ? rendering(index).vois.map(choiceOf) : []);
  // Bytes are meant as they are; deeper pixels use an unknown part of their range.
  const windowless = (/** @type {number} */ index) =>
    monochrome && layout.stored > 8 && windowsOf(index).length === 0 && !rendering(index).modalityLut;
  const ownFindings = (index = 0) => findingsOf(dicom, about, { frames: layout.frames, windowless: windowless(index) });
  return Object.freeze({
    bytes: () => bytes,
    about,
    findings: ownFindings(),
    findingsOf: ownFindings,
    frames: layout.frames,
    layout,
    windowsOf,
    frame,
    stored,
  });
}

/** Node's Buffers are Uint8Arrays whose slice() does not copy. @param {Uint8Array|ArrayBuffer} input */
const plainBytes = (input) =>
  ArrayBuffer.isView(input) ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input);

/** @param {import('./dicom/grayscale.js').Voi} voi @returns {WindowChoice} */
const choiceOf = (voi) => ({
  kind: voi.kind,
  explanation: voi.explanation,
  window: voi.kind === 'window' ? voi.window : null,
});
