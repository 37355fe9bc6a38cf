/** The page's parts that need no browser: queue, exports, colours, words. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Queue, failure } from '../../../web/element/queue.js';
import { csvCell, toCsv, toJson } from '../../../web/export/export.js';
import { enlarge } from '../../../web/shared/resample.js';
import { borderShare } from '../../../web/shared/result.js';
import { reach, signed } from '../../../web/viewer/colormap.js';
import { coverTest } from '../../../web/viewer/occlusion.js';
import { Words, pickLanguage } from '../../../web/shared/words.js';
import { hostSettings, securityHeaders } from '../../../web/server/serve.js';
import ko from '../../../web/strings/ko.js';

const tick = () => new Promise((resolve) => setTimeout(resolve));
const blobs = (/** @type {number} */ n) => Array.from({ length: n }, (_, i) => new Blob([String(i)]));

/** A queue whose images end when the test says so. @param {number} width */
function held(width) {
  /** @type {{ item: any, signal: AbortSignal, resolve: (result: any) => void, reject: (error: any) => void }[]} */
  const calls = [];
  const queue = new Queue(
    (item, signal) => new Promise((resolve, reject) => calls.push({ item, signal, resolve, reject })),
    () => width,
  );
  return { queue, calls };
}

test('queue: never more at work than it may, in order of arrival', async () => {
  const { queue, calls } = held(2);
  queue.add(blobs(5));
  assert.deepEqual(
    calls.map(({ item }) => item.id),
    [1, 2],
  );
  calls[1].resolve({});
  await tick();
  assert.deepEqual(
    calls.map(({ item }) => item.id),
    [1, 2, 3],
  );
});

test('queue: the time left is told with one worker too, of this run alone', async () => {
  const { queue, calls } = held(1);
  queue.add(blobs(5));
  for (let i = 0; i < 5; i++) {
    assert.equal(queue.progress.left === null, i < 3, `after ${i}`);
    calls[i].resolve({});
    await tick();
  }
  queue.add(blobs(2));
  assert.equal(queue.progress.left, null);
});

test('queue: one failure leaves the rest alone and can be tried again', async () => {
  const { queue, calls } = held(1);
  const [bad] = queue.add(blobs(2));
  calls[0].reject({ code: 'image-corrupt', message: 'x' });
  await tick();
  calls[1].resolve({});
  await tick();
  assert.equal(bad.state, 'failed');
  assert.equal(bad.error?.code, 'image-corrupt');
  queue.retry(bad);
  calls[2].resolve({ fine: true });
  await tick();
  assert.deepEqual(queue.progress, { total: 2, done: 2, failed: 0, cancelled: 0, open: 0, skipped: 0, left: null });
});

test('queue: cancel aborts what runs and lets nothing late through', async () => {
  const { queue, calls } = held(1);
  const [first] = queue.add(blobs(3));
  queue.cancel();
  assert.ok(calls[0].signal.aborted);
  calls[0].resolve({ late: true });
  await tick();
  assert.equal(first.result, null);
  assert.equal(queue.progress.cancelled, 3);
  assert.equal(calls.length, 1);
});

test('queue: an image cancelled and tried again belongs to its second run', async () => {
  const { queue, calls } = held(1);
  const [item] = queue.add(blobs(1));
  queue.cancel();
  queue.retry(item);
  calls[0].reject(new Error('aborted'));
  await tick();
  assert.equal(item.state, 'running');
  calls[1].resolve({ second: true });
  await tick();
  assert.deepEqual(item.result, { second: true });
});

test('queue: what runs waits again when another is to read it, and its old answer is not heard', async () => {
  const { queue, calls } = held(1);
  const [item] = queue.add(blobs(2));
  queue.restart();
  assert.ok(calls[0].signal.aborted);
  assert.equal(item.state, 'waiting');
  calls[0].resolve({ old: true });
  queue.pump();
  await tick();
  assert.deepEqual([item.state, calls.length, calls[1].item], ['running', 2, item]);
  calls[1].resolve({ new: true });
  await tick();
  assert.deepEqual(item.result, { new: true });
});

