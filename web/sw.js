/**
 * Makes the page work offline. The build lists every file of the page with its SHA-256 in precache.js; a
 * change of any of them is a new version, which waits until the page asks for it.
 *
 * Only listed files are ever stored. Images stay in the page's memory; shared ones pass through this
 * worker's memory and are stored nowhere.
 */
importScripts('./precache.js');

const { version, files } = self.cxrPrecache;
/** All that share an origin share its store: another installation's files are not ours to delete. */
const PREFIX = `cxrlens-${new URL(self.registration.scope).pathname}-`;
const CACHE = `${PREFIX}${version}`;
/** Names from when they did not tell the scope yet. */
const SCOPELESS = /^cxrlens-[0-9a-f]{16}$/;
/** A stored answer says which content it holds, so that the next version can take it over. */
const HASH = 'x-cxrlens-sha256';

/** Images from the share sheet, until a page takes them. */
let shared = [];

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('fetch', (event) => {
  const answer = route(event);
  if (answer) event.respondWith(answer);
});
self.addEventListener('message', (event) => {
  if (event.data?.type === 'activate') self.skipWaiting();
  if (event.data?.type === 'take-shared') {
    event.source.postMessage({ type: 'shared', files: shared });
    shared = [];
  }
  if (event.data?.type === 'check') event.waitUntil(check(event.ports[0]));
});

/** Stores all files, or none: a mixture of versions must never run. */
async function install() {
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(Object.entries(files).map(([path, hash]) => store(cache, path, hash)));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/** Tells whether all files are stored, those stored again that the browser had dropped under pressure. */
async function check(port) {
  port.postMessage(
    await mend().then(
      () => true,
      () => false,
    ),
  );
}

/** Stores what is missing. */
async function mend() {
  const cache = await caches.open(CACHE);
  const present = new Set((await cache.keys()).map(({ url }) => url));
  const missing = Object.entries(files).filter(([path]) => !present.has(urlOf(path)));
  await Promise.all(missing.map(([path, hash]) => store(cache, path, hash)));
}

/** A path of precache.js as the address that it is stored under. */
const urlOf = (path) => new URL(path, self.registration.scope).href;

async function store(cache, path, hash) {
  const url = urlOf(path);
  const known = await fromOlder(url, hash);
  await cache.put(url, known ?? (await fetched(url, hash)));
}

/** The same content from the version in use, to spare the network. */
async function fromOlder(url, hash) {
  for (const name of await older()) {
    const response = await (await caches.open(name)).match(url);
    if (response?.headers.get(HASH) === hash) return response;
  }
  return null;
}

/** Fetches a file and checks that it is the one that was built. */
async function fetched(url, hash) {
  const response = await fetch(url, { cache: 'no-cache', credentials: 'omit' });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const body = await response.arrayBuffer();
  const found = [...new Uint8Array(await crypto.subtle.digest('SHA-256', body))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (found !== hash) throw new Error(`${url}: not the file that was built`);
  const headers = new Headers(response.headers);
  // The body is stored decoded: its old length and encoding would be wrong.
  headers.delete('content-encoding');
  headers.delete('content-length');
  headers.set(HASH, hash);
  return new Response(body, { status: 200, headers });
}

/** The stores of our versions before. */
async function older() {
  const names = (await caches.keys()).filter((name) => name !== CACHE);
  const ours = await Promise.all(
    names.map(
      async (name) =>
        name.startsWith(PREFIX) || (SCOPELESS.test(name) && (await caches.open(name)).match(`${self.registration.scope}index.html`)),
    ),
  );
  return names.filter((_, i) => ours[i]);
}

async function activate() {
  await Promise.all((await older()).map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** Who answers a request: nothing returned leaves it to the browser. */
function route(event) {
  const { request } = event;
  const url = new URL(request.url);
  const path = pathOf(url);
  if (request.method === 'POST' && path === './share') return takeShared(event);
  if (request.method === 'GET' && path !== null && Object.hasOwn(files, path)) return stored(path, request, event);
  tell(event, request.url);
  return null;
}

/** The path as precache.js writes it; null outside of this page's folder. */
function pathOf(url) {
  const { href } = new URL(self.registration.scope);
  const plain = url.origin + url.pathname;
  if (!plain.startsWith(href)) return null;
  return `./${plain.slice(href.length) || 'index.html'}`;
}

async function stored(path, request, event) {
  const cache = await caches.open(CACHE);
  const response = await cache.match(urlOf(path));
  if (response) return response;
  // The browser may have dropped the store under pressure: the network still has the file.
  tell(event, request.url);
  return fetch(request);
}

/** Tells the page that a request goes to the network, so that it can count it. A worker's request may belong to any page, so all get it. */
async function tell(event, url) {
  if (event.request.mode === 'navigate') return;
  const client = await self.clients.get(event.clientId);
  const pages = client?.type === 'window' ? [client] : await self.clients.matchAll({ type: 'window' });
  for (const page of pages) page.postMessage({ type: 'network', url });
}

async function takeShared(event) {
  const form = await event.request.formData();
  shared = form.getAll('images').filter((each) => each instanceof File);
  return Response.redirect('./?shared', 303);
}
