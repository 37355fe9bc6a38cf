/** What `cxrlens classify` says of lungs and opacities: findings, maps, pictures. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { png } from '../../png.js';
import { IMAGE, changed, classify, folder, good, openGate, parseCsv, pngSize, put, run, sha256, within } from './command.js';

const SAMPLE = 'web/samples/synthetic-covid-19-1.jpg',
  NORMAL = 'web/samples/synthetic-normal-1.jpg';
const SIDES = ['right', 'left', 'both'],
  ZONES = ['upper', 'middle', 'lower'];

/** A picture's pixels as Pillow reads them, [height][width][3]. @param {string} path */
function pixelsOf(path) {
  const script = 'import sys; from PIL import Image; sys.stdout.buffer.write(Image.open(sys.argv[1]).tobytes())';
  return spawnSync('/usr/bin/python3', ['-c', script, path], { maxBuffer: 1 << 28 }).stdout;
}

/**
 * Which cells of the opacity map are inside the lungs: the rule of src/README.md, once more.
 * @param {{ width: number, values: number[] }} lungs
 * @param {number} side of the opacity map
 */
function insideOf({ width, values }, side) {
  const lung = (/** @type {number} */ x, /** @type {number} */ y) => {
    if (x < 0 || y < 0 || x >= side || y >= side) return false;
    const at = 2 * y * width + 2 * x;
    return (values[at] + values[at + 1] + values[at + width] + values[at + width + 1]) / 4 >= 0.5;
  };
  return Array.from({ length: side * side }, (_, i) => {
    const x = i % side,
      y = Math.floor(i / side);
    return lung(x, y) || lung(x - 1, y) || lung(x + 1, y) || lung(x, y - 1) || lung(x, y + 1);
  });
}

test('--maps adds the values of both maps, which are those of the golden vectors', () => {
  const blocks = readFileSync('tests/golden/engine.txt', 'utf8')
    .split(/^image /m)
    .slice(1)
    .filter((block) => !block.startsWith('white.png')); // of one level: its canonical image is black
  const names = blocks.map((block) => block.slice(0, block.indexOf('\n')));
  const { results } = classify(['--maps', '--model', openGate(), ...names.map((name) => `tests/golden/images/${name}`)]);
  results.forEach(({ maps }, i) => {
    assert.deepEqual(Object.keys(maps), ['lungs', 'opacities']);
    for (const [name, { width, height, values }] of Object.entries(maps)) {
      assert.equal(values.length, width * height);
      const digest = createHash('sha256')
        .update(new Uint8Array(Float32Array.from(values).buffer))
        .digest('hex');
      assert.equal(digest, blocks[i].match(new RegExp(`^map ${name} (\\w+)$`, 'm'))?.[1], `${name} of ${names[i]}`);
    }
  });
  assert.equal(classify([IMAGE]).results[0].maps, undefined);
});

test('the opacity score and the findings come from the maps, inside the lungs', () => {
  const { results } = classify([
    '--maps',
    ...readdirSync('web/samples')
      .filter((name) => name.endsWith('.jpg'))
      .map((name) => `web/samples/${name}`),
  ]);
  let count = 0;
  for (const {
    maps: {
      lungs,
      opacities: { width: side, values },
    },
    opacity,
    findings,
    frame,
  } of results) {
    const inside = insideOf(lungs, side);
    assert.equal(opacity.score, Math.max(0, ...values.filter((/** @type {number} */ _, /** @type {number} */ i) => inside[i])));
    for (const { x, y, width, height, strength, side: lung, zone } of findings) {
      const [left, top, columns, rows] = [
        (x - frame.x) / frame.width,
        (y - frame.y) / frame.height,
        width / frame.width,
        height / frame.height,
      ].map((share) => Math.round(share * side));
      const cells = values.filter(
        (/** @type {number} */ _, /** @type {number} */ i) =>
          inside[i] && i % side >= left && i % side < left + columns && Math.floor(i / side) >= top && Math.floor(i / side) < top + rows,
      );
      assert.ok(cells.includes(strength) && SIDES.includes(lung) && ZONES.includes(zone));
      count += 1;
    }
    assert.deepEqual(
      findings,
      [...findings].sort((a, b) => b.strength - a.strength),
    );
  }
  assert.ok(count > results.length);
});

