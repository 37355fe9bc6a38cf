// platform.js - code for pages, workers and Node alike: the package's error, and one name each for bytes, hashes and built-ins.
// Knows nothing of models or modules.

export { hex, sha256 } from '../shared/sha256.js';

/**
 * @typedef {'aborted'|'disposed'|'worker-failed'|'network'|'integrity'|'unsupported'|'unreadable'} OwnCode
 * @typedef {import('../dicom/error.js').DicomCode} DicomCode
 * @typedef {'argument'|'memory'|'image-empty'|'image-format'|'image-corrupt'|'image-unsupported'
 *   |'image-kind'|'image-file-size'|'image-side'|'image-pixels'|'image-small'|'image-dicom'|'model-format'|'model-version'
 *   |'model-truncated'|'model-checksum'|'model-invalid'} EngineCode the engine's cxr_status_name
 * @typedef {ArrayBuffer|ArrayBufferView} Bytes
 */

/** Every failure of this package. `code` is for programs, `message` a sentence in English. */
export class CxrError extends Error {
  /**
   * @param {OwnCode|EngineCode|DicomCode} code
   * @param {string} message
   * @param {{ cause?: unknown, file?: string|null }} [options]
   */
  constructor(code, message, { cause, file = null } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    // What callers of abortable functions look for is the name.
    this.name = code === 'aborted' ? 'AbortError' : 'CxrError';
    this.code = code;
    /** Name of the input that failed, if it has one. */
    this.file = file;
  }
}

/**
 * @param {any} cause what the platform threw, or one of our own errors, which is kept
 * @param {OwnCode|EngineCode} code
 * @param {string} message the start of a sentence; the cause ends it
 */
export function asError(cause, code, message) {
  return cause instanceof CxrError
    ? cause
    : new CxrError(code, `${message}: ${String(cause?.message ?? cause).replace(/\.$/, '')}.`, { cause });
}

/** @param {AbortSignal|undefined} signal */
export function abortedBy(signal) {
  return new CxrError('aborted', 'The operation was aborted.', { cause: signal?.reason });
}

/**
 * A built-in module of Node without an import, which bundlers for browsers would stumble over.
 * @param {string} name
 * @returns {any} undefined elsewhere
 */
export function nodeBuiltin(name) {
  const { process } = /** @type {any} */ (globalThis);
  return process?.getBuiltinModule?.(`node:${name}`);
}

/**
 * @param {string|URL} url relative ones are meant as the page, or Node's working directory, reads them
 * @returns {URL}
 */
export function absolute(url) {
  const base =
    globalThis.document?.baseURI ?? globalThis.location?.href ?? nodeBuiltin('url')?.pathToFileURL(`${nodeBuiltin('process').cwd()}/`);
  return new URL(url, base);
}

/**
 * @param {unknown} value
 * @returns {string} 'ArrayBuffer', 'Uint16Array', ...; unlike `instanceof`, also for those of another frame
 */
export const kindOf = (value) => Object.prototype.toString.call(value).slice(8, -1);

/**
 * @param {Bytes} bytes
 * @returns {Uint8Array} a view, not a copy
 */
export function asBytes(bytes) {
  return ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
}

/**
 * @param {string} what
 * @param {string|null} found null: this platform can't tell
 * @param {(string|null)[]} expected any of these; null: anything
 */
export function checkHash(what, found, expected) {
  if (found === null || expected.includes(null) || expected.includes(found)) return;
  throw new CxrError('integrity', `${what} is not the expected file: its SHA-256 is ${found}.`);
}

/**
 * Returns the promise and marks its rejection as handled: whoever awaits it later still gets it.
 * @template {Promise<any>|null} T
 * @param {T} promise
 */
export function quiet(promise) {
  promise?.catch(() => {});
  return promise;
}

/**
 * @template T
 * @param {T} value plain data; arrays of numbers can't be frozen and stay as they are
 * @returns {T}
 */
export function deepFreeze(value) {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
