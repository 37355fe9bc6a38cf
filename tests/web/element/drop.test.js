/** Drops and pastes: files with and without a path, folders; their data must be read within the event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chest, idle, stage } from '../support.js';

const site = stage();

test('a file whose entry cannot be opened is read, beside a folder and a file with a path', async () => {
  const { page, troubles } = await site.open();
  await page.evaluate(
    (pictures) => {
      let turn = true;
      const [pasted, dropped, inside] = pictures.map((bytes, i) => new File([new Uint8Array(bytes)], `${i}.png`));
      const lost = () => new DOMException('A file or directory could not be found', 'NotFoundError');
      /** @param {string} fullPath @param {File | null} file */
      const entry = (fullPath, file) => ({
        isFile: true,
        isDirectory: false,
        name: fullPath.slice(fullPath.lastIndexOf('/') + 1),
        fullPath,
        file: (/** @type {Function} */ resolve, /** @type {Function} */ reject) => (file ? resolve(file) : reject(lost())),
      });
      /** @type {object[]} */
      const left = [entry('/folder/2.png', inside)];
      const folder = {
        isFile: false,
        isDirectory: true,
        name: 'folder',
        createReader: () => ({ readEntries: (/** @type {Function} */ resolve) => resolve(left.splice(0)) }),
      };
      const item = (/** @type {any} */ found, /** @type {File | null} */ file) => ({
        kind: 'file',
        webkitGetAsEntry: () => (turn ? found : null),
        getAsFile: () => (turn ? file : null),
      });
      const items = [item(entry('/0.png', null), pasted), item(entry('/1.png', dropped), dropped), item(folder, null)];
      const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
      lens.addFrom(new Event('paste', { cancelable: true }), { items });
      turn = false;
    },
    [1, 2, 3].map((i) => [...chest(i)]),
  );
  await idle(page, 3);
  const names = await page.evaluate(() =>
    /** @type {any} */ (document.querySelector('cxr-lens')).results.map((/** @type {any} */ each) => each.file),
  );
  assert.deepEqual(names, ['0.png', '1.png', 'folder/2.png']);
  assert.deepEqual(troubles, []);
});
