// pixel-data.js - the stored samples of one frame: layout and limits checked, fragments gathered, and the
// right decoder asked (PS3.3 C.7.6.3, PS3.5 8 and A.4). Nothing is allocated before the limits are checked.
import { byPixel, joined, swapped, words } from './bytes.js';
import { DicomError } from './error.js';
import { decodeRle } from './codecs/rle.js';

/**
 * @typedef {import('./parser.js').DicomData} DicomData
 * @typedef {import('./parser.js').Tags} Tags
 *
 * @typedef {object} Layout the image pixel module
 * @property {number} width
 * @property {number} height
 * @property {number} frames
 * @property {number} samples per pixel, 1 or 3
 * @property {string} photometric interpretation
 * @property {boolean} planar
 * @property {8|16} allocated
 * @property {number} stored bits, 1..allocated
 * @property {number} high the stored bits' highest
 * @property {boolean} signed
 *
 * @typedef {object} Samples one frame, decoded
 * @property {Uint8Array|Uint16Array} data row by row; the samples of a pixel side by side; perhaps a view of the file
 * @property {'rgb'|'ybr'} [colour] what a decoder knows about the meaning of three samples
 * @property {number} [precision] bits of a lossy decoder's samples, which may overshoot the bits stored
 * @property {number} [unsigned] bits of the compressed samples, where the compressed data call them unsigned
 *
 * @typedef {object} Expected what a compressed frame must turn out to be
 * @property {number} width
 * @property {number} height
 * @property {number} samples
 * @property {number} allocated
 *
 * @typedef {(bytes: Uint8Array, expected: Expected, url?: URL) => Samples | Promise<Samples>} Decode `url`: of its module
 * @typedef {Record<'jpegls'|'jpeg2000', () => URL>} Modules where the WebAssembly of decoders lies
 */

// The engine's limits (cxr.h), and the most frames that a file may announce.
const MAX_SIDE = 16384;
const MAX_PIXELS = 64 * 2 ** 20;
const MAX_FRAMES = 100_000;

/** @type {Record<'jpeg'|'jpegls'|'jpeg2000', () => Promise<{ decode: Decode }>>} each arrives when first needed */
const LAZY = {
  jpeg: () => import('./codecs/jpeg.js'),
  jpegls: () => import('./codecs/jpegls.js'),
  jpeg2000: () => import('./codecs/jpeg2000.js'),
};

const COLOURS = ['RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_ICT', 'YBR_RCT'];

/**
 * @param {Tags} tags
 * @returns {Layout}
 */
export function layoutOf(tags) {
  const allocated = required(tags, 'x00280100', 'Bits Allocated (0028,0100)');
  const stored = tags.unsigned('x00280101') ?? allocated;
  const layout = {
    height: required(tags, 'x00280010', 'Rows (0028,0010)'),
    width: required(tags, 'x00280011', 'Columns (0028,0011)'),
    frames: Math.max(tags.decimals('x00280008')[0] ?? 1, 1),
    samples: tags.unsigned('x00280002') ?? 1,
    photometric: (tags.text('x00280004') ?? 'MONOCHROME2').toUpperCase(),
    planar: tags.unsigned('x00280006') === 1,
    allocated: /** @type {8|16} */ (allocated),
    stored,
    high: tags.unsigned('x00280102') ?? stored - 1,
    signed: tags.unsigned('x00280103') === 1,
  };
  checkLimits(layout);
  checkBits(layout);
  checkPhotometric(layout);
  return layout;
}

/** @param {Tags} tags @param {string} key @param {string} name */
function required(tags, key, name) {
  const value = tags.unsigned(key);
  if (value === undefined) throw new DicomError('dicom-corrupt', `${name} is missing.`);
  return value;
}

/** @param {Layout} layout */
function checkLimits({ width, height, frames }) {
  if (width === 0 || height === 0) throw new DicomError('dicom-corrupt', 'Rows (0028,0010) or Columns (0028,0011) is zero.');
  if (width > MAX_SIDE || height > MAX_SIDE) throw new DicomError('image-side', `A side is longer than ${MAX_SIDE} pixels.`);
  if (width * height > MAX_PIXELS) throw new DicomError('image-pixels', 'The image has more than 64 megapixels.');
  if (!Number.isInteger(frames) || frames > MAX_FRAMES)
    throw new DicomError('dicom-corrupt', 'Number of Frames (0028,0008) is not plausible.');
}

