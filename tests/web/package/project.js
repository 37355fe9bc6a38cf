/** An empty project with the package installed, as `npm pack` makes it: what users get, and nothing else. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @param {string} folder @param {string} program @param {string[]} args */
export function run(folder, program, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: 240_000,
  });
  return { status, stdout, stderr: error ? String(error) : stderr };
}

/** @param {string} folder @param {string} program @param {string[]} args @returns {string} what it printed */
export function mustRun(folder, program, ...args) {
  const { status, stdout, stderr } = run(folder, program, ...args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: status ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** @returns {{ folder: string, tarball: string, packed: string[], remove: () => void }} `packed`: paths in the package */
export function installed() {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlens-package-'));
  const [{ filename, files }] = JSON.parse(mustRun('.', 'npm', 'pack', '--json', '--pack-destination', folder));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  // Offline: the package depends on nothing.
  mustRun(folder, 'npm', 'install', '--offline', '--no-audit', '--no-fund', `./${filename}`);
  return {
    folder,
    tarball: join(folder, filename),
    packed: files.map((/** @type {{ path: string }} */ { path }) => path),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
