// grayscale.js - stored samples to gray, in the order of PS3.3 C.11: modality LUT or rescale, VOI LUT or window,
// then photometric interpretation. What the engine does itself (mask, sign, rescale, window, inversion, padding)
// is only described to it; LUTs, palettes and colour are applied here. Also the same for a screen of 8 bits.
import { swapped, words } from './bytes.js';
import { DicomError } from './error.js';

/**
 * @typedef {import('./parser.js').Tags} Tags
 * @typedef {import('./pixel-data.js').Layout} Layout
 * @typedef {import('./pixel-data.js').Samples} Samples
 *
 * @typedef {'linear'|'linear-exact'|'sigmoid'} Shape
 * @typedef {{ shape: Shape, centre: number, width: number }} Window
 *
 * @typedef {object} Gray one frame, ready for classify() (Gray16 of wasm.js) and for toGray8()
 * @property {Uint16Array} pixels not to be written: where the file holds them as they are, they are a view of it
 * @property {number} width
 * @property {number} height
 * @property {number} bits
 * @property {boolean} signed
 * @property {number} slope
 * @property {number} intercept
 * @property {Window} [window] left out: from the smallest to the largest value present
 * @property {boolean} invert
 * @property {number} [padding]
 *
 * @typedef {object} Lut
 * @property {number} first stored value mapped
 * @property {number} bits of its entries, as the descriptor says
 * @property {Uint8Array|Uint16Array} entries
 *
 * @typedef {{ explanation: string|null }} Named
 * @typedef {Named & ({ kind: 'lut', lut: Lut } | { kind: 'window', window: Window })} Voi
 *
 * @typedef {object} Rendering how one frame becomes gray
 * @property {Lut|undefined} modalityLut
 * @property {number} slope
 * @property {number} intercept
 * @property {Voi[]} vois what the file offers, LUTs first
 * @property {boolean} invert
 * @property {[from: number, to: number]|undefined} padding stored values of the background
 */

// ---- What the file says ---------------------------------------------------------------------

/**
 * @param {Tags} tags
 * @param {Layout} layout
 * @param {number} frame
 * @param {boolean} little byte order
 * @returns {Rendering}
 */
export function renderingOf(tags, layout, frame, little) {
  const rescale = functionalGroup(tags, frame, 'x00289145');
  const voi = functionalGroup(tags, frame, 'x00289132');
  const [modalityItem] = tags.items('x00283000');
  const slope = rescale.decimals('x00281053')[0] ?? 1;
  const intercept = rescale.decimals('x00281052')[0] ?? 0;
  const signedLut = layout.signed || (!modalityItem && Math.min(intercept, intercept + slope * (2 ** layout.stored - 1)) < 0);
  return {
    modalityLut: modalityItem && readLut(modalityItem, layout.signed, little),
    // A slope of zero would make every picture black.
    slope: slope === 0 ? 1 : slope,
    intercept,
    vois: voisOf(voi, signedLut, little),
    invert: invertedBy(tags.text('x20500020')) ?? layout.photometric === 'MONOCHROME1',
    padding: paddingOf(tags, layout),
  };
}

/**
 * Presentation LUT Shape (C.8.11.3.1.2, C.11.6.1) says again what MONOCHROME1 says, so the two never add up; where
 * they contradict each other it goes first, as in DCMTK, for it is the last step before the screen.
 * @param {string|undefined} shape
 */
export function invertedBy(shape) {
  return shape === 'INVERSE' ? true : shape === 'IDENTITY' ? false : undefined;
}

/**
 * Where an attribute of a frame stands: in enhanced multi-frame objects within functional groups, of the frame or
 * shared (C.7.6.16), else in the data set itself.
 * @param {Tags} tags
 * @param {number} frame
 * @param {string} key of the functional group's sequence
 */
export function functionalGroup(tags, frame, key) {
  const own = tags.items('x52009230')[frame]?.items(key)[0];
  return own ?? tags.items('x52009229')[0]?.items(key)[0] ?? tags;
}

/**
 * What of the padding range (0028,0120) to (0028,0121) pixels can hold; a value beyond their bits is no padding.
 * @param {Tags} tags
 * @param {Layout} layout
 * @returns {[number, number]|undefined}
 */