test('queue: remove and undo keep the order', async () => {
  const { queue } = held(0);
  const items = queue.add(blobs(4));
  queue.remove([items[1], items[3]]);
  assert.deepEqual(
    queue.items.map(({ id }) => id),
    [1, 3],
  );
  assert.equal(queue.undo(), 2);
  assert.deepEqual(
    queue.items.map(({ id }) => id),
    [1, 2, 3, 4],
  );
  assert.equal(queue.undo(), 0);
});

test('queue: what a removal stopped waits again after undo, what had been cancelled before does not', async () => {
  const queue = new Queue(
    () => new Promise(() => {}),
    () => 1,
  );
  const [running, cancelled] = queue.add([new Blob(), new Blob()]);
  queue.cancel([cancelled]);
  queue.remove();
  queue.undo();
  assert.deepEqual([running.state, cancelled.state], ['running', 'cancelled']);
  queue.cancel();
  queue.undo();
  assert.equal(running.state, 'cancelled', 'nothing is left to undo');
  queue.resume([running]);
  queue.resume();
  assert.equal(cancelled.state, 'waiting');
});

test('CSV cells: formulas become text, quotes are doubled', () => {
  for (const evil of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1']) assert.match(csvCell(evil), /^"?'/, evil);
  assert.equal(csvCell('a"b,c'), '"a""b,c"');
  assert.equal(csvCell('plain.png'), 'plain.png');
  assert.equal(csvCell(-0.5), '-0.5');
  assert.equal(csvCell(null), '');
});

test('exports hold what is finished, in one row each', () => {
  const item = (/** @type {any} */ more) => ({
    id: 1,
    name: 'a.png',
    source: new Blob(),
    state: 'done',
    result: null,
    error: null,
    elapsed: 1,
    ...more,
  });
  const items = [item({ state: 'failed', error: { code: 'image-corrupt', message: 'm' } }), item({ state: 'waiting' })];
  const csv = toCsv(items, { names: true, verdict: () => '' });
  const [header, row] = csv.trim().split('\r\n');
  assert.equal(csv.trim().split('\r\n').length, 2);
  assert.equal(row.split(',').length, header.split(',').length);
  assert.equal(row.split(',')[header.split(',').indexOf('error')], 'image-corrupt');
  assert.deepEqual(JSON.parse(toJson(items, { names: false, verdict: () => '' })), [
    { schema: 'cxrlens.result/1', file: null, error: { code: 'image-corrupt', message: 'm' } },
  ]);
});

