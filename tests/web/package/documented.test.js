/**
 * Every program in the READMEs runs as it is written, in a project with the package and the library installed. Programs are the
 * blocks in sh, c, python, js and html. There are two exceptions, which the output names: a target of make or a script of npm must
 * exist but is not run (the tests themselves were built by them), and a block that needs another server (https://) or a viewer's
 * viewport (tests/web/viewers runs the same) is only checked for types.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { createStaticServer } from '../../../web/server/serve.js';
import { dicomFile, radiograph } from '../dicom/write.js';
import { file, idle, pick, ready, sample, stage } from '../support.js';
import { installed, mustRun } from './project.js';

const PYTHON = process.env.PYTHON || '/usr/bin/python3';
const MAKE = process.env.MAKE || 'make';

/** @typedef {{ name: string, language: string, code: string, before: string }} Block before: the line of text above it */

/** The fenced blocks of a file. @param {string} path @returns {Block[]} */
function blocksOf(path) {
  const text = readFileSync(path, 'utf8');
  assert.doesNotMatch(text.replace(/^```[^]*?^```$/gm, ''), /^```/m, `${path}: a block has no end`);
  return [...text.matchAll(/(?:^(.*)\n\n?)?^```(.*)\n([^]*?)^```$/gm)].map(([, before = '', language, code], i) => ({
    name: `${path}, block ${i + 1}: ${code.slice(0, 50).split('\n')[0]}`,
    language,
    code,
    before,
  }));
}
const blocks = ['README.md', 'web/README.md', 'src/README.md'].flatMap(blocksOf);
/** @param {string} language */
const of = (language) => blocks.filter((block) => block.language === language);
/** The name of the file that a block is, if the text says so. @param {Block} block */
const fileOf = ({ before }) => before.match(/`(\w+\.js)`:$/)?.[1];
const needsServer = (/** @type {Block} */ { code }) => code.includes('https://');

const site = stage();
/** @type {ReturnType<typeof installed>} */
let project;
/** @type {NodeJS.ProcessEnv} */
let env;
/** @param {string} command @param {string[]} args */
function run(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: project.folder, env, encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, `${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

before(() => {
  project = installed();
  const { folder, tarball } = project;
  const prefix = join(folder, 'usr');
  mustRun('.', MAKE, '--no-print-directory', 'install', `PREFIX=${prefix}`);
  // What a reader has: a clone around the commands, images, a study.
  for (const name of ['build', 'tests']) symlinkSync(resolve(name), join(folder, name));
  for (const name of ['images', 'study', 'pictures', 'bin']) mkdirSync(join(folder, name));
  copyFileSync('web/samples/synthetic-covid-19-1.jpg', join(folder, 'images/sample.jpg'));
  for (const name of ['image.png', 'images/phantom.png']) copyFileSync('tests/golden/images/phantom.png', join(folder, name));
  const pixels = Uint16Array.from({ length: 80 * 60 }, (_, i) => (i * 37) % 4096);
  writeFileSync(join(folder, 'study/image'), dicomFile(radiograph({ width: 80, height: 60, bits: 12, pixels })));
  // Stand-ins for what builds: see above.
  renameSync(tarball, join(folder, 'bin/packed.tgz'));
  writeFileSync(join(folder, 'targets'), mustRun('.', MAKE, '--no-print-directory', 'help'));
  const npm = String(mustRun('.', 'sh', '-c', 'command -v npm')).trim();
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  const programs = {
    make: `grep -q "^$1 " '${folder}/targets'`,
    npm: `case "$1" in run) case ' ${Object.keys(scripts).join(' ')} ' in *" $2 "*) ;; *) exit 1;; esac;;
      pack) cp bin/packed.tgz ${basename(tarball)};; *) exec '${npm}' "$@" --offline --no-audit --no-fund;; esac`,
  };
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'bin', name), 0o755);
  }
  env = {
    ...process.env,
    PATH: [join(folder, 'bin'), join(prefix, 'bin'), process.env.PATH].join(delimiter),
    PKG_CONFIG_PATH: join(prefix, 'lib/pkgconfig'),
    LD_LIBRARY_PATH: join(prefix, 'lib'),
    PYTHONPATH: join(prefix, 'lib/python3/dist-packages'),
    CXRLENS_MODEL: '',
  };
});
after(() => project?.remove());

test('a language stands at each block, so that none is forgotten', (t) => {
  const programs = ['sh', 'c', 'python', 'js', 'html'];
  const others = ['text', 'http', 'nginx', 'apache', 'caddyfile'];
  for (const { name, language } of blocks) {
    assert.ok([...programs, ...others].includes(language), `${name}: language "${language}"`);
    if (others.includes(language)) t.diagnostic(`no program (${language}): ${name}`);
  }
  for (const path of ['README.md', 'web/README.md'])
    assert.doesNotMatch(readFileSync(path, 'utf8').replace(/^```[^]*?^```$/gm, ''), /\n\n {4}\S/, `${path}: a block without a fence`);
});

