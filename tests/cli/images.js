/** Makes image files, good and bad, without any library. */
import { deflateSync } from 'node:zlib';

const CRC = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

/** @param {Buffer} bytes */
function crc32(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8 + body.length);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE(crc32(body), 4 + body.length);
  return frame;
}

/**
 * A PNG of 8-bit gray with this header and this compressed data, fitting or not.
 * @param {number} width
 * @param {number} height
 * @param {Buffer} data
 */
export function pngOf(width, height, data) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

/**
 * A gray PNG.
 * @param {number} width
 * @param {number} height
 * @param {(x: number, y: number) => number} [level]
 */
export function png(width, height, level = (x, y) => (x * 3 + y * 5) & 255) {
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = level(x, y);
  return pngOf(width, height, deflateSync(rows));
}

/** Compressed zeros: a thousandth of their size. @param {number} megabytes */
export const zeros = (megabytes) => deflateSync(Buffer.alloc(megabytes << 20), { level: 9 });

/**
 * A baseline JPEG that ends after its headers.
 * @param {number} width
 * @param {number} height
 */
export function jpegHeader(width, height) {
  const frame = Buffer.from([0xff, 0xc0, 0, 11, 8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0]);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), frame, Buffer.from([0xff, 0xd9])]);
}
