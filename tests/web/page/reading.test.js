/** Getting images in, and reading results. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { NO_RADIOGRAPHS, chest, file, radiographs, idle, pick, png, ready, stage, transfer } from '../support.js';

const site = stage();
const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');
/** What no model should take for a chest X-ray. */
const checks = png(300, 300, (x, y) => (((x >> 5) + (y >> 5)) % 2) * 255);

test('a frame of the page is drawn before module and model are asked for', async () => {
  const { page } = await site.open();
  // When a paint is on the screen is the browser's affair. Here frames are late: who does not wait for one comes before it.
  await page.addInitScript(() => {
    const next = requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) =>
      next(() =>
        setTimeout(() => {
          performance.mark('drawn');
          draw(performance.now());
        }, 700),
      );
  });
  await page.reload();
  await ready(page);
  const [drawn, ...asked] = await page.evaluate(() =>
    [
      performance.getEntriesByName('drawn')[0],
      ...performance.getEntriesByType('resource').filter(({ name }) => /[.](wasm|cxrm)$/.test(name)),
    ].map((entry) => entry.startTime),
  );
  assert.equal(asked.length, 2);
  assert.ok(
    asked.every((time) => time > drawn),
    `drawn at ${drawn} ms, asked at ${asked}`,
  );
});

test('a dropped image gets a verdict, four probabilities that sum to 1, a time and a notice', async () => {
  const { page, troubles } = await site.open();
  await transfer(page, 'drop', 'cxr-lens', [{ name: 'xray.png', buffer: chest() }]);
  await idle(page, 1);
  assert.notEqual(await lens(page).locator('h2.verdict').innerText(), '');
  assert.equal(await lens(page).locator('label.bar').count(), 4);
  const result = await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results[0]);
  const sum = result.classes.reduce((/** @type {number} */ s, /** @type {any} */ c) => s + c.probability, 0);
  assert.ok(Math.abs(sum - 1) < 1e-5);
  assert.match(await lens(page).locator('.facts summary').innerText(), /Read in .*m?s/);
  assert.match(await page.locator('[slot=notice]').innerText(), /Not a medical device/);
  assert.deepEqual(troubles, []);
});

test('an image dropped anywhere on the page is read', async () => {
  const { page } = await site.open();
  await transfer(page, 'drop', 'footer', [{ name: 'xray.png', buffer: chest() }]);
  await idle(page, 1);
});

test('a pasted image is read; pasted text is left alone', async () => {
  const { page } = await site.open();
  const left = await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'a word');
    return document.body.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData }));
  });
  assert.ok(left, 'nobody took the text');
  await transfer(page, 'paste', 'body', [{ name: 'pasted.png', buffer: chest(1) }]);
  await idle(page, 1);
});

test('a folder is read, without what systems leave in it', async () => {
  const path = mkdtempSync(`${tmpdir()}/cxr-folder-`);
  const names = ['xray10.png', 'xray2.png', 'xray1.png', 'a.png', 'xray3.png'];
  for (const name of [...names, '.DS_Store', 'Thumbs.db']) writeFileSync(`${path}/${name}`, chest(name.length));
  const { page } = await site.open();
  await page.locator('cxr-lens input[webkitdirectory]').setInputFiles(path);
  await idle(page, 5);
  rmSync(path, { recursive: true });
  const order = await lens(page).locator('button.open').allInnerTexts();
  assert.deepEqual(
    order.map((name) => name.split('/').pop()),
    ['a.png', 'xray1.png', 'xray2.png', 'xray3.png', 'xray10.png'],
  );
});

test('what in a folder is not an image is passed over and counted; what is named like one, or picked by itself, is not', async () => {
  const path = mkdtempSync(`${tmpdir()}/cxr-folder-`);
  for (const name of ['a.exe', 'b.png', 'broken.png', 'readme.txt'])
    writeFileSync(`${path}/${name}`, name === 'b.png' ? chest(1) : 'no image');
  const { page, troubles } = await site.open();
  await page.locator('cxr-lens input[webkitdirectory]').setInputFiles(path);
  await lens(page).locator('.alert', { hasText: '2 files in the folder are not images and were skipped.' }).waitFor();
  await idle(page, 2);
  const names = () => lens(page).locator('button.open').allInnerTexts();
  assert.deepEqual(
    (await names()).map((name) => name.split('/').pop()),
    ['b.png', 'broken.png'],
  );
  assert.match(await lens(page).locator('.file-name').innerText(), /b\.png$/, 'the first of them was selected, and is gone');
  await pick(page, [file('readme.txt', Buffer.from('no image'))]);
  await idle(page, 3);
  assert.equal((await names()).pop(), 'readme.txt');
  assert.ok(await lens(page).locator('.alert').isHidden());
  rmSync(`${path}/a.exe`);
  await page.locator('cxr-lens input[webkitdirectory]').setInputFiles(path);
  await lens(page).locator('.alert', { hasText: '1 file in the folder is not an image and was skipped.' }).waitFor();
  rmSync(path, { recursive: true });
  assert.deepEqual(troubles, []);
});

