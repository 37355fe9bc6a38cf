// answer.test.js - what classify() says of a DICOM file: the schema's fields, warnings and refusals that name their
// tag, the frame and the window asked for, UIDs in FHIR, and nothing of the patient.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { openDicom, web } from './module.js';
import { dicomFile, radiograph } from './write.js';

const { createClassifier } = await import(new URL('classifier.js', web).href);
const { toFhir } = await import(new URL('fhir.js', web).href);
const require = createRequire(import.meta.url);
const { Fhir } = require('fhir');
const Ajv = require('ajv/dist/2020.js').default;
/** @type {any} a type guard, for which every answer would be unknown */
const valid = new Ajv({ strict: true, allowUnionTypes: true }).compile(JSON.parse(readFileSync('web/result.schema.json', 'utf8')));

const cxr = await createClassifier({ workers: 1 });
after(() => cxr.dispose());

const [width, height] = [120, 100];
const pixels = Uint16Array.from({ length: width * height }, (_, i) => (i * 13) % 4096);

/** @param {Record<string, any>} [more] @param {Uint16Array} [samples] */
const xray = (more = {}, samples = pixels) =>
  dicomFile(radiograph({ width, height, bits: 12, pixels: samples }, { '00281050': ['DS', '2048'], '00281051': ['DS', '4096'], ...more }));

/** What one input decides. @param {any} result */
const answer = ({ verdict, classes, gate }) => ({ verdict, classes, gate });

test('a result has the fields of the schema, the file and its hash', async () => {
  const file = xray({ '00181164': ['DS', '0.143\\0.143'], '00200062': ['CS', 'U'], '00100020': ['LO', 'ID-4711'] });
  const result = await cxr.classify(new File([file], 'IM000001'));
  assert.ok(valid(result), JSON.stringify(valid.errors));
  assert.equal(result.file, 'IM000001');
  assert.equal(result.sha256, createHash('sha256').update(file).digest('hex'));
  assert.deepEqual(result.image, { width, height, format: 'dicom' });
  assert.deepEqual(result.dicom, {
    transferSyntax: { uid: '1.2.840.10008.1.2.1', name: 'Explicit VR Little Endian' },
    modality: 'DX',
    bodyPart: 'CHEST',
    viewPosition: 'PA',
    laterality: 'U',
    presentationIntent: null,
    burnedIn: false,
    spacing: { row: 0.143, column: 0.143, at: 'detector' },
    studyUid: '1.2.3.4',
    seriesUid: '1.2.3.4.5',
    instanceUid: '1.2.3.4.5.6',
    sopClass: '1.2.840.10008.5.1.4.1.1.1.1',
    photometric: 'MONOCHROME2',
    bits: 12,
    frames: 1,
    frame: 0,
    window: { kind: 'window', shape: 'linear', centre: 2048, width: 4096, explanation: null },
    findings: [],
  });
  assert.ok(Object.isFrozen(result.dicom) && Object.isFrozen(result.dicom.findings));
  assert.doesNotMatch(JSON.stringify(result), /Doe|Jane|ID-4711/);
});

test('what is no UID is not told as one', async () => {
  const { dicom } = await cxr.classify(xray({ '0020000d': ['UI', '1.2.x'], '00080018': ['UI', `1.${'2'.repeat(63)}`] }));
  assert.deepEqual([dicom.studyUid, dicom.seriesUid, dicom.instanceUid], [null, '1.2.3.4.5', null]);
});

test("the bytes stay the caller's", async () => {
  const file = Uint8Array.from(xray());
  const shared = new Uint8Array(new SharedArrayBuffer(file.length));
  shared.set(file);
  const expected = answer(await cxr.classify(file));
  assert.deepEqual(file, Uint8Array.from(xray()));
  assert.deepEqual(answer(await cxr.classify(shared)), expected);
});

for (const [name, tags, code, tag] of /** @type {[string, Record<string, any>, string, string][]} */ ([
  ['a CT', { '00080060': ['CS', 'CT'] }, 'dicom-modality', '(0008,0060)'],
  ['a hand', { '00180015': ['CS', 'HAND'] }, 'dicom-body-part', '(0018,0015)'],
  ['a lateral view', { '00185101': ['CS', 'LL'] }, 'dicom-view', '(0018,5101)'],
])) {
  test(`${name} is refused by its tag`, async () => {
    await assert.rejects(
      cxr.classify(new File([xray(tags)], 'x')),
      (/** @type {any} */ error) => error.name === 'CxrError' && error.code === code && error.message.includes(tag) && error.file === 'x',
    );
  });
}

