/** Privacy and offline use: what the server sees, what is stored, how a new version arrives. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import { SITE, chest, file, idle, pick, ready, stage, stored } from '../support.js';

// A copy, because a test changes it the way a new release would.
const root = mkdtempSync(`${tmpdir()}/cxr-site-`);
cpSync(SITE, root, { recursive: true });
after(() => rmSync(root, { recursive: true, force: true }));
const site = stage(root);
const STORING = /** @type {const} */ ({ serviceWorkers: 'allow' });

test('once the page is loaded, reading images asks nothing of the network', async () => {
  const { page, troubles } = await site.open(STORING);
  await stored(page);
  await page.waitForTimeout(500);
  const before = site.hits.length;
  await pick(
    page,
    Array.from({ length: 8 }, (_, i) => file(`${i}.png`, chest(i))),
  );
  await idle(page, 8);
  await page.waitForTimeout(500);
  assert.deepEqual(site.hits.slice(before), []);
  assert.equal(await page.locator('#sent').innerText(), '0 bytes sent');
  assert.deepEqual(troubles, []);
});

test('the count is a count: a request made meanwhile is listed', async () => {
  const { page } = await site.open(STORING);
  await stored(page);
  await pick(page, [file('xray.png', chest())]);
  await idle(page, 1);
  await page.evaluate(() => fetch('nowhere.txt'));
  await page.locator('#sent', { hasText: '1 network request' }).waitFor();
  await page.locator('.sent summary').click();
  assert.match(await page.locator('#sent-list').innerText(), /nowhere\.txt/);
});

test('what another tab asks for, this one does not count', async () => {
  const { context, page } = await site.open(STORING);
  await stored(page);
  await pick(page, [file('xray.png', chest())]);
  await idle(page, 1);
  const other = await context.newPage();
  await other.goto(site.url);
  await ready(other);
  await other.evaluate(() => fetch('nowhere.txt'));
  await page.evaluate(() => fetch('elsewhere.txt'));
  await page.locator('#sent', { hasText: '1 network request' }).waitFor();
  assert.match(await page.locator('#sent-list').textContent().then(String), /elsewhere\.txt$/);
});

/** Takes files out of the store, as a browser does that needs room. @param {import('playwright-core').Page} page @param {string} names */
const evict = (page, names) =>
  page.evaluate(async (pattern) => {
    const cache = await caches.open((await caches.keys())[0]);
    const urls = (await cache.keys()).map(({ url }) => url).filter((url) => new RegExp(pattern).test(url));
    await Promise.all(urls.map((url) => cache.delete(url)));
    return urls.length;
  }, names);

test('what the browser dropped is stored again before the page says that it works offline', async () => {
  const { context, page } = await site.open(STORING);
  await page.locator('#network', { hasText: 'Works offline' }).waitFor();
  assert.ok((await evict(page, 'cxrm$|simd|relaxed|scalar|chunk|samples')) > 10);
  await page.reload();
  await page.locator('#network', { hasText: 'Works offline' }).waitFor();
  await context.setOffline(true);
  await page.reload();
  await page.locator('#network', { hasText: 'Offline: everything still works' }).waitFor();
  await pick(page, [file('xray.png', chest())]);
  await idle(page, 1);
});

test('a store with holes is never said to work offline', async () => {
  const { page } = await site.open(STORING);
  await page.locator('#network', { hasText: 'Works offline' }).waitFor();
  const lost = `${root}/samples/synthetic-normal-1.jpg`;
  renameSync(lost, `${lost}.away`); // as if there were no network: the file cannot be had again
  try {
    await evict(page, 'samples/synthetic-normal-1');
    await page.evaluate(() => dispatchEvent(new Event('offline')));
    await page.waitForFunction(() => document.getElementById('network')?.textContent === '');
  } finally {
    renameSync(`${lost}.away`, lost);
  }
});

test('the policy forbids other origins, and the page says that it was tried', async () => {
  const { page } = await site.open(STORING);
  await pick(page, [file('xray.png', chest())]);
  await idle(page, 1);
  await page.evaluate(() => fetch('https://example.com/').catch(() => {}));
  await page.locator('.sent summary').click();
  await page.locator('#sent-blocked', { hasText: '1 attempt' }).waitFor();
});

test('offline reload: the page starts, reads an image and says that it is offline', async () => {
  const { context, page } = await site.open(STORING);
  await stored(page);
  await context.setOffline(true);
  await page.reload();
  await ready(page);
  await page.locator('#network', { hasText: 'Offline' }).waitFor();
  await pick(page, [file('xray.png', chest())]);
  await idle(page, 1);
  assert.equal(await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).progress.done), 1);
});

test('no image is ever stored', async () => {
  const { page } = await site.open(STORING);
  await stored(page);
  await pick(page, [file('secret-name.png', chest())]);
  await idle(page, 1);
  await holdsNone(page);
});

