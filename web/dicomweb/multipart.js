// multipart.js - multipart/related (RFC 2046, RFC 2387), read as a stream and written. It never holds more
// than the limit in memory, whatever a server sends.
import { DicomWebError } from './error.js';
import { Pieces } from './pieces.js';

/**
 * @typedef {{ type: string, body: Pieces }} Part its Content-Type and its bytes
 */

const CR = 13;
const HEAD_LIMIT = 16384;
const PREAMBLE_LIMIT = 65536;

const encoder = new TextEncoder();
const latin1 = new TextDecoder('latin1');
const HEAD_END = encoder.encode('\r\n\r\n');

/** @param {string} type a Content-Type @returns {string|null} its boundary */
export const boundaryOf = (type) => {
  const match = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))/i.exec(type);
  return match && (match[1] ?? match[2]);
};

/**
 * The parts, one by one, each once it is complete.
 * @param {AsyncIterable<Uint8Array<ArrayBuffer>>} chunks
 * @param {string} boundary
 * @param {number} limit most bytes of one part
 * @returns {AsyncGenerator<Part, void>}
 * @throws {DicomWebError} when the stream is not what it says it is, or a part is larger than the limit
 */
export async function* partsOf(chunks, boundary, limit) {
  const delimiter = encoder.encode(`\r\n--${boundary}`);
  /** @type {Part|null} the part whose bytes are read */
  let part = null;
  let inHead = false;
  let size = 0; // of the part, or of what stands before the first
  let rest = encoder.encode('\r\n'); // the first delimiter may stand at the very start
  for await (const chunk of chunks) {
    rest = joined(rest, chunk);
    for (;;) {
      if (inHead) {
        if (rest[0] === 0x2d && rest[1] === 0x2d) return; // the closing delimiter
        const end = find(rest, HEAD_END);
        if (end > HEAD_LIMIT || (end < 0 && rest.length > HEAD_LIMIT))
          throw new DicomWebError('pacs-corrupt', { detail: 'endless part header' });
        if (end < 0) break;
        part = partFrom(latin1.decode(rest.subarray(0, end + 2)), limit);
        rest = rest.subarray(end + HEAD_END.length);
        inHead = false;
        size = 0;
      }
      const at = find(rest, delimiter);
      const sure = at < 0 ? openEnd(rest, delimiter) : at;
      size += sure;
      if (part && sure > 0) part.body.add(rest.subarray(0, sure));
      if (size > (part ? limit : PREAMBLE_LIMIT))
        throw part ? tooLarge(limit) : new DicomWebError('pacs-corrupt', { detail: 'the boundary is missing' });
      rest = rest.subarray(at < 0 ? sure : at + delimiter.length);
      if (at < 0) break;
      if (part) yield part;
      part = null;
      inHead = true;
    }
  }
  throw new DicomWebError('pacs-corrupt', { detail: 'the answer ended early' });
}

/** @param {number} limit */
export const tooLarge = (limit) => new DicomWebError('pacs-size', { detail: `more than ${limit} bytes` });

/** @param {string} head what stands after the delimiter: the rest of its line, then header fields @param {number} limit @returns {Part} */
function partFrom(head, limit) {
  if (!/^[ \t]*\r\n/.test(head)) throw new DicomWebError('pacs-corrupt', { detail: 'a wrong boundary' });
  const field = (/** @type {string} */ name) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*\\r$`, 'im').exec(head)?.[1] ?? '';
  if (Number(field('content-length')) > limit) throw tooLarge(limit);
  return { type: field('content-type'), body: new Pieces() };
}

/**
 * DICOM objects as the body of a request.
 * @param {readonly (Blob|Uint8Array)[]} objects
 * @returns {{ body: Blob, type: string }}
 */
export function multipartOf(objects) {
  const boundary = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const head = `--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`;
  const pieces = objects.flatMap((object) => [head, /** @type {BlobPart} */ (object), '\r\n']);
  return { body: new Blob([...pieces, `--${boundary}--\r\n`]), type: `multipart/related; type="application/dicom"; boundary=${boundary}` };
}

// ---- Bytes ----------------------------------------------------------------------------------

/** @param {Uint8Array} a @param {Uint8Array} b */
function joined(a, b) {
  if (a.length === 0) return /** @type {Uint8Array<ArrayBuffer>} */ (b);
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** @param {Uint8Array} bytes @param {Uint8Array} pattern @param {number} [at] */
function startsWith(bytes, pattern, at = 0) {
  for (let k = 0; k < pattern.length; k++) if (bytes[at + k] !== pattern[k]) return false;
  return true;
}

/**
 * Where the last bytes are what a pattern begins with, or their end. Most chunks leave nothing, and the next need not be copied to
 * follow it.
 * @param {Uint8Array} bytes
 * @param {Uint8Array} pattern
 */
function openEnd(bytes, pattern) {
  const { length } = bytes;
  for (let at = Math.max(0, length - pattern.length + 1); at < length; at++)
    if (startsWith(bytes, pattern.subarray(0, length - at), at)) return at;
  return length;
}

/** Where a pattern that begins with CR stands, or -1. @param {Uint8Array} bytes @param {Uint8Array} pattern */
function find(bytes, pattern) {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) if (startsWith(bytes, pattern, at)) return at;
  return -1;
}
