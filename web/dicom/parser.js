// parser.js - bytes to the few data elements that a picture needs, by dicom-parser. Elements that are not
// in WANTED, such as everything about the patient, are stepped over and never read, unless patient.js asks.
import dicomParser from 'dicom-parser';
import { joined } from './bytes.js';
import { DicomError } from './error.js';
import { encodingAt, startOfDicom } from '../shared/dicom-sniff.js';
import { DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, syntaxOf } from './transfer-syntax.js';
import { decoded } from './character-set.js';

/**
 * @typedef {import('./transfer-syntax.js').Syntax} Syntax
 *
 * @typedef {object} PixelData where the pixels are
 * @property {number} offset of the first byte in `bytes`
 * @property {number} length
 * @property {boolean} encapsulated as a sequence of fragments (PS3.5 A.4)
 * @property {string|undefined} vr
 *
 * @typedef {object} DicomData
 * @property {Uint8Array} bytes the file; inflated, if it was deflated
 * @property {Syntax} syntax
 * @property {boolean} little byte order of the data set
 * @property {Tags} tags
 * @property {PixelData} pixelData
 */

// What the engine takes for one file; nothing that inflates beyond it is kept.
export const MAX_FILE_BYTES = 256 * 2 ** 20;

// What is taken apart of one file, pixels left out: dicom-parser builds an object for each element of a sequence, of
// which a hostile file could ask for many millions.
const MAX_PARSED_BYTES = 8 * 2 ** 20;

// No text that is read is longer (PS3.5 6.2), and escape sequences without end would take long.
const MAX_TEXT_BYTES = 65536;

const UNDEFINED_LENGTH = 0xffffffff;
const PIXEL_DATA = 0x7fe00010;
const FLOAT_PIXELS = [0x7fe00008, 0x7fe00009];
const CHARACTER_SET = 'x00080005';
const MEDIA_DIRECTORY = '1.2.840.10008.1.3.10';

/** All that is read of its own accord, by tag. */
const WANTED = new Set([
  '00020002 00020010', // file meta information: media storage SOP class, transfer syntax
  '00080005 00080016 00080018 00080060 00080068 00082218', // character set, SOP class and instance, modality, presentation intent, anatomic region
  '00180015 00181164 00182010 00185101', // body part, spacings, view position
  '0020000d 0020000e 00200020 00200060 00200062', // UIDs, orientation, laterality
  '00280002 00280004 00280006 00280008 00280010 00280011 00280030 00280a02 00280100 00280101 00280102 00280103', // the pixels' layout, spacing and how it was calibrated
  '00280120 00280121 00280301 00281050 00281051 00281052 00281053 00281055 00281056', // padding, burned-in text, window and rescale
  '00281101 00281102 00281103 00281201 00281202 00281203 00281221', // palette
  '00283000 00283010 00540220 20500020', // LUT sequences, view code, presentation LUT shape
  '52009229 52009230', // functional groups
].flatMap((group) => group.split(' ').map((tag) => `x${tag}`)));

/** @type {any} its types leave out what is used here */
const parser = dicomParser;

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
    throw new DicomError('dicom-directory', 'This is a DICOMDIR: a list of files, not a picture.');
  if (declared === DEFLATED) bytes = await inflate(bytes, meta.end, maxBytes);
  return readDataSet(bytes, meta.end, declared, wanted);
}

/** @param {number} maxBytes */
export const tooLarge = (maxBytes) =>
  new DicomError(
    'image-file-size',
    `The file is larger than ${Math.floor(maxBytes / 2 ** 20)} MiB, or inflates to more.`,
  );

/**
 * The file meta information, always Explicit VR Little Endian (PS3.10 7.1).
 * @param {Uint8Array} bytes
 * @param {number} start
 */
function readMeta(bytes, start) {
  const reader = new ElementReader(bytes, start, 'explicit-little', WANTED);
  while (reader.peekGroup() === 2) reader.read();
  return { tags: reader.tags, end: reader.position };
}

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {string|undefined} declared transfer syntax; absent from files without a header
 * @param {Set<string>} wanted
 * @returns {DicomData}
 */
