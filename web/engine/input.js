// input.js - turns the input of classify (a file, bytes or pixels) into a message to an engine.
import { looksLikeDicom } from '../shared/dicom-sniff.js';
import { imageKind } from '../shared/image-kind.js';
import { canDecode, notDecoded } from './browser-decoder.js';
import { asBytes, asError, CxrError, kindOf } from './platform.js';

/**
 * @typedef {import('./wasm.js').Job} Job
 * @typedef {import('./wasm.js').Result} Result
 * @typedef {import('../dicom/classifier-job.js').Choice} DicomChoice
 *
 * @typedef {object} Message one image on its way to an engine
 * @property {Job} job
 * @property {Transferable[]} transfer
 * @property {(result: Result) => Result} [complete] adds what the engine can't know
 */

// The engine's own limits, applied before anything is copied.
const maxFileBytes = 256 * 2 ** 20;
const maxPixels = 64 * 2 ** 20;

// What is read of a file to tell DICOM, which is then read together with the viewer. What is probably a PNG or JPEG is read
// at once: browsers copy whatever is read from one process to another.
const headBytes = 1024;

/** The name a file brings along. @param {any} input @returns {string|null} */
export const nameOf = (input) => (typeof input?.name === 'string' ? input.name : null);

/**
 * Checks what can be checked without reading, so that a hostile input costs nothing.
 * @param {any} input
 * @param {string|null} file
 * @param {DicomChoice|undefined} choice
 * @returns {() => Promise<Message>}
 */
export function readerOf(input, file, choice) {
  /** @param {import('./platform.js').EngineCode} code @param {string} message */
  const refuse = (code, message) => {
    throw new CxrError(code, message, { file });
  };
  /** @param {number} length */
  const checkLength = (length) => length > maxFileBytes && refuse('image-file-size', 'The file is larger than 256 MiB.');
  /** @param {number} samples */
  const checkPixels = (samples) => {
    const { width, height } = input;
    if (!(width > 0 && height > 0 && width * height === samples)) refuse('argument', 'Width and height do not match the pixels.');
    if (samples > maxPixels) refuse('image-pixels', 'The image has more than 64 megapixels.');
  };

  if (input?.size >= 0 && typeof input.arrayBuffer === 'function') {
    checkLength(input.size);
    return async () => {
      const atOnce = input.size <= headBytes || /^image/.test(input.type);
      const head = await readBlob(atOnce ? input : input.slice(0, headBytes));
      if (looksLikeDicom(head)) return openDicom(input, choice);
      return encoded(atOnce ? head : await readBlob(input));
    };
  }
  if (kindOf(input?.data) === 'Uint8ClampedArray') {
    checkPixels(input.data.length / 4);
    const { width, height, data } = input;
    return copied(data, (data) => ({ rgba: { data, width, height } }));
  }
  if (kindOf(input?.pixels) === 'Uint16Array') {
    checkPixels(input.pixels.length);
    const { pixels, width, height, bits, signed, slope, intercept, window, invert, padding } = input;
    return copied(pixels, (pixels) => ({ gray16: { pixels, width, height, bits, signed, slope, intercept, window, invert, padding } }));
  }
  if (!ArrayBuffer.isView(input) && !/^(Shared)?ArrayBuffer$/.test(kindOf(input)))
    return refuse('argument', 'The input is neither a file nor bytes nor pixels.');
  checkLength(input.byteLength);
  const bytes = asBytes(input).slice();
  return async () => (looksLikeDicom(bytes) ? openDicom(bytes, choice) : encoded(bytes));
}

/** @param {Blob} blob */
async function readBlob(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw new CxrError('unreadable', 'The file cannot be read; it may have been moved or changed.', { cause });
  }
}

/**
 * Encoded bytes, which are ours to give away; the engine tells PNG from JPEG, and what it does not know the browser may.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Message}
 */
function encoded(bytes) {
  const kind = imageKind(bytes);
  if (kind && !canDecode()) throw notDecoded(kind);
  return { job: kind ? { picture: bytes, kind } : { bytes }, transfer: [bytes.buffer] };
}

/**
 * DICOM is read in a worker of its own: with the reader in the engine's worker, everyone would load it.
 * @param {Blob|Uint8Array} source
 * @param {DicomChoice} [choice]
 * @returns {Promise<Message>}
 */
async function openDicom(source, choice) {
  const remote = await import('../dicom-remote.js').catch((cause) => {
    throw asError(cause, 'network', 'The DICOM reader could not be loaded');
  });
  try {
    const read = await remote.readJob(source, choice);
    return {
      job: { gray16: read.gray16 },
      transfer: read.transfer,
      complete: (result) => remote.completed(result, read),
    };
  } catch (cause) {
    throw cause instanceof remote.DicomError ? new CxrError(cause.code, cause.message, { cause }) : cause;
  }
}

/**
 * The caller's memory stays the caller's, who may write to it as soon as classify returns: what is sent away is a copy.
 * @template {{ slice(): any }} T
 * @param {T} array
 * @param {(copy: T) => Job} wrap
 * @returns {() => Promise<Message>}
 */
function copied(array, wrap) {
  const copy = array.slice();
  return async () => ({ job: wrap(copy), transfer: [copy.buffer] });
}
