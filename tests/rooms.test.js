/**
 * Who may know whom in web/: files import in one direction only, and a permission that nobody uses fails.
 * tests/src/layers.test.js holds the same for src/.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

// ---- JavaScript -------------------------------------------------------------------------------------------

/** What only these files may import, or start as a worker. @type {Record<string, string[]>} */
const KNOWN_ONLY_TO = {
  'assets.js': ['loader.js'],
  'loader.js': ['classifier.js'],
  'wasm.js': ['worker.js', 'channel.js'],
  'worker.js': ['channel.js'],
  'about.js': ['app.js'],
  'session.js': ['app.js'],
  'input.js': ['classifier.js'],
  'pool.js': ['classifier.js'],
  'channel.js': ['classifier.js'],
  'classifier.js': ['lease.js', 'film.js'],
  'element.js': ['define.js'],
  'app.js': [],
  'embed.js': [],
  'sw.js': [],
  'serve.js': [],
};
const DICOM = /^dicom[.-]/;
/** Packages that the build puts into the DICOM reader, and the one file that may know each. @type {Record<string, string>} */
const BUNDLED = {
  'dicom-parser': 'dicom-file.js',
  '@cornerstonejs/codec-charls/decodewasmjs': 'dicom-jpegls.js',
  '@cornerstonejs/codec-openjpeg/decodewasmjs': 'dicom-jpeg2000.js',
};
/** Files that import nothing of ours. */
const ALONE = /^(sw|serve|fhir|dicom-sr|dom|colormap|session|cxrlens-embed)\.js$|^strings\/(?!index)/;

/** @param {string} folder @returns {string[]} paths below web/ */
const scripts = (folder = '') => (existsSync(join('web', folder)) ? readdirSync(join('web', folder)) : []).flatMap((name) => {
  const path = join(folder, name);
  if (statSync(join('web', path)).isDirectory()) return ['examples', 'bin'].includes(name) ? [] : scripts(path);
  return /\.js$/.test(name) ? [path] : [];
});

/**
 * @param {string} path
 * @returns {{ to: string, lazy: boolean }[]}
 */
function importsOf(path) {
  const text = readFileSync(join('web', path), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const found = [
    ...[...text.matchAll(/^\s*(?:import|export)\s[\w\s{},*$]*\bfrom\s*['"]([^'"]+)['"]/gm)].map(([, to]) => ({ to, lazy: false })),
    ...[...text.matchAll(/^\s*import\s*['"]([^'"]+)['"]/gm)].map(([, to]) => ({ to, lazy: false })),
    ...[...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)].map(([, to]) => ({ to, lazy: true })),
    ...[...text.matchAll(/new URL\(\s*['"]([^'"]+\.js)['"]/g)].map(([, to]) => ({ to, lazy: true })),
  ];
  return found.map(({ to, lazy }) => ({ to: to.startsWith('.') ? normalize(join(dirname(path), to)) : to, lazy }));
}

const files = scripts();
const graph = new Map(files.map((path) => [path, importsOf(path)]));
const isOurs = (/** @type {string} */ path) => existsSync(join('web', path)) || path === 'assets.js';

for (const [path, imports] of graph) {
  test(`web/${path} imports what its room allows`, () => {
    for (const { to, lazy } of imports) {
      const own = isOurs(to);
      assert.ok(KNOWN_ONLY_TO[to]?.includes(path) ?? true, `${path} may not know ${to}`);
      assert.ok(!own || !ALONE.test(path), `${path} imports nothing of ours, but ${to}`);
      if (to.startsWith('node:')) assert.equal(path, 'serve.js', `${path} runs in browsers: no ${to}`);
      const isDicom = DICOM.test(path);
      assert.ok(own || to.startsWith('node:') || BUNDLED[to] === path, `${path} imports ${to}, which is not in web/`);
      // The DICOM reader costs users of PNG nothing.
      if (DICOM.test(to) && to !== 'dicom-sniff.js') assert.ok(lazy || isDicom, `${path} may load ${to} only when needed`);
    }
  });
}

test('every file of web/ imports what only it may', () => {
  for (const [to, known] of Object.entries(KNOWN_ONLY_TO)) {
    assert.ok(isOurs(to), to);
    assert.deepEqual(known.filter((path) => !graph.get(path)?.some((each) => each.to === to)), [], to);
  }
  for (const [to, path] of Object.entries(BUNDLED)) assert.ok(graph.get(path)?.some((each) => each.to === to), to);
});

test('no circle of imports', () => {
  const done = new Set();
  /** @param {string} path @param {string[]} trail */
  const visit = (path, trail) => {
    assert.ok(!trail.includes(path), `${[...trail, path].join(' -> ')}`);
    if (done.has(path)) return;
    for (const { to } of graph.get(path) ?? []) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const path of files) visit(path, []);
});
