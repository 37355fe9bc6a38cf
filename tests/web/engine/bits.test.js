// bits.test.js - every build gives the same bits: scalar, SIMD128 and relaxed modules, the native command, and
// the integer reference in Python that wrote the golden vectors.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { at, bitsOf, builds, digests, goldenNames, realImages } from './helpers.js';

const real = realImages();

/**
 * Answers of one build of the module in a Node of its own, which knows relaxed SIMD.
 * @param {string} build
 * @returns {Record<string, any>} by file
 */
function answersOf(build) {
  const files = [...goldenNames().map((name) => at(`tests/golden/images/${name}`)), ...real];
  const child = spawnSync(process.execPath, ['--experimental-wasm-relaxed-simd', at('tests/web/engine/answer.js'), build, ...files], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: 300_000,
  });
  assert.equal(child.status, 0, child.stderr);
  return JSON.parse(child.stdout);
}

const answers = Object.fromEntries(builds.map((build) => [build, answersOf(build)]));

test('each module says which kernels it has', () => {
  const kernels = builds.map((build) => answers[build].info.kernels.replace(/-maddubs$/, '')); // the processor chooses
  assert.deepEqual(kernels, ['ref', 'simd128', 'relaxed']);
});

test(`scalar, SIMD128 and relaxed modules agree on ${goldenNames().length} golden images, maps included`, () => {
  for (const [file, answer] of Object.entries(answers.scalar.results))
    for (const build of builds) assert.equal(bitsOf(answers[build].results[file]), bitsOf(answer), `${build}: ${file}`);
});

test(`${real.length} real images give the same bits too`, { skip: real.length === 0 && 'no ../shared/data' }, () => {
  for (const file of real)
    for (const build of builds)
      assert.equal(bitsOf(answers[build].results[file]), bitsOf(answers.scalar.results[file]), `${build}: ${file}`);
});

test('the native command agrees', () => {
  const files = Object.keys(answers.simd.results);
  const child = spawnSync(
    at('build/cxrlens'),
    ['classify', '--format', 'json', '--maps', '--model', at('build/web/cxrlens.cxrm'), ...files],
    {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      timeout: 120_000,
    },
  );
  assert.equal(child.status, 0, child.stderr);
  const lines = child.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, files.length);
  const asFloats = (/** @type {any} */ result) =>
    bitsOf({ ...JSON.parse(JSON.stringify(result), (_, value) => (typeof value === 'number' ? Math.fround(value) : value)) });
  for (const line of lines) {
    const ours = answers.simd.results[line.file];
    assert.equal(asFloats(line), asFloats(ours), line.file);
    for (const key of ['schema', 'sha256', 'model']) assert.deepEqual(line[key], ours[key], `${key} of ${line.file}`);
  }
});

test('the logits are those of the integer reference', () => {
  const vectors = readFileSync(at('tests/golden/engine.txt'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const [, model] = vectors.find(([key]) => key === 'model') ?? [];
  assert.equal(model, digests['cxrlens.cxrm'], 'the golden vectors are of another model');
  let image = '',
    compared = 0;
  for (const [key, ...words] of vectors) {
    if (key === 'image') image = words[0];
    if (key !== 'outputs') continue;
    const answer = answers.simd.results[at(`tests/golden/images/${image}`)];
    // The vectors are of the image as it is: not turned or inverted back, nor, where it has but one level, made black.
    const changed = ['inverted', 'rotated', 'low-contrast'];
    if (answer.warnings.some((/** @type {string} */ name) => changed.includes(name))) continue;
    const bits = new Uint32Array(Float32Array.from(answer.classes, (/** @type {any} */ { logit }) => logit).buffer);
    assert.deepEqual(
      Array.from(bits, (word) => word.toString(16).padStart(8, '0')),
      words.slice(0, bits.length),
      image,
    );
    compared++;
  }
  assert.ok(compared >= 3, `${compared} compared`);
});
