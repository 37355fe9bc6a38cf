// jpegls.js - JPEG-LS by CharLS (npm @cornerstonejs/codec-charls, MIT / BSD). A lazily loaded chunk.
// @ts-expect-error it has no types
import factory from '@cornerstonejs/codec-charls/decodewasmjs';
import { byPixel } from '../bytes.js';
import { instantiate, run } from './wasm-codec.js';

const INTERLEAVE_NONE = 0;
/** Zeros behind the data: CharLS works for many seconds where data ends early at the end of its memory. Of cut data it finds no end
 * marker then, and refuses it. */
const TAIL = 64;

/** @type {import('../pixel-data.js').Decode} */
export async function decode(bytes, expected, url) {
  checkHeader(bytes, expected);
  const codec = await instantiate(factory, /** @type {URL} */ (url));
  const decoder = new codec.JpegLSDecoder();
  const padded = new Uint8Array(bytes.length + TAIL);
  padded.set(bytes);
  const { data, precision } = run(decoder, padded, expected);
  const { samples, width, height } = expected;
  const planar = samples > 1 && decoder.getInterleaveMode() === INTERLEAVE_NONE;
  return {
    data: planar ? byPixel(data, samples, width * height) : data,
    precision: decoder.getNearLossless() > 0 ? precision : undefined,
  };
}

/**
 * The size is compared before the codec allocates anything: SOF55 comes first (ISO/IEC 14495-1 C.2).
 * @param {Uint8Array} bytes
 * @param {import('../pixel-data.js').Expected} expected
 */
function checkHeader(bytes, { width, height }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    if (bytes[at + 1] !== 0xf7) continue;
    if (view.getUint16(at + 5) === height && view.getUint16(at + 7) === width) return;
    break;
  }
  throw new Error('its header does not fit the file');
}
