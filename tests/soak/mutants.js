/** DICOM files to mutate, and the mutations: seeded, so that a run can be repeated. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from '../web/dicom/openjph.js';
import { dicomFile, encapsulated, radiograph, rle, unknown } from '../web/dicom/write.js';

/** A whole number from 0 on, below the given one. @typedef {(below: number) => number} Random */

/** Mutants of larger files would be few. */
const MAX_BYTES = 150_000;

/** Files of ../shared, where it is, and of write.js: each way of storing pixels, windows, sequences, foreign names. @returns {Uint8Array[]} */
export function corpus() {
  const found = ['../shared/cases', '../shared/data/dicom']
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => !/\.(md|csv|png|jpg|webp|bmp|tif)$/.test(path))
    .map((path) => readFileSync(path))
    .filter(({ length }) => length <= MAX_BYTES);
  return [...found, ...written()];
}

function written() {
  const [width, height] = [40, 32];
  const pixels = Uint16Array.from({ length: width * height }, (_, i) => (i * 13) % 4096);
  const bytes = Uint8Array.from(pixels, (value) => value & 255);
  const picture = { width, height, bits: 12, pixels };
  const two = { ...picture, pixels: Uint16Array.from([...pixels, ...pixels]) };
  const table = { '00283002': ['US', [4, 0, 16]], '00283006': ['US', [1, 2, 3, 4]] };
  const windows = { '00281050': ['DS', '1\\2'], '00281051': ['DS', '3\\4'], '00283010': ['SQ', [table]] };
  const rich = /** @type {any} */ ({
    '00080005': ['CS', '\\ISO 2022 IR 149'],
    '00100010': ['PN', Buffer.from('1b242943b1e88c63bcf8', 'hex')],
    '00280008': ['IS', '2'],
    '00283000': ['SQ', [table]],
    52009229: ['SQ', [{ '00289132': ['SQ', [windows]] }]],
    '00540220': unknown([{ '00080104': ['LO', 'pa'] }]),
  });
  const packed = (/** @type {string} */ syntax, /** @type {any} */ image, /** @type {Uint8Array[]} */ ...frames) =>
    dicomFile(radiograph(image, { '7fe00010': null, '00280008': ['IS', String(frames.length)] }), {
      syntax,
      tail: encapsulated(frames),
    });
  return [
    dicomFile(radiograph(two, rich)),
    dicomFile(radiograph(two, rich), { implicit: true, syntax: '1.2.840.10008.1.2' }),
    dicomFile(radiograph(two, rich), { big: true, syntax: '1.2.840.10008.1.2.2' }),
    dicomFile(radiograph(picture), { implicit: true, syntax: '1.2.840.113619.5.2' }),
    packed('1.2.840.10008.1.2.5', { width, height, pixels: bytes }, rle(bytes), rle(bytes)),
    packed('1.2.840.10008.1.2.4.201', picture, encode(picture)),
  ];
}

const LENGTHS = [0, 1, 2, 7, 8, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xfffffffe, 0xffffffff];
const TAGS = [0xfffee000, 0xfffee00d, 0xfffee0dd, 0x7fe00010, 0x00080005, 0x00280010, 0x00283010, 0x52009229, 0x00020010, 0x00080000];
/** Value representations, values, escape sequences, markers of JPEG and JPEG 2000. */
const TEXTS = [
  'SQ',
  'UN',
  'OW',
  'US',
  'MONOCHROME1',
  'PALETTE COLOR',
  'YBR_FULL_422',
  '\x1b$)C',
  '\x1b$B',
  '1.2.840.10008.1.2.4.90',
].concat(['-', '1e999', '\\\\\\', '\xff\xd8\xff\xc4', '\xff\x4f\xff\x51', '\xff\xd9']);

/**
 * One change at a place.
 * @type {((bytes: Buffer, at: number, random: Random, other: Uint8Array) => Buffer | void)[]} returns the bytes, if they are others
 */
const CHANGES = [
  (bytes, at, random) => void bytes.writeUInt8(random(256), at),
  (bytes, at, random) => void (bytes[at] ^= 1 << random(8)),
  (bytes, at, random) => void (at + 4 <= bytes.length && bytes.writeUInt32LE(LENGTHS[random(LENGTHS.length)], at)),
  (bytes, at, random) => void (at + 2 <= bytes.length && bytes.writeUInt16LE(LENGTHS[random(7)], at)),
  (bytes, at, random) => {
    const tag = TAGS[random(TAGS.length)];
    if (at + 4 > bytes.length) return;
    bytes.writeUInt16LE(tag >>> 16, at);
    bytes.writeUInt16LE(tag & 0xffff, at + 2);
  },
  (bytes, at, random) => void bytes.write(TEXTS[random(TEXTS.length)], at, 'latin1'),
  (bytes, at, random) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(random(4) ? 8 : 4000))]), // cut out
  (bytes, at, random) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 1 + random(64)), bytes.subarray(at)]), // doubled
  (bytes, at) => bytes.subarray(0, at), // cut off
  (bytes, at, random, other) => Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))]), // goes on as another file
];

/** A file with one to a dozen changes, most of them where the structure is. @param {Uint8Array[]} files @param {Random} random */
export function mutant(files, random) {
  const file = () => files[random(files.length)];
  let bytes = /** @type {Buffer} */ (Buffer.from(file()));
  for (let n = 1 + random(random(3) ? 3 : 12); n > 0 && bytes.length > 0; n--) {
    const at = random(random(3) ? Math.min(bytes.length, 1500) : bytes.length);
    bytes = CHANGES[random(CHANGES.length)](bytes, at, random, file()) ?? bytes;
  }
  return bytes.subarray(0, 2 * MAX_BYTES);
}
