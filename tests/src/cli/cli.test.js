/** The command `cxrlens` as users meet it: options, formats, folders, exit codes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { test } from 'node:test';
import { unprivileged } from '../../unprivileged.js';
import {
  CLASSES,
  IMAGE,
  GOLDEN,
  MODEL,
  SECONDS,
  changed,
  classify,
  folder,
  good,
  largest,
  openGate,
  parseCsv,
  program,
  put,
  run,
  sha256,
  withoutTimings,
} from './command.js';

const SHARED = '../shared/data/crd';

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
    ['classify', '--nonsense', IMAGE],
    ['classify', '--format', 'xml', IMAGE],
    ['classify', '--runs', '3', IMAGE],
    ['bench', '--runs', '0'],
    ['bench', '--runs', '3x'],
    ['info', IMAGE],
    ['classify', '--model'],
    ['bench', IMAGE, IMAGE],
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
  for (const args of [[], [IMAGE]]) {
    const { code, out } = run(['bench', '--runs', '2', ...args]);
    assert.equal(code, 0);
    for (const stage of ['decode', 'preprocess', 'network', 'file to result']) {
      assert.match(out, new RegExp(`^${stage} +\\d+\\.\\d+ ms`, 'm'));
    }
    assert.match(out, /GMAC\/s/);
  }
});

// ---- results ------------------------------------------------------------------------------------------

test('a result has the shape of cxrlens.result/2', () => {
  const { code, results, err } = classify([IMAGE]);
  assert.deepEqual([code, err, results.length], [0, '', 1]);
  const [result] = results;
  assert.deepEqual(Object.keys(result), [
    'schema',
    'file',
    'sha256',
    'image',
    'frame',
    'model',
    'verdict',
    'classes',
    'gate',
    'opacity',
    'findings',
    'warnings',
    'timings',
  ]);
  assert.equal(result.schema, 'cxrlens.result/2');
  assert.equal(result.file, IMAGE);
  assert.equal(result.sha256, sha256(IMAGE));
  assert.deepEqual(result.image, { width: 192, height: 192, format: 'png' });
  assert.equal(result.model.sha256, sha256(MODEL));
  assert.deepEqual(
    result.classes.map((/** @type {any} */ each) => each.id),
    CLASSES,
  );
  const sum = result.classes.reduce((/** @type {number} */ all, /** @type {any} */ each) => all + each.probability, 0);
  assert.ok(Math.abs(sum - 1) < 1e-5);
  assert.ok([...CLASSES, 'uncertain', 'not-a-chest-x-ray'].includes(result.verdict));
  assert.equal(result.gate.accepted, result.gate.score >= result.gate.threshold);
  for (const time of Object.values(result.timings)) assert.ok(time >= 0);
});

for (const build of ['scalar', 'relaxed', 'clang', 'asan']) {
  test(`the ${build} build gives the same bits as the native one`, () => {
    const plain = (/** @type {any} */ result) => JSON.stringify(withoutTimings(result)).replace(/"[^"]*\/maps-\w+\//g, '"');
    // All with one pass of the network each, which plain C takes its time for; one with the passes that try other orientations.
    for (const args of [['--model', openGate(), ...GOLDEN], [IMAGE]]) {
      const want = classify(['--maps', '--heatmap', join(folder, 'maps-native'), ...args]);
      const got = classify(['--maps', '--heatmap', join(folder, `maps-${build}`), ...args], { build });
      assert.deepEqual([want.code, got.code, got.err], [0, 0, '']);
      assert.equal(got.results.length, args.length > 1 ? GOLDEN.length : 1);
      got.results.forEach((result, i) => assert.equal(plain(result), plain(want.results[i])));
    }
  });
}

