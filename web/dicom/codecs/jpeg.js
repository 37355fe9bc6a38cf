// jpeg.js - decodes the JPEG of DICOM: sequential Huffman of 8 and 12 bits (processes 1, 2, 4) and lossless
// of 2..16 bits (process 14), after ISO/IEC 10918-1. Browsers know neither 12 bits nor lossless. A lazily loaded
// chunk. Entropy-coded data that ends too early is an error, never a gray picture.
import { DicomError } from '../error.js';
import { decodeDctScan, interleave } from './jpeg-dct.js';
import { decodeLosslessScan } from './jpeg-lossless.js';

/**
 * @typedef {object} Component
 * @property {number} id
 * @property {number} h horizontal sampling
 * @property {number} v vertical sampling
 * @property {number} table of quantisation
 * @property {Uint16Array} plane samples, `stride` a row; empty until its scan is met
 * @property {number} stride
 *
 * @typedef {object} Frame what SOF says
 * @property {number} precision
 * @property {number} width
 * @property {number} height
 * @property {boolean} lossless
 * @property {Component[]} components
 * @property {number} hMax
 * @property {number} vMax
 *
 * @typedef {object} HuffmanTable as DHT defines it (B.2.4.2)
 * @property {number[]} counts codes of each length, 1..16
 * @property {number[]} symbols
 *
 * @typedef {object} ScanComponent
 * @property {Component} component
 * @property {Uint16Array} dc of lookupTable
 * @property {Uint16Array|undefined} ac
 *
 * @typedef {object} Scan
 * @property {ScanComponent[]} parts
 * @property {number} selection of the predictor, 1..7 (lossless)
 * @property {number} transform point transform (lossless)
 */

/** What is not read, by the n of its SOFn. @param {number} n */
const unreadKind = (n) => (n === 2 ? 'progressive' : n > 8 && n < 12 ? 'arithmetic-coded' : n > 4 ? 'hierarchical' : '');

/** @type {import('../pixel-data.js').Decode} */
export function decode(bytes, expected) {
  return new JpegDecoder(bytes, expected).decode();
}

class JpegDecoder {
  #bytes;
  #expected;
  #at = 0;
  /** @type {Frame|undefined} */
  #frame;
  /** @type {Array<Uint16Array|undefined>} in zigzag order */
  #quantisation = [];
  /** @type {Array<HuffmanTable|undefined>} DC tables at 0..3, AC at 4..7 */
  #huffman = [];
  #restart = 0;
  /** @type {'rgb'|'ybr'|undefined} */
  #colour;

  /** @param {Uint8Array} bytes @param {import('../pixel-data.js').Expected} expected */
  constructor(bytes, expected) {
    this.#bytes = bytes;
    this.#expected = expected;
  }

  /** @returns {import('../pixel-data.js').Samples} */
  decode() {
    if (this.#u16() !== 0xffd8) throw new Error('it does not begin as a JPEG');
    while (!this.#complete()) {
      const marker = this.#marker();
      if (marker === 0xd9) throw new Error('a component is missing');
      this.#segment(marker, this.#u16() - 2);
    }
    return this.#result(/** @type {Frame} */ (this.#frame));
  }

  #complete() {
    return this.#frame?.components.every(({ plane }) => plane.length > 0) ?? false;
  }

  #u8() {
    if (this.#at >= this.#bytes.length) throw new Error('it ends too early');
    return this.#bytes[this.#at++];
  }

