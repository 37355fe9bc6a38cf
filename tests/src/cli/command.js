/** Runs the command `cxrlens` for the tests beside this file, in a folder of their own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after } from 'node:test';
import { png } from '../../png.js';

export const SECONDS = 180; // a hang, even on a busy machine
export const MODEL = resolve('model/cxrlens.cxrm');
export const GOLDEN = readdirSync('tests/golden/images')
  .sort()
  .map((name) => resolve('tests/golden/images', name));
export const IMAGE = resolve('tests/golden/images/phantom.png');
export const good = readFileSync(IMAGE);
export const CLASSES = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];

export const folder = mkdtempSync(join(tmpdir(), 'cxrlens-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {string} name @param {string | Buffer} content */
export function put(name, content) {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

export const sha256 = (/** @type {string} */ path) => createHash('sha256').update(readFileSync(path)).digest('hex');
export const program = (/** @type {string} */ build) => resolve(build === 'native' ? 'build/cxrlens' : `build/obj/${build}/cxrlens`);

/** The model with a gate that lets everything pass. */
export function openGate() {
  return changed('open-gate.cxrm', { 'gate.threshold': 0 });
}

/** The model with other numbers. @param {string} name @param {Record<string, number>} numbers */
export function changed(name, numbers) {
  const model = readFileSync(MODEL);
  for (const [key, value] of Object.entries(numbers)) model.writeFloatLE(value, model.indexOf(key) + Math.ceil(key.length / 4) * 4);
  createHash('sha256').update(model.subarray(64)).digest().copy(model, 24);
  return put(name, model);
}

/**
 * @param {string[]} args
 * @param {{ build?: string, input?: Buffer, env?: Record<string, string>, wrap?: string[], cwd?: string }} [options]
 */
export function run(args, { build = 'native', input, env = {}, wrap = [], cwd } = {}) {
  const [command, ...rest] = [...wrap, program(build), ...args];
  const done = spawnSync(command, rest, {
    input,
    cwd,
    timeout: SECONDS * 1000,
    maxBuffer: 1 << 28,
    env: { ...process.env, CXRLENS_MODEL: MODEL, ...env },
  });
  assert.equal(done.error, undefined, `${args.join(' ')}: ${done.error}`);
  assert.equal(done.signal, null, `${args.join(' ')} ended by ${done.signal}: ${done.stderr}`);
  return { code: done.status, out: done.stdout.toString(), err: done.stderr.toString() };
}

/** @param {string[]} args @param {Parameters<typeof run>[1]} [options] */
export function classify(args, options) {
  const { code, out, err } = run(['classify', '--format', 'json', ...args], options);
  return {
    code,
    err,
    results: out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

/** RFC 4180, to the letter. @param {string} text */
export function parseCsv(text) {
  const rows = [];
  let row = [];
  for (let at = 0; at < text.length; ) {
    let cell = '';
    if (text[at] === '"') {
      for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
        if (text[at] === '"') at++;
        cell += text[at];
      }
      at++;
    } else while (at < text.length && !',\r"'.includes(text[at])) cell += text[at++];
    row.push(cell);
    if (text[at] === ',') {
      at++;
      continue;
    }
    assert.equal(text.slice(at, at + 2), '\r\n');
    at += 2;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Everything that must be the same wherever it is computed. @param {any} result */
export function withoutTimings({ timings, ...rest }) {
  assert.deepEqual(Object.keys(timings), ['decode_ms', 'preprocess_ms', 'network_ms']);
  return rest;
}

/** Address space for a run, in KiB. @param {number} limit */
export const within = (limit) => ['sh', '-c', `ulimit -v ${limit} && exec "$@"`, 'sh'];

/** As many pixels as are allowed; three of them take over a second. */
export function largest() {
  const path = join(folder, 'largest.png');
  return existsSync(path)
    ? path
    : put(
        'largest.png',
        png(8192, 8192, () => 80),
      );
}

/** Width and height in a PNG's header. @param {string} path */
export function pngSize(path) {
  const bytes = readFileSync(path);
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}
