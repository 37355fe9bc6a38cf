// jpeg-dct.js - DCT-based scans of JPEG: Huffman blocks, the inverse transform in integers, and the
// enlargement of subsampled colour. Rounds as the reference implementation does, so that stored pixels are
// the same to the last bit.

/**
 * @typedef {import('./jpeg.js').Frame} Frame
 * @typedef {import('./jpeg.js').Component} Component
 * @typedef {import('./jpeg.js').Scan} Scan
 * @typedef {import('./jpeg.js').ScanComponent} ScanComponent
 * @typedef {import('./jpeg.js').BitReader} BitReader
 */

const ZIGZAG = Uint8Array.of(
  0,
  1,
  8,
  16,
  9,
  2,
  3,
  10,
  17,
  24,
  32,
  25,
  18,
  11,
  4,
  5,
  12,
  19,
  26,
  33,
  40,
  48,
  41,
  34,
  27,
  20,
  13,
  6,
  7,
  14,
  21,
  28,
  35,
  42,
  49,
  56,
  57,
  50,
  43,
  36,
  29,
  22,
  15,
  23,
  30,
  37,
  44,
  51,
  58,
  59,
  52,
  45,
  38,
  31,
  39,
  46,
  53,
  60,
  61,
  54,
  47,
  55,
  62,
  63,
);

/**
 * @param {Frame} frame
 * @param {Scan} scan
 * @param {BitReader} reader
 * @param {number} restart MCUs between restart markers; 0: none
 * @param {Array<Uint16Array|undefined>} quantisation
 */
export function decodeDctScan(frame, scan, reader, restart, quantisation) {
  const mcusAcross = Math.ceil(frame.width / (8 * frame.hMax));
  const mcusDown = Math.ceil(frame.height / (8 * frame.vMax));
  const decoders = scan.parts.map((part) => {
    const { component } = part;
    const table = quantisation[component.table];
    if (!table) throw new Error('its quantisation table is missing');
    component.stride = mcusAcross * component.h * 8;
    component.plane = new Uint16Array(component.stride * mcusDown * component.v * 8);
    return new BlockDecoder(part, table, frame.precision, reader);
  });
  const [across, down, walk] = decoders.length > 1 ? [mcusAcross, mcusDown, interleavedMcu(decoders)] : singleComponent(frame, decoders[0]);
  for (let mcu = 0; mcu < across * down; mcu++) {
    if (restart && mcu > 0 && mcu % restart === 0) {
      reader.restart();
      for (const decoder of decoders) decoder.reset();
    }
    walk(mcu % across, Math.floor(mcu / across));
  }
}

/** @param {BlockDecoder[]} decoders @returns {(x: number, y: number) => void} */
function interleavedMcu(decoders) {
  return (x, y) => {
    for (const decoder of decoders) {
      const { h, v } = decoder.component;
      for (let row = 0; row < v; row++) for (let column = 0; column < h; column++) decoder.block(x * h + column, y * v + row);
    }
  };
}

/**
 * A scan of one component has only the blocks that hold pixels (A.2.2).
 * @param {Frame} frame
 * @param {BlockDecoder} decoder
 * @returns {[number, number, (x: number, y: number) => void]}
 */
function singleComponent(frame, decoder) {
  const { width, height } = sizeOf(frame, decoder.component);
  return [Math.ceil(width / 8), Math.ceil(height / 8), (x, y) => decoder.block(x, y)];
}

/** Samples of a component (A.1.1). @param {Frame} frame @param {Component} component */
const sizeOf = (frame, { h, v }) => ({
  width: Math.ceil((frame.width * h) / frame.hMax),
  height: Math.ceil((frame.height * v) / frame.vMax),
});

class BlockDecoder {
  #dc;
  #ac;
  #table;
  #reader;
  #last = 0;
  #coefficients = new Int32Array(64);
  #work = new Float64Array(64);
  #maximum;
  #scaleBits;

  /** @param {ScanComponent} part @param {Uint16Array} table @param {number} precision @param {BitReader} reader */
  constructor({ component, dc, ac }, table, precision, reader) {
    this.component = component;
    this.#dc = dc;
    this.#ac = /** @type {Uint16Array} */ (ac);
    this.#table = table;
    this.#reader = reader;
    this.#maximum = 2 ** precision - 1;
    // One bit less of intermediate precision leaves room for 12-bit samples in 32 bits.
    this.#scaleBits = precision === 8 ? 2 : 1;
  }

