// page.test.js - DICOM on the page, in Chromium: dropped without an extension, shown in the window that was read, with
// frames, windows and a ruler; refused by its tag in words; and users of PNG fetch nothing of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { toCsv, toJson } from '../../../web/export/export.js';
import { file, idle, pick, png, stage, stored, transfer } from '../support.js';
import { encode } from './openjph.js';
import { dicomFile, encapsulated, radiograph } from './write.js';

const site = stage();
const SIDE = 256;

/** Something like a chest. @param {number} x @param {number} y @returns {number} 0..1 */
function body(x, y) {
  const lung = (/** @type {number} */ centre) => Math.exp(-(((x - centre) / 0.13) ** 2) - ((y - 0.5) / 0.3) ** 2);
  return Math.min(Math.max(0.8 - 0.6 * lung(0.3) - 0.6 * lung(0.7), 0), 1);
}

/** @param {8|12} bits @param {number} [frames] */
function samples(bits, frames = 1) {
  const Samples = bits === 8 ? Uint8Array : Uint16Array;
  const area = SIDE * SIDE;
  return Samples.from(
    Array.from({ length: frames * area }, (_, i) => {
      const shade = body((i % SIDE) / SIDE, Math.floor((i % area) / SIDE) / SIDE);
      return Math.round((2 ** bits - 1) * (i < area ? shade : 1 - shade));
    }),
  );
}

/** @param {Record<string, any>} [more] @param {8|12} [bits] @param {number} [frames] */
const xray = (more = {}, bits = 8, frames = 1) =>
  dicomFile(radiograph({ width: SIDE, height: SIDE, bits, pixels: samples(bits, frames) }, more));

/** @param {import('playwright-core').Page} page @returns {Promise<any[]>} */
const results = (page) =>
  page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results.map((/** @type {any} */ { maps, ...rest }) => rest));
/** @param {import('playwright-core').Page} page @param {string} selector */
const part = (page, selector) => page.locator('cxr-lens').locator(selector);
/** The middle column of what the viewer shows, as one gray a row. @param {import('playwright-core').Page} page */
const shown = (page) =>
  page.evaluate(() => {
    const canvas = /** @type {HTMLCanvasElement} */ (
      /** @type {Element} */ (document.querySelector('cxr-lens')).shadowRoot?.querySelector('canvas.image')
    );
    const { data } = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')).getImageData(canvas.width >> 1, 0, 1, canvas.height);
    return Array.from({ length: canvas.height }, (_, y) => data[4 * y]);
  });
/** The same once it is as it should be, or after five seconds. @param {import('playwright-core').Page} page @param {(column: number[]) => boolean} met */
async function painted(page, met) {
  for (let i = 0; i < 100 && !met(await shown(page)); i++) await page.waitForTimeout(50);
  return shown(page);
}

