// layers.js - where the network's time goes, step by step, as it runs in order: a step finds its input in the caches just as
// the step before left it.
import { levels } from './contenders.js';
import { openEngine } from './engine.js';
import { read } from '../place/files.js';

/**
 * @typedef {import('./engine.js').Step & { us: number }} TimedStep
 * @param {{ build: import('./engine.js').Build, model: string, rounds: number }} options model: its path
 * @returns {Promise<TimedStep[]>} mean microseconds over the quieter half of the rounds; the last entry is the head
 */
export async function measureLayers({ build, model, rounds }) {
  const engine = await openEngine(build, await read(model), levels());
  const count = engine.steps.length + 1;
  const start = performance.now();
  while (performance.now() - start < 500) engine.run(1);
  /** @type {{ total: number, times: number[] }[]} */
  const passes = [];
  for (let round = 0; round < rounds; round++) {
    const marks = [performance.now()];
    for (let index = 0; index < count; index++) {
      engine.runStep(index);
      marks.push(performance.now());
    }
    passes.push({ total: marks[count] - marks[0], times: marks.slice(1).map((mark, i) => mark - marks[i]) });
  }
  // Means, because a page's clock ticks in 5 microseconds, which only averaging refines.
  const quiet = passes.sort((a, b) => a.total - b.total).slice(0, Math.ceil(rounds / 2));
  const features = engine.steps[count - 2];
  const head = { ...features, operator: 'head', inputs: features.outputs, outputs: 0, stride: 1, residual: false, macs: 0 };
  return [...engine.steps, head].map((step, index) => ({
    ...step,
    us: (1000 * quiet.reduce((sum, { times }) => sum + times[index], 0)) / quiet.length,
  }));
}
