// wire.js - bytes that a browser downloads before the first answer, as a static host compresses them.
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { reachable } from '../../web/reachable.js';

const packages = 'build/bench/node_modules';

/** What each needs at run time, the network's weights apart. @type {Record<string, string[]>} */
const files = {
  'CXR Lens': [...reachable('classifier.js'), 'worker.js', 'cxrlens-relaxed.wasm'].map((name) => `build/web/${name}`),
  'CXR Lens weights': ['build/web/cxrlens.cxrm'],
  'tfjs-backend-wasm': [
    `${packages}/@tensorflow/tfjs-core/dist/tf-core.min.js`,
    `${packages}/@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js`,
    `${packages}/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm`,
  ],
  'ONNX Runtime Web': ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'].map(
    (name) => `${packages}/onnxruntime-web/dist/${name}`,
  ),
  'LiteRT.js': [
    `${packages}/@litertjs/core/dist/index.js`,
    `${packages}/@litertjs/wasm-utils/dist/index.js`,
    `${packages}/@litertjs/core/wasm/litert_wasm_internal.js`,
    `${packages}/@litertjs/core/wasm/litert_wasm_internal.wasm`,
  ],
};

const [gzipped, brotlied] = [promisify(gzip), promisify(brotliCompress)];

/**
 * @param {string[]} paths
 * @returns {Promise<{ raw: number, gzip: number, brotli: number }>} each file compressed by itself
 */
export async function compressed(paths) {
  const sizes = await Promise.all(
    paths.map(async (path) => {
      const bytes = readFileSync(new URL(`../../../${path}`, import.meta.url));
      const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
      return [bytes.length, (await gzipped(bytes, { level: 9 })).length, (await brotlied(bytes, { params })).length];
    }),
  );
  const [raw, gzip, brotli] = [0, 1, 2].map((column) => sizes.reduce((sum, row) => sum + row[column], 0));
  return { raw, gzip, brotli };
}

/** @param {string[]} page paths of what the page itself loads, weights included */
export async function measureWire(page) {
  const rows = [];
  for (const [name, paths] of Object.entries({ ...files, 'CXR Lens, the whole page with weights': page }))
    if (paths.length) rows.push({ name, ...(await compressed(paths)) });
  return rows;
}
