// channel.js - sends calls to one engine, in a worker or in this thread: one call at a time.
import { absolute, asError, CxrError, nodeBuiltin, quiet } from './platform.js';

/** @typedef {import('./loader.js').Published} Published */

/** One engine, wherever it runs. */
export class Channel {
  /** Why it answers no more. @type {CxrError|undefined} */
  ended;
  /** The question without an answer yet. @type {{ id: number, resolve: Function, reject: Function }|undefined} */
  waiting;
  #lastId = 0;
  #post;
  #stop;

  /**
   * @param {(message: object, transfer: Transferable[]) => void} post its answer comes to `receive`
   * @param {() => void} stop
   */
  constructor(post, stop) {
    this.#post = post;
    this.#stop = stop;
  }

  /**
   * @param {object} message
   * @param {Transferable[]} transfer
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
function workerFailed(message, cause) {
  return new CxrError('worker-failed', `The worker failed: ${(message || 'no details are known').replace(/\.$/, '')}.`, { cause });
}

/** An engine in this thread; its code is a worker's otherwise, and only then fetched here. */
export function openHere() {
  const host = quiet(import('./wasm.js').then(({ createHost }) => createHost()));
  /** @param {any} message */
  const ask = async (message) => channel.receive({ id: message.id, ...(await (await host)(message)) });
  const channel = new Channel(
    (message) => ask(message).catch((cause) => channel.end(workerFailed(cause.message, cause))),
    () => {},
  );
  return channel;
}

/**
 * An engine in a worker of its own.
 * @param {Published} published
 * @param {string|URL} [url] of another worker.js
 */
export function openWorker(published, url) {
  const worker = startWorker(published, url);
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
  on('error', (event) => channel.end(workerFailed(foreign(url ?? published.base) ?? event.message, event.error ?? event)));
  on('exit', (code) => channel.end(workerFailed(`exit code ${code}`)));
  return channel;
}

/**
 * @param {Published} published
 * @param {string|URL} [url]
 * @returns {any} a Worker of the web or of Node
 */
function startWorker({ base, worker }, url) {
  try {
    if (!globalThis.Worker) {
      const { Worker: Thread } = nodeBuiltin('worker_threads');
      return new Thread(url === undefined ? new URL('./worker.js', base) : absolute(url), { execArgv: [] });
    }
    return url === undefined ? worker() : new Worker(absolute(url), { type: 'module' });
  } catch (cause) {
    throw workerFailed(foreign(url ?? base) ?? /** @type {Error} */ (cause).message, cause);
  }
}

/**
 * The likeliest cause of a failed start, which not every browser tells.
 * @param {string|URL} url that the worker's script has, or one beside it
 * @returns {string|undefined} undefined: it is another
 */
function foreign(url) {
  const { origin, protocol } = absolute(url);
  const { origin: own } = globalThis;
  if (own === undefined || own === origin || !/^https?:$/.test(protocol)) return undefined;
  return `its script lies at ${origin}, and browsers start none from another origin than the page's, ${own}`;
}