function readDataSet(bytes, start, declared, wanted) {
  const encoding = encodingAt(bytes, start);
  const syntax = syntaxOf(
    declared ??
      { 'implicit-little': IMPLICIT_LITTLE, 'explicit-little': EXPLICIT_LITTLE, 'explicit-big': EXPLICIT_BIG }[
        encoding
      ],
  );
  const reader = new ElementReader(bytes, start, encoding, wanted);
  while (reader.peekGroup() !== undefined) {
    const pixelData = reader.read();
    if (pixelData) return { bytes, syntax, little: encoding !== 'explicit-big', tags: reader.tags, pixelData };
  }
  throw withoutPixels(reader.tags);
}

/** @param {Tags} tags */
function withoutPixels(tags) {
  if (tags.has('x00280010'))
    return new DicomError('dicom-truncated', 'The file ends before its pixel data (7FE0,0010).');
  const modality = tags.text('x00080060');
  return new DicomError(
    'dicom-no-image',
    `This DICOM file holds no picture${modality ? `; its modality (0008,0060) is ${modality}` : ''}.`,
  );
}

/** Walks over data elements and keeps the wanted ones. */
class ElementReader {
  /** @type {Record<string, any>} */
  #elements = {};
  #bytes;
  #view;
  #little;
  #explicit;
  #byteParser;
  #wanted;
  /** Bytes that may still be taken apart. */
  #left = MAX_PARSED_BYTES;
  position;

