// write.js - writes DICOM objects: bytes in Explicit VR Little Endian (PS3.5 7), UIDs that are hashed from what goes in, and
// the elements that every object says of patient, study and maker. Pure functions: the same arguments give the same bytes.

/**
 * @typedef {import('../engine/wasm.js').Result} Result
 *
 * @typedef {object} Source the image that was read
 * @property {string} studyUid
 * @property {string} seriesUid
 * @property {string} instanceUid
 * @property {string} sopClass
 * @property {number} [frames] in the image (1)
 * @property {number} [frame] the one that was read, from 0
 *
 * @typedef {object} ObjectOptions
 * @property {Source} [source] default: what the result of a DICOM file says
 * @property {Date} date when the answer was given; written as in the study's time zone, or in the local one
 * @property {{ name?: string, id?: string, issuer?: string, birthDate?: string, sex?: string }} [patient] as DICOM writes
 *   them ('Doe^Jane', '19700101', 'F'); issuer: of the ID; left empty when left out
 * @property {{ date?: string, time?: string, zone?: string, id?: string, accession?: string, referrer?: string,
 *   description?: string }} [study] likewise; zone: '+0900', in which date and time are
 *
 * @typedef {[tag: number, vr: string, value: string|Uint8Array|Element[][]]} Element text, bytes, or a sequence's items
 * @typedef {[value: string, scheme: string, meaning: string]} Concept a code (PS3.3 8.1)
 */

const EXPLICIT_LITTLE = '1.2.840.10008.1.2.1';
/** Made of a UUID (PS3.5 B.2), for it needs no root that someone must keep. */
const IMPLEMENTATION = '2.25.107277776423474351635637283329599409386';
/** VRs with a length of 32 bits (PS3.5 7.1.2), of those written here. */
const LONG = ['OB', 'OW', 'SQ', 'UC', 'UT'];

export const NOTICE = 'Computed by software for research and education that is not a medical device. Not a diagnosis.';

/**
 * A DICOM file (PS3.10).
 * @param {string} sopClass
 * @param {string} instance its UID
 * @param {Element[]} dataSet without them
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function dicomFile(sopClass, instance, dataSet) {
  const meta = encoded([
    [0x00020001, 'OB', Uint8Array.of(0, 1)],
    [0x00020002, 'UI', sopClass],
    [0x00020003, 'UI', instance],
    [0x00020010, 'UI', EXPLICIT_LITTLE],
    [0x00020012, 'UI', IMPLEMENTATION],
  ]);
  const magic = new Uint8Array(132);
  magic.set([0x44, 0x49, 0x43, 0x4d], 128); // "DICM"
  return joined([
    magic,
    encoded([[0x00020000, 'UL', longs(meta.length)]]),
    meta,
    encoded([[0x00080016, 'UI', sopClass], [0x00080018, 'UI', instance], ...dataSet]),
  ]);
}

/**
 * The image that an object is about.
 * @param {Result} result
 * @param {ObjectOptions} options
 * @returns {Source}
 * @throws {TypeError} when UIDs are missing or are not UIDs
 */
export function sourceOf({ dicom }, { source }) {
  const { studyUid, seriesUid, instanceUid, sopClass, frames, frame } = source ?? dicom ?? {};
  const uids = { studyUid, seriesUid, instanceUid, sopClass };
  for (const [name, uid] of Object.entries(uids))
    if (!uid || !/^(?=.{1,64}$)\d+(\.\d+)+$/.test(uid)) throw new TypeError(`The image's ${name} is ${uid ? 'not a UID' : 'missing'}.`);
  return { .../** @type {Source} */ (uids), frames, frame };
}

/**
 * Patient, study, series and maker (PS3.3 C.7), and when the content was made.
 * @param {Result} result
 * @param {ObjectOptions} options
 * @param {Source} source
 * @param {(name: string) => string} uid
 * @param {{ modality: string, series: string }} kind series: its description
 * @returns {Element[]}
 */
