// write.js - writes small DICOM files for tests: Explicit VR in either byte order or Implicit VR, with or without header.

const LONG = /^(O[BDFLVW]|SQ|SV|U[CNRTV])$/;

/**
 * @typedef {string|number|number[]|Uint8Array|Array<Record<string, Element>>} Value
 * @typedef {[vr: string, value: Value]} Element
 */

/** @typedef {{ implicit?: boolean, big?: boolean }} Encoding without VRs; of the other byte order */

/** @param {number} value @param {number} bytes @param {boolean} [big] */
export function number(value, bytes, big) {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) out[i] = Math.floor(value / 256 ** i) & 255;
  return big ? out.reverse() : out;
}

/** @param {number} tag @param {boolean} [big] */
const tagBytes = (tag, big) => Buffer.concat([number(Math.floor(tag / 65536), 2, big), number(tag % 65536, 2, big)]);

/** @param {string} vr @param {Value} value @param {Encoding} encoding @returns {Buffer} */
function valueBytes(vr, value, encoding) {
  const { big } = encoding;
  if (vr === 'SQ')
    return Buffer.concat(
      /** @type {any[]} */ (value).map((item) => {
        const body = elementsOf(item, encoding);
        return Buffer.concat([tagBytes(0xfffee000, big), number(body.length, 4, big), body]);
      }),
    );
  if (value instanceof Uint8Array) return vr === 'OW' && big ? Buffer.from(value).swap16() : Buffer.from(value);
  const numbers = Array.isArray(value) ? value : [value];
  if (vr === 'US') return Buffer.concat(numbers.map((n) => number(Number(n), 2, big)));
  if (vr === 'SS') return Buffer.concat(numbers.map((n) => number(Number(n) & 0xffff, 2, big)));
  if (vr === 'UL') return Buffer.concat(numbers.map((n) => number(Number(n), 4, big)));
  return Buffer.from(Array.isArray(value) ? value.join('\\') : String(value), 'latin1');
}

/** @param {string} tag '00280010' @param {Element} element @param {Encoding} [encoding] */
export function elementBytes(tag, [vr, value], encoding = {}) {
  const { implicit, big } = encoding;
  let body = valueBytes(vr, value, encoding);
  if (body.length % 2) body = Buffer.concat([body, Buffer.from(vr === 'UI' || vr === 'OB' ? '\0' : ' ')]);
  const head = tagBytes(parseInt(tag, 16), big);
  if (implicit) return Buffer.concat([head, number(body.length, 4, big), body]);
  const length = LONG.test(vr) ? Buffer.concat([Buffer.alloc(2), number(body.length, 4, big)]) : number(body.length, 2, big);
  return Buffer.concat([head, Buffer.from(vr), length, body]);
}

/** @param {Record<string, Element>} elements @param {Encoding} encoding */
function elementsOf(elements, encoding) {
  return Buffer.concat(
    Object.keys(elements)
      .sort()
      .map((tag) => elementBytes(tag, elements[tag], encoding)),
  );
}

/**
 * @typedef {object} FileOptions
 * @property {string} [syntax] transfer syntax UID
 * @property {boolean} [header]
 * @property {boolean} [preamble]
 * @property {boolean} [implicit] VRs
 * @property {boolean} [big] byte order, of all but the header
 * @property {Uint8Array} [tail] raw bytes at the end, for pixel data in fragments
 */

/**
 * @param {Record<string, Element>} elements by tag, '00280010'
 * @param {FileOptions} [options]
 * @returns {Buffer<ArrayBuffer>}
 */
export function dicomFile(
  elements,
  { syntax = '1.2.840.10008.1.2.1', header = true, preamble = true, implicit, big, tail = new Uint8Array() } = {},
) {
  const meta = elementsOf({ '00020010': ['UI', syntax] }, {});
  const group = elementBytes('00020000', ['UL', meta.length]);
  const start = preamble ? [Buffer.alloc(128), Buffer.from('DICM')] : [];
  return Buffer.concat([...(header ? [...start, group, meta] : []), elementsOf(elements, { implicit, big }), tail]);
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
export const unknown = (items) => ['UN', valueBytes('SQ', items, { implicit: true })];

/**
 * Encapsulated pixel data: the offset table and the fragments.
 * @param {Uint8Array[]} fragments
 * @param {Uint8Array} [table]
 * @param {Uint8Array} [end] what stands where they end
 */
export function encapsulated(fragments, table = new Uint8Array(), end = Buffer.concat([tagBytes(0xfffee0dd), number(0, 4)])) {
  const item = (/** @type {Uint8Array} */ bytes) => Buffer.concat([tagBytes(0xfffee000), number(bytes.length, 4), bytes]);
  const start = Buffer.concat([tagBytes(0x7fe00010), Buffer.from('OB\0\0'), number(0xffffffff, 4)]);
  return Buffer.concat([start, item(table), ...fragments.map(item), end]);
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
