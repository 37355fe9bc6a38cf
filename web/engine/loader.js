// loader.js - finds, fetches and verifies the engine's module and the model, in pages and in Node.
import { absolute, abortedBy, asError, checkHash, CxrError, kindOf, nodeBuiltin, sha256 } from './platform.js';

/**
 * @typedef {'relaxed'|'simd'|'scalar'} Build
 * @typedef {import('./platform.js').Bytes} Bytes
 * @typedef {object} Published what ships beside classifier.js, the one file that knows where that is
 * @property {string} base the address of classifier.js
 * @property {Record<Build, () => URL>} modules
 * @property {() => URL} model
 * @property {() => Worker} worker starts worker.js
 * @property {Readonly<Record<string, string>>} sha256 in hexadecimal, by the names of the files
 */

// ---- Which module ---------------------------------------------------------------------------

/**
 * A module of one function (type section entry, body), to ask the platform whether it knows an instruction.
 * @param {number[]} type
 * @param {number[]} body
 */
const probe = (type, body) =>
  new Uint8Array([
    0x00,
    0x61,
    0x73,
    0x6d,
    0x01,
    0x00,
    0x00,
    0x00, // "\0asm", version 1
    0x01,
    type.length + 1,
    0x01,
    ...type, // one type
    0x03,
    0x02,
    0x01,
    0x00, // one function of it
    0x0a,
    body.length + 4,
    0x01,
    body.length + 2,
    0x00,
    ...body,
    0x0b, // its code: no locals, body, end
  ]);

export const probes = {
  // (func (param v128) (result v128) (i8x16.popcnt (local.get 0))): of the final SIMD proposal only
  simd: probe([0x60, 0x01, 0x7b, 0x01, 0x7b], [0x20, 0x00, 0xfd, 0x62]),
  // (func (param v128 v128 v128) (result v128)
  //   (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get 0) (local.get 1) (local.get 2)))
  relaxed: probe([0x60, 0x03, 0x7b, 0x7b, 0x7b, 0x01, 0x7b], [0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfd, 0x93, 0x02]),
};

/** @type {Record<Build, string>} */
const fileOf = { relaxed: 'cxrlens-relaxed.wasm', simd: 'cxrlens-simd.wasm', scalar: 'cxrlens-scalar.wasm' };

/**
 * The fastest of the published modules that this platform runs; all give the same bits.
 * @returns {Build}
 */
export function pickBuild() {
  if (WebAssembly.validate(probes.relaxed)) return 'relaxed';
  return WebAssembly.validate(probes.simd) ? 'simd' : 'scalar';
}

// ---- Fetching -------------------------------------------------------------------------------

/**
 * `fetch`, also of files where the platform has them, with typed errors.
 * @param {URL} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function request(url, signal) {
  try {
    const files = url.protocol === 'file:' && nodeBuiltin('fs');
    if (files) return new Response(await files.promises.readFile(url, { signal }));
    const response = await fetch(url, { signal });
    if (response.ok) return response;
    throw new Error(`HTTP status ${response.status}`);
  } catch (cause) {
    if (signal?.aborted) throw abortedBy(signal);
    throw asError(cause, 'network', `Could not load ${url}`);
  }
}

/**
 * The engine's module, verified and compiled.
 * @param {Published} published
 * @param {{ wasm?: Bytes|WebAssembly.Module, wasmUrl?: string|URL, wasmSha256?: string|null, signal?: AbortSignal }} options
 * @returns {Promise<WebAssembly.Module>}
 */
export async function loadModule({ modules, sha256: digests }, { wasm, wasmUrl, wasmSha256, signal }) {
  if (typeof WebAssembly !== 'object') throw new CxrError('unsupported', 'This platform has no WebAssembly.');
  if (kindOf(wasm) === 'WebAssembly.Module') return /** @type {WebAssembly.Module} */ (wasm);
  const build = pickBuild();
  const url = wasmUrl === undefined ? modules[build]() : absolute(wasmUrl);
  if (url.pathname.endsWith('/')) url.pathname += fileOf[build];
  const expected = wasmSha256 === undefined ? Object.values(digests) : [wasmSha256?.toLowerCase() ?? null];
  const response = wasm ? new Response(/** @type {ArrayBuffer} */ (wasm)) : await request(url, signal);
  const copy = response.clone();
  const [checked, compiled] = await Promise.allSettled([
    copy
      .arrayBuffer()
      .then(sha256)
      .then((hash) => checkHash('The WebAssembly module', hash, expected)),
    compile(response),
  ]);
  if (signal?.aborted) throw abortedBy(signal);
  if (checked.status === 'rejected') throw asError(checked.reason, 'network', 'The WebAssembly module did not arrive in full');
  if (compiled.status === 'fulfilled') return compiled.value;
  throw asError(compiled.reason, 'unsupported', 'The WebAssembly module does not compile');
}

/**
 * Compiles while the bytes arrive, where the server names their type as the platform insists on.
 * @param {Response} response
 */
async function compile(response) {
  const type = response.headers.get('content-type')?.trim().toLowerCase();
  if (type === 'application/wasm' && WebAssembly.compileStreaming) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/**
 * What the model has to hash to: as asked; else the published model's own; a custom one may be anything.
 * @param {Published} published
 * @param {{ model?: Bytes, modelUrl?: string|URL, modelSha256?: string|null }} options
 * @returns {string|null}
 */
export function expectedModelHash(published, { model, modelUrl, modelSha256 }) {
  if (modelSha256 !== undefined) return modelSha256?.toLowerCase() ?? null;
  return model || modelUrl ? null : published.sha256['cxrlens.cxrm'];
}

/**
 * The model, not checked yet. As a Blob, so that a page's thread, which has a page to show, touches none of its bytes: the
 * workers read them.
 * @param {Published} published
 * @param {{ model?: Bytes, modelUrl?: string|URL, signal?: AbortSignal,
 *   onProgress?: (progress: { loaded: number, total: number }) => void }} options
 * @returns {Promise<Blob>}
 */
export async function loadModel(published, { model, modelUrl, signal, onProgress }) {
  if (model) return new Blob([/** @type {ArrayBuffer} */ (model)]); // a copy: workers that start later find it as it is now
  const response = await request(modelUrl === undefined ? published.model() : absolute(modelUrl), signal);
  try {
    return await readBody(response, onProgress);
  } catch (cause) {
    if (signal?.aborted) throw abortedBy(signal);
    throw asError(cause, 'network', 'The model did not arrive in full');
  }
}

/**
 * @param {Response} response
 * @param {((progress: { loaded: number, total: number }) => void)|undefined} onProgress
 */
async function readBody(response, onProgress) {
  if (!onProgress || !response.body) return response.blob();
  const chunks = [];
  // The length of a compressed transfer says nothing of the bytes that come out of it.
  const total = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length'));
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    onProgress({ loaded: (loaded += value.length), total });
  }
  return new Blob(chunks);
}
