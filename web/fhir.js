// fhir.js - turns a result into FHIR R4 resources: a Bundle of a Device, Observations and a preliminary
// DiagnosticReport. A pure function: the same arguments give the same bytes, ids included. postFhir() sends it.

/**
 * @typedef {import('./engine/wasm.js').Result} Result
 * @typedef {string|{ reference?: string, identifier?: object, display?: string }} Reference 'Patient/1' or a FHIR Reference
 *
 * @typedef {object} FhirOptions what only the portal knows; every one may be left out
 * @property {Reference} [patient]
 * @property {Reference} [encounter]
 * @property {Reference} [imagingStudy] default: the study that a DICOM file says it belongs to
 * @property {string} [pacs] the root of a DICOMweb service that holds the study: the bundle then has an ImagingStudy with that
 *   Endpoint, unless `imagingStudy` says that the server has one
 * @property {Reference} [serviceRequest] the order that this answers
 * @property {string} [effective] when the image was taken, a FHIR dateTime
 * @property {string} [issued] when the answer was given, a FHIR instant
 * @property {boolean} [maps] adds the result's maps as numbers (JSON)
 * @property {{ contentType: string, data: string, title?: string }} [picture] of the image with its findings, in base64
 * @property {'collection'|'transaction'} [type] a transaction creates the resources on a server (default: collection)
 */

// Our own concepts. A UUID, because it needs no domain name that somebody must keep.
const ownSystem = 'urn:uuid:0b7d6f34-93a5-4e5c-8d21-6f1f0c9be7a2';
const snomed = 'http://snomed.info/sct';
const terminology = 'http://terminology.hl7.org/CodeSystem';
const dicomUid = 'urn:dicom:uid';
const uri = 'urn:ietf:rfc:3986';

/** What a class is called, and its SNOMED CT concept where one says just that. @type {Record<string, any>} */
const classConcepts = {
  normal: {
    text: 'Normal chest X-ray',
    coding: [{ system: snomed, code: '168733007', display: 'Standard chest X-ray normal (finding)' }],
  },
  'covid-19': {
    text: 'COVID-19 pneumonia',
    coding: [
      {
        system: snomed,
        code: '882784691000119100',
        display: 'Pneumonia caused by severe acute respiratory syndrome coronavirus 2 (disorder)',
      },
    ],
  },
  'viral-pneumonia': {
    text: 'Viral pneumonia',
    coding: [{ system: snomed, code: '75570004', display: 'Viral pneumonia (disorder)' }],
  },
  'lung-opacity': { text: 'Lung opacity', coding: [] },
};

/** The lung of a finding in SNOMED CT. */
const sides = {
  right: { code: '3341006', display: 'Right lung structure (body structure)' },
  left: { code: '44029006', display: 'Left lung structure (body structure)' },
  both: { code: '39607008', display: 'Lung structure (body structure)' },
};

/** Why there is no verdict. @type {Record<string, { code: string, display: string, text: string }>} */
const refusals = {
  uncertain: { code: 'unknown', display: 'Unknown', text: 'The model is not sure which class this is.' },
  'not-a-chest-x-ray': {
    code: 'not-performed',
    display: 'Not Performed',
    text: 'This does not look like an upright frontal chest X-ray, so it was not classified.',
  },
};

const notice = 'Computed by software for research and education that is not a medical device. Not a diagnosis.';

/**
 * @param {Result} result
 * @param {FhirOptions} [options]
 * @returns {Record<string, any>} a FHIR R4 Bundle
 */
export function toFhir(result, options = {}) {
  const idOf = idsFor(JSON.stringify([result, options]));
  const device = { fullUrl: idOf('device'), resource: deviceOf(result) };
  const archived = archiveOf(result, options, idOf);
  const imagingStudy = options.imagingStudy ?? archived[0]?.fullUrl;
  const shared = { ...contextOf(options), ...sourceOf(result, archived[0]?.fullUrl), device: { reference: device.fullUrl } };
  const classes = result.classes.map((each) => ({
    fullUrl: idOf(`class ${each.id}`),
    resource: classObservation(result, each, shared),
  }));
  const opacities = result.findings.map((finding, k) => ({ fullUrl: idOf(`finding ${k}`), resource: findingObservation(finding, shared) }));
  const found = { fullUrl: idOf('findings'), resource: findingsObservation(result, opacities, shared) };
  const verdict = { fullUrl: idOf('verdict'), resource: verdictObservation(result, classes, shared) };
  const observations = [verdict, ...classes, found, ...opacities];
  const report = { fullUrl: idOf('report'), resource: reportOf(result, observations, { ...options, imagingStudy }) };
  const entries = [report, ...observations, device, ...archived];
  const bundle = {
    resourceType: 'Bundle',
    type: options.type ?? 'collection',
    entry: options.type === 'transaction' ? entries.map(withRequest) : entries,
  };
  return JSON.parse(JSON.stringify(bundle)); // plain JSON, without the fields that stayed undefined
}

