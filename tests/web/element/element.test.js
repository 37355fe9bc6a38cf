/** <cxr-lens> as a portal uses it: attributes, properties, methods, events, forms, coming and going. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chest, file, idle, pick, sample, stage } from '../support.js';

const site = stage();

/** @typedef {any} Lens */

/** That no worker is left behind. @param {import('playwright-core').Page} page */
async function noWorkers(page) {
  for (let i = 0; i < 100 && page.workers().length > 0; i++) await page.waitForTimeout(50);
  assert.equal(page.workers().length, 0);
}

test('classify() gives the result, and events tell the same, composed', async () => {
  const { page, troubles } = await site.open();
  const seen = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
      /** @type {string[]} */
      const events = [];
      for (const kind of ['cxr-progress', 'cxr-result', 'cxr-error']) {
        document.addEventListener(kind, (event) => events.push(`${kind} ${event.composed}`));
      }
      const result = await lens.classify(new Uint8Array(bytes));
      const error = await lens.classify(new Blob(['no image'])).catch((/** @type {any} */ reason) => reason);
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      return { result, code: error.code, events, same: lens.results[0] === result, frozen: Object.isFrozen(result) };
    },
    [...chest()],
  );
  assert.equal(seen.result.schema, 'cxrlens.result/2');
  assert.equal(seen.code, 'image-format');
  assert.ok(seen.same && seen.frozen);
  for (const kind of ['cxr-progress true', 'cxr-result true', 'cxr-error true']) assert.ok(seen.events.includes(kind), kind);
  assert.deepEqual(troubles, []);
});

test('properties set before the upgrade, attributes, a portal’s own words', async () => {
  const { page } = await site.open();
  await page.route('**/portal.html', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><cxr-lens></cxr-lens>' }));
  await page.goto(`${site.url}portal.html`);
  const seen = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
      lens.multiple = true;
      lens.noGuidance = true;
      lens.doubtThreshold = 1;
      lens.strings = { 'verdict.uncertain': 'Ask a radiologist' };
      await import(new URL('./define.js', location.href).href);
      await lens.classify(new Uint8Array(bytes));
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const text = lens.shadowRoot.querySelector('.verdict').innerText;
      return { attributes: lens.getAttributeNames().sort(), text, guidance: lens.shadowRoot.querySelectorAll('.guidance').length };
    },
    [...sample],
  );
  assert.deepEqual(seen, { attributes: ['doubt-threshold', 'multiple', 'no-guidance'], text: 'Ask a radiologist', guidance: 0 });
});

test('a module of one’s own and the number of workers are taken', async () => {
  const { page } = await site.open();
  const [kernels, workers] = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
        lens.wasmUrl = 'cxrlens-scalar.wasm';
        lens.workers = 1;
        lens.addEventListener('cxr-ready', (/** @type {any} */ { detail }) => resolve([detail.kernels, detail.workers]));
        document.body.append(lens);
      }),
  );
  assert.deepEqual([kernels, workers], ['ref', 1]);
});

test('without keys letters change nothing, Delete and Ctrl+Z still do', async () => {
  const { page } = await site.open();
  const lens = page.locator('cxr-lens');
  await pick(page, [file('xray.jpg', sample, 'image/jpeg')]);
  await idle(page, 1);
  const map = lens.locator('canvas.map');
  await map.waitFor();
  await lens.locator('.answer').focus();
  const press = async (/** @type {string} */ key) => {
    await page.keyboard.press(key);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  };
  for (const without of [false, true]) {
    await lens.evaluate((node, on) => {
      /** @type {Lens} */ (node).noKeys = on;
    }, without);
    const before = await map.isVisible();
    await press('m');
    assert.equal(await map.isVisible(), without ? before : !before);
  }
  await press('Delete');
  await idle(page, 0);
  await press('Control+z');
  await idle(page, 1);
});

test('without `multiple` a new image takes the place of the old', async () => {
  const { page } = await site.open();
  const count = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      document.body.append(lens);
      await lens.classify(new Uint8Array(bytes));
      await lens.classify(new Uint8Array(bytes));
      return lens.results.length;
    },
    [...chest()],
  );
  assert.equal(count, 1);
});