/** @param {Layout} layout */
function checkBits({ allocated, stored, high, samples }) {
  if (allocated !== 8 && allocated !== 16)
    throw new DicomError('dicom-unsupported', `Pixels of ${allocated} bits (0028,0100) are not read; radiographs have 8 or 16.`);
  if (stored < 1 || stored > allocated || high >= allocated || high < stored - 1)
    throw new DicomError('dicom-corrupt', 'Bits Allocated, Bits Stored and High Bit (0028,0100..0102) contradict each other.');
  if (samples > 1 && high !== stored - 1) throw new DicomError('dicom-unsupported', 'Colour with shifted bits (0028,0102) is not read.');
}

/** @param {Layout} layout */
function checkPhotometric({ photometric, samples }) {
  const monochrome = photometric === 'MONOCHROME1' || photometric === 'MONOCHROME2';
  if (!monochrome && photometric !== 'PALETTE COLOR' && !COLOURS.includes(photometric))
    throw new DicomError('dicom-unsupported', `Photometric Interpretation (0028,0004) ${photometric} is not read.`);
  const expected = COLOURS.includes(photometric) ? 3 : 1;
  if (samples !== expected)
    throw new DicomError('dicom-corrupt', `Samples per Pixel (0028,0002) is ${samples}, which contradicts ${photometric} (0028,0004).`);
}

/**
 * @param {DicomData} dicom
 * @param {import('./transfer-syntax.js').Decoder} decoder of its syntax
 * @param {Layout} layout
 * @param {number} index of the frame, from 0
 * @param {Modules} modules
 * @returns {Promise<Samples>}
 */
export async function readFrame(dicom, decoder, layout, index, modules) {
  const { name } = dicom.syntax;
  if (!Number.isInteger(index) || index < 0 || index >= layout.frames)
    throw new DicomError('dicom-frame', `There is no frame ${index + 1}; the file has ${layout.frames}.`);
  if (decoder === 'native') return nativeFrame(dicom, layout, index);
  if (!dicom.pixelData.encapsulated)
    throw new DicomError('dicom-corrupt', `The pixel data (7FE0,0010) is not encapsulated as ${name} demands.`);
  const bytes = encapsulatedFrame(dicom, layout, index, decoder);
  const decode = decoder === 'rle' ? decodeRle : await loadDecoder(decoder, modules);
  return extended(await decodeFrame(decode, bytes, layout, name), layout);
}

/**
 * Signed samples that were compressed as unsigned ones of fewer bits than are stored: their sign is their own highest bit.
 * @param {Samples} samples
 * @param {Layout} layout
 * @returns {Samples}
 */
function extended(samples, { signed, stored }) {
  const { data, unsigned = stored } = samples;
  if (!signed || unsigned >= stored) return samples;
  const shift = 32 - unsigned;
  return { ...samples, data: data.map((value) => (value << shift) >> shift), precision: undefined };
}

/** @param {'jpeg'|'jpegls'|'jpeg2000'} which @param {Modules} modules @returns {Promise<Decode>} */
async function loadDecoder(which, modules) {
  try {
    const { decode } = await LAZY[which]();
    return which === 'jpeg' ? decode : (bytes, expected) => decode(bytes, expected, modules[which]());
  } catch (cause) {
    throw new DicomError('dicom-codec', `The decoder ${which} could not be loaded.`, { cause });
  }
}

/**
 * @param {Decode} decode
 * @param {Uint8Array} bytes
 * @param {Layout} layout
 * @param {string} name
 */
async function decodeFrame(decode, bytes, { width, height, samples, allocated }, name) {
  try {
    const frame = await decode(bytes, { width, height, samples, allocated });
    if (frame.data.length !== width * height * samples) throw new Error('not as many samples as there should be');
    return frame;
  } catch (cause) {
    if (cause instanceof DicomError) throw cause;
    const reason = cause instanceof Error ? cause.message : 'the decoder gave up';
    throw new DicomError('dicom-corrupt', `The picture (${name}) is damaged: ${reason}.`, { cause });
  }
}

