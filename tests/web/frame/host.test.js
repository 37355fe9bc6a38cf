/** The host's script and the frame of another origin. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { transform } from 'esbuild';
import { chest, file, SITE } from '../support.js';
import { origin, visit, answered } from './portals.js';

test('the host’s script is below 2 KB, minified and by gzip', async (t) => {
  const { code } = await transform(readFileSync(`${SITE}/cxrlens-embed.js`, 'utf8'), { minify: true, format: 'esm' });
  const size = gzipSync(code, { level: 9 }).length;
  t.diagnostic(`${size} bytes`);
  assert.ok(size < 2048, `${size}`);
  assert.doesNotMatch(code, /\bimport\b/, 'it is copied to other sites by itself');
});

test('the example with the frame needs only frame-src', async () => {
  const { page, troubles } = await visit(`${origin.frame}/examples/iframe.html`, [origin.lens]);
  const lens = page.frameLocator('iframe').locator('cxr-lens');
  await lens.locator('.status[data-state=ready]').waitFor({ state: 'attached' });
  const before = (await page.locator('iframe').boundingBox())?.height ?? 0;
  await lens
    .locator('input[type=file]')
    .first()
    .setInputFiles(file('dropped.png', chest(1)));
  await answered(page, /^dropped\.png: [a-z]/);
  await page.locator('body > input').setInputFiles(file('given.png', chest(2)));
  await page.locator('#answer[data-verdict]').waitFor();
  await page.waitForFunction((height) => /** @type {HTMLElement} */ (document.querySelector('iframe')).clientHeight > height, before);
  await page.locator('body > input').setInputFiles(file('bad.png', Buffer.from('no image')));
  await answered(page, /\[image-format\]$/);
  assert.equal(await page.locator('iframe').evaluate((frame) => frame.scrollHeight > frame.clientHeight), false);
  assert.deepEqual(troubles, []);
});

/**
 * Opens the frame's portal with the host's script loaded.
 * @param {string} [from]
 */
async function portal(from = origin.frame) {
  const visited = await visit(`${from}/`, [origin.lens]);
  await visited.page.evaluate(
    async ({ lens }) => {
      const { embed } = await import(/** @type {string} */ ('/cxrlens-embed.js'));
      const self = /** @type {any} */ (window);
      self.open_ = (/** @type {object} */ options) => embed(document.querySelector('#lens'), `${lens}/embed.html`, options);
      self.told = (/** @type {Promise<any>} */ promise) =>
        promise.then(
          (value) => value?.schema ?? 'done',
          ({ code }) => code,
        );
    },
    { lens: origin.lens },
  );
  return visited;
}

