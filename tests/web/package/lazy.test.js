/** A module that is loaded when it is needed takes no more than its file and the import: nothing lists such modules by name. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { mustRun } from './project.js';

/** A folder that the file is put in, and the file there that imports it. */
const PLACES = { export: 'export.js', viewer: 'viewer.js', dicom: 'parser.js', page: 'about.js' };

test('a new lazy module is built, kept offline and packed', () => {
  const copy = mkdtempSync(join(tmpdir(), 'cxrlens-lazy-'));
  try {
    for (const name of readdirSync('.')) if (!['web', 'build'].includes(name)) symlinkSync(resolve(name), join(copy, name));
    for (const name of ['web', 'build/web', 'build/obj', 'build/headers', 'build/stb'])
      cpSync(name, join(copy, name), { recursive: true, preserveTimestamps: true });
    for (const [folder, importer] of Object.entries(PLACES)) {
      writeFileSync(join(copy, `web/${folder}/late-in-${folder}.js`), `export const late = 'late in ${folder}';\n`);
      appendFileSync(
        join(copy, `web/${folder}/${importer}`),
        `\nexport const load = () => import('./late-in-${folder}.js');\nglobalThis.late = load;\n`,
      );
    }
    mustRun(copy, 'make', '--no-print-directory', 'SETUP=no', 'wasm');
    const precache = readFileSync(join(copy, 'build/web/precache.js'), 'utf8');
    const packed = JSON.parse(mustRun(copy, 'npm', 'pack', '--dry-run', '--json', '--ignore-scripts'))[0].files;
    for (const folder of Object.keys(PLACES)) {
      const name = readdirSync(join(copy, 'build/web')).find((each) => new RegExp(`^late-in-${folder}-\\w+\\.js$`).test(each));
      assert.ok(name && readFileSync(join(copy, 'build/web', name), 'utf8').includes(`late in ${folder}`), folder);
      assert.ok(precache.includes(`'./${name}'`), `${name} is kept offline`);
      assert.ok(
        packed.some((/** @type {{ path: string }} */ { path }) => path === `build/web/${name}`),
        `${name} is packed`,
      );
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
});
