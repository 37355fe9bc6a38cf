/** Which folder of web/ and src/ may import which. A new file needs no entry; a folder without a row may be imported by no other. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/**
 * Layers: folders (end in /) and files directly in web/ or src/. Each may import itself and these, `lazy` ones by import()
 * only, so that they arrive when they are needed. @type {Record<string, Record<string, { may?: string[], lazy?: string[] }>>}
 */
const LAYERS = {
  web: {
    'app.js': { may: ['define.js', 'page/', 'shared/', 'strings/'], lazy: ['strings/'] },
    'page/': { may: ['shared/', 'strings/'] },
    'embed.js': { may: ['define.js'] },
    'cxrlens.global.js': { may: ['define.js', 'classifier.js', 'fhir.js'] },
    'define.js': { may: ['element.js'] },
    'element.js': { may: ['element/', 'viewer/', 'shared/'], lazy: ['element/', 'export/', 'viewer/'] },
    'element/': { may: ['classifier.js', 'viewer/', 'shared/'], lazy: ['dicomweb.js', 'export/'] },
    'export/': { may: ['viewer/', 'shared/'], lazy: ['dicom.js', 'dicom-sr.js', 'dicom-overlay.js'] },
    'viewer/': { may: ['shared/'], lazy: ['dicom-remote.js'] },
    'classifier.js': { may: ['engine/', 'shared/dicom-sniff.js'] },
    'worker.js': { may: ['engine/'] },
    'engine/': {
      may: ['shared/dicom-sniff.js', 'shared/image-kind.js', 'shared/passage.js', 'shared/sha256.js'],
      lazy: ['dicom-remote.js'],
    },
    'dicom-remote.js': { may: ['dicom/', 'shared/passage.js'], lazy: ['dicom.js'] },
    'dicom-worker.js': { may: ['dicom.js', 'shared/passage.js'] },
    'dicom.js': { may: ['dicom/', 'shared/dicom-sniff.js'] },
    'dicom-sr.js': { may: ['dicom/'] },
    'dicom-overlay.js': { may: ['dicom/', 'shared/'] },
    'dicom/': { may: ['shared/dicom-sniff.js', 'shared/resample.js', 'shared/sha256.js'] },
    'dicomweb.js': { may: ['dicomweb/'] },
    'cornerstone.js': { may: ['dicom/', 'viewer/', 'shared/'] },
    'shared/': { may: ['strings/'], lazy: ['strings/'] },
  },
  // Images know nothing of networks, nor the other way round: only cxr.c joins them.
  src: {
    'cxr.c': { may: ['include/', 'base/', 'image/', 'kernels/', 'network/'] },
    'wasm.c': { may: ['include/'] },
    'image/': { may: ['include/', 'base/', 'kernels/'] },
    'network/': { may: ['include/', 'base/', 'kernels/'] },
    'cli/': { may: ['include/', 'base/', 'image/'] },
  },
};

/** What is imported, by a pattern with one group (with two, the second is lazy), and who alone may import what from outside. */
const HOUSES = {
  web: {
    files: /^(?!bin\/|server\/|examples\/).*\.js$/, // what browsers run
    imports: /^\s*(?:import|export)\b(?:[\w\s{},*$]*\bfrom)?\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm,
    outside: [[/./, /^dicom\//]],
  },
  src: {
    files: /\.[ch]$/,
    imports: /^\s*#\s*include\s+[<"]([^>"]+)[>"]/gm,
    outside: [
      [/^(stdio|getopt|dirent|fcntl|unistd|time|strings|zlib|sys\/.*)\.h$/, /^cli\//],
      [/^stb_image\.h$/, /^image\/stb\.c$/],
      [/^(wasm_simd128\.h|simde\/.*)$/, /^kernels\/simd\.h$/],
    ],
  },
};

/** A file without its comments. @param {string} path */
const codeOf = (path) => readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
const layerOf = (/** @type {string} */ path) => path.replace(/\/.*/, '/');
const filesOf = (/** @type {'web' | 'src'} */ root) =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => HOUSES[root].files.test(name));

for (const root of /** @type {const} */ (['web', 'src']))
  test(`${root}: each file imports what its layer may, without circles`, () => {
    const { imports, outside } = HOUSES[root];
    const files = filesOf(root);
    const left = new Set(files);
    /** @param {string} path @param {string[]} trail */
    const visit = (path, trail) => {
      assert.ok(!trail.includes(path), `a circle: ${[...trail, path].join(' -> ')}`);
      if (!left.delete(path)) return;
      const { may = [], lazy = [] } = LAYERS[root][layerOf(path)] ?? {};
      for (const [, now, later] of codeOf(join(root, path)).matchAll(imports)) {
        const name = now ?? later;
        const to = [join(dirname(path), name), name, join('include', name)].map(normalize).find((each) => files.includes(each));
        const allowed = [layerOf(path), ...(later ? lazy : may)];
        if (to) assert.ok(allowed.includes(to) || allowed.includes(layerOf(to)), `${path} may not import ${to}, lazy: ${Boolean(later)}`);
        else for (const [names, by] of outside) assert.ok(!names.test(name) || by.test(path), `${path} may not import ${name}`);
        if (to) visit(to, [...trail, path]);
      }
    };
    for (const path of files) visit(path, []);
  });

test('web: only a door asks where it lies, bundlers can follow every import, and a package is imported once', () => {
  const all = filesOf('web').map((path) => ({ path, code: codeOf(join('web', path)) }));
  for (const { path, code } of all) {
    assert.ok(!path.includes('/') || !code.includes('import.meta'), `${path} has its addresses handed in`);
    assert.doesNotMatch(code, /\bimport\((?!\s*'[^']+'\s*\))/, path);
  }
  const packages = all.flatMap(({ code }) => [...code.matchAll(/ from '([^.'][^']*)'/g)].map(([, name]) => name));
  assert.deepEqual(packages, [...new Set(packages)]);
});
