// tflite.js - writes the network as a .tflite file, in f32 or in 8-bit integers (s8 activations, s8 weights per channel).
// Field numbers and enumerations are those of TensorFlow Lite's schema.fbs.
import { mobileNetV2, side, weightsAs } from './network.js';
import { outputScale, outputZero, quantise } from './quantised.js';

/** @typedef {import('./network.js').Layer} Layer */
/** @typedef {Float32Array|Int8Array|Int32Array} Data */

const types = { Float32Array: 0, Int32Array: 2, Int8Array: 9 };
const relu = 1; // ActivationFunctionType
const same = 0,
  valid = 1; // Padding

// BuiltinOperator, and the type and fields of its options
const operators = {
  add: { code: 0, options: 11, fields: 1 },
  averagePool: { code: 1, options: 5, fields: 6 },
  full: { code: 3, options: 1, fields: 6 },
  depthwise: { code: 4, options: 2, fields: 7 },
  quantise: { code: 114, options: 0, fields: 0 },
  dequantise: { code: 6, options: 0, fields: 0 },
};
const operatorNames = /** @type {(keyof typeof operators)[]} */ (Object.keys(operators));

/** A model of one subgraph under construction. */
class Model {
  /** @param {any} flatbuffers the npm package */
  constructor(flatbuffers) {
    this.builder = new flatbuffers.Builder(1 << 20);
    /** @type {number[]} */
    this.buffers = [this.#table(1, () => {})]; // the empty one, by convention
    /** @type {number[]} */
    this.tensors = [];
    /** @type {number[]} */
    this.operations = [];
  }

  /** @param {number} fields @param {(builder: any) => void} fill */
  #table(fields, fill) {
    this.builder.startObject(fields);
    fill(this.builder);
    return this.builder.endObject();
  }

  /** @param {number[]|Float32Array} values @param {number} size bytes of each @param {string} method of the builder */
  #vector(values, size, method) {
    this.builder.startVector(size, values.length, size);
    for (let i = values.length - 1; i >= 0; i--) this.builder[method](values[i]);
    return this.builder.endVector();
  }

  /** @param {number[]} values */
  #integers = (values) => this.#vector(values, 4, 'addInt32');
  /** @param {number[]} offsets */
  #offsets = (offsets) => this.#vector(offsets, 4, 'addOffset');

  /** @param {Data} data */
  #buffer(data) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.builder.startVector(1, bytes.length, 16);
    this.builder.bb.setPosition((this.builder.space -= bytes.length));
    this.builder.bb.bytes().set(bytes, this.builder.space);
    const vector = this.builder.endVector();
    return this.buffers.push(this.#table(1, (b) => b.addFieldOffset(0, vector, 0))) - 1;
  }

  /**
   * @param {string} name
   * @param {number[]} shape
   * @param {Data|keyof typeof types} data or, of a value that is computed, its type
   * @param {{ scales: ArrayLike<number>, zero: number, axis: number }} [scale]
   */
  tensor(name, shape, data, scale) {
    const buffer = typeof data === 'string' ? 0 : this.#buffer(data);
    const type = types[/** @type {keyof typeof types} */ (typeof data === 'string' ? data : data.constructor.name)];
    const label = this.builder.createString(name);
    const sizes = this.#integers(shape);
    const quantisation = scale && this.#quantisation(scale);
    return (
      this.tensors.push(
        this.#table(5, (b) => {
          b.addFieldOffset(0, sizes, 0);
          b.addFieldInt8(1, type, 0);
          b.addFieldInt32(2, buffer, 0);
          b.addFieldOffset(3, label, 0);
          if (quantisation) b.addFieldOffset(4, quantisation, 0);
        }),
      ) - 1
    );
  }

  /** @param {{ scales: ArrayLike<number>, zero: number, axis: number }} scale */
  #quantisation({ scales, zero, axis }) {
    const values = this.#vector([...Array.from(scales)], 4, 'addFloat32');
    const zeros = this.#vector(
      Array.from(scales, () => /** @type {any} */ (BigInt(zero))),
      8,
      'addInt64',
    );
    return this.#table(7, (b) => {
      b.addFieldOffset(2, values, 0);
      b.addFieldOffset(3, zeros, 0);
      b.addFieldInt32(6, axis, 0);
    });
  }

  /**
   * @param {keyof typeof operators} kind
   * @param {number[]} inputs
   * @param {number} output
   * @param {(builder: any) => void} [fill] its options
   */
  operation(kind, inputs, output, fill = () => {}) {
    const { options, fields } = operators[kind];
    const from = this.#integers(inputs);
    const to = this.#integers([output]);
    const chosen = this.#table(fields, fill);
    this.operations.push(
      this.#table(5, (b) => {
        b.addFieldInt32(0, operatorNames.indexOf(kind), 0);
        b.addFieldOffset(1, from, 0);
        b.addFieldOffset(2, to, 0);
        b.addFieldInt8(3, options, 0);
        if (options) b.addFieldOffset(4, chosen, 0);
      }),
    );
    return output;
  }

  /** @param {number} input @param {number} output tensors @returns {Uint8Array} the file */
  finish(input, output) {
    const b = this.builder;
    const codes = this.#offsets(
      operatorNames.map((name) =>
        this.#table(4, () => {
          b.addFieldInt8(0, operators[name].code, 0);
          b.addFieldInt32(2, 3, 1);
          b.addFieldInt32(3, operators[name].code, 0);
        }),
      ),
    );
    const parts = [this.#offsets(this.tensors), this.#integers([input]), this.#integers([output]), this.#offsets(this.operations)];
    const graph = this.#table(5, () => parts.forEach((part, field) => b.addFieldOffset(field, part, 0)));
    const graphs = this.#offsets([graph]);
    const buffers = this.#offsets(this.buffers);
    b.finish(
      this.#table(5, () => {
        b.addFieldInt32(0, 3, 0);
        b.addFieldOffset(1, codes, 0);
        b.addFieldOffset(2, graphs, 0);
        b.addFieldOffset(4, buffers, 0);
      }),
      'TFL3',
    );
    return b.asUint8Array();
  }
}

