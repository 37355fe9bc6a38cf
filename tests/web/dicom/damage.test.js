// damage.test.js - files cut off anywhere and with bytes flipped at random (always the same): each opens or ends
// in a typed error, soon. A picture cut off must never open, for half of it would be made up.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { openDicom, refusal } from './module.js';
import { dicomFile, encapsulated, radiograph, randomSource } from './write.js';

const LIMIT_MS = 15_000; // generous: it is to tell slow from never

/** @param {Uint8Array} file @param {string} label */
async function survives(file, label) {
  const start = performance.now();
  try {
    return await refusal(file);
  } catch (cause) {
    throw new Error(`${label}: an untyped error`, { cause });
  } finally {
    const took = performance.now() - start;
    assert.ok(took < LIMIT_MS, `${label}: ${Math.round(took)} ms`);
  }
}

const pixels = Uint16Array.from({ length: 48 * 40 }, (_, i) => (i * 13) % 4096);
const rich = radiograph(
  { width: 48, height: 40, bits: 12, pixels },
  {
    '00280120': ['US', 0],
    '00281050': ['DS', '2048\\1000'],
    '00281051': ['DS', '4096\\500'],
    '00281052': ['DS', '-5'],
    '00281053': ['DS', '2'],
    '00283010': ['SQ', [{ '00283002': ['US', [4, 0, 16]], '00283003': ['LO', 'N'], '00283006': ['US', [1, 2, 3, 4]] }]],
    52009229: ['SQ', [{ '00289132': ['SQ', [{ '00281050': ['DS', '1'], '00281051': ['DS', '2'] }]] }]],
    '00081140': ['SQ', [{ '00081150': ['UI', '1.2'], '00081155': ['UI', '1.2.3'] }]],
  },
);

/** @type {Record<string, Buffer>} */
const files = {
  explicit: dicomFile(rich),
  implicit: dicomFile(rich, { implicit: true, syntax: '1.2.840.10008.1.2' }),
  bare: dicomFile(rich, { header: false }),
};
const samples = process.env.DICOM_SAMPLES ?? fileURLToPath(new URL('../../../../shared/data/dicom/', import.meta.url));
const SMALL = [
  'SC_rgb_small_odd_big_endian.dcm',
  'SC_rgb_rle.dcm',
  'SC_rgb_jpeg_dcmtk.dcm',
  'SC_rgb_jpeg_gdcm.dcm',
  'SC_rgb_jls_lossy_line.dcm',
  'SC_rgb_gdcm_KY.dcm',
  'image_dfl.dcm',
  'nested_priv_SQ.dcm',
  'MR4_JPLL',
  'MR4_JLSN',
  'MR4_J2KR',
  'OT-PAL-8-face.dcm',
  'examples_palette.dcm',
];
for (const name of SMALL) {
  const path = ['pydicom__', 'dicom-test-files__'].map((start) => join(samples, start + name)).find(existsSync);
  if (path) files[name] = readFileSync(path);
}

for (const [name, file] of Object.entries(files)) {
  const slow = file.length > 30_000;

  test(`${name}: cut off`, async () => {
    const below = randomSource(1);
    const cuts = [...Array(slow ? 12 : 60)].map((_, i) => (i < 8 ? Math.floor((file.length * i) / 8) : below(file.length)));
    for (const cut of cuts) {
      const refused = await survives(file.subarray(0, cut), `${name} cut to ${cut} bytes`);
      // The last bytes may be padding or an end marker.
      if (cut < file.length * 0.9) assert.ok(refused, `${name} cut to ${cut} of ${file.length} bytes opens`);
    }
  });

  test(`${name}: bytes flipped`, async () => {
    const below = randomSource(2);
    for (let round = 0; round < (slow ? 25 : 250); round++) {
      const damaged = Buffer.from(file);
      // Half of the rounds in the first part, where the structure is.
      const area = round % 2 ? file.length : Math.min(file.length, 1500);
      for (let n = 0; n <= below(8); n++) damaged[below(area)] ^= 1 << below(8);
      await survives(damaged, `${name}, round ${round}`);
    }
  });
}

