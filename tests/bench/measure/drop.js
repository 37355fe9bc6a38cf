// drop.js - an image dropped on the element: how long until its verdict, and how long the page stood still meanwhile, until
// the image and its maps were painted. In pages only.
import { read, urlOf } from '../place/files.js';
import { summary } from '../stats.js';

/** Time in which nothing may be left to paint after the verdict, in milliseconds. */
const AFTERWARDS = 300;

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {{ path: string, rounds: number }} options path: of the file, within the repository
 */
export async function measureDrop({ path, rounds }) {
  await import(urlOf('build/web/define.js'));
  const lens = /** @type {import('../../../web/element.js').CxrLens} */ (document.createElement('cxr-lens'));
  lens.eager = true;
  document.body.append(lens);
  await lens.ready;
  const bytes = await read(path);
  const totals = [];
  const freezes = [];
  // The first rounds warm up.
  for (let round = -3; round < rounds; round++) {
    const { total, freeze } = await dropped(lens, new File([/** @type {any} */ (bytes)], 'image'));
    if (round < 0) continue;
    totals.push(total);
    freezes.push(freeze);
  }
  lens.remove();
  return { path, bytes: bytes.length, total: summary(totals), freeze: summary(freezes) };
}

/** @param {HTMLElement} lens @param {File} file */
async function dropped(lens, file) {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(file);
  const still = watch();
  const start = performance.now();
  const verdict = new Promise((resolve, reject) => {
    lens.addEventListener('cxr-result', () => resolve(performance.now() - start), { once: true });
    lens.addEventListener('cxr-error', (event) => reject(new Error(JSON.stringify(/** @type {CustomEvent} */ (event).detail))), {
      once: true,
    });
  });
  lens.dispatchEvent(new DragEvent('drop', { bubbles: true, composed: true, cancelable: true, dataTransfer }));
  const total = await verdict;
  await sleep(AFTERWARDS);
  return { total, freeze: still() };
}

/** Watches the page's thread. @returns {() => number} ends it: the longest time between two timers that fire as soon as they can */
function watch() {
  let [last, longest, on] = [performance.now(), 0, true];
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (on) setTimeout(tick);
  };
  tick();
  return () => {
    on = false;
    return longest;
  };
}