export function headerOf({ model }, { date, patient = {}, study = {} }, source, uid, { modality, series }) {
  const zone = study.zone?.match(/^([+-])(0\d|1[0-4])([0-5]\d)$/);
  const minutes = zone ? Number(`${zone[1]}1`) * (60 * Number(zone[2]) + Number(zone[3])) : -date.getTimezoneOffset();
  const [day, time] = new Date(date.getTime() + 60000 * minutes).toISOString().replace(/[-:Z]/g, '').split('T');
  return [
    // Checkers do not know UTF-8: it is named where it is needed.
    ...given(0x00080005, 'CS', isAscii([patient, study, model]) ? '' : 'ISO_IR 192'),
    [0x00080020, 'DA', study.date ?? ''],
    [0x00080023, 'DA', day],
    [0x00080030, 'TM', study.time ?? ''],
    [0x00080033, 'TM', time],
    [0x00080050, 'SH', study.accession ?? ''],
    [0x00080060, 'CS', modality],
    [0x00080070, 'LO', 'CXR Lens'],
    [0x00080090, 'PN', study.referrer ?? ''],
    // It is said of all times here, those of the study too.
    ...given(0x00080201, 'SH', zone?.[0]),
    ...given(0x00081030, 'LO', study.description),
    [0x0008103e, 'LO', series],
    [0x00081090, 'LO', model.id.slice(0, 64)],
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
  ];
}

/** An element that may be left out (type 3). @param {number} tag @param {string} vr @param {string} [value] @returns {Element[]} */
const given = (tag, vr, value) => (value ? [[tag, vr, value]] : []);

/** @param {unknown} texts */
const isAscii = (texts) => /^[ -~]*$/.test(JSON.stringify(texts));

/** @param {Source} source @returns {Element[]} */
export const referenceTo = ({ sopClass, instanceUid }) => [
  [0x00081150, 'UI', sopClass],
  [0x00081155, 'UI', instanceUid],
];

/** Referenced Frame Number, of an image with several (PS3.3 C.18.4). @param {Source} source @returns {Element[]} */
export const frameOf = ({ frames = 1, frame = 0 }) => (frames > 1 ? [[0x00081160, 'IS', String(frame + 1)]] : []);

// ---- Concepts -------------------------------------------------------------------------------

/** Concepts of our own, as 99CXRLENS. @param {string} value @param {string} meaning @returns {Concept} */
export const own = (value, meaning) => [value, '99CXRLENS', meaning];
/** @param {string} value @param {string} meaning @returns {Concept} */
export const dcm = (value, meaning) => [value, 'DCM', meaning];
/** @param {string} value @param {string} meaning @returns {Concept} */
export const snomed = (value, meaning) => [value, 'SCT', meaning];

/** @param {Concept} concept @returns {Element[]} (PS3.3 8.1; a longer code has an attribute of its own) */
export const coded = ([value, scheme, meaning]) => [
  ...(value.length > 16 ? [] : [/** @type {Element} */ ([0x00080100, 'SH', value])]),
  [0x00080102, 'SH', scheme],
  [0x00080104, 'LO', meaning.slice(0, 64)],
  ...(value.length > 16 ? [/** @type {Element} */ ([0x00080119, 'UC', value])] : []),
];

/** The lung of a finding. @type {Record<import('../classifier.js').Finding['side'], Concept>} */
export const SIDES = {
  right: snomed('3341006', 'Right lung'),
  left: snomed('44029006', 'Left lung'),
  both: snomed('39607008', 'Lung'),
};

// ---- Values ---------------------------------------------------------------------------------

/** Unsigned shorts; typed arrays have the order of bytes that all of today's machines have. @param {...number} values */
export const us = (...values) => new Uint8Array(Uint16Array.of(...values).buffer);
/** @param {...number} values */
export const fl = (...values) => new Uint8Array(Float32Array.of(...values).buffer);
/** @param {...number} values */
export const longs = (...values) => new Uint8Array(Uint32Array.of(...values).buffer);

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
  return bytes.length % 2 === 0 ? bytes : joined([bytes, Uint8Array.of(/U[IL]|O[BW]/.test(vr) ? 0 : 0x20)]);
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
export function uidsFor(seed) {
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
