// cases.test.js - faults from public bug reports, the files of ../shared/cases and what else is of their kind: both
// byte orders, 8 and 16 bits, MONOCHROME1, other frames. The right value is in each test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytes,
  deep,
  height,
  openDicom,
  ramp,
  read,
  refusal,
  shades as shadesOf,
  shallow,
  skip,
  toGray8,
  WAYS,
  width,
  windowed,
} from './module.js';
import { encode } from './openjph.js';
import { dicomFile, elementBytes, encapsulated, number, radiograph, rle } from './write.js';

const reversed = bytes.slice().reverse();
/** @typedef {import('./write.js').FileOptions} FileOptions */
const whole = windowed(2048, 4096);

/** @param {Uint8Array} file @param {number} [frame] */
const shades = async (file, frame) => [...(await shadesOf(file, frame))];

/** Like deepEqual, but for one gray level of rounding. @param {number[]} actual @param {number[]} expected @param {string} [name] */
function close(actual, expected, name) {
  assert.equal(actual.length, expected.length, name);
  const worst = actual.reduce((most, shade, i) => Math.max(most, Math.abs(shade - expected[i])), 0);
  assert.ok(worst <= 1, `${name}: ${worst} levels`);
}

// ---- Windows and lookup tables --------------------------------------------------------------

test('a VOI LUT of 12 or 14 bits declared 16 shows what it shows declared rightly', { skip }, async () => {
  const expected = await shades(read('voi-lut-narrow-reference'));
  assert.ok(Math.max(...expected) > 200);
  for (const name of ['12of16', '14of16']) assert.deepEqual(await shades(read(`voi-lut-narrow-${name}`)), expected, name);
});

/** @param {number} bits that the entries fill @param {number} declared @param {number} [to] largest entry */
const lut = (bits, declared, to = 2 ** bits - 1) => ({
  '00283002': ['US', [4096, 0, declared]],
  '00283006': ['US', Array.from({ length: 4096 }, (_, i) => Math.round((i / 4095) * to))],
});

test('the entries of a LUT tell their bits, whatever the descriptor says', async () => {
  for (const photometric of ['MONOCHROME1', 'MONOCHROME2'])
    for (const [name, file] of WAYS)
      for (const [bits, declared] of [
        [8, 16],
        [10, 16],
        [12, 16],
        [15, 16],
        [16, 12],
        [16, 8],
        [12, 8],
        [10, 10],
      ]) {
        const expected = await shades(deep(whole, { photometric }));
        const label = `${bits} of ${declared}, ${photometric}, ${name}`;
        close(await shades(deep({ '00283010': ['SQ', [lut(bits, declared)]] }, { photometric }, file)), expected, label);
        close(await shades(deep({ '00283000': ['SQ', [lut(bits, declared)]] }, { photometric }, file)), expected, `modality, ${label}`);
        const group = ['SQ', [{ '00289132': ['SQ', [{ '00283010': ['SQ', [lut(bits, declared)]] }]] }]];
        close(await shades(deep({ 52009230: group }, { photometric }, file)), expected, `functional group, ${label}`);
      }
});

test('a LUT that never reaches white stays as dark as it was drawn', async () => {
  const half = await shades(deep({ '00283010': ['SQ', [lut(16, 16, 33000)]] }));
  assert.equal(Math.max(...half), 128);
});

test('a LUT shorter than it says leaves the image to the window beside it', { skip }, async () => {
  const { frame, windowsOf } = await openDicom(read('voi-lut-short-with-window'));
  assert.deepEqual(
    windowsOf().map((/** @type {any} */ { window }) => window),
    [{ shape: 'linear', centre: 2048, width: 4096 }],
  );
  const gray = toGray8(await frame(0));
  assert.ok(Math.max(...gray) > 200 && Math.min(...gray) < 30);
});

test('other damage of a LUT, too, leaves the image to the window beside it, in any frame', async () => {
  const expected = await shades(deep(whole));
  const damaged = [
    { '00283002': ['US', [4096, 0, 12]], '00283006': ['US', [1, 2, 3]] },
    { '00283002': ['US', [3, 0, 0]], '00283006': ['US', [1, 2, 3]] },
    { '00283006': ['US', [1, 2, 3]] },
  ];
  for (const [name, file] of WAYS)
    for (const item of damaged) {
      assert.deepEqual(await shades(deep({ ...whole, '00283010': ['SQ', [item]] }, {}, file)), expected, name);
      assert.equal((await refusal(deep({ '00283010': ['SQ', [item]] }, {}, file)))?.code, 'dicom-corrupt', 'without a window');
    }
  const group = { 52009229: ['SQ', [{ '00289132': ['SQ', [{ ...whole, '00283010': ['SQ', [damaged[0]]] }]] }]] };
  assert.deepEqual(await shades(deep(group)), expected);
});

