// cold.js - from nothing to the first answer, once per process or page: scripts, module and model are read from local files,
// the engine is created, one image is classified.
import { openLiteRt, openOnnxRuntime, openTensorFlow } from './contenders.js';
import { inNode, urlOf } from '../place/files.js';
import { image, side } from '../network/network.js';

/** @typedef {{ ms: number, linear: number|null, rss: number|null }} Cold milliseconds, bytes of linear memory, bytes resident */

/** What a decoder would give us; the peers take image() as it is. */
const pixels = Uint16Array.from(image(), (level) => level * 255);

/** Before the clock starts: a browser that has opened a page starts a process for the next. */
const settledMs = 1500;

const start = {
  'CXR Lens': async (/** @type {string|null} */ modelSha256) => {
    const { createClassifier } = await import(urlOf('build/web/classifier.js'));
    const cxr = await createClassifier({ modelUrl: urlOf('build/bench/accepting.cxrm'), modelSha256 });
    return cxr.classify({ pixels, width: side, height: side, bits: 8 });
  },
  'tfjs-backend-wasm': async () => (await openTensorFlow()).run(1),
  'ONNX Runtime Web f32': async () => (await openOnnxRuntime('mobilenetv2-f32.onnx')).run(1),
  'ONNX Runtime Web int8': async () => (await openOnnxRuntime('mobilenetv2-int8.onnx')).run(1),
  'LiteRT.js f32': async () => (await openLiteRt('mobilenetv2-f32.tflite')).run(1),
  'LiteRT.js int8': async () => (await openLiteRt('mobilenetv2-int8.tflite')).run(1),
  nothing: async () => {},
};

/**
 * @param {keyof typeof start} name
 * @param {string|null} modelSha256 what our model has to hash to, as a published one's users know it
 * @returns {Promise<Cold>}
 */
export async function coldStart(name, modelSha256) {
  image(); // draws its random numbers before the clock starts
  await new Promise((resolve) => setTimeout(resolve, settledMs));
  const memories = watchMemories();
  const before = performance.now();
  await start[name](modelSha256);
  const ms = performance.now() - before;
  const linear = memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
  return { ms, linear: linear || null, rss: inNode ? process.resourceUsage().maxRSS * 1024 : null };
}

/**
 * Notes the linear memories of this thread's modules, wherever they are made.
 * @returns {WebAssembly.Memory[]}
 */
function watchMemories() {
  /** @type {WebAssembly.Memory[]} */
  const memories = [];
  /** @param {object} exports */
  const note = (exports) => {
    for (const value of Object.values(exports)) if (value instanceof WebAssembly.Memory) memories.push(value);
  };
  for (const name of /** @type {const} */ (['instantiate', 'instantiateStreaming'])) {
    const original = /** @type {any} */ (WebAssembly[name]);
    if (!original) continue;
    /** @type {any} */ (WebAssembly)[name] = async (/** @type {any} */ source, /** @type {any} */ imports) => {
      const result = await original(source, imports);
      note((result.instance ?? result).exports);
      for (const part of Object.values(imports ?? {})) note(part);
      return result;
    };
  }
  return memories;
}
