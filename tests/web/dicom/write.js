// write.js - writes small DICOM files for tests: Explicit or Implicit VR Little Endian, with or without header.

const LONG = /^(O[BDFLVW]|SQ|SV|U[CNRTV])$/;

/**
 * @typedef {string|number|number[]|Uint8Array|Array<Record<string, Element>>} Value
 * @typedef {[vr: string, value: Value]} Element
 */

/** @param {number} value @param {number} bytes */
function little(value, bytes) {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) out[i] = Math.floor(value / 256 ** i) & 255;
  return out;
}

/** @param {string} vr @param {Value} value @param {boolean} implicit @returns {Buffer} */
function valueBytes(vr, value, implicit) {
  if (vr === 'SQ')
    return Buffer.concat(
      /** @type {any[]} */ (value).map((item) => {
        const body = elementsOf(item, implicit);
        return Buffer.concat([little(0xe000fffe, 4), little(body.length, 4), body]);
      }),
    );
  if (value instanceof Uint8Array) return Buffer.from(value);
  const numbers = Array.isArray(value) ? value : [value];
  if (vr === 'US') return Buffer.concat(numbers.map((n) => little(Number(n), 2)));
  if (vr === 'SS') return Buffer.concat(numbers.map((n) => little(Number(n) & 0xffff, 2)));
  if (vr === 'UL') return Buffer.concat(numbers.map((n) => little(Number(n), 4)));
  return Buffer.from(Array.isArray(value) ? value.join('\\') : String(value), 'latin1');
}

/** @param {string} tag '00280010' @param {Element} element @param {boolean} implicit */
function elementBytes(tag, [vr, value], implicit) {
  let body = valueBytes(vr, value, implicit);
  if (body.length % 2) body = Buffer.concat([body, Buffer.from(vr === 'UI' || vr === 'OB' ? '\0' : ' ')]);
  const head = Buffer.concat([little(parseInt(tag.slice(0, 4), 16), 2), little(parseInt(tag.slice(4), 16), 2)]);
  if (implicit) return Buffer.concat([head, little(body.length, 4), body]);
  const length = LONG.test(vr) ? Buffer.concat([Buffer.alloc(2), little(body.length, 4)]) : little(body.length, 2);
  return Buffer.concat([head, Buffer.from(vr), length, body]);
}

/** @param {Record<string, Element>} elements @param {boolean} implicit */
function elementsOf(elements, implicit) {
  return Buffer.concat(
    Object.keys(elements)
      .sort()
      .map((tag) => elementBytes(tag, elements[tag], implicit)),
  );
}

/**
 * @typedef {object} FileOptions
 * @property {string} [syntax] transfer syntax UID
 * @property {boolean} [header]
 * @property {boolean} [preamble]
 * @property {boolean} [implicit] VRs
 * @property {Uint8Array} [tail] raw bytes at the end, for pixel data in fragments
 */

/**
 * @param {Record<string, Element>} elements by tag, '00280010'
 * @param {FileOptions} [options]
 * @returns {Buffer<ArrayBuffer>}
 */
export function dicomFile(
  elements,
  { syntax = '1.2.840.10008.1.2.1', header = true, preamble = true, implicit = false, tail = new Uint8Array() } = {},
) {
  const meta = elementsOf({ '00020010': ['UI', syntax] }, false);
  const group = elementBytes('00020000', ['UL', meta.length], false);
  const start = preamble ? [Buffer.alloc(128), Buffer.from('DICM')] : [];
  return Buffer.concat([...(header ? [...start, group, meta] : []), elementsOf(elements, implicit), tail]);
}

/**
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array|Uint16Array} pixels
 * @property {number} [bits] stored
 * @property {string} [photometric]
 * @property {boolean} [signed]
 */

/**
 * What a plain radiograph has.
 * @param {Picture} image
 * @param {Record<string, Element|null>} [more] in addition or instead; null: leave it out
 * @returns {Record<string, Element>}
 */
export function radiograph(
  { width, height, pixels, bits = pixels.BYTES_PER_ELEMENT * 8, photometric = 'MONOCHROME2', signed = false },
  more = {},
) {
  const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  const all = {
    '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.1.1'],
    '00080018': ['UI', '1.2.3.4.5.6'],
    '00080060': ['CS', 'DX'],
    '00100010': ['PN', 'Doe^Jane'],
    '00180015': ['CS', 'CHEST'],
    '00185101': ['CS', 'PA'],
    '0020000d': ['UI', '1.2.3.4'],
    '0020000e': ['UI', '1.2.3.4.5'],
    '00280002': ['US', 1],
    '00280004': ['CS', photometric],
    '00280010': ['US', height],
    '00280011': ['US', width],
    '00280100': ['US', pixels.BYTES_PER_ELEMENT * 8],
    '00280101': ['US', bits],
    '00280102': ['US', bits - 1],
    '00280103': ['US', signed ? 1 : 0],
    '7fe00010': [pixels.BYTES_PER_ELEMENT === 2 ? 'OW' : 'OB', bytes],
    ...more,
  };
  return /** @type {any} */ (Object.fromEntries(Object.entries(all).filter(([, element]) => element !== null)));
}

/** A sequence as a writer leaves it that does not know its tag (PS3.5 6.2.2). @param {Array<Record<string, Element>>} items @returns {Element} */
export const unknown = (items) => ['UN', valueBytes('SQ', items, true)];

/** Encapsulated pixel data: the offset table and the fragments. @param {Uint8Array[]} fragments @param {Uint8Array} [table] */
export function encapsulated(fragments, table = new Uint8Array()) {
  const item = (/** @type {Uint8Array} */ bytes) =>
    Buffer.concat([little(0xe000fffe, 4), little(bytes.length, 4), bytes]);
  const start = Buffer.concat([little(0x7fe0, 2), little(0x10, 2), Buffer.from('OB\0\0'), little(0xffffffff, 4)]);
  return Buffer.concat([start, item(table), ...fragments.map(item), little(0xe0ddfffe, 4), little(0, 4)]);
}

/** Numbers that look random and are the same every time (xorshift). @param {number} seed */
export function randomSource(seed) {
  let state = seed | 1;
  return (/** @type {number} */ below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** RLE without a single run. @param {Uint8Array} plane */
export function rle(plane) {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(1, 0);
  header.writeUInt32LE(64, 4);
  const rows = [];
  for (let at = 0; at < plane.length; at += 128)
    rows.push(Buffer.from([Math.min(128, plane.length - at) - 1]), plane.subarray(at, at + 128));
  return Buffer.concat([header, ...rows]);
}
