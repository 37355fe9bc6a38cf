// sr.test.js - the Structured Report: DCMTK and pydicom read it, it says what the result says, names the image, and
// holds of the patient what the caller passed and nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { web } from './module.js';
import { dicomFile, radiograph } from './write.js';

const { createClassifier } = await import(new URL('classifier.js', web).href);
const { identityOf } = await import(new URL('dicom.js', web).href);
const { toDicomSr } = await import(new URL('dicom-sr.js', web).href);
const skip = spawnSync('dsrdump', ['--version']).status === 0 ? false : 'needs the Debian package dcmtk';
const PYTHON = process.env.PYTHON ?? '/usr/bin/python3';

const folder = mkdtempSync(join(tmpdir(), 'cxrlens-sr-'));
after(() => rmSync(folder, { recursive: true }));

const cxr = await createClassifier({ workers: 0 });
const xray = dicomFile(radiograph({ width: 64, height: 64, pixels: Uint8Array.from({ length: 4096 }, (_, i) => i % 251) }));
const read = await cxr.classify(xray);
cxr.dispose();

const date = new Date('2026-11-24T08:01:02.345Z');
/** A result of each kind. @param {string} verdict */
const resultOf = (verdict) => ({ ...read, verdict, gate: { ...read.gate, accepted: verdict !== 'not-a-chest-x-ray' } });

/** What a tool says of a report; any complaint is a failure. @param {string} tool @param {Uint8Array} bytes @param {string[]} options */
function dump(tool, bytes, ...options) {
  const path = join(folder, 'report.dcm');
  writeFileSync(path, bytes);
  const done = spawnSync(tool, [...options, path], { encoding: 'utf8' });
  assert.deepEqual([done.status, done.stderr], [0, ''], done.stdout);
  return done.stdout;
}

