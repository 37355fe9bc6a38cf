// jpeg-lossless.js - lossless scans of JPEG: a predictor and a Huffman-coded difference for every sample
// (ISO/IEC 10918-1 H).

/**
 * @typedef {import('./jpeg.js').Frame} Frame
 * @typedef {import('./jpeg.js').Scan} Scan
 * @typedef {import('./jpeg.js').BitReader} BitReader
 */

/**
 * @param {Frame} frame
 * @param {Scan} scan
 * @param {BitReader} reader
 * @param {number} restart pixels between restart markers; 0: none
 */
export function decodeLosslessScan(frame, scan, reader, restart) {
  const { width, height, precision } = frame;
  const { parts, selection, transform } = scan;
  if (frame.hMax > 1 || frame.vMax > 1) throw new Error('its samples are of different sizes');
  if (selection < 1 || selection > 7 || transform >= precision) throw new Error('its scan header is damaged');
  // H.1.2.1: restarts come at the ends of rows.
  if (restart % width !== 0) throw new Error('its restart interval is not a number of rows');
  for (const { component } of parts) {
    component.stride = width;
    component.plane = new Uint16Array(width * height);
  }
  const start = 2 ** (precision - transform - 1);
  const rowsToRestart = restart / width;
  for (let y = 0; y < height; y++) {
    const fresh = y === 0 || (rowsToRestart > 0 && y % rowsToRestart === 0);
    if (fresh && y > 0) reader.restart();
    decodeRow(scan, reader, y * width, width, fresh ? start : -1);
  }
  if (transform > 0) for (const { component } of parts) scaleUp(component.plane, transform);
}

/**
 * @param {Scan} scan
 * @param {BitReader} reader
 * @param {number} at
 * @param {number} width
 * @param {number} start what the first sample is predicted as; -1: the row above is known
 */
function decodeRow({ parts, selection }, reader, at, width, start) {
  for (let x = 0; x < width; x++)
    for (const { component, dc } of parts) {
      const size = reader.symbol(dc);
      if (size > 16) throw new Error('its data is damaged');
      // H.1.2.2: 16 stands for 32768 and has no further bits.
      const difference = size === 16 ? 32768 : reader.difference(size);
      component.plane[at + x] = prediction(component.plane, at + x, x, width, start, selection) + difference;
    }
}

/**
 * @param {Uint16Array} plane
 * @param {number} at
 * @param {number} x
 * @param {number} width
 * @param {number} start
 * @param {number} selection
 */
function prediction(plane, at, x, width, start, selection) {
  if (start >= 0) return x === 0 ? start : plane[at - 1];
  const above = plane[at - width];
  if (x === 0) return above;
  const left = plane[at - 1];
  const corner = plane[at - width - 1];
  switch (
    selection // Table H.1
  ) {
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return corner;
    case 4:
      return left + above - corner;
    case 5:
      return left + ((above - corner) >> 1);
    case 6:
      return above + ((left - corner) >> 1);
    default:
      return (left + above) >> 1;
  }
}

/** @param {Uint16Array} plane @param {number} bits */
function scaleUp(plane, bits) {
  for (let i = 0; i < plane.length; i++) plane[i] <<= bits;
}
