// overlay.test.js - findings in DICOM: regions of the Structured Report, the Segmentation and the Secondary Capture, as
// DCMTK, pydicom and dcmjs read them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
// @ts-expect-error It has no types.
import dcmjs from 'dcmjs';
import { madeUp, THRESHOLDS } from '../made-up.js';
import { web } from './module.js';

const { toDicomSr } = await import(new URL('dicom-sr.js', web).href);
const { toDicomSeg, toSecondaryCapture } = await import(new URL('dicom-overlay.js', web).href);
const skip = spawnSync('dsrdump', ['--version']).status === 0 ? false : 'needs the Debian package dcmtk';
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';
const hasPydicom = spawnSync(PYTHON, ['-c', 'import pydicom, numpy']).status === 0;

const folder = mkdtempSync(join(tmpdir(), 'cxrlens-overlay-'));
after(() => rmSync(folder, { recursive: true }));

const [WIDTH, HEIGHT] = [101, 83]; // bits of frames do not end with bytes
const frame = { x: 0.1, y: 0.2, width: 0.8, height: 0.6 };
const dicom = {
  studyUid: '1.2.3',
  seriesUid: '1.2.3.4',
  instanceUid: '1.2.3.4.5',
  sopClass: '1.2.840.10008.5.1.4.1.1.1',
  frames: 1,
  frame: 0,
  spacing: { row: 0.14, column: 0.15, at: 'detector' },
  burnedIn: false,
};
const result = madeUp({
  frame,
  cells: [
    [2, 7, 3, 2],
    [8, 2, 1, 1],
  ],
  more: { image: { width: WIDTH, height: HEIGHT, format: 'dicom' }, dicom },
});
const options = { date: new Date('2026-11-24T08:01:02.345Z'), patient: { name: '홍^길동', id: '4711' }, thresholds: THRESHOLDS };

