// classifier.test.js - the public API: inputs, results, errors, queue, abort, dispose, crashes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { png } from '../../png.js';
import {
  at,
  bitsOf,
  classIds,
  createClassifier,
  CxrError,
  failsWith,
  golden,
  grayPicture,
  modelBytes,
  moduleBytes,
  noise,
  web,
} from './helpers.js';

/** @type {Awaited<ReturnType<typeof createClassifier>>} one that most tests share */
let cxr;
before(async () => {
  cxr = await createClassifier({ workers: 2 });
});
after(() => cxr.dispose());

const hashOf = (/** @type {Uint8Array} */ bytes) => createHash('sha256').update(bytes).digest('hex');
const crashing = new URL('./crashing-worker.js', import.meta.url);
const tiny = (/** @type {number} */ length) => new Uint8Array(length);

test('info says what is at work', () => {
  const { model, ...info } = cxr.info;
  assert.match(info.version, /^\d+\.\d+\.\d+$/);
  assert.ok(['relaxed', 'simd', 'scalar'].includes(info.build));
  assert.equal(info.workers, 2);
  assert.equal(model.sha256, hashOf(modelBytes()));
  assert.deepEqual(model.classes, classIds);
  assert.deepEqual([model.inputWidth, model.inputHeight], [192, 192]);
  assert.ok(model.maps.lungs.width > 1 && model.arenaBytes > 2 ** 16 && model.macs > 1e6);
  assert.ok(model.gateThreshold > 0 && model.gateThreshold < 1 && model.uncertainThreshold < 1);
  assert.ok(Object.isFrozen(cxr) && Object.isFrozen(cxr.info) && Object.isFrozen(model.classes));
});

