/**
 * Counts what leaves this device, so that "0 bytes sent" is a count and not a promise. The browser lists the
 * page's requests; the service worker, once in charge, tells of every request of page and workers alike
 * that it passes to the network; the security policy tells of those it blocked.
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
  const observer = new PerformanceObserver((list) => {
    const sent = list
      .getEntries()
      .filter((entry) => entry.startTime >= from && leftDevice(/** @type {PerformanceResourceTiming} */ (entry)));
    if (sent.length === 0) return;
    traffic.requests.push(...sent.map(({ name }) => name));
    onchange(traffic);
  });
  observer.observe({ type: 'resource' });
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (data?.type !== 'network' || traffic.requests.includes(data.url)) return;
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

/**
 * Whether a request went to the network. One that the service worker answered from its store did not: the
 * worker itself tells of those that it could not answer.
 * @param {PerformanceResourceTiming} entry
 */
function leftDevice(entry) {
  return !LOCAL.test(entry.name) && !(entry.workerStart > 0 && navigator.serviceWorker?.controller);
}