test('a folder is read though something in it cannot be opened, and a drop of nothing is told', async () => {
  const { page, troubles } = await site.open();
  const alert = lens(page).locator('.alert');
  await transfer(page, 'drop', 'cxr-lens', []);
  await alert.filter({ hasText: 'No files found in what you dropped' }).waitFor();
  await page.evaluate(
    (bytes) => {
      const entry = (/** @type {string} */ name, /** @type {any} */ more) => ({ name, isFile: true, ...more });
      const good = new File([new Uint8Array(bytes)], 'good.png');
      const inside = [
        entry('bad.png', {
          fullPath: '/folder/bad.png',
          file: (/** @type {any} */ _, /** @type {any} */ fail) => fail(new DOMException('gone', 'NotFoundError')),
        }),
        entry('good.png', { fullPath: '/folder/good.png', file: (/** @type {any} */ done) => done(good) }),
      ];
      const folder = entry('folder', {
        isFile: false,
        isDirectory: true,
        createReader: () => ({ readEntries: (/** @type {any} */ done) => done(inside.splice(0)) }),
      });
      const items = [{ kind: 'file', webkitGetAsEntry: () => folder }];
      /** @type {any} */ (document.querySelector('cxr-lens')).addFrom(new DragEvent('drop'), { items });
    },
    [...chest(1)],
  );
  await alert.filter({ hasText: '1 could not be read' }).waitFor();
  await idle(page, 1);
  const names = () =>
    page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).images.map((/** @type {File} */ { name }) => name));
  assert.deepEqual(await names(), ['folder/good.png'], 'a name without its folder may be that of two images');
  await pick(page, [file('next.png', chest(2))]);
  await alert.waitFor({ state: 'hidden' });
  assert.deepEqual(troubles, []);
});

test('bad files each get their own sentence, and stop nobody else', async () => {
  const { page, troubles } = await site.open();
  const good = chest(3);
  await pick(page, [
    file('empty.png', Buffer.alloc(0)),
    file('text.png', Buffer.from('not an image at all')),
    file('cut.png', good.subarray(0, good.length >> 1)),
    file(
      'tiny.png',
      png(20, 20, () => 100),
    ),
    file('<img src=x onerror=alert(1)>.png', Buffer.from('<svg>')),
    file('good.png', good),
  ]);
  await idle(page, 6);
  const reason = async (/** @type {string} */ name) => lens(page).locator('tbody tr', { hasText: name }).locator('.reason').innerText();
  assert.match(await reason('empty.png'), /empty/);
  assert.match(await reason('text.png'), /PNG, JPEG, DICOM/);
  assert.match(await reason('cut.png'), /damaged or cut off/);
  assert.match(await reason('tiny.png'), /too small/);
  assert.match(await reason('onerror'), /PNG, JPEG, DICOM/);
  assert.equal(await lens(page).locator('tbody tr[data-state=done]').count(), 1);
  await lens(page).getByRole('button', { name: 'cut.png', exact: true }).click();
  assert.match(await lens(page).locator('.answer').innerText(), /damaged or cut off/);
  assert.deepEqual(troubles, []);
});

test('a photograph of nothing medical is refused, with its figures folded away', async () => {
  const { page } = await site.open();
  await pick(page, [file('checks.png', checks)]);
  await idle(page, 1);
  assert.match(await lens(page).locator('h2.verdict').innerText(), /^Refused: this does not look like a frontal chest X.ray$/);
  assert.match(await lens(page).locator('.answer-head .says').innerText(), /^What to do: use the original/);
  assert.ok(await lens(page).getByRole('button', { name: 'Findings' }).isDisabled());
  assert.ok(await lens(page).locator('.answer .bars').isHidden());
  await lens(page).getByText('Show the figures anyway').click();
  assert.ok(await lens(page).locator('.answer .bars').isVisible());
});

test('real radiographs: most are named, and nearly all of those rightly', async (t) => {
  /** @type {Record<string, string>} */
  const folders = { normal: 'Normal', 'covid-19': 'COVID', 'lung-opacity': 'Lung_Opacity', 'viral-pneumonia': 'Viral_Pneumonia' };
  const paths = Object.entries(folders).flatMap(([id, folder]) =>
    (radiographs(`crd/${folder}/images`, 12) ?? []).map((path) => ({ id, path })),
  );
  if (paths.length === 0) return t.skip(NO_RADIOGRAPHS);
  const { page, troubles } = await site.open();
  await pick(
    page,
    paths.map(({ path }) => path),
  );
  await idle(page, paths.length);
  const verdicts = await page.evaluate(() =>
    /** @type {any} */ (document.querySelector('cxr-lens')).results.map((/** @type {any} */ r) => r.verdict),
  );
  const named = paths.map(({ id }, i) => ({ id, verdict: verdicts[i] })).filter(({ verdict }) => verdict !== 'uncertain');
  const right = named.filter(({ id, verdict }) => verdict === id).length;
  t.diagnostic(`of ${paths.length} radiographs, ${named.length} named, ${right} rightly`);
  assert.ok(named.length >= paths.length / 2 && right / named.length > 0.9);
  assert.deepEqual(troubles, []);
});

test('a synthetic image is one press away, or all of them', async () => {
  const { page, troubles } = await site.open();
  const samples = page.locator('[data-sample]:not(.all)');
  /** @returns {Promise<any[]>} */
  const results = () => page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results);
  assert.equal(await samples.count(), 4);
  for (let i = 0; i < 4; i++) {
    await samples.nth(i).waitFor(); // a press waits for nothing
    await samples.nth(i).press('Enter');
    await idle(page, 1);
    await lens(page).locator('.answer:focus').waitFor();
    assert.ok((await results())[0].gate.accepted);
    await lens(page).getByRole('button', { name: 'Clear all' }).click();
  }
  await page.getByRole('button', { name: 'All eight at once' }).click();
  await idle(page, 8);
  const all = await results();
  assert.ok(all.every(({ gate }) => gate.accepted));
  // Each is drawn from one class's images, so the engine should see that class in it.
  const best = (/** @type {any} */ { classes }) =>
    classes.reduce((/** @type {any} */ a, /** @type {any} */ b) => (b.probability > a.probability ? b : a)).id;
  assert.deepEqual(
    all.map((result) => `synthetic-${best(result)}`),
    all.map(({ file }) => file.replace(/-\d\.jpg$/, '')),
  );
  assert.deepEqual(troubles, []);
});