test('a result has the published shape and is frozen', async () => {
  const bytes = golden('phantom.png');
  const result = await cxr.classify(new File([bytes], 'phantom.png'));
  assert.deepEqual(Object.keys(result), [
    'schema',
    'file',
    'sha256',
    'image',
    'frame',
    'model',
    'verdict',
    'classes',
    'gate',
    'opacity',
    'findings',
    'warnings',
    'timings',
  ]);
  assert.equal(result.schema, 'cxrlens.result/2');
  assert.equal(result.file, 'phantom.png');
  assert.equal(result.sha256, hashOf(bytes));
  assert.deepEqual(result.image, { width: 192, height: 192, format: 'png' });
  assert.equal(result.model.sha256, cxr.info.model.sha256);
  assert.ok([...classIds, 'uncertain', 'not-a-chest-x-ray'].includes(result.verdict));
  assert.deepEqual(
    result.classes.map(({ id }) => id),
    classIds,
  );
  assert.ok(Math.abs(result.classes.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6);
  assert.equal(result.gate.accepted, result.gate.score >= result.gate.threshold);
  assert.ok(result.timings.network_ms > 0 && result.timings.decode_ms >= 0);
  for (const part of [result, result.image, result.classes, result.classes[0], result.gate, result.warnings])
    assert.ok(Object.isFrozen(part));
});

test('maps are of the frame, and findings lie in them where the opacities are', async () => {
  const bytes = readFileSync(at('web/samples/synthetic-lung-opacity-1.jpg'));
  const { maps, frame, findings, opacity, gate } = await cxr.classify(bytes, { maps: true });
  assert.ok(maps && gate.accepted);
  for (const name of /** @type {const} */ (['lungs', 'opacities'])) {
    /** @type {import('../../../web/engine/wasm.js').ValueMap} */
    const { width, height, values } = maps[name];
    assert.deepEqual({ width, height }, cxr.info.model.maps[name]);
    assert.ok(values instanceof Float32Array && values.length === width * height);
    assert.ok(values.every((value) => value >= 0 && value <= 1));
  }
  assert.ok(frame.x >= 0 && frame.y >= 0 && frame.x + frame.width <= 1.000001 && frame.y + frame.height <= 1.000001);
  const { width, height, values } = maps.opacities;
  for (const { x, y, width: wide, height: tall, strength } of findings) {
    const cells = Array.from(values).filter((_, i) => {
      const [u, v] = [
        frame.x + (((i % width) + 0.5) / width) * frame.width,
        frame.y + ((Math.floor(i / width) + 0.5) / height) * frame.height,
      ];
      return u > x && u < x + wide && v > y && v < y + tall;
    });
    assert.ok(strength >= cxr.info.model.opacityThreshold && cells.includes(strength));
  }
  assert.deepEqual(
    findings.map(({ strength }) => strength),
    findings.map(({ strength }) => strength).sort((a, b) => b - a),
  );
  if (findings.length > 0) assert.equal(findings[0].strength, opacity.score);
  assert.equal((await cxr.classify(bytes)).maps, undefined);
});

test('the same bytes give the same bits however they come', async () => {
  const bytes = golden('square-299.png');
  const expected = bitsOf(await cxr.classify(bytes));
  const padded = new Uint8Array(bytes.length + 8);
  padded.set(bytes, 3);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const inputs = {
    ArrayBuffer: new Uint8Array(bytes).buffer,
    Uint8Array: new Uint8Array(bytes),
    'a part of a larger array': padded.subarray(3, 3 + bytes.length),
    DataView: new DataView(padded.buffer, 3, bytes.length),
    'shared memory': shared,
    Blob: new Blob([bytes]),
    File: new File([bytes], 'x'),
  };
  const here = await createClassifier({ workers: 0 });
  for (const [name, input] of Object.entries(inputs)) {
    for (const classifier of [cxr, here]) {
      const result = await classifier.classify(/** @type {any} */ (input));
      assert.equal(bitsOf(result), expected, name);
      assert.equal(result.sha256, hashOf(bytes), name);
      assert.equal(result.file, input instanceof File ? 'x' : null);
    }
  }
  assert.equal(padded.length, bytes.length + 8, 'nothing was taken away from the caller');
  assert.equal((await cxr.classify(bytes, { file: 'of the caller' })).file, 'of the caller');
  here.dispose();
});

/** RGBA of one pixel: shades, colours and transparency. @param {number} kind @param {number} x @param {number} y */
function rgbaAt(kind, x, y) {
  const v = [0, 1, 2, 3].map((k) => Math.floor(256 * noise(x, y, kind * 4 + k)));
  if (kind === 0) return [v[0], v[0], v[0], 255];
  if (kind === 1) return [v[0], v[1], v[2], 255];
  return [v[0], v[1], v[2], v[3]];
}

test('pixels of a canvas give the same bits as their PNG', async () => {
  for (const kind of [0, 1, 2]) {
    const width = 67,
      height = 45;
    const data = new Uint8ClampedArray(width * height * 4);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(rgbaAt(kind, x, y), 4 * (y * width + x));
    const file = await cxr.classify(
      png(width, height, (x, y) => rgbaAt(kind, x, y), { channels: 4 }),
      { maps: true },
    );
    const pixels = await cxr.classify({ data, width, height }, { maps: true });
    assert.deepEqual(pixels.image, { width, height, format: 'pixels' });
    assert.equal(bitsOf({ ...pixels, image: file.image }), bitsOf(file), `kind ${kind}`);
    assert.equal(pixels.sha256, null);
    assert.equal(file.warnings.includes('colour'), kind > 0);
  }
});

test('every shade of gray is the same in a canvas, in 16 bits and in a PNG', async () => {
  const side = 64;
  const shade = (/** @type {number} */ x, /** @type {number} */ y) => (x + side * y) % 256;
  const data = new Uint8ClampedArray(side * side * 4),
    pixels = new Uint16Array(side * side);
  for (let i = 0; i < pixels.length; i++) {
    data.set([i % 256, i % 256, i % 256, 255], 4 * i);
    pixels[i] = (i % 256) | 0xf00; // higher bits are to be ignored
  }
  const expected = await cxr.classify(png(side, side, shade));
  const window = /** @type {const} */ ({ shape: 'linear-exact', centre: 127.5, width: 255 });
  for (const input of [
    { data, width: side, height: side },
    { pixels, width: side, height: side, bits: 8, window },
    { pixels, width: side, height: side, bits: 8 },
  ])
    assert.equal(bitsOf({ ...(await cxr.classify(input)), image: expected.image }), bitsOf(expected));
});

test('the fields of decoded pixels reach the engine', async () => {
  const side = 64;
  const pixels = Uint16Array.from({ length: side * side }, (_, i) => Math.floor(4095 * noise(i % side, (i / side) | 0)));
  const base = { pixels, width: side, height: side, bits: 12 };
  const logits = async (/** @type {object} */ more) => bitsOf(await cxr.classify({ ...base, ...more }));
  const plain = await logits({});
  assert.equal(await logits({ slope: 2, intercept: -1000 }), plain, 'rescaling alone changes nothing without a window');
  const window = { centre: 2000, width: 1500 };
  const windowed = await logits({ window });
  assert.notEqual(windowed, plain);
  assert.equal(await logits({ window: { shape: 'linear', ...window } }), windowed, 'a window is linear if it does not say');
  assert.equal((await logits({ slope: 2, intercept: -1000, window: { centre: 3000.5, width: 2999 } })) === plain, false);
  assert.notEqual(await logits({ window: { shape: 'sigmoid', ...window } }), windowed);
  assert.notEqual(await logits({ signed: true }), plain);
  assert.notEqual(await logits({ padding: pixels[0], window }), windowed);
  assert.equal(await logits({ padding: null, window }), windowed, 'no padding is none, also as JSON has it');
});

test('each kind of bad input has its code', async () => {
  const picture = grayPicture(1);
  const cases = /** @type {[any, string][]} */ ([
    [tiny(0), 'image-empty'],
    [Buffer.from('no picture at all'), 'image-format'],
    [picture.subarray(0, picture.length - 20), 'image-corrupt'],
    [png(20, 40), 'image-small'],
    [{ data: new Uint8ClampedArray(20 * 40 * 4), width: 20, height: 40 }, 'image-small'],
    [{ pixels: new Uint16Array(17000 * 32), width: 17000, height: 32 }, 'image-side'],
    [{ pixels: new Uint16Array(64 * 64), width: 64, height: 64, bits: 17 }, 'argument'],
    [{ pixels: new Uint16Array(64 * 64), width: 64, height: 63 }, 'argument'],
    [{ pixels: new Uint16Array(64 * 64), width: 64 }, 'argument'],
    [{ pixels: new Uint8Array(64 * 64), width: 64, height: 64 }, 'argument'],
    [{ data: new Uint8ClampedArray(64 * 64), width: 64, height: 64 }, 'argument'],
    [null, 'argument'],
    [undefined, 'argument'],
    ['text', 'argument'],
    [42, 'argument'],
    [{}, 'argument'],
    [[], 'argument'],
  ]);
  for (const [input, code] of cases) await assert.rejects(cxr.classify(input, { file: 'x.png' }), failsWith(code, { file: 'x.png' }));
});

test('a huge input is refused before it is read', async () => {
  const size = 2 ** 30;
  const read = () => assert.fail('it was read');
  await assert.rejects(cxr.classify(/** @type {any} */ ({ size, arrayBuffer: read })), failsWith('image-file-size'));
  await assert.rejects(cxr.classify(new ArrayBuffer(2 ** 28 + 1)), failsWith('image-file-size'));
  const pixels = new Uint16Array(2 ** 26 + 2 ** 13);
  await assert.rejects(cxr.classify({ pixels, width: 2 ** 13, height: 2 ** 13 + 1 }), failsWith('image-pixels'));
});

test('a file that vanished is unreadable', async () => {
  const gone = {
    name: 'gone.png',
    size: 9,
    arrayBuffer: async () => {
      throw new DOMException('gone', 'NotReadableError');
    },
  };
  await assert.rejects(cxr.classify(/** @type {any} */ (gone)), failsWith('unreadable', { file: 'gone.png' }));
});

test('many calls at once: every answer is for its own input', async () => {
  const inputs = Array.from({ length: 24 }, (_, i) => (i % 6 === 5 ? Buffer.from(`bad ${i}`) : grayPicture(i)));
  const answers = await Promise.allSettled(inputs.map((input, i) => cxr.classify(input, { file: String(i) })));
  for (const [i, answer] of answers.entries()) {
    if (answer.status === 'fulfilled') assert.deepEqual([answer.value.sha256, answer.value.file], [hashOf(inputs[i]), String(i)]);
    else assert.ok(failsWith('image-format', { file: String(i) })(answer.reason) && i % 6 === 5);
  }
});

test('the next file is read while a worker works, the one after it is not', async () => {
  const one = await createClassifier({ workers: 1 });
  /** @type {string[]} */
  const seen = [];
  const file = (/** @type {string} */ name) => {
    const blob = new Blob([golden('phantom.png')], { type: 'image/png' }); // of others a part tells the kind first
    return Object.assign(blob, {
      arrayBuffer: () => {
        seen.push(`${name} read`);
        return Blob.prototype.arrayBuffer.call(blob);
      },
    });
  };
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => one.classify(file(name)).then(() => seen.push(`${name} answered`))));
  // What comes after an answer is read just before its caller hears of it.
  assert.deepEqual(seen, ['a read', 'b read', 'c read', 'a answered', 'd read', 'b answered', 'c answered', 'd answered']);
  one.dispose();
});

