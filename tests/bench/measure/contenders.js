// contenders.js - the engines to compare: one entry per runtime and precision, each with a function that opens it and returns a
// function that runs it. All run the network of network.js, on one thread.
import { openEngine } from './engine.js';
import { inNode, read, runScript, urlOf } from '../place/files.js';
import { image, macs, shapes, side, weightCount } from '../network/network.js';

/**
 * @typedef {object} Runner
 * @property {(times: number) => void|Promise<void>} run
 * @property {() => number[]|Promise<number[]>} [logits] of the image
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {'us'|'peer'|'peak'} group
 * @property {'f32'|'int8'} numbers
 * @property {number} macs of one run
 * @property {() => Promise<Runner>} open
 * @property {boolean} [browserOnly]
 */

const packages = 'build/bench/node_modules';

/** The image as our engine takes it. */
export const levels = () => Uint8Array.from(image(), (level) => Math.round(level * 255));

// ---- Ours ---------------------------------------------------------------------------------------

/**
 * @param {import('./engine.js').Build} build
 * @returns {Contender}
 */
const ours = (build) => ({
  name: `CXR Lens ${build}`,
  group: 'us',
  numbers: 'int8',
  macs,
  open: async () => openEngine(build, await read('build/bench/mobilenetv2.cxrm'), levels()),
});

/**
 * The same with the model that ships.
 * @param {import('./engine.js').Build} build
 * @returns {Contender}
 */
const shipped = (build) => ({
  name: `CXR Lens ${build}, shipped model`,
  group: 'us',
  numbers: 'int8',
  macs: 0,
  open: async () => openEngine(build, await read('model/cxrlens.cxrm'), levels()),
});

// ---- ONNX Runtime Web ---------------------------------------------------------------------------

