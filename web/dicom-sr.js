// dicom-sr.js - a result as a DICOM Structured Report: Comprehensive SR by template TID 1500, preliminary and
// unverified. A pure function but for the local time zone, where the study names none: the same arguments give the
// same bytes, UIDs included. Loaded only by who wants one.

/**
 * @typedef {import('./engine/wasm.js').Result} Result
 *
 * @typedef {object} Source the image that was read
 * @property {string} studyUid
 * @property {string} seriesUid
 * @property {string} instanceUid
 * @property {string} sopClass
 * @property {number} [frames] in the image (1)
 * @property {number} [frame] the one that was read, from 0
 *
 * @typedef {object} SrOptions
 * @property {Source} [source] default: what the result of a DICOM file says
 * @property {Date} date when the answer was given; written as in the study's time zone, or in the local one
 * @property {{ name?: string, id?: string, issuer?: string, birthDate?: string, sex?: string }} [patient] as DICOM writes
 *   them ('Doe^Jane', '19700101', 'F'); issuer: of the ID; left empty when left out
 * @property {{ date?: string, time?: string, zone?: string, id?: string, accession?: string, referrer?: string,
 *   description?: string }} [study] likewise; zone: '+0900', in which date and time are
 *
 * @typedef {[tag: number, vr: string, value: string|Uint8Array|Element[][]]} Element text, bytes, or a sequence's items
 */

const COMPREHENSIVE_SR = '1.2.840.10008.5.1.4.1.1.88.33';
const EXPLICIT_LITTLE = '1.2.840.10008.1.2.1';
/** Made of a UUID (PS3.5 B.2), for it needs no root that someone must keep. */
const IMPLEMENTATION = '2.25.107277776423474351635637283329599409386';
const NOTICE = 'Computed by software for research and education that is not a medical device. Not a diagnosis.';
/** VRs with a length of 32 bits (PS3.5 7.1.2), of those written here. */
const LONG = ['OB', 'SQ', 'UC', 'UT'];

/**
 * @param {Result} result
 * @param {SrOptions} options
 * @returns {Uint8Array<ArrayBuffer>} a DICOM file
 * @throws {TypeError} when the source's UIDs are missing or no UIDs, or a text is longer than DICOM can hold
 */
export function toDicomSr(result, options) {
  const source = sourceOf(result, options);
  const uid = uidsFor(JSON.stringify([result, source, options]));
  const instance = uid('instance');
  const dataSet = [...documentOf(result, options, source, uid), ...contentOf(result, source, uid)];
  const meta = encoded([
    [0x00020001, 'OB', Uint8Array.of(0, 1)],
    [0x00020002, 'UI', COMPREHENSIVE_SR],
    [0x00020003, 'UI', instance],
    [0x00020010, 'UI', EXPLICIT_LITTLE],
    [0x00020012, 'UI', IMPLEMENTATION],
  ]);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, meta.length, true);
  const magic = new Uint8Array(132);
  magic.set([0x44, 0x49, 0x43, 0x4d], 128); // "DICM"
  return joined([magic, encoded([[0x00020000, 'UL', length]]), meta, encoded(dataSet)]);
}

/** @param {Result} result @param {SrOptions} options @returns {Source} */
function sourceOf({ dicom }, { source }) {
  const { studyUid, seriesUid, instanceUid, sopClass, frames, frame } = source ?? dicom ?? {};
  const uids = { studyUid, seriesUid, instanceUid, sopClass };
  for (const [name, uid] of Object.entries(uids))
    if (!uid || !/^(?=.{1,64}$)\d+(\.\d+)+$/.test(uid)) throw new TypeError(`The image's ${name} is ${uid ? 'no UID' : 'missing'}.`);
  return { .../** @type {Source} */ (uids), frames, frame };
}

// ---- Modules (PS3.3 A.35.3) -----------------------------------------------------------------

/**
 * @param {Result} result
 * @param {SrOptions} options
 * @param {Source} source
 * @param {(name: string) => string} uid
 * @returns {Element[]}
 */
