/** The viewer: what is shown of images, one or two. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chest, fetched, file, idle, pick, png, sample, stage } from '../support.js';
import { print } from './outputs.js';

const site = stage();
const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');
/** What no model should take for a chest X-ray. */
const _checks = png(300, 300, (x, y) => (((x >> 5) + (y >> 5)) % 2) * 255);

test('viewer: zoom, move, window, invert, reset, map by key and by mouse', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('xray.jpg', sample, 'image/jpeg')]);
  await idle(page, 1);
  await lens(page).locator('canvas.image').waitFor(); // it may come after the answer, and is shown as a whole then
  const stageBox = lens(page).locator('.stage');
  const shift = () =>
    lens(page)
      .locator('.sheet')
      .evaluate((node) => /** @type {HTMLElement} */ (node).style.transform);
  await stageBox.focus();
  await page.keyboard.press('+');
  assert.match(await shift(), /scale\(1\.25\)/);
  await page.keyboard.press('ArrowLeft');
  assert.doesNotMatch(await shift(), /translate\(0px/);
  await page.keyboard.press('Shift+ArrowUp');
  assert.match(await lens(page).locator('.readout').innerText(), /Window 255, level 1(19|20)/);
  await page.keyboard.press('0');
  assert.match(await shift(), /translate\(0px, 0px\) scale\(1\)/);
  const inverted = lens(page).getByRole('button', { name: 'Invert' });
  const before = await inverted.getAttribute('aria-pressed');
  await page.keyboard.press('i');
  assert.notEqual(await inverted.getAttribute('aria-pressed'), before);
  assert.ok(await lens(page).locator('canvas.map').isVisible());
  await page.keyboard.press('m');
  assert.ok(await lens(page).locator('canvas.map').isHidden());
  await page.keyboard.press('3');
  await lens(page).locator('canvas.map').waitFor(); // read anew, part by part
  assert.match(await lens(page).locator('.legend').innerText(), /Viral pneumonia/);
  const box = /** @type {{ x: number, y: number, width: number, height: number }} */ (await stageBox.boundingBox());
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down({ button: 'right' });
  for (const share of [0.55, 0.6, 0.65, 0.7]) await page.mouse.move(box.x + share * box.width, box.y + box.height / 2);
  await page.mouse.up({ button: 'right' });
  const [, wide] = (await lens(page).locator('.readout').innerText()).match(/Window (\d+)/) ?? [];
  assert.ok(Number(wide) > 255 + 0.15 * box.width, `window ${wide} after a drag of a fifth of ${box.width} pixels`);
  await page.mouse.wheel(0, -300); // returns before the page has heard of it
  await lens(page).locator('.stage.zoomed').waitFor();
  assert.deepEqual(troubles, []);
});

test('occlusion sensitivity reads the image again, without the network, and has a map of its own', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('xray.jpg', sample)]);
  await idle(page, 1);
  await lens(page).locator('canvas.image').waitFor();
  const painted = () =>
    lens(page)
      .locator('canvas.map')
      .evaluate((node) => /** @type {HTMLCanvasElement} */ (node).toDataURL());
  const found = await painted();
  await fetched(page);
  /** @type {string[]} */
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.locator('body').press('c');
  await lens(page).locator('.legend', { hasText: 'Occlusion sensitivity' }).waitFor(); // which takes the place of how far it is
  const test = lens(page).getByRole('button', { name: 'Occlusion' });
  assert.equal(await test.getAttribute('aria-pressed'), 'true');
  assert.notEqual(await painted(), found);
  const slider = lens(page).locator('input.opacity');
  await slider.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.equal(await slider.inputValue(), '0.75', 'the second press found the slider focused');
  await lens(page).getByRole('button', { name: 'Findings' }).click();
  assert.match(await lens(page).locator('.legend').innerText(), /^weaker/);
  assert.equal(await painted(), found);
  assert.deepEqual([asked, troubles], [[], []]);
  const captions = (await print(page, /Report of this image/)).locator('figcaption');
  assert.match((await captions.allInnerTexts()).join(), /Occlusion sensitivity for COVID.19/);
});

