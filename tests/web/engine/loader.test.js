// loader.test.js - the loader takes the right module, and neither a wrong nor a broken one.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  at,
  builds,
  createClassifier,
  digests,
  failsWith,
  grayPicture,
  modelBytes,
  moduleBytes,
  pickBuild,
  probes,
  web,
} from './helpers.js';

const relaxedFlag = '--experimental-wasm-relaxed-simd';

/** @param {string[]} flags @param {string} code */
function inNode(flags, code) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

const here = JSON.stringify(pathToFileURL(web).href);

test('the modules import the clock and nothing else, and export what the loader uses', () => {
  const used = [
    'memory',
    'alloc',
    'release',
    'load',
    'classify',
    'classify_gray16',
    'result',
    'info',
    'strerror',
    'status_name',
    'version',
  ];
  for (const build of builds.filter((build) => build !== 'relaxed')) {
    const module = new WebAssembly.Module(moduleBytes(build));
    assert.deepEqual(WebAssembly.Module.imports(module), [{ module: 'env', name: 'now_ms', kind: 'function' }], build);
    const names = WebAssembly.Module.exports(module).map(({ name }) => name);
    assert.deepEqual(
      used.filter((name) => !names.includes(name)),
      [],
      build,
    );
  }
  const imports = inNode(
    [relaxedFlag],
    `
    import { readFileSync } from 'node:fs';
    const module = new WebAssembly.Module(readFileSync(new URL('cxrlens-relaxed.wasm', ${here})));
    console.log(JSON.stringify(WebAssembly.Module.imports(module)));`,
  );
  assert.deepEqual(JSON.parse(imports), [{ module: 'env', name: 'now_ms', kind: 'function' }]);
});

test('the generated hashes are those of the files', () => {
  const hashOf = (/** @type {Buffer} */ bytes) => createHash('sha256').update(bytes).digest('hex');
  const found = Object.fromEntries(builds.map((build) => [`cxrlens-${build}.wasm`, hashOf(moduleBytes(build))]));
  assert.deepEqual(digests, { ...found, 'cxrlens.cxrm': hashOf(modelBytes()) });
});

/**
 * A module that exports `run`, which calls the probe's own code with constants: proof of what the probe asks for.
 * @param {Uint8Array} probe
 * @param {number[][]} operands each 16 bytes
 */
function runnable(probe, operands) {
  const section = (/** @type {number} */ id) => {
    for (let i = 8; i < probe.length; i += 2 + probe[i + 1]) if (probe[i] === id) return [...probe.subarray(i + 2, i + 2 + probe[i + 1])];
    throw new Error(`no section ${id}`);
  };
  const type = section(1).slice(1),
    code = section(10).slice(1);
  // (func (result i32) (i32x4.extract_lane 0 (call 0 (v128.const ...)...)))
  const body = [0x00, ...operands.flatMap((bytes) => [0xfd, 0x0c, ...bytes]), 0x10, 0x00, 0xfd, 0x1b, 0x00, 0x0b];
  const leb = (/** @type {number} */ n) => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
  const wrap = (/** @type {number} */ id, /** @type {number[]} */ content) => [id, ...leb(content.length), ...content];
  return new Uint8Array([
    0x00,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...wrap(1, [2, ...type, 0x60, 0, 1, 0x7f]),
    ...wrap(3, [2, 0, 1]),
    ...wrap(7, [1, 3, 0x72, 0x75, 0x6e, 0, 1]),
    ...wrap(10, [2, ...code, ...leb(body.length), ...body]),
  ]);
}

test('the SIMD probe counts bits', () => {
  const module = new WebAssembly.Module(runnable(probes.simd, [Array(16).fill(0x7f)]));
  const { run } = /** @type {any} */ (new WebAssembly.Instance(module).exports);
  assert.equal(run(), 0x07070707);
});

test('the relaxed probe multiplies bytes and adds', () => {
  const operands = [Array(16).fill(0xfd), Array(16).fill(5), [100, ...Array(15).fill(0)]]; // 4 * (-3 * 5) + 100
  const bytes = JSON.stringify([...runnable(probes.relaxed, operands)]);
  assert.equal(
    inNode(
      [relaxedFlag],
      `
    const module = new WebAssembly.Module(new Uint8Array(${bytes}));
    console.log(new WebAssembly.Instance(module).exports.run());`,
    ),
    '40',
  );
});

test('the fastest module that runs is picked', () => {
  assert.equal(WebAssembly.validate(probes.simd), true);
  const pick = `import { pickBuild } from ${JSON.stringify(pathToFileURL(at('web/engine/loader.js')).href)}; console.log(pickBuild());`;
  assert.equal(inNode([relaxedFlag], pick), 'relaxed');
  // What no engine of today answers: neither instruction set, or the older one only.
  const without = (/** @type {string} */ names) => `
    const { probes } = await import(${JSON.stringify(pathToFileURL(at('web/engine/loader.js')).href)});
    const known = WebAssembly.validate;
    WebAssembly.validate = (bytes) => !${names}.some((name) => probes[name] === bytes) && known(bytes);`;
  assert.equal(inNode([], without("['relaxed']") + pick), 'simd');
  assert.equal(inNode([], without("['relaxed', 'simd']") + pick), 'scalar');
});

/** @type {import('node:http').Server} */
let server;
/** @type {string} */
let origin;
/** @type {string[]} */
let asked;