test('a dropped file without an extension is read as its PNG is, and shown; a PNG fetches nothing of the reader', async () => {
  const { page, troubles } = await site.open();
  site.hits.length = 0;
  await transfer(page, 'drop', 'cxr-lens', [
    { name: 'xray.png', buffer: png(SIDE, SIDE, (x, y) => Math.round(255 * body(x / SIDE, y / SIDE))) },
  ]);
  await idle(page, 1);
  assert.deepEqual(
    site.hits.filter((url) => /dicom/.test(url)),
    [],
  );
  const [fromPng] = await results(page);
  await transfer(page, 'drop', 'cxr-lens', [{ name: 'IM000001', buffer: xray({ '00181164': ['DS', '0.5\\0.5'] }) }]);
  await page.waitForFunction(() =>
    /** @type {any} */ (document.querySelector('cxr-lens')).results.some((/** @type {any} */ each) => each.dicom),
  );
  const fromDicom = (await results(page)).find(({ dicom }) => dicom);
  for (const key of ['verdict', 'classes', 'gate']) assert.deepEqual(fromDicom[key], fromPng[key], key);
  assert.deepEqual(
    site.hits
      .filter((url) => /dicom/.test(url))
      .map((url) => url.replace(/^\//, ''))
      .sort(),
    ['dicom-remote.js', 'dicom-worker.js'],
  );
  await part(page, '.ruler').first().waitFor();
  assert.match(await part(page, '.ruler').first().innerText(), /^(\d+ mm|\d+ cm) at the detector$/);
  const column = await shown(page);
  assert.ok(column.length >= SIDE / 2 && Math.max(...column) - Math.min(...column) < 60 && Math.min(...column) > 120, 'the bright middle');
  await part(page, '.facts summary').click();
  assert.match(await part(page, '.facts').innerText(), /DX, CHEST, PA/);
  assert.deepEqual(troubles, []);
});

test('another frame and another window are shown and read', async () => {
  const { page, troubles } = await site.open();
  const two = xray(
    {
      '00280008': ['IS', '2'],
      '00281050': ['DS', '2048\\1024'],
      '00281051': ['DS', '4096\\512'],
      '00281055': ['LO', 'WIDE\\NARROW'],
    },
    12,
    2,
  );
  await pick(page, [file('two.dcm', two, '')]);
  await idle(page, 1);
  const [first] = await results(page);
  await part(page, 'input[name=frame]').fill('2');
  await part(page, 'input[name=frame]').press('Enter');
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector('cxr-lens')).results[0]?.dicom.frame === 1);
  const [second] = await results(page);
  assert.notDeepEqual(second.classes, first.classes);
  await page.waitForFunction(
    () => /** @type {any} */ (document.querySelector('cxr-lens')).shadowRoot.querySelector('input[name=frame]').value === '2',
  );
  const wide = await shown(page);
  await part(page, 'select[name=voi]').selectOption({ label: 'NARROW' });
  await page.waitForFunction(
    () => /** @type {any} */ (document.querySelector('cxr-lens')).results[0]?.dicom.window.explanation === 'NARROW',
  );
  assert.equal((await results(page))[0].dicom.frame, 1, 'the frame stays');
  await page.waitForFunction(
    () => /** @type {any} */ (document.querySelector('cxr-lens')).shadowRoot.querySelector('select[name=voi]').selectedIndex === 1,
  );
  assert.notDeepEqual(await painted(page, (column) => !isDeepStrictEqual(column, wide)), wide);
  assert.deepEqual(troubles, []);
});