for (const { name, code } of of('sh'))
  test(`runs: ${name}`, (t) => {
    run('bash', '-euo', 'pipefail', '-c', code);
    for (const [, command] of code.matchAll(/\b((?:make|npm run) \S+)/g)) t.diagnostic(`${command}: exists, not run`);
    // What a command is to write into is no longer empty.
    for (const [, path] of code.matchAll(/(?:>|--sr|--heatmap) ?([\w./]+)/g)) {
      const at = join(project.folder, path);
      assert.ok(existsSync(at) && (path.endsWith('/') ? readdirSync(at) : readFileSync(at)).length > 0, `${path} is empty`);
    }
  });

for (const { name, code } of of('c'))
  test(`compiles and runs: ${name}`, () => {
    writeFileSync(join(project.folder, 'block.c'), code);
    run('bash', '-euc', 'cc -Wall -Wextra -Werror block.c $(pkg-config --cflags --libs cxrlens) -o block');
    assert.match(run('bash', '-euc', './block "$(pkg-config --variable=model cxrlens)" images/sample.jpg'), /^verdict \d/);
  });

for (const { name, code } of of('python')) test(`runs: ${name}`, () => assert.match(run(PYTHON, '-c', code), /\{/));

/** Scripts, also those within pages; one that is a file of a page runs there. @type {Block[]} */
const scripts = [
  ...of('js').filter((block) => !fileOf(block)),
  ...of('html').flatMap((block) =>
    [...block.code.matchAll(/<script[^>]*>(?!<)([^]*?)<\/script>/g)].map(([, code]) => ({ ...block, code })),
  ),
];
/** What a block takes from the text around it. */
const GIVEN = `import 'cxrlens/define';
declare global {
  const file: File, signal: AbortSignal, withToken: typeof fetch, token: string, studyUid: string;
  const cxr: import('cxrlens').Classifier, viewport: import('@cornerstonejs/core').StackViewport;
}`;

test('scripts keep to the declarations', () => {
  const folder = join(project.folder, 'types');
  mkdirSync(folder);
  writeFileSync(join(folder, 'given.d.ts'), GIVEN);
  for (const [i, { code }] of scripts.entries())
    writeFileSync(join(folder, `block-${i}.js`), /\bimport\b|\bawait\b/.test(code) ? code : `${code}\nexport {};`);
  const compilerOptions = {
    target: 'ES2022',
    module: 'ESNext',
    moduleResolution: 'bundler',
    lib: ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
    types: [],
    paths: {
      '@cornerstonejs/core': [resolve('node_modules/@cornerstonejs/core')],
      '/cxrlens-embed.js': ['../node_modules/cxrlens/build/web/cxrlens-embed.d.ts'],
    },
    allowJs: true,
    checkJs: true,
    noEmit: true,
    skipLibCheck: true, // package.test.js checks them
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['.'] }));
  mustRun(folder, resolve('node_modules/.bin/tsc'), '-p', '.');
});

for (const block of of('js').filter(({ code }) => code.includes("from 'cxrlens'")))
  test(`runs in Node: ${block.name}`, (t) => {
    if (needsServer(block)) return t.diagnostic('needs a server: only its types are checked');
    const given = `import { readFileSync } from 'node:fs';
      const [file, signal] = [readFileSync('images/sample.jpg'), AbortSignal.timeout(60_000)];`;
    writeFileSync(join(project.folder, 'block.js'), `${given}\n${block.code}`);
    run(process.execPath, 'block.js');
  });

for (const { name, code } of of('html').filter((block) => !needsServer(block)))
  test(`a page with it reads an image: ${name}`, async (t) => {
    const root = join(project.folder, 'site');
    const folder = join(root, 'cxrlens');
    if (!existsSync(folder)) cpSync(join(project.folder, 'node_modules/cxrlens/build/web'), folder, { recursive: true });
    for (const block of of('js')) writeFileSync(join(root, fileOf(block) ?? 'not-asked-for.js'), block.code);
    const [, openssl] = readFileSync('web/README.md', 'utf8').match(/`(openssl [^`]+)`/) ?? [];
    const digest = mustRun(folder, 'sh', '-c', openssl);
    writeFileSync(join(root, 'index.html'), `<!doctype html><html lang="en"><body>${code.replace('sha384-…', `sha384-${digest}`)}`);
    const server = await createStaticServer(root);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const page = await site.browser.newPage();
    /** @type {string[]} */
    const said = [];
    page.on('console', (message) => said.push(`${message.type()} ${message.text()}`));
    await page.goto(`http://localhost:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`);
    await ready(page);
    await pick(page, file('xray.jpg', sample, 'image/jpeg'));
    await idle(page, 1);
    assert.equal(await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results[0].verdict), 'covid-19');
    assert.deepEqual(
      said.filter((line) => line.startsWith('error') && !line.includes('404')),
      [],
    );
    if (code.includes('/portal.js')) assert.ok(said.some((line) => line.startsWith('log')));
    await page.close();
  });