test('findings are named in the table and in CSV', () => {
  const [{ findings }] = classify([SAMPLE]).results;
  const words = findings.map((/** @type {any} */ { side, zone, strength }) => `${side} ${zone} ${strength.toFixed(2)}`);
  const [header, row] = parseCsv(run(['classify', '--format', 'csv', SAMPLE]).out);
  assert.equal(row[header.indexOf('findings')], words.join('; '));
  const lines = run(['classify', SAMPLE])
    .out.split('\n')
    .slice(2, 2 + findings.length);
  lines.forEach((line, i) => assert.match(line, new RegExp(`^  ${i + 1}: ${findings[i].side} ${findings[i].zone} zones? +\\d+\\.\\d%$`)));
});

test('a disease needs an opacity inside the lungs, and lungs', () => {
  const verdicts = (/** @type {string} */ name, /** @type {Record<string, number>} */ numbers) =>
    classify(['--model', changed(name, numbers), SAMPLE, NORMAL]).results.map(({ verdict, warnings }) => [
      verdict,
      ...warnings.filter((/** @type {string} */ each) => /lungs|evidence/.test(each)),
    ]);
  assert.deepEqual(verdicts('plain.cxrm', {}), [['covid-19'], ['normal']]);
  assert.deepEqual(verdicts('strict.cxrm', { 'evidence.threshold': 2 }), [['uncertain', 'no-evidence'], ['normal']]);
  assert.deepEqual(verdicts('lost.cxrm', { 'lungs.least': 2 }), [
    ['uncertain', 'lungs-not-found'],
    ['normal', 'lungs-not-found'],
  ]);
  assert.deepEqual(verdicts('wide.cxrm', { 'lungs.threshold': 0 }), [
    ['covid-19', 'lungs-cut'],
    ['normal', 'lungs-cut'],
  ]);
});

test('pictures are as large as their images, of what passes the gate', () => {
  const maps = join(folder, 'some/where');
  for (const name of ['one/image.png', 'two/image.png']) put(name, name.startsWith('one') ? good : png(500, 300));
  put('wide.png', png(3000, 1500));
  const paths = [join(folder, 'one'), join(folder, 'two'), join(folder, 'wide.png'), IMAGE];
  const refused = classify(['--heatmap', maps, ...paths]).results;
  const { code, results } = classify(['--model', openGate(), '--heatmap', `${maps}/`, ...paths], { build: 'asan' });
  assert.deepEqual([code, results.length], [0, 4]);
  assert.deepEqual([refused[3].gate.accepted, refused[3].picture], [false, undefined]);
  for (const { picture, image, file, sha256: digest, maps } of results) {
    assert.deepEqual(pngSize(picture), [image.width, image.height]);
    assert.equal(basename(picture), `${basename(file, '.png')}-${digest.slice(0, 12)}.png`);
    assert.equal(maps, undefined);
  }
});

test('a picture is the redder the stronger the opacity', () => {
  const {
    results: [{ image, frame, maps, picture }],
  } = classify(['--maps', '--model', changed('bare.cxrm', { 'lungs.threshold': 0 }), '--heatmap', join(folder, 'red'), SAMPLE]);
  const { width, height, values } = maps.opacities,
    rgb = pixelsOf(picture);
  assert.equal(rgb.length, image.width * image.height * 3);
  const red = values.map((/** @type {number} */ _, /** @type {number} */ i) => {
    const x = Math.floor((frame.x + (((i % width) + 0.5) * frame.width) / width) * image.width);
    const y = Math.floor((frame.y + ((Math.floor(i / width) + 0.5) * frame.height) / height) * image.height);
    return rgb[3 * (y * image.width + x)] - rgb[3 * (y * image.width + x) + 2];
  });
  values.forEach((/** @type {number} */ a, /** @type {number} */ i) =>
    values.forEach((/** @type {number} */ b, /** @type {number} */ j) => {
      assert.ok(a - b <= 0.08 || red[i] > red[j], `${a} at ${i}: ${red[i]}, ${b} at ${j}: ${red[j]}`);
    }),
  );
  assert.ok(Math.max(...values) - Math.min(...values) > 0.3);
});

