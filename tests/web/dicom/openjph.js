// openjph.js - High-Throughput JPEG 2000 made by OpenJPH, which shares nothing with the reader's OpenJPEG.
// @ts-expect-error it has no types
import factory from '@cornerstonejs/codec-openjph/wasmjs';

const codec = await factory({});

/**
 * @typedef {object} Choice
 * @property {boolean} [lossy]
 * @property {boolean} [rpcl] by resolution, position, component and layer, with a table of lengths, as 1.2.840.10008.1.2.4.202 wants
 * @property {number} [tile] side of the tiles
 */

/**
 * @param {import('./write.js').Picture & { samples?: 1|3 }} picture
 * @param {Choice} [choice]
 * @returns {Buffer} the codestream
 */
export function encode(
  { width, height, pixels, bits = pixels.BYTES_PER_ELEMENT * 8, signed = false, samples = 1 },
  { lossy = false, rpcl = false, tile } = {},
) {
  const encoder = new codec.HTJ2KEncoder();
  const frame = { width, height, bitsPerSample: bits, componentCount: samples, isSigned: signed, isUsingColorTransform: samples === 3 };
  encoder.getDecodedBuffer(frame).set(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
  encoder.setQuality(!lossy, lossy ? 0.001 : 0);
  if (rpcl) encoder.setProgressionOrder(2);
  if (rpcl) encoder.setTLMMarker(true);
  if (tile) encoder.setTileSize({ width: tile, height: tile });
  encoder.encode();
  const bytes = Buffer.from(encoder.getEncodedBuffer());
  encoder.delete();
  return bytes;
}

/** The samples of a codestream by OpenJPH itself, as bytes. @param {Uint8Array} bytes @returns {Uint8Array} */
export function decode(bytes) {
  const decoder = new codec.HTJ2KDecoder();
  decoder.getEncodedBuffer(bytes.length).set(bytes);
  decoder.decode();
  const samples = decoder.getDecodedBuffer().slice();
  decoder.delete();
  return samples;
}
