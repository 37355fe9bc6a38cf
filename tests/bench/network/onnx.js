// onnx.js - writes the network as an ONNX file, in f32 or in 8-bit integers with QuantizeLinear / DequantizeLinear pairs, as
// ONNX Runtime's own quantiser writes it (u8 activations, s8 weights per channel). ONNX is protobuf; the few messages needed
// are written here by hand. Field numbers are those of onnx.proto.
import { mobileNetV2, side } from './network.js';
import { outputScale, outputZero, quantise } from './quantised.js';

/** @typedef {import('./network.js').Layer} Layer */

// ---- protobuf -----------------------------------------------------------------------------------

/** @param {number} value */
function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.from([...bytes, value]);
}

/** @param {Uint8Array[]} parts */
function join(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {number} field @param {number} value */
const integer = (field, value) => join([varint(field * 8), varint(value)]);
/** @param {number} field @param {Uint8Array} bytes */
const block = (field, bytes) => join([varint(field * 8 + 2), varint(bytes.length), bytes]);
/** @param {number} field @param {string} text */
const string = (field, text) => block(field, new TextEncoder().encode(text));
/** @param {number} field @param {Uint8Array[]} parts */
const message = (field, parts) => block(field, join(parts));

// ---- ONNX ---------------------------------------------------------------------------------------

const elementTypes = { Float32Array: 1, Uint8Array: 2, Int8Array: 3, Int32Array: 6 };

/**
 * A GraphProto under construction.
 */
class Graph {
  /** @type {Uint8Array[]} */
  #parts = [];

  /**
   * @param {string} name
   * @param {number[]} shape empty: a scalar
   * @param {Float32Array|Uint8Array|Int8Array|Int32Array} data
   */
  constant(name, shape, data) {
    const type = elementTypes[/** @type {keyof elementTypes} */ (data.constructor.name)];
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#parts.push(message(5, [...shape.map((size) => integer(1, size)), integer(2, type), string(8, name), block(9, raw)]));
    return name;
  }

  /**
   * Appends an operator; its one output has its name.
   * @param {string} type
   * @param {string} name
   * @param {string[]} inputs
   * @param {Record<string, number|number[]>} [attributes] integers
   */
  node(type, name, inputs, attributes = {}) {
    const written = Object.entries(attributes).map(([key, value]) =>
      message(5, [
        string(1, key),
        ...(Array.isArray(value) ? [...value.map((v) => integer(8, v)), integer(20, 7)] : [integer(3, value), integer(20, 2)]),
      ]),
    );
    this.#parts.push(
      message(1, [...inputs.map((input) => string(1, input)), string(2, name), string(3, name), string(4, type), ...written]),
    );
    return name;
  }

  /**
   * @param {number} field 11: input, 12: output
   * @param {string} name
   * @param {number[]} shape
   */
  value(field, name, shape) {
    const dims = message(
      2,
      shape.map((size) => message(1, [integer(1, size)])),
    );
    this.#parts.push(message(field, [string(1, name), message(2, [message(1, [integer(1, elementTypes.Float32Array), dims])])]));
  }

  /** The ModelProto's bytes. */
  finish() {
    return join([integer(1, 8), message(7, [...this.#parts, string(2, 'mobilenetv2')]), message(8, [string(1, ''), integer(2, 13)])]);
  }
}

/** @param {Layer} layer */
function convolution({ kind, kernel, stride, inputs }) {
  const after = kernel >> 1;
  const before = stride === 2 ? after - 1 : after; // TensorFlow's SAME, for even sizes
  return {
    group: kind === 'full' ? 1 : inputs,
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [before, before, after, after],
  };
}

/** @param {Layer} layer */
const shapeOf = ({ kind, kernel, inputs, outputs }) => [outputs, kind === 'full' ? inputs : 1, kernel, kernel];

/**
 * Builds the graph; what differs by precision is how a layer gets its weights and what follows an operator.
 * @param {(graph: Graph, index: number, layer: Layer, source: Layer|null) => string[]} parameters names of weights and bias
 * @param {(graph: Graph, name: string, layer: Layer|null) => string} settle name of the value as the next operator reads it
 */
function build(parameters, settle) {
  const graph = new Graph();
  const layers = mobileNetV2();
  graph.value(11, 'image', [1, 1, side, side]);
  graph.value(12, 'logits', [1, layers[layers.length - 1].outputs, 1, 1]);
  /** @type {string[]} */
  const outputs = [];
  let value = settle(graph, 'image', null);
  layers.forEach((layer, index) => {
    const source = index ? layers[index - 1] : null;
    if (index) value = outputs[index - 1];
    if (index === layers.length - 1) value = settle(graph, graph.node('GlobalAveragePool', 'mean', [value]), source);
    let name = graph.node('Conv', `conv${index}`, [value, ...parameters(graph, index, layer, source)], convolution(layer));
    if (layer.relu) name = graph.node('Relu', `relu${index}`, [name]);
    outputs[index] = settle(graph, name, layer);
    if (layer.residual !== null)
      outputs[index] = settle(graph, graph.node('Add', `add${index}`, [outputs[index], outputs[layer.residual]]), layer);
  });
  graph.node('Identity', 'logits', [outputs[layers.length - 1]]);
  return graph.finish();
}

/** @returns {Uint8Array} */
export function onnxFloat() {
  return build(
    (graph, index, layer) => [
      graph.constant(`w${index}`, shapeOf(layer), layer.weights),
      graph.constant(`b${index}`, [layer.outputs], layer.bias),
    ],
    (_, name) => name,
  );
}

/** @returns {Uint8Array} */
export function onnxInteger() {
  return build(
    (graph, index, layer, source) => {
      const { weights, scales, bias } = quantise(layer, outputScale(source), 'oihw');
      const n = layer.outputs;
      const zeros = graph.constant(`wz${index}`, [n], new Int8Array(n));
      const biasScales = scales.map((scale) => scale * outputScale(source));
      return [
        graph.node(
          'DequantizeLinear',
          `wd${index}`,
          [graph.constant(`w${index}`, shapeOf(layer), weights), graph.constant(`ws${index}`, [n], scales), zeros],
          { axis: 0 },
        ),
        graph.node(
          'DequantizeLinear',
          `bd${index}`,
          [
            graph.constant(`b${index}`, [n], bias),
            graph.constant(`bs${index}`, [n], biasScales),
            graph.constant(`bz${index}`, [n], new Int32Array(n)),
          ],
          { axis: 0 },
        ),
      ];
    },
    (graph, name, layer) => {
      const scale = graph.constant(`${name}_scale`, [], Float32Array.of(outputScale(layer)));
      const zero = graph.constant(`${name}_zero`, [], Uint8Array.of(outputZero(layer)));
      const quantised = graph.node('QuantizeLinear', `${name}_q`, [name, scale, zero]);
      return graph.node('DequantizeLinear', `${name}_dq`, [quantised, scale, zero]);
    },
  );
}
