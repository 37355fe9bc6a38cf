/** The element on foreign pages, under a strict policy, and hostile use of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chest, file } from '../support.js';
import { origin, visit, answered } from './portals.js';

test('the example with the element runs on a foreign page, under a strict policy, from one copied folder', async () => {
  const { context, page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  await page.locator('cxr-lens .status[data-state=ready]').waitFor({ state: 'attached' });
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('a.png', chest(1)));
  await answered(page, /^a\.png: (normal|covid-19|viral-pneumonia|lung-opacity|uncertain|not-a-chest-x-ray)/);
  await page.locator('cxr-lens h2.verdict').waitFor();
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('b.png', Buffer.from('no image')));
  await answered(page, /^b\.png: .*\[image-format\]$/);
  const seen = await page.evaluate(async () => ({
    image: new FormData(/** @type {HTMLFormElement} */ (document.querySelector('form'))).get('image'),
    workers: (await navigator.serviceWorker.getRegistrations()).length,
    stored:
      Object.keys(localStorage).length +
      Object.keys(sessionStorage).length +
      (await indexedDB.databases()).length +
      (await caches.keys()).length,
    isolated: crossOriginIsolated,
  }));
  assert.equal(seen.image, '[]', 'an image that failed leaves no result');
  assert.deepEqual([seen.workers, seen.stored, seen.isolated], [0, 0, false], 'no service worker, no storage, no isolation');
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual(troubles, []);
});

test('a model of a later format: a typed error, for those who wait too, and a way on', async () => {
  const { page } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const codes = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {any} */ (document.createElement('cxr-lens'));
      const event = new Promise((resolve) =>
        lens.addEventListener('cxr-error', (/** @type {any} */ e) => resolve(e.detail.error.code), { once: true }),
      );
      lens.modelUrl = '/later.cxrm';
      document.body.append(lens);
      const codeOf = (/** @type {any} */ error) => error.code;
      const early = await lens.classify(new Uint8Array(bytes)).catch(codeOf);
      const late = await lens.classify(new Uint8Array(bytes)).catch(codeOf);
      const ready = await lens.ready.catch(codeOf);
      const told = await event;
      lens.modelUrl = '/cxrlens/cxrlens.cxrm';
      const { schema } = await lens.classify(new Uint8Array(bytes));
      return { early, late, ready, told, schema };
    },
    [...chest()],
  );
  assert.deepEqual(codes, {
    early: 'model-version',
    late: 'model-version',
    ready: 'model-version',
    told: 'model-version',
    schema: 'cxrlens.result/2',
  });
});

test('two models at once keep apart, and so do the results of many elements', async () => {
  const { page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const xrays = [0, 1, 2].map((seed) => [...chest(seed)]);
  const seen = await page.evaluate(async (xrays) => {
    const make = (/** @type {string} */ model) => {
      const lens = /** @type {any} */ (document.createElement('cxr-lens'));
      lens.multiple = true;
      if (model) lens.modelUrl = model;
      document.body.append(lens);
      return lens;
    };
    const lenses = [make(''), make('/cxrlens/cxrlens.cxrm'), make(''), make('/later.cxrm')];
    return Promise.all(
      lenses.map((lens) =>
        Promise.all(
          xrays.map(async (bytes) => {
            const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
            const own = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
            return lens.classify(new Uint8Array(bytes)).then(
              (/** @type {any} */ { sha256, classes }) => [sha256 === own, JSON.stringify(classes)],
              (/** @type {any} */ { code }) => code,
            );
          }),
        ),
      ),
    );
  }, xrays);
  assert.ok(
    seen[0].every(([own]) => own === true),
    'each answer is of the image it was asked about',
  );
  assert.deepEqual(seen[1], seen[0]);
  assert.deepEqual(seen[2], seen[0]);
  assert.deepEqual(
    seen[3],
    xrays.map(() => 'model-version'),
  );
  assert.deepEqual(troubles, []);
});

test('abort at any moment: an answer or a typed error, never silence; the next image is read', async () => {
  const { page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const seen = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
      lens.multiple = true;
      const image = new Blob([new Uint8Array(bytes)]);
      const told = (/** @type {Promise<any>} */ promise) =>
        promise.then(
          ({ schema }) => schema,
          ({ code }) => code,
        );
      const before = AbortSignal.abort();
      const outcomes = [await told(lens.classify(image, { signal: before }))];
      await lens.ready;
      for (const delay of [-1, 0, 1, 4, 16, 64, 256]) {
        const controller = new AbortController();
        const running = [told(lens.classify(image, { signal: controller.signal })), told(lens.classify(image))];
        if (delay < 0) controller.abort();
        else setTimeout(() => controller.abort(), delay);
        outcomes.push(...(await Promise.all(running)));
      }
      const pending = told(lens.classify(image));
      lens.remove();
      outcomes.push(await pending);
      lens.disabled = true;
      outcomes.push(await told(lens.classify(image)));
      return outcomes;
    },
    [...chest(0, 512)],
  );
  assert.equal(seen[0], 'aborted');
  assert.equal(seen[1], 'aborted');
  for (const [k, each] of seen.slice(1, -2).entries()) {
    if (k % 2) assert.equal(each, 'cxrlens.result/2', 'its neighbour is not touched');
    else assert.match(each, /^(aborted|cxrlens\.result\/2)$/);
  }
  assert.deepEqual(seen.slice(-2), ['aborted', 'disabled']);
  assert.deepEqual(troubles, []);
});

test('a file of 1 GB and things that are no image are refused at once', async () => {
  const { page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const codes = await page.evaluate(async () => {
    const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
    lens.multiple = true;
    const block = new Blob([new Uint8Array(2 ** 24)]);
    const inputs = [
      new Blob(Array(64).fill(block)),
      new Uint8Array(300 * 2 ** 20),
      new Blob([]),
      'text',
      null,
      undefined,
      {},
      [1, 2],
      new ImageData(1, 1),
    ];
    return Promise.all(
      inputs.map((input) =>
        lens.classify(input).then(
          () => 'taken',
          (/** @type {any} */ { code }) => code,
        ),
      ),
    );
  });
  assert.deepEqual(codes.slice(0, 3), ['image-file-size', 'image-file-size', 'image-empty']);
  for (const code of codes.slice(3)) assert.match(code, /^(image-format|image-small|argument)$/);
  assert.deepEqual(troubles, []);
});