function paddingOf(tags, layout) {
  const value = tags.integer('x00280120', layout.signed);
  const limit = tags.integer('x00280121', layout.signed) ?? value;
  if (value === undefined || limit === undefined) return undefined;
  const [least, most] = storedRange(layout);
  const [from, to] = [Math.max(Math.min(value, limit), least), Math.min(Math.max(value, limit), most)];
  return from <= to ? [from, to] : undefined;
}

/**
 * The smallest and the largest value that the stored bits can hold.
 * @param {Layout} layout
 * @returns {[number, number]}
 */
function storedRange({ stored, signed }) {
  const least = signed ? -(2 ** (stored - 1)) : 0;
  return [least, least + 2 ** stored - 1];
}

/** @param {Tags} tags @returns {Voi[]} those that C.11.2.1.2 allows */
function windowsOf(tags) {
  const centres = tags.numbers('x00281050');
  const widths = tags.numbers('x00281051');
  const explanations = tags.texts('x00281055');
  const shape = shapeOf(tags.text('x00281056'));
  return centres.flatMap((centre, i) => {
    const width = widths[i];
    if (!Number.isFinite(centre) || !(width > 0 && width < Infinity) || (shape === 'linear' && width < 1)) return [];
    return [{ kind: /** @type {const} */ ('window'), window: { shape, centre, width }, explanation: explanations[i] || null }];
  });
}

/** @param {string|undefined} name @returns {Shape} */
function shapeOf(name) {
  if (name === 'SIGMOID') return 'sigmoid';
  return name === 'LINEAR_EXACT' ? 'linear-exact' : 'linear';
}

/**
 * LUTs, then windows. A damaged LUT beside a good window is passed over: the standard leaves the choice to the viewer.
 * @param {Tags} voi
 * @param {boolean} signed
 * @param {boolean} little
 * @returns {Voi[]}
 */
function voisOf(voi, signed, little) {
  const windows = windowsOf(voi);
  // Items without data are left behind by whoever takes a LUT away.
  const luts = voi
    .items('x00283010')
    .filter((item) => item.raw('x00283006')?.length)
    .flatMap((item) => {
      try {
        return [voiLut(item, signed, little)];
      } catch (error) {
        if (windows.length > 0) return [];
        throw error;
      }
    });
  return [...luts, ...windows];
}

/** @param {Tags} item @param {boolean} signed @param {boolean} little @returns {Voi} */
const voiLut = (item, signed, little) => ({
  kind: 'lut',
  lut: readLut(item, signed, little),
  explanation: item.text('x00283003') ?? null,
});

/** @param {Tags} item @param {boolean} signed @param {boolean} little */
const readLut = (item, signed, little) => lutFrom(item, 'x00283002', 'x00283006', signed, little);

/**
 * A LUT Descriptor and its data (C.11.1.1.1).
 * @param {Tags} tags
 * @param {string} descriptor
 * @param {string} data
 * @param {boolean} signed
 * @param {boolean} little
 * @returns {Lut}
 */
function lutFrom(tags, descriptor, data, signed, little) {
  const [count, first, bits] = [tags.unsigned(descriptor, 0), tags.integer(descriptor, signed, 1), tags.unsigned(descriptor, 2)];
  const raw = tags.raw(data);
  if (count === undefined || first === undefined || !bits || bits > 16 || !raw)
    throw new DicomError('dicom-corrupt', 'A lookup table of the file is damaged.');
  // A count of 0 stands for 65536.
  const length = count || 65536;
  if (raw.length >= 2 * length) return { first, bits, entries: words(raw.subarray(0, 2 * length), little) };
  if (raw.length < length || bits > 8) throw new DicomError('dicom-corrupt', 'A lookup table of the file is too short.');
  return { first, bits, entries: little ? raw.slice(0, length) : swapped(raw, 0, length) };
}

/** @param {Lut} lut @param {number} value @returns {number} values beyond the ends count as the ends */
const lookUp = ({ first, entries }, value) => entries[Math.min(Math.max(Math.round(value) - first, 0), entries.length - 1)];

// ---- Monochrome -----------------------------------------------------------------------------

/**
 * @param {Samples} samples
 * @param {Layout} layout
 * @param {Rendering} rendering
 * @param {number} [choice] which of the vois; the first need not be there
 * @returns {Gray}
 */