test('a signal ends a call that waits and one that runs', async () => {
  const one = await createClassifier({ workers: 1 });
  const signal = () => new AbortController();
  const running = signal(),
    waiting = signal();
  const first = one.classify(grayPicture(1), { signal: running.signal });
  const second = one.classify(grayPicture(2), { signal: waiting.signal });
  const third = one.classify(grayPicture(3));
  waiting.abort('changed my mind');
  await assert.rejects(second, failsWith('aborted', { name: 'AbortError', cause: 'changed my mind' }));
  running.abort();
  await assert.rejects(first, failsWith('aborted'));
  assert.equal((await third).sha256, hashOf(grayPicture(3)));
  await assert.rejects(one.classify(grayPicture(1), { signal: AbortSignal.abort() }), failsWith('aborted'));
  const late = signal();
  await one.classify(grayPicture(4), { signal: late.signal });
  late.abort(); // too late to matter
  one.dispose();
});

test('abort at any moment: an answer or an abortion, and the next call is served', async () => {
  const one = await createClassifier({ workers: 1 });
  for (let delay = 0; delay < 60; delay += 4) {
    const controller = new AbortController();
    const call = one.classify(grayPicture(delay), { signal: controller.signal });
    setTimeout(() => controller.abort(), delay);
    await call.then((result) => assert.equal(result.sha256, hashOf(grayPicture(delay))), failsWith('aborted'));
  }
  assert.equal((await one.classify(grayPicture(99))).sha256, hashOf(grayPicture(99)));
  one.dispose();
});