/** @param {string} name @param {Uint8Array} bytes */
function saved(name, bytes) {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** What a tool says of an object; any complaint is a failure. @param {string} tool @param {Uint8Array} bytes @param {string[]} options */
function dump(tool, bytes, ...options) {
  const done = spawnSync(tool, [...options, saved('object.dcm', bytes)], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  assert.deepEqual([done.status, done.stderr], [0, ''], done.stdout);
  return done.stdout;
}

/** @param {Uint8Array} bytes @returns {any} by the names of the attributes */
function readByDcmjs(bytes) {
  const file = dcmjs.data.DicomMessage.readFile(Uint8Array.from(bytes).buffer);
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(file.dict);
}

test('the report holds each finding as a region: place, outline in pixels, and the image that it lies in', { skip }, () => {
  const bytes = toDicomSr(result, { date: options.date }); // DCMTK's dump warns of UTF-8
  const said = dump('dsrdump', bytes, '--print-all-codes', '--print-template-id', '--print-long-values');
  assert.equal([...said.matchAll(/TID 1410 \(DCMR\)/g)].length, 2);
  assert.match(said, /CODE:\(363698007,SCT,"Finding Site"\)=\(3341006,SCT,"Right lung"\)/);
  assert.match(said, /CODE:\(106233006,SCT,"Topographical modifier"\)=\(lower-zone,99CXRLENS,/);
  assert.match(said, /SCOORD:\(111030,DCM,"Image Region"\)=\(POLYLINE,/);
  const groups = readByDcmjs(bytes).ContentSequence.find(
    (/** @type {any} */ each) => each.ConceptNameCodeSequence?.[0].CodeValue === '126010',
  ).ContentSequence;
  const regions = groups.flatMap((/** @type {any} */ group) =>
    group.ContentSequence.filter((/** @type {any} */ item) => item.ValueType === 'SCOORD'),
  );
  const { x, y, width, height } = result.findings[0];
  const [left, top, right, bottom] = [x * WIDTH, y * HEIGHT, (x + width) * WIDTH, (y + height) * HEIGHT];
  const outline = [left, top, right, top, right, bottom, left, bottom, left, top];
  assert.equal(regions.length, 2);
  regions[0].GraphicData.forEach((/** @type {number} */ value, /** @type {number} */ i) => assert.ok(Math.abs(value - outline[i]) < 1e-3));
  assert.equal(regions[0].ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID, dicom.instanceUid);
});

test('a report of a refused image has no regions', { skip }, () => {
  const said = dump(
    'dsrdump',
    toDicomSr({ ...madeUp({ verdict: 'not-a-chest-x-ray', cells: [] }), dicom }, { date: options.date }),
    '--print-all-codes',
  );
  assert.doesNotMatch(said, /SCOORD|Strongest opacity/);
  assert.match(said, /gate-score/);
});

/** Which pixels each segment should cover: whether a pixel's centre lies in these cells of a grid over the frame. @param {number} x @param {number} y @param {number[][]} cells @param {number} side */
function covers(x, y, cells, side) {
  const [u, v] = [(((x + 0.5) / WIDTH - frame.x) / frame.width) * side, (((y + 0.5) / HEIGHT - frame.y) / frame.height) * side];
  const inside = (/** @type {number} */ by) =>
    cells.some(([left, top, columns, rows]) => u > left - by && u < left + columns + by && v > top - by && v < top + rows + by);
  return { sure: inside(-0.6), maybe: inside(0.6) };
}

test('the Segmentation lies over the image, lungs and opacities to a cell, as pydicom and dcmjs read it', {
  skip: skip || (!hasPydicom && 'needs pydicom and numpy'),
}, () => {
  const bytes = toDicomSeg(result, options);
  const dumped = dump('dcmdump', bytes);
  for (const line of [
    /\(0008,0016\) UI =SegmentationStorage/,
    /\(0062,0001\) CS \[BINARY\]/,
    /\(0028,0008\) IS \[2 ?\]/,
    /\(0020,000d\) UI \[1\.2\.3\]/,
  ])
    assert.match(dumped, line);
  const seen = spawnSync(
    PYTHON,
    [
      '-c',
      `
import json, sys, numpy, pydicom
d = pydicom.dcmread(sys.argv[1])
a = d.pixel_array
print(json.dumps({'shape': a.shape, 'labels': [s.SegmentLabel for s in d.SegmentSequence], 'name': str(d.PatientName), 'of': d.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID,
  'source': [f.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID for f in d.PerFrameFunctionalGroupsSequence], 'spacing': [float(v) for v in d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing],
  'pixels': a.astype(int).ravel().tolist()}))`,
      saved('seg.dcm', bytes),
    ],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  assert.equal(seen.stderr, '');
  const { pixels, ...rest } = JSON.parse(seen.stdout);
  assert.deepEqual(rest, {
    shape: [2, HEIGHT, WIDTH],
    labels: ['Lungs', 'Opacities'],
    name: '홍^길동',
    of: dicom.instanceUid,
    source: [dicom.instanceUid, dicom.instanceUid],
    spacing: [0.14, 0.15],
  });
  const lungs = [
      [3, 3, 7, 18],
      [14, 3, 7, 18],
    ],
    opacities = [
      [2, 7, 3, 2],
      [8, 2, 1, 1],
    ];
  [
    [lungs, 24],
    [opacities, 12],
  ].forEach(([cells, side], segment) => {
    for (let y = 0; y < HEIGHT; y++)
      for (let x = 0; x < WIDTH; x++) {
        const is = pixels[(segment * HEIGHT + y) * WIDTH + x] === 1;
        const { sure, maybe } = covers(x, y, /** @type {number[][]} */ (cells), Number(side));
        assert.ok(is ? maybe : !sure, `segment ${segment} at ${x}, ${y}`);
      }
  });
  const read = readByDcmjs(bytes);
  assert.equal(read.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeValue, 'lung-opacity');
  const unpacked = new Uint8Array(dcmjs.data.BitArray.unpack(read.PixelData[0] ?? read.PixelData));
  assert.deepEqual(
    [...unpacked.subarray(0, pixels.length)].map(Number),
    pixels.map((/** @type {number} */ bit) => (unpacked.includes(255) ? 255 * bit : bit)),
  );
});

test('without maps there is no Segmentation', () => {
  assert.throws(() => toDicomSeg({ ...result, maps: undefined }, options), /no maps/);
});

test('the Secondary Capture is the picture, beside the image that it was made of', {
  skip: skip || (!hasPydicom && 'needs pydicom and numpy'),
}, () => {
  const data = Uint8ClampedArray.from({ length: 5 * 3 * 4 }, (_, i) => (i % 4 === 3 ? 255 : i * 4));
  const bytes = toSecondaryCapture({ data, width: 5, height: 3 }, result, options);
  const dumped = dump('dcmdump', bytes);
  for (const line of [
    /\(0008,0016\) UI =SecondaryCaptureImageStorage/,
    /\(0008,0064\) CS \[WSD\]/,
    /\(0028,0301\) CS \[NO\]/,
    /\(0008,1155\) UI \[1\.2\.3\.4\.5\]/,
  ])
    assert.match(dumped, line);
  const seen = spawnSync(
    PYTHON,
    [
      '-c',
      `
import json, sys, pydicom
d = pydicom.dcmread(sys.argv[1])
print(json.dumps([d.PhotometricInterpretation, d.pixel_array.ravel().tolist()]))`,
      saved('sc.dcm', bytes),
    ],
    { encoding: 'utf8' },
  );
  assert.deepEqual(JSON.parse(seen.stdout), ['RGB', [...data].filter((_, i) => i % 4 !== 3)]);
  assert.equal(readByDcmjs(bytes).Rows, 3);
});

test('the same arguments give the same bytes, and objects of one image have UIDs of their own', () => {
  const uidOf = (/** @type {Uint8Array} */ bytes) => readByDcmjs(bytes).SOPInstanceUID;
  assert.deepEqual(toDicomSeg(result, options), toDicomSeg(result, options));
  const picture = { data: new Uint8Array(4), width: 1, height: 1 };
  assert.equal(
    new Set([toDicomSr(result, options), toDicomSeg(result, options), toSecondaryCapture(picture, result, options)].map(uidOf)).size,
    3,
  );
});