/** That the browser stores nothing of the images called secret-name. @param {import('playwright-core').Page} page */
async function holdsNone(page) {
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const urls = await Promise.all(
      names.map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname)),
    );
    return {
      urls: urls.flat(),
      storage: JSON.stringify(localStorage) + JSON.stringify(sessionStorage),
      databases: (await indexedDB.databases()).length,
    };
  });
  assert.ok(kept.urls.length > 10);
  assert.deepEqual(
    kept.urls.filter((url) => !/\.(js|html|css|wasm|cxrm|svg|png|jpg|json|txt|webmanifest)$/.test(url)),
    [],
  );
  assert.doesNotMatch(kept.urls.join() + kept.storage, /secret-name/);
  assert.equal(kept.databases, 0);
}

test('the page can be installed', async () => {
  const { context, page } = await site.open(STORING);
  await stored(page);
  const session = await context.newCDPSession(page);
  const { errors } = await session.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  assert.deepEqual(
    installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito'),
    [],
  );
});

test('shared images reach the page through the service worker, and are stored nowhere', async () => {
  const { page } = await site.open(STORING);
  await stored(page);
  await page.evaluate(
    async (bytes) => {
      const form = new FormData();
      form.append('images', new File([new Uint8Array(bytes)], 'secret-name.png', { type: 'image/png' }));
      await fetch('share', { method: 'POST', body: form });
    },
    [...chest(5)],
  );
  await page.goto(`${site.url}?shared`);
  await idle(page, 1);
  await holdsNone(page);
});

test('a new version waits for the user, never interrupts a run, and then takes over', async () => {
  const { page } = await site.open(STORING);
  await stored(page);
  release('next');
  await page.evaluate(async () => {
    await (await navigator.serviceWorker.getRegistration())?.update();
  });
  await page.locator('#update-go').waitFor();
  await pick(
    page,
    Array.from({ length: 30 }, (_, i) => file(`${i}.png`, chest(i, 500))),
  );
  await page.waitForFunction(() => {
    const { done, open } = /** @type {any} */ (document.querySelector('cxr-lens')).progress;
    return done > 0 && open > 0 && /** @type {HTMLButtonElement} */ (document.getElementById('update-go')).disabled;
  });
  await idle(page, 30);
  await page.waitForFunction(() => !(/** @type {HTMLButtonElement} */ (document.getElementById('update-go')).disabled));
  const loaded = page.waitForEvent('load');
  await page.locator('#update-go').click();
  await loaded;
  assert.match(await page.evaluate(async () => (await fetch('app.css')).text()), /next release/);
  assert.equal(await page.evaluate(async () => (await caches.keys()).length), 1);
});

test('another installation on the same origin keeps its files', async () => {
  const { page } = await site.open(STORING);
  await stored(page);
  await page.evaluate(async () => {
    await caches.open('cxrlens-/beta/-1');
    for (const [name, path] of [
      ['cxrlens-0123456789abcdef', './'],
      ['cxrlens-fedcba9876543210', './beta/'],
    ]) {
      await (await caches.open(name)).put(new URL(`${path}index.html`, location.href), new Response());
    }
  });
  release('beside');
  await page.evaluate(async () => {
    await (await navigator.serviceWorker.getRegistration())?.update();
  });
  const loaded = page.waitForEvent('load');
  await page.locator('#update-go').click();
  await loaded;
  const left = await page.evaluate(() => caches.keys());
  assert.deepEqual(
    left.filter((name) => !/^cxrlens-\/-/.test(name)).sort(),
    ['cxrlens-/beta/-1', 'cxrlens-fedcba9876543210'],
    'ours of older names goes',
  );
});

test('of two tabs both come to the new version: one on request, the other when nothing is in hand', async () => {
  const { context, page } = await site.open(STORING);
  await stored(page);
  const [busy, empty] = [await context.newPage(), await context.newPage()];
  for (const tab of [busy, empty]) {
    await tab.goto(site.url);
    await ready(tab);
  }
  await pick(busy, [file('xray.png', chest())]);
  await idle(busy, 1);
  release('later');
  await page.evaluate(async () => {
    await (await navigator.serviceWorker.getRegistration())?.update();
  });
  await Promise.all([page, busy].map((tab) => tab.locator('#update-go').waitFor()));
  const loaded = [page, empty].map((tab) => tab.waitForEvent('load'));
  await page.locator('#update-go').click();
  await Promise.all(loaded);
  assert.equal(await busy.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results.length), 1, 'the image stays');
  const last = busy.waitForEvent('load');
  await busy.locator('#update-go').click();
  await last;
});

/** Changes the copy the way a release does: a file, its hash in the list, the version. @param {string} version */
function release(version) {
  const css = `${readFileSync(`${root}/app.css`, 'utf8')}\n/* next release */\n`;
  writeFileSync(`${root}/app.css`, css);
  const hash = createHash('sha256').update(css).digest('hex');
  const list = readFileSync(`${root}/precache.js`, 'utf8')
    .replace(/(['"]\.\/app\.css['"]:\s*['"])[0-9a-f]{64}/, `$1${hash}`)
    .replace(/(version:\s*['"])[^'"]+/, `$1${version}`);
  writeFileSync(`${root}/precache.js`, list);
}
