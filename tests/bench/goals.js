// goals.js - compares the project's goals with the measured figures, in the browser if there is one.
import { rate } from './report.js';

/** @typedef {{ what: string, goal: string, measured: string, met: boolean }} Goal */

/**
 * @param {any} results
 * @returns {Goal[]}
 */
export function goals({ places: [place], wire }) {
  /** @type {Goal[]} */
  const list = [];
  /** @param {string} what @param {number|undefined} value @param {number} bound @param {string} unit */
  const atLeast = (what, value, bound, unit) =>
    value !== undefined && list.push({ what, goal: `at least ${bound}${unit}`, measured: `${round(value)}${unit}`, met: value >= bound });
  /** @param {string} what @param {number|undefined} value @param {number} bound @param {string} unit */
  const atMost = (what, value, bound, unit) =>
    value !== undefined && list.push({ what, goal: `at most ${bound}${unit}`, measured: `${round(value)}${unit}`, met: value <= bound });

  const { rows } = place.speed;
  const row = (/** @type {string} */ name) => rows.find((/** @type {any} */ r) => r.name === name);
  /** @param {string} peer @param {string} own */
  const times = (peer, own) => (row(peer) && row(own) ? row(peer).median / row(own).median : undefined);
  atLeast('relaxed module, faster than tfjs-backend-wasm', times('tfjs-backend-wasm', 'CXR Lens relaxed'), 3, ' times');
  atLeast('relaxed module, faster than ONNX Runtime Web f32', times('ONNX Runtime Web f32', 'CXR Lens relaxed'), 4.5, ' times');
  atLeast('relaxed module, faster than ONNX Runtime Web int8', times('ONNX Runtime Web int8', 'CXR Lens relaxed'), 7, ' times');
  atLeast('SIMD128 module, faster than tfjs-backend-wasm', times('tfjs-backend-wasm', 'CXR Lens simd'), 1.7, ' times');
  atLeast('SIMD128 module, faster than ONNX Runtime Web f32', times('ONNX Runtime Web f32', 'CXR Lens simd'), 2.5, ' times');

  for (const { build, steps } of place.layers) shares(build, steps, rows, atLeast, atMost);

  for (const { build, side, median } of place.canonical)
    if (build !== 'scalar') atMost(`canonical step without its resize, ${side} x ${side}, ${build} module`, median, 3, ' ms');

  const cold = place.cold.find((/** @type {any} */ { name }) => name === 'CXR Lens');
  atMost('create and first answer, files local', cold?.ms, 60, ' ms');
  const kib = (/** @type {string} */ name) => wire.find((/** @type {any} */ w) => w.name === name)?.gzip / 1024;
  atMost('wasm and JavaScript, gzip', kib('CXR Lens'), 60, ' KiB');
  const page = wire.find((/** @type {any} */ w) => w.name === 'CXR Lens, the whole page with weights');
  atMost('the whole page with weights, the better of gzip and brotli', page && Math.min(page.gzip, page.brotli) / 2 ** 20, 2.5, ' MiB');
  const ofSide2048 = (/** @type {any[]} */ list) => list?.find(({ side, refused }) => side === 2048 && !refused);
  const memory = ofSide2048(place.memory);
  atMost('linear memory with a 2048 x 2048 image', memory && memory.bytes / 2 ** 20, 24, ' MiB');
  atMost('file to verdict, 2048 x 2048 JPEG', ofSide2048(place.files)?.total.median, 60, ' ms');
  atMost('drop to verdict, 3000 x 3000 DICOM of 12 bits', place.drop?.total.median, 400, ' ms');
  atMost('meanwhile the page stands still at a stretch', place.drop?.freeze.median, 100, ' ms');
  const [one, two] = [1, 2].map((workers) => place.batches?.find((/** @type {any} */ b) => b.side === 2048 && b.workers === workers));
  atLeast('two workers against one', one && two.perSecond / one.perSecond, 1.8, ' times');
  return list;
}

/**
 * Goals for the steps of the network.
 * @param {string} build
 * @param {any[]} steps
 * @param {any[]} rows
 * @param {(what: string, value: number|undefined, bound: number, unit: string) => void} atLeast
 * @param {(what: string, value: number|undefined, bound: number, unit: string) => void} atMost
 */
function shares(build, steps, rows, atLeast, atMost) {
  const total = steps.reduce((sum, { us }) => sum + us, 0);
  /** @param {any[]} own */
  const speed = (own) => own.reduce((sum, { macs }) => sum + macs, 0) / own.reduce((sum, { us }) => sum + us, 0) / 1000;
  const products = rows.filter(({ name }) => name.startsWith('matrix product') && !(build === 'simd' && name.includes('relaxed')));
  const wide = steps.filter(({ operator, inputs, outputs }) => operator === 'pointwise' && inputs >= 64 && outputs >= 64);
  atLeast(
    `${build}: 1x1 steps from and to at least 64 channels, of the matrix product in L1`,
    (100 * speed(wide)) / Math.max(...products.map(rate)),
    85,
    '%',
  );
  const depthwise = steps.filter(({ operator }) => operator === 'depthwise');
  const i16 = rows.find(({ name }) => name.startsWith('i16x8'));
  atLeast(`${build}: depthwise, of the i16 peak`, (100 * speed(depthwise)) / rate(i16), 35, '%');
  const rest = steps.filter(({ operator }) => operator !== 'pointwise' && operator !== 'depthwise');
  atMost(`${build}: stem and head, of all`, (100 * Math.max(...rest.map(({ us }) => us))) / total, 8, '%');
}

/** @param {number} value */
const round = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2));
