/**
 * Reads mutated DICOM files and writes reports of those that can be read: `node tests/soak/dicom.js [--minutes N] [--files N]
 * [--seed N]`, or with FILE..., those files. The reader and the writers (SR, Segmentation, FHIR) are those of build/web. A
 * finding is an error without a code, more than 5 seconds of work, or memory that grows; its file is saved in build/soak/.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { completed } from '../../web/dicom/classifier-job.js';
import { answer, looksLikeDicom, openDicom, toGray8, web } from '../web/dicom/module.js';
import { randomSource } from '../web/dicom/write.js';
import { corpus, mutant } from './mutants.js';

const FOLDER = 'build/soak';
/** The work that a file may make, and the time after which a thread that does nothing is dead. */
const LIMIT_MS = 5000;
const SILENCE_MS = 120_000;
/** Files between two measurements of the memory that stays in use, and the growth that is a finding. */
const ROUND = 2000;
/** Of the memory in use; the 50 MiB of a codec's last instance may or may not be collected yet. */
const MAX_GROWTH = (16 + 52) * 2 ** 20;

// ---- one file, in a thread of its own --------------------------------------------------------------------

/** How reading ends; throws where that is a finding. @param {Uint8Array} bytes @returns {Promise<string>} */
async function attempt(bytes) {
  looksLikeDicom(bytes.subarray(0, 1024));
  const outcome = await coded(() => readAll(bytes));
  const { identityOf } = await import(new URL('dicom.js', web).href);
  const identity = await coded(async () => identityOf(bytes));
  const job = await coded(async () => answer({ type: 'job', source: bytes }));
  if (job.value) await report(job.value, identity.value ?? {});
  return `${outcome.code} ${identity.code} ${job.code}`;
}

/** Every picture of the first frames. @param {Uint8Array} bytes */
async function readAll(bytes) {
  const dicom = await openDicom(bytes);
  for (let frame = 0; frame < Math.min(dicom.frames, 3); frame++) {
    dicom.findingsOf(frame);
    const windows = dicom.windowsOf(frame).length;
    for (let window = 0; window < Math.max(Math.min(windows, 3), 1); window++) {
      const shades = toGray8(await dicom.frame(frame, { window }));
      if (shades.length !== dicom.layout.width * dicom.layout.height) throw new Error('a picture of another size');
    }
  }
}

/** What is done, or the code of its error; an error without one goes on. @param {() => Promise<any>} act @returns {Promise<{ code: string, value?: any }>} */
async function coded(act) {
  try {
    return { code: 'read', value: await act() };
  } catch (error) {
    const { name, code, message } = /** @type {any} */ (error);
    if (name !== 'DicomError' || !/^(dicom|image)-[a-z-]+$/.test(code) || !/^[A-Z0-9].*\.$/s.test(message)) throw error;
    return { code };
  }
}

/** A result with maps for all reports, and the modules that write them. */
async function openWriters() {
  const [{ createClassifier }, sr, overlay, fhir] = await Promise.all(
    ['classifier.js', 'dicom-sr.js', 'dicom-overlay.js', 'fhir.js'].map((name) => import(new URL(name, web).href)),
  );
  const cxr = await createClassifier({ workers: 0 });
  const result = await cxr.classify(readFileSync('web/samples/synthetic-covid-19-1.jpg'), { maps: true });
  cxr.dispose();
  return { result, thresholds: cxr.info.model, ...sr, ...overlay, ...fhir };
}

/** @type {ReturnType<typeof openWriters> | undefined} */
let writers;

/** Writes all reports of a file, and reads them. @param {any} job @param {any} identity */
async function report(job, identity) {
  writers ??= openWriters();
  const { result: plain, thresholds, toDicomSr, toDicomSeg, toFhir } = await writers;
  const result = completed(plain, job);
  JSON.stringify(toFhir(result, { issued: '2026-11-24T08:01:02Z' }));
  for (const write of [toDicomSr, toDicomSeg]) {
    let bytes;
    try {
      bytes = write(result, { ...identity, date: new Date(0), thresholds });
    } catch (error) {
      if (error instanceof TypeError && /^The .*\.$/s.test(error.message)) continue; // no UIDs, or a text that is too long
      throw error;
    }
    const { code } = await coded(() => openDicom(bytes));
    // An SR has no pixels, and a Segmentation such of one bit.
    if (code !== (write === toDicomSr ? 'dicom-no-image' : 'dicom-unsupported')) throw new Error(`the report reads as ${code}`);
  }
}

