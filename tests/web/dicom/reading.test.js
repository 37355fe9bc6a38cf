// reading.test.js - what the reader takes for DICOM, and how it makes gray of it; files by write.js.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  answer,
  bytes,
  deep,
  height,
  looksLikeDicom,
  openDicom,
  ramp,
  refusal,
  shades,
  shallow,
  toGray8,
  width,
  windowed,
} from './module.js';
import { dicomFile, encapsulated, radiograph, rle, unknown } from './write.js';

// ---- Recognised by content ------------------------------------------------------------------

test('DICOM is told by content: preamble, header and both left out', async () => {
  const expected = await shades(deep());
  for (const [name, file] of /** @type {[string, any][]} */ ([
    ['no preamble', { preamble: false }],
    ['no header', { header: false }],
    ['no header, implicit VR', { header: false, implicit: true }],
    ['implicit VR', { implicit: true, syntax: '1.2.840.10008.1.2' }],
    ['header says implicit, data are explicit', { syntax: '1.2.840.10008.1.2' }],
    ['header says explicit, data are implicit', { implicit: true }],
  ])) {
    const bytes = deep({}, {}, file);
    assert.ok(looksLikeDicom(bytes), name);
    assert.ok(looksLikeDicom(bytes.subarray(0, 1024)), `${name}, by its first kilobyte`);
    assert.deepEqual(await shades(bytes), expected, name);
  }
});

test('other files are not DICOM', async () => {
  const others = {
    png: Buffer.from('89504e470d0a1a0a0000000d494844520000', 'hex'),
    jpeg: Buffer.from('ffd8ffe000104a4649460001', 'hex'),
    text: Buffer.from('Dear colleague, here is the X-ray. '.repeat(9)),
    zeros: Buffer.alloc(400),
    nothing: Buffer.alloc(0),
    bmp: Buffer.concat([Buffer.from('BM'), Buffer.alloc(300)]),
    'eight, then text': Buffer.concat([Buffer.from([8, 0]), Buffer.from('abcdefghijklmnopqrstuvw')]),
  };
  for (const [name, bytes] of Object.entries(others)) {
    assert.ok(!looksLikeDicom(bytes), name);
    assert.equal((await refusal(bytes))?.code, 'dicom-format', name);
  }
});

test('an ArrayBuffer, a view into a larger one and a Buffer read the same', async () => {
  const file = shallow();
  const shifted = new Uint8Array(file.length + 3);
  shifted.set(file, 3);
  const expected = await shades(file);
  assert.deepEqual(await shades(shifted.subarray(3)), expected);
  assert.deepEqual(toGray8(await (await openDicom(Uint8Array.from(file).buffer)).frame()), expected);
});

// ---- Gray -----------------------------------------------------------------------------------

test('pixels are a view of the file where they stand there as they are, and whatever is done to them, the file stays as it was', async () => {
  const file = new Uint8Array(deep(windowed(2048, 4096)));
  const [before, dicom] = [file.slice(), await openDicom(file)];
  assert.equal((await dicom.frame(0)).pixels.buffer, file.buffer);
  for (const more of [
    { '00280102': ['US', 13] },
    { '00280120': ['US', 0], '00280121': ['US', 900] },
    { '00283010': ['SQ', [{ '00283002': ['US', [4, 0, 16]], '00283006': ['US', [1, 2, 3, 4]] }]] },
  ]) {
    const other = new Uint8Array(deep(more));
    const [kept, opened] = [other.slice(), await openDicom(other)];
    assert.notEqual((await opened.frame(0)).pixels.buffer, other.buffer);
    assert.deepEqual(other, kept);
  }
  const odd = new Uint8Array(file.length + 1);
  odd.set(file, 1);
  assert.deepEqual(await shades(odd.subarray(1)), await shades(before), 'at an odd address');
  assert.deepEqual(file, before);
});

test('what was read for the classifier is let go of', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const file = dicomFile(radiograph({ width: 1000, height: 1000, bits: 12, pixels: new Uint16Array(1e6) }));
  const held = async (/** @type {number} */ count) => {
    for (let k = 0; k < count; k++) await answer({ type: 'job', key: 100 + k, source: new Blob([file]) });
    for (let k = 0; k < 4; k++) {
      collect();
      await setImmediate();
    }
    return process.memoryUsage().arrayBuffers / 2 ** 20;
  };
  const [before, after] = [await held(10), await held(60)];
  assert.ok(after - before < 20, `${before} MiB, ${after} MiB`); // all 60 have 114 MiB of pixels
});