test('promises, events, settings, cancelling and removal through the host’s script', async () => {
  const { page, troubles } = await portal();
  const seen = await page.evaluate(
    async (bytes) => {
      const { open_, told } = /** @type {any} */ (window);
      /** @type {string[]} */
      const events = [];
      const lens = await open_({ lang: 'ko', theme: 'dark' });
      for (const kind of ['ready', 'progress', 'result', 'error']) lens.addEventListener(`cxr-${kind}`, () => events.push(kind));
      const given = new Uint8Array(bytes);
      const result = await lens.classify(given, { file: 'given.png' });
      const called = new File([new Uint8Array(bytes)], 'own.png');
      const names = [(await lens.classify(called)).file, (await lens.classify(called, { file: 'case-17' })).file];
      const many = await Promise.all([
        told(lens.classify(new Blob([new Uint8Array(bytes)]))),
        told(lens.classify(new Blob(['no image']))),
        told(lens.classify('text')),
      ]);
      const controller = new AbortController();
      const aborted = [
        told(lens.classify(new Blob([new Uint8Array(bytes)]), { signal: controller.signal })),
        told(lens.classify(new Uint8Array(9), { signal: AbortSignal.abort() })),
      ];
      controller.abort();
      const wrong = await told(lens.configure({ theme: 'pink' }));
      const unknown = await told(lens.configure({ modelUrl: 'https://evil.example/' }));
      await lens.configure({ disabled: true });
      const disabled = await told(lens.classify(new Uint8Array(bytes)));
      await lens.configure({ disabled: false, doubtThreshold: 1, noGuidance: true });
      await lens.clear();
      await lens.cancel();
      // The user loads the frame anew: what is pending ends, and the settings come back.
      const pending = told(lens.classify(new Blob([new Uint8Array(bytes)])));
      const src = lens.frame.src;
      lens.frame.src = 'about:blank';
      const lost = await pending;
      lens.frame.src = src;
      await new Promise((resolve) => lens.addEventListener('cxr-ready', resolve, { once: true }));
      const again = await told(lens.classify(new Uint8Array(bytes)));
      const last = told(lens.classify(new Uint8Array(bytes)));
      lens.remove();
      return {
        result,
        names,
        gone: given.byteLength,
        many,
        aborted: await Promise.all(aborted),
        wrong,
        unknown,
        disabled,
        lost,
        again,
        last: await last,
        after: await told(lens.classify(new Uint8Array(bytes))),
        info: lens.info.model.classes.length,
        kinds: [...new Set(events)].sort(),
        frames: document.querySelectorAll('iframe').length,
      };
    },
    [...chest(1)],
  );
  assert.deepEqual(seen.names, ['own.png', 'case-17']);
  assert.equal(seen.result.schema, 'cxrlens.result/2');
  assert.equal(seen.result.file, 'given.png');
  assert.equal(seen.result.maps.opacities.values.length, 144);
  assert.equal(seen.gone, 0, 'the bytes were given away, not copied');
  assert.deepEqual(seen.many, ['cxrlens.result/2', 'image-format', 'argument']);
  assert.deepEqual(seen.aborted, ['aborted', 'aborted']);
  assert.deepEqual([seen.wrong, seen.unknown, seen.disabled], ['argument', 'argument', 'disabled']);
  assert.deepEqual([seen.lost, seen.again, seen.last, seen.after], ['aborted', 'cxrlens.result/2', 'aborted', 'aborted']);
  assert.equal(seen.info, 4);
  for (const kind of ['error', 'progress', 'result']) assert.ok(seen.kinds.includes(kind), kind);
  assert.equal(seen.frames, 0);
  assert.deepEqual(
    troubles.filter((text) => !/postMessage.*about:blank|target origin/.test(text)),
    [],
  );
});

test('language and theme reach the frame, from its address and by message', async () => {
  const { page } = await portal();
  await page.evaluate(async () => {
    /** @type {any} */ (window).lens = await /** @type {any} */ (window).open_({ lang: 'ko', theme: 'dark' });
  });
  const inside = /** @type {import('playwright-core').Frame} */ (page.frames().find((frame) => frame.url().includes('embed.html')));
  const looks = () =>
    inside.evaluate(() => ({ lang: document.documentElement.lang, scheme: getComputedStyle(document.documentElement).colorScheme }));
  assert.deepEqual(await looks(), { lang: 'ko', scheme: 'dark' });
  await page.evaluate(() => /** @type {any} */ (window).lens.configure({ lang: 'en', theme: 'light' }));
  assert.deepEqual(await looks(), { lang: 'en', scheme: 'light' });
  await inside.goto(`${origin.lens}/embed.html?lang=ko&theme=dark`);
  assert.deepEqual(await looks(), { lang: 'ko', scheme: 'dark' });
});

test('where no frame of ours is, a host gets a typed error', async () => {
  const { page } = await portal();
  const code = await page.evaluate(async (lens) => {
    const { embed } = await import(/** @type {string} */ ('/cxrlens-embed.js'));
    return embed(document.querySelector('#lens'), `${lens}/missing.html`, { patience: 1500 }).catch(
      (/** @type {any} */ error) => error.code,
    );
  }, origin.lens);
  assert.equal(code, 'timeout');
  assert.equal(await page.locator('iframe').count(), 0);
});
