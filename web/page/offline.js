/** Offline use: registers the service worker, offers its updates, takes shared files from it. */

/**
 * @typedef {object} Hooks
 * @property {(whole: boolean) => void} onstored whether the page now works offline
 * @property {(start: () => void, begun: boolean) => void} onupdate a new version waits, or has begun by another tab's
 *   wish; `start` reloads the page with it
 * @property {(files: File[]) => void} onshared files that another app shared with the installed page
 */

/** Longest wait for the service worker, which may have to fetch the model again. */
const CHECK_MS = 60_000;

/** Whether this page asked for the new version. */
let asked = false;

/** @param {Hooks} hooks */
export async function goOffline(hooks) {
  const workers = navigator.serviceWorker;
  if (!workers) return; // not on plain http, nor in some private windows
  let had = Boolean(workers.controller);
  workers.addEventListener('controllerchange', () => {
    const reload = () => location.reload();
    if (asked) reload();
    else if (had) hooks.onupdate(reload, true); // or it is the first installation, of this page's own version
    had = true;
  });
  workers.addEventListener('message', ({ data }) => {
    if (data?.type === 'shared') hooks.onshared(data.files);
  });
  const registration = await workers.register('sw.js');
  if (registration.waiting) offer(registration.waiting, hooks);
  registration.addEventListener('updatefound', () => watch(registration.installing, hooks));
  watch(registration.installing, hooks);
  await workers.ready;
  const check = async () => hooks.onstored(await isStored(registration));
  // What is said then is a promise, too.
  for (const kind of ['online', 'offline']) addEventListener(kind, check);
  await check();
  if (new URLSearchParams(location.search).has('shared')) workers.controller?.postMessage({ type: 'take-shared' });
}

/**
 * Asks the service worker whether it has all files in its store; it fetches those that the browser dropped.
 * @param {ServiceWorkerRegistration} registration
 * @returns {Promise<boolean>} false also where it says nothing for too long
 */
function isStored({ active }) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data === true);
    setTimeout(resolve, CHECK_MS, false);
    active?.postMessage({ type: 'check' }, [port2]);
  });
}

/** @param {ServiceWorker | null} worker @param {Hooks} hooks */
function watch(worker, hooks) {
  worker?.addEventListener('statechange', () => {
    // Without a controller this is the first installation, which needs no question.
    if (worker.state === 'installed' && navigator.serviceWorker.controller) offer(worker, hooks);
  });
}

/** @param {ServiceWorker} worker @param {Hooks} hooks */
function offer(worker, hooks) {
  hooks.onupdate(() => {
    asked = true;
    worker.postMessage({ type: 'activate' });
  }, false);
}
