// about.test.js - what the reader says of a file, what speaks against a frontal chest X-ray, and what it refuses.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { deep, openDicom, refusal, shallow, windowed } from './module.js';
import { dicomFile, encapsulated, unknown } from './write.js';

// ---- About ----------------------------------------------------------------------------------

test('what a file says of itself, and nothing about the patient', async () => {
  const dicom = await openDicom(
    deep({
      ...windowed(2048, 4096),
      '00280030': ['DS', '0.2\\0.1'],
      '00181164': ['DS', '0.3\\0.3'],
      '00100020': ['LO', 'ID-4711'],
      '00100030': ['DA', '19700101'],
      '00080090': ['PN', 'Smith^Referrer'],
    }),
  );
  assert.deepEqual(dicom.about.spacing, { row: 0.2, column: 0.1, at: 'patient' });
  const { modality, bodyPart, viewPosition, studyUid, seriesUid, instanceUid } = dicom.about;
  assert.deepEqual(
    { modality, bodyPart, viewPosition, studyUid, seriesUid, instanceUid },
    {
      modality: 'DX',
      bodyPart: 'CHEST',
      viewPosition: 'PA',
      studyUid: '1.2.3.4',
      seriesUid: '1.2.3.4.5',
      instanceUid: '1.2.3.4.5.6',
    },
  );
  assert.deepEqual(dicom.findings, []);
  assert.doesNotMatch(JSON.stringify([dicom, await dicom.frame()]), /Doe|Jane|ID-4711|1970|Smith/);
});

test("detector spacing says that it is not the patient's", async () => {
  const { about } = await openDicom(deep({ '00181164': ['DS', '0.143\\0.143'] }));
  assert.deepEqual(about.spacing, { row: 0.143, column: 0.143, at: 'detector' });
  assert.equal((await openDicom(deep())).about.spacing, null);
  // Pixel Spacing of the same values is the detector's too, unless it says how it was calibrated.
  const same = { '00181164': ['DS', '0.143\\0.143'], '00280030': ['DS', '0.1430\\0.143'] };
  assert.equal((await openDicom(deep(same))).about.spacing?.at, 'detector');
  assert.equal((await openDicom(deep({ ...same, '00280a02': ['CS', 'GEOMETRY'] }))).about.spacing?.at, 'patient');
});