test('sequences nested without end, and items without number, are refused', async () => {
  const item = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff]);
  const sequence = Buffer.concat([Buffer.from([0x08, 0x00, 0x40, 0x11]), Buffer.from('SQ\0\0'), Buffer.from([0xff, 0xff, 0xff, 0xff])]);
  const nested = Buffer.concat([dicomFile({ '00080016': ['UI', '1.2'] }), ...Array(50_000).fill(Buffer.concat([sequence, item]))]);
  assert.ok(await survives(nested, 'nested'));
  // As UN the items are implicit, and within them are further sequences.
  const deeper = Buffer.alloc(16 * 50_000, Buffer.concat([item, Buffer.from([0x08, 0x00, 0x40, 0x11, 0xff, 0xff, 0xff, 0xff])]));
  const unknown = dicomFile({ '00082218': ['UN', deeper], '00280010': ['US', 1] });
  assert.equal((await survives(unknown, 'nested in UN'))?.code, 'dicom-corrupt');
  const empty = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
  const many = Buffer.concat([dicomFile({ '00080016': ['UI', '1.2'] }), sequence, Buffer.alloc(8 * 2 ** 20, empty)]);
  assert.ok(await survives(many, 'many items'));
});

test('JPEG-LS that ends early is refused at once', async () => {
  const side = 100;
  const start = [0xff, 0xd8, 0xff, 0xf7, 0, 11, 8, 0, side, 0, side, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0];
  const image = radiograph({ width: side, height: side, pixels: new Uint8Array(1) }, { '7fe00010': null });
  for (const data of [[0], [0, 0x76, 0xbf, 0xff, 0x7f, 0xff, 0x7f], [0x80]]) {
    const { user } = process.cpuUsage();
    const file = dicomFile(image, { syntax: '1.2.840.10008.1.2.4.80', tail: encapsulated([Uint8Array.from([...start, ...data])]) });
    assert.equal((await survives(file, `${data}`))?.code, 'dicom-corrupt');
    const ms = process.cpuUsage().user / 1000 - user / 1000;
    assert.ok(ms < 2000, `${data}: ${ms} ms`);
  }
});

test('what a file holds beside its pixels is bounded in all, not each element alone', async () => {
  const items = Buffer.alloc(3 * 2 ** 20, Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]));
  const sequence = (/** @type {string} */ vr, /** @type {number} */ group, /** @type {number} */ element) => {
    const head = Buffer.from(`....${vr}\0\0....`, 'latin1');
    head.writeUInt16LE(group, 0);
    head.writeUInt16LE(element, 2);
    head.writeUInt32LE(items.length, 8);
    return Buffer.concat([head, items]);
  };
  for (const vr of ['SQ', 'UN']) {
    const bomb = Buffer.concat([
      dicomFile({ '00080016': ['UI', '1.2'] }),
      ...[
        [0x0008, 0x2218],
        [0x0028, 0x3000],
        [0x0028, 0x3010],
        [0x0054, 0x0220],
      ].map(([group, element]) => sequence(vr, group, element)),
    ]);
    await assert.rejects(openDicom(bomb), { code: 'dicom-unsupported' }, vr);
  }
});

test('a JPEG of nothing but Huffman tables is refused soon', async () => {
  // 3,400 tables a segment, each of two codes of one bit.
  const table = Buffer.from([0, 2, ...Array(15).fill(0), 0, 1]);
  const segment = Buffer.concat([
    Buffer.from([0xff, 0xc4, (2 + 3400 * table.length) >> 8, (2 + 3400 * table.length) & 255]),
    Buffer.alloc(3400 * table.length, table),
  ]);
  const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8]), ...Array(240).fill(segment), Buffer.from([0xff, 0xd9])]);
  const start = process.cpuUsage();
  const file = dicomFile(radiograph({ width: 8, height: 8, pixels: new Uint8Array(64) }, { '7fe00010': null }), {
    syntax: '1.2.840.10008.1.2.4.70',
    tail: encapsulated([jpeg]),
  });
  assert.equal((await refusal(file))?.code, 'dicom-corrupt');
  const took = process.cpuUsage(start).user / 1000;
  assert.ok(took < 5000, `${Math.round(took)} ms`); // a second; were every table built, ten
});

test('a deflate bomb stops at the limit', async () => {
  const zeros = deflateRawSync(Buffer.alloc(12 * 2 ** 20), { level: 9 });
  const bomb = Buffer.concat([dicomFile({}, { syntax: '1.2.840.10008.1.2.1.99' }), zeros]);
  await assert.rejects(openDicom(bomb, { maxBytes: 2 ** 20 }), { code: 'image-file-size' });
  await assert.rejects(openDicom(files.explicit, { maxBytes: 1000 }), { code: 'image-file-size' });
});
