// memory.test.js - an engine that works all day: linear memory stays what it was, whatever the images.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { png } from '../../png.js';
import { blackPng, createClassifier, Engine, golden, grayPicture, modelBytes, moduleBytes, pickBuild } from './helpers.js';

/** Every path through the engine: encoded and decoded, with maps and without. */
function goodJobs() {
  const pixels = Uint16Array.from({ length: 96 * 80 }, (_, i) => i % 4096);
  return /** @type {any[]} */ ([
    [{ bytes: grayPicture(1, 96) }, true],
    [{ bytes: golden('deep-257x301.png') }, false],
    [{ bytes: golden('colour-333x180.png') }, false],
    [{ gray16: { pixels, width: 96, height: 80, bits: 12 } }, true],
    [{ rgba: { data: new Uint8ClampedArray(96 * 80 * 4).fill(99), width: 96, height: 80 } }, false],
  ]);
}

function badJobs() {
  const picture = grayPicture(2, 96);
  return /** @type {any[]} */ ([
    [{ bytes: new Uint8Array(0) }, true],
    [{ bytes: Buffer.from('nothing that we know') }, false],
    [{ bytes: picture.subarray(0, picture.length >> 1) }, true],
    [{ gray16: { pixels: new Uint16Array(96 * 80), width: 96, height: 80, bits: 99 } }, true],
    [{ bytes: png(16, 16) }, false],
  ]);
}

test('500 images, good and broken: linear memory is flat', async () => {
  const engine = await Engine.create(await WebAssembly.compile(moduleBytes(pickBuild())), modelBytes());
  const good = goodJobs(),
    bad = badJobs();
  let answered = 0,
    refused = 0,
    warm = 0;
  for (let i = 0; i < 500; i++) {
    const [job, maps] = i % 4 === 0 ? good[(i / 4) % good.length] : bad[i % bad.length];
    await engine.classify(job, maps).then(
      () => answered++,
      (/** @type {any} */ error) => {
        if (error.name !== 'CxrError') throw error; // the engine's own copy of that class
        refused++;
      },
    );
    if (i === 40) warm = engine.memoryBytes;
  }
  assert.deepEqual([answered, refused], [125, 375]);
  assert.equal(engine.memoryBytes, warm);
  console.log(`linear memory after 500 images: ${(warm / 2 ** 20).toFixed(1)} MiB`);
});

test('after one huge image a worker is not kept', async () => {
  const cxr = await createClassifier({ workers: 1 });
  assert.deepEqual((await cxr.classify(blackPng(6000, 5000))).image, { width: 6000, height: 5000, format: 'png' });
  const before = process.memoryUsage().rss;
  assert.equal((await cxr.classify(grayPicture(1))).image.width, 64);
  const { rss } = process.memoryUsage();
  assert.ok(rss < before, `${rss} is not less than ${before}`);
  cxr.dispose();
});
