/**
 * The page in Chromium for a long time, and what may go wrong around it: `MINUTES=n node --test tests/soak/page.js`. Half the
 * time goes to thousands of images, the rest to workers that crash, a full disk, and a network that breaks during an update.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { randomSource } from '../web/dicom/write.js';
import { held } from '../web/page/session.js';
import { chest, file, idle, pick, ready, SITE, stage, stored } from '../web/support.js';

const MINUTES = Number(process.env.MINUTES || 4);
const SEED = Number(process.env.SEED || Date.now() % 1e9);
const random = randomSource(SEED);
/** The end of a test that may take this part of the time. @param {number} part */
const endOf = (part) => Date.now() + part * MINUTES * 60_000;

// A copy, because a test changes it the way a new release would.
const root = mkdtempSync(`${tmpdir()}/cxr-soak-`);
cpSync(SITE, root, { recursive: true });
after(() => rmSync(root, { recursive: true, force: true }));
const site = stage(root);
const pictures = Array.from({ length: 20 }, (_, i) => chest(i, 300));

/** @typedef {import('playwright-core').Page} Page */

/** Gives the element images made in the page, so that thousands need not be sent to it. @param {Page} page @param {number} count */
const give = (page, count) =>
  page.evaluate(
    ({ count, pictures }) => {
      const store = /** @type {any} */ (globalThis);
      store.soakPictures ??= pictures.map((each) => Uint8Array.from(atob(each), (c) => c.charCodeAt(0)));
      const bytes = store.soakPictures;
      const files = Array.from({ length: count }, (_, i) => new File([bytes[i % bytes.length]], `${i}.png`, { type: 'image/png' }));
      /** @type {any} */ (document.querySelector('cxr-lens')).add(files);
    },
    { count, pictures: pictures.map((each) => each.toString('base64')) },
  );
/** @param {Page} page @returns {Promise<{ done: number, failed: number }>} */
const progress = (page) => page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).progress);
const clear = (/** @type {Page} */ page) => page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).clear());
/** Reads one image, to see that all is well. @param {Page} page */
async function reads(page) {
  await clear(page);
  await pick(page, file('xray.png', pictures[0]));
  await idle(page, 1);
  assert.equal((await progress(page)).done, 1);
}

test('5,000 images through one page, with flat memory', async (t) => {
  const [ROUND, ROUNDS, WARM_UP] = [250, 20, 3];
  const { context, page, troubles } = await site.open();
  const [session, browser] = [await context.newCDPSession(page), await site.browser.newBrowserCDPSession()];
  /** Megabytes of JavaScript objects, and of the process of the page with its workers. */
  const memory = async () => {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    const { processInfo } = await browser.send('SystemInfo.getProcessInfo');
    const resident = processInfo
      .filter(({ type }) => type === 'renderer')
      .map(({ id }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) / 1024);
    return { heap: usedSize / 2 ** 20, resident: Math.max(...resident) };
  };
  const samples = [];
  for (const end = endOf(0.5); samples.length < 2 || (samples.length < ROUNDS && Date.now() < end); ) {
    await give(page, ROUND);
    await idle(page, ROUND);
    assert.equal((await progress(page)).done, ROUND);
    await clear(page);
    samples.push(await memory());
  }
  t.diagnostic(
    `${samples.length * ROUND} images; MB after each ${ROUND}: ${samples.map(({ heap, resident }) => `${heap.toFixed(1)}+${resident.toFixed(0)}`).join(' ')}`,
  );
  const [first, last] = [samples[Math.min(WARM_UP, samples.length - 2)], samples[samples.length - 1]];
  assert.ok(last.heap - first.heap < 4, 'JavaScript objects grow');
  assert.ok(last.resident - first.resident < 60, 'the process grows');
  assert.deepEqual(troubles, []);
});

test('workers that crash: the images at hand fail by name, all others are read', async (t) => {
  const { page } = await site.open();
  await page.evaluate(() => {
    const store = /** @type {any} */ (globalThis);
    store.soakErrors = [];
    document.addEventListener('cxr-error', ({ detail }) => store.soakErrors.push(detail.error.code));
  });
  let [killed, failed, images] = [0, 0, 0];
  for (const end = endOf(0.15); Date.now() < end; images += 40) {
    await give(page, 40);
    for (let n = 1 + random(3); n > 0; n--) {
      await page.waitForTimeout(random(400));
      const workers = page.workers();
      const crash = () =>
        void setTimeout(() => {
          throw new Error('killed');
        });
      if (workers.length)
        await workers[random(workers.length)].evaluate(crash).then(
          () => killed++,
          () => {},
        ); // it may be gone
    }
    await idle(page, 40);
    const { done, failed: now } = await progress(page);
    assert.equal(done + now, 40);
    const errors = await page.evaluate(() => /** @type {any} */ (globalThis).soakErrors.splice(0));
    assert.deepEqual(errors, Array(now).fill('worker-failed'));
    failed += now;
    await reads(page);
    await clear(page);
  }
  t.diagnostic(`${killed} workers killed, ${failed} of ${images} images failed with them`);
  assert.ok(killed > 0 && failed <= killed);
});

