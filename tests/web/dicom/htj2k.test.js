// htj2k.test.js - High-Throughput JPEG 2000 in its three transfer syntaxes, encoded by OpenJPH: the stored values come
// back, lossy ones as OpenJPH decodes them, and damage ends in a typed error.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openDicom, refusal, web } from './module.js';
import { decode, encode } from './openjph.js';
import { dicomFile, encapsulated, radiograph, randomSource } from './write.js';

const [width, height] = [121, 99];
const [LOSSLESS, RPCL, ANY] = ['201', '202', '203'].map((end) => `1.2.840.10008.1.2.4.${end}`);

/** Waves with some noise, over all of the bits. @param {number} bits @param {boolean} signed @param {number} [count] */
function waves(bits, signed, count = width * height) {
  const below = randomSource(bits);
  const Samples = bits <= 8 ? Uint8Array : Uint16Array;
  return Samples.from(
    Array.from({ length: count }, (_, i) => {
      const value = 2 ** bits * (0.5 + 0.45 * Math.sin((i % width) / 13) * Math.cos(i / width / 17)) + below(2 ** Math.max(bits - 7, 1));
      return Math.floor(value) - (signed ? 2 ** (bits - 1) : 0);
    }),
  );
}

/**
 * @param {Uint8Array[]} fragments
 * @param {string} syntax
 * @param {Partial<import('./write.js').Picture>} picture
 * @param {Record<string, any>} [more]
 */
const xray = (fragments, syntax, picture, more = {}) =>
  dicomFile(radiograph({ width, height, pixels: new Uint16Array(), ...picture }, { '7fe00010': null, ...more }), {
    syntax,
    tail: encapsulated(fragments),
  });

for (const [bits, signed] of /** @type {[number, boolean][]} */ ([
  [8, false],
  [10, false],
  [12, false],
  [16, false],
  [12, true],
  [16, true],
]))
  test(`${bits} bits${signed ? ', signed' : ''}: lossless gives the same values, lossy what OpenJPH gives`, async () => {
    const pixels = waves(bits, signed);
    const picture = { width, height, pixels, bits, signed };
    for (const [syntax, choice] of /** @type {[string, import('./openjph.js').Choice][]} */ ([
      [LOSSLESS, {}],
      [LOSSLESS, { tile: 64 }],
      [RPCL, { rpcl: true }],
      [ANY, {}],
      [ANY, { lossy: true }],
    ])) {
      const stream = encode(picture, choice);
      const { data } = await (await openDicom(xray([stream], syntax, picture))).stored(0);
      const expected = new /** @type {any} */ (pixels.constructor)(choice.lossy ? decode(stream).buffer : pixels);
      // The two decoders' floating-point sums may round apart.
      const worst = data.reduce(
        (/** @type {number} */ most, /** @type {number} */ value, /** @type {number} */ i) => Math.max(most, Math.abs(value - expected[i])),
        0,
      );
      assert.ok(data.length === pixels.length && worst <= (choice.lossy ? 1 : 0), `${syntax} ${JSON.stringify(choice)}: ${worst}`);
    }
  });

test('colour, and many frames', async () => {
  const rgb = waves(8, false, 3 * width * height);
  const coloured = xray(
    [encode({ width, height, pixels: rgb, samples: 3 })],
    LOSSLESS,
    { pixels: rgb, photometric: 'YBR_RCT' },
    {
      '00280002': ['US', 3],
      '00280006': ['US', 0],
    },
  );
  assert.deepEqual([...(await (await openDicom(coloured)).stored(0)).data], [...rgb]);
  const frames = [waves(12, false), waves(12, false).reverse()];
  const streams = frames.map((pixels) => encode({ width, height, pixels, bits: 12 }));
  const dicom = await openDicom(xray(streams, LOSSLESS, { bits: 12 }, { '00280008': ['IS', '2'] }));
  for (const [i, pixels] of frames.entries()) assert.deepEqual((await dicom.stored(i)).data, pixels);
});

test('signed bytes are refused, and damage ends in a typed error', async () => {
  const bytes = { width, height, pixels: waves(8, true), bits: 8, signed: true };
  assert.equal((await refusal(xray([encode(bytes)], LOSSLESS, bytes)))?.code, 'dicom-unsupported');
  const stream = encode({ width, height, pixels: waves(12, false), bits: 12 });
  const below = randomSource(3);
  for (let round = 0; round < 60; round++) {
    const damaged = Buffer.from(stream);
    for (let n = 0; n <= below(8); n++) damaged[below(round % 2 ? stream.length : 200)] ^= 1 << below(8);
    await refusal(xray([damaged], LOSSLESS, { bits: 12 }));
  }
  for (const share of [0.02, 0.3, 0.9]) {
    const cut = await refusal(xray([stream.subarray(0, Math.floor(stream.length * share))], LOSSLESS, { bits: 12 }));
    assert.equal(cut?.code, 'dicom-corrupt', `${share}`);
  }
});

test('a decoder that does not arrive is no damage of the image, and is asked for again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlens-codec-'));
  const [there, away] = ['dicom-jpeg2000.wasm', 'away'].map((name) => join(folder, name));
  try {
    cpSync(fileURLToPath(web), folder, { recursive: true, filter: (name) => !name.endsWith('.cxrm') });
    renameSync(there, away);
    const pixels = waves(12, false);
    const reader = await import(pathToFileURL(join(folder, 'dicom.js')).href);
    const dicom = await reader.openDicom(xray([encode({ width, height, pixels, bits: 12 })], LOSSLESS, { bits: 12 }));
    await assert.rejects(dicom.stored(0), { name: 'DicomError', code: 'dicom-codec' });
    renameSync(away, there);
    assert.deepEqual((await dicom.stored(0)).data, pixels);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
