/** `make install` gives a working library, command and manual, and `make uninstall` takes all of it away. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const SAMPLE = 'web/samples/synthetic-covid-19-1.jpg',
  PHANTOM = 'tests/golden/images/phantom.png';
const EXAMPLE = 'tests/src/install/example.c';
const STRICT = ['-std=c11', '-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror'];
const root = mkdtempSync(join(tmpdir(), 'cxrlens-install-'));
const prefix = join(root, 'usr');
after(() => rmSync(root, { recursive: true, force: true }));

/** @param {string} command @param {string[]} args @param {Record<string, string>} [env] */
function run(command, args, env = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000, env: { ...process.env, ...env } });
  assert.equal(done.error, undefined);
  assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stdout}${done.stderr}`);
  return done.stdout.trim();
}

const make = (/** @type {string[]} */ ...args) => run(process.env.MAKE || 'make', ['--no-print-directory', ...args]);
const pkgConfig = (/** @type {string[]} */ ...args) =>
  run('pkg-config', [...args, 'cxrlens'], { PKG_CONFIG_PATH: `${prefix}/lib/pkgconfig` });

/** @param {string} folder @returns {string[]} */
const tree = (folder) =>
  readdirSync(folder)
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? tree(path) : [path.slice(root.length + 1)];
    })
    .sort();

test('installs what it says, where it is told', () => {
  make('install', `PREFIX=${prefix}`);
  assert.deepEqual(tree(root), [
    'usr/bin/cxrlens',
    'usr/include/cxr.h',
    'usr/lib/libcxr.a',
    'usr/lib/libcxr.so',
    'usr/lib/libcxr.so.0',
    'usr/lib/pkgconfig/cxrlens.pc',
    'usr/lib/python3/dist-packages/cxrlens.py',
    'usr/share/cxrlens/cxrlens.cxrm',
    'usr/share/man/man1/cxrlens.1',
  ]);
  assert.match(run('readelf', ['-d', `${prefix}/lib/libcxr.so`]), /SONAME.*libcxr\.so\.0/);
});

test('the shared library shows the public interface and nothing else', () => {
  const header = readFileSync('src/include/cxr.h', 'utf8');
  const names = (/** @type {string} */ option) =>
    run('nm', ['-D', option, '--format=just-symbols', `${prefix}/lib/libcxr.so`])
      .split('\n')
      .sort();
  const declared = [...header.matchAll(/^CXR_API [^;(]*?\b(cxr_\w+)\(/gm)].map((match) => match[1]).sort();
  assert.deepEqual(names('--defined-only'), declared);
  assert.ok(!names('--undefined-only').some((name) => /^(printf|puts|fopen|exit|abort)\b/.test(name)), 'the library prints or exits');
});

test('the library has no state of its own', () => {
  const sections = run('size', ['-A', `${prefix}/lib/libcxr.a`])
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([name]) => /^\.(t?data|t?bss)(\.(?!rel\.ro)\S+)?$/.test(name));
  assert.ok(sections.length > 0);
  // but for one pointer a thread: stb_image's reason for its last failure, which stb.c reads at once
  assert.deepEqual(
    sections.filter(([, size]) => size !== '0').map(([name, size]) => `${name} ${size}`),
    ['.tbss 8'],
  );
});

test('the command finds its model and its manual tells of exit statuses', () => {
  assert.match(run(`${prefix}/bin/cxrlens`, ['info'], { CXRLENS_MODEL: '' }), new RegExp(`${prefix}/bin/../share/cxrlens/cxrlens.cxrm`));
  assert.match(readFileSync(`${prefix}/share/man/man1/cxrlens.1`, 'utf8'), /^\.Sh EXIT STATUS$/m);
});

test('pkg-config knows the version and the model', () => {
  assert.equal(`cxrlens ${pkgConfig('--modversion')}`, run(`${prefix}/bin/cxrlens`, ['--version']));
  assert.ok(existsSync(pkgConfig('--variable=model')));
});

for (const [kind, flags] of /** @type {[string, string[]][]} */ ([
  ['shared', []],
  ['static', ['-static']],
])) {
  test(`the README's C program links the ${kind} library and classifies`, () => {
    const program = join(root, `example-${kind}`);
    const libraries = pkgConfig('--cflags', '--libs', ...(flags.length ? ['--static'] : [])).split(' ');
    run('gcc', [...STRICT, ...flags, EXAMPLE, '-o', program, ...libraries]);
    for (const xray of [SAMPLE, PHANTOM]) {
      const out = run(program, [pkgConfig('--variable=model'), xray], { LD_LIBRARY_PATH: `${prefix}/lib` });
      const { gate, classes } = JSON.parse(run(`${prefix}/bin/cxrlens`, ['classify', '-f', 'json', xray], { CXRLENS_MODEL: '' }));
      assert.equal(gate.accepted, xray === SAMPLE);
      if (gate.accepted) assert.match(out, new RegExp(`^verdict -?\\d, COVID-19 ${classes[1].probability.toFixed(3)}$`));
      else assert.equal(out, 'not a frontal chest X-ray');
    }
  });
}

test('the header serves C++ and old C', () => {
  for (const args of [
    ['-x', 'c++', '-std=c++11'],
    ['-x', 'c', '-std=c99'],
  ]) {
    run('clang-19', [...args, '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', 'src/include/cxr.h']);
  }
});

test('the README shows this very program', () => {
  assert.ok(readFileSync('README.md', 'utf8').includes(readFileSync(EXAMPLE, 'utf8').trim()));
});

test('DESTDIR is put before PREFIX and not written into any file', () => {
  const stage = join(root, 'stage');
  make('install', `DESTDIR=${stage}`, 'PREFIX=/opt/cxr');
  assert.ok(existsSync(`${stage}/opt/cxr/bin/cxrlens`));
  assert.match(readFileSync(`${stage}/opt/cxr/lib/pkgconfig/cxrlens.pc`, 'utf8'), /^prefix=\/opt\/cxr$/m);
});

test('a PREFIX that would be written wrong is refused, and a strict umask keeps nobody from reading', () => {
  for (const wrong of ['relative/place', '/tmp/with space', '/tmp/a&b', '/tmp/a|b']) {
    assert.equal(spawnSync(process.env.MAKE || 'make', ['install', `DESTDIR=${join(root, 'wrong')}`, `PREFIX=${wrong}`]).status, 2, wrong);
  }
  run('sh', ['-c', `umask 077; exec ${process.env.MAKE || 'make'} install DESTDIR=${join(root, 'strict')} PREFIX=/usr`]);
  for (const path of tree(join(root, 'strict'))) assert.equal(statSync(join(root, path)).mode & 0o444, 0o444, path);
  rmSync(join(root, 'strict'), { recursive: true });
  make('uninstall', 'PREFIX=/nowhere/at/all');
});

test('uninstall leaves nothing', () => {
  make('uninstall', `PREFIX=${prefix}`);
  make('uninstall', `DESTDIR=${join(root, 'stage')}`, 'PREFIX=/opt/cxr');
  assert.deepEqual(
    tree(root).filter((path) => !path.startsWith('example-')),
    [],
  );
});

test('the same sources give the same library, byte for byte', () => {
  const again = join(root, 'again');
  make(`${again}/libcxr.so.0`, `BUILD=${again}`, 'STB=build/stb', 'SETUP=no');
  assert.ok(readFileSync(`${again}/libcxr.so.0`).equals(readFileSync('build/libcxr.so.0')));
});
