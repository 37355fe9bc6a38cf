/**
 * Counts what leaves this device, so that "0 bytes sent" is a measurement and not a promise. Until a service worker controls
 * the page, the browser's list of requests counts. From then on only the service worker's reports count: it reports every
 * request of page and workers that it passes to the network. The browser's list would also have those that it answered from
 * its cache, and not every browser says which. The security policy reports what it blocked.
 */

/** Addresses that name memory, not a host. */
const LOCAL = /^(blob|data|about):/;

/** @typedef {{ requests: string[], blocked: string[] }} Traffic */

/**
 * Starts counting from now.
 * @param {(traffic: Traffic) => void} onchange
 */
export function countTraffic(onchange) {
  /** @type {Traffic} */
  const traffic = { requests: [], blocked: [] };
  const from = performance.now();
  let controlled = navigator.serviceWorker?.controller ? from : Number.POSITIVE_INFINITY;
  navigator.serviceWorker?.addEventListener('controllerchange', () => {
    controlled = Math.min(controlled, performance.now());
  });
  const observer = new PerformanceObserver((list) => {
    const sent = list.getEntries().filter(({ startTime, name }) => startTime >= from && startTime < controlled && !LOCAL.test(name));
    if (sent.length === 0) return;
    traffic.requests.push(...sent.map(({ name }) => name));
    onchange(traffic);
  });
  observer.observe({ type: 'resource' });
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (data?.type !== 'network') return;
    traffic.requests.push(data.url);
    onchange(traffic);
  });
  // Where both the server and the document bring a policy, each tells of the same attempt.
  /** @type {Map<string, string[]>} */
  const byPolicy = new Map();
  document.addEventListener('securitypolicyviolation', ({ originalPolicy, blockedURI }) => {
    byPolicy.set(originalPolicy, [...(byPolicy.get(originalPolicy) ?? []), blockedURI]);
    traffic.blocked = [...byPolicy.values()].reduce((most, each) => (each.length > most.length ? each : most));
    onchange(traffic);
  });
  onchange(traffic);
}
