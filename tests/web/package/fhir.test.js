// fhir.test.js - bundles pass an independent validator, say what the result says, and are the same each time;
// results and the command's lines keep to the published JSON Schema, and cxrlens-fhir turns those lines into bundles.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { at, createClassifier, golden, plainMaps } from '../engine/helpers.js';
import { madeUp } from '../made-up.js';

const { toFhir, toOutcome } = await import('../../../build/web/fhir.js');
const require = createRequire(import.meta.url);
const { Fhir } = require('fhir');
const Ajv = require('ajv/dist/2020.js').default;

/** @param {string} verdict @returns {any} */
const resultOf = (verdict) =>
  madeUp({
    verdict,
    warnings: ['heavy-borders'],
    cells:
      verdict === 'not-a-chest-x-ray'
        ? []
        : [
            [2, 7, 3, 2],
            [8, 5, 2, 2],
          ],
  });

const context = {
  patient: 'Patient/1',
  encounter: 'Encounter/2',
  imagingStudy: { reference: 'ImagingStudy/3', display: 'Chest' },
  serviceRequest: 'ServiceRequest/4',
  effective: '2026-11-24T08:00:00+09:00',
  issued: '2026-11-24T08:01:02.003+09:00',
};

/** @param {any} bundle */
function problemsOf(bundle) {
  const { messages } = new Fhir().validate(bundle, { errorOnUnexpected: true });
  return messages.filter((/** @type {any} */ { severity }) => severity === 'error' || severity === 'fatal');
}

/** @param {any} bundle @param {string} type */
const resources = (bundle, type) =>
  bundle.entry.map((/** @type {any} */ { resource }) => resource).filter((/** @type {any} */ each) => each.resourceType === type);

/** What each verdict is called, and its SNOMED CT code where there is one; a refusal has neither. @type {[string, string?, string?][]} */
const concepts = [
  ['normal', 'Normal chest X-ray', '168733007'],
  ['covid-19', 'COVID-19 pneumonia', '882784691000119100'],
  ['viral-pneumonia', 'Viral pneumonia', '75570004'],
  ['lung-opacity', 'Lung opacity'],
  ['class-of-another-model', 'class-of-another-model'],
  ['uncertain'],
  ['not-a-chest-x-ray'],
];
for (const [verdict, name, ...snomed] of concepts) {
  test(`a bundle for "${verdict}" is valid and names just that`, () => {
    for (const options of [
      {},
      context,
      { ...context, type: /** @type {const} */ ('transaction'), maps: true, picture: { contentType: 'image/png', data: 'iVBORw0KGgo=' } },
    ]) {
      const bundle = toFhir(resultOf(verdict), options);
      assert.deepEqual(problemsOf(bundle), []);
      const [{ conclusionCode, conclusion }] = resources(bundle, 'DiagnosticReport');
      if (!name) continue;
      assert.deepEqual(
        conclusionCode[0].coding.map((/** @type {any} */ { code }) => code),
        [verdict, ...snomed],
      );
      assert.ok(conclusion.startsWith(`Looks most like images labelled "${name}".`), conclusion);
    }
  });
}

test('the validator does find faults', () => {
  const bundle = toFhir(resultOf('normal'));
  bundle.entry[0].resource.status = 'done';
  delete bundle.entry[1].resource.code;
  bundle.entry[2].resource.probability = 1;
  assert.equal(problemsOf(bundle).length, 3);
});