/**
 * What there is to say of an image that got no answer.
 * @param {{ code: string, message: string }} error
 * @param {string|null} [file]
 * @returns {Record<string, any>} a FHIR R4 OperationOutcome
 */
export const toOutcome = ({ code, message }, file = null) => ({
  resourceType: 'OperationOutcome',
  issue: [
    {
      severity: 'error',
      code: 'processing',
      details: { coding: [{ system: ownSystem, code }], text: message },
      diagnostics: file ?? undefined,
    },
  ],
});

/**
 * Posts a bundle to a FHIR server, which carries out a transaction and keeps a collection as it is.
 * @param {Record<string, any>} bundle
 * @param {string} base of the server, such as 'https://fhir.example/r4'
 * @param {{ fetch?: (url: string, init: RequestInit) => Promise<Response>, signal?: AbortSignal }} [options] fetch: the portal's own,
 *   which adds a token or sends cookies
 * @returns {Promise<any>} what the server answered
 * @throws {Error & { code: string, status: number, outcome: any }} when it refused; outcome: its OperationOutcome, if it sent one
 */
export async function postFhir(bundle, base, { fetch = globalThis.fetch, signal } = {}) {
  const url = base.replace(/\/*$/, bundle.type === 'transaction' ? '' : '/Bundle');
  const headers = { 'Content-Type': 'application/fhir+json', Accept: 'application/fhir+json' };
  // A redirect is not followed: no credential goes to another server.
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify(bundle),
    redirect: 'manual',
    cache: 'no-store',
    signal,
  });
  const outcome = await response.json().catch(() => null);
  if (response.ok && outcome) return outcome;
  throw Object.assign(new Error(`The FHIR server refused the report: status ${response.status}.`), {
    code: 'fhir-refused',
    status: response.status,
    outcome,
  });
}

/** On a server that has a resource of this identifier, a transaction makes no second one. @param {{ fullUrl: string, resource: any }} entry */
const withRequest = ({ fullUrl, resource }) => {
  const [{ system, value }] = ['Endpoint', 'ImagingStudy'].includes(resource.resourceType) ? resource.identifier : [{}];
  const ifNoneExist = value && `identifier=${encodeURIComponent(`${system}|${value}`)}`;
  return { fullUrl, resource, request: { method: 'POST', url: resource.resourceType, ifNoneExist } };
};

/** @param {Result} result */
const deviceOf = ({ model }) => ({
  resourceType: 'Device',
  identifier: [{ type: { text: 'SHA-256 of the model file' }, system: ownSystem, value: `sha256:${model.sha256}` }],
  status: 'active',
  deviceName: [{ name: `CXR Lens ${model.id}`, type: 'model-name' }],
  modelNumber: model.id,
  version: [{ value: model.version }],
  note: [{ text: notice }],
});

/**
 * Who and what it is about: what the Observations and the DiagnosticReport have in common.
 * @param {FhirOptions} options
 */
const contextOf = ({ patient, encounter, serviceRequest, effective, issued }) => ({
  status: 'preliminary',
  basedOn: serviceRequest && [reference(serviceRequest)],
  subject: patient && reference(patient),
  encounter: encounter && reference(encounter),
  effectiveDateTime: effective,
  issued,
});

/**
 * The DICOM objects that the answer was computed from, by their UIDs.
 * @param {Result} result
 * @param {string} [imagingStudy] in the bundle
 */
const sourceOf = ({ dicom }, imagingStudy) => ({
  derivedFrom: some([
    ...(imagingStudy ? [{ reference: imagingStudy }] : byUid('ImagingStudy', dicom?.studyUid)),
    ...byUid('Media', dicom?.instanceUid),
  ]),
});

/**
 * The study as an ImagingStudy, and the PACS where it lies as its Endpoint.
 * @param {Result} result
 * @param {FhirOptions} options
 * @param {(name: string) => string} idOf
 */
function archiveOf({ dicom }, { pacs, patient, imagingStudy }, idOf) {
  if (!pacs || imagingStudy || !dicom?.studyUid) return [];
  const { studyUid, seriesUid, instanceUid, sopClass, modality } = dicom;
  const endpoint = {
    fullUrl: idOf('endpoint'),
    resource: {
      resourceType: 'Endpoint',
      identifier: [{ system: uri, value: pacs }],
      status: 'active',
      connectionType: { system: `${terminology}/endpoint-connection-type`, code: 'dicom-wado-rs' },
      payloadType: [{ text: 'DICOM' }],
      payloadMimeType: ['application/dicom'],
      address: pacs,
    },
  };
  const instance = { uid: instanceUid, sopClass: { system: uri, code: `urn:oid:${sopClass}` } };
  const series = {
    uid: seriesUid,
    modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: modality },
    instance: [instance],
  };
  const study = {
    resourceType: 'ImagingStudy',
    identifier: [{ system: dicomUid, value: `urn:oid:${studyUid}` }],
    status: 'available',
    subject: patient ? reference(patient) : { display: 'Not stated' },
    endpoint: [{ reference: endpoint.fullUrl }],
    series: seriesUid && instanceUid && sopClass && modality ? [series] : undefined,
  };
  return [{ fullUrl: idOf('imaging study'), resource: study }, endpoint];
}

/**
 * @param {string} code of our own system
 * @param {string} text
 */
const observationOf = (code, text) => ({
  resourceType: 'Observation',
  category: [coded(`${terminology}/observation-category`, 'imaging', 'Imaging')],
  code: coded(ownSystem, code, text),
  bodySite: coded(snomed, '39607008', 'Lung structure (body structure)'),
});

/**
 * @param {Result} result
 * @param {Result['classes'][number]} each
 * @param {object} shared
 */
const classObservation = (result, { id, probability }, shared) => ({
  ...observationOf(`probability-${id}`, `Probability of: ${conceptOf(id).text}`),
  ...shared,
  ...(result.gate.accepted ? { valueQuantity: quantity(probability) } : { dataAbsentReason: absentReason(result) }),
  interpretation:
    result.verdict === 'uncertain' ? [coded(`${terminology}/v3-ObservationInterpretation`, 'IND', 'Indeterminate')] : undefined,
});

/**
 * @param {Result} result
 * @param {{ fullUrl: string }[]} members
 * @param {object} shared
 */
const verdictObservation = (result, members, shared) => ({
  ...observationOf('verdict', 'Class of the chest X-ray'),
  ...shared,
  ...(Object.hasOwn(refusals, result.verdict)
    ? { dataAbsentReason: absentReason(result) }
    : { valueCodeableConcept: conceptOf(result.verdict) }),
  note: result.warnings.length > 0 ? [{ text: `About the image: ${result.warnings.join(', ')}.` }] : undefined,
  hasMember: members.map(({ fullUrl }) => ({ reference: fullUrl })),
  component: [
    {
      code: coded(ownSystem, 'gate-score', 'Resemblance to an upright frontal chest X-ray'),
      valueQuantity: quantity(result.gate.score),
      referenceRange: [{ low: quantity(result.gate.threshold), text: 'Accepted at and above' }],
    },
  ],
});

/**
 * How many opacities were found inside the lungs.
 * @param {Result} result
 * @param {{ fullUrl: string }[]} members
 * @param {object} shared
 */
const findingsObservation = (result, members, shared) => ({
  ...observationOf('findings', 'Opacities found inside the lungs'),
  ...shared,
  ...(result.gate.accepted ? { valueInteger: members.length } : { dataAbsentReason: absentReason({ verdict: 'not-a-chest-x-ray' }) }),
  hasMember: some(members.map(({ fullUrl }) => ({ reference: fullUrl }))),
});

/**
 * One opacity: where it lies, and how strong it is.
 * @param {Result['findings'][number]} finding
 * @param {object} shared
 */
const findingObservation = ({ side, zone, strength, ...box }, shared) => ({
  ...observationOf('opacity', 'Opacity inside the lungs'),
  ...shared,
  bodySite: { coding: [{ system: snomed, ...sides[side] }], text: siteOf({ side, zone }) },
  valueQuantity: quantity(strength),
  component: /** @type {const} */ (['x', 'y', 'width', 'height']).map((key) => ({
    code: coded(ownSystem, `box-${key}`, `Box in the image, ${key} as a fraction of it`),
    valueQuantity: quantity(box[key]),
  })),
});

/** "right lower zone" @param {{ side: string, zone: string }} finding */
const siteOf = ({ side, zone }) => `${side === 'both' ? 'midline' : side} ${zone} zone`;

/** The findings in a sentence. @param {Result} result */
function foundIn({ findings, gate }) {
  if (!gate.accepted) return '';
  return findings.length > 0 ? ` Opacities found: ${findings.map(siteOf).join(', ')}.` : ' No opacity found in the lungs.';
}

/**
 * @param {Result} result
 * @param {{ fullUrl: string }[]} results
 * @param {FhirOptions} options
 */
function reportOf(result, results, options) {
  const refusal = refusals[result.verdict];
  const verdict = refusal ? undefined : conceptOf(result.verdict);
  const media = mediaOf(result, options);
  return {
    resourceType: 'DiagnosticReport',
    contained: media.length > 0 ? media : undefined,
    ...contextOf(options),
    category: [coded(`${terminology}/v2-0074`, 'RAD', 'Radiology')],
    code: coded('http://loinc.org', '36554-4', 'XR Chest Single view'),
    result: results.map(({ fullUrl }) => ({ reference: fullUrl })),
    imagingStudy: options.imagingStudy ? [reference(options.imagingStudy)] : some(byUid('ImagingStudy', result.dicom?.studyUid)),
    media: media.length > 0 ? media.map(({ id, content }) => ({ comment: content.title, link: { reference: `#${id}` } })) : undefined,
    conclusion: `${refusal ? refusal.text : `Looks most like images labelled "${verdict?.text}".`}${foundIn(result)} ${notice}`,
    conclusionCode: verdict && [verdict],
  };
}

/**
 * @param {Result} result
 * @param {FhirOptions} options
 */
function mediaOf({ maps }, options) {
  const contents = [];
  if (options.maps && maps) {
    const plain = Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, { ...map, values: Array.from(map.values) }]));
    const bytes = new TextEncoder().encode(JSON.stringify(plain));
    const data = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    contents.push({ contentType: 'application/json', data, title: 'Maps of lungs and opacities, from 0 to 1' });
  }
  if (options.picture) contents.push({ title: 'Findings drawn over the image', ...options.picture });
  return contents.map((content, k) => ({ resourceType: 'Media', id: `map-${k + 1}`, status: 'completed', content }));
}

