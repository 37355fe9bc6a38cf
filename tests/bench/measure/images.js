// images.js - whole images through the public API: from the bytes of a JPEG file to the verdict, what that costs by size,
// and how many a second one and two workers read.
import { openCanonical, withGate } from './engine.js';
import { read, urlOf } from '../place/files.js';
import { median, summary } from '../stats.js';

const web = (/** @type {string} */ file) => import(urlOf(`build/web/${file}`));

/** As a browser hands a file over: with a name and a type. @param {number} side @returns {Promise<File>} */
const picture = async (side) =>
  new File([/** @type {any} */ (await read(`build/bench/${side}.jpg`))], `${side}.jpg`, { type: 'image/jpeg' });

/**
 * @param {number} workers
 * @param {number} threshold of the gate: 0 takes every image, 2 none
 */
async function classifierWith(workers, threshold) {
  const { createClassifier } = await web('classifier.js');
  const model = await withGate(await read('model/cxrlens.cxrm'), threshold);
  return createClassifier({ workers, model, modelSha256: null });
}

/**
 * Time from a file to its verdict, in turns over sizes; one worker.
 * @param {{ sides: number[], rounds: number }} options
 */
export async function measureFiles({ sides, rounds }) {
  const accepting = await classifierWith(1, 0);
  const refusing = await classifierWith(1, 2);
  const cases = [];
  for (const side of sides) cases.push({ side, refused: false, cxr: accepting, file: await picture(side) });
  cases.push({ side: sides[0], refused: true, cxr: refusing, file: await picture(sides[0]) });
  const samples = cases.map(() => /** @type {Record<string, number>[]} */ ([]));
  for (let round = -3; round < rounds; round++)
    for (const [index, { cxr, file }] of cases.entries()) {
      const start = performance.now();
      const { timings } = await cxr.classify(file);
      // The first rounds warm up.
      if (round >= 0) samples[index].push({ total: performance.now() - start, ...timings });
    }
  const { build } = accepting.info;
  accepting.dispose();
  refusing.dispose();
  return cases.map(({ side, refused, file }, index) => {
    /** @param {string} key */
    const of = (key) => samples[index].map((sample) => sample[key]);
    return {
      side,
      refused,
      build,
      bytes: file.size,
      total: summary(of('total')),
      decode: median(of('decode_ms')),
      preprocess: median(of('preprocess_ms')),
      network: median(of('network_ms')),
    };
  });
}

/**
 * Images a second, in turns over sizes and numbers of workers.
 * @param {{ sides: number[], workers: number[], count: number, rounds: number }} options count: images of a batch
 */
export async function measureBatches({ sides, workers, count, rounds }) {
  const cases = [];
  for (const side of sides)
    for (const number of workers)
      cases.push({ side, number, file: await picture(side), cxr: await classifierWith(number, 0), rates: /** @type {number[]} */ ([]) });
  for (let round = -1; round < rounds; round++)
    for (const { cxr, file, rates } of cases) {
      const start = performance.now();
      await Promise.all(Array.from({ length: count }, () => cxr.classify(file)));
      if (round >= 0) rates.push((1000 * count) / (performance.now() - start));
    }
  for (const { cxr } of cases) cxr.dispose();
  return cases.map(({ side, number, rates }) => ({ side, workers: number, count, perSecond: median(rates), best: Math.max(...rates) }));
}

/**
 * Time of the canonical step, all but the resize, of an 8-bit image.
 * @param {{ side: number, builds: import('./engine.js').Build[], rounds: number }} options
 */
export async function measureCanonical({ side, builds, rounds }) {
  const file = await read(`build/bench/${side}.jpg`);
  const cases = [];
  for (const build of builds) cases.push({ build, run: await openCanonical(build, file), samples: /** @type {number[]} */ ([]) });
  for (let round = -20; round < rounds; round++)
    for (const { run, samples } of cases) {
      const start = performance.now();
      run();
      if (round >= 0) samples.push(performance.now() - start);
    }
  return cases.map(({ build, samples }) => ({ build, side, ...summary(samples) }));
}

/**
 * Linear memory of one engine, in this thread: after loading, and after the largest image of each size so far.
 * @param {{ sides: number[] }} options smallest first
 */
export async function measureMemory({ sides }) {
  const [{ Engine }, { pickBuild }] = await Promise.all(['wasm', 'loader'].map((name) => import(urlOf(`web/engine/${name}.js`))));
  const model = await read('model/cxrlens.cxrm');
  const engine = await Engine.create(
    await WebAssembly.compile(/** @type {any} */ (await read(`build/web/cxrlens-${pickBuild()}.wasm`))),
    model,
  );
  const after = [{ side: 0, bytes: engine.memoryBytes }];
  for (const side of sides) {
    await engine.classify({ bytes: await read(`build/bench/${side}.jpg`) });
    after.push({ side, bytes: engine.memoryBytes });
  }
  return after;
}