test('a dead pixel or a marker does not darken an image without a window', { skip }, async () => {
  const file = read('no-window-hot-pixel');
  const cool = Buffer.from(file);
  const at = cool.indexOf(Buffer.from('e07f1000', 'hex')) + 12;
  let hot = 0;
  for (let i = at; i + 1 < cool.length; i += 2)
    if (cool.readUInt16LE(i) === 65535) hot += cool.writeUInt16LE(cool.readUInt16LE(i - 2), i) && 1;
  assert.ok(hot > 0);
  const [image, without] = [await shades(file), await shades(cool)];
  close(
    image.filter((_, i) => image[i] !== 255),
    without.filter((_, i) => image[i] !== 255),
  );
  assert.ok(image.filter((shade) => shade > 128).length > image.length / 5);
});

test('percentiles: of either sign, inverted, rescaled, padded, of another frame', async () => {
  const hot = ramp.map((v, i) => (i === 5 ? 65535 : i === 9 ? 0 : 1000 + v));
  const shown = Array.from(ramp, (v) => Math.min(Math.max(Math.round((255 * (v - 0.005 * 4096)) / (0.99 * 4096)), 0), 255)).slice(10);
  for (const [name, file] of WAYS) {
    const cases = /** @type {[string, Record<string, any>, object, boolean][]} */ ([
      ['unsigned', {}, {}, false],
      ['inverted', {}, { photometric: 'MONOCHROME1' }, true],
      ['signed', {}, { pixels: hot.map((v) => v - 32768), signed: true }, false],
      ['rescaled down', { '00281053': ['DS', '-2'], '00281052': ['DS', '7'] }, {}, true],
      ['padded', { '00280120': ['US', 65535] }, {}, false],
    ]);
    for (const [kind, more, image, negative] of cases) {
      const gray = (await shades(deep(more, { bits: 16, pixels: hot, ...image }, file))).slice(10);
      const worst = gray.reduce((most, shade, i) => Math.max(most, Math.abs((negative ? 255 - shade : shade) - shown[i])), 0);
      assert.ok(worst <= 2, `${kind}, ${name}: ${worst} levels`);
    }
  }
  const two = new Uint16Array(2 * ramp.length);
  two.set(hot, ramp.length);
  const gray = (await shades(deep({ '00280008': ['IS', '2'] }, { bits: 16, pixels: two }), 1)).slice(10);
  assert.ok(gray.every((shade, i) => Math.abs(shade - shown[i]) <= 2));
  const sparse = ramp.map((_, i) => (i < 3 ? 900 : 7));
  assert.deepEqual((await shades(deep({}, { pixels: sparse }))).slice(0, 4), [255, 255, 255, 0], 'nearly all of it one value');
});

// ---- Compressed pixels ----------------------------------------------------------------------

/** @param {number[]} values */
const least = (values) => values.reduce((a, b) => Math.min(a, b));

test('the sign of JPEG 2000 samples is their own highest bit', { skip }, async () => {
  const gray = await shades(read('j2k-unsigned13-in-signed16'));
  assert.deepEqual(gray, await shades(read('j2k-unsigned13-in-signed16-reference')));
  assert.ok(least(gray) < 50);
});

test('so it is in High-Throughput JPEG 2000, of any number of bits', async () => {
  const tail = (/** @type {Uint8Array|Uint16Array} */ pixels, /** @type {number} */ bits) =>
    encapsulated([encode({ width, height, pixels, bits })]);
  for (const photometric of ['MONOCHROME1', 'MONOCHROME2'])
    for (const bits of [7, 9, 12, 13, 15]) {
      const signed = Array.from(ramp, (v) => (v % 2 ** bits) - 2 ** (bits - 1));
      const stored = bits < 8 ? 8 : 16;
      const samples = (/** @type {number[]} */ values) => (stored === 8 ? Uint8Array.from(values) : Uint16Array.from(values));
      const pixels = samples(signed.map((v) => v & (2 ** bits - 1)));
      const more = windowed(0, 2 ** bits);
      const picture = { bits: stored, signed: true, photometric };
      const expected = await shades(deep(more, { ...picture, pixels: samples(signed) }));
      const file = deep(
        { ...more, '7fe00010': null },
        { ...picture, pixels },
        { syntax: '1.2.840.10008.1.2.4.201', tail: tail(pixels, bits) },
      );
      assert.deepEqual(await shades(file), expected, `${bits} bits, ${photometric}`);
      const plain = deep(
        { ...more, '7fe00010': null },
        { ...picture, signed: false, pixels },
        { syntax: '1.2.840.10008.1.2.4.201', tail: tail(pixels, bits) },
      );
      assert.equal((await (await openDicom(plain)).stored(0)).data[9], pixels[9], 'not where the file says unsigned');
    }
});

