// same.test.js - one picture as PNG and as DICOM gives the same bits through the real classifier; and the sizes and
// the time that users pay.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { png } from '../../png.js';
import { reachable } from '../reachable.js';
import { openDicom, toGray8, web } from './module.js';
import { dicomFile, encapsulated, radiograph, rle } from './write.js';

const built = ['classifier.js', 'cxrlens.cxrm'].every((name) => existsSync(new URL(name, web)));
const skip = built ? false : `no classifier in ${web}: build first`;

/** @type {any} */
let cxr;
before(async () => {
  if (skip) return;
  const { createClassifier } = await import(new URL('classifier.js', web).href);
  cxr = await createClassifier({ workers: 0 });
});
after(() => cxr?.dispose());

const width = 301;
const height = 277;

/** Something with the contrasts of a chest: bright middle, two dark fields. @param {number} x @param {number} y 0..1 */
function body(x, y) {
  const lung = (/** @type {number} */ centre) => Math.exp(-(((x - centre) / 0.13) ** 2) - ((y - 0.5) / 0.3) ** 2);
  return Math.min(Math.max(0.75 - 0.6 * lung(0.3) - 0.6 * lung(0.7) + 0.05 * Math.sin(40 * y) * lung(0.5), 0), 1);
}

/** @param {8|16} bits */
function xray(bits) {
  const Samples = bits === 8 ? Uint8Array : Uint16Array;
  const most = 2 ** bits - 1;
  return Samples.from(
    Array.from({ length: width * height }, (_, i) => Math.round(most * body((i % width) / width, Math.floor(i / width) / height))),
  );
}

/** @param {Uint8Array|Uint16Array} samples */
const picture = (samples) => png(width, height, (x, y) => samples[y * width + x], { bits: samples.BYTES_PER_ELEMENT === 2 ? 16 : 8 });

/** What must be the same. @param {any} result */
const answer = ({ verdict, classes, gate }) => ({ verdict, classes, gate });

/** @param {Uint8Array} file */
async function classifyDicom(file) {
  return answer(await cxr.classify(await (await openDicom(file)).frame(0)));
}

/** @type {Record<string, any>} */
const wide = { '00281050': ['DS', '32768'], '00281051': ['DS', '65536'] };
const narrow = xray(8);
const deep = xray(16);

test('8 bits: PNG, MONOCHROME2, MONOCHROME1, RLE and RGB give the same bits', { skip }, async () => {
  const expected = answer(await cxr.classify(picture(narrow)));
  const image = { width, height, pixels: narrow };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(image))), expected, 'MONOCHROME2');
  const negative = { ...image, pixels: narrow.map((v) => 255 - v), photometric: 'MONOCHROME1' };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(negative))), expected, 'MONOCHROME1');
  const encoded = dicomFile(radiograph(image, { '7fe00010': null }), {
    syntax: '1.2.840.10008.1.2.5',
    tail: encapsulated([rle(/** @type {Uint8Array} */ (narrow))]),
  });
  assert.deepEqual(await classifyDicom(encoded), expected, 'RLE');
  const rgb = Uint8Array.from({ length: 3 * narrow.length }, (_, i) => narrow[Math.floor(i / 3)]);
  const colour = dicomFile(radiograph({ ...image, pixels: rgb, photometric: 'RGB' }, { '00280002': ['US', 3], '00280006': ['US', 0] }));
  assert.deepEqual(await classifyDicom(colour), expected, 'RGB');
});

test('16 bits: PNG, a whole window, rescaled and signed give the same bits', { skip }, async () => {
  const expected = answer(await cxr.classify(picture(deep)));
  const image = { width, height, pixels: deep };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(image, wide))), expected, 'unsigned');
  /** @type {Record<string, any>} */
  const rescaled = {
    '00281050': ['DS', '65436'],
    '00281051': ['DS', '131071'],
    '00281052': ['DS', '-100'],
    '00281053': ['DS', '2'],
  };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(image, rescaled))), expected, 'rescaled');
  const signed = { ...image, pixels: deep.map((v) => v - 32768), signed: true };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(signed, { ...wide, '00281050': ['DS', '0'] }))), expected, 'signed');
});

test('a LUT and the window that it draws give the same bits; overlays change nothing', { skip }, async () => {
  const image = { width, height, bits: 12, pixels: deep.map((v) => v >> 4) };
  /** @type {Record<string, any>} */
  const window = { '00281050': ['DS', '2048'], '00281051': ['DS', '4096'] };
  const expected = await classifyDicom(dicomFile(radiograph(image, window)));
  const entries = Array.from({ length: 4096 }, (_, i) => i);
  /** @type {Record<string, any>} */
  const lut = { '00283010': ['SQ', [{ '00283002': ['US', [4096, 0, 12]], '00283006': ['US', entries] }]] };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(image, lut))), expected);
  const overlaid = { ...image, pixels: image.pixels.map((v, i) => v | (i % 2 ? 0x8000 : 0)) };
  assert.deepEqual(await classifyDicom(dicomFile(radiograph(overlaid, window))), expected);
});

test('classify takes the DICOM file itself', { skip }, async () => {
  const file = dicomFile(radiograph({ width, height, pixels: narrow }));
  const expected = await classifyDicom(file);
  for (const input of [file, Uint8Array.from(file).buffer, new Blob([file]), new File([file], 'IM000001')])
    assert.deepEqual(answer(await cxr.classify(input)), expected);
});

test('the reader is at most 25 KB over the wire, and the part that every page loads 2 KB', () => {
  const size = (/** @type {string[]} */ names) =>
    names.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, web)), { level: 9 }).length, 0);
  const [reader, page] = ['dicom.js', 'app.js'].map((name) => reachable(name, fileURLToPath(web)));
  assert.ok(size(reader) <= 25 * 1024, `${size(reader)} bytes`);
  const both = reader.filter((name) => page.includes(name));
  assert.ok(size(both) <= 2048, `${size(both)} bytes of ${both}`);
});

test('3,000 x 3,000 pixels of 12 bits are opened, drawn and classified', { skip }, async (t) => {
  const pixels = Uint16Array.from({ length: 9_000_000 }, (_, i) => Math.round(4095 * body((i % 3000) / 3000, Math.floor(i / 3000) / 3000)));
  const file = dicomFile(
    radiograph({ width: 3000, height: 3000, bits: 12, pixels }, { '00281050': ['DS', '2048'], '00281051': ['DS', '4096'] }),
  );
  const times = [];
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const gray = await (await openDicom(file)).frame(0);
    const opened = performance.now();
    await cxr.classify(gray);
    const classified = performance.now();
    toGray8(gray);
    times.push([opened - start, classified - opened, performance.now() - classified]);
  }
  const best = times.reduce((least, row) => (row[0] + row[1] < least[0] + least[1] ? row : least));
  t.diagnostic(`opened in ${best[0].toFixed(0)} ms, classified in ${best[1].toFixed(0)} ms, drawn in ${best[2].toFixed(0)} ms`);
  // Idle: about 150 ms in all; the limit only tells slow from broken.
  assert.ok(best[0] + best[1] < 4000);
});
