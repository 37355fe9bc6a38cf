// speed.js - compares all contenders: they are loaded into one process or page and timed in turns, so that other load on the
// machine affects all alike.
import { contenders } from './contenders.js';
import { inNode } from '../place/files.js';
import { summary } from '../stats.js';

/**
 * @typedef {ReturnType<typeof summary> & { name: string, group: string, numbers: string, macs: number, runs: number,
 *   logits: number[]|null }} Row milliseconds of one run; runs: how many make one sample
 */

const sampleMs = 25; // long enough for clocks that tick ten times a millisecond

/** @param {() => void|Promise<void>} work */
async function time(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Gives the page's other work its turn. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 0));

/**
 * @param {{ rounds: number, warmUpMs: number, without?: string[] }} options without: names to leave out
 * @returns {Promise<{ rows: Row[], missing: { name: string, reason: string }[] }>}
 */
export async function measureSpeed({ rounds, warmUpMs, without = [] }) {
  const opened = [];
  const missing = [];
  for (const contender of contenders.filter(({ name }) => !without.includes(name))) {
    if (contender.browserOnly && inNode) continue;
    try {
      opened.push(await prepare(contender, warmUpMs));
    } catch (error) {
      missing.push({ name: contender.name, reason: String(error) });
    }
  }
  for (let round = 0; round < rounds; round++)
    for (let turn = 0; turn < opened.length; turn++) {
      // Everybody comes after everybody else once in a while. One run that does not count brings the caches back.
      const { runner, runs, samples } = opened[(turn + round) % opened.length];
      await pause();
      await runner.run(1);
      samples.push((await time(() => runner.run(runs))) / runs);
    }
  const rows = [];
  for (const {
    contender: { name, group, numbers },
    runner,
    runs,
    macs,
    samples,
  } of opened)
    rows.push({ name, group, numbers, macs, runs, ...summary(samples), logits: runner.logits ? await runner.logits() : null });
  return { rows, missing };
}

/**
 * Opens a contender and runs it until its code is compiled for good.
 * @param {import('./contenders.js').Contender} contender
 * @param {number} warmUpMs
 */
async function prepare(contender, warmUpMs) {
  const runner = /** @type {import('./contenders.js').Runner & { steps?: import('./engine.js').Step[] }} */ (await contender.open());
  const start = performance.now();
  let last = 0;
  do last = await time(() => runner.run(1));
  while (performance.now() - start < warmUpMs);
  const runs = Math.max(2, Math.ceil(sampleMs / last));
  const macs = contender.macs || (runner.steps ?? []).reduce((sum, step) => sum + step.macs, 0);
  return { contender, runner, runs, macs, samples: /** @type {number[]} */ ([]) };
}
