// classifier.js - the public API: createClassifier() gives a queue over a pool of workers, each with an
// engine of its own. Module and model are fetched once; a worker starts when there is work for it.
import { looksLikeDicom } from './dicom-sniff.js';
import { absolute, expectedModelHash, loadModel, loadModule, pickBuild, verifyModel } from './loader.js';
import { abortedBy, asBytes, asError, CxrError, kindOf, nodeBuiltin } from './platform.js';

export { CxrError, looksLikeDicom };

/**
 * @typedef {import('./wasm.js').Result} Result
 * @typedef {import('./wasm.js').Heatmap} Heatmap
 * @typedef {import('./wasm.js').Gray16} Gray16
 * @typedef {import('./wasm.js').Rgba} Rgba
 * @typedef {import('./platform.js').Bytes} Bytes
 * @typedef {import('./wasm.js').Job} Job
 * @typedef {import('./wasm.js').EngineInfo} EngineInfo
 * @typedef {import('./wasm.js').ModelInfo} ModelInfo
 * @typedef {import('./loader.js').Build} Build
 * @typedef {import('./dicom-job.js').Choice} DicomChoice
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
 * @property {boolean} [heatmap] adds the class activation maps
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

/**
 * @typedef {object} Message one image on its way to an engine
 * @property {Job} job
 * @property {ArrayBuffer[]} transfer
 * @property {(result: Result) => Result} [complete] adds what the engine can't know
 *
 * @typedef {object} Task one call of classify
 * @property {() => Promise<Message>} read gets the bytes
 * @property {Promise<Message>} [message] what was read, from shortly before the task's turn on
 * @property {boolean} heatmap
 * @property {string|null} file
 * @property {boolean} settled
 * @property {(result: Result) => void} resolve
 * @property {(error: unknown) => void} reject
 */

// The engine's own limits, applied before anything is copied.
const maxFileBytes = 256 * 2 ** 20;
const maxPixels = 64 * 2 ** 20;

// What is read of a file to tell DICOM, which is then read together with the viewer. What is probably a PNG or JPEG is read
// at once: browsers copy whatever is read from one process to another.
const headBytes = 1024;

// Linear memory never shrinks: an engine that grew beyond this for one huge image is not kept.
const maxIdleBytes = 128 * 2 ** 20;

const defaultMaxWorkers = 4;

/**
 * Loads module and model and starts the first worker; rejects if any of them is not what it should be.
 * @param {ClassifierOptions} [options]
 * @returns {Promise<Classifier>}
 */