test('it has a value in a form', async () => {
  const { page } = await site.open();
  const [answer, doubt, ...rest] = await page.evaluate(
    async (bytes) => {
      const form = document.createElement('form');
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      const value = () => JSON.parse(String(new FormData(form).get('xray')));
      lens.name = 'xray';
      form.append(lens);
      document.body.append(form);
      await lens.classify(new Uint8Array(bytes));
      const values = [value()];
      lens.doubtThreshold = 1;
      values.push(value());
      lens.clear();
      values.push(value());
      lens.undo();
      values.push(value().length);
      lens.disabled = true;
      values.push(value());
      lens.disabled = false;
      lens.remove();
      values.push(value());
      return values;
    },
    [...sample],
  );
  assert.deepEqual([answer[0].schema, answer[0].verdict, answer[0].maps], ['cxrlens.result/2', 'covid-19', undefined]);
  assert.equal(doubt[0].verdict, 'uncertain', 'by the threshold of the portal');
  assert.deepEqual(rest, [[], 1, null, null], 'cleared, brought back, disabled, removed');
});

test('a form that is reset forgets the image, and one that is disabled takes none', async () => {
  const { page } = await site.open();
  const seen = await page.evaluate(
    async (bytes) => {
      const form = document.createElement('form'),
        fieldset = document.createElement('fieldset');
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      lens.name = 'xray';
      fieldset.append(lens);
      form.append(fieldset);
      document.body.append(form);
      await lens.classify(new Uint8Array(bytes));
      form.reset();
      lens.undo();
      const left = String(new FormData(form).get('xray'));
      await lens.classify(new Uint8Array(bytes));
      lens.clear();
      form.reset();
      const undo = lens.shadowRoot.querySelector('.undo').checkVisibility();
      fieldset.disabled = true;
      const code = await lens.classify(new Uint8Array(bytes)).catch((/** @type {any} */ error) => error.code);
      const buttons = [...lens.shadowRoot.querySelectorAll('.drop button')].map((button) => button.disabled);
      fieldset.disabled = false;
      return [
        left,
        undo,
        code,
        buttons,
        (await lens.classify(new Uint8Array(bytes))).schema,
        await lens.classify('text').catch((/** @type {any} */ error) => error.code),
      ];
    },
    [...chest()],
  );
  assert.deepEqual(seen, ['[]', false, 'disabled', [true], 'cxrlens.result/2', 'argument']);
});

test('a threshold that is no number is none, and is told of', async () => {
  const { page } = await site.open();
  /** @type {string[]} */
  const warned = [];
  page.on('console', (message) => warned.push(message.text()));
  const read = await page.evaluate(() =>
    ['0,95', '95', '95%', '', ' .9 '].map((value) => {
      const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
      lens.setAttribute('doubt-threshold', value);
      return lens.doubtThreshold;
    }),
  );
  assert.deepEqual(read, [null, null, null, null, 0.9]);
  assert.equal(warned.filter((text) => /doubt-threshold/.test(text)).length, 4);
});

test('disabled, it takes nothing', async () => {
  const { page } = await site.open();
  const seen = await page.evaluate(
    (bytes) => {
      const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
      lens.disabled = true;
      lens.add([new Blob([new Uint8Array(bytes)])]);
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(bytes)], 'xray.png'));
      const left = ['dragover', 'drop'].filter((kind) => lens.dispatchEvent(new DragEvent(kind, { dataTransfer, cancelable: true })));
      return [lens.progress.total, left];
    },
    [...chest()],
  );
  assert.deepEqual(seen, [0, []], 'nor does it leave an image to the browser, which would open it in its place');
});

test('disabled, what is shown can still be looked at, before and after it is drawn anew', async () => {
  const { page } = await site.open();
  const off = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
      await lens.classify(new Blob([new Uint8Array(bytes)]));
      lens.disabled = true;
      const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const of = (/** @type {string} */ selector) =>
        [...lens.shadowRoot.querySelectorAll(selector)].map((/** @type {any} */ each) => each.disabled);
      const all = () =>
        ['.answer input', '.opacity', 'input[type=search]', '.bar > button', 'input[type=file]'].map((selector) => new Set(of(selector)));
      await drawn();
      const before = all();
      lens.noGuidance = true; // draws it anew
      await drawn();
      return [before, all()].map((sets) => sets.map((set) => [...set].join()));
    },
    [...readFileSync(new URL('../../../web/samples/synthetic-normal-1.jpg', import.meta.url))],
  );
  const want = ['false', 'false', 'false', 'true', 'true'];
  assert.deepEqual(off, [want, want]);
});

