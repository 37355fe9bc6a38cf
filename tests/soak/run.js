/**
 * Looks for faults for a long time: `make soak MINUTES=n`. The minutes are shared out among the parts, which run one after the
 * other: libFuzzer on images (with the canonical step) and on model files, mutated DICOM files, and the page in Chromium.
 * Findings are saved in build/soak/; the exit status is 1 if there is one. `node tests/soak/run.js PART...` runs some parts only.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';

const FOLDER = 'build/soak';
const minutes = Number(process.env.MINUTES || 60);
if (!(minutes > 0)) throw new Error('MINUTES is to be a number above 0.');

/** @param {string} name of the program @param {number} minutes @returns {string[]} */
function fuzzer(name, minutes) {
  const corpus = `${FOLDER}/corpus-${name}`;
  mkdirSync(corpus, { recursive: true });
  const options = ['-timeout=20', '-rss_limit_mb=3072', '-print_final_stats=1', `-artifact_prefix=${FOLDER}/${name}-`];
  const folders = [corpus, `tests/src/fuzz/seeds/${name}`].filter(existsSync);
  return [`build/fuzz/${name}`, `-max_total_time=${Math.ceil(minutes * 60)}`, ...options, ...folders];
}

/** @type {Record<string, (minutes: number) => string[]>} */
const PARTS = {
  image: (minutes) => fuzzer('fuzz_image', minutes),
  model: (minutes) => fuzzer('fuzz_model', minutes),
  dicom: (minutes) => [process.execPath, 'tests/soak/dicom.js', '--minutes', String(minutes)],
  page: () => [process.execPath, '--test', '--test-reporter=spec', 'tests/soak/page.js'],
};

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
mkdirSync(FOLDER, { recursive: true });
let failed = 0;
for (const part of chosen) {
  const share = minutes / chosen.length;
  const [program, ...args] = PARTS[part](share);
  console.log(`\n${part}: ${share.toFixed(1)} minutes`);
  const { status } = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, MINUTES: String(share) } });
  if (status !== 0) failed++;
  console.log(`${part}: ${status === 0 ? 'nothing found' : `FOUND something (exit status ${status}): see above and ${FOLDER}/`}`);
}
process.exitCode = failed ? 1 : 0;
