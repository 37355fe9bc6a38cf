/**
 * The queue of images: waiting, running, done or failed. Knows nothing of the DOM, and of the classifier only
 * a function that classifies one file, so that it can be tested alone.
 */

/**
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../shared/source.js').Source} Source
 * @typedef {'waiting' | 'running' | 'done' | 'failed' | 'cancelled'} State
 * @typedef {{ code: string, message: string }} Failure
 *
 * @typedef {object} Item one image
 * @property {number} id unique in its queue, in the order of arrival
 * @property {string} name of the file
 * @property {Source} source
 * @property {import('../classifier.js').DicomChoice} [choice] frame and window of a DICOM file, once the user chose
 * @property {State} state
 * @property {Result | null} result
 * @property {Failure | null} error
 * @property {number} elapsed milliseconds from start to end, 0 before
 *
 * @typedef {object} Progress
 * @property {number} total
 * @property {number} done classified
 * @property {number} failed
 * @property {number} cancelled
 * @property {number} open waiting or running
 * @property {number} skipped of those that came last, files in folders that are no images
 * @property {number | null} left milliseconds to the end, once it can be guessed
 */

/** How the reader finds what is none of its kinds, and the names that say otherwise. */
const STRANGE = ['image-format', 'image-empty', 'dicom-directory'];
const IMAGE_NAME = /\.(png|jpe?g|jpe|jfif|dcm)$/i;

/** Whether it only happened to lie in a folder of images. @param {Item} item @param {Failure} why it failed */
const isStray = ({ source, name }, { code }) =>
  source instanceof File && source.webkitRelativePath.includes('/') && STRANGE.includes(code) && !IMAGE_NAME.test(name);

export class Queue extends EventTarget {
  /** @type {Item[]} */
  items = [];
  /** @type {Item[]} what the last removal took, for undo */
  #removed = [];
  /** @type {Set<Item>} those of them that had not been read */
  #unread = new Set();
  /** @type {Map<Item, AbortController>} */
  #running = new Map();
  #nextId = 1;
  #skipped = 0;
  /** Start of the present run, 0 between two, and how many it has finished: for the time left. */
  #run = { start: 0, finished: 0 };
  #classify;
  #width;

  /**
   * @param {(item: Item, signal: AbortSignal) => Promise<Result>} classify
   * @param {() => number} width how many may run at a time
   */
  constructor(classify, width) {
    super();
    this.#classify = classify;
    this.#width = width;
  }

