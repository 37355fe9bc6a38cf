/** What image files are made of, good and bad. */
import { deflateSync } from 'node:zlib';

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