function documentOf({ model }, { date, patient = {}, study = {} }, source, uid) {
  const zone = study.zone?.match(/^([+-])(0\d|1[0-4])([0-5]\d)$/);
  const minutes = zone ? Number(`${zone[1]}1`) * (60 * Number(zone[2]) + Number(zone[3])) : -date.getTimezoneOffset();
  const [day, time] = new Date(date.getTime() + 60000 * minutes).toISOString().replace(/[-:Z]/g, '').split('T');
  return [
    // Checkers do not know UTF-8: it is named where it is needed.
    ...given(0x00080005, 'CS', isAscii([patient, study, model]) ? '' : 'ISO_IR 192'),
    [0x00080016, 'UI', COMPREHENSIVE_SR],
    [0x00080018, 'UI', uid('instance')],
    [0x00080020, 'DA', study.date ?? ''],
    [0x00080023, 'DA', day],
    [0x00080030, 'TM', study.time ?? ''],
    [0x00080033, 'TM', time],
    [0x00080050, 'SH', study.accession ?? ''],
    [0x00080060, 'CS', 'SR'],
    [0x00080070, 'LO', 'CXR Lens'],
    [0x00080090, 'PN', study.referrer ?? ''],
    // It is said of all times here, those of the study too.
    ...given(0x00080201, 'SH', zone?.[0]),
    ...given(0x00081030, 'LO', study.description),
    [0x0008103e, 'LO', 'CXR Lens, for research and education only'],
    [0x00081090, 'LO', model.id.slice(0, 64)],
    [0x00081111, 'SQ', []],
    [0x00100010, 'PN', patient.name ?? ''],
    [0x00100020, 'LO', patient.id ?? ''],
    ...given(0x00100021, 'LO', patient.issuer),
    [0x00100030, 'DA', patient.birthDate ?? ''],
    [0x00100040, 'CS', patient.sex ?? ''],
    [0x00181000, 'LO', model.sha256],
    [0x00181020, 'LO', model.version.slice(0, 64)],
    [0x0020000d, 'UI', source.studyUid],
    [0x0020000e, 'UI', uid('series')],
    [0x00200010, 'SH', study.id ?? ''],
    [0x00200011, 'IS', '1'],
    [0x00200013, 'IS', '1'],
    [0x0040a372, 'SQ', []],
    [0x0040a375, 'SQ', [evidence(source)]],
    [0x0040a491, 'CS', 'COMPLETE'],
    [0x0040a493, 'CS', 'UNVERIFIED'],
    [0x0040a496, 'CS', 'PRELIMINARY'],
  ];
}

/** An element that may be left out (type 3). @param {number} tag @param {string} vr @param {string} [value] @returns {Element[]} */
const given = (tag, vr, value) => (value ? [[tag, vr, value]] : []);

/** @param {unknown} texts */
const isAscii = (texts) => /^[ -~]*$/.test(JSON.stringify(texts));

/** Current Requested Procedure Evidence. @param {Source} source @returns {Element[]} */
const evidence = (source) => [
  [
    0x00081115,
    'SQ',
    [
      [
        [0x00081199, 'SQ', [referenceTo(source)]],
        [0x0020000e, 'UI', source.seriesUid],
      ],
    ],
  ],
  [0x0020000d, 'UI', source.studyUid],
];

/** @param {Source} source @returns {Element[]} */
const referenceTo = ({ sopClass, instanceUid }) => [
  [0x00081150, 'UI', sopClass],
  [0x00081155, 'UI', instanceUid],
];

/** Referenced Frame Number, of an image with several (PS3.3 C.18.4). @param {Source} source @returns {Element[]} */
const frameOf = ({ frames = 1, frame = 0 }) => (frames > 1 ? [[0x00081160, 'IS', String(frame + 1)]] : []);

// ---- Content (PS3.16 TID 1500) --------------------------------------------------------------

/** Concepts: code value, coding scheme, meaning. @typedef {[value: string, scheme: string, meaning: string]} Concept */
/** Concepts of our own, as 99CXRLENS. @param {string} value @param {string} meaning @returns {Concept} */
const own = (value, meaning) => [value, '99CXRLENS', meaning];
/** @param {string} value @param {string} meaning @returns {Concept} */
const dcm = (value, meaning) => [value, 'DCM', meaning];
/** @param {string} value @param {string} meaning @returns {Concept} */
const snomed = (value, meaning) => [value, 'SCT', meaning];