test('the classifier is answered before the viewer that asked first', async () => {
  const source = new Blob([deep()]);
  /** @type {string[]} */
  const told = [];
  const ask = (/** @type {'job'|'picture'} */ type) => answer({ type, key: 9, source }).then(() => told.push(type));
  await Promise.all([ask('picture'), ask('job')]);
  assert.deepEqual(told, ['job', 'picture']);
});

test('a file that viewer and classifier ask for is read once; later, or once it is back, it is read anew', async () => {
  let reads = 0;
  const file = deep({ '00280008': ['IS', '2'] }, { pixels: Uint16Array.from([...ramp, ...ramp.slice().reverse()]) });
  const source = Object.assign(new Blob([file]), {
    arrayBuffer: async () => {
      reads++;
      return Uint8Array.from(file).buffer;
    },
  });
  const ask = (/** @type {'job'|'picture'} */ type, /** @type {object} */ more) => answer({ type, key: 1, source, ...more });
  const [job, picture] = await Promise.all([ask('job', {}), ask('picture', {})]);
  assert.deepEqual([job.gray16.width, picture.levels[0].width, picture.frames], [width, width, 2]);
  assert.equal((await ask('job', { choice: { frame: 1 } })).dicom.frame, 1);
  assert.equal(reads, 1);
  await ask('picture', { key: 2 });
  assert.deepEqual([...(await shades(file))], [...picture.levels[0].gray]);
  await ask('job', {});
  assert.equal(reads, 3);
  const gone = Object.assign(new Blob([file]), { arrayBuffer: () => Promise.reject(new Error('gone')) });
  await assert.rejects(ask('job', { key: 3, source: gone }), { name: 'DicomError', code: 'unreadable' });
  await ask('job', { key: 3 });
});

test('a picture comes in halving sizes, none larger than the viewer wants', async () => {
  const pixels = new Uint8Array(1300 * 40).fill(7);
  const source = Uint8Array.from(dicomFile(radiograph({ width: 1300, height: 40, pixels })));
  const { levels, width: whole } = await answer({ type: 'picture', source, choice: { maxSide: 700 } });
  assert.deepEqual([whole, ...levels.map((/** @type {any} */ level) => [level.width, level.height])], [1300, [650, 20], [325, 10]]);
});

test('without a window 8 bits use their whole range, deeper pixels the range that is there', async () => {
  assert.deepEqual(await shades(shallow()), Uint8ClampedArray.from(bytes));
  const part = ramp.map((v) => 1000 + v / 4);
  const gray = await shades(deep({}, { pixels: part }));
  assert.equal(Math.min(...gray), 0);
  assert.equal(Math.max(...gray), 255);
});

test('MONOCHROME1 and Presentation LUT Shape INVERSE each invert once, and together once', async () => {
  const plain = await shades(shallow());
  const inverted = plain.map((v) => 255 - v);
  const shape = (/** @type {string} */ name) => ({ 20500020: ['CS', name] });
  assert.deepEqual(await shades(shallow({}, { photometric: 'MONOCHROME1' })), inverted);
  assert.deepEqual(await shades(shallow(shape('INVERSE'))), inverted);
  assert.deepEqual(await shades(shallow(shape('INVERSE'), { photometric: 'MONOCHROME1' })), inverted);
  assert.deepEqual(await shades(shallow(shape('IDENTITY'))), plain);
  const contradiction = shallow(shape('IDENTITY'), { photometric: 'MONOCHROME1' });
  assert.deepEqual(await shades(contradiction), plain);
  assert.deepEqual(
    (await openDicom(contradiction)).findings.map((/** @type {any} */ f) => f.code),
    ['dicom-polarity'],
  );
});

test('bits above the stored ones (overlays) and below them are left out', async () => {
  const expected = await shades(deep(windowed(2048, 4096)));
  const overlaid = ramp.map((v, i) => v | (i % 3 ? 0xa000 : 0));
  assert.deepEqual(await shades(deep(windowed(2048, 4096), { pixels: overlaid })), expected);
  const high = ramp.map((v, i) => (v << 4) | (i % 16));
  assert.deepEqual(await shades(deep({ ...windowed(2048, 4096), '00280102': ['US', 15] }, { pixels: high })), expected);
});

test('signed values within 12 bits', async () => {
  const signed = ramp.map((v) => (v - 2048) & 0xfff);
  assert.deepEqual(await shades(deep(windowed(0, 4096), { pixels: signed, signed: true })), await shades(deep(windowed(2048, 4096))));
});

