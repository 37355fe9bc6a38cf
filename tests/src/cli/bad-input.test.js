/** The command `cxrlens` on images and models that are damaged, vast or missing: a sentence each, and the run goes on. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { png, pngOf } from '../../png.js';
import { jpegHeader, zeros } from './images.js';
import { CLASSES, IMAGE, MODEL, classify, folder, good, largest, openGate, put, run, within } from './command.js';

// ---- bad input ----------------------------------------------------------------------------------------

const bad = [
  ['empty.png', Buffer.alloc(0), 'image-empty'],
  ['text.png', 'This is no image.\n', 'image-format'],
  ['page.jpg', '<!doctype html><title>404</title>', 'image-format'],
  ['cut.png', good.subarray(0, good.length / 2), 'image-corrupt'],
  ['header-only.png', good.subarray(0, 33), 'image-corrupt'],
  ['flipped.png', Buffer.concat([good.subarray(0, 60), Buffer.from(good.subarray(60)).fill(0xa5, 0, 40)]), 'image-corrupt'],
  ['vast.png', pngOf(30000, 30000, zeros(1)), 'image-side'],
  ['vast.jpg', jpegHeader(30000, 30000), 'image-side'],
  ['many-pixels.png', pngOf(16000, 16000, zeros(1)), 'image-pixels'],
  ['empty-promise.png', pngOf(8000, 8000, zeros(1)), 'image-corrupt'],
  ['no-size.png', pngOf(0, 100, zeros(1)), 'image-corrupt'],
  ['tiny.png', png(16, 200), 'image-small'],
  ['cut.jpg', jpegHeader(100, 100), 'image-corrupt'],
  ['image.dcm', Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(64)]), 'image-dicom'],
  ['phone.webp', Buffer.from('RIFF\x1a\0\0\0WEBPVP8L'), 'image-kind'],
  ['phone.heic', Buffer.from('\0\0\0\x1cftypmif1\0\0\0\0mif1heic'), 'image-kind'],
  ['BM', Buffer.from('BM is how this text begins.'), 'image-format'],
  ['IM000001', Buffer.from('\x08\0\x05\0CS\x0a\0ISO_IR 192'), 'image-dicom'],
  ['implicit', Buffer.from('\x08\0\x05\0\x0a\0\0\0ISO_IR 192'), 'image-dicom'],
].map(([name, content, code]) => ({ path: put(`bad/${name}`, /** @type {string | Buffer} */ (content)), code }));

/** @param {string} build */
function checkBatch(build) {
  const missing = join(folder, 'missing.png');
  const paths = [IMAGE, ...bad.map(({ path }) => path), missing, IMAGE];
  const { code, results, err } = classify(paths, { build });
  assert.equal(code, 1);
  assert.equal(err, '');
  assert.deepEqual(
    results.map(({ file }) => file),
    paths,
  );
  assert.deepEqual(
    results.map(({ error }) => error?.code),
    [undefined, ...bad.map((each) => each.code), 'file-unreadable', undefined],
  );
  for (const { error } of results) assert.ok(!error || /^[A-Z].*\.$/.test(error.message), `no sentence: ${error?.message}`);
  assert.deepEqual(Object.keys(results[1]), ['schema', 'file', 'error']);
}

for (const build of ['native', 'scalar', 'asan']) {
  test(`a batch goes on after every kind of bad input, and nothing leaks (${build})`, () => checkBatch(build));
}

test('valgrind has nothing to say', () => {
  const wrap = ['valgrind', '-q', '--leak-check=full', '--error-exitcode=99'];
  const { code, err } = classify(['--heatmap', join(folder, 'maps'), IMAGE, ...bad.map(({ path }) => path)], { wrap });
  assert.deepEqual([code, err], [1, '']);
});

test('a bomb neither takes the memory nor the time', () => {
  const bombs = [
    put('bomb.png', pngOf(100, 100, zeros(1024))),
    put('chunks.png', Buffer.concat([pngOf(100, 100, zeros(64)).subarray(0, -12), png(64, 64).subarray(33)])),
  ];
  for (const bomb of bombs) {
    const { code, results } = classify([bomb, IMAGE], { wrap: within(700_000) });
    assert.equal(results.length, 2);
    assert.ok(code === 0 || results[0].error.code === 'image-corrupt', results[0].error?.code);
    assert.equal(results[1].error, undefined);
  }
});