/** @type {Record<string, Concept>} */
const VERDICTS = {
  normal: snomed('168733007', 'Standard chest X-ray normal'),
  'covid-19': own('covid-19', 'COVID-19 pneumonia'),
  'viral-pneumonia': snomed('75570004', 'Viral pneumonia'),
  'lung-opacity': own('lung-opacity', 'Lung opacity'),
  uncertain: own('uncertain', 'Not sure which class this is'),
  'not-a-chest-x-ray': own('not-a-chest-x-ray', 'Not an upright frontal chest X-ray; not classified'),
};
/** @param {string} id perhaps of a model that we do not know */
const conceptOf = (id) => VERDICTS[id] ?? own(id, id);

/**
 * @param {Result} result
 * @param {Source} source
 * @param {(name: string) => string} uid
 * @returns {Element[]}
 */
function contentOf(result, source, uid) {
  const { model } = result;
  const about = result.warnings.length > 0 ? `About the image: ${result.warnings.join(', ')}.` : '';
  const measurements = container('CONTAINS', dcm('126010', 'Imaging Measurements'), [measurementsOf(result, uid)]);
  const children = [
    code('HAS CONCEPT MOD', dcm('121049', 'Language of Content Item and Descendants'), ['en', 'RFC5646', 'English']),
    code('HAS OBS CONTEXT', dcm('121005', 'Observer Type'), dcm('121007', 'Device')),
    item('HAS OBS CONTEXT', 'UIDREF', dcm('121012', 'Device Observer UID'), [[0x0040a124, 'UI', uidsFor(model.sha256)('device')]]),
    text('HAS OBS CONTEXT', dcm('121013', 'Device Observer Name'), `CXR Lens ${model.id} ${model.version}`),
    code('HAS CONCEPT MOD', dcm('121058', 'Procedure reported'), snomed('399208008', 'Plain chest X-ray')),
    container('CONTAINS', dcm('111028', 'Image Library'), [
      container('CONTAINS', dcm('126200', 'Image Library Group'), [
        item('CONTAINS', 'IMAGE', undefined, [[0x00081199, 'SQ', [[...referenceTo(source), ...frameOf(source)]]]]),
      ]),
    ]),
    measurements,
    container(
      'CONTAINS',
      ['C0034375', 'UMLS', 'Qualitative Evaluations'],
      [
        code('CONTAINS', own('verdict', 'Class of the chest X-ray'), conceptOf(result.verdict)),
        text('CONTAINS', dcm('121106', 'Comment'), `${NOTICE} ${about}`.trim()),
      ],
    ),
  ];
  return [
    [0x0040a040, 'CS', 'CONTAINER'],
    [0x0040a043, 'SQ', [coded(dcm('126000', 'Imaging Measurement Report'))]],
    [0x0040a050, 'CS', 'SEPARATE'],
    [
      0x0040a504,
      'SQ',
      [
        [
          [0x00080105, 'CS', 'DCMR'],
          [0x0040db00, 'CS', '1500'],
        ],
      ],
    ],
    [0x0040a730, 'SQ', children],
  ];
}

/** TID 1501. Of what was refused, only the figure that refused it. @param {Result} result @param {(name: string) => string} uid */
const measurementsOf = ({ model, classes, gate }, uid) =>
  container('CONTAINS', dcm('125007', 'Measurement Group'), [
    text('HAS OBS CONTEXT', dcm('112039', 'Tracking Identifier'), 'Chest X-ray'),
    item('HAS OBS CONTEXT', 'UIDREF', dcm('112040', 'Tracking Unique Identifier'), [[0x0040a124, 'UI', uid('tracking')]]),
    code('HAS CONCEPT MOD', snomed('363698007', 'Finding Site'), snomed('39607008', 'Lung')),
    text('HAS CONCEPT MOD', dcm('111001', 'Algorithm Name'), `CXR Lens ${model.id}`),
    text('HAS CONCEPT MOD', dcm('111003', 'Algorithm Version'), model.version),
    text('HAS CONCEPT MOD', dcm('111002', 'Algorithm Parameters'), `model file: SHA-256 ${model.sha256}`),
    ...(gate.accepted ? classes : []).map(({ id, probability }) =>
      number(own(`probability-${id}`, `Probability of: ${conceptOf(id)[2]}`), probability),
    ),
    number(own('gate-score', 'Resemblance to an upright frontal chest X-ray'), gate.score),
  ]);

