// pool.js - a queue of calls for several engines that work in parallel; starts another engine when there is work for it.
import { deepFreeze, quiet } from './platform.js';

/**
 * @typedef {import('./channel.js').Channel} Channel
 * @typedef {import('./input.js').Message} Message
 * @typedef {import('./platform.js').CxrError} CxrError
 * @typedef {import('./wasm.js').EngineInfo} EngineInfo
 * @typedef {import('./wasm.js').Result} Result
 *
 * @typedef {object} Task one call of classify
 * @property {() => Promise<Message>} read gets the bytes
 * @property {Promise<Message>} [message] what was read, from shortly before the task's turn on
 * @property {boolean} maps
 * @property {string|null} file
 * @property {boolean} settled
 * @property {(result: Result) => void} resolve
 * @property {(error: unknown) => void} reject
 */

// Linear memory never shrinks: an engine that grew beyond this for one huge image is not kept.
const maxIdleBytes = 128 * 2 ** 20;

/** Tasks wait in one queue, in the order of the calls; whichever channel is idle takes the next one. */
export class Pool {
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
   * @param {Promise<object>} load the first message to every channel, which starts while that is made
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

  /** @param {CxrError} reason with which all waiting and later calls reject */
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
      const { value } = await channel.ask(await this.#load, []);
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
      this.open().then(
        () => this.#pump(),
        (error) => this.#channels.size === 0 && this.#rejectQueue(error),
      );
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
        const { value, memoryBytes } = await channel.ask({ type: 'classify', job, maps: task.maps }, transfer);
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

/** Reads the task's input, once. @param {Task} task */
function messageOf(task) {
  return (task.message ??= quiet(task.read()));
}