// Serves build/web under a folder whose name says what is wrong with the answers.
before(async () => {
  asked = [];
  server = createServer((request, response) => {
    const [, folder, name] = /** @type {string} */ (request.url).split('/');
    asked.push(`${folder}/${name}`);
    const file = name.endsWith('.wasm') ? moduleBytes(pickBuild()) : modelBytes();
    const type = folder !== 'typeless' && name.endsWith('.wasm') ? 'application/wasm' : 'text/plain; charset=utf-8';
    if (folder === 'missing') return response.writeHead(404).end('Not found');
    if (folder === 'silent') return;
    if (folder === 'changed') file[file.length - 1] ^= 1;
    if (folder === 'page') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    if (folder === 'cut') {
      response.writeHead(200, { 'content-type': type, 'content-length': file.length });
      return response.write(file.subarray(0, 1000), () => response.destroy());
    }
    response.writeHead(200, { 'content-type': type, 'content-length': file.length }).end(file);
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(undefined));
  });
  origin = `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

for (const folder of ['good', 'typeless']) {
  test(`over HTTP: ${folder}`, async () => {
    const progress = /** @type {any[]} */ ([]);
    const cxr = await createClassifier({
      wasmUrl: `${origin}/${folder}/`,
      modelUrl: new URL(`${origin}/${folder}/cxrlens.cxrm`),
      workers: 0,
      onProgress: (each) => progress.push(each),
    });
    assert.ok((await cxr.classify(grayPicture(1))).classes.length === 4);
    assert.ok(asked.includes(`${folder}/cxrlens-${pickBuild()}.wasm`), 'a folder gets the name of the module');
    const { length } = modelBytes();
    assert.deepEqual(progress.at(-1), { loaded: length, total: length });
    cxr.dispose();
  });
}

const workers = 0;
const load = (/** @type {object} */ options) => createClassifier({ workers, ...options });

test('what does not arrive is a network error', async () => {
  for (const folder of ['missing', 'cut']) {
    await assert.rejects(load({ wasmUrl: `${origin}/${folder}/x.wasm` }), failsWith('network'), folder);
    await assert.rejects(load({ modelUrl: `${origin}/${folder}/x.cxrm` }), failsWith('network'), folder);
  }
  await assert.rejects(load({ modelUrl: 'http://127.0.0.1:1/x.cxrm' }), failsWith('network'));
  await assert.rejects(load({ modelUrl: at('no/such/file.cxrm') }), failsWith('network'));
});

test('a module that is not one of ours is refused', async () => {
  await assert.rejects(load({ wasmUrl: `${origin}/changed/x.wasm` }), failsWith('integrity'));
  await assert.rejects(load({ wasmUrl: `${origin}/page/x.wasm` }), failsWith('integrity'));
  await assert.rejects(load({ wasm: probes.simd }), failsWith('integrity'));
  await assert.rejects(load({ wasm: moduleBytes('simd'), wasmSha256: '0'.repeat(64) }), failsWith('integrity'));
  await assert.rejects(load({ wasm: probes.simd, wasmSha256: null }), failsWith('unsupported'));
  await assert.rejects(load({ wasm: new Uint8Array(9), wasmSha256: null }), failsWith('unsupported'));
});

test('a module as bytes or compiled, and a hash of the caller, are accepted', async () => {
  const bytes = moduleBytes('scalar');
  const wasmSha256 = digests['cxrlens-scalar.wasm'];
  for (const wasm of [bytes, new Uint8Array(bytes).buffer, await WebAssembly.compile(bytes)]) {
    const cxr = await load({ wasm, wasmSha256 });
    assert.equal(cxr.info.build, 'custom');
    assert.equal(cxr.info.kernels, 'ref');
    cxr.dispose();
  }
});

test('a model with the wrong hash is refused, a custom one is not', async () => {
  const model = modelBytes();
  const modelSha256 = '0'.repeat(64);
  for (const workers of [0, 1]) {
    await assert.rejects(createClassifier({ workers, model, modelSha256 }), failsWith('integrity'));
    await assert.rejects(createClassifier({ workers, modelSha256 }), failsWith('integrity'));
  }
  (await load({ model, modelSha256: digests['cxrlens.cxrm'] })).dispose();
  (await load({ model, modelSha256: null })).dispose();
  (await load({ model })).dispose();
});

test('a damaged model is refused with the code that says how', async () => {
  const model = modelBytes();
  const changed = (/** @type {number} */ where, /** @type {number} */ value) => {
    const copy = Buffer.from(model);
    copy[where] = value;
    return copy;
  };
  for (const length of [64, 1000, model.length - 1])
    await assert.rejects(load({ model: model.subarray(0, length) }), failsWith('model-truncated'), `${length} bytes`);
  for (const model of [new Uint8Array(0), changed(0, 0x58)]) await assert.rejects(load({ model }), failsWith('model-format'));
  for (const version of [1, 3]) await assert.rejects(load({ model: changed(4, version) }), failsWith('model-version'));
  await assert.rejects(load({ model: changed(model.length - 1, model[model.length - 1] ^ 1) }), failsWith('model-checksum'));
});

test('loading ends when its signal says so', async () => {
  await assert.rejects(load({ signal: AbortSignal.abort() }), failsWith('aborted', { name: 'AbortError' }));
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  await assert.rejects(load({ modelUrl: `${origin}/silent/x.cxrm`, signal: controller.signal }), failsWith('aborted'));
});