const RLE = '1.2.840.10008.1.2.5';
/** @param {Uint8Array} tail @param {Record<string, any>} [more] @param {string} [syntax] */
const compressed = (tail, more = {}, syntax = RLE) => shallow({ '7fe00010': null, ...more }, {}, { syntax, tail });
const NONE = Buffer.alloc(0);

test('fragments without an end are read', { skip }, async () => {
  const file = read('no-sequence-delimiter');
  const closed = Buffer.concat([file, Buffer.from('feffdde000000000', 'hex')]);
  const expected = await shades(closed);
  assert.deepEqual(await shades(file), expected);
  for (const end of [Buffer.alloc(8), Buffer.alloc(2), Buffer.alloc(300)])
    assert.deepEqual(await shades(Buffer.concat([file, end])), expected, `${end.length} zeros`);
});

test('so they are in every compression, in all their frames, and before other elements', async () => {
  const one = encode({ width, height, pixels: bytes, bits: 8 });
  const padding = elementBytes('fffcfffc', ['OB', Buffer.alloc(6)]);
  for (const [syntax, fragments] of /** @type {[string, Uint8Array[]][]} */ ([
    [RLE, [rle(bytes)]],
    ['1.2.840.10008.1.2.4.201', [one]],
  ]))
    for (const end of [NONE, Buffer.alloc(8), padding])
      assert.deepEqual(await shades(compressed(encapsulated(fragments, NONE, end), {}, syntax)), [...bytes], syntax);
  const two = compressed(encapsulated([rle(bytes), rle(reversed)], NONE, NONE), { '00280008': ['IS', '2'] });
  assert.deepEqual(await shades(two, 1), [...reversed]);
  assert.equal((await refusal(compressed(encapsulated([rle(bytes)], NONE, Buffer.from('no end')))))?.code, 'dicom-corrupt');
});

test('a last fragment two bytes too long is read, one cut off is not', async () => {
  const end = Buffer.from('feffdde000000000', 'hex');
  const syntax = '1.2.840.10008.1.2.4.201';
  const stream = encode({ width, height, pixels: bytes, bits: 8 });
  for (const [kind, data] of /** @type {[string, Uint8Array][]} */ ([
    [RLE, rle(bytes)],
    [syntax, stream],
  ])) {
    const long = (/** @type {number} */ more, /** @type {Uint8Array} */ after) => {
      const tail = encapsulated([data], NONE, after);
      tail.writeUInt32LE(data.length + more, tail.length - after.length - data.length - 4);
      return compressed(tail, {}, kind);
    };
    for (const after of [end, NONE]) assert.deepEqual(await shades(long(2, after)), [...bytes], `${kind}, ${after.length}`);
    assert.equal((await refusal(long(40, NONE)))?.code, 'dicom-truncated', kind);
  }
  for (const share of [0.5, 0.9]) {
    const half = stream.subarray(0, 2 * Math.floor((stream.length * share) / 2));
    assert.equal((await refusal(compressed(encapsulated([half], NONE, NONE), {}, syntax)))?.code, 'dicom-truncated');
  }
});

test('a Basic Offset Table that points at nothing gives way to the first markers', { skip }, async () => {
  const file = read('offset-table-relative-to-element');
  const gray = [await shades(file, 0), await shades(file, 1)];
  const right = Buffer.from(file);
  const table = right.indexOf(Buffer.from('e07f1000', 'hex')) + 20;
  right.writeUInt32LE(0, table);
  right.writeUInt32LE(2 * (4984 + 8), table + 4);
  assert.deepEqual(gray, [await shades(right, 0), await shades(right, 1)]);
  assert.notDeepEqual(gray[0], gray[1]);
  for (const wrong of [
    [1, 2],
    [0, 77],
    [0, 0],
    [9984, 0],
    [0, 0xffffffff],
  ]) {
    wrong.forEach((offset, i) => right.writeUInt32LE(offset, table + 4 * i));
    assert.deepEqual([await shades(right, 0), await shades(right, 1)], gray, wrong.join());
  }
});

