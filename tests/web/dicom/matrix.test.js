// matrix.test.js - generated files: syntaxes x bits x sign x windows x photometric interpretations, written by DCMTK,
// GDCM and pydicom (matrix.py), against pydicom and DCMTK: stored values the same, gray after VOI within one level.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDicom, refusal, toGray8 } from './module.js';

const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const folder = mkdtempSync(join(tmpdir(), 'cxrlens-dicom-'));
after(() => rmSync(folder, { recursive: true }));

/** @param {string} command @param {string[]} args */
const works = (command, args) => spawnSync(command, args).status === 0;
const missing = [
  works(PYTHON, ['-c', 'import pydicom, numpy, gdcm']) ? '' : 'python3-pydicom, python3-numpy, python3-gdcm',
  works('dcmcjpeg', ['--version']) && works('dcmcjpls', ['--version']) && works('dcmcrle', ['--version']) ? '' : 'dcmtk',
  works('gdcmconv', ['--version']) ? '' : 'libgdcm-tools',
]
  .filter(Boolean)
  .join(', ');
const skip = missing ? `needs the Debian packages ${missing}` : false;

/** @type {string[]} */
let names = [];

before(() => {
  if (skip) return;
  const made = spawnSync(PYTHON, [fileURLToPath(new URL('matrix.py', import.meta.url)), folder], {
    encoding: 'utf8',
    timeout: 200_000,
  });
  assert.equal(made.status, 0, made.stderr);
  names = readFileSync(join(folder, 'index.csv'), 'utf8').trim().split('\n');
});

/** @param {string} name @param {string} end */
const read = (name, end) => readFileSync(join(folder, `${name}.${end}`));

/** The codec loses the sign of bytes; that is refused, as no radiograph has them. */
const REFUSED = /^syntax-j2k-9.-8-s/;

/** @param {string} name @returns {Promise<number>} the largest difference in gray levels */
async function compare(name) {
  if (REFUSED.test(name)) {
    assert.equal((await refusal(read(name, 'dcm')))?.code, 'dicom-unsupported');
    return 0;
  }
  const dicom = await openDicom(read(name, 'dcm'));
  const { data } = await dicom.stored(0);
  const expected = read(name, 'stored');
  const { stored, signed } = dicom.layout;
  // What stands above the bits stored is sign or nothing, and writers differ in it.
  const shift = 32 - stored;
  const value = (/** @type {number} */ v) => (signed ? (v << shift) >> shift : (v << shift) >>> shift);
  assert.equal(data.length, expected.length / 2, `${name}: number of samples`);
  for (let i = 0; i < data.length; i++)
    if (value(data[i]) !== value(expected.readUInt16LE(2 * i)))
      assert.fail(`${name}: stored value ${i} is ${data[i]}, not ${expected.readUInt16LE(2 * i)}`);
  const gray = toGray8(await dicom.frame(0));
  const shades = read(name, 'gray');
  assert.equal(gray.length, shades.length);
  return gray.reduce((most, shade, i) => Math.max(most, Math.abs(shade - shades[i])), 0);
}

for (const [group, least] of /** @type {[string, number][]} */ ([
  ['window', 140],
  ['syntax', 100],
  ['colour', 26],
  ['shape', 6],
])) {
  test(`${group}: stored values and gray are the oracle's`, { skip }, async () => {
    const own = names.filter((name) => name.startsWith(group));
    assert.ok(own.length >= least, `${own.length} files only`);
    const failures = [];
    for (const name of own) {
      const worst = await compare(name).catch((error) => error.message);
      if (typeof worst !== 'number' || worst > 1) failures.push(`${name}: ${worst}`);
    }
    assert.deepEqual(failures, []);
  });
}

test('every syntax was tried', { skip }, () => {
  const tried = new Set(names.filter((name) => name.startsWith('syntax-')).map((name) => name.replace(/^syntax-(.*)-\d+-[su]-.*$/, '$1')));
  assert.deepEqual([...tried].sort(), [
    'big',
    'deflated',
    'explicit',
    'implicit',
    'j2k-90',
    'j2k-91',
    'jls-80',
    'jls-81',
    'jpeg-50',
    'jpeg-51',
    'jpeg-57',
    'jpeg-70',
    'rle',
  ]);
});
