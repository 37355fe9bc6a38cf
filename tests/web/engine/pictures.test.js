/** Images that only the browser decodes: read through it and marked so, or named by their kind; in Node always named. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { imageKind } from '../../../web/shared/image-kind.js';
import { chest, file, idle, pick, stage } from '../support.js';
import { png } from '../../png.js';

const site = stage();
const cases = process.env.CASES ?? '../shared/cases';
const skip = existsSync(cases) ? false : `no case files in ${cases}`;
const latin = (/** @type {string} */ text) => Buffer.from(text, 'latin1');
const { createClassifier } = await import('../../../build/web/classifier.js');

/**
 * A BMP of 32 bits, rows from the bottom.
 * @param {number} width @param {number} height @param {(x: number, y: number) => number[]} pixel red, green, blue, alpha
 */
function bmp(width, height, pixel) {
  const bytes = Buffer.alloc(122 + 4 * width * height);
  bytes.write('BM', 0, 'latin1');
  [
    [2, bytes.length],
    [10, 122],
    [14, 108],
    [18, width],
    [22, height],
    [30, 3],
    [34, 4 * width * height],
    [54, 0xff0000],
    [58, 0xff00],
    [62, 0xff],
    [66, 0xff000000],
    [70, 0x73524742],
  ].forEach(([at, value]) => bytes.writeUInt32LE(value, at));
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(32, 28);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [red, green, blue, alpha] = pixel(x, height - 1 - y);
      bytes.set([blue, green, red, alpha], 122 + 4 * (y * width + x));
    }
  return bytes;
}

const gray = (/** @type {number} */ x, /** @type {number} */ y) => (x * 3 + y * 5) % 256;

/** What the page's classifier makes of each, by a worker. @param {import('playwright-core').Page} page @param {Record<string, Buffer>} files */
const classified = (page, files) =>
  page.evaluate(
    async (files) => {
      // @ts-expect-error: the page's own module
      const cxr = await (await import('/classifier.js')).createClassifier({ workers: 1 });
      const answers = await Promise.all(
        Object.entries(files).map(async ([name, bytes]) => [
          name,
          await cxr.classify(new File([new Uint8Array(bytes)], name)).catch((/** @type {any} */ { code, message }) => ({ code, message })),
        ]),
      );
      cxr.dispose();
      return Object.fromEntries(answers);
    },
    Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, [...bytes]])),
  );

const FILES = {
  'a.webp': latin('RIFF\x1a\0\0\0WEBPVP8L'),
  'a.gif': latin('GIF89a\x01\0\x01\0'),
  'a.bmp': bmp(2, 2, () => [0, 0, 0, 0]),
  'a.tiff': latin('MM\0*\0\0\0\x08'),
  'b.tiff': latin('II*\0\x08\0\0\0'),
  'c.tiff': latin('II+\0\x08\0\0\0'),
  'a.heic': latin('\0\0\0\x18ftypheic\0\0\0\0mif1heic'),
  'b.heic': latin('\0\0\0\x18ftypmif1\0\0\0\0mif1heic'),
  'a.avif': latin('\0\0\0\x1cftypavif\0\0\0\0mif1avif'),
  'b.avif': latin('\0\0\0\x1cftypmif1\0\0\0\0miafavif'),
  'a.jxl': latin('\xff\x0a'),
  'b.jxl': latin('\0\0\0\x0cJXL \r\n\x87\n'),
  'a.jp2': latin('\0\0\0\x0cjP  \r\n\x87\n'),
};

test('kinds are told by content, and Node names each', async () => {
  const cxr = await createClassifier({ workers: 0 });
  for (const [name, bytes] of Object.entries(FILES)) {
    const kind = name.slice(2);
    assert.equal(imageKind(bytes), kind, name);
    for (const input of [bytes, new Blob([bytes])])
      await assert.rejects(
        cxr.classify(input),
        ({ code, message }) =>
          code === 'image-kind' && new RegExp(kind.replace('jxl', 'JPEG XL').replace('jp2', 'JPEG 2000'), 'i').test(message),
      );
  }
  cxr.dispose();
  for (const other of [
    'BM is how a text begins',
    'RIFF\0\0\0\0WAVE',
    '\0\0\0\x18ftypisom\0\0\0\0isommp42',
    'MM',
    '',
    '\x89PNG\r\n\x1a\n',
    '\xff\xd8\xff\xe0',
  ])
    assert.equal(imageKind(latin(other)), undefined, other);
});

test('what the browser decodes is read as a PNG of the same pixels, and marked', async () => {
  const { page, troubles } = await site.open();
  const [width, height] = [120, 90];
  const {
    opaque,
    clear,
    png: plain,
    dark,
    ...rest
  } = await classified(page, {
    opaque: bmp(width, height, (x, y) => [gray(x, y), gray(x, y), gray(x, y), 255]),
    clear: bmp(width, height, (x) => [255, 255, 255, x < 60 ? 0 : 255]),
    png: png(width, height, gray),
    dark: png(width, height, (x) => (x < 60 ? 0 : 255)),
  });
  const answer = (/** @type {any} */ { verdict, classes, gate }) => ({ verdict, classes, gate });
  assert.deepEqual(rest, {});
  assert.deepEqual(answer(opaque), answer(plain));
  assert.deepEqual(answer(clear), answer(dark), 'over black');
  assert.deepEqual([opaque.image, opaque.file, opaque.sha256.length], [{ width, height, format: 'bmp' }, 'opaque', 64]);
  assert.deepEqual(opaque.warnings, [...plain.warnings, 'browser-decoded']);
  assert.deepEqual(troubles, []);
});

test('photos and screenshots', { skip }, async () => {
  const { page } = await site.open();
  const read = (/** @type {string} */ name) => readFileSync(`${cases}/${name}`);
  const {
    'film.webp': webp,
    'film.bmp': bitmap,
    'film.tif': tiff,
  } = await classified(page, { 'film.webp': read('film.webp'), 'film.bmp': read('film.bmp'), 'film.tif': read('film.tif') });
  for (const [format, { image, verdict, warnings }] of Object.entries({ webp, bmp: bitmap })) {
    assert.deepEqual([image.format, image.width, image.height], [format, 192, 192]);
    assert.ok(verdict && warnings.includes('browser-decoded'));
  }
  assert.deepEqual([tiff.code, /TIFF/.test(tiff.message)], ['image-kind', true]);
});

test('in a folder none of them is taken for something else', async () => {
  const { page } = await site.open();
  await pick(page, [
    file(
      'a.bmp',
      bmp(64, 64, (x, y) => [x, y, 0, 255]),
      'image/bmp',
    ),
    file('b.heic', FILES['a.heic'], 'image/heic'),
    file('c.png', chest(1)),
  ]);
  await idle(page, 3);
  assert.equal(await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results.length), 2);
  await page.getByText('HEIC', { exact: false }).first().waitFor();
});