  #u16() {
    return this.#u8() * 256 + this.#u8();
  }

  /** Fill bytes (FF) may come before a marker (B.1.1.2). */
  #marker() {
    if (this.#u8() !== 0xff) throw new Error('a marker is missing');
    for (;;) {
      const code = this.#u8();
      if (code !== 0xff) return code;
    }
  }

  /** @param {number} marker @param {number} length */
  #segment(marker, length) {
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new Error('it ends too early');
    if (marker === 0xda) return this.#scan(end);
    if (marker === 0xc4) this.#readHuffman(end);
    else if (marker === 0xdb) this.#readQuantisation(end);
    else if (marker === 0xdd) this.#restart = this.#u16();
    else if (marker === 0xe0 && this.#text(5) === 'JFIF\0') this.#colour ??= 'ybr';
    else if (marker === 0xee && length >= 12 && this.#text(5) === 'Adobe') this.#colour = this.#bytes[this.#at + 11] === 0 ? 'rgb' : 'ybr';
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) this.#readFrame(marker - 0xc0);
    this.#at = end;
    return undefined;
  }

  /** @param {number} length */
  #text(length) {
    return String.fromCharCode(...this.#bytes.subarray(this.#at, this.#at + length));
  }

  /** @param {number} kind n of SOFn */
  #readFrame(kind) {
    if (unreadKind(kind)) throw new DicomError('dicom-unsupported', `A ${unreadKind(kind)} JPEG is not read.`);
    if (this.#frame) throw new Error('it has two frames');
    const [precision, height, width, count] = [this.#u8(), this.#u16(), this.#u16(), this.#u8()];
    const lossless = kind === 3;
    const { width: columns, height: rows, samples, allocated } = this.#expected;
    if (width !== columns || height !== rows || count !== samples)
      throw new Error(`it has ${width} x ${height} pixels of ${count} samples, the file announces ${columns} x ${rows} of ${samples}`);
    if (precision > allocated || (lossless ? precision < 2 : precision !== 8 && precision !== 12))
      throw new Error(`${precision} bits are not possible here`);
    const components = Array.from({ length: count }, () => this.#readComponent());
    // The sampling factors of a component that is alone have no meaning (A.2.2).
    if (count === 1) components[0].h = components[0].v = 1;
    this.#frame = {
      precision,
      width,
      height,
      lossless,
      components,
      hMax: Math.max(...components.map(({ h }) => h)),
      vMax: Math.max(...components.map(({ v }) => v)),
    };
    if (count === 3 && String.fromCharCode(...components.map(({ id }) => id)) === 'RGB') this.#colour ??= 'rgb';
  }

  /** @returns {Component} */
  #readComponent() {
    const [id, sampling, table] = [this.#u8(), this.#u8(), this.#u8()];
    const [h, v] = [sampling >> 4, sampling & 15];
    if (h < 1 || h > 4 || v < 1 || v > 4 || table > 3) throw new Error('its frame header is damaged');
    return { id, h, v, table, plane: new Uint16Array(0), stride: 0 };
  }

  /** @param {number} end */
  #readQuantisation(end) {
    while (this.#at < end) {
      const head = this.#u8();
      const table = new Uint16Array(64);
      for (let i = 0; i < 64; i++) table[i] = head >> 4 ? this.#u16() : this.#u8();
      this.#quantisation[head & 3] = table;
    }
  }

  /** @param {number} end */
  #readHuffman(end) {
    while (this.#at < end) {
      const head = this.#u8();
      const counts = Array.from({ length: 16 }, () => this.#u8());
      const total = counts.reduce((sum, count) => sum + count, 0);
      const symbols = Array.from({ length: total }, () => this.#u8());
      this.#huffman[(head & 3) + (head >> 4 ? 4 : 0)] = { counts, symbols };
    }
  }

  /** @param {number} end of the scan's header */
  #scan(end) {
    const frame = this.#frame;
    if (!frame) throw new Error('a scan comes before the frame');
    const count = this.#u8();
    if (count < 1 || count > 4) throw new Error('its scan header is damaged');
    const parts = Array.from({ length: count }, () => this.#readPart(frame));
    const [selection, , low] = [this.#u8(), this.#u8(), this.#u8()];
    const reader = new BitReader(this.#bytes, end);
    const scan = { parts, selection, transform: low & 15 };
    if (frame.lossless) decodeLosslessScan(frame, scan, reader, this.#restart);
    else decodeDctScan(frame, scan, reader, this.#restart, this.#quantisation);
    this.#at = reader.endOfScan();
  }

  /** @param {Frame} frame @returns {ScanComponent} */
  #readPart(frame) {
    const [id, tables] = [this.#u8(), this.#u8()];
    const component = frame.components.find((other) => other.id === id && other.plane.length === 0);
    const dc = this.#huffman[(tables >> 4) & 3];
    const ac = this.#huffman[4 + (tables & 3)];
    if (!component || !dc || (!ac && !frame.lossless)) throw new Error('its scan header is damaged');
    // Only now, for a file may define tables without end.
    return { component, dc: lookupTable(dc), ac: ac && lookupTable(ac) };
  }

  /** @param {Frame} frame @returns {import('../pixel-data.js').Samples} */
  #result(frame) {
    const data = interleave(frame, this.#expected.allocated === 8);
    return { data, colour: this.#colour, precision: frame.lossless ? undefined : frame.precision };
  }
}

/**
 * For any next 16 bits the code's length (high byte) and symbol (low byte); 0: no such code.
 * @param {HuffmanTable} table
 */
function lookupTable({ counts, symbols }) {
  const table = new Uint16Array(65536);
  let code = 0;
  let next = 0;
  counts.forEach((count, i) => {
    const length = i + 1;
    for (let n = 0; n < count; n++, code += 1 << (16 - length)) {
      if (code + (1 << (16 - length)) > 65536) throw new Error('its Huffman table is damaged');
      table.fill((length << 8) | symbols[next++], code, code + (1 << (16 - length)));
    }
  });
  return table;
}

/** Bits of entropy-coded data, most significant first, FF 00 standing for FF (B.1.1.5). */
export class BitReader {
  #bytes;
  #at;
  #bits = 0;
  #count = 0;
  /** How many of the bits at hand were made up because the data ended. */
  #lent = 0;

  /** @param {Uint8Array} bytes @param {number} at */
  constructor(bytes, at) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Makes at least 16 bits available. */
  #fill() {
    while (this.#count <= 16) {
      let byte = this.#bytes[this.#at];
      if (byte === 0xff && this.#bytes[this.#at + 1] === 0) this.#at += 2;
      else if (byte === undefined || byte === 0xff) {
        byte = 0;
        this.#lent += 8;
      } else this.#at++;
      this.#bits = (this.#bits << 8) | byte;
      this.#count += 8;
    }
  }

  /** @param {number} length */
  #consume(length) {
    this.#count -= length;
    if (this.#count < this.#lent) throw new Error('its data ends too early');
  }

  /** The next symbol. @param {Uint16Array} table of lookupTable */
  symbol(table) {
    if (this.#count < 16) this.#fill();
    const entry = table[(this.#bits >>> (this.#count - 16)) & 0xffff];
    if (entry === 0) throw new Error('its data is damaged');
    this.#consume(entry >> 8);
    return entry & 255;
  }

  /** A difference of `size` bits, 0..16 (F.2.2.1, EXTEND). @param {number} size */
  difference(size) {
    if (size === 0) return 0;
    if (this.#count < size) this.#fill();
    const value = (this.#bits >>> (this.#count - size)) & ((1 << size) - 1);
    this.#consume(size);
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  /** Goes behind the next restart marker (F.2.2.5). */
  restart() {
    this.#bits = this.#count = this.#lent = 0;
    if (this.#bytes[this.#at] !== 0xff) throw new Error('a restart marker is missing');
    while (this.#bytes[this.#at] === 0xff) this.#at++;
    const code = this.#bytes[this.#at++];
    if (code === undefined || code < 0xd0 || code > 0xd7) throw new Error('a restart marker is missing');
  }

  /** @returns {number} where the next marker begins */
  endOfScan() {
    let at = this.#at;
    while (at < this.#bytes.length && !(this.#bytes[at] === 0xff && this.#bytes[at + 1] !== 0 && this.#bytes[at + 1] !== 0xff)) at++;
    return at;
  }
}