test('padding is black, whether or not the picture is inverted, and does not widen the range', async () => {
  const padded = ramp.map((v, i) => (i < 100 ? 0 : 1000 + v / 8));
  for (const photometric of ['MONOCHROME1', 'MONOCHROME2']) {
    const gray = await shades(deep({ '00280120': ['US', 0] }, { pixels: padded, photometric }));
    assert.deepEqual(new Set(gray.subarray(0, 100)), new Set([0]), photometric);
    assert.ok(Math.max(...gray) === 255 && gray.subarray(100).includes(0));
  }
  const range = ramp.map((v, i) => (i < 100 ? i % 10 : 1000 + v / 8));
  const gray = await shades(deep({ '00280120': ['US', 0], '00280121': ['US', 9] }, { pixels: range }));
  assert.deepEqual(new Set(gray.subarray(0, 100)), new Set([0]), 'Pixel Padding Range Limit');
});

/** @param {number[]} entries @param {number} first @param {number} bits @returns {Record<string, any>[]} */
const lut = (entries, first, bits) => [
  {
    '00283002': ['US', [entries.length % 65536, first, bits]],
    '00283003': ['LO', 'NORMAL'],
    '00283006': ['US', entries],
  },
];

test('a VOI LUT comes before windows, and every one can be chosen', async () => {
  const steps = Array.from({ length: 4096 }, (_, i) => (i < 2000 ? 0 : 255));
  const file = deep({
    ...windowed(2048, 4096),
    '00281050': ['DS', '2048\\1000'],
    '00281051': ['DS', '4096\\500'],
    '00281055': ['LO', 'WIDE\\BONE'],
    '00283010': ['SQ', lut(steps, 0, 8)],
  });
  const dicom = await openDicom(file);
  assert.deepEqual(
    dicom.windowsOf().map((/** @type {any} */ w) => [w.kind, w.explanation]),
    [
      ['lut', 'NORMAL'],
      ['window', 'WIDE'],
      ['window', 'BONE'],
    ],
  );
  assert.deepEqual(
    await shades(file),
    Uint8ClampedArray.from(ramp, (v) => (v < 2000 ? 0 : 255)),
  );
  assert.deepEqual(await shades(file, 0, { window: 1 }), await shades(deep(windowed(2048, 4096))));
  assert.deepEqual(await shades(file, 0, { window: 2 }), await shades(deep(windowed(1000, 500))));
  await assert.rejects(dicom.frame(0, { window: 3 }), { code: 'dicom-frame' });
});

test('an empty VOI LUT is passed over, and one of a functional group is read', async () => {
  const empty = { '00283010': ['SQ', [{}, { '00283002': ['US', [0, 0, 16]], '00283006': ['US', []] }]] };
  assert.deepEqual(await shades(deep({ ...windowed(1000, 500), ...empty })), await shades(deep(windowed(1000, 500))));
  const voi = { '00283010': ['SQ', lut([0, 255, 0, 255], 1000, 8)] };
  const file = deep({ 52009230: ['SQ', [{ '00289132': ['SQ', [{ ...windowed(1000, 500), ...voi }]] }]] });
  assert.deepEqual(
    (await openDicom(file)).windowsOf().map((/** @type {any} */ { kind }) => kind),
    ['lut', 'window'],
  );
  assert.deepEqual(await shades(file), await shades(deep(voi)));
});

test('sequences of unknown VR are read as those of known VR; a value that is no sequence changes nothing', async () => {
  const voi = lut([0, 65535, 0, 65535], 1000, 16);
  const groups = (/** @type {any} */ wrap) => ({
    52009229: wrap([{ '00289145': ['SQ', [{ '00281053': ['DS', '2'] }]], '00289132': ['SQ', [windowed(4096, 8191)]] }]),
  });
  const known = (/** @type {any} */ items) => ['SQ', items];
  assert.deepEqual(await shades(deep({ '00283010': unknown(voi) })), await shades(deep({ '00283010': known(voi) })));
  assert.deepEqual(await shades(deep(groups(unknown))), await shades(deep(groups(known))));
  assert.deepEqual(await shades(deep({ '00283010': ['UN', Buffer.from('none')] })), await shades(deep()));
});

