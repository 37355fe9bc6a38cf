// parser.js - bytes to the few data elements that an image needs. Elements that are not in WANTED, such as
// everything about the patient, are stepped over and never read, unless patient.js asks. Reads what the field
// writes, too: file meta information in implicit VR, items without an end of their own, elements without a VR.
import { joined } from './bytes.js';
import { DicomError } from './error.js';
import { encodingAt, isVr, startOfDicom } from '../shared/dicom-sniff.js';
import { DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, GE_BIG_PIXELS, IMPLICIT_LITTLE, syntaxOf } from './transfer-syntax.js';
import { decoded } from './character-set.js';

/**
 * @typedef {import('./transfer-syntax.js').Syntax} Syntax
 *
 * @typedef {object} PixelData where the pixels are
 * @property {number} offset of the first byte in `bytes`
 * @property {number} length
 * @property {boolean} encapsulated as a sequence of fragments (PS3.5 A.4)
 * @property {boolean} little byte order
 * @property {string|undefined} vr
 *
 * @typedef {object} DicomData
 * @property {Uint8Array} bytes the file; inflated, if it was deflated
 * @property {Syntax} syntax
 * @property {boolean} little byte order of the data set
 * @property {Tags} tags
 * @property {PixelData} pixelData
 *
 * @typedef {object} Encoding
 * @property {boolean} explicit VRs
 * @property {boolean} little byte order
 *
 * @typedef {object} Header of a data element
 * @property {number} number group and element
 * @property {string|undefined} vr undefined: implicit
 * @property {number} length
 * @property {number} offset of its value
 *
 * @typedef {{ offset: number, length: number, little: boolean, items?: Elements[] }} Value
 * @typedef {Map<number, Value>} Elements by tag
 */

// What the engine takes for one file; nothing that inflates beyond it is kept.
export const MAX_FILE_BYTES = 256 * 2 ** 20;

// What is kept of one file's sequences: of objects for their elements, a hostile file could ask for many millions.
const MAX_PARSED_BYTES = 8 * 2 ** 20;
const MAX_DEPTH = 32;

// No text that is read is longer (PS3.5 6.2), and escape sequences without end would take long.
const MAX_TEXT_BYTES = 65536;

const UNDEFINED_LENGTH = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const PIXEL_DATA = 0x7fe00010;
const FLOAT_PIXELS = [0x7fe00008, 0x7fe00009];
const CHARACTER_SET = 'x00080005';
const MEDIA_DIRECTORY = '1.2.840.10008.1.3.10';
/** VRs whose explicit form has a length of 32 bits (PS3.5 7.1.2). */
const LONG = /^(O[BDFLVW]|SQ|SV|U[CNRTV])$/;

/** All that is read of its own accord, by tag. */
const WANTED = new Set(
  [
    '00020002 00020010', // file meta information: media storage SOP class, transfer syntax
    '00080005 00080016 00080018 00080060 00080068 00082218', // character set, SOP class and instance, modality, presentation intent, anatomic region
    '00180015 00181164 00182010 00185101', // body part, spacings, view position
    '0020000d 0020000e 00200020 00200060 00200062', // UIDs, orientation, laterality
    '00280002 00280004 00280006 00280008 00280010 00280011 00280030 00280a02 00280100 00280101 00280102 00280103', // the pixels' layout, spacing and how it was calibrated
    '00280120 00280121 00280301 00281050 00281051 00281052 00281053 00281055 00281056', // padding, burned-in text, window and rescale
    '00281101 00281102 00281103 00281201 00281202 00281203 00281221', // palette
    '00283000 00283010 00540220 20500020', // LUT sequences, view code, presentation LUT shape
    '52009229 52009230', // functional groups
  ].flatMap((group) => group.split(' ').map((tag) => `x${tag}`)),
);

/**
 * @param {Uint8Array} bytes
 * @param {number} [maxBytes] of the file, also when inflated
 * @param {Set<string>} [wanted] elements that are read
 * @returns {Promise<DicomData>}
 */