test('offsets that count from elsewhere keep their distances, where no marker tells', async () => {
  const [one, two] = [rle(bytes), rle(reversed)];
  const split = [one.subarray(0, 200), one.subarray(200), two];
  for (const base of [0, 16, 4711]) {
    const table = Buffer.concat([number(base, 4), number(base + one.length + 16, 4)]);
    assert.deepEqual(await shades(compressed(encapsulated(split, table), { '00280008': ['IS', '2'] }), 1), [...reversed], `${base}`);
  }
});

// ---- Data sets ------------------------------------------------------------------------------

test('an item closed by the delimiter of its sequence', { skip }, async () => {
  const gray = await shades(read('item-closed-by-sequence-delimiter'));
  assert.equal(gray.length, 192 * 192);
  assert.ok(Math.max(...gray) > 150);
});

test('so it is in sequences that are read, one in another, and in all encodings', async () => {
  for (const [name, { implicit, big, ...file }] of WAYS) {
    const tag = (/** @type {number} */ value) => Buffer.concat([number(Math.floor(value / 65536), 2, big), number(value % 65536, 2, big)]);
    const open = (/** @type {number} */ value) =>
      Buffer.concat([tag(value), implicit ? NONE : Buffer.from('SQ\0\0'), number(0xffffffff, 4, big)]);
    const [item, itemEnd, end] = [
      [0xfffee000, 0xffffffff],
      [0xfffee00d, 0],
      [0xfffee0dd, 0],
    ].map(([value, length]) => Buffer.concat([tag(value), number(length, 4, big)]));
    const element = (/** @type {string} */ key, /** @type {any} */ value) => elementBytes(key, value, { implicit, big });
    const inner = [element('00281050', ['DS', '1000']), element('00281051', ['DS', '500'])];
    const groups = (/** @type {Buffer[]} */ ...closing) =>
      Buffer.concat([open(0x52009229), item, open(0x00289132), item, ...inner, ...closing]);
    const unwanted = Buffer.concat([
      open(0x00081140),
      item,
      element('00081150', ['UI', '1.2']),
      open(0x00081199),
      item,
      element('00081155', ['UI', '1.3']),
      end,
      end,
    ]);
    const { '7fe00010': pixels, ...elements } = radiograph({ width, height, bits: 12, pixels: ramp });
    const early = Object.fromEntries(Object.entries(elements).filter(([key]) => key < '00081140'));
    const late = Object.fromEntries(Object.entries(elements).filter(([key]) => key > '00081140'));
    const expected = await shades(deep(windowed(1000, 500)));
    for (const closing of [
      [itemEnd, end, itemEnd, end],
      [end, end],
      [itemEnd, end, end],
      [end, itemEnd, end],
    ]) {
      const tail = Buffer.concat([
        unwanted,
        dicomFile(late, { header: false, implicit, big }),
        groups(...closing),
        element('7fe00010', pixels),
      ]);
      assert.deepEqual(await shades(dicomFile(early, { ...file, implicit, big, tail })), expected, `${name}, ${closing.length}`);
    }
  }
});

test('file meta information in implicit VR', { skip }, async () => {
  const file = read('implicit-vr-meta');
  const expected = await shades(read('ge-private-big-endian-pixels'));
  assert.deepEqual(await shades(file), expected);
  assert.deepEqual(await shades(file.subarray(128)), expected, 'without a preamble');
  assert.deepEqual(await shades(file.subarray(132)), expected, 'without a preamble and its mark');
});

