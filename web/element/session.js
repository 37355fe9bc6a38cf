/**
 * The current images: their queue, which one is selected, which one it is compared with, and who waits for which result.
 * Knows nothing of the DOM: hooks notify the code that shows the images.
 */

import { Queue } from './queue.js';

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {import('./queue.js').Failure} Failure
 * @typedef {import('../classifier.js').Result} Result
 *
 * @typedef {object} Hooks
 * @property {(item: Item, signal: AbortSignal) => Promise<Result>} classify
 * @property {() => number} width how many images may be at work; none before the classifier is ready
 * @property {() => boolean} multiple whether there may be many images
 * @property {() => number | null} threshold probability below which a result becomes "not sure"; null for the model's own
 * @property {() => readonly Item[]} shown the images in the order in which the table shows them
 * @property {(item: Item | null) => void} onchange an image has changed; null: images came or went
 * @property {(item: Item) => void} onend an image has come to its end
 * @property {() => void} onselect another image is selected, or the selected one is to be shown anew
 * @property {() => void} oncompare another image stands beside the selected one
 * @property {(item: Item) => void} onforget what was drawn of an image is of no use any more
 */

/** States in which an image has come to its end. */
const ENDED = ['done', 'failed', 'cancelled'];

/** @param {Failure} failure */
export const refusal = ({ code, message }) => Object.assign(new Error(message), { code });

export class Session {
  /** @type {Item | null} */
  selected = null;
  /** The image beside the selected one. @type {Item | null} */
  compared = null;
  /** What `images` gave. @type {WeakMap<Item, File>} */
  #files = new WeakMap();
  /** @type {Map<Item, { resolve: (result: Result) => void, reject: (error: Error) => void }>} */
  #waiters = new Map();
  #hooks;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.queue = new Queue(hooks.classify, hooks.width);
    this.queue.addEventListener('change', (event) => this.#changed(/** @type {CustomEvent} */ (event).detail));
  }

  /** All results so far, in the order of arrival. */
  get results() {
    return this.queue.items.flatMap(({ result }) => result ?? []);
  }

  /** The images at hand, in order, as files named by their paths; for the same image always the same file. */
  get images() {
    return this.queue.items.flatMap((item) => {
      const { name, source } = item;
      if (!(source instanceof Blob)) return [];
      const file = this.#files.get(item) ?? (source instanceof File && source.name === name ? source : new File([source], name, source));
      this.#files.set(item, file);
      return [file];
    });
  }

  /** Whether somebody waits for a result. */
  get awaited() {
    return this.#waiters.size > 0;
  }

  /** The verdict to show: the model's, or "not sure" when the portal asks for more. @param {Item} item */
  verdict(item) {
    const result = /** @type {Result} */ (item.result);
    const threshold = this.#hooks.threshold();
    const named = result.classes.find(({ id }) => id === result.verdict);
    return named && threshold !== null && named.probability < threshold ? 'uncertain' : result.verdict;
  }

  /** @param {readonly import('./queue.js').Source[]} images @returns {Item[]} */
  add(images) {
    if (!this.#hooks.multiple()) this.queue.remove();
    this.queue.forget();
    const items = this.queue.add(images);
    this.select(items[0]);
    return items;
  }

  /**
   * The result of an image that was added in this turn: the queue settles none before the next.
   * @param {Item} item
   * @param {AbortSignal} [signal]
   * @returns {Promise<Result>}
   */
  resultOf(item, signal) {
    const stop = () => this.queue.cancel([item]);
    signal?.addEventListener('abort', stop);
    return new Promise((resolve, reject) => this.#waiters.set(item, { resolve, reject })).finally(() =>
      signal?.removeEventListener('abort', stop),
    );
  }

  /** Rejects all that wait for a result. @param {Failure} why */
  refuse(why) {
    for (const { reject } of this.#waiters.values()) reject(refusal(why));
    this.#waiters.clear();
  }

  /** @param {Item | null | undefined} item */
  select(item) {
    this.selected = item ?? null;
    if (this.compared === item || !this.#hooks.multiple()) this.compared = null;
    this.#hooks.onselect();
  }

  /** Selects the next image or the one before. @param {1 | -1} step */
  step(step) {
    this.select(this.#neighbour(step) ?? this.selected);
  }

  /** Puts an image beside the selected one; null: none. @param {Item | null} item */
  compare(item) {
    this.compared = item;
    this.#hooks.oncompare();
  }

  /** Begins or ends the comparison with a neighbour. */
  toggleCompare() {
    this.compare(this.compared ? null : (this.#neighbour(1) ?? this.#neighbour(-1)));
  }

  /** @param {readonly Item[]} items */
  remove(items) {
    if (items.length === 0) return;
    const next = this.#neighbour(1, items) ?? this.#neighbour(-1, items);
    this.queue.remove([...items]);
    for (const item of items) this.#hooks.onforget(item);
    if (this.compared && items.includes(this.compared)) this.compared = null;
    if (this.selected && items.includes(this.selected)) this.select(next ?? this.queue.items[0]);
  }

  clear() {
    this.remove([...this.queue.items]);
  }

  /** Brings back what was removed last. */
  undo() {
    if (this.queue.undo() === 0) return;
    this.select(this.selected ?? this.queue.items[0]);
  }

  /** @param {Item} item */
  retry(item) {
    this.#hooks.onforget(item); // its picture may have failed for the same reason
    this.queue.retry(item);
    this.#hooks.onselect();
  }

  /** Selects the first image if the selected one has gone. */
  keepSelection() {
    if (this.selected && !this.queue.items.includes(this.selected)) this.select(this.queue.items[0]);
  }

  /** @param {Item | null} item */
  #changed(item) {
    if (item && ENDED.includes(item.state)) this.#settle(item);
    this.#hooks.onchange(item);
  }

  /** @param {Item} item that has come to its end */
  #settle(item) {
    const waiter = this.#waiters.get(item);
    this.#waiters.delete(item);
    if (item.state === 'done' && item.result) waiter?.resolve(item.result);
    else waiter?.reject(refusal(item.error ?? { code: 'aborted', message: 'The image was cancelled.' }));
    this.#hooks.onend(item);
  }

  /**
   * The image before or after the selected one, as the table shows them.
   * @param {1 | -1} step
   * @param {readonly Item[]} [skip]
   */
  #neighbour(step, skip = []) {
    const items = this.#hooks.shown();
    let at = items.indexOf(/** @type {Item} */ (this.selected)) + step;
    while (skip.includes(items[at])) at += step;
    return items[at] ?? null;
  }
}