test("texts are read by the file's character set, or by that of their item", async () => {
  const korean = Buffer.from('1b242943c8e4bace', 'hex');
  const dicom = await openDicom(
    deep({
      ...windowed(2048, 4096),
      '00080005': ['CS', 'ISO_IR 192'],
      '00180015': null,
      '00082218': ['SQ', [{ '00080005': ['CS', '\\ISO 2022 IR 149'], '00080104': ['LO', korean] }]],
      '00281055': ['LO', Buffer.from('흉부\\뼈')],
      '00283010': ['SQ', [{ ...lut([0, 255], 0, 8)[0], '00283003': ['LO', Buffer.from('폐')] }]],
    }),
  );
  assert.equal(dicom.about.bodyPart, '흉부');
  const { about } = await openDicom(
    deep({ '00080005': ['CS', '\\ISO 2022 IR 159'], '00180015': ['LO', Buffer.from('1b24284430271b284221', 'hex')] }),
  );
  assert.equal(about.bodyPart, '丣!', 'JIS X 0212');
  assert.deepEqual(
    dicom.windowsOf().map((/** @type {any} */ w) => w.explanation),
    ['폐', '흉부'],
  );
});

test('windows that the standard forbids are passed over', async () => {
  const expected = await shades(deep());
  for (const [centre, span] of [
    ['0', '0'],
    ['100', '-5'],
    ['abc', 'def'],
    ['', ''],
  ])
    assert.deepEqual(await shades(deep({ '00281050': ['DS', centre], '00281051': ['DS', span] })), expected, `${centre} / ${span}`);
});

test("a window without its centre or its width takes no other's", async () => {
  const { windowsOf } = await openDicom(
    deep({
      '00280031': null,
      '00280004': ['CS', 'MONOCHROME2'],
      '00281050': ['DS', '\\200'],
      '00281051': ['DS', '100\\400'],
      '00281055': ['LO', 'A\\B'],
    }),
  );
  assert.deepEqual(
    windowsOf().map((/** @type {any} */ { window, explanation }) => [window?.centre, window?.width, explanation]),
    [[200, 400, 'B']],
  );
});

test('a modality LUT is the whole range, so no window is missed', async () => {
  const { findings } = await openDicom(deep({ '00283000': ['SQ', lut([0, 255], 0, 8)] }));
  assert.deepEqual(findings, []);
});

test('the indices of a palette stand where High Bit says', async () => {
  const table = (/** @type {number} */ step) => ['OW', Uint8Array.from({ length: 256 }, (_, i) => i * step)];
  const palette = {
    '00280004': ['CS', 'PALETTE COLOR'],
    '00280101': ['US', 8],
    '00281101': ['US', [256, 0, 8]],
    '00281102': ['US', [256, 0, 8]],
    '00281103': ['US', [256, 0, 8]],
    '00281201': table(1),
    '00281202': table(3),
    '00281203': table(5),
  };
  const high = Uint16Array.from(bytes, (v, i) => (v << 8) | (i % 256));
  assert.deepEqual(await shades(shallow({ ...palette, '00280102': ['US', 15] }, { pixels: high })), await shades(shallow(palette)));
});

test('colour is what the engine takes for colour: single odd pixels and rounding are not', async () => {
  const side = 64;
  const colours = (/** @type {(i: number) => number} */ more) =>
    openDicom(
      dicomFile(
        radiograph(
          {
            width: side,
            height: side,
            pixels: Uint8Array.from({ length: 3 * side * side }, (_, i) => 100 + (i % 3 ? 0 : more(i / 3))),
            photometric: 'RGB',
          },
          { '00280002': ['US', 3], '00280006': ['US', 0] },
        ),
      ),
    )
      .then((dicom) => dicom.frame())
      .then(({ coloured }) => coloured);
  assert.equal(await colours(() => 15), false);
  assert.equal(await colours((i) => (i < 16 ? 90 : 0)), false);
  assert.equal(await colours((i) => (i < 17 ? 16 : 0)), true);
});

