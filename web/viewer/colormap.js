/**
 * The colours of maps. Opacities are orange, the more the stronger. Occlusion sensitivity is signed: orange where the
 * probability falls, blue where it rises, both equal in lightness and chroma (OKLCH), and transparent at zero. Blue is also
 * striped, so that the sign does not depend on colour alone.
 */

import { enlarge } from '../shared/resample.js';

/** @typedef {import('../shared/resample.js').Grid} Grid */

const HUE_FOR = 55;
const HUE_AGAINST = 250;
/** Side of the picture that a map becomes; the viewer stretches it over the image. */
export const MAP_SIDE = 256;
/** Size of the scale beside it, in the same pixels. */
export const SCALE = { width: MAP_SIDE, height: 12 };
/** Distance of the stripes. */
const STRIPE = 12;

/**
 * OKLCH to sRGB, clipped to the gamut.
 * @param {number} lightness 0..1
 * @param {number} chroma
 * @param {number} hue degrees
 * @returns {[number, number, number]} 0..255
 */
function oklch(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    gamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** @param {number} linear a linear light value */
function gamma(linear) {
  const clipped = Math.min(Math.max(linear, 0), 1);
  return Math.round(255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055));
}

/**
 * Colour and cover of one value.
 * @param {number} share of the largest magnitude, -1..1
 * @returns {[number, number, number, number]} red, green, blue, alpha: 0..255
 */
export function signed(share) {
  const strength = Math.min(Math.abs(share), 1);
  const [red, green, blue] = oklch(0.68 + 0.06 * strength, 0.06 + 0.08 * strength, share < 0 ? HUE_AGAINST : HUE_FOR);
  return [red, green, blue, Math.round(255 * strength ** 0.8)];
}

/**
 * The pixels of 511 shares from -1 to 1, so that painting is a look-up.
 * @param {number} cover share of the alpha that is kept
 */
function palette(cover) {
  const bytes = new Uint8ClampedArray(4 * 511);
  for (let i = 0; i < 511; i++) {
    const [red, green, blue, alpha] = signed(i / 255 - 1);
    bytes.set([red, green, blue, alpha * cover], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}
const COLOURS = palette(1);
const STRIPES = palette(0.45);

/**
 * Paints a map of values from 0 to 1: clear up to half of the threshold, full at 1.
 * @param {Grid} grid
 * @param {number} threshold value from which a cell is part of a finding
 */
export function paintOpacity(grid, threshold) {
  const image = new ImageData(MAP_SIDE, MAP_SIDE);
  const pixels = new Uint32Array(image.data.buffer);
  const values = enlarge(grid, MAP_SIDE);
  const floor = threshold / 2;
  for (let i = 0; i < values.length; i++) {
    const share = Math.min(Math.max((values[i] - floor) / (1 - floor), 0), 1);
    pixels[i] = COLOURS[Math.round(255 * share) + 255];
  }
  return image;
}

/** The largest magnitude of some maps: one scale for all classes of an image. @param {readonly { values: ArrayLike<number> }[]} maps */
export function reach(maps) {
  let most = 0;
  for (const { values } of maps) for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]));
  return most || 1;
}

/**
 * Paints a map.
 * @param {Grid} grid
 * @param {number} most the magnitude that gets full colour
 */
export function paintMap(grid, most) {
  const image = new ImageData(MAP_SIDE, MAP_SIDE);
  const pixels = new Uint32Array(image.data.buffer);
  const values = enlarge(grid, MAP_SIDE);
  for (let i = 0; i < values.length; i++) pixels[i] = colour(values[i] / most, i);
  return image;
}

/** The colours from a value to the highest, from left to right. @param {number} lowest -1: as of paintMap; 0: as of paintOpacity */
export function paintScale(lowest) {
  const image = new ImageData(SCALE.width, SCALE.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colour(lowest + ((1 - lowest) * (i % SCALE.width)) / (SCALE.width - 1), i);
  return image;
}

/** @param {number} value @param {number} i place in a picture of MAP_SIDE pixels a row */
function colour(value, i) {
  const share = Math.min(Math.max(value, -1), 1);
  const striped = share < 0 && ((i % MAP_SIDE) + Math.floor(i / MAP_SIDE)) % STRIPE < STRIPE / 2;
  return (striped ? STRIPES : COLOURS)[Math.round(255 * share) + 255];
}