export async function readDicom(bytes, maxBytes = MAX_FILE_BYTES, wanted = WANTED) {
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  const start = startOfDicom(bytes);
  if (start < 0) throw new DicomError('dicom-format', 'This is not a DICOM file.');
  const meta = readMeta(bytes, start);
  const declared = meta.tags.text('x00020010');
  if (meta.tags.text('x00020002') === MEDIA_DIRECTORY)
    throw new DicomError('dicom-directory', 'This is a DICOMDIR: a list of files, not an image.');
  if (declared === DEFLATED) bytes = await inflate(bytes, meta.end, maxBytes);
  return readDataSet(bytes, meta.end, declared, wanted);
}

/** @param {number} maxBytes */
export const tooLarge = (maxBytes) =>
  new DicomError('image-file-size', `The file is larger than ${Math.floor(maxBytes / 2 ** 20)} MiB, or inflates to more.`);

/** @param {Uint8Array} bytes @param {number} at @returns {Encoding} guessed from the element there */
function guessed(bytes, at) {
  const encoding = encodingAt(bytes, at);
  return { explicit: encoding !== 'implicit-little', little: encoding !== 'explicit-big' };
}

/**
 * The file meta information. The standard wants Explicit VR Little Endian (PS3.10 7.1); each element is read as it is.
 * @param {Uint8Array} bytes
 * @param {number} start
 */