/** level, tag and value of what a file's tags lead to. @type {[string, Record<string, any>, string[]][]} */
const FINDINGS = [
  ['a CT', { '00080060': ['CS', 'CT'] }, ['refuse (0008,0060) CT']],
  ['mammography', { '00080060': ['CS', 'MG'] }, ['refuse (0008,0060) MG']],
  ['a screen capture', { '00080060': ['CS', 'OT'] }, ['warn (0008,0060) OT']],
  ['no modality', { '00080060': null }, ['warn (0008,0060) ']],
  ['a hand', { '00180015': ['CS', 'HAND'] }, ['refuse (0018,0015) HAND']],
  ['an abdomen', { '00180015': ['CS', 'ABDOMEN'] }, ['refuse (0018,0015) ABDOMEN']],
  ['cervical spine with a dash', { '00180015': ['CS', 'C-SPINE'] }, ['refuse (0018,0015) C-SPINE']],
  ['lumbar spine', { '00180015': ['CS', 'L SPINE'] }, ['refuse (0018,0015) L SPINE']],
  ...['CERVICAL SPINE', 'LUMBAR SPINE', 'LUMBOSACRAL SPINE', 'ABDOMEN FOREIGN BODY', 'THORACOLUMBAR'].map(
    (part) =>
      /** @type {[string, Record<string, any>, string[]]} */ ([
        `the body part ${part}`,
        { '00180015': ['CS', part] },
        [`refuse (0018,0015) ${part}`],
      ]),
  ),
  ...['SPINE', 'WHOLEBODY', 'CERVICOTHORACIC'].map(
    (part) =>
      /** @type {[string, Record<string, any>, string[]]} */ ([
        `the body part ${part}`,
        { '00180015': ['CS', part] },
        [`warn (0018,0015) ${part}`],
      ]),
  ),
  ['thoracic spine', { '00180015': ['CS', 'TSPINE'] }, ['warn (0018,0015) TSPINE']],
  ['thoracic spine in words', { '00180015': ['CS', 'Thoracic spine'] }, ['warn (0018,0015) Thoracic spine']],
  ['thoracic vertebrae', { '00180015': ['CS', 'THORACIC VERTEBRA'] }, ['warn (0018,0015) THORACIC VERTEBRA']],
  ['dorsal spine', { '00180015': ['CS', 'DORSAL SPINE'] }, ['warn (0018,0015) DORSAL SPINE']],
  [
    'a word within a word',
    { '00180015': ['CS', 'SURFACE'], '00185101': ['CS', 'BILATERAL'] },
    ['warn (0018,0015) SURFACE', 'warn (0018,5101) BILATERAL'],
  ],
  ['a polarity that contradicts itself', { 20500020: ['CS', 'INVERSE'] }, ['warn (2050,0020) INVERSE']],
  ['cervical spine', { '00180015': ['CS', 'CSPINE'] }, ['refuse (0018,0015) CSPINE']],
  ['ribs', { '00180015': ['CS', 'RIB'] }, ['warn (0018,0015) RIB']],
  ['portable chest', { '00180015': ['CS', 'PORT CHEST'] }, []],
  ['chest and abdomen', { '00180015': ['CS', 'CHESTABDOMEN'] }, []],
  [
    'a chest in Korean',
    { '00080005': ['CS', 'ISO_IR 192'], '00180015': null, '00082218': ['SQ', [{ '00080104': ['LO', Buffer.from('흉부')] }]] },
    [],
  ],
  ['no body part', { '00180015': null }, []],
  ['a left lateral', { '00185101': ['CS', 'LL'] }, ['refuse (0018,5101) LL']],
  ['a lateral', { '00185101': ['CS', 'LATERAL'] }, ['refuse (0018,5101) LATERAL']],
  ['a lateral in one of two words', { '00185101': ['CS', 'LEFT_LATERAL'] }, ['refuse (0018,5101) LEFT_LATERAL']],
  ...[
    'LAT',
    'LLAT',
    'RLAT',
    'L LAT',
    'R LAT',
    'AP LAT',
    'PA_LAT',
    'PA AND LAT',
    'LT LAT',
    'LAT L',
    'CHEST LAT',
    'XTABLE LAT',
    'AP OBL',
    'OBL',
  ].map(
    (view) =>
      /** @type {[string, Record<string, any>, string[]]} */ ([
        `the view ${view}`,
        { '00185101': ['CS', view] },
        [`refuse (0018,5101) ${view}`],
      ]),
  ),
  ['an abbreviation within a word', { '00185101': ['CS', 'BILAT'] }, ['warn (0018,5101) BILAT']],
  ['decubitus', { '00185101': ['CS', 'LLD'] }, ['warn (0018,5101) LLD']],
  ['oblique', { '00185101': ['CS', 'RAO'] }, ['refuse (0018,5101) RAO']],
  ['AP', { '00185101': ['CS', 'AP'] }, []],
  [
    'lateral by code',
    { '00185101': null, '00540220': ['SQ', [{ '00080104': ['LO', 'left lateral'] }]] },
    ['refuse (0054,0220) left lateral'],
  ],
  [
    'lateral by code, in a sequence of unknown VR',
    { '00185101': null, '00540220': unknown([{ '00080104': ['LO', 'left lateral'] }]) },
    ['refuse (0054,0220) left lateral'],
  ],
  ['lateral by orientation', { '00185101': null, '00200020': ['CS', 'A\\F'] }, ['refuse (0020,0020) A\\F']],
  ...['F\\A', 'H\\A', 'F\\P'].map(
    (sides) =>
      /** @type {[string, Record<string, any>, string[]]} */ ([
        `lateral on its side, ${sides}`,
        { '00185101': null, '00200020': ['CS', sides] },
        [`refuse (0020,0020) ${sides}`],
      ]),
  ),
  ['frontal on its side', { '00185101': null, '00200020': ['CS', 'F\\R'] }, []],
  ['frontal by orientation', { '00185101': null, '00200020': ['CS', 'L\\F'] }, []],
  ['no window', { '00281050': null }, ['warn (0028,1050) ']],
  ['raw data', { '00080068': ['CS', 'FOR PROCESSING'] }, ['warn (0008,0068) FOR PROCESSING']],
  ['text on the picture', { '00280301': ['CS', 'YES'] }, ['warn (0028,0301) YES']],
  [
    'refusals first',
    { '00080068': ['CS', 'FOR PROCESSING'], '00185101': ['CS', 'RL'] },
    ['refuse (0018,5101) RL', 'warn (0008,0068) FOR PROCESSING'],
  ],
];

