// network.js - MobileNetV2 1.0 for one 224 x 224 gray image (Sandler et al. 2018, table 2) with random weights: what
// every contender runs. tests/src/support/cxrm_writer.c writes the same network for our engine.

/**
 * @typedef {object} Shape one convolution; the last one follows global average pooling
 * @property {'full'|'depthwise'} kind
 * @property {number} kernel side of its window
 * @property {number} stride
 * @property {number} size side of its input
 * @property {number} inputs channels
 * @property {number} outputs channels
 * @property {boolean} relu
 * @property {number|null} residual index of the layer whose output is added to its own
 *
 * @typedef {Shape & { weights: Float32Array, bias: Float32Array }} Layer weights: [outputs][inputs of each][kernel][kernel]
 */

// expansion, channels, blocks, stride of the first
const stages = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

export const side = 224;

/** Four classes and the gate. */
const heads = 5;

/** @returns {Shape[]} each reads the output of the one before, the first one the image */
export function shapes() {
  /** @type {Shape[]} */
  const layers = [{ kind: 'full', kernel: 3, stride: 2, size: side, inputs: 1, outputs: 32, relu: true, residual: null }];
  let size = side / 2;
  let channels = 32;
  /** @param {number} outputs @param {boolean} relu @param {number|null} [residual] */
  const pointwise = (outputs, relu, residual = null) => {
    layers.push({ kind: 'full', kernel: 1, stride: 1, size, inputs: channels, outputs, relu, residual });
    channels = outputs;
  };
  for (const [expansion, outputs, blocks, firstStride] of stages)
    for (let block = 0; block < blocks; block++) {
      const stride = block ? 1 : firstStride;
      const residual = block ? layers.length - 1 : null;
      if (expansion > 1) pointwise(channels * expansion, true);
      layers.push({ kind: 'depthwise', kernel: 3, stride, size, inputs: channels, outputs: channels, relu: true, residual: null });
      size /= stride;
      pointwise(outputs, false, residual);
    }
  pointwise(1280, true);
  size = 1;
  pointwise(heads, false);
  return layers;
}

/** @param {Shape} shape */
export const weightCount = ({ kind, kernel, inputs, outputs }) => kernel ** 2 * outputs * (kind === 'full' ? inputs : 1);

/** @returns {Layer[]} */
export function mobileNetV2() {
  const random = uniform(7);
  return shapes().map((shape) => {
    const count = weightCount(shape);
    // Keeps the variance from layer to layer, so that no value under- or overflows.
    const range = Math.sqrt(((shape.relu ? 6 : 3) * shape.outputs) / count);
    const weights = Float32Array.from({ length: count }, () => range * random());
    return { ...shape, weights, bias: Float32Array.from({ length: shape.outputs }, () => 0.1 * random()) };
  });
}

/** Multiply-accumulates of one image. */
export const macs = shapes().reduce((sum, shape) => sum + weightCount(shape) * (shape.size / shape.stride) ** 2, 0);

/**
 * The weights in another order of axes.
 * @param {Layer} layer
 * @param {'hwio'|'hwoi'|'ohwi'|'ihwo'} order of axes; a depthwise layer's channel is o, and its i has one entry
 */
export function weightsAs({ kind, kernel, inputs, outputs, weights }, order) {
  const sizes = { o: outputs, i: kind === 'full' ? inputs : 1, h: kernel, w: kernel };
  const result = new Float32Array(weights.length);
  const at = { o: 0, i: 0, h: 0, w: 0 };
  for (let n = 0; n < weights.length; n++) {
    let rest = n;
    for (const axis of /** @type {('o'|'i'|'h'|'w')[]} */ ([...order].reverse())) {
      at[axis] = rest % sizes[axis];
      rest = Math.floor(rest / sizes[axis]);
    }
    result[n] = weights[((at.o * sizes.i + at.i) * kernel + at.h) * kernel + at.w];
  }
  return result;
}

/**
 * The image: gray levels 0..1, the same for every contender.
 * @returns {Float32Array}
 */
export function image() {
  if (!drawn) {
    const random = uniform(11);
    drawn = Float32Array.from({ length: side * side }, () => Math.round((random() + 1) * 127.5) / 255);
  }
  return drawn.slice();
}

/** Drawn once, as drawing takes as long as some contenders' answer. @type {Float32Array<ArrayBuffer>|undefined} */
let drawn;

/**
 * Numbers in -1..1 (xorshift32, Marsaglia 2003).
 * @param {number} seed
 */
function uniform(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  };
}
