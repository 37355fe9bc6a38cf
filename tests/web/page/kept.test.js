/** "Keep this session": what is written into the browser's store, and when that fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chest, file, idle, pick, stage } from '../support.js';
import { held, keep } from './session.js';

const site = stage();
const images = [1, 2, 3].map((i) => file(`${i}.png`, chest(i)));

test('bytes are stored, each image once, in the order of the session', async () => {
  const { page } = await site.open();
  await pick(page, images.slice(0, 2));
  await idle(page, 2);
  await keep(page);
  await page.getByText('2 images are kept on this device.').waitFor();
  const before = await held(page);
  assert.deepEqual(
    before.map(({ name, type, bytes }) => ({ name, type, bytes })),
    images.slice(0, 2).map(({ name, mimeType, buffer }) => ({ name, type: mimeType, bytes: [...buffer] })),
  );
  await page.reload();
  await idle(page, 2);
  await pick(page, images.slice(2));
  await page.getByText('3 images are kept on this device.').waitFor({ state: 'attached' });
  const after = await held(page);
  assert.deepEqual(
    after.map(({ key, name }) => [key, name]),
    [...before.map(({ key, name }) => [key, name]), [after[2].key, '3.png']],
  );
});

test('an image that was removed leaves the store; brought back, it has its old place', async () => {
  const { page } = await site.open();
  await pick(page, images);
  await idle(page, 3);
  await keep(page);
  await page.getByText('3 images are kept on this device.').waitFor();
  const names = async () => (await held(page)).map(({ name }) => name).join();
  await page.locator('cxr-lens tbody tr').nth(1).click();
  await page.keyboard.press('Delete');
  await page.getByText('2 images are kept on this device.').waitFor();
  assert.equal(await names(), '1.png,3.png');
  await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).undo());
  await page.getByText('3 images are kept on this device.').waitFor();
  assert.equal(await names(), '1.png,2.png,3.png');
});

test('a browser that never finishes writing is told of within seconds', async () => {
  const { page } = await site.open();
  await page.evaluate(() => {
    IDBObjectStore.prototype.add = function () {
      const spin = () => {
        this.get(1).onsuccess = spin;
      };
      spin();
      return /** @type {any} */ (this.get(1));
    };
  });
  await pick(page, images.slice(0, 1));
  await idle(page, 1);
  await keep(page);
  await page.getByText('could not be kept').waitFor({ timeout: 15_000 });
});