test('what lies outside the lungs is not red', () => {
  const [all, none] = [0, 2].map((threshold) => {
    const model = changed(`lungs-${threshold}.cxrm`, { 'lungs.threshold': threshold });
    const options = ['--model', model, '--heatmap', join(folder, `lungs-${threshold}`)];
    return pixelsOf(classify([...options, SAMPLE]).results[0].picture);
  });
  const red = (/** @type {Buffer} */ rgb) => rgb.filter((_, i) => i % 3 === 0 && rgb[i] > rgb[i + 1] + 8).length;
  assert.ok(red(all) > 1000);
  assert.equal(red(none), 0);
});

test('the outline runs where the map of the lungs crosses its threshold, and nowhere else', () => {
  const drawn = (/** @type {number} */ threshold) => {
    const model = changed(`outline-${threshold}.cxrm`, { 'lungs.threshold': threshold });
    const {
      results: [
        {
          image,
          frame,
          maps: { lungs },
          picture,
        },
      ],
    } = classify(['--maps', '--model', model, '--heatmap', join(folder, `outline-${threshold}`), NORMAL]);
    const rgb = pixelsOf(picture),
      blue = [];
    for (let i = 0; i < image.width * image.height; i++) {
      if (rgb[3 * i] !== 70 || rgb[3 * i + 1] !== 150 || rgb[3 * i + 2] !== 255) continue;
      const cell = (/** @type {number} */ share) => share * lungs.width - 0.5;
      blue.push([
        cell((((i % image.width) + 0.5) / image.width - frame.x) / frame.width),
        cell(((Math.floor(i / image.width) + 0.5) / image.height - frame.y) / frame.height),
      ]);
    }
    return { blue, lungs };
  };
  const { blue, lungs } = drawn(0.5);
  assert.ok(blue.length > 200);
  for (const [x, y] of blue) {
    // among the cells around it, some are lung and some are not
    const around = [-1, 0, 1, 2]
      .flatMap((dy) => [-1, 0, 1, 2].map((dx) => [Math.floor(x) + dx, Math.floor(y) + dy]))
      .filter(([u, v]) => u >= 0 && v >= 0 && u < lungs.width && v < lungs.height)
      .map(([u, v]) => lungs.values[v * lungs.width + u] >= 0.5);
    assert.ok(around.includes(true) && around.includes(false), `at ${x}, ${y}`);
  }
  assert.deepEqual([drawn(0).blue, drawn(2).blue], [[], []]);
});

test('pictures are not read as images where their folder lies among them', () => {
  put('study/image.png', good);
  const study = join(folder, 'study'),
    maps = join(study, 'maps');
  for (const path of [maps, maps, `${study}/../study/maps/`]) {
    const { results } = classify(['--model', openGate(), '--heatmap', path, study]);
    assert.deepEqual(
      results.map(({ file }) => basename(file)),
      ['image.png'],
    );
  }
  assert.deepEqual(readdirSync(maps), [`image-${sha256(join(study, 'image.png')).slice(0, 12)}.png`], 'and nothing else is left there');
  const both = run(['classify', '--heatmap', study, study]);
  assert.deepEqual([both.code, both.out], [2, '']);
  assert.match(both.err, /is the folder for heat maps/);
});