export async function openOnnxRuntime(/** @type {string} */ file) {
  const ort = await import(urlOf(`${packages}/onnxruntime-web/dist/${inNode ? 'ort.node.min.mjs' : 'ort.wasm.min.mjs'}`));
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  const session = await ort.InferenceSession.create(await read(`build/bench/${file}`), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  const feeds = { image: new ort.Tensor('float32', image(), [1, 1, side, side]) };
  return {
    /** @param {number} times */
    async run(times) {
      for (let i = 0; i < times; i++) await session.run(feeds);
    },
    logits: async () => Array.from((await session.run(feeds)).logits.data),
  };
}

// ---- TensorFlow.js ------------------------------------------------------------------------------

export async function openTensorFlow() {
  const tf = await loadTensorFlow();
  await tf.setBackend('wasm');
  await tf.ready();
  const floats = new Float32Array((await read('build/bench/mobilenetv2-tfjs.bin')).buffer);
  let at = 0;
  /** @param {number} count */
  const next = (count) => floats.subarray(at, (at += count));
  const layers = shapes().map((shape) => {
    const { kind, kernel, inputs, outputs } = shape;
    const filter = tf.tensor4d(next(weightCount(shape)), [kernel, kernel, ...(kind === 'full' ? [inputs, outputs] : [outputs, 1])]);
    return { ...shape, filter, bias: tf.tensor1d(next(outputs)) };
  });
  const input = tf.tensor4d(image(), [1, side, side, 1]);
  // What a converted graph model does, without the interpreter of graphs: fused operators, one after the other.
  const forward = () =>
    tf.tidy(() => {
      /** @type {any[]} */
      const outputs = [];
      layers.forEach((layer, index) => {
        let x = index ? outputs[index - 1] : input;
        if (index === layers.length - 1) x = tf.mean(x, [1, 2], true);
        const fused = layer.kind === 'full' ? tf.fused.conv2d : tf.fused.depthwiseConv2d;
        const y = fused({
          x,
          filter: layer.filter,
          strides: layer.stride,
          pad: 'same',
          bias: layer.bias,
          activation: layer.relu ? 'relu' : 'linear',
        });
        outputs.push(layer.residual === null ? y : tf.add(y, outputs[layer.residual]));
      });
      return outputs[layers.length - 1];
    });
  const answer = () => {
    const logits = forward();
    const values = logits.dataSync();
    logits.dispose();
    return Array.from(values);
  };
  return {
    /** @param {number} times */
    run(times) {
      for (let i = 0; i < times; i++) answer();
    },
    logits: answer,
  };
}

async function loadTensorFlow() {
  if (inNode) {
    const { createRequire } = await import('node:module');
    const require = createRequire(urlOf('build/bench/package.json'));
    require('@tensorflow/tfjs-backend-wasm');
    return require('@tensorflow/tfjs-core');
  }
  await runScript(`${packages}/@tensorflow/tfjs-core/dist/tf-core.min.js`);
  await runScript(`${packages}/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js`);
  const tf = /** @type {any} */ (globalThis).tf;
  tf.wasm.setWasmPaths(urlOf(`${packages}/@tensorflow/tfjs-backend-wasm/dist/`));
  return tf;
}

// ---- LiteRT.js ----------------------------------------------------------------------------------

export async function openLiteRt(/** @type {string} */ file) {
  const lite = await import(urlOf(`${packages}/@litertjs/core/dist/index.js`));
  // The page can load it once only.
  const state = /** @type {any} */ (globalThis);
  await (state.liteRt ??= lite.loadLiteRt(urlOf(`${packages}/@litertjs/core/wasm/`), { threads: false }));
  const model = await lite.loadAndCompile(await read(`build/bench/${file}`), { accelerator: 'wasm' });
  const input = lite.Tensor.fromTypedArray(image(), [1, side, side, 1]);
  const answer = async () => {
    const [output] = await model.run([input]);
    const logits = Array.from(output.toTypedArray());
    output.delete();
    return logits;
  };
  return {
    /** @param {number} times */
    async run(times) {
      for (let i = 0; i < times; i++) await answer();
    },
    logits: answer,
  };
}

// ---- What the instructions can do ---------------------------------------------------------------

/**
 * @param {string} name
 * @param {'simd'|'relaxed'} module
 * @param {string} loop export of peak.c
 * @param {string} size export that says its multiply-accumulates
 * @param {'f32'|'int8'} numbers
 * @returns {Contender}
 */
const peak = (name, module, loop, size, numbers) => ({
  name,
  group: 'peak',
  numbers,
  macs: 2 ** 26, // about as long as a network
  async open() {
    const bytes = await read(`build/bench/peak-${module}.wasm`);
    const wasm = /** @type {any} */ ((await WebAssembly.instantiate(/** @type {any} */ (bytes))).instance.exports);
    wasm.fill(7);
    const rounds = Math.round(2 ** 26 / wasm[size]());
    return { run: (times) => wasm[loop](rounds * times) };
  },
});

/** @type {Contender[]} */
export const contenders = [
  peak('f32x4 mul + add', 'simd', 'f32', 'f32_macs', 'f32'),
  peak('i16x8 dot + add', 'simd', 'i16', 'i16_macs', 'int8'),
  peak('relaxed i8x16 dot', 'relaxed', 'i8', 'i8_macs', 'int8'),
  peak('matrix product in L1, i16', 'simd', 'gemm_i16', 'gemm_macs', 'int8'),
  peak('matrix product in L1, relaxed i8', 'relaxed', 'gemm_i8', 'gemm_macs', 'int8'),
  peak('matrix product in L1, relaxed i8, 16-bit sums', 'relaxed', 'gemm_light', 'gemm_macs', 'int8'),
  ours('relaxed'),
  ours('simd'),
  ours('scalar'),
  shipped('relaxed'),
  shipped('simd'),
  shipped('scalar'),
  { name: 'tfjs-backend-wasm', group: 'peer', numbers: 'f32', macs, open: openTensorFlow },
  { name: 'ONNX Runtime Web f32', group: 'peer', numbers: 'f32', macs, open: () => openOnnxRuntime('mobilenetv2-f32.onnx') },
  { name: 'ONNX Runtime Web int8', group: 'peer', numbers: 'int8', macs, open: () => openOnnxRuntime('mobilenetv2-int8.onnx') },
  { name: 'LiteRT.js f32', group: 'peer', numbers: 'f32', macs, browserOnly: true, open: () => openLiteRt('mobilenetv2-f32.tflite') },
  { name: 'LiteRT.js int8', group: 'peer', numbers: 'int8', macs, browserOnly: true, open: () => openLiteRt('mobilenetv2-int8.tflite') },
];