/** @param {Layer} layer */
function optionsOf({ kind, stride, relu: active }) {
  return (/** @type {any} */ b) => {
    b.addFieldInt8(0, same, 0);
    b.addFieldInt32(1, stride, 0);
    b.addFieldInt32(2, stride, 0);
    if (kind === 'depthwise') b.addFieldInt32(3, 1, 0);
    b.addFieldInt8(kind === 'full' ? 3 : 4, active ? relu : 0, 0);
    b.addFieldInt32(kind === 'full' ? 4 : 5, 1, 1);
    b.addFieldInt32(kind === 'full' ? 5 : 6, 1, 1);
  };
}

/** @param {Layer} layer */
const shapeOf = ({ kind, kernel, inputs, outputs }) => (kind === 'full' ? [outputs, kernel, kernel, inputs] : [1, kernel, kernel, outputs]);

/**
 * @param {any} flatbuffers
 * @param {'Float32Array'|'Int8Array'} type of the activations
 */
function build(flatbuffers, type) {
  const layers = mobileNetV2();
  const model = new Model(flatbuffers);
  /** @param {string} name @param {number} size @param {number} channels @param {Layer|null} layer */
  const value = (name, size, channels, layer) =>
    model.tensor(
      name,
      [1, size, size, channels],
      type,
      type === 'Int8Array' ? { scales: [outputScale(layer)], zero: outputZero(layer) - 128, axis: 0 } : undefined,
    );
  // Integers stay inside: images come, and logits go, as f32.
  const given = model.tensor('image', [1, side, side, 1], 'Float32Array');
  const image = type === 'Float32Array' ? given : model.operation('quantise', [given], value('levels', side, 1, null));
  /** @type {number[]} */
  const outputs = [];
  layers.forEach((layer, index) => {
    const source = index ? layers[index - 1] : null;
    let input = index ? outputs[index - 1] : image;
    if (source && index === layers.length - 1) input = pool(model, input, source.size, value('mean', 1, layer.inputs, source));
    const weights = parameters(model, index, layer, source, type);
    const out = () => value(`layer${index}`, layer.size / layer.stride, layer.outputs, layer);
    outputs[index] = model.operation(layer.kind, [input, ...weights], out(), optionsOf(layer));
    if (layer.residual !== null) outputs[index] = model.operation('add', [outputs[index], outputs[layer.residual]], out());
  });
  const last = outputs[layers.length - 1];
  if (type === 'Float32Array') return model.finish(given, last);
  const logits = model.tensor('logits', [1, 1, 1, layers[layers.length - 1].outputs], 'Float32Array');
  return model.finish(given, model.operation('dequantise', [last], logits));
}

/** @param {Model} model @param {number} input @param {number} size @param {number} output */
function pool(model, input, size, output) {
  return model.operation('averagePool', [input], output, (b) => {
    b.addFieldInt8(0, valid, 0);
    for (const field of [1, 2]) b.addFieldInt32(field, 1, 0);
    for (const field of [3, 4]) b.addFieldInt32(field, size, 0);
  });
}

/**
 * @param {Model} model
 * @param {number} index
 * @param {Layer} layer
 * @param {Layer|null} source
 * @param {'Float32Array'|'Int8Array'} type
 * @returns {number[]} tensors of weights and bias
 */
function parameters(model, index, layer, source, type) {
  const order = layer.kind === 'full' ? 'ohwi' : 'ihwo';
  const names = [`weights${index}`, `bias${index}`];
  if (type === 'Float32Array') {
    return [model.tensor(names[0], shapeOf(layer), weightsAs(layer, order)), model.tensor(names[1], [layer.outputs], layer.bias)];
  }
  const { weights, scales, bias } = quantise(layer, outputScale(source), order);
  const biasScales = scales.map((scale) => scale * outputScale(source));
  return [
    model.tensor(names[0], shapeOf(layer), weights, { scales, zero: 0, axis: layer.kind === 'full' ? 0 : 3 }),
    model.tensor(names[1], [layer.outputs], bias, { scales: biasScales, zero: 0, axis: 0 }),
  ];
}

/** @param {any} flatbuffers the npm package @returns {Uint8Array} */
export const tfliteFloat = (flatbuffers) => build(flatbuffers, 'Float32Array');
/** @param {any} flatbuffers the npm package @returns {Uint8Array} */
export const tfliteInteger = (flatbuffers) => build(flatbuffers, 'Int8Array');
