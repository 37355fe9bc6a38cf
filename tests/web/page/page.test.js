/** The page with the real model: getting images in, reading answers, errors, languages, exports, print. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { NO_FILMS, chest, fetched, file, films, idle, pick, png, ready, sample, stage, transfer } from '../support.js';

const site = stage();
const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');
/** What no model should take for a film. */
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
  await transfer(page, 'drop', 'cxr-lens', [{ name: 'film.png', buffer: chest() }]);
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

test('a film dropped anywhere on the page is read', async () => {
  const { page } = await site.open();
  await transfer(page, 'drop', 'footer', [{ name: 'film.png', buffer: chest() }]);
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
  assert.ok(await focused('.answer'), 'the words of advice went with their film');
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

test('a folder is read, without what systems leave in it', async () => {
  const path = mkdtempSync(`${tmpdir()}/cxr-folder-`);
  const names = ['film10.png', 'film2.png', 'film1.png', 'a.png', 'film3.png'];
  for (const name of [...names, '.DS_Store', 'Thumbs.db']) writeFileSync(`${path}/${name}`, chest(name.length));
  const { page } = await site.open();
  await page.locator('cxr-lens input[webkitdirectory]').setInputFiles(path);
  await idle(page, 5);
  rmSync(path, { recursive: true });
  const order = await lens(page).locator('button.open').allInnerTexts();
  assert.deepEqual(
    order.map((name) => name.split('/').pop()),
    ['a.png', 'film1.png', 'film2.png', 'film3.png', 'film10.png'],
  );
});

test('what in a folder is no image is passed over and counted; what is named like one, or picked by itself, is not', async () => {
  const path = mkdtempSync(`${tmpdir()}/cxr-folder-`);
  for (const name of ['a.exe', 'b.png', 'broken.png', 'readme.txt'])
    writeFileSync(`${path}/${name}`, name === 'b.png' ? chest(1) : 'no image');
  const { page, troubles } = await site.open();
  await page.locator('cxr-lens input[webkitdirectory]').setInputFiles(path);
  await lens(page).locator('.alert', { hasText: '2 files in the folder are no images and were skipped.' }).waitFor();
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
  await lens(page).locator('.alert', { hasText: '1 file in the folder is no image and was skipped.' }).waitFor();
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
  assert.deepEqual(await names(), ['folder/good.png'], 'a name without its folder may be that of two films');
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

test('real films: most are named, and nearly all of those rightly', async (t) => {
  /** @type {Record<string, string>} */
  const folders = { normal: 'Normal', 'covid-19': 'COVID', 'lung-opacity': 'Lung_Opacity', 'viral-pneumonia': 'Viral_Pneumonia' };
  const paths = Object.entries(folders).flatMap(([id, folder]) => (films(`crd/${folder}/images`, 12) ?? []).map((path) => ({ id, path })));
  if (paths.length === 0) return t.skip(NO_FILMS);
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
  t.diagnostic(`of ${paths.length} films, ${named.length} named, ${right} rightly`);
  assert.ok(named.length >= paths.length / 2 && right / named.length > 0.9);
  assert.deepEqual(troubles, []);
});

test('viewer: zoom, move, window, invert, reset, map by key and by mouse', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('film.jpg', sample, 'image/jpeg')]);
  await idle(page, 1);
  await lens(page).locator('canvas.film').waitFor(); // it may come after the answer, and is shown as a whole then
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
  await pick(page, [file('film.jpg', sample)]);
  await idle(page, 1);
  await lens(page).locator('canvas.film').waitFor();
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

test('no film stands beside the answer of another, nor stays when all are cleared', async () => {
  const { page } = await site.open();
  await pick(page, [file('a.png', chest(1))]);
  await idle(page, 1);
  const film = lens(page).locator('canvas.film');
  await film.waitFor();
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
  await film.waitFor({ state: 'hidden' });
  await page.evaluate(() => dispatchEvent(new Event('decode')));
  await film.waitFor();
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
  await lens(page).locator('.pane:nth-child(2) canvas.film[aria-label^="c.png"]').waitFor();
  assert.match(await picker.evaluate((node) => /** @type {HTMLSelectElement} */ (node).selectedOptions[0].text), /^c\.png/);
  assert.ok(await picker.evaluate((node) => node.matches(':focus')), 'the choice keeps the focus');
  await lens(page).getByRole('button', { name: 'Compare with another' }).click();
  await page.waitForFunction(() => document.querySelector('cxr-lens')?.shadowRoot?.querySelectorAll('.viewer').length === 1);
});

test('the language changes everything, and is remembered', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('film.png', chest())]);
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

test('another class keeps what is unfolded, and an image that cannot be shown offers nothing to draw over it', async () => {
  const { page } = await site.open();
  await pick(page, [file('film.jpg', readFileSync(new URL('../../../web/samples/synthetic-normal-1.jpg', import.meta.url)))]);
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
  await pick(page, [file('film2.jpg', readFileSync(new URL('../../../web/samples/synthetic-normal-2.jpg', import.meta.url)))]);
  await idle(page, 2);
  await lens(page).locator('.stage-message', { hasText: 'cannot be shown' }).waitFor();
  assert.ok(await lens(page).getByRole('button', { name: 'Occlusion' }).isDisabled());
  assert.ok(await lens(page).locator('.legend').isHidden());
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

/** @param {import('playwright-core').Page} page @param {string} label */
async function exported(page, label) {
  await lens(page).locator('.menu summary').click();
  const download = page.waitForEvent('download');
  await lens(page).getByRole('button', { name: label }).click();
  return readFileSync(await (await download).path(), 'utf8');
}

test('an export and an occlusion test that fail are told of', async () => {
  const { page } = await site.open();
  await pick(page, [file('film.jpg', sample, 'image/jpeg')]);
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

/**
 * Chooses a report from the menu; the frame that it is in.
 * @param {import('playwright-core').Page} page
 * @param {RegExp} name
 */
async function print(page, name) {
  await page.evaluate(() => {
    // A headless browser has no print dialogue: note the call instead.
    const insert = Element.prototype.append;
    Element.prototype.append = function append(/** @type {(Node|string)[]} */ ...nodes) {
      insert.apply(this, nodes);
      for (const node of nodes)
        if (node instanceof HTMLIFrameElement && node.contentWindow)
          node.contentWindow.print = () => {
            document.body.dataset.printed = 'yes';
          };
    };
  });
  await lens(page).locator('.menu summary').click();
  await lens(page).getByRole('button', { name }).click();
  await page.waitForFunction(() => document.body.dataset.printed === 'yes');
  return page.frameLocator('iframe.cxr-report');
}

test('the report holds image, figures, model and notice, and prints', async () => {
  const { page, troubles } = await site.open();
  await pick(page, [file('film.png', chest(1)), file('checks.png', checks), file('c.jpg', sample)]);
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
  assert.match(text, /film\.png/);
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
  await lens(page).locator('.pane:nth-child(2) canvas.film').waitFor();
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
});

test('a synthetic film is one press away, or all of them', async () => {
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
  // Each is drawn from one class's films, so the engine should see that class in it.
  const best = (/** @type {any} */ { classes }) =>
    classes.reduce((/** @type {any} */ a, /** @type {any} */ b) => (b.probability > a.probability ? b : a)).id;
  assert.deepEqual(
    all.map((result) => `synthetic-${best(result)}`),
    all.map(({ file }) => file.replace(/-\d\.jpg$/, '')),
  );
  assert.deepEqual(troubles, []);
});

test('a session is kept only when asked, comes back, and is wiped by one button', async () => {
  const { page } = await site.open();
  const stores = async () => (await page.evaluate(() => indexedDB.databases())).map(({ name }) => name);
  await pick(page, [file('a.png', chest(1)), file('b.png', chest(2))]);
  await idle(page, 2);
  assert.deepEqual(await stores(), []);
  await page.getByText('Keep this session').click();
  await page.getByLabel('Keep my images on this device').check();
  await page.getByText('2 images are kept on this device.').waitFor();
  await page.reload();
  await idle(page, 2);
  await page.getByText('Keep this session').click();
  await page.evaluate(() => {
    indexedDB.deleteDatabase = () => {
      throw new Error('locked');
    };
  });
  await page.getByRole('button', { name: 'Wipe what was kept' }).click();
  await page.getByText('could not be wiped').waitFor();
  await page.evaluate(() => {
    delete (/** @type {any} */ (indexedDB).deleteDatabase);
  });
  await page.getByRole('button', { name: 'Wipe what was kept' }).click();
  await page.getByRole('button', { name: 'Wipe what was kept' }).waitFor({ state: 'hidden' });
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
  await page.getByText('Keep this session').click();
  await page.locator('#keep').check();
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
  await page.getByText('Keep this session').click();
  await page.locator('#keep').check();
  await page.getByText('1 image is kept on this device.').waitFor();
}

/** How many images the browser keeps for the page. @param {import('playwright-core').Page} page @returns {Promise<number>} */
const keptCount = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('cxrlens-session', 1);
        opening.onerror = reject;
        opening.onsuccess = () => {
          const { result: database } = opening;
          if (!database.objectStoreNames.contains('images')) return resolve(0);
          const counting = database.transaction('images').objectStore('images').count();
          counting.onerror = reject;
          counting.onsuccess = () => {
            database.close();
            resolve(counting.result);
          };
        };
      }),
  );

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
  assert.equal(await keptCount(page), 1);
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
  assert.equal(await keptCount(other), 0);
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
  assert.match(await figures.innerText(), /^The model was measured on images of which some may be[^%]*$/);
  await serve(report);
  assert.match(
    await figures.innerText(),
    /456 images of one collection[\s\S]*called COVID.19\s+5\.1%[\s\S]*1,234 images[\s\S]*91\.2% \(90\.0% to 92\.5%\)[\s\S]*71\.0%[\s\S]*nih: No Finding \(200\)\s+65\.5%/,
  );
  await page.locator('#language').selectOption('ko');
  await page.waitForFunction(() => document.getElementById('figures')?.innerText.includes('맞은 분류'));
  assert.deepEqual(troubles, []);
});
