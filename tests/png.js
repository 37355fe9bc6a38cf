/** Makes PNG files, good and bad, without any library. */
import { crc32, deflateSync } from 'node:zlib';

/** @typedef {{ bits?: 8 | 16, channels?: 1 | 2 | 3 | 4 }} Kind bits of a sample; gray, gray with alpha, RGB or RGBA */

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const whole = Buffer.concat([Buffer.alloc(4), Buffer.from(type), data, Buffer.alloc(4)]);
  whole.writeUInt32BE(data.length, 0);
  whole.writeUInt32BE(crc32(whole.subarray(4, -4)), whole.length - 4);
  return whole;
}

/**
 * A PNG with this header and this compressed data, fitting or not.
 * @param {number} width
 * @param {number} height
 * @param {Buffer} data
 * @param {Kind} [kind]
 */
export function pngOf(width, height, data, { bits = 8, channels = 1 } = {}) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bits, [0, 4, 2, 6][channels - 1]], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

/**
 * @param {number} width
 * @param {number} height
 * @param {(x: number, y: number) => number | number[]} [sampleAt] one for each channel; what is out of range is clamped
 * @param {Kind} [kind]
 */
export function png(width, height, sampleAt = (x, y) => (x * 3 + y * 5) & 255, { bits = 8, channels = 1 } = {}) {
  const most = 2 ** bits - 1,
    row = 1 + (width * channels * bits) / 8,
    rows = Buffer.alloc(height * row);
  let at = 0;
  const put = (/** @type {number} */ sample) => {
    const level = Math.min(Math.max(sample, 0), most);
    if (bits === 16) rows[at++] = level >> 8;
    rows[at++] = level;
  };
  for (let y = 0; y < height; y++) {
    at = y * row + 1; // behind the filter's number
    for (let x = 0; x < width; x++) {
      const samples = sampleAt(x, y);
      if (typeof samples === 'number') put(samples);
      else samples.forEach(put);
    }
  }
  return pngOf(width, height, deflateSync(rows, { level: 1 }), { bits, channels });
}