test('colours: clear at zero, red for and blue against, alike in strength', () => {
  const [r, , b] = signed(1),
    [r2, , b2] = signed(-1);
  assert.ok(r > b && b2 > r2);
  assert.equal(signed(0)[3], 0);
  assert.equal(signed(0.5)[3], signed(-0.5)[3]);
  const light = (/** @type {number[]} */ [r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  assert.ok(Math.abs(light(signed(1)) - light(signed(-1))) < 25);
});

test('an enlarged map keeps its values at the centres of the cells', () => {
  const values = Float32Array.from({ length: 49 }, (_, i) => Math.sin(i));
  const big = enlarge({ width: 7, height: 7, values }, 7 * 5);
  for (let y = 0; y < 7; y++) for (let x = 0; x < 7; x++) assert.ok(Math.abs(big[(y * 5 + 2) * 35 + x * 5 + 2] - values[y * 7 + x]) < 1e-5);
  assert.equal(reach([{ values: [-3, 2] }]), 3);
});

test('evidence at the border is noticed', () => {
  const grid = (/** @type {(x: number, y: number) => number} */ value) => ({
    width: 7,
    height: 7,
    values: Float32Array.from({ length: 49 }, (_, i) => value(i % 7, Math.floor(i / 7))),
  });
  assert.ok(Math.abs(borderShare(grid(() => 1)) - 0.36) < 0.01);
  assert.ok(borderShare(grid((x, y) => (x === 0 && y === 0 ? 1 : 0))) > 0.6);
  assert.ok(borderShare(grid((x, y) => (x === 3 && y === 3 ? 1 : 0))) < 0.05);
});

test('words: languages, blanks, plurals, percentages that never lie', () => {
  assert.equal(pickLanguage(['fr-FR', 'ko-KR', 'en']), 'ko');
  assert.equal(pickLanguage([null, 'constructor', 'xx']), 'en');
  const en = new Words('en');
  assert.equal(en.text('bar.removed', { n: 1 }), '1 image removed.');
  assert.equal(en.text('bar.removed', { n: 1200 }), '1,200 images removed.');
  assert.equal(en.percent(0.99999), '99.9%');
  assert.equal(en.percent(0.00001), '0.1%');
  assert.equal(en.percent(1), '100.0%');
  assert.equal(new Words('ko', ko).text('bar.removed', { n: 3 }), '사진 3장을 지웠습니다.');
  assert.equal(new Words('en', {}, { 'bar.clear': 'Wipe' }).text('bar.clear'), 'Wipe');
  assert.match(en.error({ code: 'model-checksum', message: '' }), /model file/);
  assert.match(en.error({ code: 'never-seen', message: 'why' }), /why/);
  for (const code of ['unreadable', 'worker-failed', 'disposed']) assert.doesNotMatch(en.error({ code, message: '' }), /unexpected/, code);
  assert.equal(failure(new DOMException('gone', 'NotReadableError')).code, 'unreadable');
});

test('every kind of host sends the same headers, and the page brings the policy itself', () => {
  const headers = securityHeaders("'self' https://portal.example");
  for (const host of ['netlify', 'apache', 'nginx', 'caddy']) {
    const settings = hostSettings(host, "'self' https://portal.example") ?? '';
    for (const [name, value] of Object.entries(headers))
      assert.ok(
        settings.split('\n').some((line) => line.includes(name) && line.includes(value)),
        `${host}: ${name}`,
      );
  }
  assert.equal(hostSettings('toString', "'self'"), null);
  const [, meta] = readFileSync('web/index.html', 'utf8').match(/Content-Security-Policy" content="([^"]+)"/) ?? [];
  // A policy in the document cannot say who may frame it.
  assert.equal(meta, headers['Content-Security-Policy'].replace(/; frame-ancestors .*/, ''));
});

test('cover test: marks the part that the answer depends on, for and against, and nothing far from it', async () => {
  const [width, height] = [320, 256]; // parts of 40 x 32 pixels
  const gray = Uint8Array.from({ length: width * height }, (_, i) => (i % 2 ? 60 : 180));
  let reads = 0;
  /** A model that looks at one part only: the pixels' differences there. @param {{ pixels: Uint16Array, invert?: boolean }} image */
  const classify = async ({ pixels, invert }) => {
    reads += 1;
    assert.equal(invert, true);
    let texture = 0;
    for (let y = 64; y < 96; y++) for (let x = 200; x < 240; x += 2) texture += Math.abs(pixels[y * width + x] - pixels[y * width + x + 1]);
    const logit = texture / (32 * 20 * 120);
    return /** @type {any} */ ({
      warnings: [],
      classes: [
        { id: 'a', logit },
        { id: 'b', logit: -logit },
      ],
    });
  };
  const { width: across, height: down, classes } = await coverTest(classify, { width, height, gray }, true);
  assert.equal(reads, 1 + across * down);
  // What is covered is twice as wide as a part, so that a neighbour's cover takes half of it.
  const near = (/** @type {number} */ distance) => [1, 0.5, 0][Math.min(Math.abs(distance), 2)];
  const lost = (/** @type {number} */ i) => near((i % across) - 5) * near(Math.floor(i / across) - 2);
  assert.deepEqual(
    classes.map(({ id }) => id),
    ['a', 'b'],
  );
  classes[0].values.forEach((value, i) => assert.ok(Math.abs(value - lost(i)) < 0.05, `${i}: ${value}`));
  classes[1].values.forEach((value, i) => assert.ok(Math.abs(value + lost(i)) < 0.05, `${i}: ${value}`));
});