// ---- Uncompressed ---------------------------------------------------------------------------

/**
 * @param {DicomData} dicom
 * @param {Layout} layout
 * @param {number} index
 * @returns {Samples}
 */
function nativeFrame({ bytes, pixelData }, layout, index) {
  const { little } = pixelData;
  const { width, height, samples, allocated, photometric } = layout;
  if (pixelData.encapsulated) throw new DicomError('dicom-corrupt', 'The pixel data (7FE0,0010) has no length.');
  // C.7.6.3.1.2: 4:2:2 has two luminances and one pair of chrominances for every two pixels.
  const subsampled = photometric === 'YBR_FULL_422';
  if (subsampled && allocated !== 8) throw new DicomError('dicom-unsupported', 'YBR_FULL_422 of 16 bits is not read.');
  if (subsampled && width % 2 !== 0) throw new DicomError('dicom-corrupt', 'YBR_FULL_422 with an odd number of columns.');
  const length = width * height * (subsampled ? 2 : samples) * (allocated / 8);
  const start = pixelData.offset + index * length;
  if ((index + 1) * length > pixelData.length || start + length > bytes.length)
    throw new DicomError(
      'dicom-truncated',
      `The pixel data (7FE0,0010) is shorter than ${layout.frames} frames of ${width} x ${height} pixels.`,
    );
  const frame = bytes.subarray(start, start + length);
  if (allocated === 16) return { data: interleaved(words(frame, little), layout) };
  const ordered =
    !little && pixelData.vr === 'OW'
      ? swapped(bytes.subarray(pixelData.offset, pixelData.offset + pixelData.length), index * length, length)
      : frame;
  return { data: subsampled ? upsampled(ordered) : interleaved(ordered, layout) };
}

/** Y Y Cb Cr to Y Cb Cr Y Cb Cr. @param {Uint8Array} bytes */
function upsampled(bytes) {
  const result = new Uint8Array((bytes.length / 4) * 6);
  for (let from = 0, to = 0; from < bytes.length; from += 4, to += 6) {
    result[to] = bytes[from];
    result[to + 3] = bytes[from + 1];
    result[to + 1] = result[to + 4] = bytes[from + 2];
    result[to + 2] = result[to + 5] = bytes[from + 3];
  }
  return result;
}

/**
 * Colour by plane to colour by pixel (0028,0006).
 * @template {Uint8Array|Uint16Array} T
 * @param {T} data
 * @param {Layout} layout
 * @returns {T}
 */
function interleaved(data, { samples, planar, width, height }) {
  return samples === 1 || !planar ? data : byPixel(data, samples, width * height);
}

// ---- Encapsulated ---------------------------------------------------------------------------

/**
 * The bytes of one frame, out of as many fragments as it has (PS3.5 A.4).
 * @param {DicomData} dicom
 * @param {Layout} layout
 * @param {number} index
 * @param {import('./transfer-syntax.js').Decoder} decoder
 */
function encapsulatedFrame(dicom, layout, index, decoder) {
  const {
    items: [table, ...fragments],
    closed,
  } = itemsOf(dicom);
  // The other decoders miss what is missing; half a JPEG 2000 becomes a blurred image.
  if (!closed && decoder === 'jpeg2000' && !endsWithMarker(fragments[fragments.length - 1].bytes))
    throw new DicomError('dicom-truncated', 'The file ends within its pixel data (7FE0,0010).');
  if (fragments.length === 0) throw new DicomError('dicom-truncated', 'The pixel data (7FE0,0010) has no fragments.');
  const own = fragmentsOf(layout.frames, index, table, fragments);
  if (own.length === 0) throw new DicomError('dicom-truncated', `Frame ${index + 1} has no data.`);
  if (own.length === 1) return own[0].bytes;
  return joined(own.map(({ bytes }) => bytes));
}

/** End of codestream, and perhaps padding. @param {Uint8Array} bytes */
function endsWithMarker(bytes) {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes[end - 2] === 0xff && bytes[end - 1] === 0xd9;
}