  /**
   * @param {Uint8Array} bytes
   * @param {number} position
   * @param {'explicit-little'|'explicit-big'|'implicit-little'} encoding
   * @param {Set<string>} wanted
   */
  constructor(bytes, position, encoding, wanted) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = encoding !== 'explicit-big';
    this.#explicit = encoding !== 'implicit-little';
    this.#byteParser = this.#little ? parser.littleEndianByteArrayParser : parser.bigEndianByteArrayParser;
    this.#wanted = wanted;
    this.position = position;
    this.tags = new Tags(new parser.DataSet(this.#byteParser, bytes, this.#elements));
  }

  /** @returns {number|undefined} undefined: no element follows */
  peekGroup() {
    return this.position + 8 <= this.#bytes.length ? this.#view.getUint16(this.position, this.#little) : undefined;
  }

  /** @returns {PixelData|undefined} if that is what was met */
  read() {
    const { key, number, vr, length, offset } = this.#header();
    const known = length !== UNDEFINED_LENGTH;
    if (number === PIXEL_DATA) return { offset, length, encapsulated: !known, vr };
    if (FLOAT_PIXELS.includes(number))
      throw new DicomError('dicom-unsupported', 'Pixels as floating-point numbers (7FE0,0008) are not read.');
    if (known && offset + length > this.#bytes.length) throw this.#truncated(key);
    if (known && !this.#wanted.has(key)) this.position = offset + length;
    else if (known && length > this.#left) throw this.#tooMuch();
    else this.#parse(key);
    return undefined;
  }

  #header() {
    const at = this.position;
    const group = this.#view.getUint16(at, this.#little);
    const element = this.#view.getUint16(at + 2, this.#little);
    const number = group * 65536 + element;
    const key = `x${number.toString(16).padStart(8, '0')}`;
    if (!this.#explicit)
      return { key, number, vr: undefined, length: this.#view.getUint32(at + 4, true), offset: at + 8 };
    const vr = String.fromCharCode(this.#bytes[at + 4], this.#bytes[at + 5]);
    // PS3.5 7.1.2: these have a length of 32 bits.
    if (!/^(O[BDFLVW]|SQ|SV|U[CNRTV])$/.test(vr))
      return { key, number, vr, length: this.#view.getUint16(at + 6, this.#little), offset: at + 8 };
    if (at + 12 > this.#bytes.length) throw this.#truncated(key);
    return { key, number, vr, length: this.#view.getUint32(at + 8, this.#little), offset: at + 12 };
  }

  /** @param {string} key */
  #parse(key) {
    const start = this.position;
    const window = this.#bytes.subarray(0, start + this.#left);
    const stream = new parser.ByteStream(this.#byteParser, window, start);
    try {
      const element = this.#explicit
        ? parser.readDicomElementExplicit(stream, stream.warnings)
        : parser.readDicomElementImplicit(stream);
      if (element.vr === 'UN' && !element.items) readUnknown(element, window);
      if (this.#wanted.has(key)) this.#elements[key] = element;
    } catch (cause) {
      throw new DicomError('dicom-corrupt', `The element ${tagName(key)} is damaged.`, { cause });
    }
    // The parser takes an end of its bytes for the end of a sequence: here it would be half of one.
    if (
      stream.position > window.length ||
      stream.position <= start ||
      stream.warnings.some((/** @type {string} */ w) => w.startsWith('eof'))
    )
      throw window.length < this.#bytes.length ? this.#tooMuch() : this.#truncated(key);
    this.#left -= stream.position - start;
    this.position = stream.position;
  }

  #tooMuch() {
    return new DicomError('dicom-unsupported', `The file holds more than ${MAX_PARSED_BYTES / 2 ** 20} MiB beside its pixels.`);
  }

  /** @param {string} key */
  #truncated(key) {
    return new DicomError('dicom-truncated', `The file ends within the element ${tagName(key)}.`);
  }
}

/**
 * A sequence written as UN of known length: Implicit VR Little Endian, whatever is around it (PS3.5 6.2.2).
 * @param {any} element
 * @param {Uint8Array} bytes
 */
function readUnknown(element, bytes) {
  const { dataOffset: at, length } = element;
  if (length < 8 || ![0xfe, 0xff, 0x00, 0xe0].every((byte, i) => bytes[at + i] === byte)) return;
  const stream = new parser.ByteStream(parser.littleEndianByteArrayParser, bytes.subarray(0, at + length), at);
  parser.readSequenceItemsImplicit(stream, element);
}

/** @param {string} key 'x00280010' @returns {string} '(0028,0010)' */
const tagName = (key) => `(${key.slice(1, 5)},${key.slice(5)})`.toUpperCase();

/** Values of data elements; a value that is damaged counts as absent. */
export class Tags {
  #set;
  #inherited;

  /** @param {any} set a DataSet of dicom-parser @param {string} [characterSet] of what an item is in (PS3.3 C.12.1.1.2) */
  constructor(set, characterSet) {
    this.#set = set;
    this.#inherited = characterSet;
  }

  /** @param {string} key */
  has(key) {
    return this.#set.elements[key] !== undefined;
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

  /** A text with all of its values, as far as a NUL. @param {string} key @param {string} [otherwise] as decoded() takes it */
  whole(key, otherwise) {
    return decoded(this.raw(key)?.subarray(0, MAX_TEXT_BYTES), this.#characterSet(), otherwise).split('\0')[0];
  }

  /** The first, in which texts begin. @returns {string|undefined} */
  #characterSet() {
    return this.#try(() => this.#set.string(CHARACTER_SET))?.split('\\')[0].trim() ?? this.#inherited;
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
    const items = this.#set.elements[key]?.items ?? [];
    const characterSet = this.#characterSet();
    return items.flatMap((/** @type {any} */ item) => (item.dataSet ? [new Tags(item.dataSet, characterSet)] : []));
  }

  /** @param {string} key @returns {Uint8Array|undefined} the value as it is in the file */
  raw(key) {
    const element = this.#set.elements[key];
    if (!element || element.dataOffset + element.length > this.#set.byteArray.length) return undefined;
    return this.#set.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  }

  /** @param {string} key @param {number} index @param {'uint16'|'int16'} kind */
  #integer(key, index, kind) {
    const element = this.#set.elements[key];
    if (!element || element.length < 2 * index + 2) return undefined;
    return this.#try(() => this.#set[kind](key, index));
  }

  /** @template T @param {() => T} get @returns {T|undefined} */
  #try(get) {
    try {
      return get();
    } catch {
      return undefined;
    }
  }
}

/**
 * PS3.5 A.5: all behind the file meta information is one raw deflate stream.
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} maxBytes
 */
async function inflate(bytes, start, maxBytes) {
  if (!globalThis.DecompressionStream)
    throw new DicomError('dicom-codec', 'This browser can not inflate deflated DICOM files.');
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
  const stream = new Blob([/** @type {BlobPart} */ (body)])
    .stream()
    .pipeThrough(new DecompressionStream('deflate-raw'));
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
    throw cause instanceof DicomError
      ? cause
      : new DicomError('dicom-corrupt', 'The deflated data set is damaged or cut off.', { cause });
  }
  return joined(chunks);
}
