// dicom-sniff.js - tells DICOM by its first bytes, never by its name. Small, for it is loaded with the page;
// the reader itself (dicom.js) is loaded when this says yes.

/** The VRs of PS3.5 6.2, two letters each. */
const VRS = 'AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV';

/** Data elements in a row whose tags must ascend before bytes without a preamble count as DICOM. */
const PROOF = 3;

/**
 * How the data elements at an offset are written, guessed from the first of them: files exist whose
 * header is missing or says something else.
 * @param {Uint8Array} bytes
 * @param {number} offset
 * @returns {'explicit-little'|'explicit-big'|'implicit-little'}
 */
export function encodingAt(bytes, offset) {
  if (!isVr(bytes, offset + 4)) return 'implicit-little';
  // Group numbers are small: the byte that is not zero tells the order.
  return bytes[offset] === 0 && bytes[offset + 1] !== 0 ? 'explicit-big' : 'explicit-little';
}

/**
 * Where the data elements begin: after the preamble of PS3.10 7.1, or at once where it was left out.
 * @param {Uint8Array} bytes
 * @returns {number} -1: this is not DICOM
 */
export function startOfDicom(bytes) {
  if (hasMagic(bytes, 128)) return 132;
  if (hasMagic(bytes, 0)) return 4;
  return startsWithElements(bytes) ? 0 : -1;
}

/**
 * @param {Uint8Array} bytes the file, or at least its first kilobyte
 * @returns {boolean}
 */
export const looksLikeDicom = (bytes) => startOfDicom(bytes) >= 0;

/** @param {Uint8Array} bytes @param {number} at */
const hasMagic = (bytes, at) => bytes[at] === 0x44 && bytes[at + 1] === 0x49 && bytes[at + 2] === 0x43 && bytes[at + 3] === 0x4d;

/** @param {Uint8Array} bytes @param {number} at */
export function isVr(bytes, at) {
  const place = VRS.indexOf(String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0));
  return place >= 0 && place % 2 === 0;
}

/**
 * A bare data set begins in group 2 or 8, and its tags ascend (PS3.5 7.1).
 * @param {Uint8Array} bytes
 */
function startsWithElements(bytes) {
  if (bytes.length < 16) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let last = -1;
  for (let at = 0, count = 0; count < PROOF; count++) {
    if (at + 8 > bytes.length) return false;
    const encoding = encodingAt(bytes, at);
    const little = encoding !== 'explicit-big';
    const group = view.getUint16(at, little);
    const tag = group * 65536 + view.getUint16(at + 2, little);
    if (tag <= last || (count === 0 && group !== 2 && group !== 8)) return false;
    last = tag;
    const next = endOfElement(bytes, view, at, encoding);
    // The third may reach beyond the bytes that were handed in; a sequence of unknown length ends the proof.
    if (next < 0) return count > 0;
    at = next;
  }
  return true;
}

/**
 * @param {Uint8Array} bytes
 * @param {DataView} view
 * @param {number} at
 * @param {string} encoding
 * @returns {number} -1: of undefined length
 */
function endOfElement(bytes, view, at, encoding) {
  const little = encoding !== 'explicit-big';
  let length;
  let header = 8;
  if (encoding === 'implicit-little') length = view.getUint32(at + 4, true);
  else if (!isVr(bytes, at + 4)) return bytes.length;
  else if (!/O.|SQ|SV|U[CNRTV]/.test(String.fromCharCode(bytes[at + 4], bytes[at + 5]))) length = view.getUint16(at + 6, little);
  else if (at + 12 > bytes.length) return bytes.length;
  else [length, header] = [view.getUint32(at + 8, little), 12];
  return length === 0xffffffff ? -1 : at + header + length;
}
