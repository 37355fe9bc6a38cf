/** The keyboard: shortcuts, the order of Tab, and where the focus goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chest, file, idle, pick, png, stage } from '../support.js';

const site = stage();
const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');
/** What no model should take for a chest X-ray. */
const _checks = png(300, 300, (x, y) => (((x >> 5) + (y >> 5)) % 2) * 255);

test('keyboard alone: choose, read, change the map, remove, undo, help', async () => {
  const { page, troubles } = await site.open();
  const chooser = page.waitForEvent('filechooser');
  await page.locator('body').press('o');
  await (await chooser).setFiles([file('a.png', chest(1)), file('b.png', chest(2))]);
  await idle(page, 2);
  await page.locator('cxr-lens').getByRole('button', { name: 'a.png', exact: true }).focus();
  await page.keyboard.press('n');
  assert.match(await lens(page).locator('.file-name').innerText(), /b\.png/);
  await page.keyboard.press('2');
  await page.keyboard.press('Delete');
  await idle(page, 1);
  await page.keyboard.press('Control+z');
  await idle(page, 2);
  await page.keyboard.press('?');
  await lens(page).locator('dialog').waitFor(); // its text is loaded then
  await page.keyboard.press('Escape');
  await lens(page).locator('dialog').waitFor({ state: 'hidden' });
  assert.deepEqual(troubles, []);
});

/** Files whose name begins with "lost" can be read no more. @param {import('playwright-core').Page} page */
const loseFiles = (page) =>
  page.evaluate(() => {
    const { arrayBuffer } = Blob.prototype;
    Blob.prototype.arrayBuffer = function () {
      return this instanceof File && this.name.startsWith('lost')
        ? Promise.reject(new DOMException('gone', 'NotReadableError'))
        : arrayBuffer.call(this);
    };
  });

test('the keyboard keeps its place: clear, undo, export, try again', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1)), file('text.png', Buffer.from('no image'))]);
  await idle(page, 2);
  const focused = async (/** @type {string} */ selector) => {
    for (
      let i = 0;
      i < 50 &&
      !(await lens(page)
        .locator(selector)
        .first()
        .evaluate((node) => node.matches(':focus')));
      i++
    )
      await page.waitForTimeout(20);
    return lens(page)
      .locator(selector)
      .first()
      .evaluate((node) => node.matches(':focus'));
  };
  await lens(page).getByRole('button', { name: 'Clear all' }).press('Enter');
  assert.ok(await focused('.undo button'));
  await page.keyboard.press('Enter');
  await idle(page, 2);
  assert.ok(await focused('.answer'));
  await lens(page).locator('.menu summary').press('Enter');
  const download = page.waitForEvent('download');
  await lens(page).getByRole('button', { name: 'Table (CSV)' }).press('Enter');
  await download;
  assert.ok(await focused('.menu summary'));
  await pick(page, [file('b.png', chest(2))]);
  await idle(page, 3);
  await lens(page).getByRole('button', { name: 'a.png', exact: true }).click();
  await lens(page).locator('.guidance summary').focus();
  await page.keyboard.press('n');
  await lens(page).getByRole('button', { name: 'a.png', exact: true, pressed: false }).waitFor();
  assert.ok(await focused('.answer'), 'the words of advice went with their image');
  await lens(page).getByRole('button', { name: 'text.png', exact: true }).click();
  assert.equal(
    await lens(page)
      .getByRole('button', { name: /^Try again/ })
      .count(),
    0,
    'which is no image the second time either',
  );
  await loseFiles(page);
  await pick(page, [file('lost.png', chest(3))]);
  await idle(page, 4);
  await lens(page).getByRole('button', { name: 'lost.png', exact: true }).click();
  await lens(page).locator('.answer').getByRole('button', { name: 'Try again' }).press('Enter');
  await idle(page, 4);
  assert.ok(await focused('.answer'));
  await lens(page).getByRole('button', { name: 'text.png', exact: true }).click();
  assert.ok(await lens(page).locator('.stage-message').isHidden(), 'that it cannot be shown is not said beside that it cannot be read');
});

test('Tab reaches the first button, and Enter and Space press it', async () => {
  const { page } = await site.open();
  const button = lens(page).getByRole('button', { name: 'Choose images' });
  for (let i = 0; i < 12 && !(await button.evaluate((node) => node.matches(':focus'))); i++) await page.keyboard.press('Tab');
  for (const key of ['Enter', 'Space']) {
    assert.ok(await button.evaluate((node) => node.matches(':focus')));
    const waiting = page.waitForEvent('filechooser');
    await page.keyboard.press(key);
    const chooser = await waiting;
    assert.ok(chooser.isMultiple());
    // The browser opens no second chooser while one is open.
    await chooser.setFiles([]);
  }
});

test('the keyboard stays in the table: a sorted row that moves, a row that is removed', async () => {
  const { page } = await site.open();
  await loseFiles(page);
  await pick(
    page,
    ['lost c', 'b', 'a'].map((name) => file(`${name}.png`, Buffer.from('x'))),
  );
  await idle(page, 3);
  const row = (/** @type {string} */ name) => lens(page).getByRole('button', { name, exact: true });
  const focused = (/** @type {import('playwright-core').Locator} */ where) => where.and(page.locator(':focus')).waitFor();
  await lens(page).getByRole('button', { name: 'File', exact: true }).click();
  await row('b.png').focus();
  await pick(page, [file('aa.png', Buffer.from('x'))]);
  await idle(page, 4);
  await lens(page).locator('tbody tr').nth(3).waitFor();
  await focused(row('b.png'));
  await lens(page).getByRole('button', { name: 'Remove b.png' }).press('Enter');
  await focused(row('lost c.png'));
  const again = lens(page).getByRole('button', { name: 'Try again: lost c.png' });
  await again.press('Enter');
  await focused(row('lost c.png').or(again)); // not the button that removes it
});
