/**
 * One classifier, with its workers and its model, for all elements of a page that ask for the same.
 */

import { createClassifier } from '../classifier.js';

/**
 * @typedef {Awaited<ReturnType<typeof createClassifier>>} Classifier
 * @typedef {{ wasmUrl?: string, modelUrl?: string, workers?: number, eager?: boolean }} Wanted
 * @typedef {{ ready: Promise<Classifier>, users: number }} Entry
 */

/** @type {Map<string, Entry>} */
const entries = new Map();

/** How long a frame is waited for that may never come: frames out of sight show none. */
const FRAME_MS = 2000;

/** An element that is moved in the document leaves and comes back at once: wait before freeing. */
const GRACE_MS = 500;

/**
 * Gets the shared classifier; it is loaded on first use.
 * @param {Wanted} wanted
 * @returns {{ ready: Promise<Classifier>, release: () => void }} call `release` once
 */
export function acquire(wanted) {
  // Not by `eager`, or one page would have two pools of the same: the first who asks decides.
  const key = JSON.stringify([wanted.wasmUrl, wanted.modelUrl, wanted.workers]);
  const entry = entries.get(key) ?? open(key, wanted);
  entry.users += 1;
  return { ready: entry.ready, release: () => release(key, entry) };
}

/**
 * @param {string} key
 * @param {Wanted} wanted
 */
function open(key, wanted) {
  const entry = { ready: shown().then(() => createClassifier(wanted)), users: 0 };
  entries.set(key, entry);
  // A failed start is forgotten, so that the next one who asks tries again.
  entry.ready.catch(() => forget(key, entry));
  return entry;
}

/** Settles when the page has been painted: on a slow network the model would come before what there is to see. */
function shown() {
  return document.hidden
    ? Promise.resolve()
    : new Promise((resolve) => {
        requestAnimationFrame(() => setTimeout(resolve)); // the callback comes before the paint, the timer after it
        setTimeout(resolve, FRAME_MS);
      });
}

/**
 * @param {string} key
 * @param {Entry} entry
 */
function release(key, entry) {
  entry.users -= 1;
  setTimeout(() => {
    if (entry.users > 0 || entries.get(key) !== entry) return;
    forget(key, entry);
    entry.ready.then(
      (classifier) => classifier.dispose(),
      () => {},
    );
  }, GRACE_MS);
}

/**
 * @param {string} key
 * @param {Entry} entry
 */
function forget(key, entry) {
  if (entries.get(key) === entry) entries.delete(key);
}