test('real images are read for what they are', { skip: existsSync(SHARED) ? false : 'no ../shared/data/crd' }, () => {
  const [header, ...lines] = readFileSync(`${SHARED}/manifest.csv`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(','));
  const column = (/** @type {string} */ name) => header.indexOf(name);
  const names = { Normal: 'normal', COVID: 'covid-19', Viral_Pneumonia: 'viral-pneumonia', Lung_Opacity: 'lung-opacity' };
  const images = Object.entries(names).flatMap(([label, id]) =>
    lines
      .filter((line) => line[column('split')] === 'test' && line[column('file')].split('/').includes(label))
      .slice(0, 10)
      .map((line) => ({ id, path: resolve(SHARED, '..', line[column('file')]) })),
  );
  const existing = images.filter(({ path }) => existsSync(path));
  assert.equal(existing.length, 40);
  const { code, results } = classify(existing.map(({ path }) => path));
  assert.equal(code, 0);
  const likeliest = (/** @type {any} */ { classes }) =>
    classes.reduce((/** @type {any} */ a, /** @type {any} */ b) => (b.probability > a.probability ? b : a)).id;
  const right = results.filter((result, i) => result.gate.accepted && likeliest(result) === existing[i].id).length;
  assert.ok(right >= 32, `${right} of 40`);
});

test('an image that lies wrong is turned upright, and said to have been', () => {
  const image = readFileSync('web/samples/synthetic-covid-19-1.jpg');
  const lying = [3, 6, 8].map((orientation) => {
    const exif = Buffer.from(
      `ffe1 0022 457869660000 4d4d002a00000008 0001 0112 0003 00000001 000${orientation}0000 00000000`.replaceAll(' ', ''),
      'hex',
    );
    return put(`lying/${orientation}.jpg`, Buffer.concat([image.subarray(0, 2), exif, image.subarray(2)]));
  });
  const { results } = classify(lying);
  assert.deepEqual(
    results.map(({ verdict, warnings }) => [verdict, warnings.includes('rotated')]),
    lying.map(() => ['covid-19', true]),
  );
});

// ---- inputs -------------------------------------------------------------------------------------------

test('folders are walked in order, without hidden files, and other files are skipped by name', () => {
  const root = join(folder, 'images');
  for (const name of ['b.png', 'a.png', 'c/z.png', 'c/a/deep.png', 'B.png', '.hidden.png', '.git/x.png']) put(`images/${name}`, good);
  put('images/notes.txt', 'text');
  put('images/empty', '');
  truncateSync(put('images/large', ''), 2 ** 28 + 1);
  put('images/broken.PNG', 'text');
  symlinkSync('../images', join(root, 'circle'));
  symlinkSync('b.png', join(root, 'link.png'));
  symlinkSync('nowhere', join(root, 'loose.png'));
  assert.equal(spawnSync('mkfifo', [join(root, 'pipe.png')]).status, 0);
  const { code, results, err } = classify([root]);
  assert.equal(code, 1);
  assert.deepEqual(
    results.map(({ file, error }) => [file.slice(root.length + 1), error?.code]),
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
  const { code, results, err } = classify([join(folder, 'none')]);
  assert.deepEqual([code, results.length], [0, 0]);
  assert.match(err, /no images/);
  mkdirSync(join(folder, 'locked'));
  chmodSync(join(folder, 'locked'), 0);
  assert.equal(classify([join(folder, 'locked'), IMAGE], { wrap: unprivileged }).results[0].error.code, 'file-unreadable');
});

test('several processes share images and an output, as src/README.md shows', () => {
  const images = Array.from({ length: 40 }, (_, i) => put(`shared/${i}.png`, good));
  const line = `find '${join(folder, 'shared')}' -name '*.png' -print0 | xargs -0 -n 4 -P 4 '${program('native')}' classify --format json`;
  const { status, stdout } = spawnSync('sh', ['-c', line], { encoding: 'utf8', env: { ...process.env, CXRLENS_MODEL: MODEL } });
  assert.equal(status, 0);
  const files = stdout
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each).file);
  assert.deepEqual(files.sort(), images.sort());
});