/** @param {Concept} concept @returns {Element[]} (PS3.3 8.1; a longer code has an attribute of its own) */
const coded = ([value, scheme, meaning]) => [
  ...(value.length > 16 ? [] : [/** @type {Element} */ ([0x00080100, 'SH', value])]),
  [0x00080102, 'SH', scheme],
  [0x00080104, 'LO', meaning.slice(0, 64)],
  ...(value.length > 16 ? [/** @type {Element} */ ([0x00080119, 'UC', value])] : []),
];

/**
 * A content item (PS3.3 C.17.3).
 * @param {string} relation to the item above
 * @param {string} type
 * @param {Concept|undefined} concept
 * @param {Element[]} value
 * @returns {Element[]}
 */
const item = (relation, type, concept, value) => [
  [0x0040a010, 'CS', relation],
  [0x0040a040, 'CS', type],
  ...(concept ? [/** @type {Element} */ ([0x0040a043, 'SQ', [coded(concept)]])] : []),
  ...value,
];

/** @param {string} relation @param {Concept} concept @param {Element[][]} children */
const container = (relation, concept, children) =>
  item(relation, 'CONTAINER', concept, [
    [0x0040a050, 'CS', 'SEPARATE'],
    [0x0040a730, 'SQ', children],
  ]);

/** @param {string} relation @param {Concept} concept @param {Concept} value */
const code = (relation, concept, value) => item(relation, 'CODE', concept, [[0x0040a168, 'SQ', [coded(value)]]]);

/** @param {string} relation @param {Concept} concept @param {string} value */
const text = (relation, concept, value) => item(relation, 'TEXT', concept, [[0x0040a160, 'UT', value]]);

/** A share, 0..1. @param {Concept} concept @param {number} value */
const number = (concept, value) =>
  item('CONTAINS', 'NUM', concept, [
    [
      0x0040a300,
      'SQ',
      [
        [
          [0x004008ea, 'SQ', [coded(['1', 'UCUM', 'no units'])]],
          [0x0040a30a, 'DS', value.toFixed(6)],
        ],
      ],
    ],
  ]);

// ---- Bytes (PS3.5 7) ------------------------------------------------------------------------

/**
 * Explicit VR Little Endian, in ascending order of tags.
 * @param {Element[]} elements
 * @returns {Uint8Array<ArrayBuffer>}
 */
function encoded(elements) {
  return joined([...elements].sort(([a], [b]) => a - b).map(encodedElement));
}

/** @param {Element} element */
function encodedElement([tag, vr, value]) {
  const body = bodyOf(vr, value);
  if (body.length > 0xffff && !LONG.includes(vr)) throw new TypeError(`The ${vr} of tag ${tag.toString(16)} is too long.`);
  const head = new Uint8Array(LONG.includes(vr) ? 12 : 8);
  const view = new DataView(head.buffer);
  view.setUint16(0, tag >>> 16, true);
  view.setUint16(2, tag & 0xffff, true);
  head.set([vr.charCodeAt(0), vr.charCodeAt(1)], 4);
  if (head.length === 12) view.setUint32(8, body.length, true);
  else view.setUint16(6, body.length, true);
  return joined([head, body]);
}

/** Of even length. @param {string} vr @param {Element[2]} value */
function bodyOf(vr, value) {
  if (Array.isArray(value)) return joined(value.map((elements) => itemOf(encoded(elements))));
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return bytes.length % 2 === 0 ? bytes : joined([bytes, Uint8Array.of(vr === 'UI' || vr === 'OB' ? 0 : 0x20)]);
}

/** One item of a sequence. @param {Uint8Array} body */
function itemOf(body) {
  const head = Uint8Array.of(0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0);
  new DataView(head.buffer).setUint32(4, body.length, true);
  return joined([head, body]);
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * UIDs made of UUIDs of version 8, hashed from all that goes in, so that no chance is needed.
 * @param {string} seed
 * @returns {(name: string) => string}
 */
function uidsFor(seed) {
  return (name) => {
    const version = (hash(`${name} ${seed}`) & ~(0xfn << 76n)) | (0x8n << 76n);
    return `2.25.${(version & ~(0x3n << 62n)) | (0x2n << 62n)}`;
  };
}

/** FNV-1a of 128 bits. @param {string} text */
function hash(text) {
  let h = 0x6c62272e07bb014262b821756295c58dn;
  for (const byte of new TextEncoder().encode(text)) h = BigInt.asUintN(128, (h ^ BigInt(byte)) * 0x1000000000000000000013bn);
  return h;
}
