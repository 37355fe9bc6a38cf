/** The cluster examples: whatever happens to an image, a worker or the list, every path ends with exactly one line. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { dicomWeb } from '../../../web/dicomweb.js';
import { noOrthanc, startOrthanc } from '../../web/portal/orthanc.js';
import { STUDY, study } from '../../web/portal/study.js';

const HERE = resolve('src/examples/cluster');
const COMMAND = resolve('build/cxrlens');
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const has = (/** @type {string} */ program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

const root = mkdtempSync(join(tmpdir(), 'cxrlens-cluster-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A command that behaves like ours, but for some files. @param {string} name @param {string} body of a shell script; $real is ours */
function command(name, body) {
  const path = join(root, name);
  writeFileSync(path, `#!/bin/sh\nreal='${COMMAND}'\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A folder with images, some of which are none, and their list. @param {string} name @param {number} count */
function archive(name, count) {
  const folder = join(root, name);
  mkdirSync(folder);
  const paths = Array.from({ length: count }, (_, k) => join(folder, `${k}.png`));
  for (const [k, path] of paths.entries())
    if (k % 10 === 3) writeFileSync(path, 'no image');
    else if (k % 10 !== 7) copyFileSync('tests/golden/images/least-32.png', path);
  const list = join(folder, 'list');
  writeFileSync(list, paths.join('\n'));
  return { list, out: join(folder, 'out'), paths };
}

/** @param {string[]} args of partition.py */
function partition(...args) {
  const done = spawnSync(PYTHON, [join(HERE, 'partition.py'), ...args], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout;
}

/** Every path has one line, in order, with a result or the error that it should have. @param {ReturnType<typeof archive>} archive @param {string[]} options */
function assertComplete({ list, out, paths }, ...options) {
  const lines = partition(list, out, '--collect', '--command', COMMAND, ...options)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ file }) => file),
    paths,
  );
  for (const [k, { verdict, error }] of lines.entries())
    assert.equal(verdict ? 'read' : error.code, k % 10 === 3 ? 'image-format' : k % 10 === 7 ? 'file-unreadable' : 'read', paths[k]);
  return lines;
}

test('a part is done once; a longer list does only what is new; duplicates and folders are told from images', () => {
  const all = archive('parts', 45);
  const options = ['--command', COMMAND, '--size', '20'];
  assert.equal(partition(all.list, all.out, '--count', ...options), '3\n');
  const missing = spawnSync(PYTHON, [join(HERE, 'partition.py'), all.list, all.out, '--collect', ...options], { encoding: 'utf8' });
  assert.deepEqual([missing.status, missing.stdout], [1, '']);
  for (const k of [2, 0, 1, 3]) partition(all.list, all.out, '--part', String(k), ...options); // there is no part 3
  assertComplete(all, '--size', '20');
  const before = readdirSync(all.out);
  assert.equal(before.length, 3);
  // The first two parts stay; the last one is another now.
  writeFileSync(all.list, `${all.paths.join('\n')}\n${all.paths[0]}\n${root}\n`);
  const counting = command('counting', `echo run >>'${root}/runs'; exec $real "$@"`);
  for (const k of [0, 1, 2]) partition(all.list, all.out, '--part', String(k), '--command', counting, '--size', '20');
  assert.equal(readFileSync(join(root, 'runs'), 'utf8').length, 4 * 'run\n'.length, 'three times info, one part');
  const lines = partition(all.list, all.out, '--collect', ...options)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ file }) => file),
    [...all.paths, root],
  );
  assert.equal(lines[45].error.code, 'file-unreadable');
});

test('a file at which the command breaks down, or hangs, costs its own line only', () => {
  const { list, out, paths } = archive('crash', 9);
  const crashing = command(
    'crashing',
    `
    [ "$1" = info ] && exec $real info
    shift 3
    for path; do case $path in */4.png) kill -9 $$;; */6.png) [ "$HANG" ] && sleep 60;; esac; $real classify --format json "$path"; done
    exit 1`,
  );
  const code = `import sys; sys.path.insert(0, '${HERE}'); import partition; partition.SECONDS_PER_IMAGE = 0.7
print([line.get('error', {}).get('code') for line in partition.classify(open('${list}').read().split(), ['${crashing}'])])`;
  const read = ['None', 'None', 'None', "'image-format'", "'crashed'", 'None', 'None', "'file-unreadable'", 'None'];
  const said = (/** @type {Record<string, string>} */ env) =>
    spawnSync(PYTHON, ['-c', code], { encoding: 'utf8', env: { ...process.env, ...env } }).stdout.trim();
  assert.equal(said({}), `[${read.join(', ')}]`);
  assert.equal(said({ HANG: '1' }), `[${read.map((each, k) => (k === 6 ? "'crashed'" : each)).join(', ')}]`);
  assert.ok(paths.length === 9 && !existsSync(out));
});

test('a command that cannot run at all fails the part and leaves nothing', () => {
  const { list, out } = archive('broken', 5);
  const broken = command('broken-command', '[ "$1" = info ] && exec $real info; exit 2');
  const done = spawnSync(PYTHON, [join(HERE, 'partition.py'), list, out, '--part', '0', '--command', broken], { encoding: 'utf8' });
  assert.equal(done.status, 1);
  assert.match(done.stderr, /cannot run here/);
  assert.deepEqual(
    readdirSync(out).filter((name) => name.endsWith('.ndjson')),
    [],
  );
});

test('Slurm: each task of the array does its part', () => {
  const all = archive('slurm', 25);
  for (let k = 0; k < 4; k++) {
    const { status, stderr } = spawnSync(join(HERE, 'slurm.sh'), [all.list, all.out, '--size', '10'], {
      encoding: 'utf8',
      env: { ...process.env, CLUSTER: HERE, COMMAND, SLURM_ARRAY_TASK_ID: String(k) },
    });
    assert.equal(status, 0, stderr);
  }
  assertComplete(all, '--size', '10');
});

test('GNU parallel does all parts', { skip: has('parallel') ? false : 'needs the Debian package parallel' }, () => {
  const all = archive('parallel', 12);
  const { status, stderr } = spawnSync(join(HERE, 'parallel.sh'), [all.list, all.out], {
    encoding: 'utf8',
    env: { ...process.env, COMMAND },
  });
  assert.equal(status, 0, stderr);
  assertComplete(all);
});

test('a PACS: its studies are listed, and every image, and a study that is not there, has its line', { skip: noOrthanc }, async () => {
  const orthanc = await startOrthanc();
  try {
    await dicomWeb(orthanc.root).store(study());
    const command = join(HERE, 'dicomweb.js');
    const [list, out] = ['pacs-list', 'pacs-out'].map((name) => join(root, name));
    const studies = [STUDY, `${STUDY}.404`].map((uid) => `dicomweb:${orthanc.root}/studies/${uid}`);
    const listed = spawnSync(command, ['list'], { input: `${studies.join('\n')}\n`, encoding: 'utf8' });
    writeFileSync(list, listed.stdout);
    partition(list, out, '--part', '0', '--command', command);
    const lines = partition(list, out, '--collect', '--command', command)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ file }) => file.replace(/.*instances\//, '')),
      [`${STUDY}.1.1`, `${STUDY}.1.2`, `${STUDY}.1.4`, studies[1]],
    );
    assert.deepEqual(
      lines.map(({ verdict, error }) => error?.code ?? verdict),
      ['covid-19', 'lung-opacity', lines[2].verdict, 'pacs-empty'],
    );
    assert.ok(lines[2].classes.length === 4 && lines.slice(0, 3).every(({ sha256 }) => sha256.length === 64));
  } finally {
    await orthanc.stop();
  }
});

test('Dask: a worker is killed in the middle, and nothing is lost or doubled', {
  skip: has('dask-scheduler') ? false : 'needs the Debian package python3-distributed',
}, async () => {
  const all = archive('dask', 200);
  const slow = command('slow', '[ "$1" = info ] || sleep 0.3; exec $real "$@"');
  /** @type {import('node:child_process').ChildProcess[]} */
  const children = [];
  /** @param {string} program @param {string[]} args */
  const start = (program, ...args) => {
    const child = spawn(program, args, { cwd: root, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    return child;
  };
  const end = (/** @type {import('node:child_process').ChildProcess} */ child) => {
    try {
      process.kill(-Number(child.pid), 'SIGKILL');
    } catch {
      /* it has ended */
    }
  };
  try {
    const scheduler = start('dask-scheduler', '--host', '127.0.0.1', '--port', '0', '--no-dashboard');
    let said = '';
    const address = await new Promise((resolve, reject) => {
      scheduler.stderr?.on('data', (text) => {
        said += text;
        const found = /tcp:\/\/127\.0\.0\.1:\d+/.exec(said);
        if (found) resolve(found[0]);
      });
      scheduler.on('exit', () => reject(new Error(said)));
    });
    const [first, second] = [0, 1].map(() =>
      start('dask-worker', address, '--host', '127.0.0.1', '--nworkers', '1', '--nthreads', '1', '--no-nanny', '--no-dashboard'),
    );
    const run = async () => {
      const driver = spawn(PYTHON, [
        join(HERE, 'dask_classify.py'),
        all.list,
        all.out,
        '--scheduler',
        address,
        '--size',
        '5',
        '--command',
        slow,
      ]);
      children.push(driver);
      let output = '';
      driver.stdout.on('data', (text) => (output += text));
      driver.stderr.on('data', (text) => (output += text));
      const ended = once(driver, 'exit').then(([code]) => ({ code, output }));
      return { ended, output: () => output };
    };
    const parts = () => (existsSync(all.out) ? readdirSync(all.out) : []).filter((name) => name.endsWith('.ndjson')).length;
    const { ended, output } = await run();
    while (parts() < 8) {
      assert.equal(children.at(-1)?.exitCode, null, output());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    end(first);
    const { code } = await ended;
    assert.equal(code, 0, output());
    assert.match(output(), /^40 parts, 0 of them done\n[^]*200 images/);
    assertComplete(all, '--size', '5');
    assert.equal(parts(), 40);
    assert.equal(second.exitCode, null);
    // What is missing, and nothing else, is done by the same command.
    rmSync(join(all.out, readdirSync(all.out)[17]));
    const again = await run();
    assert.equal((await again.ended).code, 0, again.output());
    assert.match(again.output(), /^40 parts, 39 of them done\n[^]*\b5 images/);
    assertComplete(all, '--size', '5');
  } finally {
    children.forEach(end);
  }
});
