// wasm-codec.js - runs a codec that is a WebAssembly module with Emscripten's glue: a fresh instance for each
// frame, for one that met damaged data may be in no known state.
import { DicomError } from '../error.js';

/** @type {Map<string, Promise<WebAssembly.Module>>} */
const modules = new Map();

/**
 * @param {(options: object) => Promise<any>} factory the glue
 * @param {URL} url of the module
 * @returns {Promise<any>} the codec's classes
 */
export async function instantiate(factory, url) {
  const module = await compiled(url);
  /** @type {(reason: unknown) => void} */
  let fail = () => {};
  const failed = new Promise((_, reject) => {
    fail = reject;
  });
  const ready = factory({
    instantiateWasm(/** @type {WebAssembly.Imports} */ imports, /** @type {(instance: WebAssembly.Instance) => void} */ receive) {
      WebAssembly.instantiate(module, imports).then(receive, fail);
      return {};
    },
    // Codecs comment on damaged data; the error that follows says it.
    print() {},
    printErr() {},
  });
  return Promise.race([ready, failed]);
}

/** @param {URL} url */
function compiled(url) {
  const known = modules.get(url.href);
  if (known) return known;
  const module = load(url)
    .then((bytes) => WebAssembly.compile(bytes))
    .catch((cause) => {
      throw new DicomError('dicom-codec', 'The decoder could not be loaded.', { cause });
    });
  modules.set(url.href, module);
  // A failed download is tried again next time.
  module.catch(() => modules.delete(url.href));
  return module;
}

/** @param {URL} url @returns {Promise<BufferSource>} */
async function load(url) {
  // Only Node opens files by URL; an import of its modules would stop bundlers for browsers.
  const files = url.protocol === 'file:' && /** @type {any} */ (globalThis).process?.getBuiltinModule?.('node:fs');
  if (files) return files.promises.readFile(url);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response.arrayBuffer();
}

/**
 * Hands bytes to a decoder of the codec and gets its samples, copied out of its memory.
 * @param {any} decoder
 * @param {Uint8Array} bytes
 * @param {import('../pixel-data.js').Expected} expected
 * @returns {{ data: Uint8Array|Uint16Array, precision: number, signed: boolean }}
 */
export function run(decoder, bytes, { width, height, samples, allocated }) {
  decoder.getEncodedBuffer(bytes.length).set(bytes);
  try {
    decoder.decode();
  } catch (cause) {
    // C++ exceptions arrive as numbers.
    throw new Error('the decoder refuses its data', { cause });
  }
  const info = decoder.getFrameInfo();
  if (info.width !== width || info.height !== height || info.componentCount !== samples)
    throw new Error('its size is not what the file announces');
  const wide = info.bitsPerSample > 8;
  if (info.bitsPerSample > allocated) throw new Error(`${info.bitsPerSample} bits are not possible here`);
  const decoded = decoder.getDecodedBuffer();
  const count = width * height * samples;
  if (decoded.length < count * (wide ? 2 : 1)) throw new Error('its data ends too early');
  const copy = Uint8Array.from(decoded.subarray(0, count * (wide ? 2 : 1))); // what the glue has clamps what is written to it
  return {
    data: wide ? new Uint16Array(copy.buffer) : copy,
    precision: info.bitsPerSample,
    signed: info.isSigned === true,
  };
}