test('a result is one write, long names and all', { skip: spawnSync('strace', ['true']).status === 0 ? false : 'no strace(1)' }, () => {
  const log = join(folder, 'writes');
  const image = `${'./'.repeat(2000)}${basename(IMAGE)}`;
  const { results } = classify([image, image], { cwd: resolve(IMAGE, '..'), wrap: ['strace', '-o', log, '-e', 'trace=write'] });
  assert.deepEqual(
    results.map(({ file }) => file),
    [image, image],
  );
  assert.equal(readFileSync(log, 'utf8').match(/^write\(1,/gm)?.length, 2);
});

test('standard input and named pipes are read', () => {
  const { results } = classify(['-'], { input: good });
  assert.deepEqual([results[0].file, results[0].sha256], ['-', sha256(IMAGE)]);
  assert.equal(classify(['-'], { input: Buffer.alloc(0) }).results[0].error.code, 'image-empty');
  const pipe = join(folder, 'pipe');
  const script = `mkfifo '${pipe}' && { cat '${IMAGE}' >'${pipe}' & } && exec "$@"`;
  assert.equal(classify([pipe], { wrap: ['sh', '-c', script, 'sh'] }).results[0].sha256, sha256(IMAGE));
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

  const { results } = classify(['.'], { cwd });
  assert.equal(results.length, all);
  for (const name of names)
    assert.ok(
      results.some(({ file }) => file === `./${name}`),
      name,
    );
  assert.ok(results.some(({ file }) => file.startsWith('./b\ufffd\ufffd\ufffd')));

  const { out } = run(['classify', '--format', 'csv', '--', ...readdirSync(cwd).filter((name) => !name.includes('\ufffd'))], { cwd });
  const rows = parseCsv(out);
  assert.equal(rows.length, all);
  for (const row of rows) assert.equal(row.length, rows[0].length);
  for (const row of rows) for (const cell of row) assert.ok(!/^[=+@\t\r]|^-(?![\d.])/.test(cell), `runs as a formula: ${cell}`);
  const error = rows.find((row) => row[0] === 'zero.png');
  assert.equal(error?.[rows[0].indexOf('error_code')], 'image-empty');
  const named = rows.find((row) => row[0] === "'=cmd|calc.png");
  assert.equal(named?.[rows[0].indexOf('sha256')], sha256(IMAGE));
  assert.ok(CLASSES.every((id) => rows[0].includes(`p_${id}`)));

  const table = run(['classify', '.'], { cwd }).out;
  // eslint-disable-next-line no-control-regex
  assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(table));
  assert.match(table, /For research and education; not a medical device\.\n$/);
  assert.equal(table.trim().split('\n').length, 1 + all + 3);
});

test('nine digits bring the floats back, in JSON and CSV alike', () => {
  const [result] = classify([IMAGE]).results;
  const [header, row] = parseCsv(run(['classify', '--format', 'csv', IMAGE]).out);
  for (const { id, logit, probability } of result.classes) {
    assert.equal(Number(row[header.indexOf(`logit_${id}`)]), logit);
    assert.equal(Number(row[header.indexOf(`p_${id}`)]), probability);
    assert.ok(Math.abs(Math.fround(logit) - logit) <= Math.abs(logit) * 1e-8);
  }
  const of = (/** @type {string} */ name) => Number(row[header.indexOf(name)]);
  assert.deepEqual({ score: of('opacity'), threshold: of('opacity_threshold') }, result.opacity);
  assert.deepEqual(
    ['x', 'y', 'width', 'height'].map((name) => of(`frame_${name}`)),
    Object.values(result.frame),
  );
});

// ---- output -------------------------------------------------------------------------------------------

test('the table says 100% or 0% only where it is exactly that', () => {
  const images = ['tests/golden/images', 'web/samples'].flatMap((folder) =>
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
    const options = ['--model', changed('sure.cxrm', { 'gate.threshold': 0, 'calibration.scale': scale }), ...images];
    const { results } = classify(options);
    const { out } = run(['classify', '--format', 'text', ...options]);
    const shares = results.map((/** @type {any} */ { classes }) => classes.map((/** @type {any} */ { probability }) => probability));
    assert.deepEqual(
      out
        .split('\n')
        .filter((line) => !/^ {2}\d+: /.test(line))
        .slice(1, 1 + results.length)
        .map((line) => line.match(/[\d.]+(?=% )/g)),
      results.map(({ gate }, i) => [...shares[i].map((/** @type {number} */ share) => shown(share, 1)), shown(gate.score, 3)]),
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

test('results that cannot be written are an error', () => {
  const wrap = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
  for (const format of ['json', 'csv', 'text']) {
    const { code, err } = run(['classify', '--format', format, IMAGE], { wrap });
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
