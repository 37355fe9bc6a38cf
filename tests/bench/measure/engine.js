// engine.js - loads build/bench/engine-*.wasm: our shipped modules with the exports of bench_wasm.c.
import { read } from '../place/files.js';

/**
 * @typedef {'scalar'|'simd'|'relaxed'} Build
 * @typedef {{ operator: string, height: number, width: number, inputs: number, outputs: number, stride: number,
 *   residual: boolean, macs: number }} Step
 */

const operators = ['', 'stem', 'pointwise', 'depthwise'];

/** The exports of a module. @param {Build} build @returns {Promise<any>} */
async function openModule(build) {
  const bytes = await read(`build/bench/engine-${build}.wasm`);
  const imports = { env: { now_ms: () => performance.now(), emscripten_notify_memory_growth() {} } };
  const { instance } = await WebAssembly.instantiate(/** @type {any} */ (bytes), imports);
  const wasm = /** @type {any} */ (instance.exports);
  wasm._initialize?.();
  return wasm;
}

/**
 * Copies bytes into a module's memory; returns where they are.
 * @param {any} wasm
 * @param {Uint8Array} bytes
 * @returns {number}
 */
function put(wasm, bytes) {
  const at = wasm.bench_alloc(bytes.length);
  new Uint8Array(wasm.memory.buffer, at, bytes.length).set(bytes);
  return at;
}

/**
 * The canonical step of an image file of 8 bits: what comes before its resize.
 * @param {Build} build
 * @param {Uint8Array} file
 * @returns {Promise<() => void>}
 */
export async function openCanonical(build, file) {
  const wasm = await openModule(build);
  const status = wasm.bench_decode(put(wasm, file), file.length);
  if (status !== 0) throw new Error(`The engine refuses the image: status ${status}`);
  return () => wasm.bench_canonical();
}

/**
 * @param {Build} build
 * @param {Uint8Array} model
 * @param {Uint8Array} image the network's input, u8; of a larger one its beginning, as time does not depend on what is shown
 */
export async function openEngine(build, model, image) {
  const wasm = await openModule(build);
  const status = wasm.bench_load(put(wasm, model), model.length, classCount(model));
  if (status !== 0) throw new Error(`The engine refuses the model: status ${status}`);
  const inputBytes = wasm.bench_input_bytes();
  const fill = () => new Uint8Array(wasm.memory.buffer, wasm.bench_input(), inputBytes).set(image.subarray(0, inputBytes));
  fill();
  return {
    /** @param {number} times */
    run: (times) => wasm.bench_run(times),
    /** @param {number} index of a step; the last one and beyond: the head */
    runStep: (index) => (index < wasm.bench_steps() ? wasm.bench_run_step(index, 1) : wasm.bench_run_head()),
    /** The answer for the image, computed anew: a run overwrites its input. */
    logits() {
      fill();
      wasm.bench_run(1);
      return Array.from(new Float32Array(wasm.memory.buffer, wasm.bench_logits(), classCount(model)));
    },
    /** @type {Step[]} */
    steps: Array.from({ length: wasm.bench_steps() }, (_, index) => {
      const [operator, height, width, inputs, outputs, stride, residual, thousands] = new Uint32Array(
        wasm.memory.buffer,
        wasm.bench_step_info(index),
        8,
      );
      return { operator: operators[operator], height, width, inputs, outputs, stride, residual: residual === 1, macs: thousands * 1000 };
    }),
  };
}

/**
 * How many classes the model names: the lines of its metadata entry `classes` (src/README.md).
 * @param {Uint8Array} model
 */
function classCount(model) {
  const { start, count } = entry(model, 'classes');
  return new TextDecoder().decode(model.subarray(start, start + count)).split('\n').length;
}

/**
 * Where the value of a metadata entry is.
 * @param {Uint8Array} model
 * @param {string} wanted its key
 */
function entry(model, wanted) {
  const view = new DataView(model.buffer, model.byteOffset, model.byteLength);
  const first = Number(view.getBigUint64(72, true));
  const end = first + Number(view.getBigUint64(80, true));
  for (let at = first; at < end; ) {
    const [type, keyLength, count] = [0, 4, 8].map((offset) => view.getUint32(at + offset, true));
    const key = new TextDecoder().decode(model.subarray(at + 12, at + 12 + keyLength));
    const start = at + 12 + roundUp(keyLength);
    if (key === wanted) return { start, count };
    at = start + (type === 1 ? roundUp(count + 1) : 4 * count);
  }
  throw new Error(`The model has no ${wanted}.`);
}

/** @param {number} n to a multiple of 4 */
const roundUp = (n) => Math.ceil(n / 4) * 4;

/**
 * A copy whose gate takes every image (threshold 0) or none (2): what an image costs depends on that, as a refused one is
 * tried in other orientations.
 * @param {Uint8Array} model
 * @param {number} threshold
 */
export async function withGate(model, threshold) {
  const copy = model.slice();
  new DataView(copy.buffer).setFloat32(entry(model, 'gate.threshold').start, threshold, true);
  copy.set(new Uint8Array(await crypto.subtle.digest('SHA-256', copy.subarray(64))), 24);
  return copy;
}