test('every reference within the bundle leads somewhere', () => {
  const bundle = toFhir(resultOf('covid-19'), context);
  const known = bundle.entry.map((/** @type {any} */ { fullUrl }) => fullUrl);
  assert.equal(new Set(known).size, known.length);
  const used = [...JSON.stringify(bundle).matchAll(/"reference":"(urn:uuid:[^"]+)"/g)].map(([, url]) => url);
  assert.ok(used.length > 10);
  assert.deepEqual(
    used.filter((url) => !known.includes(url)),
    [],
  );
  for (const url of known) assert.match(url, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('the resources say what the result says', () => {
  const bundle = toFhir(resultOf('viral-pneumonia'), context);
  const [report] = resources(bundle, 'DiagnosticReport'),
    [device] = resources(bundle, 'Device');
  const [verdict, ...rest] = resources(bundle, 'Observation'),
    classes = rest.slice(0, 4);
  assert.equal(report.status, 'preliminary');
  assert.deepEqual(report.subject, { reference: 'Patient/1' });
  assert.deepEqual(report.imagingStudy, [context.imagingStudy]);
  assert.deepEqual(report.basedOn, [{ reference: 'ServiceRequest/4' }]);
  assert.equal(report.issued, context.issued);
  assert.equal(report.result.length, 8);
  assert.match(report.conclusion, /^Looks most like images labelled "Viral pneumonia"\. .*not a medical device/);
  assert.ok(device.identifier[0].value.endsWith('b'.repeat(64)));
  assert.ok(verdict.valueCodeableConcept.coding.some((/** @type {any} */ { code }) => code === '75570004'));
  assert.equal(verdict.component[0].valueQuantity.value, 0.9);
  assert.match(verdict.note[0].text, /heavy-borders/);
  assert.deepEqual(
    classes.map((/** @type {any} */ { valueQuantity }) => valueQuantity.value),
    [0.1, 0.1, 0.7, 0.1],
  );
  assert.ok(
    classes.every((/** @type {any} */ each) => !('interpretation' in each)),
    'a likeness is neither positive nor negative',
  );
});

test('findings are Observations with a body site, counted in one that holds them', () => {
  const bundle = toFhir(resultOf('covid-19'), context);
  const found = bundle.entry.filter((/** @type {any} */ { resource }) => ['findings', 'opacity'].includes(resource.code?.coding[0].code));
  const [all, ...each] = found.map((/** @type {any} */ { resource }) => resource);
  assert.equal(all.valueInteger, 2);
  assert.deepEqual(
    all.hasMember.map((/** @type {any} */ { reference }) => reference),
    found.slice(1).map((/** @type {any} */ { fullUrl }) => fullUrl),
  );
  assert.deepEqual(
    each.map((/** @type {any} */ { bodySite }) => [bodySite.coding[0].code, bodySite.text]),
    [
      ['3341006', 'right lower zone'],
      ['44029006', 'left middle zone'],
    ],
  );
  assert.deepEqual(
    each[0].component.map((/** @type {any} */ { valueQuantity }) => valueQuantity.value),
    [2 / 12, 7 / 12, 3 / 12, 2 / 12],
  );
  const [report] = resources(bundle, 'DiagnosticReport');
  assert.match(report.conclusion, /Opacities found: right lower zone, left middle zone\./);
  const [none] = resources(toFhir(resultOf('not-a-chest-x-ray')), 'Observation').filter(
    (/** @type {any} */ { code }) => code.coding[0].code === 'findings',
  );
  assert.equal(none.dataAbsentReason.coding[0].code, 'not-performed');
  assert.equal('valueInteger' in none, false);
});

test('doubt and refusal have no value but a reason', () => {
  for (const [verdict, reason] of [
    ['uncertain', 'unknown'],
    ['not-a-chest-x-ray', 'not-performed'],
  ]) {
    const bundle = toFhir(resultOf(verdict));
    const [report] = resources(bundle, 'DiagnosticReport'),
      [first, ...rest] = resources(bundle, 'Observation'),
      classes = rest.slice(0, 4);
    assert.equal(first.dataAbsentReason.coding[0].code, reason);
    assert.equal('valueCodeableConcept' in first, false);
    assert.equal('conclusionCode' in report, false);
    for (const each of classes) {
      assert.equal('valueQuantity' in each, verdict === 'uncertain');
      assert.equal('dataAbsentReason' in each, verdict !== 'uncertain', 'a value and a reason for its absence exclude each other');
      assert.equal(each.interpretation?.[0].coding[0].code, verdict === 'uncertain' ? 'IND' : undefined);
    }
  }
});

test('the maps are attached on request', () => {
  const [plain] = resources(toFhir(resultOf('normal')), 'DiagnosticReport');
  assert.equal('contained' in plain, false);
  const [report] = resources(
    toFhir(resultOf('normal'), { maps: true, picture: { contentType: 'image/png', data: 'AAAA', title: 'Map' } }),
    'DiagnosticReport',
  );
  const map = JSON.parse(Buffer.from(report.contained[0].content.data, 'base64').toString());
  assert.deepEqual(map, plainMaps(resultOf('normal').maps));
  assert.deepEqual(
    report.media.map((/** @type {any} */ { link }) => link.reference),
    report.contained.map((/** @type {any} */ { id }) => `#${id}`),
  );
  assert.equal(report.contained[1].content.title, 'Map');
});

test('a pure function: same in, same out; other in, other ids; nothing is changed', () => {
  const result = resultOf('normal');
  const before = JSON.stringify(result);
  const first = toFhir(result, context);
  assert.deepEqual(toFhir(result, context), first);
  assert.notEqual(toFhir(result, { ...context, patient: 'Patient/2' }).entry[0].fullUrl, first.entry[0].fullUrl);
  assert.equal(JSON.stringify(result), before);
});

test('results and the lines of the command keep to the JSON Schema', async () => {
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(JSON.parse(readFileSync(at('web/result.schema.json'), 'utf8')));
  const check = (/** @type {unknown} */ value) => assert.ok(validate(value), JSON.stringify(validate.errors));
  const cxr = await createClassifier({ workers: 0 });
  const plain = await cxr.classify(golden('phantom.png'));
  check(plain);
  const { maps, ...rest } = await cxr.classify({ data: new Uint8ClampedArray(64 * 64 * 4), width: 64, height: 64 }, { maps: true });
  check({ ...rest, maps: plainMaps(maps) });
  const { stdout } = spawnSync(
    at('build/cxrlens'),
    ['classify', '--format', 'json', '--model', at('build/web/cxrlens.cxrm'), at('tests/golden/images/phantom.png'), at('package.json')],
    { encoding: 'utf8' },
  );
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ error }) => Boolean(error)),
    [false, true],
  );
  lines.forEach(check);
  for (const wrong of [
    { ...plain, verdict: 1 },
    { ...plain, sha256: 'A' },
    { schema: 'cxrlens.result/2', file: null },
  ])
    assert.equal(validate(wrong), false);
  cxr.dispose();
});

