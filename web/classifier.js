// classifier.js - the public API: createClassifier() fetches module and model and returns a classifier with a pool of engines.
import { openHere, openWorker } from './engine/channel.js';
import { looksLikeDicom } from './shared/dicom-sniff.js';
import { nameOf, readerOf } from './engine/input.js';
import { expectedModelHash, loadModel, loadModule, pickBuild } from './engine/loader.js';
import { abortedBy, CxrError, deepFreeze, nodeBuiltin, quiet } from './engine/platform.js';
import { Pool } from './engine/pool.js';

export { CxrError, looksLikeDicom };

/**
 * @typedef {import('./engine/wasm.js').Result} Result
 * @typedef {import('./engine/wasm.js').Maps} Maps
 * @typedef {import('./engine/wasm.js').ValueMap} ValueMap
 * @typedef {import('./engine/wasm.js').Finding} Finding
 * @typedef {import('./engine/wasm.js').Box} Box
 * @typedef {import('./engine/wasm.js').Gray16} Gray16
 * @typedef {import('./engine/wasm.js').Rgba} Rgba
 * @typedef {import('./engine/platform.js').Bytes} Bytes
 * @typedef {import('./engine/wasm.js').Job} Job
 * @typedef {import('./engine/wasm.js').EngineInfo} EngineInfo
 * @typedef {import('./engine/wasm.js').ModelInfo} ModelInfo
 * @typedef {import('./engine/loader.js').Build} Build
 * @typedef {import('./dicom/classifier-job.js').Choice} DicomChoice
 *
 * @typedef {object} ClassifierOptions every one may be left out
 * @property {string|URL} [wasmUrl] one module, or a folder (ends in '/') that holds the published ones
 * @property {string|URL} [modelUrl] a .cxrm file
 * @property {string|URL} [workerUrl] worker.js
 * @property {Bytes|WebAssembly.Module} [wasm] instead of wasmUrl
 * @property {Bytes} [model] instead of modelUrl
 * @property {string|null} [wasmSha256] hexadecimal; default: one of the published modules'; null: do not check
 * @property {string|null} [modelSha256] default: the published model's, if neither model nor modelUrl is given
 * @property {number} [workers] most workers at a time; 0: work in this thread; default: as many as cores, at most 4
 * @property {boolean} [eager] start all workers at once; default: when there is work
 * @property {AbortSignal} [signal] ends the loading
 * @property {(progress: { loaded: number, total: number }) => void} [onProgress] bytes of the model; total 0: unknown
 *
 * @typedef {object} ClassifyOptions
 * @property {AbortSignal} [signal]
 * @property {boolean} [maps] adds the maps of lungs and opacities
 * @property {string|null} [file] the name to put into the result; default: the File's own
 * @property {DicomChoice} [dicom] which frame and window of a DICOM file; default: the first of each
 *
 * @typedef {Blob|Bytes|Rgba|Gray16} Input encoded PNG, JPEG or DICOM; or ImageData; or decoded gray pixels
 *
 * @typedef {object} Classifier
 * @property {(input: Input, options?: ClassifyOptions) => Promise<Result>} classify
 * @property {Readonly<EngineInfo & { build: Build|'custom', workers: number }>} info
 * @property {() => void} dispose ends the workers; what is pending is rejected with code 'disposed'
 */

const defaultMaxWorkers = 4;

/** Bundlers find module, model and worker by this literal form only. @type {import('./engine/loader.js').Published} */
const published = {
  base: import.meta.url,
  modules: {
    relaxed: () => new URL('./cxrlens-relaxed.wasm', import.meta.url),
    simd: () => new URL('./cxrlens-simd.wasm', import.meta.url),
    scalar: () => new URL('./cxrlens-scalar.wasm', import.meta.url),
  },
  model: () => new URL('./cxrlens.cxrm', import.meta.url),
  worker: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
  // @ts-expect-error The build puts the text here: see web.mk.
  sha256: JSON.parse(CXRLENS_SHA256),
};

/**
 * Loads module and model and starts the first worker; rejects if any of them is not what it should be.
 * @param {ClassifierOptions} [options]
 * @returns {Promise<Classifier>}
 */
export async function createClassifier(options = {}) {
  const { workers = defaultWorkers(), workerUrl, eager = false, signal } = options;
  if (!Number.isInteger(workers) || workers < 0) throw new CxrError('argument', '`workers` must be a whole number from 0 up.');
  const load = quiet(loadBoth(options));
  const pool = new Pool(() => (workers === 0 ? openHere() : openWorker(published, workerUrl)), load, Math.max(workers, 1));
  const stop = () => pool.close(abortedBy(signal));
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  try {
    const info = await pool.open();
    if (eager) pool.grow(workers);
    /** @type {Build|'custom'} */
    const build = options.wasm || options.wasmUrl ? 'custom' : pickBuild();
    return Object.freeze({
      info: deepFreeze({ ...info, build, workers }),
      classify: (/** @type {Input} */ input, /** @type {ClassifyOptions} */ options = {}) => classify(pool, input, options),
      dispose: () => pool.close(new CxrError('disposed', 'The classifier was disposed.')),
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** As many as there are cores, within reason: each holds the model and an arena of its own. */
function defaultWorkers() {
  if (!globalThis.Worker && !nodeBuiltin('worker_threads')) return 0;
  const cores = globalThis.navigator?.hardwareConcurrency ?? nodeBuiltin('os')?.availableParallelism() ?? 1;
  return Math.min(cores, defaultMaxWorkers);
}

/**
 * Fetches module and model side by side; if one fails, the other is not waited for.
 * @param {ClassifierOptions} options
 * @returns {Promise<object>} the first message to an engine
 */
async function loadBoth(options) {
  const ours = new AbortController();
  const stop = () => ours.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', stop);
  if (options.signal?.aborted) stop();
  const shared = { ...options, signal: ours.signal };
  try {
    const [module, model] = await Promise.all([loadModule(published, shared), loadModel(published, shared)]);
    return { type: 'load', module, model, modelSha256: expectedModelHash(published, options) };
  } finally {
    options.signal?.removeEventListener('abort', stop);
    ours.abort();
  }
}

/**
 * @param {Pool} pool
 * @param {Input} input
 * @param {ClassifyOptions} options
 * @returns {Promise<Result>}
 */
async function classify(pool, input, { signal, maps = false, file = nameOf(input), dicom }) {
  if (signal?.aborted) throw abortedBy(signal);
  const read = readerOf(input, file, dicom);
  /** @type {import('./engine/pool.js').Task} */
  let task;
  const stop = () => {
    pool.withdraw(task);
    task.reject(abortedBy(signal));
  };
  try {
    return await new Promise((resolve, reject) => {
      task = { read, maps, file, settled: false, resolve, reject };
      signal?.addEventListener('abort', stop);
      pool.add(task);
    });
  } catch (error) {
    throw error instanceof CxrError ? new CxrError(error.code, error.message, { cause: error.cause, file }) : error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