export async function createClassifier(options = {}) {
  const { workers = defaultWorkers(), workerUrl, eager = false, signal } = options;
  if (!Number.isInteger(workers) || workers < 0) throw new CxrError('argument', '`workers` is not a number of workers.');
  const load = quiet(loadBoth(options));
  const pool = new Pool(() => (workers === 0 ? openHere() : openWorker(workerUrl)), load, Math.max(workers, 1));
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
      dispose: () => pool.close(new CxrError('disposed', 'The classifier was disposed of.')),
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
 * Fetches module and model side by side; if one fails, the other is not waited for. The first message to an engine, and a
 * promise that rejects if the model is not the one expected.
 * @param {ClassifierOptions} options
 * @returns {Promise<[object, Promise<void>|null]>}
 */
async function loadBoth(options) {
  const ours = new AbortController();
  const stop = () => ours.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', stop);
  if (options.signal?.aborted) stop();
  const shared = { ...options, signal: ours.signal };
  const modelSha256 = expectedModelHash(options);
  const taken = async () => {
    const model = await loadModel(shared);
    return { model, verified: quiet(verifyModel(model, modelSha256)) };
  };
  try {
    const [module, { model, verified }] = await Promise.all([loadModule(shared), taken()]);
    return [{ type: 'load', module, model, modelSha256, verified: !!verified }, verified];
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
async function classify(pool, input, { signal, heatmap = false, file = nameOf(input), dicom }) {
  if (signal?.aborted) throw abortedBy(signal);
  const read = readerOf(input, file, dicom);
  /** @type {Task} */
  let task;
  const stop = () => {
    pool.withdraw(task);
    task.reject(abortedBy(signal));
  };
  try {
    return await new Promise((resolve, reject) => {
      task = { read, heatmap, file, settled: false, resolve, reject };
      signal?.addEventListener('abort', stop);
      pool.add(task);
    });
  } catch (error) {
    throw error instanceof CxrError ? new CxrError(error.code, error.message, { cause: error.cause, file }) : error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

// ---- Inputs ---------------------------------------------------------------------------------

/** @param {any} input @returns {string|null} */
const nameOf = (input) => (typeof input?.name === 'string' ? input.name : null);

/**
 * Checks what can be checked without reading, so that a hostile input costs nothing.
 * @param {any} input
 * @param {string|null} file
 * @param {DicomChoice|undefined} choice
 * @returns {() => Promise<Message>}
 */
function readerOf(input, file, choice) {
  /** @param {import('./platform.js').EngineCode} code @param {string} message */
  const refuse = (code, message) => { throw new CxrError(code, message, { file }); };
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
    const rest = { width, height, bits, signed, slope, intercept, window, invert, padding };
    return copied(pixels, (pixels) => ({ gray16: { ...rest, pixels } }));
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
    throw new CxrError('unreadable', 'The file can not be read; it may have been moved or changed.', { cause });
  }
}

/**
 * Encoded bytes, which are ours to give away; the engine tells PNG from JPEG.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Message}
 */
const encoded = (bytes) => ({ job: { bytes }, transfer: [bytes.buffer] });

/**
 * DICOM is opened in this thread, not in the worker: the reader and its decoders are loaded only when a file needs them,
 * but bundlers put what a worker would load later into every worker, or refuse. What takes long is the worker's: the hash.
 * @param {Blob|Uint8Array} source
 * @param {DicomChoice} [choice]
 * @returns {Promise<Message>}
 */
async function openDicom(source, choice) {
  const reader = await import('./dicom.js').catch((cause) => {
    throw new CxrError('network', `The DICOM reader could not be loaded: ${cause.message}`, { cause });
  });
  try {
    return await reader.jobOf(await (source instanceof Uint8Array ? reader.openDicom(source) : reader.openShared(source)), choice);
  } catch (cause) {
    throw cause instanceof reader.DicomError ? new CxrError(cause.code, cause.message, { cause }) : cause;
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

// ---- The pool -------------------------------------------------------------------------------

/** Tasks wait in one queue, in the order of the calls; whichever channel is idle takes the next one. */
class Pool {
  /** @type {Task[]} */
  #queue = [];
  /** @type {Set<Channel>} those not known to have ended */
  #channels = new Set();
  /** @type {Channel[]} */
  #idle = [];
  #opening = 0;
  /** @type {CxrError|undefined} why no more tasks are taken */
  #closed;
  #start;
  #load;
  #size;

  /**
   * @param {() => Channel} start
   * @param {ReturnType<typeof loadBoth>} load what every channel starts with; it starts while that is made
   * @param {number} size most channels at a time
   */
  constructor(start, load, size) {
    this.#start = start;
    this.#load = load;
    this.#size = size;
  }

  /** @param {Task} task */
  add(task) {
    if (this.#closed) return task.reject(this.#closed);
    this.#queue.push(task);
    this.#pump();
  }

  /** @param {Task} task that wants no answer any more; if it is running, its answer is dropped */
  withdraw(task) {
    task.settled = true;
    this.#queue = this.#queue.filter((other) => other !== task);
  }

  /** @param {CxrError} reason told to all that wait, and to all that come later */
  close(reason) {
    this.#closed ??= reason;
    this.#rejectQueue(reason);
    for (const channel of this.#channels) this.#end(channel, reason);
  }

  /**
   * Opens one more channel.
   * @returns {Promise<EngineInfo>}
   */
  async open() {
    if (this.#closed) throw this.#closed;
    const channel = this.#start();
    this.#channels.add(channel);
    this.#opening++;
    try {
      const [message, verified] = await this.#load;
      const asked = quiet(channel.ask(message, []));
      await verified; // meanwhile the engine takes the model in; of a wrong one this tells more than the engine
      const { value } = await asked;
      if (channel.ended) throw channel.ended; // after it had answered
      this.#idle.push(channel);
      return value;
    } catch (error) {
      this.#end(channel);
      throw error;
    } finally {
      this.#opening--;
    }
  }

  /**
   * Opens more channels, as far as it may. A failure is not tried again at once, or it would be tried for ever; the queue
   * must not wait for nobody.
   * @param {number} count
   */
  grow(count) {
    for (let n = Math.min(count, this.#size - this.#channels.size); n > 0; n--)
      this.open().then(() => this.#pump(), (error) => this.#channels.size === 0 && this.#rejectQueue(error));
  }

  #pump() {
    while (this.#queue.length > 0 && this.#idle.length > 0) {
      const channel = /** @type {Channel} */ (this.#idle.pop());
      if (channel.ended) this.#end(channel);
      else this.#run(channel, /** @type {Task} */ (this.#queue.shift()));
    }
    // While every channel works, the next files are read: a worker that waits for a file does nothing.
    for (const task of this.#queue.slice(0, this.#channels.size)) messageOf(task);
    this.grow(this.#queue.length - this.#opening);
  }

  /**
   * @param {Channel} channel
   * @param {Task} task
   */
  async #run(channel, task) {
    try {
      const { job, transfer, complete = (/** @type {Result} */ result) => result } = await messageOf(task);
      if (!task.settled) {
        const { value, memoryBytes } = await channel.ask({ type: 'classify', job, heatmap: task.heatmap }, transfer);
        task.resolve(deepFreeze({ ...complete(value), file: task.file }));
        if (memoryBytes > maxIdleBytes) this.#end(channel);
      }
    } catch (error) {
      task.reject(error);
    }
    if (channel.ended) this.#end(channel);
    else this.#idle.push(channel);
    this.#pump();
  }

  /** @param {unknown} reason */
  #rejectQueue(reason) {
    for (const task of this.#queue.splice(0)) task.reject(reason);
  }

  /**
   * @param {Channel} channel
   * @param {CxrError} [reason]
   */
  #end(channel, reason) {
    this.#channels.delete(channel);
    channel.end(reason);
  }
}

/**
 * The promise, of whose failure whoever awaits it later is told: until then nobody need be.
 * @template {Promise<any>|null} T
 * @param {T} promise
 */
function quiet(promise) {
  promise?.catch(() => {});
  return promise;
}

/** Reads the task's input, once. @param {Task} task */
function messageOf(task) {
  return task.message ??= quiet(task.read());
}

/** Asks one engine, in a worker or in this thread, one question at a time. */
class Channel {
  /** Why it answers no more. @type {CxrError|undefined} */
  ended;
  /** The question without an answer yet. @type {{ id: number, resolve: Function, reject: Function }|undefined} */
  waiting;
  #lastId = 0;
  #post;
  #stop;

  /**
   * @param {(message: object, transfer: ArrayBuffer[]) => void} post its answer comes to `receive`
   * @param {() => void} stop
   */
  constructor(post, stop) {
    this.#post = post;
    this.#stop = stop;
  }

  /**
   * @param {object} message
   * @param {ArrayBuffer[]} transfer
   * @returns {Promise<{ value: any, memoryBytes: number }>}
   */
  ask(message, transfer) {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      const id = ++this.#lastId;
      try {
        this.#post({ id, ...message }, transfer);
        this.waiting = { id, resolve, reject };
      } catch (cause) {
        reject(asError(cause, 'argument', 'Not sent'));
      }
    });
  }

  /** @param {any} answer */
  receive({ id, error, ...answer }) {
    if (id !== this.waiting?.id) return;
    if (error && error.code === null) return this.end(workerFailed(error.message));
    if (error) this.waiting?.reject(new CxrError(error.code, error.message));
    else this.waiting?.resolve(answer);
    this.waiting = undefined;
  }

  /** @param {CxrError} [reason] */
  end(reason = workerFailed()) {
    if (this.ended) return;
    this.ended = reason;
    this.waiting?.reject(reason);
    this.waiting = undefined;
    this.#stop();
  }
}

/**
 * @param {string} [message]
 * @param {unknown} [cause]
 */
function workerFailed(message = 'no details are known', cause) {
  return new CxrError('worker-failed', `The worker failed: ${message}.`, { cause });
}

/** An engine in this thread; its code is a worker's otherwise, and only then fetched here. */
function openHere() {
  const host = quiet(import('./wasm.js').then(({ createHost }) => createHost()));
  /** @param {any} message */
  const ask = async (message) => channel.receive({ id: message.id, ...await (await host)(message) });
  const channel = new Channel(
    (message) => ask(message).catch((cause) => channel.end(workerFailed(cause.message, cause))),
    () => {},
  );
  return channel;
}

/**
 * An engine in a worker of its own.
 * @param {string|URL} [url]
 */
function openWorker(url) {
  const worker = startWorker(url);
  const channel = new Channel(
    (message, transfer) => {
      worker.postMessage(message, transfer);
      worker.ref?.(); // Node: stay alive for the answer, but not for an idle worker
    },
    () => worker.terminate(),
  );
  /** @param {string} type @param {(event: any) => void} listener */
  const on = (type, listener) => (worker.on ? worker.on(type, listener) : worker.addEventListener(type, listener));
  on('message', (event) => {
    channel.receive(worker.on ? event : event.data);
    if (!channel.waiting) worker.unref?.();
  });
  on('error', (event) => channel.end(workerFailed(event.message, event.error ?? event)));
  on('exit', (code) => channel.end(workerFailed(`exit code ${code}`)));
  return channel;
}

/**
 * @param {string|URL} [url]
 * @returns {any} a Worker of the web or of Node
 */
function startWorker(url) {
  try {
    if (!globalThis.Worker) {
      const base = import.meta.url; // not in the literal form, or bundlers would pack the worker twice
      const { Worker: Thread } = nodeBuiltin('worker_threads');
      return new Thread(url === undefined ? new URL('./worker.js', base) : absolute(url), { execArgv: [] });
    }
    if (url !== undefined) return new Worker(absolute(url), { type: 'module' });
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  } catch (cause) {
    throw workerFailed(/** @type {Error} */ (cause).message, cause);
  }
}

/**
 * @template T
 * @param {T} value plain data; arrays of numbers can't be frozen and stay as they are
 * @returns {T}
 */
function deepFreeze(value) {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
