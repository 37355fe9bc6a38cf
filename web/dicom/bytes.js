// bytes.js - small rearrangements of bytes and samples that several DICOM files need.

/**
 * 16-bit words of either byte order, wherever they begin; where the platform could read them in place, a view of the bytes.
 * @param {Uint8Array} bytes
 * @param {boolean} little
 */
export function words(bytes, little) {
  const native = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const usable = little === native && bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  const result = new Uint16Array(usable.buffer, usable.byteOffset, usable.length >> 1);
  if (little !== native) for (let i = 0; i < result.length; i++) result[i] = ((result[i] & 255) << 8) | (result[i] >> 8);
  return result;
}

/**
 * Bytes within 16-bit words (OW) swap places in big endian (PS3.5 8.1.1).
 * @param {Uint8Array} all
 * @param {number} start
 * @param {number} length
 */
export function swapped(all, start, length) {
  const result = new Uint8Array(length);
  for (let i = 0; i < length; i++) result[i] = all[(start + i) ^ 1] ?? 0;
  return result;
}

/**
 * Colour by plane to colour by pixel.
 * @template {Uint8Array|Uint16Array} T
 * @param {T} data
 * @param {number} samples
 * @param {number} area
 * @returns {T}
 */
export function byPixel(data, samples, area) {
  const result = data.slice();
  for (let plane = 0; plane < samples; plane++) for (let i = 0; i < area; i++) result[i * samples + plane] = data[plane * area + i];
  return /** @type {T} */ (result);
}

/** One array of many. @param {Uint8Array[]} chunks */
export function joined(chunks) {
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