// ---- Small parts ----------------------------------------------------------------------------

/** FHIR knows no empty lists. @param {object[]} list */
const some = (list) => (list.length > 0 ? list : undefined);

/** @param {string} type @param {string|null} [uid] */
const byUid = (type, uid) => (uid ? [{ type, identifier: { system: dicomUid, value: `urn:oid:${uid}` } }] : []);

/** @param {Reference} to */
const reference = (to) => (typeof to === 'string' ? { reference: to } : to);

/**
 * @param {string} system
 * @param {string} code
 * @param {string} display
 */
const coded = (system, code, display) => ({ coding: [{ system, code, display }], text: display });

/** @param {number} value without a unit */
const quantity = (value) => ({ value, system: 'http://unitsofmeasure.org', code: '1' });

/** @param {string} id of a class, perhaps of a model that we do not know */
function conceptOf(id) {
  const { text, coding } = classConcepts[id] ?? { text: id, coding: [] };
  return { coding: [{ system: ownSystem, code: id, display: text }, ...coding], text };
}

/** @param {{ verdict: string }} result */
function absentReason({ verdict }) {
  const { code, display, text } = refusals[verdict];
  return { ...coded(`${terminology}/data-absent-reason`, code, display), text };
}

/**
 * Ids for the entries: UUIDs of version 8, hashed from all that goes in, so that no chance is needed.
 * @param {string} seed
 * @returns {(name: string) => string}
 */
function idsFor(seed) {
  return (name) => {
    const hex = [0, 1, 2, 3].map((lane) => hash(`${lane} ${name} ${seed}`).toString(16).padStart(8, '0')).join('');
    return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  };
}

/** FNV-1a with a last stir. @param {string} text */
function hash(text) {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
