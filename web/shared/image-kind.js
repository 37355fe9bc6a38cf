// image-kind.js - detects, by content, kinds of images that the engine does not decode: some browsers decode them, and otherwise
// the error can name the kind.

/** @typedef {'webp'|'bmp'|'gif'|'tiff'|'heic'|'avif'|'jxl'|'jp2'} ImageKind as `image.format` of a result names it */

/** What people call them. @type {Record<ImageKind, string>} */
export const KIND_NAMES = {
  webp: 'WebP',
  bmp: 'BMP',
  gif: 'GIF',
  tiff: 'TIFF',
  heic: 'HEIC',
  avif: 'AVIF',
  jxl: 'JPEG XL',
  jp2: 'JPEG 2000',
};

/** The first bytes of each, as Latin-1. @type {[RegExp, ImageKind][]} */
const BEGINNINGS = [
  [/^RIFF[^]{4}WEBP/, 'webp'],
  [/^GIF8[79]a/, 'gif'],
  [/^(II[*+]\0|MM\0[*+])/, 'tiff'],
  // The size of the second header: text, too, may begin with BM.
  [/^BM[^]{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0/, 'bmp'],
  [/^[^]{4}ftyp(?:[^]{4}){0,6}?avi[fs]/, 'avif'],
  [/^[^]{4}ftyp(?:[^]{4}){0,6}?(?:hei[cxms]|hev[cxms]|mif1|msf1)/, 'heic'],
  [/^(\xff\x0a|\0\0\0\x0cJXL )/, 'jxl'],
  [/^(\xff\x4f\xff\x51|\0\0\0\x0cjP {2})/, 'jp2'],
];

/** @param {Uint8Array} bytes the file, or at least its beginning @returns {ImageKind|undefined} */
export function imageKind(bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 40));
  return BEGINNINGS.find(([beginning]) => beginning.test(start))?.[1];
}
