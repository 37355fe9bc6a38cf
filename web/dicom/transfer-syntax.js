// transfer-syntax.js - the transfer syntaxes of PS3.6 A: which are read and by which decoder, and the names of
// those that are refused.

/**
 * @typedef {'native'|'rle'|'jpeg'|'jpegls'|'jpeg2000'} Decoder
 * @typedef {object} Syntax
 * @property {string} uid
 * @property {string} name
 * @property {Decoder|null} decoder null: not read
 */

const ROOT = '1.2.840.10008.1.2';
export const IMPLICIT_LITTLE = ROOT;
export const EXPLICIT_LITTLE = `${ROOT}.1`;
export const DEFLATED = `${ROOT}.1.99`;
export const EXPLICIT_BIG = `${ROOT}.2`;
/** Of GE Healthcare: all is implicit and little endian, but the words of the pixels. */
export const GE_BIG_PIXELS = '1.2.840.113619.5.2';

/** @type {ReadonlyArray<[uid: string, name: string, decoder: Decoder|null]>} */
const KNOWN = [
  [IMPLICIT_LITTLE, 'Implicit VR Little Endian', 'native'],
  [EXPLICIT_LITTLE, 'Explicit VR Little Endian', 'native'],
  [DEFLATED, 'Deflated Explicit VR Little Endian', 'native'],
  [EXPLICIT_BIG, 'Explicit VR Big Endian', 'native'],
  [GE_BIG_PIXELS, 'GE Private Implicit VR Little Endian with Big Endian Pixels', 'native'],
  [`${ROOT}.1.98`, 'Encapsulated Uncompressed Explicit VR Little Endian', null],
  [`${ROOT}.4.50`, 'JPEG Baseline (Process 1)', 'jpeg'],
  [`${ROOT}.4.51`, 'JPEG Extended (Process 2 and 4)', 'jpeg'],
  [`${ROOT}.4.52`, 'JPEG Extended (Process 3 and 5)', null],
  [`${ROOT}.4.53`, 'JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)', null],
  [`${ROOT}.4.54`, 'JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)', null],
  [`${ROOT}.4.55`, 'JPEG Full Progression, Non-Hierarchical (Process 10 and 12)', null],
  [`${ROOT}.4.56`, 'JPEG Full Progression, Non-Hierarchical (Process 11 and 13)', null],
  [`${ROOT}.4.57`, 'JPEG Lossless, Non-Hierarchical (Process 14)', 'jpeg'],
  [`${ROOT}.4.58`, 'JPEG Lossless, Non-Hierarchical (Process 15)', null],
  [`${ROOT}.4.70`, 'JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)', 'jpeg'],
  [`${ROOT}.4.80`, 'JPEG-LS Lossless', 'jpegls'],
  [`${ROOT}.4.81`, 'JPEG-LS Lossy (Near-Lossless)', 'jpegls'],
  [`${ROOT}.4.90`, 'JPEG 2000 (Lossless Only)', 'jpeg2000'],
  [`${ROOT}.4.91`, 'JPEG 2000', 'jpeg2000'],
  [`${ROOT}.4.92`, 'JPEG 2000 Part 2 Multi-component (Lossless Only)', null],
  [`${ROOT}.4.93`, 'JPEG 2000 Part 2 Multi-component', null],
  [`${ROOT}.4.94`, 'JPIP Referenced', null],
  [`${ROOT}.4.95`, 'JPIP Referenced Deflate', null],
  [`${ROOT}.4.100`, 'MPEG2 Main Profile / Main Level', null],
  [`${ROOT}.4.100.1`, 'Fragmentable MPEG2 Main Profile / Main Level', null],
  [`${ROOT}.4.101`, 'MPEG2 Main Profile / High Level', null],
  [`${ROOT}.4.101.1`, 'Fragmentable MPEG2 Main Profile / High Level', null],
  [`${ROOT}.4.102`, 'MPEG-4 AVC/H.264 High Profile / Level 4.1', null],
  [`${ROOT}.4.103`, 'MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1', null],
  [`${ROOT}.4.104`, 'MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D video', null],
  [`${ROOT}.4.105`, 'MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D video', null],
  [`${ROOT}.4.106`, 'MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2', null],
  [`${ROOT}.4.107`, 'HEVC/H.265 Main Profile / Level 5.1', null],
  [`${ROOT}.4.108`, 'HEVC/H.265 Main 10 Profile / Level 5.1', null],
  [`${ROOT}.4.110`, 'JPEG XL Lossless', null],
  [`${ROOT}.4.111`, 'JPEG XL JPEG Recompression', null],
  [`${ROOT}.4.112`, 'JPEG XL', null],
  [`${ROOT}.4.201`, 'High-Throughput JPEG 2000 (Lossless Only)', 'jpeg2000'],
  [`${ROOT}.4.202`, 'High-Throughput JPEG 2000 with RPCL Options (Lossless Only)', 'jpeg2000'],
  [`${ROOT}.4.203`, 'High-Throughput JPEG 2000', 'jpeg2000'],
  [`${ROOT}.4.204`, 'JPIP HTJ2K Referenced', null],
  [`${ROOT}.4.205`, 'JPIP HTJ2K Referenced Deflate', null],
  [`${ROOT}.5`, 'RLE Lossless', 'rle'],
  [`${ROOT}.6.1`, 'RFC 2557 MIME Encapsulation', null],
  [`${ROOT}.6.2`, 'XML Encoding', null],
  [`${ROOT}.7.1`, 'SMPTE ST 2110-20 Uncompressed Progressive Active Video', null],
  [`${ROOT}.8.1`, 'Deflated Image Frame Compression', null],
];

/** @type {ReadonlyMap<string, Syntax>} */
const BY_UID = new Map(KNOWN.map(([uid, name, decoder]) => [uid, { uid, name, decoder }]));

/**
 * @param {string} uid
 * @returns {Syntax}
 */
export const syntaxOf = (uid) => BY_UID.get(uid) ?? { uid, name: `unknown transfer syntax ${uid}`, decoder: null };