for (const [name, tags, code, tag] of /** @type {[string, Record<string, any>, string, string][]} */ ([
  ['no modality', { '00080060': null }, 'dicom-modality', '(0008,0060)'],
  ['ribs', { '00180015': ['CS', 'RIB'] }, 'dicom-body-part', '(0018,0015)'],
  ['raw data', { '00080068': ['CS', 'FOR PROCESSING'] }, 'dicom-processing', '(0008,0068)'],
  ['no window', { '00281050': null, '00281051': null }, 'dicom-window', '(0028,1050)'],
  ['a contradiction', { '00280004': ['CS', 'MONOCHROME1'], 20500020: ['CS', 'IDENTITY'] }, 'dicom-polarity', '(2050,0020)'],
])) {
  test(`${name} is a warning that names its tag`, async () => {
    const result = await cxr.classify(xray(tags));
    assert.ok(valid(result), JSON.stringify(valid.errors));
    assert.ok(result.warnings.includes(code));
    assert.deepEqual(
      result.dicom.findings.map((/** @type {any} */ finding) => finding.tag),
      [tag],
    );
  });
}

test('the frame and the window asked for are read', async () => {
  const two = new Uint16Array(2 * pixels.length);
  two.set(pixels);
  two.set(
    pixels.map((v) => v >> 2),
    pixels.length,
  );
  const file = xray({ '00280008': ['IS', '2'], '00281050': ['DS', '2048\\512'], '00281051': ['DS', '4096\\1024'] }, two);
  const dicom = await openDicom(file);
  for (const [frame, window] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]) {
    const result = await cxr.classify(file, { dicom: { frame, window } });
    assert.deepEqual(answer(result), answer(await cxr.classify(await dicom.frame(frame, { window }))));
    assert.deepEqual([result.dicom.frame, result.dicom.window.centre], [frame, [2048, 512][window]]);
    assert.ok(result.warnings.includes('dicom-frames'));
  }
  await assert.rejects(cxr.classify(file, { dicom: { frame: 2 } }), { code: 'dicom-frame' });
  await assert.rejects(cxr.classify(file, { dicom: { window: 2 } }), { code: 'dicom-frame' });
});

test('a frame with windows of its own is read and named by them, one without any by its range', async () => {
  const three = new Uint16Array(3 * pixels.length);
  for (let i = 0; i < 3; i++) three.set(pixels, i * pixels.length);
  const group = (/** @type {string[]} */ ...centres) => ({
    '00289132': ['SQ', [{ '00281050': ['DS', centres], '00281051': ['DS', centres] }]],
  });
  const file = xray(
    { '00280008': ['IS', '3'], '00281050': null, '00281051': null, 52009230: ['SQ', [group('2048'), group('1024', '512'), {}]] },
    three,
  );
  const dicom = await openDicom(file);
  for (const [frame, window, centre] of /** @type {[number, number, number?][]} */ ([
    [0, 0, 2048],
    [1, 0, 1024],
    [1, 1, 512],
    [2, 0],
  ])) {
    const result = await cxr.classify(file, { dicom: { frame, window } });
    assert.equal(result.dicom.window?.centre, centre);
    assert.equal(result.warnings.includes('dicom-window'), centre === undefined);
    assert.equal(dicom.windowsOf(frame)[window]?.window.centre, centre);
    assert.equal((await dicom.frame(frame, { window })).window?.centre, centre);
  }
  await assert.rejects(dicom.frame(0, { window: 1 }), { code: 'dicom-frame' });
});

test('damaged files end in typed errors, and the classifier goes on', async () => {
  await assert.rejects(cxr.classify(xray().subarray(0, 5000)), { name: 'CxrError', code: 'dicom-truncated' });
  await assert.rejects(cxr.classify(xray({ '00280011': ['US', 20000] })), { name: 'CxrError', code: 'image-side' });
  const small = dicomFile(radiograph({ width: 8, height: 8, pixels: new Uint8Array(64) }));
  await assert.rejects(cxr.classify(small), { name: 'CxrError', code: 'image-small' });
  assert.ok(await cxr.classify(xray()));
});

test('study and instance are named in FHIR, unless the portal names the study', async () => {
  const result = await cxr.classify(xray());
  const bundle = toFhir(result);
  const problems = new Fhir()
    .validate(bundle, { errorOnUnexpected: true })
    .messages.filter((/** @type {any} */ each) => /error|fatal/.test(each.severity));
  assert.deepEqual(problems, []);
  const [report, verdict] = bundle.entry.map((/** @type {any} */ { resource }) => resource);
  const study = { type: 'ImagingStudy', identifier: { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3.4' } };
  assert.deepEqual(report.imagingStudy, [study]);
  assert.deepEqual(verdict.derivedFrom, [study, { type: 'Media', identifier: { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3.4.5.6' } }]);
  const own = toFhir(result, { imagingStudy: 'ImagingStudy/3' });
  assert.deepEqual(own.entry[0].resource.imagingStudy, [{ reference: 'ImagingStudy/3' }]);
  const without = toFhir({ ...result, dicom: { ...result.dicom, studyUid: null, instanceUid: null } });
  assert.ok(!JSON.stringify(without).match(/derivedFrom|imagingStudy/));
});
