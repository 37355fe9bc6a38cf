/** The page's parts that need no browser: queue, exports, colours, words. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Queue, failure } from '../../../web/element/queue.js';
import { csvCell, toCsv, toJson } from '../../../web/export/export.js';
import { enlarge } from '../../../web/shared/resample.js';
import { disagreement, findingName, findingsSentence } from '../../../web/shared/findings.js';
import { insideLungs, masksOf } from '../../../web/shared/maps.js';
import { outlineOf, placeLabels } from '../../../web/viewer/overlay.js';
import { reach, signed } from '../../../web/viewer/colormap.js';
import { Occlusion } from '../../../web/viewer/occlusion.js';
import { Words, pickLanguage } from '../../../web/shared/words.js';
import { hostSettings, securityHeaders } from '../../../web/server/serve.js';
import ko from '../../../web/strings/ko.js';
import { THRESHOLDS, madeUp } from '../made-up.js';

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
    { schema: 'cxrlens.result/2', file: null, error: { code: 'image-corrupt', message: 'm' } },
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

test('what lies outside the lungs is not drawn, and a cell beside them is', () => {
  const { maps } = madeUp({
    cells: [
      [2, 7, 3, 2],
      [0, 0, 1, 1],
      [5, 11, 1, 1],
    ],
  });
  const inside = insideLungs(maps, 0.5);
  // Columns 2 to 4 and 7 to 9 are lung, and those beside them count too, but not at corners.
  assert.deepEqual(inside.slice(12 * 5, 12 * 6).map(Number), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
  assert.deepEqual([inside[0], inside[11], inside[12 * 11]], [false, false, false]);
  const side = 120;
  const { opacities, lungs } = masksOf(maps, THRESHOLDS, side);
  const cell = side / 12;
  opacities.forEach((is, i) => {
    const [x, y] = [(i % side) / cell, Math.floor(i / side) / cell];
    const beyond = Math.max(2 - x, x - 5, 7 - y, y - 9);
    if (is) assert.ok(beyond < 1, `drawn at ${x}, ${y}`);
    if (beyond < -0.5) assert.ok(is, `not drawn at ${x}, ${y}`);
  });
  assert.deepEqual([lungs[side * 60 + 30], lungs[side * 60 + 60], lungs[side * 60 + 90], lungs[0]], [true, false, true, false]);
});

test('the outline of the lungs is closed and lies on their edges', () => {
  const { maps } = madeUp();
  const ends = [...outlineOf(maps, 0.5).matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => `${x} ${y}`);
  const counts = new Map();
  for (const end of ends) counts.set(end, (counts.get(end) ?? 0) + 1);
  assert.ok(ends.length > 100 && [...counts.values()].every((count) => count % 2 === 0), 'each end meets another');
  for (const end of ends) {
    const [x, y] = end.split(' ').map(Number);
    const near = (/** @type {number} */ at, /** @type {number[]} */ edges) => edges.some((edge) => Math.abs(at - edge) < 1 / 24);
    assert.ok(near(x, [0.125, 0.4375, 0.5625, 0.875]) || near(y, [0.125, 0.875]), end);
  }
  maps.lungs.values.fill(1);
  assert.ok(
    [...outlineOf(maps, 0.5).matchAll(/[\d.]+/g)].every(([at]) => Number(at) >= 0 && Number(at) <= 1),
    'within the frame',
  );
});

test('specks are not drawn as lungs, nor holes as gaps, and both stay in the map itself', () => {
  const { maps } = madeUp();
  const before = outlineOf(maps, 0.5);
  const at = (/** @type {number} */ x, /** @type {number} */ y) => y * maps.lungs.width + x;
  const mark = (/** @type {[number, number][]} */ cells, value = 0.9) => {
    for (const [x, y] of cells) maps.lungs.values[at(x, y)] = value;
  };
  const row = (/** @type {number} */ count) => Array.from({ length: count }, (_, x) => /** @type {[number, number]} */ ([4 + x, 12]));
  mark([
    [0, 0],
    [1, 0],
    [0, 1],
    [23, 2],
    [0, 3],
    [0, 4],
    [0, 5],
  ]); // one cell at the far edge, on the row before the last group
  assert.equal(outlineOf(maps, 0.5), before);
  assert.equal(maps.lungs.values[0], Math.fround(0.9));
  mark(row(2), 0.1);
  assert.equal(outlineOf(maps, 0.5), before);
  assert.equal(maps.lungs.values[at(4, 12)], Math.fround(0.1));
  mark(row(6), 0.1);
  assert.ok(outlineOf(maps, 0.5).length > before.length, 'six cells in a row are a gap');
  mark([[0, 2]]);
  assert.notEqual(outlineOf(maps, 0.5), before, 'seven cells in a row are a part of a lung');
});

test('labels stay in the image, and none covers another', () => {
  const box = (/** @type {number} */ x, /** @type {number} */ y) => ({ x, y, width: 0.2, height: 0.2 });
  assert.deepEqual(placeLabels([box(0.1, 0.5), box(0.7, 0.7), box(0.1, 0), box(0.12, 0.52)]), [
    { below: false, end: false, short: false },
    { below: false, end: true, short: false },
    { below: true, end: false, short: false },
    { below: false, end: false, short: true },
  ]);
});