test('so it is before any data set, and where the VRs of group 2 come and go', async () => {
  const implicit = { implicit: true };
  for (const [name, file] of WAYS) {
    const expected = await shades(deep(whole, {}, file));
    const set = deep(whole, {}, { ...file, header: false });
    const uid = /** @type {[string, string]} */ (['UI', file.syntax ?? '1.2.840.10008.1.2.1']);
    const parts = (/** @type {import('./write.js').Encoding[]} */ ...ways) => [
      elementBytes('00020000', ['UL', 4711], ways[0]),
      elementBytes('00020001', ['OB', Buffer.from([0, 1])], ways[1]),
      elementBytes('00020002', ['UI', '1.2.840.10008.5.1.4.1.1.1.1'], ways[2]),
      elementBytes('00020010', uid, ways[3]),
      elementBytes('00020012', ['UI', '1.2.3'], ways[4]),
    ];
    for (const ways of [
      Array(5).fill(implicit),
      [{}, implicit, {}, implicit, {}],
      [implicit, {}, implicit, {}, implicit],
      Array(5).fill({ big: true }),
    ])
      for (const head of [Buffer.concat([Buffer.alloc(128), Buffer.from('DICM')]), Buffer.from('DICM'), NONE])
        assert.deepEqual(
          await shades(Buffer.concat([head, ...parts(...ways), set])),
          expected,
          `${name}, ${JSON.stringify(ways)}, ${head.length}`,
        );
  }
});

test('elements whose VR was forgotten', async () => {
  const { '7fe00010': pixels, ...elements } = radiograph({ width, height, bits: 12, pixels: ramp }, whole);
  const tail = Buffer.concat([
    ...Object.entries(elements)
      .filter(([key]) => key > '0020')
      .map(([key, element]) => elementBytes(key, element, { implicit: /^(00281050|0020000e)$/.test(key) })),
    elementBytes('7fe00010', pixels),
  ]);
  const head = Object.fromEntries(Object.entries(elements).filter(([key]) => key < '0020'));
  assert.deepEqual(await shades(dicomFile(head, { tail })), await shades(deep(whole)));
});

test('pixels of GE in big endian', { skip }, async () => {
  const file = read('ge-private-big-endian-pixels');
  const plain = Buffer.from(file);
  const at = plain.indexOf(Buffer.from('e07f1000', 'hex')) + 8;
  plain.subarray(at).swap16();
  plain.write('1.2.840.10008.1.2\0', plain.indexOf('1.2.840.113619.5.2'), 'latin1');
  assert.deepEqual(await shades(file), await shades(plain));
  assert.equal((await openDicom(file)).about.transferSyntax.name, 'GE Private Implicit VR Little Endian with Big Endian Pixels');
});

test('so they are of either sign, inverted, in other frames, with tables in the order of the data set', async () => {
  const syntax = '1.2.840.113619.5.2';
  const swapped = (/** @type {Uint16Array} */ values) => values.map((v) => ((v & 255) << 8) | (v >> 8));
  const group = { ...whole, '00283010': ['SQ', [lut(12, 12)]] };
  for (const image of [{}, { photometric: 'MONOCHROME1' }, { signed: true, pixels: ramp.map((v) => v - 2048) }]) {
    const pixels = 'pixels' in image && image.pixels ? image.pixels : ramp;
    assert.deepEqual(
      await shades(deep(group, { ...image, pixels: swapped(pixels) }, { syntax, implicit: true })),
      await shades(deep(group, image)),
    );
  }
  const two = new Uint16Array([...ramp, ...ramp.slice().reverse()]);
  const more = { ...whole, '00280008': ['IS', '2'] };
  assert.deepEqual(
    await shades(deep(more, { pixels: swapped(two) }, { syntax, implicit: true }), 1),
    await shades(deep(more, { pixels: two }), 1),
  );
  assert.deepEqual(await shades(shallow(windowed(128, 256), {}, { syntax, implicit: true })), [...bytes], 'bytes are as they are');
});

// ---- Body parts -----------------------------------------------------------------------------

test('body parts are whole words', async () => {
  const levelOf = async (/** @type {string} */ part) => (await openDicom(deep({ ...whole, '00180015': ['CS', part] }))).findings[0]?.level;
  for (const part of ['PHARMA', 'Alarm', 'COLLEGE', 'CHIP', 'POTATOES', 'LIVERPOOL', 'HARM', 'NECKLACE', 'SURFACE'])
    assert.equal(await levelOf(part), 'warn', part);
  for (const part of [
    'ARM',
    'arm',
    'UPPERARM',
    'L ARM',
    'RT_ARM',
    'ARM/LEFT',
    'ARMS',
    'LOWERLEG',
    'HEADNECK',
    'ABDOMENPELVIS',
    'HIPS',
    'LUMBARSPINE',
    'TOES',
    'KNEE_R',
    'HAND PA',
  ])
    assert.equal(await levelOf(part), 'refuse', part);
});