for (const verdict of [
  'normal',
  'covid-19',
  'viral-pneumonia',
  'lung-opacity',
  'uncertain',
  'not-a-chest-x-ray',
  'class-of-another-model',
]) {
  test(`"${verdict}" is a Comprehensive SR that DCMTK reads whole`, { skip }, () => {
    const result = resultOf(verdict);
    const said = dump(
      'dsrdump',
      toDicomSr(result, { date }),
      '--print-all-codes',
      '--print-template-id',
      '--print-long-values',
      '--print-instance-uid',
    );
    assert.match(said, /Comprehensive SR Document/);
    assert.match(said, /TID 1500 \(DCMR\)/);
    assert.match(said, /IMAGE:.*1\.2\.3\.4\.5\.6/);
    assert.match(said, /not a medical device/);
    const figures = [...said.matchAll(/NUM:\(probability-([\w-]+),99CXRLENS,"[^"]*"\)="([\d.]+)"/g)].map(([, id, figure]) => [
      id,
      Number(figure),
    ]);
    const expected = result.gate.accepted
      ? result.classes.map((/** @type {any} */ { id, probability }) => [id, Number(probability.toFixed(6))])
      : [];
    assert.deepEqual(figures, expected);
    // Loaders of viewers read the container without asking whether it is there.
    assert.match(said, /CONTAINER:\(126010,DCM,/);
    assert.match(said, new RegExp(`NUM:\\(gate-score,99CXRLENS,"[^"]*"\\)="${result.gate.score.toFixed(6)}"`));
    const code = { normal: '168733007,SCT', 'viral-pneumonia': '75570004,SCT' }[verdict] ?? `${verdict},99CXRLENS`;
    assert.match(said, new RegExp(`CODE:\\(verdict,99CXRLENS,[^\\n]*=\\(${code},`));
  });
}

test('its tags name the study, the image and the patient as far as the caller did', { skip }, () => {
  const bare = dump('dcmdump', toDicomSr(read, { date }));
  assert.match(bare, /\(0010,0010\) PN \(no value available\)/);
  assert.match(bare, /\(0020,000d\) UI \[1\.2\.3\.4\]/);
  assert.match(bare, /\(0040,a493\) CS \[UNVERIFIED\]/);
  assert.doesNotMatch(bare, /Doe|Jane|\(0010,0021\)|\(0008,1030\)/);
  const named = dump(
    'dcmdump',
    toDicomSr(read, {
      date,
      patient: { name: '홍^길동', id: '4711', birthDate: '19700101', sex: 'M' },
      study: { accession: 'A1', date: '20261124' },
    }),
    '--convert-to-utf8',
  );
  for (const value of [/\[홍\^길동\]/, /\(0010,0020\) LO \[4711\]/, /\(0010,0030\) DA \[19700101\]/, /\(0008,0050\) SH \[A1\]/])
    assert.match(named, value);
});

test('it names who issued the ID, and what the study is called, as the image does', { skip }, async () => {
  const identity = await identityIn('ISO_IR 100', {
    '00100020': ['LO', '4711'],
    '00100021': ['LO', 'Clinic'],
    '00081030': ['LO', 'Chest, two views'],
  });
  const said = dump('dcmdump', toDicomSr(read, { ...identity, date }));
  for (const value of [/\(0010,0021\) LO \[Clinic\]/, /\(0008,1030\) LO \[Chest, two views\]/]) assert.match(said, value);
});

test('of an image with several frames it names the one that was read', { skip }, () => {
  const named = (/** @type {number} */ frames) =>
    dump('dcmdump', toDicomSr({ ...read, dicom: { ...read.dicom, frames, frame: 1 } }, { date }));
  assert.match(named(2), /\(0008,1160\) IS \[2\]/);
  assert.doesNotMatch(named(1), /\(0008,1160\)/);
});

// The names of PS3.5 H.3, I.2, J.3 and K.2, and one of ISO 8859-1.
for (const [characterSet, name, bytes] of [
  [
    '\\ISO 2022 IR 87',
    'Yamada^Tarou=山田^太郎=やまだ^たろう',
    '59616d6164615e5461726f753d1b24423b3345441b28425e1b244242404f3a1b28423d1b24422464245e24401b28425e1b2442243f246d24261b2842',
  ],
  ['ISO 2022 IR 13\\ISO 2022 IR 87', 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎', 'd4cfc0de5ec0dbb33d1b24423b3345441b284a5e1b244242404f3a1b284a'],
  [
    '\\ISO 2022 IR 149',
    'Hong^Gildong=洪^吉洞=홍^길동',
    '486f6e675e47696c646f6e673d1b242943fbf35e1b242943d1ced4d73d1b242943c8ab5e1b242943b1e6b5bf',
  ],
  ['\\ISO 2022 IR 58', 'Zhang^XiaoDong=张^小东', '5a68616e675e5869616f446f6e673d1b242941d5c55e1b242941d0a1b6ab'],
  ['GB18030', 'Wang^XiaoDong=王^小东', '57616e675e5869616f446f6e673dcdf55ed0a1b6ab'],
  ['ISO_IR 192', 'Wang^XiaoDong=王^小東', '57616e675e5869616f446f6e673de78e8b5ee5b08fe69db1'],
  ['ISO_IR 100', 'Äneas^Rüdiger', 'c46e6561735e52fc6469676572'],
]) {
  test(`the patient's name in ${characterSet} is read`, async () => {
    const image = radiograph(
      { width: 2, height: 2, pixels: new Uint8Array(4) },
      {
        '00080005': ['CS', characterSet],
        '00080020': ['DA', '20261124'],
        '00100010': ['PN', Buffer.from(bytes, 'hex')],
      },
    );
    assert.deepEqual(await identityOf(dicomFile(image)), {
      patient: { name, id: '', issuer: '', birthDate: '', sex: '' },
      study: { date: '20261124', time: '', zone: '', id: '', accession: '', referrer: '', description: '' },
    });
  });
}

/** @param {string|null} characterSet @param {Record<string, any>} more */
const identityIn = (characterSet, more) =>
  identityOf(
    dicomFile(
      radiograph(
        { width: 2, height: 2, pixels: new Uint8Array(4) },
        { '00080005': characterSet === null ? null : ['CS', characterSet], ...more },
      ),
    ),
  );

test('what is not in the character set that the file names is refused; what is plain ASCII, and what is misspelt but plain, is read', async () => {
  const latin = { '00100010': ['PN', Buffer.from('c46e656173', 'hex')] };
  const refused = { name: 'DicomError', code: 'dicom-unsupported' };
  for (const set of ['ISO_IR 192', 'ISO_IR 999', 'KOI8-R', 'ISO_IR 6', null])
    await assert.rejects(identityIn(set, latin), refused, `${set}`);
  await assert.rejects(identityIn('ISO_IR 192', { '00100020': ['LO', Buffer.from('34ff3131', 'hex')] }), refused, 'ID');
  for (const set of ['ISO_IR 999', null]) assert.equal((await identityIn(set, {})).patient.name, 'Doe^Jane');
  for (const set of ['ISO_IR_192', 'ISO-IR 192', 'UTF-8', 'utf8'])
    assert.equal((await identityIn(set, { '00100010': ['PN', Buffer.from('홍^길동')] })).patient.name, '홍^길동', set);
});

test('a NUL ends a text', async () => {
  const { patient } = await identityIn(null, { '00100010': ['PN', 'Doe^Jane\0\0Roe'], '00100020': ['LO', '4711\0'] });
  assert.deepEqual([patient.name, patient.id], ['Doe^Jane', '4711']);
});

test('its times are in the zone of the study, or, if that names none, in the local one', { skip }, async () => {
  const times = async (/** @type {Record<string, any>} */ more) => {
    const identity = await identityOf(
      dicomFile(
        radiograph(
          { width: 2, height: 2, pixels: new Uint8Array(4) },
          { '00080020': ['DA', '20261123'], '00080030': ['TM', '143000'], ...more },
        ),
      ),
    );
    const said = dump('dcmdump', toDicomSr(read, { ...identity, date }));
    return [...said.matchAll(/^\(0008,(?:0020|0030|0023|0033|0201)\) .. \[([^\]]*)/gm)].map(([, value]) => value.trim());
  };
  const { TZ } = process.env;
  process.env.TZ = 'Asia/Seoul';
  try {
    assert.deepEqual(await times({}), ['20261123', '20261124', '143000', '170102.345']);
    assert.deepEqual(await times({ '00080201': ['SH', '-0930'] }), ['20261123', '20261123', '143000', '223102.345', '-0930']);
    assert.deepEqual(await times({ '00080201': ['SH', 'Z'] }), ['20261123', '20261124', '143000', '170102.345'], 'no zone');
  } finally {
    if (TZ === undefined) delete process.env.TZ;
    else process.env.TZ = TZ;
  }
});

test('pydicom reads it, and its evidence is the image', { skip }, () => {
  writeFileSync(join(folder, 'report.dcm'), toDicomSr(read, { date, study: { zone: '+0000' } }));
  const script =
    'import sys, pydicom; d = pydicom.dcmread(sys.argv[1]); e = d.CurrentRequestedProcedureEvidenceSequence[0]; ' +
    's = e.ReferencedSeriesSequence[0]; print(d.SOPClassUID.name, e.StudyInstanceUID, s.SeriesInstanceUID, ' +
    's.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, d.ContentDate, d.ContentTime)';
  const done = spawnSync(PYTHON, ['-c', script, join(folder, 'report.dcm')], { encoding: 'utf8' });
  assert.equal(done.stdout.trim(), 'Comprehensive SR Storage 1.2.3.4 1.2.3.4.5 1.2.3.4.5.6 20261124 080102.345', done.stderr);
});

test('the same arguments give the same bytes, others other UIDs', () => {
  assert.deepEqual(toDicomSr(read, { date }), toDicomSr(read, { date }));
  const uidOf = (/** @type {Uint8Array} */ bytes) =>
    Buffer.from(bytes)
      .toString('latin1')
      .match(/2\.25\.\d+/g)
      ?.find((uid) => !uid.startsWith('2.25.107277')) ?? '';
  assert.notEqual(uidOf(toDicomSr(read, { date })), uidOf(toDicomSr(read, { date: new Date(0) })));
  assert.ok(uidOf(toDicomSr(read, { date })).length <= 64);
});

test('a text longer than DICOM can hold is refused, not cut into', () => {
  assert.throws(() => toDicomSr(read, { date, patient: { name: 'é'.repeat(40_000) } }), TypeError);
});

test('a picture that is no DICOM needs its source named', () => {
  const { dicom, ...plain } = read;
  assert.throws(() => toDicomSr(plain, { date }), TypeError);
  assert.throws(() => toDicomSr(plain, { date, source: { ...dicom, studyUid: '1.2.x' } }), /studyUid/);
  assert.ok(toDicomSr(plain, { date, source: dicom }).length > 1000);
});