/** Bytes in use once all that can be collected is: a codec's memory goes only after its last promise. */
async function inUse() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  for (let turn = 0; turn < 3; turn++) {
    await setImmediate();
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (!isMainThread)
  parentPort?.on('message', async (bytes) => {
    const reply = (/** @type {Reply} */ message) => parentPort?.postMessage(message);
    if (bytes === 'memory') return reply({ memory: await inUse() });
    try {
      reply({ outcome: await attempt(bytes) });
    } catch (error) {
      reply({ failure: String(/** @type {any} */ (error)?.stack ?? error) });
    }
  });

// ---- many files ------------------------------------------------------------------------------------------

/** @typedef {{ outcome?: string, failure?: string, memory?: number, dead?: boolean }} Reply dead: the thread has to go */

/** Asks the thread; one that works for too long fails. @param {Worker} thread @param {Uint8Array | 'memory'} what @returns {Promise<Reply>} */
function ask(thread, what) {
  return new Promise((resolve) => {
    const start = { cpu: process.cpuUsage(), ms: Date.now() };
    const listeners = {
      message: (/** @type {Reply} */ reply) => stop(reply),
      error: (/** @type {Error} */ error) => stop({ failure: String(error.stack), dead: true }),
      exit: (/** @type {number} */ code) => stop({ failure: `exit code ${code}`, dead: true }),
    };
    const stop = (/** @type {Reply} */ reply) => {
      clearInterval(timer);
      for (const [event, listener] of Object.entries(listeners)) thread.off(event, listener);
      resolve(reply);
    };
    const timer = setInterval(() => {
      const { user, system } = process.cpuUsage(start.cpu); // on a busy machine the clock alone would tell of hangs
      if ((user + system) / 1000 > LIMIT_MS) stop({ failure: `more than ${LIMIT_MS} ms of work`, dead: true });
      if (Date.now() - start.ms > SILENCE_MS) stop({ failure: 'no answer', dead: true });
    }, 100);
    for (const [event, listener] of Object.entries(listeners)) thread.on(event, listener);
    thread.postMessage(what);
  });
}

/** Counts failures by their cause and saves the first file of each. */
class Findings {
  /** @type {Map<string, number>} */
  #counts = new Map();

  /** @param {string} failure @param {Uint8Array} bytes */
  add(failure, bytes) {
    const cause = failure.split('\n').slice(0, 2).join('\n').replace(/\d+/g, 'N');
    const before = this.#counts.get(cause) ?? 0;
    this.#counts.set(cause, before + 1);
    if (before) return;
    mkdirSync(FOLDER, { recursive: true });
    const path = `${FOLDER}/dicom-${Date.now()}-${this.#counts.size}.dcm`;
    writeFileSync(path, bytes);
    writeFileSync(`${path}.txt`, failure);
    console.error(`finding: ${path}: ${failure}`);
  }

  get causes() {
    return this.#counts.size;
  }
}

/** @param {{ minutes: number, most: number, seed: number }} limits */
async function soak({ minutes, most, seed }) {
  const start = () => new Worker(new URL(import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 1024 } });
  const [files, random, findings] = [corpus(), randomSource(seed), new Findings()];
  /** @type {Map<string, number>} */
  const outcomes = new Map();
  let [thread, count, first] = [start(), 0, 0];
  for (const end = Date.now() + minutes * 60_000; count < most && Date.now() < end; count++) {
    const bytes = mutant(files, random);
    const { outcome = 'finding', failure, dead } = await ask(thread, bytes);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (failure) findings.add(failure, bytes);
    if (dead) {
      await thread.terminate();
      thread = start();
      first = 0;
    }
    if (count % ROUND !== ROUND - 1) continue;
    const { memory = 0 } = await ask(thread, 'memory');
    first ||= memory;
    if (memory - first > MAX_GROWTH) findings.add(`memory in use grew by ${Math.round((memory - first) / 2 ** 20)} MiB`, bytes);
  }
  await thread.terminate();
  console.log(`${count} mutants of ${files.length} files with seed ${seed}: ${outcomes.size} outcomes, ${findings.causes} findings`);
  for (const [outcome, n] of [...outcomes].sort((a, b) => b[1] - a[1]).slice(0, 12)) console.log(`  ${n} ${outcome}`);
  if (findings.causes) process.exitCode = 1;
}

if (isMainThread) {
  const { values, positionals } = parseArgs({
    options: { minutes: { type: 'string', default: '1' }, files: { type: 'string' }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  for (const path of positionals) console.log(`${path}: ${await attempt(readFileSync(path))}`);
  if (positionals.length === 0)
    await soak({ minutes: Number(values.minutes), most: Number(values.files ?? Infinity), seed: Number(values.seed ?? Date.now() % 1e9) });
}
