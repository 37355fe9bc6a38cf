/** Many images: table, exports, printed report, cancelling and undo. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chest, fetched, file, idle, pick, png, sample, stage } from '../support.js';
import { exported, print } from './outputs.js';

const site = stage();
const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');
/** What no model should take for a chest X-ray. */
const checks = png(300, 300, (x, y) => (((x >> 5) + (y >> 5)) % 2) * 255);

test('the table sorts and filters', async () => {
  const { page } = await site.open();
  await pick(page, [file('b.png', chest(2)), file('a.png', chest(1)), file('bad.png', Buffer.from('x'))]);
  await idle(page, 3);
  const names = async () => lens(page).locator('tbody button.open').allInnerTexts();
  assert.deepEqual(await names(), ['b.png', 'a.png', 'bad.png']);
  await lens(page).getByRole('button', { name: 'File', exact: true }).click();
  assert.deepEqual(await names(), ['a.png', 'b.png', 'bad.png']);
  assert.equal(await lens(page).locator('th.file[scope=col]').getAttribute('aria-sort'), 'ascending');
  await lens(page).getByLabel('Find a file').fill('BAD');
  assert.deepEqual(await names(), ['bad.png']);
  await lens(page).getByLabel('Find a file').fill('');
  await lens(page).getByLabel('Show', { exact: true }).selectOption('failed');
  assert.deepEqual(await names(), ['bad.png']);
});

test('a filter ends with the table that shows it', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1)), file('b.png', chest(2))]);
  await idle(page, 2);
  await lens(page).getByLabel('Find a file').fill('a.png');
  await lens(page).getByRole('button', { name: 'Remove a.png' }).click();
  await idle(page, 1);
  assert.equal(await lens(page).locator('.file-name').innerText(), 'b.png');
  await lens(page).locator('.menu summary').click();
  const download = page.waitForEvent('download');
  await lens(page).getByRole('button', { name: 'Table (CSV)' }).click();
  assert.match(readFileSync(await (await download).path(), 'utf8'), /\r\nb\.png,/);
});

test('going through the images scrolls the table, not the page', async () => {
  const { page } = await site.open();
  await pick(
    page,
    Array.from({ length: 30 }, (_, i) => file(`${i}.png`, Buffer.from('x'))),
  );
  await idle(page, 30);
  await page.evaluate(() => scrollTo(0, 0));
  /** How far the selected row is within the box and below its head. */
  const room = () =>
    lens(page)
      .locator('.scroll')
      .evaluate((box) => {
        const [row, head] = ['tr.selected', 'thead th'].map((part) =>
          /** @type {Element} */ (box.querySelector(part)).getBoundingClientRect(),
        );
        return Math.min(row.top - head.bottom, box.getBoundingClientRect().bottom - row.bottom);
      });
  for (const key of ['n', 'p']) {
    for (let i = 0; i < 20; i++) await page.locator('body').press(key);
    assert.ok((await room()) >= -1, `${await room()} pixels after ${key}`);
  }
  assert.equal(await page.evaluate(() => scrollY), 0);
});

test('exports: CSV that no spreadsheet runs, JSON by the schema, names left out on request', async () => {
  const { page } = await site.open();
  await pick(page, [file('=HYPERLINK("http:x").png', chest(1)), file('b.png', Buffer.from('x'))]);
  await idle(page, 2);
  const csv = await exported(page, 'Table (CSV)');
  assert.match(csv, /^\uFEFFfile,sha256,verdict,normal,covid-19/);
  assert.match(csv, /"'=HYPERLINK\(""http:x""\)\.png"/);
  assert.match(csv, /b\.png,.*image-format/);
  const [first, second] = JSON.parse(await exported(page, 'Data (JSON)'));
  assert.equal(first.schema, 'cxrlens.result/2');
  assert.equal(first.classes.length, 4);
  assert.equal(first.maps.lungs.values.length, first.maps.lungs.width * first.maps.lungs.height);
  assert.deepEqual(Object.keys(first.frame), ['x', 'y', 'width', 'height']);
  assert.equal(second.error.code, 'image-format');
  await lens(page).locator('.menu summary').click();
  await lens(page).getByLabel('Include file names').uncheck();
  await lens(page).locator('.menu summary').click();
  const anonymous = await exported(page, 'Data (JSON)');
  assert.doesNotMatch(anonymous, /HYPERLINK|b\.png/);
  assert.equal(JSON.parse(anonymous)[0].sha256, null);
});