for (const workers of [0, 1]) {
  test(`dispose, ${workers} workers: what is pending and what comes later is rejected`, async () => {
    const one = await createClassifier({ workers });
    const calls = [1, 2, 3].map((seed) => one.classify(grayPicture(seed)));
    one.dispose();
    one.dispose();
    for (const call of calls) await assert.rejects(call, failsWith('disposed'));
    await assert.rejects(one.classify(grayPicture(4)), failsWith('disposed'));
  });
}

test('a worker that fails is replaced; only its own call is lost', async () => {
  const one = await createClassifier({ workers: 1, workerUrl: crashing });
  for (const length of [1, 2, 3]) {
    const lost = one.classify(tiny(length), { file: 'lost' });
    const next = one.classify(grayPicture(length));
    await assert.rejects(lost, failsWith('worker-failed', { file: 'lost' }), `way ${length}`);
    assert.equal((await next).sha256, hashOf(grayPicture(length)));
  }
  await assert.rejects(one.classify(tiny(5)), failsWith('image-format'), 'answers to other questions are ignored');
  const hanging = one.classify(tiny(4));
  one.dispose();
  await assert.rejects(hanging, failsWith('disposed'));
});

test('a worker that can not start is an error at once', async () => {
  const dead = new URL('./dead-worker.js', import.meta.url);
  await assert.rejects(createClassifier({ workers: 1, workerUrl: dead }), failsWith('worker-failed'));
  await assert.rejects(createClassifier({ workers: 1, workerUrl: 'no/such/worker.js' }), failsWith('worker-failed'));
  const alone = mkdtempSync(join(tmpdir(), 'cxrlens-alone-')); // without the engine beside it
  cpSync(web, alone, { recursive: true, filter: (name) => !/wasm-\w+\.js$|\.cxrm$/.test(name) });
  const files = { wasm: moduleBytes('scalar'), model: modelBytes() };
  const { createClassifier: stranded } = await import(pathToFileURL(join(alone, 'classifier.js')).href);
  await assert.rejects(
    stranded({ workers: 0, ...files }),
    (/** @type {any} */ error) => error.code === 'worker-failed' && /wasm-\w+\.js/.test(error.message),
  );
  rmSync(alone, { recursive: true });
  for (const workers of [-1, 1.5, /** @type {any} */ ('2')]) await assert.rejects(createClassifier({ workers }), failsWith('argument'));
});

