// quantised.js - the same network in 8-bit integers, for the peers that run such: scales of activations and weights.
import { weightsAs } from './network.js';

/** @typedef {import('./network.js').Layer} Layer */

/**
 * Scale of a layer's output. Random weights keep values within a few units; which few does not matter for speed.
 * @param {Layer|null} layer null: the image
 */
export const outputScale = (layer) => (layer ? 8 / 255 : 1 / 255);

/**
 * Zero point among 256 levels: values after a ReLU, and of the image, begin at 0.
 * @param {Layer|null} layer
 */
export const outputZero = (layer) => (layer && !layer.relu ? 128 : 0);

/**
 * Weights per output channel, symmetric in -127..127, and the bias in units of input scale times weight scale.
 * @param {Layer} layer
 * @param {number} inputScale
 * @param {'oihw'|'ohwi'|'ihwo'} order of the quantised weights
 */
export function quantise(layer, inputScale, order) {
  const each = layer.weights.length / layer.outputs;
  const scales = Float32Array.from(
    { length: layer.outputs },
    (_, n) => layer.weights.subarray(n * each, (n + 1) * each).reduce((most, w) => Math.max(most, Math.abs(w)), 1e-6) / 127,
  );
  const integers = layer.weights.map((w, i) => Math.round(w / scales[Math.floor(i / each)]));
  const ordered = order === 'oihw' ? integers : weightsAs({ ...layer, weights: integers }, order);
  return {
    weights: Int8Array.from(ordered),
    scales,
    bias: Int32Array.from(layer.bias, (b, n) => Math.round(b / (inputScale * scales[n]))),
  };
}
