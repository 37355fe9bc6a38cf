/** What the page itself adds: language, a session to keep, the model's figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chest, file, idle, pick, png, ready, stage } from '../support.js';
import { held, keep } from './session.js';

const site = stage();
const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');
/** What no model should take for a chest X-ray. */
const _checks = png(300, 300, (x, y) => (((x >> 5) + (y >> 5)) % 2) * 255);

test('the language changes everything, and is remembered', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('xray.png', chest())]);
  await idle(page, 1);
  await page.locator('#language').selectOption('ko');
  await lens(page).getByRole('button', { name: '사진 추가' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'ko');
  assert.match(await page.title(), /흉부/);
  assert.match(await lens(page).locator('.answer').innerText(), /확률|수치/);
  await page.reload();
  await lens(page).getByRole('button', { name: '사진 선택' }).waitFor();
  await page.locator('#language').evaluate((node) => {
    // back before the words are there
    for (const value of ['en', 'ko', 'en']) {
      /** @type {HTMLSelectElement} */ (node).value = value;
      node.dispatchEvent(new Event('change'));
    }
  });
  await lens(page).getByRole('button', { name: 'Choose images' }).waitFor();
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  assert.deepEqual(troubles, []);
});

test('a change of the language changes nothing else: names left out, filter and order stay', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1)), file('b.png', Buffer.from('no image')), file('c.png', Buffer.from('none either'))]);
  await idle(page, 3);
  await lens(page).getByLabel('Show', { exact: true }).selectOption('failed');
  await lens(page).getByRole('button', { name: /^File/ }).click();
  await lens(page).getByRole('button', { name: /^File/ }).click();
  await lens(page).locator('.menu summary').click();
  await lens(page).getByLabel('Include file names').uncheck();
  await page.locator('#language').selectOption('ko');
  await lens(page).locator('.bar', { hasText: '내보내기' }).waitFor();
  assert.equal(await lens(page).locator('.lens').getAttribute('lang'), 'ko');
  assert.deepEqual(await lens(page).locator('tbody .open').allInnerTexts(), ['c.png', 'b.png']);
  assert.equal(await lens(page).locator('th[aria-sort=descending]').count(), 1);
  assert.equal(await lens(page).locator('.sheetlet input').isChecked(), false);
});

test('a Korean browser gets Korean', async () => {
  const { page } = await site.open({ locale: 'ko-KR' });
  assert.match(await page.locator('h1').innerText(), /내 기기/);
});

test('a session is kept only when asked, comes back, and is wiped by one button', async () => {
  const { page } = await site.open();
  const stores = async () => (await page.evaluate(() => indexedDB.databases())).map(({ name }) => name);
  await pick(page, [file('a.png', chest(1)), file('b.png', chest(2))]);
  await idle(page, 2);
  assert.deepEqual(await stores(), []);
  await keep(page);
  await page.getByText('2 images are kept on this device.').waitFor();
  await page.reload();
  await idle(page, 2);
  await page.getByText('Keep this session').click();
  await page.evaluate(() => {
    indexedDB.deleteDatabase = () => {
      throw new Error('locked');
    };
  });
  await page.getByRole('button', { name: 'Delete kept images' }).click();
  await page.getByText('could not be deleted').waitFor();
  await page.evaluate(() => {
    delete (/** @type {any} */ (indexedDB).deleteDatabase);
  });
  await page.getByRole('button', { name: 'Delete kept images' }).click();
  await page.getByRole('button', { name: 'Delete kept images' }).waitFor({ state: 'hidden' });
  assert.deepEqual(await stores(), []);
  await page.reload();
  await page.waitForFunction(() => customElements.get('cxr-lens'));
  await idle(page, 0);
});

test('a session that cannot be kept is told of, and an update says what it loses', async () => {
  const { page } = await site.open();
  await page.evaluate(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
  });
  await page.getByText('Keep this session').click();
  await page.locator('#keep').click();
  await page.getByText('could not be kept').waitFor();
  assert.ok(!(await page.locator('#keep').isChecked()));
  await page.reload();
  await ready(page);
  await keep(page);
  await page.getByText('0 images are kept').waitFor();
  await page.evaluate(() => {
    IDBObjectStore.prototype.add = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
  });
  await pick(page, [file('a.png', chest(1))]);
  await idle(page, 1);
  await page.getByText('could not be kept').waitFor();
  assert.equal(await page.locator('#update-lost').getAttribute('hidden'), null);
});