test('what is passed in is taken as it is at the call, whatever its owner writes there later', async () => {
  const one = await createClassifier({ workers: 1 });
  const busy = one.classify(grayPicture(1));
  const side = 64;
  const bytes = Uint8Array.from(grayPicture(2)),
    pixels = new Uint16Array(side * side).fill(900),
    data = new Uint8ClampedArray(4 * side * side).fill(200);
  pixels[0] = data[0] = 0;
  const inputs = () => [bytes, { pixels, width: side, height: side }, { data, width: side, height: side }];
  const expected = await Promise.all(inputs().map((input) => cxr.classify(input)));
  const calls = inputs().map((input) => one.classify(input));
  bytes.set(grayPicture(3).subarray(0, bytes.length));
  pixels.fill(7, 0, 99);
  data.fill(7, 0, 99);
  assert.deepEqual((await Promise.all(calls)).map(bitsOf), expected.map(bitsOf));
  await busy;
  one.dispose();
});

test('an abort while the model is hashed ends the loading', async () => {
  const { subtle } = crypto;
  const digest = subtle.digest.bind(subtle);
  const controller = new AbortController();
  // The model is the larger of the two that are hashed; without workers that happens in this thread.
  subtle.digest = async (how, bytes) => {
    const hash = await digest(how, bytes);
    if (bytes.byteLength < 2 ** 20) return hash;
    controller.abort();
    return hash;
  };
  try {
    await assert.rejects(createClassifier({ workers: 0, signal: controller.signal }), failsWith('aborted'));
  } finally {
    Reflect.deleteProperty(subtle, 'digest');
  }
});

test('workers that can not be started: the one there is answers, and nothing spins', async () => {
  const { nodeBuiltin } = /** @type {any} */ ({ nodeBuiltin: process.getBuiltinModule });
  const real = nodeBuiltin('node:worker_threads');
  let started = 0;
  process.getBuiltinModule = /** @type {any} */ (
    (/** @type {string} */ name) =>
      name !== 'node:worker_threads'
        ? nodeBuiltin(name)
        : {
            ...real,
            Worker: function Worker(/** @type {any[]} */ ...args) {
              if (started++ > 0) throw new Error('no more threads');
              return new real.Worker(...args);
            },
          }
  );
  try {
    const few = await createClassifier({ workers: 4 });
    const answers = await Promise.all([1, 2, 3, 4, 5].map((seed) => few.classify(grayPicture(seed))));
    assert.deepEqual(
      answers.map(({ sha256 }) => sha256),
      [1, 2, 3, 4, 5].map((seed) => hashOf(grayPicture(seed))),
    );
    few.dispose();
  } finally {
    process.getBuiltinModule = nodeBuiltin;
  }
  assert.ok(started > 1 && started < 100, `${started} starts`);
});

test("what can not be sent to a worker is an argument's error, and the next call is served", async () => {
  const pixels = new Uint16Array(64 * 64);
  const window = /** @type {any} */ ({ centre: 1, width: 2, note: () => {} });
  await assert.rejects(cxr.classify({ pixels, width: 64, height: 64, window }, { file: 'x' }), failsWith('argument', { file: 'x' }));
  await assert.rejects(cxr.classify(/** @type {any} */ (new Response('x'))), failsWith('argument'));
  assert.ok(await cxr.classify(grayPicture(3)));
});

test('two models at once do not mix', async () => {
  const scalar = await createClassifier({ workers: 1, wasmUrl: pathToFileURL(`${web}cxrlens-scalar.wasm`) });
  assert.equal(scalar.info.kernels, 'ref');
  const [a, b] = await Promise.all([cxr.classify(grayPicture(5)), scalar.classify(grayPicture(5))]);
  assert.equal(bitsOf(a), bitsOf(b));
  scalar.dispose();
  assert.ok(await cxr.classify(grayPicture(6)), 'disposing of one leaves the other');
});

test('a program ends by itself, without dispose', () => {
  const code = `import { createClassifier } from ${JSON.stringify(pathToFileURL(`${web}classifier.js`).href)};
    const cxr = await createClassifier({ workers: 2 });
    await cxr.classify(new Uint8Array(9)).catch((error) => console.log(error.code));
    await cxr.classify({ pixels: new Uint16Array(4096), width: 64, height: 64, window: () => {} }).catch((error) => console.log(error.code));`;
  const { stdout, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), 'image-format\nargument');
});

test('errors are errors', () => {
  const error = new CxrError('network', 'No.');
  assert.ok(error instanceof Error && error.name === 'CxrError' && String(error) === 'CxrError: No.');
});