function readMeta(bytes, start) {
  const reader = new ElementReader(bytes, start, { explicit: true, little: true }, WANTED);
  for (;;) {
    reader.encoding = guessed(bytes, reader.position);
    if (reader.peekGroup() !== 2) return { tags: reader.tags, end: reader.position };
    reader.read();
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {string|undefined} declared transfer syntax; absent from files without a header
 * @param {Set<string>} wanted
 * @returns {DicomData}
 */
function readDataSet(bytes, start, declared, wanted) {
  const encoding = guessed(bytes, start);
  const { explicit, little } = encoding;
  const syntax = syntaxOf(declared ?? (explicit ? (little ? EXPLICIT_LITTLE : EXPLICIT_BIG) : IMPLICIT_LITTLE));
  const reader = new ElementReader(bytes, start, encoding, wanted);
  while (reader.peekGroup() !== undefined) {
    const found = reader.read();
    if (found) return { bytes, syntax, little, tags: reader.tags, pixelData: { ...found, little: little && syntax.uid !== GE_BIG_PIXELS } };
  }
  throw withoutPixels(reader.tags);
}

/** @param {Tags} tags */
function withoutPixels(tags) {
  if (tags.has('x00280010')) return new DicomError('dicom-truncated', 'The file ends before its pixel data (7FE0,0010).');
  const modality = tags.text('x00080060');
  return new DicomError('dicom-no-image', `This DICOM file holds no image${modality ? `; its modality (0008,0060) is ${modality}` : ''}.`);
}

/** Walks over data elements and keeps the wanted ones. */
class ElementReader {
  /** @type {Elements} */
  #elements = new Map();
  #bytes;
  #view;
  #wanted;
  /** Bytes of sequences that may still be kept. */
  #left = MAX_PARSED_BYTES;
  position;
  encoding;

  /**
   * @param {Uint8Array} bytes
   * @param {number} position
   * @param {Encoding} encoding
   * @param {Set<string>} wanted
   */
  constructor(bytes, position, encoding, wanted) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#wanted = new Set([...wanted].map((key) => parseInt(key.slice(1), 16)));
    this.position = position;
    this.encoding = encoding;
    this.tags = new Tags(bytes, this.#elements);
  }

  /** @returns {number|undefined} undefined: no element follows */
  peekGroup() {
    return this.position + 8 <= this.#bytes.length ? this.#view.getUint16(this.position, this.encoding.little) : undefined;
  }

  /** @returns {Omit<PixelData, 'little'>|undefined} if that is what was met */
  read() {
    const header = this.#header(this.position, this.encoding, this.#bytes.length);
    const { number, vr, length, offset } = header;
    const known = length !== UNDEFINED_LENGTH;
    if (number === PIXEL_DATA) return { offset, length, encapsulated: !known, vr };
    if (FLOAT_PIXELS.includes(number))
      throw new DicomError('dicom-unsupported', 'Pixels as floating-point numbers (7FE0,0008) are not read.');
    // An end of something that was closed before.
    if (number === ITEM_END || number === SEQUENCE_END) this.position = offset;
    else this.position = this.#value(header, this.encoding, this.#bytes.length, this.#wanted.has(number) ? this.#elements : undefined, 0);
    return undefined;
  }

  /**
   * @param {number} at
   * @param {Encoding} encoding
   * @param {number} end of what it is in
   * @returns {Header}
   */
  #header(at, { explicit, little }, end) {
    const view = this.#view;
    if (at + 8 > end) throw this.#truncated(at + 4 <= end ? this.#number(at, little) : 0);
    const number = this.#number(at, little);
    // Items have no VR (PS3.5 7.5), and some writers forget that of other elements.
    const vr = explicit && isLetters(this.#bytes, at + 4) ? String.fromCharCode(this.#bytes[at + 4], this.#bytes[at + 5]) : undefined;
    if (!vr || number >>> 16 === 0xfffe) return { number, vr: undefined, length: view.getUint32(at + 4, little), offset: at + 8 };
    if (!LONG.test(vr)) return { number, vr, length: view.getUint16(at + 6, little), offset: at + 8 };
    if (at + 12 > end) throw this.#truncated(number);
    return { number, vr, length: view.getUint32(at + 8, little), offset: at + 12 };
  }

  /** @param {number} at @param {boolean} little */
  #number(at, little) {
    return this.#view.getUint16(at, little) * 65536 + this.#view.getUint16(at + 2, little);
  }

  /**
   * Goes over the value of an element.
   * @param {Header} header
   * @param {Encoding} encoding
   * @param {number} end of what it is in
   * @param {Elements|undefined} into where it is kept, if it is
   * @param {number} depth
   * @returns {number} where it ends
   */
  #value({ number, vr, length, offset }, encoding, end, into, depth) {
    const known = length !== UNDEFINED_LENGTH;
    if (known && length > end - offset) throw this.#truncated(number);
    const { little } = encoding;
    const sequence = !known || vr === 'SQ' || ((vr === 'UN' || !vr) && this.#beginsWithItem(offset, offset + length, little));
    if (!sequence || (known && !into)) {
      into?.set(number, { offset, length, little });
      return offset + length;
    }
    if (known && length > this.#left) throw this.#tooMuch();
    /** @type {Elements[]|undefined} */
    const items = into && [];
    // As UN the items are implicit and little endian, whatever is around them (PS3.5 6.2.2).
    const within = vr === 'UN' ? { explicit: false, little: this.#bytes[offset] !== 0xff } : encoding;
    const after = this.#items(number, within, offset, known ? offset + length : undefined, end, items, depth + 1);
    into?.set(number, { offset, length: after - offset, little, items });
    return after;
  }

  /** @param {number} at @param {number} end @param {boolean} little */
  #beginsWithItem(at, end, little) {
    return at + 8 <= end && (this.#number(at, little) === ITEM || this.#number(at, true) === ITEM);
  }

  /**
   * The items of a sequence.
   * @param {number} number of the sequence
   * @param {Encoding} encoding
   * @param {number} at
   * @param {number|undefined} until its end; undefined: its delimiter
   * @param {number} end of what it is in
   * @param {Elements[]|undefined} items where they are kept, if they are
   * @param {number} depth
   * @returns {number} where it ends
   */
  #items(number, encoding, at, until, end, items, depth) {
    if (depth > MAX_DEPTH) throw this.#corrupt(number);
    const limit = until ?? end;
    while (at < limit) {
      if (at + 8 > limit) throw until === undefined ? this.#truncated(number) : this.#corrupt(number);
      const tag = this.#number(at, encoding.little);
      const length = this.#view.getUint32(at + 4, encoding.little);
      if (tag === SEQUENCE_END) {
        if (until === undefined) return at + 8;
        at += 8;
      } else if (tag === ITEM_END) at += 8;
      else if (tag !== ITEM) throw this.#corrupt(number);
      else {
        if (items) this.#spend(8);
        /** @type {Elements|undefined} */
        const item = items && new Map();
        items?.push(/** @type {Elements} */ (item));
        const known = length !== UNDEFINED_LENGTH;
        if (known && length > limit - at - 8) throw until === undefined ? this.#truncated(number) : this.#corrupt(number);
        if (known && !item) at += 8 + length;
        else at = this.#item(number, encoding, at + 8, known ? at + 8 + length : undefined, limit, item, depth);
      }
    }
    if (until === undefined && limit === this.#bytes.length) throw this.#truncated(number);
    return limit;
  }

  /**
   * The elements of an item.
   * @param {number} number of its sequence
   * @param {Encoding} encoding
   * @param {number} at
   * @param {number|undefined} until its end; undefined: its delimiter, or that of the sequence, which is left to the caller
   * @param {number} end of the sequence
   * @param {Elements|undefined} into
   * @param {number} depth
   * @returns {number} where it ends
   */
  #item(number, encoding, at, until, end, into, depth) {
    const limit = until ?? end;
    // Items of unknown VR hold explicit ones, where the writer knew no better.
    const own = encoding.explicit || !isVr(this.#bytes, at + 4) ? encoding : { ...encoding, explicit: true };
    while (at < limit) {
      const header = this.#header(at, own, limit);
      if (header.number === SEQUENCE_END && until === undefined) return at;
      if (header.number === ITEM_END || header.number === SEQUENCE_END) {
        at = header.offset;
        if (until === undefined) return at;
        continue;
      }
      const next = this.#value(header, own, limit, into, depth);
      if (into) this.#spend(next - at);
      at = next;
    }
    if (until === undefined && limit === this.#bytes.length) throw this.#truncated(number);
    return limit;
  }

  /** @param {number} bytes of sequences that are kept */
  #spend(bytes) {
    this.#left -= bytes;
    if (this.#left < 0) throw this.#tooMuch();
  }

  #tooMuch() {
    return new DicomError('dicom-unsupported', `The file holds more than ${MAX_PARSED_BYTES / 2 ** 20} MiB beside its pixels.`);
  }

  /** @param {number} number */
  #truncated(number) {
    return new DicomError('dicom-truncated', `The file ends within the element ${tagName(number)}.`);
  }

  /** @param {number} number */
  #corrupt(number) {
    return new DicomError('dicom-corrupt', `The element ${tagName(number)} is damaged.`);
  }
}

/** What a VR is made of, also one that the standard has not. @param {Uint8Array} bytes @param {number} at */
const isLetters = (bytes, at) => [bytes[at], bytes[at + 1]].every((byte) => byte >= 0x41 && byte <= 0x5a);

/** @param {number} number @returns {string} '(0028,0010)' */
const tagName = (number) =>
  number
    .toString(16)
    .toUpperCase()
    .padStart(8, '0')
    .replace(/(.{4})(.{4})/, '($1,$2)');

/** Values of data elements; a value that is damaged counts as absent. */
export class Tags {
  #bytes;
  #elements;
  #inherited;

  /**
   * @param {Uint8Array} bytes of the file
   * @param {Elements} elements
   * @param {string[]} [characterSet] of what an item is in (PS3.3 C.12.1.1.2)
   */
  constructor(bytes, elements, characterSet) {
    this.#bytes = bytes;
    this.#elements = elements;
    this.#inherited = characterSet;
  }

  /** @param {string} key 'x00280010' */
  #get(key) {
    return this.#elements.get(parseInt(key.slice(1), 16));
  }

  /** @param {string} key */
  has(key) {
    return this.#get(key) !== undefined;
  }

  /** The first value of a text. @param {string} key @returns {string|undefined} undefined also when empty */
  text(key) {
    return this.texts(key)[0] || undefined;
  }

  /** @param {string} key @returns {string[]} */
  texts(key) {
    const whole = this.whole(key);
    return whole === '' ? [] : whole.split('\\').map((part) => part.trim());
  }

  /** A text with all of its values, as far as a NUL. @param {string} key @param {boolean} [strict] as decoded() takes it */
  whole(key, strict) {
    return decoded(this.raw(key)?.subarray(0, MAX_TEXT_BYTES), this.#characterSet(), strict).split('\0')[0];
  }

  /** @returns {string[]|undefined} */
  #characterSet() {
    const raw = this.raw(CHARACTER_SET)?.subarray(0, MAX_TEXT_BYTES);
    return raw?.length
      ? decoded(raw)
          .split('\0')[0]
          .split('\\')
          .map((term) => term.trim())
      : this.#inherited;
  }

  /** The numbers of a DS or IS, each in its place; NaN: none. @param {string} key @returns {number[]} */
  numbers(key) {
    return this.texts(key).map((part) => (part === '' ? NaN : Number(part)));
  }

  /** Those that are numbers. @param {string} key @returns {number[]} */
  decimals(key) {
    return this.numbers(key).filter(Number.isFinite);
  }

  /** A US. @param {string} key @param {number} [index] @returns {number|undefined} */
  unsigned(key, index = 0) {
    return this.#integer(key, index, 'uint16');
  }

  /** A US or SS. @param {string} key @param {boolean} signed @param {number} [index] @returns {number|undefined} */
  integer(key, signed, index = 0) {
    return this.#integer(key, index, signed ? 'int16' : 'uint16');
  }

  /** @param {string} key @returns {Tags[]} the items of a sequence */
  items(key) {
    const characterSet = this.#characterSet();
    return (this.#get(key)?.items ?? []).map((item) => new Tags(this.#bytes, item, characterSet));
  }

  /** @param {string} key @returns {Uint8Array|undefined} the value as it is in the file */
  raw(key) {
    const value = this.#get(key);
    return value && this.#bytes.subarray(value.offset, value.offset + value.length);
  }

  /** @param {string} key @param {number} index @param {'uint16'|'int16'} kind */
  #integer(key, index, kind) {
    const [raw, value] = [this.raw(key), this.#get(key)];
    if (!raw || !value || raw.length < 2 * index + 2) return undefined;
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    return kind === 'int16' ? view.getInt16(2 * index, value.little) : view.getUint16(2 * index, value.little);
  }
}

/**
 * PS3.5 A.5: all behind the file meta information is one raw deflate stream.
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} maxBytes
 */
async function inflate(bytes, start, maxBytes) {
  if (!globalThis.DecompressionStream) throw new DicomError('dicom-codec', 'This browser can not inflate deflated DICOM files.');
  const body = bytes.subarray(start);
  try {
    return await inflateRaw(body, bytes.subarray(0, start), maxBytes);
  } catch (error) {
    // The stream is padded to an even length, and some platforms refuse bytes after its end.
    if (/** @type {DicomError} */ (error).code !== 'dicom-corrupt' || body[body.length - 1] !== 0) throw error;
    return inflateRaw(body.subarray(0, -1), bytes.subarray(0, start), maxBytes);
  }
}

/**
 * @param {Uint8Array} body
 * @param {Uint8Array} head is put in front
 * @param {number} maxBytes
 */
async function inflateRaw(body, head, maxBytes) {
  const stream = new Blob([/** @type {BlobPart} */ (body)]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const reader = stream.getReader();
  const chunks = [head];
  let length = head.length;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } catch (cause) {
    await reader.cancel().catch(() => {});
    throw cause instanceof DicomError ? cause : new DicomError('dicom-corrupt', 'The deflated data set is damaged or cut off.', { cause });
  }
  return joined(chunks);
}
