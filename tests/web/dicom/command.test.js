// command.test.js - `cxrlens-dicom`: one JSON line per file, folders without extensions, what is passed over, frames
// and windows, reports, exit status; and `cxrlens`, which names DICOM and points here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { unprivileged } from '../../unprivileged.js';
import { dicomFile, radiograph } from './write.js';

const Ajv = createRequire(import.meta.url)('ajv/dist/2020.js').default;
const valid = new Ajv({ strict: true, allowUnionTypes: true }).compile(JSON.parse(readFileSync('web/result.schema.json', 'utf8')));

const folder = mkdtempSync(join(tmpdir(), 'cxrlens-command-'));
after(() => rmSync(folder, { recursive: true }));

/** @param {string} name @param {string|Uint8Array} content */
function put(name, content) {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const [width, height] = [64, 48];
const pixels = Uint16Array.from({ length: 2 * width * height }, (_, i) => (i * 13) % 4096);
/** @param {Record<string, any>} more */
const xray = (more = {}) =>
  dicomFile(
    radiograph(
      { width, height, bits: 12, pixels },
      { '00280008': ['IS', '2'], '00281050': ['DS', '2048\\512'], '00281051': ['DS', '4096\\1024'], ...more },
    ),
  );
put('study/series/IM000001', xray({ '00100020': ['LO', '4711'] }));
put('study/series/IM000002', xray({ '00080060': ['CS', 'CT'] }));
put('study/bare', dicomFile(radiograph({ width, height, pixels: new Uint8Array(width * height) }), { header: false }));
put('study/chest.png', readFileSync('tests/golden/images/phantom.png'));
put('study/notes.txt', 'Dear colleague');
put('study/empty', '');
put('study/.hidden', xray());

/** @param {string[]} args */
function run(...args) {
  const [command, ...rest] = [...unprivileged, process.execPath, 'web/bin/cxrlens-dicom.js', ...args];
  const done = spawnSync(command, rest, { encoding: 'utf8', timeout: 120_000 });
  return {
    code: done.status,
    err: done.stderr,
    lines: done.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

test('a folder: a line for each file in order, valid by the schema; what is not an image is passed over aloud', () => {
  const { code, err, lines } = run(join(folder, 'study'));
  assert.equal(code, 1, 'the CT was not read');
  assert.deepEqual(
    lines.map(({ file, error }) => [file.slice(folder.length), error?.code]),
    [
      ['/study/bare', undefined],
      ['/study/chest.png', undefined],
      ['/study/series/IM000001', undefined],
      ['/study/series/IM000002', 'dicom-modality'],
    ],
  );
  for (const line of lines) assert.ok(valid(line), JSON.stringify(valid.errors));
  assert.match(err, /skipped .*notes\.txt: neither/);
  assert.match(err, /skipped .*empty: empty/);
});

test('an image of another kind is named, and never passed over', () => {
  put('kinds/photo', 'RIFF\x1a\0\0\0WEBPVP8L');
  put('kinds/notes', 'Dear colleague');
  const { code, lines } = run(join(folder, 'kinds'));
  assert.equal(code, 1);
  assert.deepEqual(
    lines.map(({ error }) => [error.code, /WebP/.test(error.message)]),
    [['image-kind', true]],
  );
});

test('named files are always answered', () => {
  const { code, lines } = run(join(folder, 'study/notes.txt'), join(folder, 'missing'), join(folder, 'study/bare'));
  assert.equal(code, 1);
  assert.deepEqual(
    lines.map(({ error }) => error?.code),
    ['image-format', 'file-unreadable', undefined],
  );
  assert.equal(run(join(folder, 'study/bare')).code, 0);
});

test('a folder that can not be listed costs only itself', () => {
  put('locked/chest', xray());
  mkdirSync(join(folder, 'locked/inner'), { mode: 0 });
  assert.deepEqual(
    run(join(folder, 'locked')).lines.map(({ error }) => error?.code),
    [undefined, 'file-unreadable'],
  );
});

test('a reader that has read enough ends it without a word, but not as if all were read', () => {
  const xrays = Array.from({ length: 40 }, () => join(folder, 'study/bare'));
  const piped = '"$@" | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}"';
  const { stdout, stderr } = spawnSync('bash', ['-c', piped, 'bash', process.execPath, 'web/bin/cxrlens-dicom.js', ...xrays], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.deepEqual([stdout, stderr], ['141\n', '']);
});

test('frame and window are counted from 1', () => {
  const path = join(folder, 'study/series/IM000001');
  const {
    lines: [line],
  } = run('--frame', '2', '--window', '2', path);
  assert.deepEqual([line.dicom.frame, line.dicom.window.centre], [1, 512]);
  assert.equal(run('--frame', '3', path).lines[0].error.code, 'dicom-frame');
});

test('reports are written for DICOM, and for nothing else', () => {
  const reports = join(folder, 'reports');
  const { code, err } = run('--sr', reports, join(folder, 'study/series/IM000001'), join(folder, 'study/chest.png'));
  assert.equal(code, 1);
  assert.match(err, /no report of .*chest\.png/);
  assert.deepEqual(readdirSync(reports), ['1.2.3.4.5.6.sr.dcm']);
  const report = readFileSync(join(reports, '1.2.3.4.5.6.sr.dcm')).toString('latin1');
  assert.equal(report.slice(128, 132), 'DICM');
  assert.match(report, /4711/, 'the patient it is about');
});

test('wrong usage is told', () => {
  for (const args of [[], ['--frame', '0', 'x'], ['--frame', 'two', 'x'], ['--no-such', 'x']]) {
    const { code, err } = run(...args);
    assert.equal(code, 2);
    assert.match(err, /Usage:/);
  }
});

test('the command in C names DICOM and points here', { skip: existsSync('build/cxrlens') ? false : 'build/cxrlens is not built' }, () => {
  const done = spawnSync('build/cxrlens', ['classify', '--model', 'model/cxrlens.cxrm', '--format', 'json', join(folder, 'study/series')], {
    encoding: 'utf8',
  });
  const errors = done.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).error);
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['image-dicom', 'image-dicom'],
  );
  assert.match(errors[0].message, /DICOM.*cxrlens-dicom/);
  assert.equal(done.status, 1);
});