/** @typedef {{ offset: number, bytes: Uint8Array }} Fragment with the offset of its item from the first one's */

const ITEM = 0xe000fffe;
const END = 0xe0ddfffe;

/**
 * The basic offset table, then the fragments. The end of their sequence may be missing, or be zeros, or lie within a last
 * fragment that says two bytes more than it has: devices write all of these.
 * @param {DicomData} dicom
 * @returns {{ items: Fragment[], closed: boolean }}
 */
function itemsOf({ bytes, pixelData }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** @type {Fragment[]} */
  const items = [];
  let at = pixelData.offset;
  let base = at;
  while (at + 8 <= bytes.length && view.getUint32(at, true) === ITEM) {
    const length = view.getUint32(at + 4, true);
    const excess = at + 8 + length - bytes.length;
    if (excess > (items.length > 0 ? EXCESS : 0))
      throw new DicomError('dicom-truncated', 'The file ends within its pixel data (7FE0,0010).');
    if (items.length > MAX_FRAMES) throw new DicomError('dicom-corrupt', 'The pixel data (7FE0,0010) has too many fragments.');
    items.push({ offset: at - base, bytes: bytes.subarray(at + 8, at + 8 + length) });
    at += 8 + length;
    if (items.length === 1) base = at;
  }
  return { items, closed: items.length < 2 || isClosed(view, at, items[items.length - 1]) };
}

/** Bytes that a last fragment may say too many. */
const EXCESS = 2;

/**
 * Whether the end of the sequence stands where the last fragment ends.
 * @param {DataView} view
 * @param {number} at behind that fragment
 * @param {Fragment} last
 */
function isClosed(view, at, last) {
  const left = view.byteLength - at;
  if (left >= 4 && view.getUint32(at, true) === END) return true;
  if (left >= 2 && view.getUint32(at - EXCESS, true) === END) {
    last.bytes = last.bytes.subarray(0, -EXCESS);
    return true;
  }
  // Nothing, zeros, or the next element: their tags ascend.
  const zeros = Array.from({ length: Math.min(Math.max(left, 0), 8) }, (_, i) => view.getUint8(at + i)).every((byte) => byte === 0);
  if (!zeros && !(left >= 4 && view.getUint16(at, true) > 0x7fe0))
    throw new DicomError('dicom-corrupt', 'The fragments of the pixel data (7FE0,0010) are damaged.');
  return false;
}

/**
 * @param {number} frames
 * @param {number} index
 * @param {Fragment} table
 * @param {Fragment[]} fragments
 */
function fragmentsOf(frames, index, table, fragments) {
  if (frames === 1) return fragments;
  // So it is with an extended offset table, which is therefore not read (C.7.6.3.1.8).
  if (fragments.length === frames) return [fragments[index]];
  const starts = startsByTable(table.bytes, frames, fragments) ?? startsOfImages(fragments);
  if (starts.length !== frames)
    throw new DicomError('dicom-corrupt', `${fragments.length} fragments cannot be assigned to ${frames} frames.`);
  const end = starts[index + 1] ?? Infinity;
  return fragments.filter(({ offset }) => offset >= starts[index] && offset < end);
}

/**
 * The basic offset table, if it points at fragments. Some count from elsewhere: only their distances mean something.
 * @param {Uint8Array} table
 * @param {number} frames
 * @param {Fragment[]} fragments
 */
function startsByTable(table, frames, fragments) {
  if (table.length !== 4 * frames) return undefined;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const starts = Array.from({ length: frames }, (_, i) => view.getUint32(4 * i, true) - view.getUint32(0, true));
  const known = new Set(fragments.map(({ offset }) => offset));
  return starts.every((start, i) => known.has(start) && (i === 0 || start > starts[i - 1])) ? starts : undefined;
}

/** Without a table: JPEG's and JPEG 2000's first markers begin a frame. @param {Fragment[]} fragments */
function startsOfImages(fragments) {
  const begins = (/** @type {Fragment} */ { bytes }) =>
    bytes[0] === 0xff && ((bytes[1] === 0xd8 && bytes[2] === 0xff) || (bytes[1] === 0x4f && bytes[2] === 0xff));
  return fragments.filter(begins).map(({ offset }) => offset);
}
