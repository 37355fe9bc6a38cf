// dicom-remote.js - opens DICOM images in workers, so that a page never waits for a decoder. Where there are no workers (Node,
// pages that may not start them), it opens them in this thread.
import { completed } from './dicom/classifier-job.js';
import { DicomError } from './dicom/error.js';
import { holderOf } from './shared/passage.js';

export { completed, DicomError };

/**
 * @typedef {import('./dicom.js').Request} Request
 * @typedef {import('./dicom/classifier-job.js').Choice} Choice
 * @typedef {import('./dicom/classifier-job.js').DicomJob} DicomJob
 * @typedef {import('./dicom/picture.js').Picture} Picture
 *
 * @typedef {object} Asked
 * @property {(value: any) => void} resolve
 * @property {(error: DicomError) => void} reject
 *
 * @typedef {object} Reader
 * @property {Worker} worker
 * @property {Promise<boolean>} started whether its script runs
 * @property {Map<number, Asked>} asked without an answer yet
 * @property {number|undefined} key of the file that it was asked for last
 * @property {ReturnType<typeof setTimeout>|undefined} end when it has been idle for long
 */

/** Most workers at a time, as of engines; one that has nothing to do for this long gives its memory back. */
const MOST = 4;
const IDLE_MS = 20_000;

/** @type {Set<Reader>} */
const readers = new Set();
/** @type {WeakMap<Blob, number>} */
const keys = new WeakMap();
let lastKey = 0;
let lastId = 0;
let possible = typeof Worker === 'function';

/**
 * One frame for the classifier.
 * @param {Blob|Uint8Array} source bytes are given away
 * @param {Choice} [choice]
 * @returns {Promise<DicomJob & { transfer: Transferable[] }>} transfer: what holds the pixels
 */
export async function readJob(source, choice) {
  /** @type {DicomJob} */
  const job = await ask({ type: 'job', key: keyOf(source), source, choice });
  return { ...job, transfer: [holderOf(job.gray16.pixels)] };
}

/** One frame for a viewer. @param {Blob} source @param {Choice & { maxSide?: number }} [choice] @returns {Promise<Picture>} */
export const readPicture = (source, choice) =>
  /** @type {Promise<Picture>} */ (ask({ type: 'picture', key: keyOf(source), source, choice }));

/** @param {Blob|Uint8Array} source @returns {number|undefined} bytes are read once */
function keyOf(source) {
  if (source instanceof Uint8Array) return undefined;
  const key = keys.get(source) ?? ++lastKey;
  keys.set(source, key);
  return key;
}

/** @param {Request} request @returns {Promise<any>} @throws {DicomError} */
async function ask(request) {
  const reader = readerFor(request.key);
  if (!reader) return (await import('./dicom.js')).answer(request);
  const id = ++lastId;
  // Noted before the script runs, so that the next request finds this reader at work.
  const answered = new Promise((resolve, reject) => reader.asked.set(id, { resolve, reject }));
  answered.catch(() => {});
  clearTimeout(reader.end);
  if (!(await reader.started)) return (await import('./dicom.js')).answer(request);
  const { source } = request;
  const transfer = source instanceof Uint8Array ? [/** @type {ArrayBuffer} */ (source.buffer)] : [];
  if (readers.has(reader)) reader.worker.postMessage({ id, ...request }, transfer);
  return answered;
}

/** @param {number} [key] @returns {Reader|undefined} the one that has the file, or an idle or a new one, or the least busy */
function readerFor(key) {
  const own = key !== undefined && [...readers].find((reader) => reader.key === key);
  const [least] = [...readers].sort((a, b) => a.asked.size - b.asked.size);
  const most = Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST);
  const reader = own || (least && (least.asked.size === 0 || readers.size >= most) ? least : start());
  if (reader) reader.key = key;
  return reader;
}

/** @returns {Reader|undefined} undefined: this page may not */
function start() {
  if (!possible) return undefined;
  try {
    const worker = new Worker(new URL('./dicom-worker.js', import.meta.url), { type: 'module' });
    /** @type {(runs: boolean) => void} */
    let tell = () => {};
    /** @type {Reader} */
    const reader = { worker, started: new Promise((resolve) => (tell = resolve)), asked: new Map(), key: undefined, end: undefined };
    worker.addEventListener('message', ({ data }) => (data.ready ? tell(true) : receive(reader, data)));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      tell(false);
      end(reader, event.message);
    });
    reader.started.then((runs) => (possible &&= runs));
    readers.add(reader);
    return reader;
  } catch {
    possible = false;
    return undefined;
  }
}

/** @param {Reader} reader @param {{ id: number, value?: any, error?: { code: import('./dicom/error.js').DicomCode, message: string } }} data */
function receive(reader, { id, value, error }) {
  const asked = reader.asked.get(id);
  reader.asked.delete(id);
  if (error) asked?.reject(new DicomError(error.code, error.message));
  else asked?.resolve(value);
  if (reader.asked.size === 0) reader.end = setTimeout(() => end(reader), IDLE_MS);
}

/** @param {Reader} reader @param {string} [why] */
function end(reader, why) {
  readers.delete(reader);
  reader.worker.terminate();
  for (const { reject } of reader.asked.values())
    reject(new DicomError('worker-failed', `The thread that read the file ended: ${why || 'no details are known'}.`));
}
