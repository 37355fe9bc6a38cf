/** The command `cxrlens` as users meet it: formats, folders, bad input of every kind, exit codes, time and memory. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { png, pngOf } from '../../png.js';
import { unprivileged } from '../../unprivileged.js';
import { jpegHeader, zeros } from './images.js';

const SECONDS = 180; // a hang, even on a busy machine
const MODEL = resolve('model/cxrlens.cxrm');
const GOLDEN = readdirSync('tests/golden')
  .filter((name) => /(?<!-expected)\.png$/.test(name))
  .sort()
  .map((name) => resolve('tests/golden', name));
const FILM = resolve('tests/golden/phantom.png');
const CLASSES = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];
const SHARED = '../shared/data/crd';

const folder = mkdtempSync(join(tmpdir(), 'cxrlens-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** @param {string} name @param {string | Buffer} content */
function put(name, content) {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const sha256 = (/** @type {string} */ path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const program = (/** @type {string} */ build) => resolve(build === 'native' ? 'build/cxrlens' : `build/obj/${build}/cxrlens`);

/** The model with a gate that lets everything pass. */
function openGate() {
  return changed('open-gate.cxrm', { 'gate.threshold': 0 });
}

/** The model with other numbers. @param {string} name @param {Record<string, number>} numbers */
function changed(name, numbers) {
  const model = readFileSync(MODEL);
  for (const [key, value] of Object.entries(numbers)) model.writeFloatLE(value, model.indexOf(key) + Math.ceil(key.length / 4) * 4);
  createHash('sha256').update(model.subarray(64)).digest().copy(model, 24);
  return put(name, model);
}

/**
 * @param {string[]} args
 * @param {{ build?: string, input?: Buffer, env?: Record<string, string>, wrap?: string[], cwd?: string }} [options]
 */
function run(args, { build = 'native', input, env = {}, wrap = [], cwd } = {}) {
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
function classify(args, options) {
  const { code, out, err } = run(['classify', '--format', 'json', ...args], options);
  return {
    code,
    err,
    answers: out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

/** RFC 4180, to the letter. @param {string} text */
function parseCsv(text) {
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

/** Everything that must be the same wherever it is computed. @param {any} answer */
function withoutTimings({ timings, ...rest }) {
  assert.deepEqual(Object.keys(timings), ['decode_ms', 'preprocess_ms', 'network_ms']);
  return rest;
}

// ---- options ------------------------------------------------------------------------------------------

test('help and version go to standard output', () => {
  for (const words of [['--help'], ['-h'], ['help'], ['classify', '--help'], ['info', '-h'], ['bench', '--runs', '2', '--help']]) {
    const { code, out } = run(words);
    assert.equal(code, 0);
    assert.match(out, /^Usage: cxrlens classify/);
    assert.match(out, /not a medical device/);
  }
  assert.match(run(['--version']).out, /^cxrlens \d+\.\d+\.\d+\n$/);
});

test('wrong usage is told on standard error with status 2', () => {
  const wrong = [
    [],
    ['frobnicate'],
    ['classify'],
    ['classify', '--nonsense', FILM],
    ['classify', '--format', 'xml', FILM],
    ['classify', '--runs', '3', FILM],
    ['bench', '--runs', '0'],
    ['bench', '--runs', '3x'],
    ['info', FILM],
    ['classify', '--model'],
    ['bench', FILM, FILM],
  ];
  for (const args of wrong) {
    const { code, out, err } = run(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(out, '');
    assert.match(err, /\w/);
  }
});

test('info describes the model', () => {
  const { code, out } = run(['info']);
  assert.equal(code, 0);
  assert.match(out, new RegExp(`sha256 +${sha256(MODEL)}`));
  assert.match(out, /classes +normal, covid-19, viral-pneumonia, lung-opacity/);
});

test('bench gives medians per stage', () => {
  for (const args of [[], [FILM]]) {
    const { code, out } = run(['bench', '--runs', '2', ...args]);
    assert.equal(code, 0);
    for (const stage of ['decode', 'preprocess', 'network', 'file to result']) {
      assert.match(out, new RegExp(`^${stage} +\\d+\\.\\d+ ms`, 'm'));
    }
    assert.match(out, /GMAC\/s/);
  }
});

// ---- answers ------------------------------------------------------------------------------------------

test('an answer has the shape of cxrlens.result/1', () => {
  const { code, answers, err } = classify([FILM]);
  assert.deepEqual([code, err, answers.length], [0, '', 1]);
  const [answer] = answers;
  assert.deepEqual(Object.keys(answer), [
    'schema',
    'file',
    'sha256',
    'image',
    'model',
    'verdict',
    'classes',
    'gate',
    'warnings',
    'timings',
  ]);
  assert.equal(answer.schema, 'cxrlens.result/1');
  assert.equal(answer.file, FILM);
  assert.equal(answer.sha256, sha256(FILM));
  assert.deepEqual(answer.image, { width: 192, height: 192, format: 'png' });
  assert.equal(answer.model.sha256, sha256(MODEL));
  assert.deepEqual(
    answer.classes.map((/** @type {any} */ each) => each.id),
    CLASSES,
  );
  const sum = answer.classes.reduce((/** @type {number} */ all, /** @type {any} */ each) => all + each.probability, 0);
  assert.ok(Math.abs(sum - 1) < 1e-5);
  assert.ok([...CLASSES, 'uncertain', 'not-a-chest-x-ray'].includes(answer.verdict));
  assert.equal(answer.gate.accepted, answer.gate.score >= answer.gate.threshold);
  for (const time of Object.values(answer.timings)) assert.ok(time >= 0);
});

for (const build of ['scalar', 'relaxed', 'clang', 'asan']) {
  test(`the ${build} build gives the same bits as the native one`, () => {
    const plain = (/** @type {any} */ answer) => JSON.stringify(withoutTimings(answer)).replace(/"[^"]*\/maps-\w+\//g, '"');
    // All with one pass of the network each, which plain C takes its time for; one with the passes that try to right it.
    for (const args of [['--model', openGate(), ...GOLDEN], [FILM]]) {
      const want = classify(['--heatmap', join(folder, 'maps-native'), ...args]);
      const got = classify(['--heatmap', join(folder, `maps-${build}`), ...args], { build });
      assert.deepEqual([want.code, got.code, got.err], [0, 0, '']);
      assert.equal(got.answers.length, args.length > 1 ? GOLDEN.length : 1);
      got.answers.forEach((answer, i) => assert.equal(plain(answer), plain(want.answers[i])));
    }
  });
}

test('real films are read for what they are', { skip: existsSync(SHARED) ? false : 'no ../shared/data/crd' }, () => {
  const [header, ...lines] = readFileSync(`${SHARED}/manifest.csv`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(','));
  const column = (/** @type {string} */ name) => header.indexOf(name);
  const names = { Normal: 'normal', COVID: 'covid-19', Viral_Pneumonia: 'viral-pneumonia', Lung_Opacity: 'lung-opacity' };
  const films = Object.entries(names).flatMap(([label, id]) =>
    lines
      .filter((line) => line[column('split')] === 'test' && line[column('file')].split('/').includes(label))
      .slice(0, 10)
      .map((line) => ({ id, path: resolve(SHARED, '..', line[column('file')]) })),
  );
  const existing = films.filter(({ path }) => existsSync(path));
  assert.equal(existing.length, 40);
  const { code, answers } = classify(existing.map(({ path }) => path));
  assert.equal(code, 0);
  const likeliest = (/** @type {any} */ { classes }) =>
    classes.reduce((/** @type {any} */ a, /** @type {any} */ b) => (b.probability > a.probability ? b : a)).id;
  const right = answers.filter((answer, i) => answer.gate.accepted && likeliest(answer) === existing[i].id).length;
  assert.ok(right >= 32, `${right} of 40`);
});

test('a film that lies wrong is righted, and said to have been', () => {
  const film = readFileSync('web/samples/synthetic-covid-19-1.jpg');
  const lying = [3, 6, 8].map((orientation) => {
    const exif = Buffer.from(
      `ffe1 0022 457869660000 4d4d002a00000008 0001 0112 0003 00000001 000${orientation}0000 00000000`.replaceAll(' ', ''),
      'hex',
    );
    return put(`lying/${orientation}.jpg`, Buffer.concat([film.subarray(0, 2), exif, film.subarray(2)]));
  });
  const { answers } = classify(lying);
  assert.deepEqual(
    answers.map(({ verdict, warnings }) => [verdict, warnings.includes('rotated')]),
    lying.map(() => ['covid-19', true]),
  );
});

// ---- bad input ----------------------------------------------------------------------------------------

const good = readFileSync(FILM);
const bad = [
  ['empty.png', Buffer.alloc(0), 'image-empty'],
  ['text.png', 'This is no image.\n', 'image-format'],
  ['page.jpg', '<!doctype html><title>404</title>', 'image-format'],
  ['cut.png', good.subarray(0, good.length / 2), 'image-corrupt'],
  ['header-only.png', good.subarray(0, 33), 'image-corrupt'],
  ['flipped.png', Buffer.concat([good.subarray(0, 60), Buffer.from(good.subarray(60)).fill(0xa5, 0, 40)]), 'image-corrupt'],
  ['vast.png', pngOf(30000, 30000, zeros(1)), 'image-side'],
  ['vast.jpg', jpegHeader(30000, 30000), 'image-side'],
  ['many-pixels.png', pngOf(16000, 16000, zeros(1)), 'image-pixels'],
  ['empty-promise.png', pngOf(8000, 8000, zeros(1)), 'image-corrupt'],
  ['no-size.png', pngOf(0, 100, zeros(1)), 'image-corrupt'],
  ['tiny.png', png(16, 200), 'image-small'],
  ['cut.jpg', jpegHeader(100, 100), 'image-corrupt'],
  ['phone.webp', Buffer.from('RIFF\x1a\0\0\0WEBPVP8L'), 'image-kind'],
  ['phone.heic', Buffer.from('\0\0\0\x1cftypmif1\0\0\0\0mif1heic'), 'image-kind'],
  ['BM', 'BM is how this text begins.', 'image-format'],
  ['film.dcm', Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(64)]), 'image-dicom'],
  ['IM000001', Buffer.from('\x08\0\x05\0CS\x0a\0ISO_IR 192'), 'image-dicom'],
  ['implicit', Buffer.from('\x08\0\x05\0\x0a\0\0\0ISO_IR 192'), 'image-dicom'],
].map(([name, content, code]) => ({ path: put(`bad/${name}`, /** @type {string | Buffer} */ (content)), code }));

/** @param {string} build */
function checkBatch(build) {
  const missing = join(folder, 'missing.png');
  const paths = [FILM, ...bad.map(({ path }) => path), missing, FILM];
  const { code, answers, err } = classify(paths, { build });
  assert.equal(code, 1);
  assert.equal(err, '');
  assert.deepEqual(
    answers.map(({ file }) => file),
    paths,
  );
  assert.deepEqual(
    answers.map(({ error }) => error?.code),
    [undefined, ...bad.map((each) => each.code), 'file-unreadable', undefined],
  );
  for (const { error } of answers) assert.ok(!error || /^[A-Z].*\.$/.test(error.message), `no sentence: ${error?.message}`);
  assert.deepEqual(Object.keys(answers[1]), ['schema', 'file', 'error']);
}

for (const build of ['native', 'scalar', 'asan']) {
  test(`a batch goes on after every kind of bad input, and nothing leaks (${build})`, () => checkBatch(build));
}

test('valgrind has nothing to say', () => {
  const wrap = ['valgrind', '-q', '--leak-check=full', '--error-exitcode=99'];
  const { code, err } = classify(['--heatmap', join(folder, 'maps'), FILM, ...bad.map(({ path }) => path)], { wrap });
  assert.deepEqual([code, err], [1, '']);
});

/** Address space for a run, in KiB. @param {number} limit */
const within = (limit) => ['sh', '-c', `ulimit -v ${limit} && exec "$@"`, 'sh'];

test('a bomb neither takes the memory nor the time', () => {
  const bombs = [
    put('bomb.png', pngOf(100, 100, zeros(1024))),
    put('chunks.png', Buffer.concat([pngOf(100, 100, zeros(64)).subarray(0, -12), png(64, 64).subarray(33)])),
  ];
  for (const bomb of bombs) {
    const { code, answers } = classify([bomb, FILM], { wrap: within(700_000) });
    assert.equal(answers.length, 2);
    assert.ok(code === 0 || answers[0].error.code === 'image-corrupt', answers[0].error?.code);
    assert.equal(answers[1].error, undefined);
  }
});

/** As many pixels as are allowed; three of them take over a second. */
function largest() {
  const path = join(folder, 'largest.png');
  return existsSync(path)
    ? path
    : put(
        'largest.png',
        png(8192, 8192, () => 80),
      );
}

test('the largest image that is allowed stays under 1.5 GB', () => {
  const { code, answers } = classify([largest()], { wrap: within(1_500_000) });
  assert.equal(code, 0, JSON.stringify(answers));
  assert.equal(answers[0].image.width, 8192);
});

test('want of memory is an answer, not a crash', () => {
  const { code, answers } = classify([largest(), FILM], { wrap: within(100_000) });
  assert.deepEqual([code, answers[0].error?.code, answers[1].error], [1, 'memory', undefined]);
});

test('files beyond the limit and endless ones are refused', () => {
  const { code, answers } = classify(['/dev/zero', FILM]);
  assert.deepEqual([code, answers[0].error?.code], [1, 'image-file-size']);
});

test('a small PNG cut anywhere is refused with a sentence', () => {
  const whole = png(40, 40);
  const paths = Array.from({ length: whole.length - 1 }, (_, i) => put(`cuts/${String(i).padStart(4, '0')}.png`, whole.subarray(0, i)));
  const { code, answers } = classify(paths, { build: 'asan' });
  assert.equal(code, 1);
  assert.equal(answers.length, paths.length);
  // The last chunk says nothing but "end".
  const needed = whole.length - 12;
  for (const [i, { error }] of answers.entries()) assert.ok(error || i >= needed, `${i} bytes were enough`);
});

test('a model that is missing, cut, changed or of another kind is refused by name', () => {
  const model = readFileSync(MODEL);
  const flip = (/** @type {number} */ at) => {
    const copy = Buffer.from(model);
    copy[at] ^= 0x10;
    return copy;
  };
  const models = [
    ['empty.cxrm', Buffer.alloc(0)],
    ['text.cxrm', 'model'],
    ['image.cxrm', good],
    ...[1, 3, 63, 64, 160, 1000, model.length >> 1, model.length - 1].map((n) => [`cut-${n}.cxrm`, model.subarray(0, n)]),
    ['long.cxrm', Buffer.concat([model, Buffer.alloc(1)])],
    ...[0, 4, 8, 16, 24, 55, 60, 64, 70, 80, 170, 300, 5000, model.length >> 1, model.length - 1].map((n) => [`flip-${n}.cxrm`, flip(n)]),
  ].map(([name, content]) => put(`models/${name}`, /** @type {Buffer} */ (content)));
  for (const path of [...models, join(folder, 'none.cxrm'), folder]) {
    const { code, out, err } = run(['classify', '--model', path, FILM], { build: 'asan' });
    assert.equal(code, 2, path);
    assert.equal(out, '');
    assert.ok(err.startsWith('cxrlens: ') && err.includes(path), err);
    assert.ok(!err.includes('Sanitizer'), err);
  }
  assert.equal(run(['info'], { env: { CXRLENS_MODEL: models[0] } }).code, 2);
  assert.equal(run(['info', '--model', MODEL], { env: { CXRLENS_MODEL: models[0] } }).code, 0);
  assert.equal(run(['info'], { env: { CXRLENS_MODEL: '' } }).code, 0);
  assert.match(run(['info', '--model', '']).err, /cannot read the model/);
});

// ---- inputs -------------------------------------------------------------------------------------------

test('folders are walked in order, without hidden files, and other files are skipped by name', () => {
  const root = join(folder, 'films');
  for (const name of ['b.png', 'a.png', 'c/z.png', 'c/a/deep.png', 'B.png', '.hidden.png', '.git/x.png']) put(`films/${name}`, good);
  put('films/notes.txt', 'text');
  put('films/empty', '');
  truncateSync(put('films/large', ''), 2 ** 28 + 1);
  put('films/broken.PNG', 'text');
  symlinkSync('../films', join(root, 'circle'));
  symlinkSync('b.png', join(root, 'link.png'));
  symlinkSync('nowhere', join(root, 'loose.png'));
  assert.equal(spawnSync('mkfifo', [join(root, 'pipe.png')]).status, 0);
  const { code, answers, err } = classify([root]);
  assert.equal(code, 1);
  assert.deepEqual(
    answers.map(({ file, error }) => [file.slice(root.length + 1), error?.code]),
    [
      ['B.png', undefined],
      ['a.png', undefined],
      ['b.png', undefined],
      ['broken.PNG', 'image-format'],
      ['c/a/deep.png', undefined],
      ['c/z.png', undefined],
      ['link.png', undefined],
      ['loose.png', 'file-unreadable'],
    ],
  );
  assert.deepEqual(
    err
      .trim()
      .split('\n')
      .map((line) => line.match(/skipped (.*):/)?.[1]),
    ['circle', 'pipe.png', 'empty', 'large', 'notes.txt'].map((name) => join(root, name)),
  );
  const table = run(['classify', root]);
  assert.match(table.out, /6 images.*; 2 could not be read; 5 skipped\n/);
});

test('an empty folder is no error, a locked one is', () => {
  mkdirSync(join(folder, 'none'));
  const { code, answers, err } = classify([join(folder, 'none')]);
  assert.deepEqual([code, answers.length], [0, 0]);
  assert.match(err, /no images/);
  mkdirSync(join(folder, 'locked'));
  chmodSync(join(folder, 'locked'), 0);
  assert.equal(classify([join(folder, 'locked'), FILM], { wrap: unprivileged }).answers[0].error.code, 'file-unreadable');
});

test('several processes share films and an output, as src/README.md shows', () => {
  const films = Array.from({ length: 40 }, (_, i) => put(`shared/${i}.png`, good));
  const line = `find '${join(folder, 'shared')}' -name '*.png' -print0 | xargs -0 -n 4 -P 4 '${program('native')}' classify --format json`;
  const { status, stdout } = spawnSync('sh', ['-c', line], { encoding: 'utf8', env: { ...process.env, CXRLENS_MODEL: MODEL } });
  assert.equal(status, 0);
  const files = stdout
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each).file);
  assert.deepEqual(files.sort(), films.sort());
});

test('an answer is one write, long names and all', { skip: spawnSync('strace', ['true']).status === 0 ? false : 'no strace(1)' }, () => {
  const log = join(folder, 'writes');
  const film = `${'./'.repeat(2000)}${basename(FILM)}`;
  const { answers } = classify([film, film], { cwd: resolve(FILM, '..'), wrap: ['strace', '-o', log, '-e', 'trace=write'] });
  assert.deepEqual(
    answers.map(({ file }) => file),
    [film, film],
  );
  assert.equal(readFileSync(log, 'utf8').match(/^write\(1,/gm)?.length, 2);
});

test('standard input and named pipes are read', () => {
  const { answers } = classify(['-'], { input: good });
  assert.deepEqual([answers[0].file, answers[0].sha256], ['-', sha256(FILM)]);
  assert.equal(classify(['-'], { input: Buffer.alloc(0) }).answers[0].error.code, 'image-empty');
  const pipe = join(folder, 'pipe');
  const script = `mkfifo '${pipe}' && { cat '${FILM}' >'${pipe}' & } && exec "$@"`;
  assert.equal(classify([pipe], { wrap: ['sh', '-c', script, 'sh'] }).answers[0].sha256, sha256(FILM));
});

test('names of any kind survive every format', () => {
  const names = [
    'quote".png',
    'new\nline.png',
    'comma,semi;.png',
    '=cmd|calc.png',
    '+1.png',
    '@sum.png',
    '-dash.png',
    'tab\t.png',
    '한글 ☃.png',
    'back\\slash.png',
    'esc\u001b[2J.png',
    'csi\u009b2J.png',
  ];
  for (const name of names) put(`names/${name}`, good);
  const raw = Buffer.concat([Buffer.from(join(folder, 'names/')), Buffer.from([0x62, 0xff, 0xfe, 0xed, 0xa0, 0x80]), Buffer.from('.png')]);
  writeFileSync(raw, good);
  put('names/zero.png', '');
  const cwd = join(folder, 'names');
  const all = readdirSync(cwd).length;

  const { answers } = classify(['.'], { cwd });
  assert.equal(answers.length, all);
  for (const name of names)
    assert.ok(
      answers.some(({ file }) => file === `./${name}`),
      name,
    );
  assert.ok(answers.some(({ file }) => file.startsWith('./b\ufffd\ufffd\ufffd')));

  const { out } = run(['classify', '--format', 'csv', '--', ...readdirSync(cwd).filter((name) => !name.includes('\ufffd'))], { cwd });
  const rows = parseCsv(out);
  assert.equal(rows.length, all);
  for (const row of rows) assert.equal(row.length, rows[0].length);
  for (const row of rows) for (const cell of row) assert.ok(!/^[=+@\t\r]|^-(?![\d.])/.test(cell), `runs as a formula: ${cell}`);
  const error = rows.find((row) => row[0] === 'zero.png');
  assert.equal(error?.[rows[0].indexOf('error_code')], 'image-empty');
  const named = rows.find((row) => row[0] === "'=cmd|calc.png");
  assert.equal(named?.[rows[0].indexOf('sha256')], sha256(FILM));
  assert.ok(CLASSES.every((id) => rows[0].includes(`p_${id}`)));

  const table = run(['classify', '.'], { cwd }).out;
  // eslint-disable-next-line no-control-regex
  assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(table));
  assert.match(table, /For research and education; not a medical device\.\n$/);
  assert.equal(table.trim().split('\n').length, 1 + all + 3);
});

test('nine digits bring the floats back, in JSON and CSV alike', () => {
  const [answer] = classify([FILM]).answers;
  const [header, row] = parseCsv(run(['classify', '--format', 'csv', FILM]).out);
  for (const { id, logit, probability } of answer.classes) {
    assert.equal(Number(row[header.indexOf(`logit_${id}`)]), logit);
    assert.equal(Number(row[header.indexOf(`p_${id}`)]), probability);
    assert.ok(Math.abs(Math.fround(logit) - logit) <= Math.abs(logit) * 1e-8);
  }
});

// ---- output -------------------------------------------------------------------------------------------

/** Width and height in a PNG's header. @param {string} path */
function pngSize(path) {
  const bytes = readFileSync(path);
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

test('the table says 100% or 0% only where it is exactly that', () => {
  const films = ['tests/golden', 'web/samples'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.(png|jpg)$/.test(name))
      .map((name) => `${folder}/${name}`),
  );
  /** @param {number} share @param {number} decimals */
  const shown = (share, decimals) => {
    const [text, least] = [(100 * share).toFixed(decimals), 10 ** -decimals];
    return share < 1 && Number(text) === 100
      ? (100 - least).toFixed(decimals)
      : share > 0 && Number(text) === 0
        ? least.toFixed(decimals)
        : text;
  };
  /** @type {number[]} */
  const all = [];
  for (const scale of [5, 25]) {
    // of the first class: a sample that is likely becomes nearly sure
    const options = ['--model', changed('sure.cxrm', { 'gate.threshold': 0, 'calibration.scale': scale }), ...films];
    const { answers } = classify(options);
    const { out } = run(['classify', '--format', 'text', ...options]);
    const shares = answers.map((/** @type {any} */ { classes }) => classes.map((/** @type {any} */ { probability }) => probability));
    assert.deepEqual(
      out
        .split('\n')
        .slice(1, 1 + answers.length)
        .map((line) => line.match(/[\d.]+(?=% )/g)),
      answers.map(({ gate }, i) => [...shares[i].map((/** @type {number} */ share) => shown(share, 1)), shown(gate.score, 3)]),
    );
    all.push(...shares.flat());
  }
  assert.ok(
    all.some((share) => share > 0 && share < 0.0005),
    'something rounds to 0%',
  );
  assert.ok(
    all.some((share) => share >= 0.9995 && share < 1),
    'something rounds to 100%',
  );
});

test('heat maps are exact in JSON and drawn for what passes the gate', () => {
  const maps = join(folder, 'some/where');
  for (const name of ['one/film.png', 'two/film.png']) put(name, name.startsWith('one') ? good : png(500, 300));
  put('wide.png', png(3000, 1500));
  const paths = [join(folder, 'one'), join(folder, 'two'), join(folder, 'wide.png'), FILM];
  const refused = classify(['--heatmap', maps, ...paths]).answers;
  const { code, answers } = classify(['--model', openGate(), '--heatmap', `${maps}/`, ...paths], { build: 'asan' });
  assert.deepEqual([code, answers.length], [0, 4]);
  assert.deepEqual([refused[3].gate.accepted, refused[3].heatmap.file], [false, undefined]);
  for (const { heatmap, classes, gate } of answers) {
    assert.deepEqual(
      heatmap.classes.map((/** @type {any} */ each) => each.id),
      CLASSES,
    );
    heatmap.classes.forEach((/** @type {any} */ each, /** @type {number} */ k) => {
      assert.equal(each.values.length, heatmap.width * heatmap.height);
      const mean = each.values.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0) / each.values.length;
      assert.ok(Math.abs(mean + each.bias - classes[k].logit) < 1e-3 * Math.max(1, Math.abs(classes[k].logit)));
    });
    assert.ok(gate.accepted);
  }
  for (const { heatmap, image, file, sha256: digest } of answers) {
    const scale = Math.min(1, 1024 / Math.max(image.width, image.height));
    const want = [image.width, image.height].map((side) => Math.floor(side * scale));
    assert.deepEqual(pngSize(heatmap.file), want);
    assert.equal(basename(heatmap.file), `${basename(file, '.png')}-${digest.slice(0, 12)}.png`);
  }
});

test('a heat map is redder the more a place speaks for the class, bluer the more it speaks against it', () => {
  // The map of what the film is not: it has both signs.
  const sunny = changed('sunny.cxrm', { 'gate.threshold': 0, 'calibration.bias': 1000 });
  const {
    answers: [{ verdict, image, heatmap }],
  } = classify(['--model', sunny, '--heatmap', join(folder, 'coloured'), FILM]);
  assert.equal(verdict, 'normal');
  const {
    width,
    height,
    file,
    classes: [{ values }],
  } = heatmap;
  const { stdout: rgb } = spawnSync('/usr/bin/python3', [
    '-c',
    'import sys; from PIL import Image; sys.stdout.buffer.write(Image.open(sys.argv[1]).tobytes())',
    file,
  ]);
  assert.equal(rgb.length, image.width * image.height * 3);
  const red = values.map((/** @type {number} */ _, /** @type {number} */ i) => {
    const x = Math.floor((((i % width) + 0.5) * image.width) / width),
      y = Math.floor(((Math.floor(i / width) + 0.5) * image.height) / height);
    const at = 3 * (y * image.width + x);
    return rgb[at] - rgb[at + 2];
  });
  const step = Math.max(...values.map(Math.abs)) / 10;
  values.forEach((/** @type {number} */ a, /** @type {number} */ i) =>
    values.forEach((/** @type {number} */ b, /** @type {number} */ j) => {
      assert.ok(a - b <= step || red[i] > red[j], `${a} at ${i}: ${red[i]}, ${b} at ${j}: ${red[j]}`);
    }),
  );
  assert.ok(step > 0);
});

test('heat maps do not become films where their folder lies among them', () => {
  put('study/film.png', good);
  const study = join(folder, 'study'),
    maps = join(study, 'maps');
  for (const path of [maps, maps, `${study}/../study/maps/`]) {
    const { answers } = classify(['--model', openGate(), '--heatmap', path, study]);
    assert.deepEqual(
      answers.map(({ file }) => basename(file)),
      ['film.png'],
    );
  }
  assert.deepEqual(readdirSync(maps), [`film-${sha256(join(study, 'film.png')).slice(0, 12)}.png`], 'and nothing else is left there');
  const both = run(['classify', '--heatmap', study, study]);
  assert.deepEqual([both.code, both.out], [2, '']);
  assert.match(both.err, /is the folder for heat maps/);
});

test('however little memory there is, a heat map is whole or is said to be missing', () => {
  const maps = join(folder, 'scarce'),
    film = put('wide.png', png(1000, 1000));
  mkdirSync(maps);
  const whole = readFileSync(classify(['--model', openGate(), '--heatmap', join(folder, 'ample'), film]).answers[0].heatmap.file);
  let failed = 0,
    drawn = 0;
  for (let limit = 11000; limit < 26000; limit += 250) {
    const { code, err, out } = run(['classify', '--format', 'json', '--model', openGate(), '--heatmap', maps, film], {
      wrap: within(limit),
    });
    if (code === 127) continue; // not enough for the program itself
    const answer = out ? JSON.parse(out) : {};
    if (code === 1) assert.match(err + out, /cannot write the heat map|not enough memory/);
    if (code === 1 && /heat map/.test(err)) failed += 1;
    if (answer.heatmap?.file) drawn += 1;
    if (code === 0) {
      assert.deepEqual(readFileSync(answer.heatmap.file), whole);
      rmSync(answer.heatmap.file);
    }
    assert.ok(code === 0 || code === 1 || code === 2, err);
    assert.deepEqual(
      readdirSync(maps).filter((name) => name.startsWith('.')),
      [],
    );
  }
  assert.ok(failed > 0 && drawn > 0, `${failed} failed, ${drawn} drawn`);
});

test('a heat map that does not fit on the disk leaves the one before', () => {
  const maps = join(folder, 'small'),
    film = put('noisy.png', png(600, 600));
  const [
    {
      heatmap: { file },
    },
  ] = classify(['--model', openGate(), '--heatmap', maps, film]).answers;
  const before = readFileSync(file);
  assert.ok(before.length > 8192);
  // A limit for files stands for a disk's end; the answer goes through a pipe, which has none.
  const { code } = run(['classify', '--model', openGate(), '--heatmap', maps, film], {
    wrap: ['sh', '-c', 'ulimit -f 8; trap "" XFSZ; exec "$@"', 'sh'],
  });
  assert.equal(code, 1);
  assert.deepEqual(readFileSync(file), before);
  assert.deepEqual(readdirSync(maps), [basename(file)]);
});

test('a heat map leaves alone what another process with its number is writing', () => {
  const maps = join(folder, 'together');
  mkdirSync(maps);
  const {
    code,
    answers: [
      {
        heatmap: { file },
      },
    ],
  } = classify(['--model', openGate(), '--heatmap', maps, put('alone.png', good)], {
    wrap: ['sh', '-c', `echo other > '${maps}'/.cxrlens-$$-0; exec "$@"`, 'sh'],
  });
  assert.equal(code, 0);
  assert.deepEqual(pngSize(file), [192, 192]);
  const [other, ...rest] = readdirSync(maps).sort();
  assert.deepEqual([readFileSync(join(maps, other), 'utf8'), rest], ['other\n', [basename(file)]]);
});

test('class names that are no names are refused', () => {
  const text = CLASSES.join('\n');
  for (const [start, code] of /** @type {[string, number][]} */ ([
    ['A_b.1\n', 0],
    ['nor\u001b[31m\n', 2],
    ['a b\n', 2],
    ['a\0b\n', 2],
    ['\nab\n', 2],
    ['aa\naa\n', 2],
    ['uncertain\n', 2],
    ['not-a-chest-x-ray\n', 2],
  ])) {
    const model = readFileSync(openGate());
    model.write(start.concat('b\nc\nd').slice(0, text.length).padEnd(text.length, 'd'), model.indexOf(text), 'latin1');
    if (start === 'aa\naa\n') model.write('aa\naa\nc\nd'.padEnd(text.length, 'd'), model.indexOf('aa\naa'), 'latin1');
    createHash('sha256').update(model.subarray(64)).digest().copy(model, 24);
    assert.equal(run(['info', '--model', put('named.cxrm', model)]).code, code, JSON.stringify(start));
  }
});

test('a name as long as they come gets a heat map', () => {
  const film = put(`${'한'.repeat(80)}.png`, good);
  const { code, answers } = classify(['--model', openGate(), '--heatmap', join(folder, 'long'), film]);
  assert.equal(code, 0);
  assert.equal(basename(answers[0].heatmap.file), `${'한'.repeat(79)}-${answers[0].sha256.slice(0, 12)}.png`);
  assert.deepEqual(pngSize(answers[0].heatmap.file), [192, 192]);
});

test('a map that is no number leaves the image as it is', () => {
  const model = readFileSync(openGate());
  const [tensors, operators, data] = [1, 2, 3].map((i) => Number(model.readBigUInt64LE(64 + 24 * i + 8)));
  const head = operators + Number(model.readBigUInt64LE(64 + 24 * 2 + 16)) - 64,
    weights = data + model.readUInt32LE(head + 48);
  const map = tensors + 24 * model.readUInt32LE(head + 4);
  model.writeFloatLE(1e20, map + 12); // its scale: with weights of either sign, sums of infinities
  for (let c = 0; c < model.readUInt32LE(map + 8); c++) {
    for (let k = 0; k < 4; k++) model.writeFloatLE(c % 2 ? 1e29 : -1e29, weights + 4 * (8 * c + k));
  }
  createHash('sha256').update(model.subarray(64)).digest().copy(model, 24);
  const {
    answers: [answer],
  } = classify(['--model', put('wild.cxrm', model), '--heatmap', join(folder, 'wild'), FILM]);
  const { values } = answer.heatmap.classes[0];
  assert.equal(answer.verdict, 'uncertain');
  assert.ok(
    values.includes(null) && values.every((/** @type {number|null} */ value) => value === null || value === 0),
    'no number where there is evidence',
  );
  const [plain, picture] = classify([FILM, answer.heatmap.file]).answers;
  assert.deepEqual(picture.classes, plain.classes);
});

test('a heat map that cannot be written is told with a harmless name', () => {
  const maps = join(folder, 'full');
  const film = put('esc\u001b[2J.png', good);
  mkdirSync(join(maps, `esc\u001b[2J-${sha256(film).slice(0, 12)}.png`), { recursive: true });
  const { code, err } = classify(['--model', openGate(), '--heatmap', maps, film]);
  assert.equal(code, 1);
  assert.match(err, /^cxrlens: cannot write the heat map of .*esc\?\[2J\.png: .*\n$/);
});

test('a folder for heat maps that cannot be made stops the run', () => {
  const file = put('in-the-way', 'x');
  for (const path of [file, join(file, 'below')]) assert.equal(run(['classify', '--heatmap', path, FILM]).code, 2);
});

test('results that cannot be written are an error', () => {
  const wrap = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
  for (const format of ['json', 'csv', 'text']) {
    const { code, err } = run(['classify', '--format', format, FILM], { wrap });
    assert.equal(code, 1);
    assert.match(err, /cannot write/);
  }
  for (const command of ['--help', '--version', 'info']) {
    const { code, err } = run([command], { wrap });
    assert.equal(code, 1);
    assert.match(err, /cannot write/);
  }
});

test('standard error stays empty when it is no terminal', () => {
  assert.equal(classify(Array(3).fill(largest())).err, '');
});

test('progress shows on a terminal once a run takes more than a second', {
  skip: existsSync('/usr/bin/script') ? false : 'no script(1)',
}, () => {
  const command = `exec '${program('native')}' classify '${Array(12).fill(largest()).join("' '")}' >/dev/null`;
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    encoding: 'utf8',
    timeout: SECONDS * 1000,
    env: { ...process.env, CXRLENS_MODEL: MODEL },
  });
  assert.equal(status, 0);
  assert.match(stdout, /\r\u001b\[K\d+ of 12, \d+ s left/);
  assert.ok(stdout.endsWith('\r\u001b[K'));
});