test('a folder without extensions is read; a CT is refused in words that name the tag', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlens-page-'));
  mkdirSync(join(folder, 'SERIES'));
  writeFileSync(join(folder, 'SERIES/IM1'), xray());
  writeFileSync(join(folder, 'SERIES/IM2'), xray({ '00080060': ['CS', 'CT'] }));
  const { page, troubles } = await site.open();
  try {
    await part(page, 'input[webkitdirectory]').setInputFiles(folder);
    await idle(page, 2);
    assert.equal((await results(page)).length, 1);
    await part(page, 'button').filter({ hasText: /IM2/ }).first().click();
    assert.match(await part(page, '.answer').innerText(), /not a frontal chest X[-‑]ray.*Modality \(0008,0060\) is “CT”/s);
    await part(page, 'canvas.image[aria-label*="IM2"]').waitFor();
    assert.ok(Math.max(...(await painted(page, (column) => Math.max(...column) > 120))) > 120, 'the picture is shown all the same');
    assert.deepEqual(troubles, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('exports hold no UID by default', async () => {
  const { page } = await site.open();
  await pick(page, [file('one.dcm', xray(), '')]);
  await idle(page, 1);
  const [result] = await results(page);
  const items = /** @type {any} */ ([{ id: 1, name: 'one.dcm', state: 'done', result }]);
  const choice = (/** @type {boolean} */ names) => ({ names, verdict: () => result.verdict });
  const texts = [toCsv(items, choice(false)), toJson(items, choice(false)), toJson(items, choice(true))];
  for (const text of texts.slice(0, 2)) assert.doesNotMatch(text, /1\.2\.3\.4|one\.dcm|Doe/);
  assert.match(texts[2], /1\.2\.3\.4\.5\.6/);
});

const noDcmtk = spawnSync('dsrdump', ['--version']).status === 0 ? false : 'needs the Debian package dcmtk';

test('a report is offered for DICOM alone, by keyboard, and names image, study and patient as the file does', {
  skip: noDcmtk,
}, async () => {
  const { page, troubles } = await site.open();
  await pick(page, [
    file(
      'xray.png',
      png(SIDE, SIDE, (x, y) => Math.round(255 * body(x / SIDE, y / SIDE))),
    ),
  ]);
  await idle(page, 1);
  const item = part(page, '.menu .sr');
  await part(page, '.menu summary').click();
  assert.ok(await item.isHidden());
  await page.keyboard.press('Escape');
  const korean = Buffer.from('486f6e675e47696c646f6e673d1b242943fbf35e1b242943d1ced4d73d1b242943c8ab5e1b242943b1e6b5bf', 'hex');
  await pick(page, [
    file(
      'one.dcm',
      xray({
        '00080005': ['CS', '\\ISO 2022 IR 149'],
        '00080050': ['SH', 'A1'],
        '00100010': ['PN', korean],
        '00100020': ['LO', '4711'],
      }),
      '',
    ),
  ]);
  await idle(page, 2);
  await item.waitFor({ state: 'attached' });
  await page.waitForFunction(() => !(/** @type {any} */ (document.querySelector('cxr-lens')).shadowRoot.querySelector('.menu .sr').hidden));
  assert.equal(site.hits.filter((url) => /dicom-sr/.test(url)).length, 0, 'loaded only when asked for');
  await part(page, '.menu summary').focus();
  await page.keyboard.press('Enter');
  for (let i = 0; i < 3; i++) await page.keyboard.press('Tab');
  assert.ok(await item.evaluate((node) => node.matches(':focus')));
  assert.match(await item.innerText(), /DICOM SR .*identifiers of patient and study/);
  const download = page.waitForEvent('download');
  await page.keyboard.press('Enter');
  const saved = await download;
  assert.match(saved.suggestedFilename(), /^cxr-lens-[\d-]+\.sr\.dcm$/);
  const path = await saved.path();
  const said = dump('dsrdump', '--print-all-codes', '--print-template-id', '--print-instance-uid', path);
  assert.match(said, /Comprehensive SR Document.*TID 1500 \(DCMR\).*IMAGE:.*1\.2\.3\.4\.5\.6/s);
  const tags = dump('dcmdump', path);
  for (const value of [
    /Hong\^Gildong=洪\^吉洞=홍\^길동/,
    /\(0010,0020\) LO \[4711\]/,
    /\(0008,0050\) SH \[A1\]/,
    /\(0020,000d\) UI \[1\.2\.3\.4\]/,
  ])
    assert.match(tags, value);
  const { verdict } = (await results(page)).find(({ dicom }) => dicom);
  assert.match(said, new RegExp(`CODE:\\(verdict,99CXRLENS,.*=\\(${verdict},99CXRLENS,`));
  assert.deepEqual(troubles, []);
});

/** What a tool says of a file; any complaint but of what it does not check is a failure. @param {string} tool @param {...string} options */
function dump(tool, ...options) {
  const done = spawnSync(tool, options, { encoding: 'utf8' });
  const complaints = done.stderr.replace('W: The VR checker does not support this Specific Character Set: ISO_IR 192\n', '');
  assert.deepEqual([done.status, complaints], [0, ''], done.stdout);
  return done.stdout;
}

test('offline, after a visit without any DICOM, every codec is there, and images open, compressed ones as well', async () => {
  const { context, page } = await site.open({ serviceWorkers: 'allow' });
  await stored(page);
  const kept = await page.evaluate(async () => {
    const [name] = (await caches.keys()).filter((each) => each.startsWith('cxrlens-'));
    return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname.slice(1));
  });
  for (const name of ['dicom.js', 'jpeg-', 'jpegls-', 'dicom-jpegls.wasm', 'jpeg2000-', 'dicom-jpeg2000.wasm'])
    assert.ok(
      kept.some((each) => each.startsWith(name)),
      name,
    );
  await context.setOffline(true);
  await page.reload();
  await page.locator('cxr-lens .status[data-state=ready]').waitFor({ state: 'attached' });
  const stream = encode({ width: SIDE, height: SIDE, bits: 12, pixels: samples(12) });
  const syntax = '1.2.840.10008.1.2.4.201';
  const packed = dicomFile(radiograph({ width: SIDE, height: SIDE, bits: 12, pixels: samples(12) }, { '7fe00010': null }), {
    syntax,
    tail: encapsulated([stream]),
  });
  await pick(page, [file('IM1', xray(), ''), file('IM2', packed, '')]);
  await idle(page, 2);
  assert.deepEqual((await results(page)).map(({ dicom }) => dicom.transferSyntax.uid).sort(), ['1.2.840.10008.1.2.1', syntax]);
});