/** Keeps a session of one image. @param {import('playwright-core').Page} page */
async function keepOne(page) {
  await pick(page, [file('a.png', chest(1))]);
  await idle(page, 1);
  await keep(page);
  await page.getByText('1 image is kept on this device.').waitFor();
}

test('a kept session that cannot be read is told of, stays, and can be wiped', async () => {
  const { context, page } = await site.open();
  await keepOne(page);
  const other = await context.newPage();
  await other.addInitScript(() => {
    IDBObjectStore.prototype.getAll = () => {
      throw new DOMException('lost', 'UnknownError');
    };
  });
  await other.goto(site.url);
  await ready(other);
  await other.getByText('Keep this session').click();
  await other.getByText('they cannot be read now').waitFor();
  await pick(other, [file('b.png', chest(2))]);
  await idle(other, 1);
  assert.equal((await held(page)).length, 1);
  await other.locator('#wipe').click();
  await other.locator('#wipe').waitFor({ state: 'hidden' });
  assert.deepEqual(await other.evaluate(() => indexedDB.databases()), []);
});

test('what one tab wiped, another does not write down again', async () => {
  const { context, page } = await site.open();
  await keepOne(page);
  const other = await context.newPage();
  await other.goto(site.url);
  await ready(other);
  await idle(other, 1);
  await page.locator('#wipe').click();
  await other.waitForFunction(() => !(/** @type {HTMLInputElement} */ (document.getElementById('keep')).checked));
  await pick(other, [file('b.png', chest(2))]);
  await idle(other, 2);
  assert.equal((await held(other)).length, 0);
});

test('the model’s figures are shown where there is a report, and hidden where there is none', async () => {
  const { page, troubles } = await site.open();
  const figures = page.locator('#figures');
  const serve = async (/** @type {object | null} */ report) => {
    await page.unroute('**/evaluation.json');
    await page.route('**/evaluation.json', (route) => route.fulfill({ json: report }));
    await page.reload();
    await ready(page);
    const told = page.evaluate(
      () =>
        new Promise((done) => {
          document.getElementById('about')?.addEventListener('toggle', () => setTimeout(done), { once: true });
        }),
    );
    await page.getByText('About the model').click();
    await told; // the figures are filled when the browser says that the part is open, which is after the click
  };
  await serve(null);
  assert.equal(await figures.innerText(), '');
  assert.match(await page.locator('#about').innerText(), /viral pneumonia images are all of children/);
  const measured = { value: 0.9123, low: 0.9, high: 0.925 };
  const report = {
    same_data: true,
    siim: {
      images: 456,
      auc: { 'not normal': measured },
      shares: { 'negative, called covid-19': { value: 0.051, low: 0.03, high: 0.07 } },
    },
    maps: { opacities: { SIIM: { boxed: 9, pointing: measured } } },
    test: { images: 1234, accuracy: measured, reweighted_accuracy: measured, ece: 0.01, classes: { normal: { f1: measured } } },
    gate: { images_refused: 0.004 },
    masks: { "lungs' box removed": { accuracy: 0.71 } },
    external: { nih: { 'No Finding': { images: 200, recall: 0.655 }, other: { images: 5 } } },
  };
  await serve({ ...report, same_data: false });
  assert.match(await figures.innerText(), /^Some of the test images may also have trained the model[^%]*$/);
  await serve(report);
  assert.match(
    await figures.innerText(),
    /456 images of one collection[\s\S]*called COVID.19\s+5\.1%[\s\S]*1,234 images[\s\S]*91\.2% \(90\.0% to 92\.5%\)[\s\S]*71\.0%[\s\S]*nih: No Finding \(200\)\s+65\.5%/,
  );
  await page.locator('#language').selectOption('ko');
  await page.waitForFunction(() => document.getElementById('figures')?.innerText.includes('정확도'));
  assert.deepEqual(troubles, []);
});