  reset() {
    this.#last = 0;
  }

  /** @param {number} x @param {number} y in blocks */
  block(x, y) {
    const { plane, stride } = this.component;
    const at = y * 8 * stride + x * 8;
    if (this.#readCoefficients()) {
      inverseColumns(this.#coefficients, this.#work, this.#scaleBits);
      inverseRows(this.#work, plane, at, stride, this.#scaleBits, this.#maximum);
    } else fillFlat(this.#coefficients[0], plane, at, stride, this.#maximum);
  }

  /** F.2.2. @returns {boolean} whether there is more than the mean */
  #readCoefficients() {
    const coefficients = this.#coefficients.fill(0);
    const size = this.#reader.symbol(this.#dc);
    if (size > 15) throw new Error('its data is damaged');
    // 16 bits suffice for any valid sum; the wrap keeps damaged data within bounds.
    this.#last = ((this.#last + this.#reader.difference(size)) << 16) >> 16;
    coefficients[0] = this.#last * this.#table[0];
    let varied = false;
    for (let k = 1; k < 64; k++) {
      const symbol = this.#reader.symbol(this.#ac);
      const bits = symbol & 15;
      const run = symbol >> 4;
      if (bits === 0) {
        if (run < 15) break;
        k += 15;
        continue;
      }
      k += run;
      if (k > 63) throw new Error('its data is damaged');
      coefficients[ZIGZAG[k]] = this.#reader.difference(bits) * this.#table[k];
      varied = true;
    }
    return varied;
  }
}

/** @param {number} mean @param {Uint16Array} plane @param {number} at @param {number} stride @param {number} maximum */
function fillFlat(mean, plane, at, stride, maximum) {
  const value = Math.min(Math.max(((mean + 4) >> 3) + ((maximum + 1) >> 1), 0), maximum);
  for (let row = 0; row < 8; row++) plane.fill(value, at + row * stride, at + row * stride + 8);
}

// The inverse transform of Loeffler, Ligtenberg and Moschytz (1989) with 13-bit constants. Products stay below
// 2^53, so numbers hold them exactly.
const ONE = 2 ** 13;
const [C0298, C0390, C0541, C0765, C0899, C1175, C1501, C1847, C1961, C2053, C2562, C3072] = [
  2446, 3196, 4433, 6270, 7373, 9633, 12299, 15137, 16069, 16819, 20995, 25172,
];

/** Eight numbers of one row or column, before and after. */
const lane = new Float64Array(8);

/** The one-dimensional transform of `lane`, in place, scaled by 2^13. */
function inverse8() {
  const s0 = lane[0],
    s1 = lane[1],
    s2 = lane[2],
    s3 = lane[3];
  const s4 = lane[4],
    s5 = lane[5],
    s6 = lane[6],
    s7 = lane[7];
  // Even part.
  const z1 = (s2 + s6) * C0541;
  const t2 = z1 - s6 * C1847;
  const t3 = z1 + s2 * C0765;
  const t0 = (s0 + s4) * ONE;
  const t1 = (s0 - s4) * ONE;
  const e0 = t0 + t3,
    e1 = t1 + t2,
    e2 = t1 - t2,
    e3 = t0 - t3;
  // Odd part.
  const z5 = (s7 + s3 + s5 + s1) * C1175;
  const a = (s7 + s1) * -C0899;
  const b = (s5 + s3) * -C2562;
  const c = (s7 + s3) * -C1961 + z5;
  const d = (s5 + s1) * -C0390 + z5;
  const o0 = s7 * C0298 + a + c;
  const o1 = s5 * C2053 + b + d;
  const o2 = s3 * C3072 + b + c;
  const o3 = s1 * C1501 + a + d;
  lane[0] = e0 + o3;
  lane[1] = e1 + o2;
  lane[2] = e2 + o1;
  lane[3] = e3 + o0;
  lane[4] = e3 - o0;
  lane[5] = e2 - o1;
  lane[6] = e1 - o2;
  lane[7] = e0 - o3;
}

/** @param {Int32Array} from @param {Float64Array} to @param {number} scaleBits */
function inverseColumns(from, to, scaleBits) {
  const divisor = 2 ** (13 - scaleBits);
  for (let x = 0; x < 8; x++) {
    for (let y = 0; y < 8; y++) lane[y] = from[y * 8 + x];
    inverse8();
    for (let y = 0; y < 8; y++) to[y * 8 + x] = Math.floor((lane[y] + divisor / 2) / divisor);
  }
}

/**
 * @param {Float64Array} from
 * @param {Uint16Array} plane
 * @param {number} at
 * @param {number} stride
 * @param {number} scaleBits
 * @param {number} maximum
 */
function inverseRows(from, plane, at, stride, scaleBits, maximum) {
  const divisor = 2 ** (13 + scaleBits + 3);
  const shift = (maximum + 1) / 2 + 0.5;
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) lane[x] = from[y * 8 + x];
    inverse8();
    for (let x = 0; x < 8; x++) {
      const value = Math.floor(lane[x] / divisor + shift);
      plane[at + y * stride + x] = value < 0 ? 0 : value > maximum ? maximum : value;
    }
  }
}