  /**
   * Puts images at the end.
   * @param {readonly Source[]} sources
   * @returns {Item[]}
   */
  add(sources) {
    if (this.progress.open === 0) this.#skipped = 0;
    const added = sources.map((source) => this.#item(source));
    this.items.push(...added);
    for (const item of added) this.#changed(item);
    this.pump();
    return added;
  }

  /** Runs an image that failed or was cancelled once more. @param {Item} item */
  retry(item) {
    if (item.state !== 'failed' && item.state !== 'cancelled') return;
    this.#set(item, 'waiting', { error: null });
    this.pump();
  }

  /** Runs those that were cancelled. @param {Iterable<Item>} [items] all, when left out */
  resume(items = this.items) {
    for (const item of items) if (item.state === 'cancelled') this.#set(item, 'waiting');
    this.pump();
  }

  /** Reads another frame or window of an image. @param {Item} item @param {import('../classifier.js').DicomChoice} choice */
  choose(item, choice) {
    this.#stop(item);
    this.#set(item, 'waiting', { choice, result: null, error: null });
    this.pump();
  }

  /** Puts back what runs: another reads it from now on. */
  restart() {
    for (const [item, controller] of this.#running) {
      controller.abort();
      this.#running.delete(item);
      this.#set(item, 'waiting');
    }
  }

  /** Stops what waits or runs; what is done stays. @param {readonly Item[]} [items] all, when left out */
  cancel(items = this.items) {
    for (const item of items) this.#stop(item);
  }

  /** Takes images out; undo() brings them back. @param {readonly Item[]} [items] all, when left out */
  remove(items = [...this.items]) {
    const gone = new Set(items);
    this.#unread = new Set([...gone].filter((item) => this.#stop(item)));
    this.items = this.items.filter((item) => !gone.has(item));
    this.#removed = [...gone];
    this.#changed(null);
  }

  /** Brings back what the last removal took. @returns {number} how many came back */
  undo() {
    const back = this.#removed,
      unread = this.#unread;
    this.forget();
    this.items = [...this.items, ...back].sort((a, b) => a.id - b.id);
    this.#changed(null);
    this.resume(unread);
    return back.length;
  }

  /** How many images undo() would bring back. */
  get removedCount() {
    return this.#removed.length;
  }

  /** Lets go of removed images for good. */
  forget() {
    this.#removed = [];
    this.#unread = new Set();
  }

  /** @returns {Progress} */
  get progress() {
    const count = { waiting: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
    for (const item of this.items) count[item.state] += 1;
    const open = count.waiting + count.running;
    return {
      total: this.items.length,
      done: count.done,
      failed: count.failed,
      cancelled: count.cancelled,
      open,
      skipped: this.#skipped,
      left: this.#timeLeft(open),
    };
  }

  /** @param {number} open */
  #timeLeft(open) {
    const { start, finished } = this.#run;
    return open > 0 && finished >= 3 ? ((performance.now() - start) / finished) * open : null;
  }

  /** @param {Source} source @returns {Item} */
  #item(source) {
    const { webkitRelativePath, name = 'image' } = /** @type {Partial<File>} */ (source);
    return { id: this.#nextId++, name: webkitRelativePath || name, source, state: 'waiting', result: null, error: null, elapsed: 0 };
  }

  /** Starts what waits, as far as may be: also for when the classifier has become ready. */
  pump() {
    for (const item of this.items) {
      if (this.#running.size >= this.#width()) return;
      if (item.state === 'waiting') this.#launch(item);
    }
  }

  /** @param {Item} item */
  async #launch(item) {
    const controller = new AbortController();
    const start = performance.now();
    this.#run.start ||= start;
    this.#running.set(item, controller);
    this.#set(item, 'running');
    try {
      const result = await this.#classify(item, controller.signal);
      if (!controller.signal.aborted) this.#set(item, 'done', { result, elapsed: performance.now() - start });
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(item, failure(error));
    }
    // A cancelled image may have been started anew meanwhile: its slot is then not ours to free.
    if (this.#running.get(item) === controller) {
      this.#running.delete(item);
      this.#run.finished += 1;
    }
    if (this.progress.open === 0) this.#run = { start: 0, finished: 0 };
    this.pump();
  }

  /** @param {Item} item @param {Failure} error */
  #fail(item, error) {
    this.#set(item, 'failed', { error });
    if (!isStray(item, error)) return;
    this.items = this.items.filter((other) => other !== item);
    this.#skipped += 1;
    this.#changed(null);
  }

  /** @param {Item} item @returns {boolean} whether there was anything to stop */
  #stop(item) {
    if (item.state !== 'waiting' && item.state !== 'running') return false;
    this.#running.get(item)?.abort();
    this.#running.delete(item);
    this.#set(item, 'cancelled');
    return true;
  }

  /**
   * @param {Item} item
   * @param {State} state
   * @param {Partial<Item>} [more]
   */
  #set(item, state, more = {}) {
    Object.assign(item, more, { state });
    this.#changed(item);
  }

  /** @param {Item | null} item null: the list itself changed */
  #changed(item) {
    this.dispatchEvent(new CustomEvent('change', { detail: item }));
  }
}

/**
 * @param {any} error whatever was thrown
 * @returns {Failure}
 */
export function failure(error) {
  // As the browser tells of a file that was moved or changed after it was picked; the classifier has a code for it.
  const code = /^Not(Readable|Found)/.test(error?.name) ? 'unreadable' : (error?.code ?? 'unknown');
  return { code: String(code), message: String(error?.message ?? error) };
}
