/**
 * A build in another folder gives the same bytes. Here all but the WebAssembly modules is built again, and these must hold no path;
 * `make reproducible` (ALL=1) compiles them again, too, and packs.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { mustRun } from './project.js';

const ALL = process.env.ALL === '1';

/** Files by path, declarations left out: these are not `make wasm`'s. @param {string} folder */
const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile() && !path.endsWith('.d.ts'))
    .sort();

/** @param {string} folder */
const digests = (folder) =>
  Object.fromEntries(
    filesIn(folder).map((path) => [
      path,
      createHash('sha256')
        .update(readFileSync(join(folder, path)))
        .digest('hex'),
    ]),
  );

test('two builds in different folders are the same', () => {
  const root = mkdtempSync(join(tmpdir(), 'cxrlens-the-same-again-'));
  const copy = join(root, 'deeper', 'cxrlens');
  try {
    for (const name of readdirSync('.').filter((name) => !/^(build|node_modules|\.git)$/.test(name)))
      cpSync(name, join(copy, name), { recursive: true, preserveTimestamps: !ALL });
    const kinds = ['scalar', 'simd', 'relaxed'];
    const compiled = kinds.flatMap((kind) => [`build/obj/wasm-${kind}`, `build/web/cxrlens-${kind}.wasm`]);
    for (const name of ['build/stb', ...(ALL ? [] : compiled)])
      cpSync(name, join(copy, name), { recursive: true, preserveTimestamps: true });
    symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
    mustRun(copy, 'make', '--no-print-directory', `-j${cpus().length}`, 'SETUP=no', 'wasm');
    assert.deepEqual(digests(join(copy, 'build/web')), digests('build/web'));
    if (!ALL) return;
    for (const name of readdirSync('build/web', { recursive: true, encoding: 'utf8' }))
      if (name.endsWith('.d.ts')) cpSync(join('build/web', name), join(copy, 'build/web', name));
    const [own, other] = ['.', copy].map((folder) => JSON.parse(mustRun(folder, 'npm', 'pack', '--json', '--pack-destination', root))[0]);
    assert.equal(other.integrity, own.integrity);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('nothing that is built holds the path of the folder it was built in', () => {
  for (const name of filesIn('build/web')) assert.ok(!readFileSync(join('build/web', name)).includes(`${process.cwd()}/`), name);
});

test('the bill of materials names what is bundled and compiled, in the versions of the lock file', () => {
  mustRun('.', 'make', '--no-print-directory', 'SETUP=no', 'sbom');
  const { bomFormat, components, metadata } = JSON.parse(readFileSync('build/cxrlens.cdx.json', 'utf8'));
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  assert.deepEqual([bomFormat, metadata.component.purl], ['CycloneDX', `pkg:npm/cxrlens@${packages[''].version}`]);
  /** @type {{ name: string, version: string }[]} */
  const npm = components.filter((/** @type {{ purl: string }} */ { purl }) => purl.startsWith('pkg:npm/'));
  assert.deepEqual(npm.map(({ name }) => name).sort(), ['@cornerstonejs/codec-charls', '@cornerstonejs/codec-openjpeg']);
  for (const { name, version } of npm) assert.equal(version, packages[`node_modules/${name}`].version);
  assert.deepEqual(
    components.slice(npm.length).map((/** @type {{ name: string }} */ { name }) => name),
    ['stb_image', 'emscripten'],
  );
});