test('src is read at once; a missing one is an error event', async () => {
  const { page } = await site.open();
  await page.route('**/xray.png', (route) => route.fulfill({ body: chest(), contentType: 'image/png' }));
  const seen = await page.evaluate(async () => {
    const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
    const event = (/** @type {string} */ kind) =>
      new Promise((resolve) => lens.addEventListener(kind, (/** @type {CustomEvent} */ e) => resolve(e.detail), { once: true }));
    document.body.append(lens);
    const good = event('cxr-result');
    lens.src = 'xray.png';
    const { file } = await good;
    const bad = event('cxr-error');
    lens.src = 'missing.png';
    return { file, code: (await bad).error.code };
  });
  assert.deepEqual(seen, { file: 'xray.png', code: 'network' });
});

test('of two images asked for by src the last one counts, not the slowest', async () => {
  const { page } = await site.open();
  const slow = page.waitForResponse('**/slow.png');
  await page.route('**/slow.png', async (route) => {
    await page.waitForFunction(() => /** @type {Lens} */ (document.querySelector('body > cxr-lens')).results.length > 0);
    await route.fulfill({ body: chest(1), contentType: 'image/png' });
  });
  await page.route('**/quick.png', (route) => route.fulfill({ body: chest(2), contentType: 'image/png' }));
  await page.evaluate(() => {
    const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
    document.body.append(lens);
    lens.src = 'slow.png';
    lens.src = 'quick.png';
  });
  await (await slow).finished();
  await page.waitForTimeout(300);
  assert.deepEqual(
    await page.evaluate(() =>
      /** @type {Lens} */ (document.querySelector('body > cxr-lens')).images.map((/** @type {File} */ { name }) => name),
    ),
    ['quick.png'],
  );
});

test('ten elements share one pool; moving one keeps its work; removing all ends the workers', async () => {
  const { page } = await site.open();
  await page.evaluate(
    async (bytes) => {
      const all = Array.from({ length: 10 }, () => /** @type {Lens} */ (document.createElement('cxr-lens')));
      document.body.append(...all);
      await Promise.all(all.map((lens) => lens.classify(new Uint8Array(bytes))));
      const moved = all[0].classify(new Uint8Array(bytes));
      document.querySelector('main')?.append(all[0]);
      await moved;
    },
    [...chest()],
  );
  const most = await page.evaluate(() => Math.min(4, navigator.hardwareConcurrency));
  assert.ok(page.workers().length <= most, `${page.workers().length} workers`);
  await page.evaluate(() => document.querySelectorAll('cxr-lens').forEach((lens) => lens.remove()));
  await noWorkers(page);
});

test('taken out while it reads, it goes on when it comes back; who waited is told', async () => {
  const { page } = await site.open();
  const seen = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      lens.multiple = true;
      document.body.append(lens);
      await lens.ready;
      lens.add(Array.from({ length: 20 }, () => new Blob([new Uint8Array(bytes)])));
      const waiting = lens.classify(new Uint8Array(bytes)).catch((/** @type {any} */ error) => error.code);
      lens.remove();
      const told = await waiting;
      document.body.append(lens);
      await new Promise((resolve) => lens.addEventListener('cxr-progress', () => lens.progress.open === 0 && resolve(null)));
      return [told, lens.progress.done];
    },
    [...chest()],
  );
  assert.deepEqual(seen, ['aborted', 21]);
});

test('asked from outside the page whether it is ready, it leaves no worker behind', async () => {
  const { page } = await site.open();
  await page.evaluate(async () => {
    document.querySelector('cxr-lens')?.remove();
    const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
    await lens.ready;
  });
  await noWorkers(page);
});

test('outside of a document it classifies, and leaves no worker behind', async () => {
  const { page } = await site.open();
  const seen = await page.evaluate(
    async (bytes) => {
      document.querySelector('cxr-lens')?.remove();
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      const asked = lens.classify(new Uint8Array(bytes));
      await lens.ready;
      await asked;
      await lens.classify(new Uint8Array(bytes));
      document.body.append(lens);
      await lens.classify(new Uint8Array(bytes));
      lens.remove();
      await new Promise((resolve) => setTimeout(resolve));
      return (await lens.classify(new Uint8Array(bytes))).schema;
    },
    [...chest()],
  );
  assert.equal(seen, 'cxrlens.result/2');
  await noWorkers(page);
});