export function grayOf(samples, layout, rendering, choice = 0) {
  const steps = alignment(samples, layout);
  if (choice !== 0 && !rendering.vois[choice])
    throw new DicomError('dicom-frame', `The frame has ${rendering.vois.length} windows; number ${choice + 1} is not one of them.`);
  const voi = rendering.vois[choice];
  if (rendering.modalityLut || voi?.kind === 'lut') return byTable(samples, steps, layout, rendering, voi);
  const { width, height, stored: bits, signed } = layout;
  const { slope, intercept, invert } = rendering;
  const padding = rendering.padding?.[0];
  const pixels = mapped(samples, [...steps, ...onePadding(layout, rendering.padding)]);
  const window = voi?.window ?? (bits <= 8 ? wholeRange(layout, rendering) : undefined);
  return { pixels, width, height, bits, signed, slope, intercept, window, invert, padding };
}

/** @typedef {(value: number) => number} Step from one value of a sample to another */

/**
 * All steps at once, for every value that a sample can have. Most files need none, and then nothing is copied.
 * @param {Samples} samples
 * @param {Step[]} steps
 * @returns {Uint16Array}
 */
function mapped({ data }, steps) {
  if (steps.length === 0) return data instanceof Uint16Array ? data : new Uint16Array(data);
  const table = new Uint16Array(2 ** (8 * data.BYTES_PER_ELEMENT));
  for (let i = 0; i < table.length; i++) table[i] = steps.reduce((value, step) => step(value), i);
  const pixels = new Uint16Array(data.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[data[i]];
  return pixels;
}

/**
 * Moves the stored bits to the bottom. What lies above them (overlays, C.9.2) is masked by whoever reads; but a
 * lossy decoder that overshoots would wrap round there, from white to black.
 * @param {Samples} samples
 * @param {Layout} layout
 * @returns {Step[]}
 */
function alignment({ precision = 0 }, layout) {
  const shift = layout.high + 1 - layout.stored;
  const [least, most] = storedRange(layout);
  const clamp = (/** @type {number} */ value) => Math.min(Math.max(valueOf(value, precision, layout.signed), least), most);
  return [...(shift > 0 ? [(/** @type {number} */ value) => value >> shift] : []), ...(precision > layout.stored ? [clamp] : [])];
}

/**
 * The engine knows one padding value; a range of them (0028,0121) becomes that one.
 * @param {Layout} layout
 * @param {[number, number]|undefined} padding
 * @returns {Step[]}
 */
function onePadding({ stored, signed }, padding) {
  if (!padding || padding[0] === padding[1]) return [];
  return [
    (pixel) => {
      const value = valueOf(pixel, stored, signed);
      return value >= padding[0] && value <= padding[1] ? padding[0] : pixel;
    },
  ];
}

/** @param {number} pixel @param {number} bits @param {boolean} signed */
function valueOf(pixel, bits, signed) {
  const shift = 32 - bits;
  return signed ? (pixel << shift) >> shift : (pixel << shift) >>> shift;
}

/**
 * Pictures of 8 bits without a window are screen captures and converted files: their whole range is meant. Deeper
 * ones use an unknown part of theirs, and get the range that is present.
 * @param {Layout} layout
 * @param {Rendering} rendering
 * @returns {Window}
 */
function wholeRange(layout, { slope, intercept }) {
  const ends = storedRange(layout).map((value) => value * slope + intercept);
  return { shape: 'linear-exact', centre: (ends[0] + ends[1]) / 2, width: Math.abs(ends[1] - ends[0]) };
}

/**
 * Everything up to the screen, into 16 bits.
 * @param {Samples} samples
 * @param {Step[]} steps that come before
 * @param {Layout} layout
 * @param {Rendering} rendering
 * @param {Voi|undefined} voi
 * @returns {Gray}
 */
function byTable(samples, steps, layout, rendering, voi) {
  const { stored, signed, width, height } = layout;
  const { modalityLut, slope, intercept, invert, padding } = rendering;
  const table = new Uint16Array(2 ** stored);
  const shade = shader(voi, modalityLut);
  for (let i = 0; i < table.length; i++) {
    const value = valueOf(i, stored, signed);
    const share = shade(modalityLut ? lookUp(modalityLut, value) : value * slope + intercept);
    const hidden = padding !== undefined && value >= padding[0] && value <= padding[1];
    table[i] = hidden ? 0 : Math.round(65535 * (invert ? 1 - share : share));
  }
  const pixels = mapped(samples, [...steps, (value) => table[value & (table.length - 1)]]);
  return ready(pixels, width, height, 16);
}

/**
 * @param {Voi|undefined} voi
 * @param {Lut|undefined} modalityLut
 * @returns {(value: number) => number} 0..1
 */
function shader(voi, modalityLut) {
  if (voi?.kind === 'window') return (value) => windowed(value, voi.window);
  const lut = voi?.lut ?? /** @type {Lut} */ (modalityLut);
  const most = whiteOf(lut);
  return voi ? (value) => lookUp(lut, value) / most : (value) => value / most;
}

/**
 * The entry that means white. Descriptors are wrong in both directions, as C.11.2.1.1 has CR write 8 or 16 whatever the
 * entries fill: the largest entry tells how many bits these are. Where it falls just short of all of them, it is white.
 * @param {Lut} lut
 */
function whiteOf({ entries }) {
  let largest = 1;
  for (const entry of entries) largest = Math.max(largest, entry);
  const most = 2 ** (32 - Math.clz32(largest)) - 1;
  return largest >= most * (1 - 1 / 64) ? largest : most;
}

/**
 * Gray that needs no further step.
 * @param {Uint16Array} pixels
 * @param {number} width
 * @param {number} height
 * @param {8|16} bits
 * @returns {Gray}
 */
function ready(pixels, width, height, bits) {
  const most = 2 ** bits - 1;
  const window = { shape: /** @type {const} */ ('linear-exact'), centre: most / 2, width: most };
  return { pixels, width, height, bits, signed: false, slope: 1, intercept: 0, window, invert: false };
}

/** The windows of C.11.2.1.2 and C.11.2.1.3. @param {number} value @param {Window} window @returns {number} 0..1 */
function windowed(value, { shape, centre, width }) {
  if (shape === 'sigmoid') return 1 / (1 + Math.exp((-4 * (value - centre)) / width));
  const [middle, span] = shape === 'linear' ? [centre - 0.5, width - 1] : [centre, width];
  if (value <= middle - span / 2) return 0;
  if (value > middle + span / 2) return 1;
  return (value - middle) / span + 0.5;
}

// ---- Colour ---------------------------------------------------------------------------------

/**
 * @param {Tags} tags
 * @param {Samples} samples
 * @param {Layout} layout
 * @param {boolean} little
 * @returns {{ gray: Gray, coloured: boolean }}
 */
export function grayOfColour(tags, samples, layout, little) {
  const { width, height } = layout;
  const palette = layout.photometric === 'PALETTE COLOR';
  const { rgbAt, bits } = palette ? paletteReader(tags, samples, layout, little) : colourReader(samples, layout);
  const pixels = new Uint16Array(width * height);
  const rgb = new Uint16Array(3);
  const spread = bits === 8 ? 16 : 16 * 257;
  let coloured = 0;
  for (let i = 0; i < pixels.length; i++) {
    rgbAt(i, rgb);
    // BT.601 in integers, as the engine does it for PNG and JPEG.
    pixels[i] = (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8;
    if (Math.max(rgb[0], rgb[1], rgb[2]) - Math.min(rgb[0], rgb[1], rgb[2]) >= spread) coloured++;
  }
  // What counts as colour is the engine's own rule too (gray_of in src/image/codecs.h).
  return { gray: ready(pixels, width, height, bits), coloured: coloured > pixels.length >> 8 };
}

/** @typedef {{ rgbAt: (i: number, rgb: Uint16Array) => void, bits: 8|16 }} ColourReader */

/**
 * C.7.6.3.1.5 and C.7.9.
 * @param {Tags} tags
 * @param {Samples} samples
 * @param {Layout} layout
 * @param {boolean} little
 * @returns {ColourReader}
 */
function paletteReader(tags, samples, layout, little) {
  const { stored, signed } = layout;
  if (tags.has('x00281221')) throw new DicomError('dicom-unsupported', 'Segmented palettes (0028,1221) are not read.');
  const luts = ['1', '2', '3'].map((n) => lutFrom(tags, `x0028110${n}`, `x0028120${n}`, signed, little));
  const bits = luts[0].bits > 8 ? 16 : 8;
  const mask = 2 ** stored - 1;
  const data = mapped(samples, alignment(samples, layout));
  return {
    bits,
    rgbAt: (i, rgb) => {
      for (let c = 0; c < 3; c++) rgb[c] = lookUp(luts[c], valueOf(data[i] & mask, stored, signed));
    },
  };
}

/** @param {Samples} samples @param {Layout} layout @returns {ColourReader} */
function colourReader({ data, colour }, { stored, photometric }) {
  // JPEG's markers know better than the header; YBR_ICT and YBR_RCT the decoder has undone (PS3.5 8.2.4).
  const ybr = colour ? colour === 'ybr' : photometric.startsWith('YBR_FULL');
  const bits = stored > 8 ? 16 : 8;
  const up = bits - stored;
  const copy = (/** @type {number} */ i, /** @type {Uint16Array} */ rgb) => {
    for (let c = 0; c < 3; c++) rgb[c] = data[3 * i + c] << up;
  };
  return {
    bits,
    rgbAt: ybr
      ? (i, rgb) => {
          copy(i, rgb);
          fromYbr(rgb, bits);
        }
      : copy,
  };
}

/** YBR_FULL to RGB, the inverse of C.7.6.3.1.2. @param {Uint16Array} rgb @param {number} bits */
function fromYbr(rgb, bits) {
  const most = 2 ** bits - 1;
  const half = 2 ** (bits - 1);
  const [y, b, r] = [rgb[0], rgb[1] - half, rgb[2] - half];
  rgb[0] = clamped(y + 1.402 * r, most);
  rgb[1] = clamped(y - 0.344136 * b - 0.714136 * r, most);
  rgb[2] = clamped(y + 1.772 * b, most);
}

/** @param {number} value @param {number} most */
const clamped = (value, most) => Math.round(Math.min(Math.max(value, 0), most));

// ---- For the screen -------------------------------------------------------------------------

/**
 * What the engine sees, in 8 bits a pixel, for showing it.
 * @param {Gray} gray
 * @returns {Uint8ClampedArray}
 */
export function toGray8(gray) {
  const { pixels, bits, signed, slope, intercept, invert, padding } = gray;
  const window = gray.window ?? presentRange(gray);
  const table = new Uint8ClampedArray(2 ** bits);
  for (let i = 0; i < table.length; i++) {
    const value = valueOf(i, bits, signed);
    const share = windowed(value * slope + intercept, window);
    table[i] = value === padding ? 0 : Math.round(255 * (invert ? 1 - share : share));
  }
  const out = new Uint8ClampedArray(pixels.length);
  for (let i = 0, mask = table.length - 1; i < pixels.length; i++) out[i] = table[pixels[i] & mask];
  return out;
}

/** Shares of the pixels that a picture without a window may lose at either end: dead pixels, burned-in markers. */
const LOST = 0.005;

/**
 * Nearly from the smallest to the largest value present, padding left out.
 * @param {Gray} gray
 * @returns {Window}
 */
function presentRange({ pixels, bits, signed, slope, intercept, padding }) {
  const counts = new Uint32Array(2 ** bits);
  // Counted in the order of the values: of signed ones, the negative half comes first.
  const place = (/** @type {number} */ pixel) => (pixel & (counts.length - 1)) ^ (signed ? counts.length >> 1 : 0);
  for (const pixel of pixels) counts[place(pixel)]++;
  if (padding !== undefined) counts[place(padding)] = 0;
  const total = counts.reduce((sum, count) => sum + count, 0);
  // Where nearly all is one value, the rest is the picture.
  const [least, most] = [LOST, 0].map((share) => reached(counts, share * total)).find(([from, to]) => from < to) ?? [0, 0];
  if (least === most) return { shape: 'linear-exact', centre: Number.MAX_VALUE, width: 1 }; // black
  const [from, to] = [least, most].map((i) => valueOf(place(i), bits, signed) * slope + intercept);
  return { shape: 'linear-exact', centre: (from + to) / 2, width: Math.abs(to - from) };
}

/**
 * The first and the last place behind which more than so many are counted.
 * @param {Uint32Array} counts
 * @param {number} lost
 * @returns {[number, number]}
 */
function reached(counts, lost) {
  let [first, below, last, above] = [0, counts[0], counts.length - 1, counts[counts.length - 1]];
  while (below <= lost && first < counts.length - 1) below += counts[++first];
  while (above <= lost && last > 0) above += counts[--last];
  return [first, last];
}
