/** The engine's layers: who may include whom, by folder. A new file needs no entry here. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** Folders whose headers a folder may include beside its own. @type {Record<string, string[]>} */
const MAY_INCLUDE = {
  include: [],
  kernels: [],
  image: ['include', 'kernels'],
  '.': ['include', 'image', 'kernels'],
  cli: ['include', 'image', '.'],
};
/** Headers from outside that only some files may include. @type {[RegExp, RegExp][]} */
const ONLY_FOR = [
  [/^(stdio|getopt|dirent|fcntl|unistd|time|strings|zlib|sys\/.*)\.h$/, /^cli\//],
  [/^stb_image\.h$/, /^image\/stb\.c$/],
  [/^(wasm_simd128\.h|simde\/.*)$/, /^kernels\/simd\.h$/],
];
/** What decodes and shades images knows nothing of models, and the other way round; only the facade joins both. */
const IMAGES = 'image/image.h',
  MODELS = 'model_file.h',
  FACADE = 'cxr.c';

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => /\.[ch]$/.test(name));
/** @param {string} path */
const headersOf = (path) =>
  [...readFileSync(join('src', path), 'utf8').matchAll(/^\s*#\s*include\s+[<"]([^>"]+)[>"]/gm)].map(([, name]) => name);
/** Our own files that a file includes: beside it, below src/ or in include/. @param {string} path */
const ownHeaders = (path) =>
  headersOf(path).flatMap((name) =>
    [join(dirname(path), name), name, join('include', name)]
      .map(normalize)
      .filter((each) => files.includes(each))
      .slice(0, 1),
  );
/** @param {string} path @param {string[]} [trail] @returns {Set<string>} all that it includes, and what these include */
function reach(path, trail = []) {
  assert.ok(!trail.includes(path), `a circle: ${[...trail, path].join(' -> ')}`);
  const own = ownHeaders(path);
  return new Set([...own, ...own.flatMap((each) => [...reach(each, [...trail, path])])]);
}

for (const path of files) {
  test(`src/${path} includes what its folder may`, () => {
    const folder = dirname(path);
    for (const header of ownHeaders(path)) {
      assert.ok(dirname(header) === folder || MAY_INCLUDE[folder]?.includes(dirname(header)), `${path} may not include ${header}`);
    }
    for (const header of headersOf(path)) {
      for (const [rule, allowed] of ONLY_FOR) assert.ok(!rule.test(header) || allowed.test(path), `${path} may not include <${header}>`);
    }
    const known = reach(path);
    assert.ok(path === FACADE || !(known.has(IMAGES) && known.has(MODELS)), `${path} knows both images and models`);
    assert.ok(folder !== 'cli' || !known.has(MODELS), `${path} looks inside models`);
    assert.ok(basename(path) !== 'wasm.c' || [...known].every((each) => each === 'include/cxr.h'), `${path} sees more than cxr.h`);
  });
}
