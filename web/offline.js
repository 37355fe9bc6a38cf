/** Offline use: registers the service worker, offers its updates, takes shared files from it. */

/**
 * @typedef {object} Hooks
 * @property {() => void} onstored the page now works offline
 * @property {(start: () => void) => void} onupdate a new version waits; `start` switches to it and reloads
 * @property {(files: File[]) => void} onshared files that another app shared with the installed page
 */

/** @param {Hooks} hooks */
export async function goOffline(hooks) {
  const workers = navigator.serviceWorker;
  if (!workers) return; // not on plain http, nor in some private windows
  workers.addEventListener('message', ({ data }) => {
    if (data?.type === 'shared') hooks.onshared(data.files);
  });
  const registration = await workers.register('sw.js');
  if (registration.waiting) offer(registration.waiting, hooks);
  registration.addEventListener('updatefound', () => watch(registration.installing, hooks));
  watch(registration.installing, hooks);
  await workers.ready;
  hooks.onstored();
  if (new URLSearchParams(location.search).has('shared')) workers.controller?.postMessage({ type: 'take-shared' });
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
    navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
    worker.postMessage({ type: 'activate' });
  });
}