test('frames: windows and rescale of functional groups', async () => {
  const two = new Uint16Array(2 * ramp.length);
  two.set(ramp);
  two.set(
    ramp.map((v) => 4095 - v),
    ramp.length,
  );
  const rescale = { '00281052': ['DS', '-100'], '00281053': ['DS', '2'] };
  const group = (/** @type {number} */ centre) => ({ '00289132': ['SQ', [windowed(centre, 4096)]] });
  const file = deep(
    {
      '00280008': ['IS', '2'],
      52009230: ['SQ', [group(2048), group(1000)]],
      52009229: ['SQ', [{ '00289145': ['SQ', [rescale]] }]],
    },
    { pixels: two },
  );
  const dicom = await openDicom(file);
  assert.equal(dicom.frames, 2);
  assert.deepEqual(await shades(file, 0), await shades(deep({ ...windowed(2048, 4096), ...rescale })));
  assert.deepEqual(
    await shades(file, 1),
    await shades(deep({ ...windowed(1000, 4096), ...rescale }, { pixels: ramp.map((v) => 4095 - v) })),
  );
  await assert.rejects(dicom.frame(2), { code: 'dicom-frame' });
  await assert.rejects(dicom.frame(-1), { code: 'dicom-frame' });
  await assert.rejects(dicom.frame(0.5), { code: 'dicom-frame' });
});

test('one frame in many fragments, many frames in one each', async () => {
  const whole = rle(bytes);
  const syntax = '1.2.840.10008.1.2.5';
  const split = shallow(
    { '7fe00010': null },
    {},
    { syntax, tail: encapsulated([whole.subarray(0, 200), whole.subarray(200, 300), whole.subarray(300)]) },
  );
  assert.deepEqual(await shades(split), Uint8ClampedArray.from(bytes));
  const frames = shallow(
    { '7fe00010': null, '00280008': ['IS', '2'] },
    {},
    { syntax, tail: encapsulated([whole, rle(bytes.map((v) => 255 - v))]) },
  );
  assert.deepEqual(
    await shades(frames, 1),
    Uint8ClampedArray.from(bytes, (v) => 255 - v),
  );
});

test('many frames with a basic offset table, or with an extended one', async () => {
  const syntax = '1.2.840.10008.1.2.5';
  const [one, two] = [rle(bytes), rle(bytes.map((v) => 255 - v))];
  const xray = (/** @type {Uint8Array[]} */ fragments, /** @type {Uint8Array} */ table, more = {}) =>
    shallow({ '7fe00010': null, '00280008': ['IS', '2'], ...more }, {}, { syntax, tail: encapsulated(fragments, table) });
  const basic = (/** @type {number[]} */ ...offsets) => new Uint8Array(Uint32Array.from(offsets).buffer);
  const extended = (/** @type {number[]} */ ...values) => ['OV', new Uint8Array(BigUint64Array.from(values, BigInt).buffer)];
  const inverted = Uint8ClampedArray.from(bytes, (v) => 255 - v);
  const split = [one.subarray(0, 200), one.subarray(200), two];
  assert.deepEqual(await shades(xray(split, basic(0, one.length + 16)), 1), inverted);
  const whole = xray([one, two], basic(), { '7fe00001': extended(0, one.length + 8), '7fe00002': extended(one.length, two.length) });
  assert.deepEqual(await shades(whole, 1), inverted);
  for (const table of [basic(), basic(0), basic(0, 208, one.length + 16)])
    assert.equal((await refusal(xray(split, table)))?.code, 'dicom-corrupt', `${table.length / 4} offsets`);
});

/** Middle gray whose one component has a sampling factor; every code is a single bit, 0. @param {boolean} lossless @param {number} sampling */
function plainJpeg(lossless, sampling) {
  const segment = (/** @type {number} */ marker, /** @type {number[]} */ ...body) => [0xff, marker, 0, body.length + 2, ...body];
  const table = (/** @type {number} */ head) => segment(0xc4, head, 1, ...Array(15).fill(0), 0);
  return Buffer.from([
    0xff,
    0xd8,
    ...segment(0xdb, 0, ...Array(64).fill(1)),
    ...table(0x00),
    ...table(0x10),
    ...segment(lossless ? 0xc3 : 0xc0, 8, 0, height, 0, width, 1, 1, sampling, 0),
    ...segment(0xda, 1, 1, 0, lossless ? 1 : 0, lossless ? 0 : 63, 0),
    ...Array((width * height) / 8).fill(0),
    0xff,
    0xd9,
  ]);
}

test('the sampling factors of a single component mean nothing', async () => {
  for (const [lossless, end] of /** @type {[boolean, string][]} */ ([
    [true, '70'],
    [false, '50'],
  ]))
    for (const sampling of [0x11, 0x22, 0x21]) {
      const xray = shallow(
        { '7fe00010': null },
        {},
        { syntax: `1.2.840.10008.1.2.4.${end}`, tail: encapsulated([plainJpeg(lossless, sampling)]) },
      );
      assert.deepEqual(new Set(await shades(xray)), new Set([128]), `${end}, ${sampling.toString(16)}`);
    }
});
