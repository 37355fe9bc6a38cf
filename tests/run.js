/**
 * Runs the tests and adds up what they say. `node tests/run.js [GROUP...]`: all groups, `quick`, or those named.
 *
 * Every program's output goes to build/test-logs/; what fails is shown. A program that crashes, is missing, runs
 * into its time limit or reports no test at all counts as a failure. The last line is the sum.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import { finished } from 'node:stream/promises';

const LOGS = 'build/test-logs';
const PYTHON = process.env.PYTHON || '/usr/bin/python3';
const MAKE = process.env.MAKE || 'make';
const FUZZ_SECONDS = Number(process.env.FUZZ_SECONDS || 20);
const SHOWN_LINES = 80;
/** Too long for valgrind; AddressSanitizer sees these. */
const NOT_UNDER_VALGRIND = new Set(['test_exp', 'test_kernels']);

/**
 * @typedef {{ passed: number, failed: number, skipped: number, reasons: string[] }} Count
 * @typedef {object} Job one program
 * @property {string} name
 * @property {string[]} command
 * @property {(output: string) => Count | null} [count] reads its output; left out: the program is one test
 * @property {Record<string, string>} [env]
 * @property {number} [minutes] time limit
 */

/** @param {string} folder @param {RegExp} pattern */
const list = (folder, pattern) => (existsSync(folder) ? readdirSync(folder) : []).filter((name) => pattern.test(name)).sort();

// ---- reading what test programs print ------------------------------------------------------------------

/**
 * The Test Anything Protocol, as cmocka prints it. A test that the plan promises and nobody reports has failed; why one
 * was skipped stands on the line before.
 * @param {string} output
 */
function countTap(output) {
  const plan = output.match(/^1\.\.(\d+)/m);
  if (!plan) return null;
  const count = { passed: 0, failed: 0, skipped: 0, reasons: /** @type {string[]} */ ([]) };
  for (const { 0: line, 1: not, index } of output.matchAll(/^(not )?ok \d+.*$/gm)) {
    if (/# skip/i.test(line)) {
      count.skipped++;
      const before = output.slice(0, index).trimEnd().split('\n').pop();
      count.reasons.push(`${line.replace(/^(not )?ok \d+\s*(- )?/, '')}: ${before}`);
    } else if (not) count.failed++;
    else count.passed++;
  }
  count.failed += Math.max(0, Number(plan[1]) - count.passed - count.failed - count.skipped);
  return count;
}

/**
 * The closing lines of `node --test --test-reporter=tap`. A file without tests is reported as if it were one.
 * @param {string} output
 */
