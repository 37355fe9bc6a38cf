/** The engine's layers: who may include whom, by folder. A new file needs no entry here. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/**
 * Folders whose headers a folder of src/ may include beside its own. Images know nothing of networks, nor the other way
 * round: only the facade, directly in src/, joins them. @type {Record<string, string[]>}
 */
const MAY_INCLUDE = {
  include: [],
  base: [],
  kernels: [],
  image: ['include', 'base', 'kernels'],
  network: ['include', 'base', 'kernels'],
  '.': ['include', 'base', 'image', 'kernels', 'network'],
  cli: ['include', 'base', 'image'],
};
/** Headers from outside that only some files may include. @type {[RegExp, RegExp][]} */
const ONLY_FOR = [
  [/^(stdio|getopt|dirent|fcntl|unistd|time|strings|zlib|sys\/.*)\.h$/, /^cli\//],
  [/^stb_image\.h$/, /^image\/stb\.c$/],
  [/^(wasm_simd128\.h|simde\/.*)$/, /^kernels\/simd\.h$/],
];

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => /\.[ch]$/.test(name));

test('src: each file includes what its folder may, without circles', () => {
  /** @param {string} path @param {string[]} trail */
  const visit = (path, trail) => {
    assert.ok(!trail.includes(path), `a circle: ${[...trail, path].join(' -> ')}`);
    for (const [, name] of readFileSync(join('src', path), 'utf8').matchAll(/^\s*#\s*include\s+[<"]([^>"]+)[>"]/gm)) {
      for (const [rule, allowed] of ONLY_FOR) assert.ok(!rule.test(name) || allowed.test(path), `${path} may not include ${name}`);
      const own = [join(dirname(path), name), name, join('include', name)].map(normalize).find((each) => files.includes(each));
      if (!own) continue;
      const folders = path === 'wasm.c' ? ['include'] : [dirname(path), ...MAY_INCLUDE[dirname(path)]];
      assert.ok(folders.includes(dirname(own)), `${path} may not include ${own}`);
      visit(own, [...trail, path]);
    }
  };
  for (const path of files) visit(path, []);
});
