/**
 * Measures a portal with a PACS: `node tests/web/portal/measure.js [INSTANCES]`. Orthanc, the gateway and the page run on
 * this machine. Prints how long a 3,000 x 3,000 image of 12 bits takes from naming its study to its result, and what memory
 * the browser holds while INSTANCES (200) of them are read.
 */
import { execFileSync } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import puppeteer from 'puppeteer-core';
import { dicomFile, encapsulated, radiograph } from '../dicom/write.js';
import { encode } from '../dicom/openjph.js';
import { FLAGS, SITE } from '../support.js';
import { startPortal } from './demo.js';

const INSTANCES = Number(process.argv[2] ?? 200);
const SIDE = 3000;
const ROUNDS = 7;
const HTJ2K = '1.2.840.10008.1.2.4.201';

// A chest as the tests draw it has no noise; a detector has some, and it decides how large the files are.
const pixels = Uint16Array.from({ length: SIDE * SIDE }, (_, i) => {
  const [x, y] = [(i % SIDE) / SIDE, Math.floor(i / SIDE) / SIDE];
  const lungs =
    Math.exp(-(((x - 0.3) / 0.13) ** 2) - ((y - 0.45) / 0.27) ** 2) + Math.exp(-(((x - 0.7) / 0.13) ** 2) - ((y - 0.45) / 0.27) ** 2);
  return 2600 - 1800 * Math.min(lungs, 1) + ((i * 2654435761) >>> 28);
});
const codestream = encode({ width: SIDE, height: SIDE, pixels, bits: 12 });
const even = codestream.length % 2 ? Buffer.concat([codestream, Buffer.alloc(1)]) : codestream;

/** @param {string} study @param {number} k @param {boolean} compressed */
function instance(study, k, compressed) {
  const elements = radiograph(
    { width: SIDE, height: SIDE, bits: 12, pixels },
    {
      '00080018': ['UI', `${study}.1.${k}`],
      '00080060': ['CS', 'DX'],
      '00185101': ['CS', 'PA'],
      '0020000d': ['UI', study],
      '0020000e': ['UI', `${study}.1`],
      '00200011': ['IS', '1'],
      '00200013': ['IS', String(k)],
    },
  );
  if (!compressed) return dicomFile(elements);
  const { '7fe00010': _, ...rest } = elements;
  return dicomFile(rest, { syntax: HTJ2K, tail: encapsulated([even]) });
}

/** Resident memory of the browser's processes in MiB. @param {number} parent */
function resident(parent) {
  const rows = execFileSync('ps', ['-eo', 'pid,ppid,rss'], { encoding: 'utf8' }).trim().split('\n').slice(1);
  const all = rows.map((row) => row.trim().split(/\s+/).map(Number));
  const ours = new Set([parent]);
  for (let size = 0; size !== ours.size; ) {
    size = ours.size;
    for (const [pid, above] of all) if (ours.has(above)) ours.add(pid);
  }
  return all.reduce((sum, [pid, , kilobytes]) => sum + (ours.has(pid) ? kilobytes / 1024 : 0), 0);
}

const portal = await startPortal({ site: SITE });
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await puppeteer.launch({ executablePath, args: FLAGS, protocolTimeout: 600_000 });
try {
  // A page that nobody inspects: where its network is watched, the browser copies all that arrives once more.
  await (await browser.target().createCDPSession()).send('Target.createTarget', { url: portal.url });
  const target = await browser.waitForTarget((each) => each.url() === portal.url);
  const session = await target.createCDPSession();
  /** @param {string} expression */
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  while (!(await evaluate(`document.querySelector('#answer')?.textContent.includes('images read')`))) await setTimeout(100); // warm
  const root = portal.study.slice(0, portal.study.lastIndexOf('/'));

  /** Milliseconds from naming the study to each of its results. @param {string} study @param {number} count @returns {Promise<number[]>} */
  const read = (study, count) =>
    evaluate(`new Promise((resolve) => {
      const lens = document.querySelector('cxr-lens');
      const start = performance.now();
      const times = [];
      const listener = () => {
        times.push(performance.now() - start);
        if (times.length < ${count}) return;
        lens.removeEventListener('cxr-result', listener);
        resolve(times);
      };
      lens.addEventListener('cxr-result', listener);
      lens.study = '${root}/${study}';
    })`);

  for (const compressed of [false, true]) {
    const times = [];
    for (let round = 0; round < ROUNDS; round++) {
      const study = `2.25.7${Number(compressed)}${round}`;
      const file = instance(study, 1, compressed);
      await portal.pacs.store([file]);
      times.push((await read(study, 1))[0]);
      if (round === 0) console.log(`${compressed ? 'HTJ2K' : 'uncompressed'}: ${(file.length / 2 ** 20).toFixed(1)} MiB`);
    }
    console.log(`  from study to result, ms: ${times.map(Math.round).join(' ')}`);
  }

  const study = '2.25.79';
  for (let k = 1; k <= INSTANCES; k++) await portal.pacs.store([instance(study, k, true)]);
  const pid = Number(browser.process()?.pid);
  const memory = [resident(pid)];
  const timer = setInterval(() => memory.push(resident(pid)), 1000);
  const times = await read(study, INSTANCES);
  clearInterval(timer);
  const quarter = Math.ceil(memory.length / 4);
  const [first, last] = [memory.slice(0, quarter), memory.slice(-quarter)].map((part) => Math.round(Math.max(...part)));
  console.log(
    `${INSTANCES} instances in ${(times[times.length - 1] / 1000).toFixed(1)} s, the first result after ${Math.round(times[0])} ms`,
  );
  console.log(`  memory of the browser, MiB: ${first} at most in the first quarter, ${last} in the last`);
} finally {
  await browser.close();
  await portal.stop();
}