test('an image without an answer is an OperationOutcome', () => {
  const outcome = JSON.parse(JSON.stringify(toOutcome({ code: 'image-format', message: 'Not a PNG or JPEG.' }, 'a.txt')));
  assert.deepEqual(problemsOf(outcome), []);
  assert.equal(outcome.issue[0].details.coding[0].code, 'image-format');
  assert.equal(outcome.issue[0].diagnostics, 'a.txt');
  assert.deepEqual(problemsOf(JSON.parse(JSON.stringify(toOutcome({ code: 'network', message: 'x' })))), []);
});

/** @param {string[]} args @param {string} input */
const cxrlensFhir = (args, input) =>
  spawnSync(process.execPath, [at('web/bin/cxrlens-fhir.js'), ...args], { encoding: 'utf8', input, maxBuffer: 2 ** 26 });

test('cxrlens classify | cxrlens-fhir: a valid Bundle per image, with its map on request', () => {
  const maps = mkdtempSync(join(tmpdir(), 'cxrlens-maps-'));
  try {
    const { stdout } = spawnSync(
      at('build/cxrlens'),
      [
        'classify',
        '--format',
        'json',
        '--maps',
        '--heatmap',
        maps,
        '--model',
        at('build/web/cxrlens.cxrm'),
        at('web/samples/synthetic-covid-19-1.jpg'),
        at('package.json'),
        at('tests/golden/images/noise.png'),
      ],
      { encoding: 'utf8' },
    );
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const context = [
      '--patient',
      'Patient/1',
      '--encounter',
      'Encounter/2',
      '--imaging-study',
      'ImagingStudy/3',
      '--service-request',
      'ServiceRequest/4',
      '--effective',
      '2026-11-24T08:00:00+09:00',
      '--issued',
      '2026-11-24T08:01:02.003+09:00',
      '--transaction',
      '--maps',
    ];
    const ran = cxrlensFhir(context, stdout);
    assert.equal(ran.status, 1, ran.stderr);
    const [xray, none, noise] = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const each of [xray, none, noise]) assert.deepEqual(problemsOf(each), []);
    assert.equal(none.resourceType, 'OperationOutcome');
    assert.equal(xray.type, 'transaction');
    const [report] = resources(xray, 'DiagnosticReport');
    assert.deepEqual(
      [report.subject.reference, report.encounter.reference, report.basedOn[0].reference, report.imagingStudy[0].reference],
      ['Patient/1', 'Encounter/2', 'ServiceRequest/4', 'ImagingStudy/3'],
    );
    const attached = (/** @type {any} */ report) =>
      report.contained.map((/** @type {any} */ { content }) => Buffer.from(content.data, 'base64'));
    assert.deepEqual(JSON.parse(attached(report)[0].toString()), lines[0].maps);
    assert.deepEqual(attached(report)[1], readFileSync(lines[0].picture));
    const classes = resources(xray, 'Observation').slice(1, 5);
    assert.deepEqual(
      classes.map((/** @type {any} */ { valueQuantity }) => valueQuantity.value),
      lines[0].classes.map((/** @type {any} */ { probability }) => probability),
    );
    const plain = cxrlensFhir([], stdout.split('\n')[0]);
    assert.equal(plain.status, 0, plain.stderr);
    assert.equal('contained' in resources(JSON.parse(plain.stdout), 'DiagnosticReport')[0], false);
  } finally {
    rmSync(maps, { recursive: true });
  }
});

test('cxrlens-fhir says what is wrong with its input', () => {
  for (const [args, input, pattern] of /** @type {[string[], string, RegExp][]} */ ([
    [['--patent', 'x'], '', /'--patent'[^]*Usage/],
    [['--patient'], '', /Usage/],
    [['xray.png'], '', /Usage/],
    [[], '{}', /no result/],
    [[], 'null', /no result/],
    [[], 'verdict,normal', /JSON/],
  ])) {
    const { status, stdout, stderr } = cxrlensFhir(args, input);
    assert.deepEqual([status, stdout], [2, ''], stderr);
    assert.match(stderr, pattern);
  }
  assert.match(cxrlensFhir(['--help'], '').stdout, /^Usage/);
});