// ---- Planes to pixels -----------------------------------------------------------------------

/**
 * All components at full size, side by side.
 * @param {Frame} frame
 * @param {boolean} narrow into bytes
 */
export function interleave(frame, narrow) {
  const { width, height, components } = frame;
  const count = components.length;
  const data = narrow ? new Uint8Array(width * height * count) : new Uint16Array(width * height * count);
  components.forEach((component, which) => {
    const { plane, stride } = enlarged(frame, component);
    for (let y = 0; y < height; y++)
      for (let x = 0, from = y * stride, to = y * width * count + which; x < width; x++, to += count) data[to] = plane[from + x];
  });
  return data;
}

/**
 * Chrominance of half the size is interpolated as decoders in the field do it: three quarters of the nearer
 * sample, one of the farther. Other ratios are repeated.
 * @param {Frame} frame
 * @param {Component} component
 * @returns {{ plane: Uint16Array, stride: number }}
 */
function enlarged(frame, component) {
  const [across, down] = [frame.hMax / component.h, frame.vMax / component.v];
  if (across === 1 && down === 1) return component;
  if (!Number.isInteger(across) || !Number.isInteger(down)) throw new Error('its sampling factors are odd');
  const size = sizeOf(frame, component);
  if (across === 2 && down <= 2 && size.width > 2) return interpolated(component, size, down === 2);
  return repeated(component, size, across, down);
}

/**
 * @param {Component} component
 * @param {{ width: number, height: number }} size
 * @param {number} across
 * @param {number} down
 */
function repeated({ plane, stride }, { width, height }, across, down) {
  const out = new Uint16Array(width * across * height * down);
  for (let y = 0; y < height * down; y++)
    for (let x = 0; x < width * across; x++) out[y * width * across + x] = plane[Math.floor(y / down) * stride + Math.floor(x / across)];
  return { plane: out, stride: width * across };
}

/**
 * @param {Component} component
 * @param {{ width: number, height: number }} size
 * @param {boolean} both directions, or only across
 */
function interpolated({ plane, stride }, { width, height }, both) {
  const out = new Uint16Array(width * 2 * height * (both ? 2 : 1));
  const sums = new Int32Array(width);
  for (let y = 0; y < height * (both ? 2 : 1); y++) {
    const near = both ? y >> 1 : y;
    const far = Math.min(Math.max(near + (y % 2 ? 1 : -1), 0), height - 1);
    for (let x = 0; x < width; x++) sums[x] = both ? 3 * plane[near * stride + x] + plane[far * stride + x] : plane[near * stride + x];
    widen(sums, out, y * width * 2, both);
  }
  return { plane: out, stride: width * 2 };
}

/**
 * @param {Int32Array} sums a row, each sample times 4 if `both`
 * @param {Uint16Array} out
 * @param {number} at
 * @param {boolean} both
 */
function widen(sums, out, at, both) {
  const last = sums.length - 1;
  // The rounding of left and right differs, so that neither is favoured.
  const [shift, left, right] = both ? [4, 8, 7] : [2, 1, 2];
  for (let x = 0; x <= last; x++) {
    const own = 3 * sums[x];
    out[at + 2 * x] = (own + sums[x === 0 ? 0 : x - 1] + left) >> shift;
    out[at + 2 * x + 1] = (own + sums[x === last ? last : x + 1] + right) >> shift;
  }
}