function countNode(output) {
  if (/^# Subtest: \S+\.test\.js$/m.test(output)) return null;
  const last = (/** @type {string} */ word) => {
    const all = [...output.matchAll(new RegExp(`^# ${word} (\\d+)$`, 'gm'))];
    return all.length ? Number(all[all.length - 1][1]) : null;
  };
  const passed = last('pass');
  if (passed === null) return null;
  const reasons = [...output.matchAll(/^\s*(?:not )?ok \d+ - (.*# (?:SKIP|TODO).*)$/gm)].map((match) => match[1]);
  return {
    passed,
    failed: (last('fail') ?? 0) + (last('cancelled') ?? 0),
    skipped: (last('skipped') ?? 0) + (last('todo') ?? 0),
    reasons,
  };
}

/**
 * The closing lines of `python3 -m unittest -v`.
 * @param {string} output
 */
function countUnittest(output) {
  const ran = output.match(/^Ran (\d+) tests? in/m);
  if (!ran) return null;
  const closing = output.slice(ran.index);
  const of = (/** @type {string} */ word) => Number(closing.match(new RegExp(`\\b${word}=(\\d+)`))?.[1] ?? 0);
  const failed = of('failures') + of('errors') + of('unexpected successes');
  const skipped = of('skipped') + of('expected failures');
  const reasons = [...output.matchAll(/^(.*\.\.\. skipped .*)$/gm)].map((match) => match[1]);
  return { passed: Number(ran[1]) - failed - skipped, failed, skipped, reasons };
}

// ---- the tests -----------------------------------------------------------------------------------------

const programs = (/** @type {string} */ variant) =>
  list(`build/tests/${variant}`, /^test_\w+$/).map((name) => ({ name, path: `build/tests/${variant}/${name}` }));

/** @param {string[]} variants @returns {Job[]} */
const unit = (variants) =>
  variants.flatMap((variant) =>
    programs(variant).map(({ name, path }) => ({
      name: `${name} (${variant})`,
      command: [path],
      count: countTap,
      env: { CMOCKA_MESSAGE_OUTPUT: 'TAP' },
    })),
  );

/** @returns {Job[]} */
const valgrind = () =>
  programs('native')
    .filter(({ name }) => !NOT_UNDER_VALGRIND.has(name))
    .map(({ name, path }) => ({
      name: `${name} (valgrind)`,
      command: ['valgrind', '-q', '--leak-check=full', '--error-exitcode=99', path],
    }));

/** @returns {Job[]} */
const fuzz = () =>
  list('build/fuzz', /^fuzz_\w+$/).map((name) => {
    const corpus = `build/fuzz/corpus-${name}`;
    mkdirSync(corpus, { recursive: true });
    const seeds = `tests/src/fuzz/seeds/${name}`;
    return {
      name: `${name} (${FUZZ_SECONDS} s)`,
      command: [
        `build/fuzz/${name}`,
        `-max_total_time=${FUZZ_SECONDS}`,
        '-timeout=20',
        '-rss_limit_mb=3072',
        '-print_final_stats=1',
        `-artifact_prefix=build/fuzz/`,
        corpus,
        ...(existsSync(seeds) ? [seeds] : []),
      ],
      minutes: FUZZ_SECONDS / 60 + 3,
    };
  });

/** @param {string} folder @param {number} [minutes] @returns {Job[]} */
const node = (folder, minutes = 10) =>
  list(folder, /\.test\.js$/).map((name) => ({
    name: `${folder}/${name}`,
    command: [process.execPath, '--test', '--test-timeout=300000', '--test-reporter=tap', `${folder}/${name}`],
    count: countNode,
    minutes,
  }));

/** Backwards, so that the longest, test_pipeline.py, comes first; one core each. @returns {Job[]} */
const model = () =>
  list('tests/model', /^test_\w+\.py$/)
    .reverse()
    .map((name) => ({
      name: `tests/model/${name}`,
      command: [PYTHON, '-m', 'unittest', 'discover', '-v', '-s', 'tests/model', '-p', name],
      count: countUnittest,
      env: { PYTHONPATH: 'model', OMP_NUM_THREADS: '1' },
    }));

/** Format and likely mistakes of the JavaScript (`npm run format` mends what it can) and of the Python. @returns {Job[]} */
const lint = () => [
  { name: 'biome', command: ['node_modules/.bin/biome', 'ci', '--error-on-warnings'] },
  { name: 'flake8', command: ['flake8', 'model', 'tests', 'src'] },
];

/** The first writes the declarations of what is built, which the others read. @returns {Job[]} */
const types = () =>
  ['web', 'tests'].flatMap((folder) =>
    list(folder, /^tsconfig.*\.json$/).map((name) => ({
      name: `types (${folder}/${name})`,
      command: ['node_modules/.bin/tsc', '-p', `${folder}/${name}`],
    })),
  );

/** What npm users get holds the declarations too. @returns {Job[]} */
const packed = () => [
  { name: 'declarations', command: ['node_modules/.bin/tsc', '-p', 'web/tsconfig.json'] },
  ...node('tests/web/package'),
];

/** @param {string} target @returns {() => Job[]} */
const build = (target) => () => [
  { name: 'build', command: [MAKE, '--no-print-directory', '-k', `-j${cpus().length}`, target], minutes: 20 },
];

/**
 * In order. Two programs run side by side, except of the groups that run `alone`: the build, and what measures time or
 * shares a port or a folder. The longest program of all, tests/model/test_pipeline.py, starts as early as it can.
 * @typedef {{ name: string, jobs: () => Job[], alone?: boolean }} Group
 * @type {Group[]}
 */
const groups = [
  { name: 'build', jobs: build('test-programs'), alone: true },
  { name: 'types', jobs: types, alone: true },
  { name: 'install', jobs: () => node('tests/src/install'), alone: true },
  { name: 'examples', jobs: () => node('tests/src/examples'), alone: true },
  { name: 'portal', jobs: () => node('tests/web/portal'), alone: true },
  { name: 'package', jobs: packed, alone: true },
  { name: 'bench', jobs: () => node('tests/bench/native'), alone: true },
  { name: 'model', jobs: model },
  { name: 'rooms', jobs: () => node('tests') },
  { name: 'lint', jobs: lint },
  { name: 'unit', jobs: () => unit(['native', 'scalar', 'clang', 'asan', 'relaxed']) },
  { name: 'valgrind', jobs: valgrind },
  { name: 'cli', jobs: () => node('tests/src/cli') },
  ...['engine', 'dicom', 'element', 'page', 'frame', 'browsers'].map((name) => ({ name, jobs: () => node(`tests/web/${name}`) })),
  { name: 'viewers', jobs: () => node('tests/web/viewers') },
  { name: 'fuzz', jobs: fuzz },
];

/** @type {Group[]} */
const quick = [
  { name: 'build', jobs: build('test-programs-quick'), alone: true },
  { name: 'unit', jobs: () => unit(['native']) },
  ...groups.filter(({ name }) => ['rooms', 'lint', 'types'].includes(name)),
];

// ---- running -------------------------------------------------------------------------------------------

/** Process groups that are at work: each program's own, so that what it started ends with it. @type {Set<number>} */
const running = new Set();

/** @param {number} group */
function end(group) {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    /* it has ended by itself */
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    running.forEach(end);
    process.exit(1);
  });
}

/**
 * Runs a program with its output going to a log.
 * @param {Job} job
 * @returns {Promise<{ output: string, trouble: string | null, log: string }>}
 */
async function execute({ name, command, env, minutes = 10 }) {
  const log = `${LOGS}/${name.replace(/[^\w.-]+/g, '-')}.log`;
  const file = createWriteStream(log);
  const [program, ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child; // none where it could not start
  if (pid) running.add(pid);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      output += text;
      file.write(text);
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (pid) end(pid);
  }, minutes * 60_000);
  const trouble = await new Promise((resolve) => {
    child.on('error', (error) => resolve(`could not start: ${error.message}`));
    child.on('close', (code, signal) => {
      if (late) resolve(`stopped after ${minutes} minutes`);
      else if (signal) resolve(`ended by ${signal}`);
      else resolve(code === 0 ? null : `exit status ${code}`);
    });
  });
  clearTimeout(timer);
  if (pid) running.delete(pid);
  file.end();
  await finished(file);
  return { output, trouble, log };
}

/**
 * @param {Job} job
 * @param {Count} total
 */
async function run(job, total) {
  const start = Date.now();
  const { output, trouble, log } = await execute(job);
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  const whole = { passed: trouble ? 0 : 1, failed: trouble ? 1 : 0, skipped: 0, reasons: [] };
  const count = job.count ? (job.count(output) ?? { passed: 0, failed: 0, skipped: 0, reasons: [] }) : whole;
  let remark = trouble;
  if (job.count && count.passed + count.failed + count.skipped === 0) remark ??= 'reported no test';
  if (remark && count.failed === 0) count.failed = 1;
  for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) total[key] += count[key];
  console.log(
    `${count.failed ? 'FAIL' : 'ok  '} ${job.name}: ${count.passed} passed, ${count.failed} failed, ` +
      `${count.skipped} skipped (${seconds} s)`,
  );
  for (const reason of count.reasons) console.log(`     skipped: ${reason}`);
  if (!count.failed) return;
  console.log(`     ${remark ?? 'tests failed'}; all of it is in ${log}`);
  // What the tests that failed say; where no test says so, the end of it all.
  const failures = output.match(/^ *not ok .*(?:\n(?! *(?:(?:not )?ok |# Subtest|1\.\.)).*)*/gm) ?? [];
  const shown = failures.length ? failures.join('\n').split('\n').slice(0, SHOWN_LINES) : output.trimEnd().split('\n').slice(-SHOWN_LINES);
  console.log(shown.map((line) => `     | ${line}`).join('\n'));
}

/**
 * @param {Job[]} jobs
 * @param {number} atOnce
 * @param {Count} total
 */
async function runAll(jobs, atOnce, total) {
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await run(job, total);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** @param {Group} group @param {Count} total */
function jobsOf({ name, jobs }, total) {
  const found = jobs();
  if (found.length === 0) {
    // as when what it lists was not built
    total.failed++;
    console.log(`FAIL ${name}: nothing to run`);
  }
  return found;
}

async function main() {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => name !== 'quick' && !groups.some((group) => group.name === name));
  if (unknown.length) {
    console.error(`No such tests: ${unknown.join(', ')}. There are: quick, ${groups.map(({ name }) => name).join(', ')}.`);
    process.exitCode = 2;
    return;
  }
  const start = Date.now();
  const total = { passed: 0, failed: 0, skipped: 0, reasons: [] };
  const chosen = wanted[0] === 'quick' ? quick : groups.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  rmSync(LOGS, { recursive: true, force: true });
  mkdirSync(LOGS, { recursive: true });
  for (let next = 0; next < chosen.length; ) {
    const { alone } = chosen[next];
    const jobs = jobsOf(chosen[next++], total);
    // No core waits for the end of a group, but what is built is there before anything runs.
    while (!alone && next < chosen.length && !chosen[next].alone) jobs.push(...jobsOf(chosen[next++], total));
    await runAll(jobs, alone ? 1 : 2, total);
  }
  console.log(`\n${basename(process.cwd())}: ${((Date.now() - start) / 60_000).toFixed(1)} minutes`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed || total.passed === 0 ? 1 : 0;
}

await main();
