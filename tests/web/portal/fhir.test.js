// fhir.test.js - the bundle names the study and its PACS, and reaches a FHIR server by the portal's own fetch. The server here
// takes only what an independent validator finds valid.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { postFhir, toFhir } from '../../../web/fhir.js';
import { withServer } from './server.js';
import { madeUp } from '../made-up.js';

const { Fhir } = createRequire(import.meta.url)('fhir');
const PACS = 'https://pacs.example/dicom-web';
const dicom = {
  studyUid: '1.2.3',
  seriesUid: '1.2.3.1',
  instanceUid: '1.2.3.1.1',
  sopClass: '1.2.840.10008.5.1.4.1.1.1.1',
  modality: 'DX',
};
const result = madeUp({ verdict: 'normal', cells: [], more: { file: 'DX-1.dcm', dicom } });

/** @param {any} bundle @param {string} type @returns {any} its only entry of a type */
function only(bundle, type) {
  const found = bundle.entry.filter((/** @type {any} */ { resource }) => resource.resourceType === type);
  assert.equal(found.length, 1, type);
  return found[0];
}

const problemsOf = (/** @type {any} */ bundle) =>
  new Fhir()
    .validate(bundle, { errorOnUnexpected: true })
    .messages.filter((/** @type {any} */ { severity }) => severity === 'error' || severity === 'fatal');

test('with `pacs` the bundle has the study with its endpoint, and all that is derived from it says so', () => {
  for (const options of [{}, { patient: 'Patient/1' }, { patient: 'Patient/1', type: /** @type {const} */ ('transaction') }]) {
    const bundle = toFhir(result, { ...options, pacs: PACS });
    assert.deepEqual(problemsOf(bundle), []);
    const study = only(bundle, 'ImagingStudy'),
      endpoint = only(bundle, 'Endpoint'),
      report = only(bundle, 'DiagnosticReport');
    assert.equal(endpoint.resource.address, PACS);
    assert.equal(endpoint.resource.connectionType.code, 'dicom-wado-rs');
    assert.deepEqual(study.resource.endpoint, [{ reference: endpoint.fullUrl }]);
    assert.deepEqual(study.resource.identifier, [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }]);
    assert.equal(study.resource.series[0].instance[0].uid, dicom.instanceUid);
    assert.deepEqual(report.resource.imagingStudy, [{ reference: study.fullUrl }]);
    for (const { resource } of bundle.entry)
      if (resource.resourceType === 'Observation') assert.deepEqual(resource.derivedFrom[0], { reference: study.fullUrl });
  }
});

test('a study of which the file says less is named by what it says; a picture that is no DICOM has none', () => {
  const bundle = toFhir({ ...result, dicom: { ...dicom, sopClass: null } }, { pacs: PACS });
  assert.deepEqual(problemsOf(bundle), []);
  assert.equal('series' in only(bundle, 'ImagingStudy').resource, false);
  assert.equal(JSON.stringify(toFhir({ ...result, dicom: undefined }, { pacs: PACS })).includes('Endpoint'), false);
});

test('an ImagingStudy of the server takes the place of ours', () => {
  const bundle = toFhir(result, { pacs: PACS, imagingStudy: 'ImagingStudy/3' });
  assert.deepEqual(only(bundle, 'DiagnosticReport').resource.imagingStudy, [{ reference: 'ImagingStudy/3' }]);
  assert.equal(JSON.stringify(bundle).includes('Endpoint'), false);
});

test('the bundle is posted with the fetch that was handed in; a second image of a study makes no second study', async () => {
  /** @type {any[]} */
  const taken = [];
  await withServer(
    (request, response) => {
      let body = '';
      request
        .on('data', (text) => (body += text))
        .on('end', () => {
          taken.push(JSON.parse(body));
          const invalid = problemsOf(taken.at(-1)).length > 0;
          response
            .writeHead(invalid ? 422 : 200, { 'Content-Type': 'application/fhir+json' })
            .end(JSON.stringify({ resourceType: invalid ? 'OperationOutcome' : 'Bundle', type: 'transaction-response' }));
        });
    },
    async ({ root, asked }) => {
      const fetch = (/** @type {string} */ url, /** @type {RequestInit} */ init) =>
        globalThis.fetch(url, { ...init, headers: { ...init.headers, Authorization: 'Bearer t' } });
      const bundle = toFhir(result, { pacs: PACS, patient: 'Patient/1', type: 'transaction' });
      assert.equal((await postFhir(bundle, `${root}/`, { fetch })).type, 'transaction-response');
      await postFhir(toFhir(result), root, { fetch });
      assert.deepEqual(
        asked.map(({ url }) => url),
        ['/dicom-web', '/dicom-web/Bundle'],
      );
      assert.deepEqual([asked[0].headers.authorization, asked[0].headers['content-type']], ['Bearer t', 'application/fhir+json']);
      assert.deepEqual(taken[0], bundle);
      const conditions = taken[0].entry.flatMap((/** @type {any} */ { request }) => request.ifNoneExist ?? []).map(decodeURIComponent);
      assert.deepEqual(conditions, ['identifier=urn:dicom:uid|urn:oid:1.2.3', `identifier=urn:ietf:rfc:3986|${PACS}`]);
      delete bundle.entry[0].resource.status;
      await assert.rejects(postFhir(bundle, root, { fetch }), {
        code: 'fhir-refused',
        status: 422,
        outcome: { resourceType: 'OperationOutcome', type: 'transaction-response' },
      });
    },
  );
});

test('a FHIR server that redirects, or answers with a login page, has not taken the bundle', async () => {
  await withServer(
    (_, response) => response.end(),
    async (other) => {
      await withServer(
        (_, response) => response.writeHead(307, { Location: other.root }).end(),
        ({ root }) => assert.rejects(postFhir(toFhir(result), root), { code: 'fhir-refused', status: 307 }),
      );
      assert.deepEqual(other.asked, []);
    },
  );
  await withServer(
    (_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>'),
    ({ root }) => assert.rejects(postFhir(toFhir(result), root), { code: 'fhir-refused' }),
  );
});