for (const [name, tags, expected] of FINDINGS) {
  test(`findings: ${name}`, async () => {
    const { findings } = await openDicom(deep({ ...windowed(2048, 4096), ...tags }));
    assert.deepEqual(
      findings.map((/** @type {any} */ f) => `${f.level} ${f.tag} ${f.value}`),
      expected,
    );
    for (const { code, tag, message } of findings) {
      assert.match(code, /^dicom-[a-z-]+$/);
      assert.ok(message.includes(tag));
    }
  });
}

test('no element is taken apart that nothing reads', () => {
  const source = ['../dicom.js', ...readdirSync('web/dicom')]
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(`web/dicom/${name}`, 'utf8'))
    .join('');
  const [, wanted] = /const WANTED = new Set\(\s*\[(.*?)\]\.flatMap/s.exec(source) ?? [];
  const tags = [...wanted.matchAll(/\b[\da-f]{8}\b/g)].map(([tag]) => tag);
  // Those of the palette are put together from their beginning and a number.
  assert.deepEqual(
    tags.filter((tag) => !source.includes(`x${tag}`) && !source.includes(`x${tag.slice(0, -1)}$`)),
    [],
  );
});

// ---- Refused --------------------------------------------------------------------------------

/** @type {[string, () => Uint8Array, string][]} */
const REFUSED = [
  ['JPEG XL', () => deep({}, {}, { syntax: '1.2.840.10008.1.2.4.110' }), 'dicom-syntax'],
  ['MPEG-4', () => deep({}, {}, { syntax: '1.2.840.10008.1.2.4.102' }), 'dicom-syntax'],
  ['a private syntax', () => deep({}, {}, { syntax: '1.2.3.4' }), 'dicom-syntax'],
  [
    'a report',
    () =>
      dicomFile({
        '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.88.11'],
        '00080060': ['CS', 'SR'],
        '0040a040': ['CS', 'CONTAINER'],
      }),
    'dicom-no-image',
  ],
  ['1 bit', () => deep({ '00280100': ['US', 1], '00280101': ['US', 1], '00280102': ['US', 0] }), 'dicom-unsupported'],
  ['32 bits', () => deep({ '00280100': ['US', 32], '00280101': ['US', 32], '00280102': ['US', 31] }), 'dicom-unsupported'],
  ['more bits than there is room', () => deep({ '00280101': ['US', 17] }), 'dicom-corrupt'],
  ['CMYK', () => deep({ '00280004': ['CS', 'CMYK'], '00280002': ['US', 4] }), 'dicom-unsupported'],
  ['4:2:2 of 16 bits', () => deep({ '00280004': ['CS', 'YBR_FULL_422'], '00280002': ['US', 3] }), 'dicom-unsupported'],
  [
    '4:2:2 of an odd width',
    () => shallow({ '00280004': ['CS', 'YBR_FULL_422'], '00280002': ['US', 3], '00280011': ['US', 47] }),
    'dicom-corrupt',
  ],
  ['three samples of gray', () => deep({ '00280002': ['US', 3] }), 'dicom-corrupt'],
  ['no rows', () => deep({ '00280010': null }), 'dicom-corrupt'],
  ['zero rows', () => deep({ '00280010': ['US', 0] }), 'dicom-corrupt'],
  ['fewer pixels than announced', () => deep({ '00280010': ['US', 41] }), 'dicom-truncated'],
  ['fewer frames than announced', () => deep({ '00280008': ['IS', '2'] }), 'dicom-truncated'],
  ['a side too long', () => deep({ '00280011': ['US', 20000] }), 'image-side'],
  ['too many pixels', () => deep({ '00280010': ['US', 16000], '00280011': ['US', 16000] }), 'image-pixels'],
  ['compressed, but not in fragments', () => deep({}, {}, { syntax: '1.2.840.10008.1.2.4.70' }), 'dicom-corrupt'],
  [
    'JPEG that is none',
    () => deep({ '7fe00010': null }, {}, { syntax: '1.2.840.10008.1.2.4.70', tail: encapsulated([Buffer.alloc(100)]) }),
    'dicom-corrupt',
  ],
  [
    'JPEG-LS that is none',
    () => deep({ '7fe00010': null }, {}, { syntax: '1.2.840.10008.1.2.4.80', tail: encapsulated([Buffer.alloc(100)]) }),
    'dicom-corrupt',
  ],
  [
    'JPEG 2000 that is none',
    () => deep({ '7fe00010': null }, {}, { syntax: '1.2.840.10008.1.2.4.90', tail: encapsulated([Buffer.alloc(100)]) }),
    'dicom-corrupt',
  ],
  [
    'RLE for a huge picture',
    () =>
      deep(
        { '7fe00010': null, '00280010': ['US', 8000], '00280011': ['US', 8000] },
        {},
        { syntax: '1.2.840.10008.1.2.5', tail: encapsulated([Buffer.alloc(100)]) },
      ),
    'dicom-corrupt',
  ],
  ['no fragments', () => deep({ '7fe00010': null }, {}, { syntax: '1.2.840.10008.1.2.5', tail: encapsulated([]) }), 'dicom-truncated'],
  ['a palette without entries', () => shallow({ '00280004': ['CS', 'PALETTE COLOR'] }), 'dicom-corrupt'],
  [
    'a LUT that is too short',
    () => deep({ '00283010': ['SQ', [{ '00283002': ['US', [100, 0, 16]], '00283006': ['US', [1, 2]] }]] }),
    'dicom-corrupt',
  ],
  ['data that do not inflate', () => deep({}, {}, { syntax: '1.2.840.10008.1.2.1.99' }), 'dicom-corrupt'],
];

for (const [name, make, code] of REFUSED) {
  test(`refused: ${name}`, async () => assert.equal((await refusal(make()))?.code, code));
}

test('refusals of syntaxes have their name', async () => {
  assert.match((await refusal(deep({}, {}, { syntax: '1.2.840.10008.1.2.4.112' })))?.message ?? '', /JPEG XL/);
  assert.match((await refusal(deep({}, {}, { syntax: '1.2.3.4' })))?.message ?? '', /1\.2\.3\.4/);
});

test('a DICOMDIR is told apart', async () => {
  const file = dicomFile({ '00041130': ['CS', 'DISC'] });
  const meta = Buffer.from(file);
  // The header of a DICOMDIR names its class before its syntax.
  const uid = Buffer.from('1.2.840.10008.1.3.10');
  const element = Buffer.concat([Buffer.from([2, 0, 2, 0]), Buffer.from('UI'), Buffer.from([uid.length, 0]), uid]);
  const withClass = Buffer.concat([meta.subarray(0, 144), element, meta.subarray(144)]);
  assert.equal((await refusal(withClass))?.code, 'dicom-directory');
});