test('storage full: images are read, the page says what it cannot keep, and keeps it once there is room', async (t) => {
  let rounds = 0;
  for (const end = endOf(0.15); rounds === 0 || Date.now() < end; rounds++) {
    const { context, page } = await site.open({ serviceWorkers: 'allow' });
    const session = await context.newCDPSession(page);
    const quota = (/** @type {number} */ quotaSize) =>
      session.send('Storage.overrideQuotaForOrigin', { origin: site.url, ...(quotaSize ? { quotaSize } : {}) });
    await stored(page);
    await quota(1 + random(200_000));
    await pick(
      page,
      pictures.map((picture, i) => file(`${i}.png`, picture)),
    );
    await idle(page, pictures.length);
    await page.getByText('Keep this session').click();
    await page.locator('#keep').click();
    await page.getByText('could not be kept').waitFor();
    assert.equal((await progress(page)).done, pictures.length);
    await quota(0);
    await page.reload();
    await ready(page);
    const kept = await held(page); // some, but each whole
    for (const { name, bytes } of kept) assert.ok(pictures[parseInt(name, 10)].equals(Buffer.from(bytes ?? [])), name);
    await idle(page, kept.length);
    await pick(page, file('xray.png', pictures[0]));
    const count = kept.length + 1;
    await page.getByText(`${count} ${count === 1 ? 'image is' : 'images are'} kept on this device.`).waitFor({ state: 'attached' });
    assert.equal((await held(page)).length, count);
    await context.close();
  }
  t.diagnostic(`${rounds} rounds`);
});

/** Changes every text of the copy, its hash in the list, and the version. @param {string} version @returns {Record<string, string>} the list */
function release(version) {
  const list = readFileSync(`${root}/precache.js`, 'utf8').replace(/(version: ')[^']+/, `$1${version}`);
  const changed = list.replace(/'(\.\/[^']+\.(?:js|css|txt))': '[0-9a-f]{64}'/g, (_, path) => {
    const text = `${readFileSync(`${root}/${path}`, 'utf8')}\n`;
    writeFileSync(`${root}/${path}`, text);
    return `'${path}': '${createHash('sha256').update(text).digest('hex')}'`;
  });
  writeFileSync(`${root}/precache.js`, changed);
  return Object.fromEntries([...changed.matchAll(/'(\.\/[^']+)': '([0-9a-f]{64})'/g)].map(([, path, hash]) => [path, hash]));
}

test('the network breaks during an update: the old version works on, whole; later the new one comes, whole', async (t) => {
  const { page } = await site.open({ serviceWorkers: 'allow' });
  await page.locator('#network', { hasText: 'Works offline' }).waitFor();
  let left = Infinity; // requests until it breaks
  site.server.prependListener('request', ({ socket }) => left-- > 0 || socket.destroy());
  const update = () =>
    page.evaluate(async () =>
      (await navigator.serviceWorker.getRegistration())?.update().then(
        () => {},
        () => {},
      ),
    );
  let rounds = 0;
  for (const end = endOf(0.2); rounds === 0 || Date.now() < end; rounds++) {
    const list = release(`soak-${SEED}-${rounds}`);
    left = 2 + random(Object.keys(list).length / 2);
    await update();
    await page.waitForTimeout(random(1500));
    left = 0;
    await page.reload();
    await ready(page);
    await reads(page);
    left = Infinity;
    await update();
    await page.locator('#update-go').waitFor();
    await clear(page);
    const loaded = page.waitForEvent('load');
    await page.locator('#update-go').click();
    await loaded;
    await reads(page);
    const caches = await page.evaluate(cachesOf);
    assert.equal(caches.length, 1, 'one version');
    assert.deepEqual(caches[0], list);
  }
  t.diagnostic(`${rounds} updates, seed ${SEED}`);
});

/** Runs in the page: what it stores, by path. @returns {Promise<Record<string, string | null>[]>} */
async function cachesOf() {
  return Promise.all(
    (await caches.keys()).map(async (name) => {
      const cache = await caches.open(name);
      const entries = (await cache.keys()).map(async (request) => {
        const response = await cache.match(request);
        return [`./${new URL(request.url).pathname.slice(1)}`, response?.headers.get('x-cxrlens-sha256') ?? null];
      });
      return Object.fromEntries((await Promise.all(entries)).sort());
    }),
  );
}