test('however little memory there is, a heat map is whole or is said to be missing', () => {
  const maps = join(folder, 'scarce'),
    image = put('wide.png', png(1000, 1000));
  mkdirSync(maps);
  const whole = readFileSync(classify(['--model', openGate(), '--heatmap', join(folder, 'ample'), image]).results[0].picture);
  let failed = 0,
    drawn = 0;
  for (let limit = 11000; limit < 26000; limit += 250) {
    const { code, err, out } = run(['classify', '--format', 'json', '--model', openGate(), '--heatmap', maps, image], {
      wrap: within(limit),
    });
    if (code === 127) continue; // not enough for the program itself
    const result = out ? JSON.parse(out) : {};
    if (code === 1) assert.match(err + out, /cannot write the heat map|not enough memory/);
    if (code === 1 && /heat map/.test(err)) failed += 1;
    if (result.picture) drawn += 1;
    if (code === 0) {
      assert.deepEqual(readFileSync(result.picture), whole);
      rmSync(result.picture);
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
    image = put('noisy.png', png(600, 600));
  const [{ picture }] = classify(['--model', openGate(), '--heatmap', maps, image]).results;
  const before = readFileSync(picture);
  assert.ok(before.length > 8192);
  // A limit for files stands for a disk's end; the result goes through a pipe, which has none.
  const { code } = run(['classify', '--model', openGate(), '--heatmap', maps, image], {
    wrap: ['sh', '-c', 'ulimit -f 8; trap "" XFSZ; exec "$@"', 'sh'],
  });
  assert.equal(code, 1);
  assert.deepEqual(readFileSync(picture), before);
  assert.deepEqual(readdirSync(maps), [basename(picture)]);
});

test('a heat map leaves alone what another process with its number is writing', () => {
  const maps = join(folder, 'together');
  mkdirSync(maps);
  const {
    code,
    results: [{ picture }],
  } = classify(['--model', openGate(), '--heatmap', maps, put('alone.png', good)], {
    wrap: ['sh', '-c', `echo other > '${maps}'/.cxrlens-$$-0; exec "$@"`, 'sh'],
  });
  assert.equal(code, 0);
  assert.deepEqual(pngSize(picture), [192, 192]);
  const [other, ...rest] = readdirSync(maps).sort();
  assert.deepEqual([readFileSync(join(maps, other), 'utf8'), rest], ['other\n', [basename(picture)]]);
});

test('a name as long as they come gets a heat map', () => {
  const image = put(`${'한'.repeat(80)}.png`, good);
  const { code, results } = classify(['--model', openGate(), '--heatmap', join(folder, 'long'), image]);
  assert.equal(code, 0);
  assert.equal(basename(results[0].picture), `${'한'.repeat(79)}-${results[0].sha256.slice(0, 12)}.png`);
  assert.deepEqual(pngSize(results[0].picture), [192, 192]);
});

test('a map that is no number leaves the image as it is', () => {
  const model = readFileSync(changed('wild.cxrm', { 'gate.threshold': 0, 'lungs.threshold': 2 }));
  const [tensors, operators, data] = [1, 2, 3].map((i) => Number(model.readBigUInt64LE(64 + 24 * i + 8)));
  const head = operators + Number(model.readBigUInt64LE(64 + 24 * 2 + 16)) - 64,
    weights = data + model.readUInt32LE(head + 48);
  const tensor = tensors + 24 * model.readUInt32LE(head + 4); // what the opacity map is made of
  model.writeFloatLE(1e20, tensor + 12); // its scale: with weights of either sign, few of them above 0, sums of infinities
  for (let c = 0; c < model.readUInt32LE(tensor + 8); c++) model.writeFloatLE(c % 8 ? -1e29 : 1e29, weights + 4 * c);
  createHash('sha256').update(model.subarray(64)).digest().copy(model, 24);
  const {
    results: [result],
  } = classify(['--maps', '--model', put('wild.cxrm', model), '--heatmap', join(folder, 'wild'), IMAGE]);
  const { values } = result.maps.opacities;
  assert.ok(
    values.includes(null) && values.every((/** @type {number|null} */ value) => value === null || value === 0),
    'no number where there is an input',
  );
  assert.deepEqual(result.findings, []);
  const [plain, picture] = classify([IMAGE, result.picture]).results;
  assert.deepEqual(picture.classes, plain.classes);
});

test('a heat map that cannot be written is told with a harmless name', () => {
  const maps = join(folder, 'full');
  const image = put('esc\u001b[2J.png', good);
  mkdirSync(join(maps, `esc\u001b[2J-${sha256(image).slice(0, 12)}.png`), { recursive: true });
  const { code, err } = classify(['--model', openGate(), '--heatmap', maps, image]);
  assert.equal(code, 1);
  assert.match(err, /^cxrlens: cannot write the heat map of .*esc\?\[2J\.png: .*\n$/);
});

test('a folder for heat maps that cannot be made stops the run', () => {
  const file = put('in-the-way', 'x');
  for (const path of [file, join(file, 'below')]) assert.equal(run(['classify', '--heatmap', path, IMAGE]).code, 2);
});
