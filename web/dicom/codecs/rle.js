// rle.js - RLE Lossless (PS3.5 G): one PackBits segment for every byte of a pixel, the most
// significant byte of the first sample first.

const HEADER_BYTES = 64;
const MAX_SEGMENTS = 15;

/** @type {import('../pixel-data.js').Decode} */
export function decodeRle(bytes, { width, height, samples, allocated }) {
  const area = width * height;
  const width8 = allocated / 8;
  const starts = segmentStarts(bytes, samples * width8);
  // Two bytes give at most 128: no more than that is allocated for a short file.
  if (bytes.length * 64 < area * samples * width8) throw new Error('the runs end too early');
  const planes = starts.map((start, i) => unpack(bytes.subarray(start, starts[i + 1] ?? bytes.length), area));
  const data = width8 === 1 ? new Uint8Array(area * samples) : new Uint16Array(area * samples);
  for (let sample = 0; sample < samples; sample++) {
    const high = planes[sample * width8];
    const low = width8 === 2 ? planes[sample * 2 + 1] : undefined;
    if (low) for (let i = 0; i < area; i++) data[i * samples + sample] = (high[i] << 8) | low[i];
    else for (let i = 0; i < area; i++) data[i * samples + sample] = high[i];
  }
  return { data };
}

/** @param {Uint8Array} bytes @param {number} expected @returns {number[]} */
function segmentStarts(bytes, expected) {
  if (bytes.length < HEADER_BYTES) throw new Error('the RLE header is cut off');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  if (count !== expected || count > MAX_SEGMENTS) throw new Error(`${count} RLE segments instead of ${expected}`);
  const starts = Array.from({ length: count }, (_, i) => view.getUint32(4 + 4 * i, true));
  if (starts.some((start, i) => start < (i ? starts[i - 1] : HEADER_BYTES) || start > bytes.length))
    throw new Error('the RLE segments are out of order');
  return starts;
}

/** PackBits (G.3.1). @param {Uint8Array} from @param {number} length */
function unpack(from, length) {
  const to = new Uint8Array(length);
  let read = 0;
  let written = 0;
  while (written < length) {
    if (read >= from.length) throw new Error('the runs end too early');
    const head = from[read++];
    if (head === 128) continue;
    const count = Math.min(head < 128 ? head + 1 : 257 - head, length - written);
    if (head < 128) {
      if (read + count > from.length) throw new Error('the runs end too early');
      to.set(from.subarray(read, read + count), written);
      read += head + 1;
    } else {
      if (read >= from.length) throw new Error('the runs end too early');
      to.fill(from[read++], written, written + count);
    }
    written += count;
  }
  return to;
}