test('no image stands beside the answer of another, nor stays when all are cleared', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1))]);
  await idle(page, 1);
  const canvas = lens(page).locator('canvas.image');
  await canvas.waitFor();
  await page.evaluate(() => {
    const decode = createImageBitmap.bind(window);
    window.createImageBitmap = /** @type {any} */ (
      (/** @type {Blob} */ source) =>
        new Promise((resolve) => {
          addEventListener('decode', () => resolve(decode(source)), { once: true });
        })
    );
  });
  await pick(page, [file('b.png', chest(2))]);
  await lens(page).locator('.file-name', { hasText: 'b.png' }).waitFor();
  await canvas.waitFor({ state: 'hidden' });
  await page.evaluate(() => dispatchEvent(new Event('decode')));
  await canvas.waitFor();
  await lens(page).getByRole('button', { name: 'Clear all' }).click();
  assert.ok(
    await lens(page)
      .locator('.sheet')
      .evaluate(
        (node) =>
          new Promise((resolve) => {
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(/** @type {HTMLElement} */ (node).hidden)));
          }),
      ),
  );
});

test('two images are compared side by side', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1)), file('b.png', chest(2)), file('c.png', chest(3))]);
  await idle(page, 3);
  await lens(page).getByRole('button', { name: 'Compare with another' }).click();
  assert.equal(await lens(page).locator('.viewer').count(), 2);
  const picker = lens(page).getByLabel('Compare with', { exact: true });
  await picker.focus();
  await picker.selectOption({ index: 1 });
  await lens(page).locator('.pane:nth-child(2) canvas.image[aria-label^="c.png"]').waitFor();
  assert.match(await picker.evaluate((node) => /** @type {HTMLSelectElement} */ (node).selectedOptions[0].text), /^c\.png/);
  assert.ok(await picker.evaluate((node) => node.matches(':focus')), 'the choice keeps the focus');
  await lens(page).getByRole('button', { name: 'Compare with another' }).click();
  await page.waitForFunction(() => document.querySelector('cxr-lens')?.shadowRoot?.querySelectorAll('.viewer').length === 1);
});

test('another class keeps what is unfolded, and an image that cannot be shown offers nothing to draw over it', async () => {
  const { page } = await site.open();
  await pick(page, [file('xray.jpg', readFileSync(new URL('../../../web/samples/synthetic-normal-1.jpg', import.meta.url)))]);
  await idle(page, 1);
  await lens(page).locator('.facts summary').click();
  await page.locator('body').press('3');
  await lens(page).locator('.legend', { hasText: 'Viral pneumonia' }).waitFor();
  assert.ok(await lens(page).locator('input[value=viral-pneumonia]').isChecked());
  assert.ok(
    await lens(page)
      .locator('.facts')
      .evaluate((node) => /** @type {HTMLDetailsElement} */ (node).open),
  );
  await page.evaluate(() => {
    window.createImageBitmap = () => Promise.reject(new Error('no such image'));
  });
  await pick(page, [file('xray2.jpg', readFileSync(new URL('../../../web/samples/synthetic-normal-2.jpg', import.meta.url)))]);
  await idle(page, 2);
  await lens(page).locator('.stage-message', { hasText: 'cannot be shown' }).waitFor();
  assert.ok(await lens(page).getByRole('button', { name: 'Occlusion' }).isDisabled());
  assert.ok(await lens(page).locator('.legend').isHidden());
});

test('on a narrow screen exports have their words, and two images side by side stay within it', async () => {
  const { page } = await site.open({ viewport: { width: 360, height: 800 } });
  const long = `${'a-long-name-'.repeat(8)}.png`;
  await pick(page, [file('a.png', chest(1)), file(long, chest(2))]);
  await idle(page, 2);
  await lens(page).locator('.menu summary').click();
  const item = lens(page).getByRole('button', { name: 'Table (CSV)' });
  const box = /** @type {{ x: number, width: number }} */ (await item.locator('span').boundingBox());
  assert.ok(box.width > 50 && box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));
  await lens(page).locator('.menu summary').click();
  await lens(page).getByRole('button', { name: 'Compare with another' }).click();
  await lens(page).locator('.pane:nth-child(2) canvas.image').waitFor();
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
});