test('findings in words', () => {
  const en = new Words('en'),
    korean = new Words('ko', ko);
  const two = madeUp({
    cells: [
      [2, 7, 3, 2],
      [8, 5, 2, 2],
    ],
  });
  assert.equal(findingsSentence(en, two), 'Two opacities found: right lower, left middle zone');
  assert.equal(findingsSentence(korean, two), '음영 2곳: 우측 하폐야, 좌측 중폐야');
  assert.equal(findingName(en, two.findings[0]), 'right lower zone');
  assert.equal(findingsSentence(en, madeUp()), 'One opacity found: right lower zone');
  assert.equal(findingsSentence(en, madeUp({ cells: [] })), 'No opacity found in the lungs');
  assert.match(
    findingsSentence(en, madeUp({ cells: Array.from({ length: 7 }, () => [2, 7, 1, 1]) })),
    /^7 opacities found: right lower zone$/,
  );
  assert.equal(disagreement(en, two, 'covid-19'), '');
  assert.match(disagreement(en, two, 'normal'), /an opacity was found/);
  const bare = { ...madeUp({ cells: [], warnings: ['no-evidence'] }), verdict: 'uncertain' };
  assert.match(disagreement(en, bare, 'uncertain'), /point to COVID.19, but no opacity was found/);
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
  for (const file of ['_headers', '.htaccess', 'nginx.conf', 'Caddyfile']) {
    const settings = hostSettings(file, "'self' https://portal.example") ?? '';
    for (const [name, value] of Object.entries(headers))
      assert.ok(
        settings.split('\n').some((line) => line.includes(name) && line.includes(value)),
        `${file}: ${name}`,
      );
  }
  assert.equal(hostSettings('toString', "'self'"), null);
  const [, meta] = readFileSync('web/index.html', 'utf8').match(/Content-Security-Policy" content="([^"]+)"/) ?? [];
  // A policy in the document cannot say who may frame it.
  assert.equal(meta, headers['Content-Security-Policy'].replace(/; frame-ancestors .*/, ''));
});

/** An occlusion test of stripes by a model that looks at one place only. @param {number} left @param {number} top @param {number} right @param {number} bottom @param {object} frame */
function striped(left, top, right, bottom, frame) {
  const [width, height] = [320, 256];
  const gray = Uint8Array.from({ length: width * height }, (_, i) => (i % 2 ? 60 : 180));
  const test = new Occlusion({ width, height }, true, /** @type {any} */ (frame));
  const seen = { reads: 0, waves: /** @type {any[]} */ ([]), stopAfter: Infinity };
  /** @param {any} image */
  const classify = async ({ pixels, invert }) => {
    if (seen.reads >= seen.stopAfter) throw new Error('stopped');
    seen.reads += 1;
    assert.equal(invert, true);
    let texture = 0;
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x += 2) texture += Math.abs(pixels[y * width + x] - pixels[y * width + x + 1]);
    const logit = texture / ((120 * (bottom - top) * (right - left)) / 2);
    return /** @type {any} */ ({
      warnings: [],
      classes: [
        { id: 'a', logit },
        { id: 'b', logit: -logit },
      ],
    });
  };
  return { test, seen, run: () => test.run({ width, height, gray }, classify, () => seen.waves.push(test.map)) };
}

test('occlusion sensitivity: coarse at once, then finer, and marks what the answer depends on, for and against', async () => {
  const { test, seen, run } = striped(200, 64, 240, 96, { x: 0, y: 0, width: 1, height: 1 }); // one cell: column 5, row 2
  assert.equal(test.map, null);
  await run();
  assert.equal(seen.reads, 1 + 49);
  assert.deepEqual(
    seen.waves.map(({ done, total }) => [done, total]),
    [
      [16, 49],
      [25, 49],
      [37, 49],
      [49, 49],
    ],
  );
  const at = (/** @type {any} */ map, /** @type {number} */ x, /** @type {number} */ y, k = 0) => map.classes[k].values[y * 8 + x];
  // Coarse: the part of four cells that holds it has lost all. In the end it stands out from its neighbours.
  assert.ok(
    [
      [4, 2],
      [5, 2],
      [4, 3],
      [5, 3],
    ].every(([x, y]) => Math.abs(at(seen.waves[0], x, y) - 1) < 0.05) && Math.abs(at(seen.waves[0], 3, 2)) < 0.05,
  );
  const map = seen.waves[3];
  const { values } = map.classes[0];
  assert.equal(values.indexOf(Math.max(...values)), 2 * 8 + 5);
  assert.ok(Math.abs(at(map, 5, 2) - 1) < 0.05 && Math.abs(at(map, 6, 2) - 0.5) < 0.05 && Math.abs(at(map, 6, 3) - 0.25) < 0.05);
  assert.ok(Math.abs(at(map, 1, 6)) < 0.01 && Math.abs(at(map, 5, 2, 1) + 1) < 0.05);
});

test('occlusion sensitivity stops where it is told, goes on from there, and comes to the same', async () => {
  const frame = { x: 0.25, y: 0.125, width: 0.5, height: 0.75 };
  const whole = striped(160, 64, 180, 88, frame);
  await whole.run();
  const parts = striped(160, 64, 180, 88, frame);
  parts.seen.stopAfter = 20;
  await assert.rejects(parts.run(), /stopped/);
  assert.equal(parts.test.map?.done, 16);
  parts.seen.stopAfter = Infinity;
  await parts.run();
  assert.deepEqual(parts.test.map, whole.test.map);
  // Of the frame's eight columns of 20 pixels from 80 on, the fifth holds the place; of its rows of 24 from 32 on, the second.
  const values = [...(whole.test.map?.classes[0].values ?? [])];
  assert.equal(values.indexOf(Math.max(...values)), 1 * 8 + 4);
});