test('an export and an occlusion test that fail are told of', async () => {
  const { page } = await site.open();
  await pick(page, [file('xray.jpg', sample, 'image/jpeg')]);
  await idle(page, 1);
  const alert = lens(page).locator('.alert');
  await page.evaluate(() => {
    URL.createObjectURL = () => {
      throw new DOMException('gone', 'NotReadableError');
    };
  });
  await lens(page).locator('.menu summary').click();
  await lens(page).getByRole('button', { name: 'Table (CSV)' }).click();
  await alert.filter({ hasText: 'The file could not be opened.' }).waitFor();
  await page.evaluate(() => {
    Uint16Array.from = () => {
      throw new Error('no room');
    };
  });
  await lens(page).getByRole('button', { name: 'Occlusion' }).click();
  await alert.filter({ hasText: 'no room' }).waitFor();
});

test('without a service worker too, reading and exporting ask nothing of the network', async () => {
  const { page, context } = await site.open();
  await fetched(page);
  const before = site.hits.length;
  await pick(
    page,
    Array.from({ length: 8 }, (_, i) => file(`${i}.png`, chest(i))),
  );
  await idle(page, 8);
  await exported(page, 'Table (CSV)');
  assert.deepEqual(site.hits.slice(before), []);
  assert.equal(await page.locator('#sent').innerText(), '0 bytes sent');
  await context.setOffline(true);
  await page.waitForFunction(() => !navigator.onLine);
  assert.equal(await page.locator('#network').innerText(), '', 'nothing is stored that could work offline');
});

test('the report holds image, figures, model and notice, and prints', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('xray.png', chest(1)), file('checks.png', checks), file('c.jpg', sample)]);
  await idle(page, 3);
  const report = await print(page, /all images/);
  const rows = await report.locator('table table').first().locator('tbody tr').allInnerTexts();
  assert.match(
    rows.join('\n'),
    /checks\.png\s+Not a frontal chest X.ray\s*\n[\s\S]*c\.jpg\s+COVID.19\s+\d+\.\d%\s+\w+ opacit/,
    'a figure only beside a class',
  );
  const text = await report.locator('body').innerText();
  assert.match(text, /Not a medical device/);
  assert.match(text, /xray\.png/);
  assert.match(text, /SHA-256 of the model/);
  assert.ok((await report.locator('img').count()) >= 2);
  assert.deepEqual(troubles, []);
});

test('cancel keeps what is done, clear can be undone', async () => {
  const { page } = await site.open();
  const made = [1, 2, 3, 4].map((seed) => chest(seed, 400));
  await pick(
    page,
    Array.from({ length: 200 }, (_, i) => file(`${i}.png`, made[i % 4])),
  ); // some seconds: the press must come before the end
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector('cxr-lens')).progress.done > 1);
  await lens(page).getByRole('button', { name: 'Cancel' }).click();
  await idle(page, 200);
  const progress = await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).progress);
  assert.ok(progress.done > 1 && progress.cancelled > 0, JSON.stringify(progress));
  await lens(page).getByRole('button', { name: 'Clear all' }).click();
  await lens(page).getByText('200 images removed.').waitFor();
  await lens(page).getByRole('button', { name: 'Undo' }).click();
  await idle(page, 200);
});

test('what was cancelled, or removed unread, is read after all', async () => {
  const { page } = await site.open();
  const many = Array.from({ length: 60 }, (_, i) => file(`${i}.png`, chest(i, 600)));
  const progress = () => page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).progress);
  await pick(page, many);
  await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).cancel());
  const { cancelled } = await progress();
  assert.ok(cancelled > 0);
  await lens(page).getByRole('button', { name: 'Read the rest' }).click();
  await idle(page, 60);
  assert.equal((await progress()).done, 60);
  assert.ok(await lens(page).locator('.progress').isHidden());
  await lens(page).getByRole('button', { name: 'Clear all' }).click();
  await pick(page, many);
  await page.evaluate(() => {
    const element = /** @type {any} */ (document.querySelector('cxr-lens'));
    element.clear();
    element.undo();
  });
  await idle(page, 60);
  assert.deepEqual([(await progress()).done, (await progress()).cancelled], [60, 0]);
});

test('reports and the end of a run tell of what could not be read', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1)), file('b.png', chest(2)), file('bad.png', Buffer.from('no image'))]);
  await idle(page, 3);
  await lens(page).locator('[aria-live]', { hasText: 'Finished: 2 images read. 1 could not be read.' }).waitFor({ state: 'attached' });
  const all = await print(page, /Report of all images/);
  assert.match(await all.locator('table table').first().innerText(), /bad\.png\s+Could not be read: Not an image/);
  await page.evaluate(() => document.querySelector('iframe.cxr-report')?.remove());
  await lens(page).getByRole('button', { name: 'bad.png', exact: true }).click();
  assert.match(
    await (await print(page, /Report of this image/)).locator('table table').innerText(),
    /bad\.png\s+Could not be read: Not an image/,
  );
});
