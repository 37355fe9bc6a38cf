// exchange.js - one request to the PACS and its answer, within limits of time and size. Redirects are refused, nothing goes
// into the browser's cache, and whatever goes wrong becomes a DicomWebError.
import { DicomWebError } from './error.js';
import { tooLarge } from './multipart.js';
import { Pieces } from './pieces.js';

/**
 * @typedef {object} Limits
 * @property {number} seconds for one request and its whole answer (120)
 * @property {number} idle seconds without a byte (20)
 * @property {number} bytes of one image (256 MiB)
 * @property {number} images in one study (1000)
 *
 * @typedef {(url: string, init: RequestInit) => Promise<Response>} Fetch
 * @typedef {{ root: string, fetch: Fetch, limits: Limits, signal?: AbortSignal }} Service
 * @typedef {{ response: Response, type: string, chunks: () => AsyncGenerator<Uint8Array<ArrayBuffer>, void> }} Answer
 */

/** Of an answer in JSON. */
const JSON_LIMIT = 16 * 2 ** 20;

/** @type {Record<number, import('./error.js').DicomWebCode>} */
const BY_STATUS = {
  401: 'pacs-login',
  403: 'pacs-forbidden',
  404: 'pacs-not-found',
  406: 'pacs-type',
  409: 'pacs-conflict',
  410: 'pacs-not-found',
  413: 'pacs-size',
  415: 'pacs-type',
};

/**
 * @template T
 * @param {Service} service
 * @param {string} url
 * @param {RequestInit} init
 * @param {(answer: Answer) => Promise<T>} consume takes what it needs of the answer, whatever its status; the rest is cancelled
 * @returns {Promise<T>}
 */
export async function exchange({ fetch, limits, signal }, url, init, consume) {
  const controller = new AbortController();
  const stop = (/** @type {import('./error.js').DicomWebCode} */ code, detail = '') =>
    controller.abort(new DicomWebError(code, { detail }));
  const onabort = () => stop('aborted');
  if (signal?.aborted) throw new DicomWebError('aborted');
  signal?.addEventListener('abort', onabort);
  const timer = setTimeout(() => stop('pacs-timeout', `${limits.seconds} s`), 1000 * limits.seconds);
  // Raced against, for a portal's fetch may not heed the signal.
  const stopped = new Promise((_, reject) => controller.signal.addEventListener('abort', () => reject(controller.signal.reason)));
  stopped.catch(() => {});
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let idle;
  const alive = () => {
    clearTimeout(idle);
    idle = setTimeout(() => stop('pacs-timeout', `${limits.idle} s without a byte`), 1000 * limits.idle);
  };
  try {
    const settings = /** @type {RequestInit} */ ({
      redirect: 'manual',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
      ...init,
      signal: controller.signal,
    });
    const asked = fetch(url, settings).catch((cause) => {
      throw controller.signal.aborted ? cause : new DicomWebError('pacs-network', { cause });
    });
    const response = await Promise.race([asked, stopped]);
    checkWhere(response, url);
    alive();
    const chunks = () => chunksOf(response, controller.signal, alive);
    return await Promise.race([consume({ response, type: response.headers.get('content-type') ?? '', chunks }), stopped]);
  } finally {
    clearTimeout(timer);
    clearTimeout(idle);
    signal?.removeEventListener('abort', onabort);
    controller.abort(new DicomWebError('aborted')); // what is left of the answer
  }
}

/** @param {Response} response @param {string} url what was asked for */
function checkWhere(response, url) {
  const { type, status, redirected } = response;
  const elsewhere = redirected || (response.url && new URL(response.url).origin !== new URL(url).origin);
  if (elsewhere || type === 'opaqueredirect' || (status >= 300 && status < 400)) throw new DicomWebError('pacs-redirect', { status });
  if (type === 'opaque' || type === 'error') throw new DicomWebError('pacs-network');
}

/** @param {Response} response @throws {DicomWebError} unless it is a success */
export function checkStatus({ ok, status }) {
  if (!ok) throw new DicomWebError(BY_STATUS[status] ?? 'pacs-status', { status });
}

/**
 * @param {Response} response
 * @param {AbortSignal} signal
 * @param {() => void} alive called for every chunk
 */
async function* chunksOf(response, signal, alive) {
  const reader = response.body?.getReader();
  if (!reader) return;
  const cancel = () => reader.cancel().catch(() => {});
  signal.addEventListener('abort', cancel);
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        throw new DicomWebError('pacs-network', { cause, detail: 'the connection broke' });
      });
      if (done) return;
      alive();
      yield value;
    }
  } finally {
    cancel();
  }
}

/**
 * All bytes of an answer.
 * @param {Answer} answer
 * @param {number} limit
 * @returns {Promise<Pieces>}
 */
export async function bytesOf({ chunks }, limit) {
  const pieces = new Pieces();
  let size = 0;
  for await (const piece of chunks()) {
    size += piece.length;
    if (size > limit) throw tooLarge(limit);
    pieces.add(piece);
  }
  return pieces;
}

/**
 * An answer in DICOM JSON.
 * @param {Answer} answer
 * @returns {Promise<any>}
 */
export async function jsonOf(answer) {
  const { status } = answer.response;
  // Orthanc names no type where it refuses.
  if (answer.type && !/json/i.test(answer.type)) throw new DicomWebError('pacs-type', { status, detail: answer.type.slice(0, 80) });
  const text = await new Blob((await bytesOf(answer, JSON_LIMIT)).blobs).text();
  try {
    return JSON.parse(text);
  } catch {
    throw new DicomWebError('pacs-type', { status, detail: 'not JSON' });
  }
}