test('taken out and put in again, it shows what it is given', async () => {
  const { page } = await site.open();
  await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      lens.id = 'back';
      document.body.append(lens);
      await lens.classify(new Uint8Array(bytes));
      lens.remove(); // before the next frame
      await new Promise((resolve) => setTimeout(resolve));
      document.body.append(lens);
      await lens.classify(new Uint8Array(bytes));
    },
    [...chest()],
  );
  await page.locator('#back h2.verdict:not(.quiet)').waitFor({ timeout: 10_000 });
});

test('taken out during an occlusion test, it draws nothing until it comes back', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('xray.jpg', sample)]);
  await idle(page, 1);
  await page.locator('cxr-lens canvas.image').waitFor();
  const drawn = await page.evaluate(async () => {
    const lens = /** @type {Lens} */ (document.querySelector('cxr-lens')),
      place = lens.parentNode;
    lens.shadowRoot.querySelector('.states button:last-child').click();
    lens.remove();
    const { observe } = ResizeObserver.prototype;
    let viewers = 0;
    ResizeObserver.prototype.observe = function watched(/** @type {Parameters<typeof observe>} */ ...args) {
      viewers += 1;
      return observe.apply(this, args);
    };
    await new Promise((resolve) => setTimeout(resolve, 2000)); // the test ends, or fails for want of its workers
    const away = viewers;
    lens.lang = 'ko';
    place.append(lens);
    return away;
  });
  assert.equal(drawn, 0);
  await page.locator('cxr-lens').getByRole('button', { name: '가림 민감도' }).waitFor();
  assert.deepEqual(troubles, []);
});

test('a hundred elements come, read an image and go without leaving anything behind', async (t) => {
  const { context, page } = await site.open();
  const session = await context.newCDPSession(page);
  const rounds = (/** @type {number} */ count) =>
    page.evaluate(
      async ({ n, bytes }) => {
        for (let i = 0; i < n; i++) {
          const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
          document.body.append(lens);
          await lens.classify(new Uint8Array(bytes));
          await new Promise((resolve) => requestAnimationFrame(resolve));
          lens.remove();
          await new Promise((resolve) => setTimeout(resolve));
        }
      },
      { n: count, bytes: [...chest()] },
    );
  await rounds(20);
  const before = await heap(session);
  await rounds(100);
  const grown = ((await heap(session)) - before) / 1024;
  t.diagnostic(`${grown.toFixed(0)} KB more after 100 elements`);
  assert.ok(grown < 300, `${grown} KB`);
});

test('an image that was shown is let go once another has taken its place', async () => {
  const { context, page } = await site.open();
  const session = await context.newCDPSession(page);
  await page.evaluate(
    async (bytes) => {
      const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
      document.body.append(lens);
      for (let i = 0; i < 12; i++) {
        await lens.classify(new Uint8Array(bytes));
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      }
    },
    [...chest()],
  );
  await heap(session);
  const { result } = await session.send('Runtime.evaluate', { expression: 'Blob.prototype' });
  const { objects } = await session.send('Runtime.queryObjects', { prototypeObjectId: String(result.objectId) });
  const { result: count } = await session.send('Runtime.callFunctionOn', {
    objectId: objects.objectId,
    functionDeclaration: 'function () { return this.length }',
    returnByValue: true,
  });
  assert.ok(count.value <= 4, `${count.value} images`);
});

/** @param {import('playwright-core').CDPSession} session */
async function heap(session) {
  await new Promise((resolve) => setTimeout(resolve, 800));
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize;
}

test('a model named just after the element came into the page is the one that is used', async () => {
  const { page } = await site.open();
  const code = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const lens = /** @type {Lens} */ (document.createElement('cxr-lens'));
        for (const kind of ['cxr-ready', 'cxr-error'])
          lens.addEventListener(kind, (/** @type {any} */ event) => resolve(event.detail.error?.code));
        document.body.append(lens);
        lens.modelUrl = 'missing.cxrm';
      }),
  );
  assert.equal(code, 'network');
});

test('a model that is not there: a sentence, an event, and a way to try again', async () => {
  const { page } = await site.open();
  const code = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const lens = document.createElement('cxr-lens');
        lens.id = 'broken';
        lens.setAttribute('model-url', 'missing.cxrm');
        lens.addEventListener('cxr-error', (/** @type {any} */ event) => resolve(event.detail.error.code));
        document.body.append(lens);
      }),
  );
  assert.equal(code, 'network');
  await page.locator('#broken').locator('.alert').getByRole('button', { name: 'Try again' }).waitFor();
  await idle(page, 0);
});
