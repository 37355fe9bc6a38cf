/**
 * What the browser tests share: a server of build/web, Chromium, generated images, the page's parts.
 * The images are drawn here; no patient's radiograph is ever part of the repository.
 */
import { after, afterEach, before } from 'node:test';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { chromium } from 'playwright-core';
import { createStaticServer } from '../../web/server/serve.js';
import { png } from '../png.js';

export { png };

/** Radiographs for tests that need real ones; those are skipped where this folder is missing. */
const DATA = process.env.CXR_DATA ?? '../shared/data';
/** What is tested. */
export const SITE = process.env.CXR_SITE ?? 'build/web';
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
];

/** Longest wait for one step: the machine may be busy with other tests. */
export const PATIENCE = 60_000;

/**
 * One server and one browser for a test file.
 * @param {string} [root]
 */
export function stage(root = SITE) {
  const stage = {
    url: '',
    /** Paths asked of the server, service worker and workers included. @type {string[]} */
    hits: [],
    /** @type {import('playwright-core').Browser} */
    browser: /** @type {any} */ (null),
    /** @type {import('node:http').Server} */
    server: /** @type {any} */ (null),
    /** @param {import('playwright-core').BrowserContextOptions} [options] */
    open: (options) => openPage(stage, options),
  };
  before(async () => {
    const server = await createStaticServer(root);
    stage.server = server;
    server.on('request', ({ url }) => stage.hits.push(String(url)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = /** @type {import('node:net').AddressInfo} */ (server.address());
    stage.url = `http://localhost:${address.port}/`;
    stage.browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  });
  afterEach(() => Promise.all(stage.browser.contexts().map((context) => context.close())));
  after(async () => {
    await stage.browser?.close();
    stage.server?.closeAllConnections();
    stage.server?.close();
  });
  return stage;
}

/**
 * A fresh profile with the page open and the classifier ready; it is closed after the test. `troubles` collects
 * what a page must never have: errors, policy violations, requests to another origin.
 * Storing the page for offline use takes its time, so only those tests that ask for it have a service worker.
 * @param {{ url: string, browser: import('playwright-core').Browser }} stage
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
async function openPage(stage, options = {}) {
  const context = await stage.browser.newContext({
    locale: 'en-US',
    viewport: { width: 1280, height: 900 },
    serviceWorkers: 'block',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  // From the start: a chooser that opens before the browser knows that somebody listens is never told of.
  page.on('filechooser', () => {});
  /** @type {string[]} */
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(message.text());
  });
  context.on('request', (request) => {
    if (!/^(blob|data|about):/.test(request.url()) && !request.url().startsWith(stage.url)) troubles.push(`request to ${request.url()}`);
  });
  await page.goto(stage.url);
  await ready(page);
  return { context, page, troubles };
}

/** @typedef {import('playwright-core').Page} Page */

/** Waits for the classifier. @param {Page} page */
export async function ready(page) {
  await page.locator('cxr-lens .status[data-state=ready]').waitFor({ state: 'attached' });
}

/** Waits for what the page fetches once the classifier is ready. @param {Page} page */
export async function fetched(page) {
  await page.waitForFunction(() =>
    ['export', 'print', 'occlusion', 'guidance', 'help'].every((name) =>
      performance.getEntriesByType('resource').some((entry) => new RegExp(`/${name}-\\w+\\.js$`).test(entry.name)),
    ),
  );
}

/** Waits until the page is stored for offline use and the service worker is in charge. @param {Page} page */
export async function stored(page) {
  await page.waitForFunction(() => Boolean(navigator.serviceWorker.controller));
}

/** Waits until nothing is waiting or running, and shown so: the page draws once a frame. @param {Page} page @param {number} total */
export async function idle(page, total) {
  await page.waitForFunction(
    (n) => {
      const { progress } = /** @type {any} */ (document.querySelector('cxr-lens'));
      return progress.total === n && progress.open === 0;
    },
    total,
    { timeout: PATIENCE * 2 },
  );
  await page.evaluate(() => document.hidden || new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
}

/** Picks files through the element's own input. @param {Page} page @param {any} files */
export async function pick(page, files) {
  await page.locator('cxr-lens input[type=file]').first().setInputFiles(files);
}

/** A file as Playwright wants it. @param {string} name @param {Buffer} buffer @param {string} [mimeType] */
export const file = (name, buffer, mimeType = 'image/png') => ({ name, mimeType, buffer });

/**
 * Fires a drop or a paste with files, as the browser would.
 * @param {Page} page
 * @param {'drop' | 'paste'} kind
 * @param {string} selector where
 * @param {{ name: string, buffer: Buffer }[]} files
 */
export async function transfer(page, kind, selector, files) {
  await page.evaluate(
    ({ kind, selector, files }) => {
      const data = new DataTransfer();
      for (const { name, bytes } of files) data.items.add(new File([new Uint8Array(bytes)], name));
      const options = { bubbles: true, composed: true, cancelable: true };
      const event =
        kind === 'drop'
          ? new DragEvent('drop', { ...options, dataTransfer: data })
          : new ClipboardEvent('paste', { ...options, clipboardData: data });
      document.querySelector(selector)?.dispatchEvent(event);
    },
    { kind, selector, files: files.map(({ name, buffer }) => ({ name, bytes: [...buffer] })) },
  );
}

// ---- images ---------------------------------------------------------------------------------------------------

/** A chest X-ray that gets an answer: COVID-19. All that is drawn below is refused. */
export const sample = readFileSync(new URL('../../web/samples/synthetic-covid-19-1.jpg', import.meta.url));

/**
 * A gray PNG of something like a chest: a bright body with two dark lungs, varied by `seed`.
 * @param {number} [seed]
 * @param {number} [side]
 */
export function chest(seed = 0, side = 256) {
  const shift = (((seed * 37) % 21) - 10) / 200;
  return png(side, side, (x, y) => {
    const u = x / side - 0.5 + shift;
    const v = y / side - 0.5;
    const body = Math.max(0, 1 - ((u / 0.48) ** 2 + (v / 0.7) ** 2) ** 2);
    const lung = (/** @type {number} */ cx) => Math.exp(-((((u - cx) / 0.13) ** 2 + ((v + 0.05) / 0.28) ** 2) ** 1.5));
    const ribs = 12 * Math.sin(40 * v + 9 * Math.abs(u) + seed);
    return 20 + 190 * body - 130 * (lung(-0.19) + lung(0.19)) * body + ribs * body + ((x * 7 + y * 13 + seed) % 5);
  });
}

/**
 * Paths of real radiographs, or null where there are none.
 * @param {string} folder below the data
 * @param {number} count
 */
export function radiographs(folder, count) {
  const path = `${DATA}/${folder}`;
  if (!existsSync(path)) return null;
  return readdirSync(path)
    .sort()
    .slice(0, count)
    .map((name) => `${path}/${name}`);
}

export const NO_RADIOGRAPHS = `no radiographs at ${DATA}`;