test('the largest image that is allowed stays under 1.5 GB', () => {
  const { code, results } = classify([largest()], { wrap: within(1_500_000) });
  assert.equal(code, 0, JSON.stringify(results));
  assert.equal(results[0].image.width, 8192);
});

test('want of memory is a result, not a crash', () => {
  const { code, results } = classify([largest(), IMAGE], { wrap: within(100_000) });
  assert.deepEqual([code, results[0].error?.code, results[1].error], [1, 'memory', undefined]);
});

test('files beyond the limit and endless ones are refused', () => {
  const { code, results } = classify(['/dev/zero', IMAGE]);
  assert.deepEqual([code, results[0].error?.code], [1, 'image-file-size']);
});

test('a small PNG cut anywhere is refused with a sentence', () => {
  const whole = png(40, 40);
  const paths = Array.from({ length: whole.length - 1 }, (_, i) => put(`cuts/${String(i).padStart(4, '0')}.png`, whole.subarray(0, i)));
  const { code, results } = classify(paths, { build: 'asan' });
  assert.equal(code, 1);
  assert.equal(results.length, paths.length);
  // The last chunk says nothing but "end".
  const needed = whole.length - 12;
  for (const [i, { error }] of results.entries()) assert.ok(error || i >= needed, `${i} bytes were enough`);
});

test('a model that is missing, cut, changed or of another kind is refused by name', () => {
  const model = readFileSync(MODEL);
  const flip = (/** @type {number} */ at) => {
    const copy = Buffer.from(model);
    copy[at] ^= 0x10;
    return copy;
  };
  const models = [
    ['empty.cxrm', Buffer.alloc(0)],
    ['text.cxrm', 'model'],
    ['image.cxrm', good],
    ...[1, 3, 63, 64, 160, 1000, model.length >> 1, model.length - 1].map((n) => [`cut-${n}.cxrm`, model.subarray(0, n)]),
    ['long.cxrm', Buffer.concat([model, Buffer.alloc(1)])],
    ...[0, 4, 8, 16, 24, 55, 60, 64, 70, 80, 170, 300, 5000, model.length >> 1, model.length - 1].map((n) => [`flip-${n}.cxrm`, flip(n)]),
  ].map(([name, content]) => put(`models/${name}`, /** @type {Buffer} */ (content)));
  for (const path of [...models, join(folder, 'none.cxrm'), folder]) {
    const { code, out, err } = run(['classify', '--model', path, IMAGE], { build: 'asan' });
    assert.equal(code, 2, path);
    assert.equal(out, '');
    assert.ok(err.startsWith('cxrlens: ') && err.includes(path), err);
    assert.ok(!err.includes('Sanitizer'), err);
  }
  assert.equal(run(['info'], { env: { CXRLENS_MODEL: models[0] } }).code, 2);
  assert.equal(run(['info', '--model', MODEL], { env: { CXRLENS_MODEL: models[0] } }).code, 0);
  assert.equal(run(['info'], { env: { CXRLENS_MODEL: '' } }).code, 0);
  assert.match(run(['info', '--model', '']).err, /cannot read the model/);
});

test('class names that are no names are refused', () => {
  const text = CLASSES.join('\n');
  for (const [start, code] of /** @type {[string, number][]} */ ([
    ['A_b.1\n', 0],
    ['nor\u001b[31m\n', 2],
    ['a b\n', 2],
    ['a\0b\n', 2],
    ['\nab\n', 2],
    ['aa\naa\n', 2],
    ['uncertain\n', 2],
    ['not-a-chest-x-ray\n', 2],
  ])) {
    const model = readFileSync(openGate());
    model.write(start.concat('b\nc\nd').slice(0, text.length).padEnd(text.length, 'd'), model.indexOf(text), 'latin1');
    if (start === 'aa\naa\n') model.write('aa\naa\nc\nd'.padEnd(text.length, 'd'), model.indexOf('aa\naa'), 'latin1');
    createHash('sha256').update(model.subarray(64)).digest().copy(model, 24);
    assert.equal(run(['info', '--model', put('named.cxrm', model)]).code, code, JSON.stringify(start));
  }
});
