// jpeg2000.js - JPEG 2000 and High-Throughput JPEG 2000 by OpenJPEG (npm @cornerstonejs/codec-openjpeg, MIT / BSD).
// A lazily loaded chunk. OpenJPH decodes the latter faster, but would be 93 KB more by gzip for everyone who stores the page.
// @ts-expect-error it has no types
import factory from '@cornerstonejs/codec-openjpeg/decodewasmjs';
import { instantiate, run } from './wasm-codec.js';
import { DicomError } from '../error.js';

/** @type {import('../pixel-data.js').Decode} */
export async function decode(bytes, expected, url) {
  checkHeader(bytes, expected);
  const codec = await instantiate(factory, /** @type {URL} */ (url));
  const decoder = new codec.J2KDecoder();
  const { data, precision, signed } = run(decoder, bytes, expected);
  // The codec gives bytes without sign: negative samples would all be black.
  if (signed && precision <= 8) throw new DicomError('dicom-unsupported', 'JPEG 2000 with signed samples of 8 bits is not read.');
  return {
    data,
    precision: decoder.getIsReversible() ? undefined : precision,
    unsigned: signed ? undefined : precision,
  };
}

/**
 * The size is compared before the codec allocates anything: SIZ comes first (ISO/IEC 15444-1 A.5.1).
 * @param {Uint8Array} bytes
 * @param {import('../pixel-data.js').Expected} expected
 */
function checkHeader(bytes, { width, height, samples }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = startOfCodestream(bytes);
  if (at < 0 || at + 42 > bytes.length) throw new Error('its header is missing');
  const [right, bottom, left, top] = [8, 12, 16, 20].map((offset) => view.getUint32(at + offset));
  if (right - left !== width || bottom - top !== height || view.getUint16(at + 40) !== samples)
    throw new Error('its header does not fit the file');
  // A frame of one-pixel tiles would keep the decoder busy for hours.
  const tiles = Math.ceil(right / view.getUint32(at + 24)) * Math.ceil(bottom / view.getUint32(at + 28));
  if (!(tiles <= 65535)) throw new Error('its tiles are too many');
}

/**
 * The codestream is there by itself, or within the boxes of a JP2 file, where DICOM does not want it.
 * @param {Uint8Array} bytes
 */
function startOfCodestream(bytes) {
  const limit = Math.min(bytes.length - 4, 4096);
  for (let at = 0; at <= limit; at++)
    if (bytes[at] === 0xff && bytes[at + 1] === 0x4f && bytes[at + 2] === 0xff && bytes[at + 3] === 0x51) return at;
  return -1;
}
