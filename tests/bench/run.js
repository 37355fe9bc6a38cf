// run.js - the benchmark: `node tests/bench/run.js [--quick] [--readme]`.
//
// Measures everything in Node and in headless Chromium and writes build/bench/results.json and results.md. --quick: few
// repetitions, to see that it works. --readme: measures nothing, prints the README's table from the last results.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { dicomFile, radiograph } from '../web/dicom/write.js';
import { withGate } from './measure/engine.js';
import { read } from './place/files.js';
import { writeModels } from './network/models.js';
import { openChromium, openNode } from './place/places.js';
import { readmeTable, report } from './report.js';
import { median } from './stats.js';
import { measureWire } from './measure/wire.js';

/** @typedef {import('./place/places.js').Place} Place */

const folder = new URL('../../build/bench/', import.meta.url);
const options = new Set(process.argv.slice(2));
const quick = options.has('--quick');
const hasModel = existsSync(new URL('../../model/cxrlens.cxrm', import.meta.url));

/** @param {string} text */
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)}  ${text}`);

/** Beyond this the machine is not idle. */
const MAX_LOAD = 0.5;

/** The load average of a minute, where the system tells it. */
const load = () => (existsSync('/proc/loadavg') ? Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]) : null);

/** Waits, but not for ever, until what has just ended, such as the build, no longer counts as load. */
async function rest() {
  const end = Date.now() + 180_000;
  if ((load() ?? 0) > MAX_LOAD) say(`The load is ${load()}: waiting until it is ${MAX_LOAD}, for 3 minutes at most.`);
  while ((load() ?? 0) > MAX_LOAD && Date.now() < end) await setTimeout(1000);
  if ((load() ?? 0) > MAX_LOAD) say(`The machine is not idle (load ${load()}): do not trust these figures.`);
}

/** What the figures were measured on. */
function machine() {
  const [cpu] = cpus();
  const flags = existsSync('/proc/cpuinfo') ? (/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].split(' ') ?? []) : [];
  const vectors = ['avx2', 'avx_vnni', 'avx512_vnni'].filter((flag) => flags.includes(flag));
  return {
    date: new Date().toISOString(),
    cpu: cpu.model.trim(),
    cores: cpus().length,
    vectors,
    memory: totalmem(),
    system: `${type()} ${release()}`,
    load: load(),
  };
}

/** A radiograph of 12 bits, uncompressed, as detectors write it. @param {string} name @param {number} side */
function writeRadiograph(name, side) {
  const pixels = Uint16Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [(i % side) / side, Math.floor(i / side) / side];
    const lung = (/** @type {number} */ centre) => Math.exp(-(((x - centre) / 0.13) ** 2) - ((y - 0.5) / 0.3) ** 2);
    return 4000 * Math.min(Math.max(0.75 - 0.6 * lung(0.3) - 0.6 * lung(0.7), 0), 1) + ((i * 7919) % 64);
  });
  const window = { '00281050': ['DS', '2048'], '00281051': ['DS', '4096'] };
  writeFileSync(new URL(name, folder), dicomFile(radiograph({ width: side, height: side, bits: 12, pixels }, /** @type {any} */ (window))));
}

/** @param {Place} place @param {Place} users the same without flags */
async function measureIn(place, users) {
  say(`${place.name}: all contenders in turns`);
  const without = hasModel ? [] : ['scalar', 'simd', 'relaxed'].map((build) => `CXR Lens ${build}, shipped model`);
  const speed = await place.call('speed.js', 'measureSpeed', [{ rounds: quick ? 3 : 60, warmUpMs: quick ? 100 : 1000, without }]);
  const layers = [];
  for (const build of ['relaxed', 'simd']) {
    say(`${place.name}: layers of ${build}`);
    const rounds = quick ? 4 : 400;
    layers.push({
      build,
      steps: await place.call('layers.js', 'measureLayers', [{ build, model: 'build/bench/mobilenetv2.cxrm', rounds }], { isolated: true }),
    });
  }
  say(`${place.name}: canonical step`);
  const canonical = await place.call('images.js', 'measureCanonical', [
    { side: 2048, builds: ['relaxed', 'simd', 'scalar'], rounds: quick ? 5 : 200 },
  ]);
  say(`${users.name}: cold start`);
  const cold = await measureCold(
    users,
    speed.rows.map((/** @type {{ name: string }} */ { name }) => name),
  );
  if (!hasModel) return { place: place.name, speed, layers, canonical, cold };
  say(`${users.name}: files, batches, memory`);
  const sides = [2048, 512, 1024, 4096];
  const files = await users.call('images.js', 'measureFiles', [{ sides, rounds: quick ? 2 : 30 }]);
  const batches = await users.call('images.js', 'measureBatches', [
    { sides: [512, 2048], workers: [1, 2], count: quick ? 4 : 96, rounds: quick ? 1 : 5 },
  ]);
  const memory = await users.call('images.js', 'measureMemory', [{ sides: sides.sort((a, b) => a - b) }]);
  if (!('requests' in users)) return { place: place.name, speed, layers, canonical, cold, files, batches, memory };
  say(`${users.name}: an image dropped on the element`);
  const drop = await users.call('drop.js', 'measureDrop', [{ path: 'build/bench/3000.dcm', rounds: quick ? 2 : 30 }]);
  return { place: place.name, speed, layers, canonical, cold, files, batches, memory, drop };
}

/**
 * In turns, each in a process or page of its own.
 * @param {Place} place
 * @param {string[]} peers those that run there
 */
async function measureCold(place, peers) {
  const hash = hasModel
    ? createHash('sha256')
        .update(readFileSync(new URL('accepting.cxrm', folder)))
        .digest('hex')
    : null;
  const names = [...(hasModel ? ['CXR Lens'] : []), ...peers.filter((name) => /Web|LiteRT|tfjs/.test(name)), 'nothing'];
  /** @type {Map<string, import('./measure/cold.js').Cold[]>} */
  const samples = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < (quick ? 1 : 7); round++)
    for (const name of names) samples.get(name)?.push(await place.call('cold.js', 'coldStart', [name, hash]));
  return names.map((name) => {
    const runs = samples.get(name) ?? [];
    return {
      name,
      ms: median(runs.map(({ ms }) => ms)),
      linear: runs[0].linear,
      rss: runs[0].rss && median(runs.map(({ rss }) => rss ?? 0)),
    };
  });
}

async function main() {
  const results = new URL('results.json', folder);
  if (options.has('--readme')) {
    console.log(readmeTable(JSON.parse(readFileSync(results, 'utf8'))));
    return;
  }
  say('writing the models');
  writeModels();
  writeRadiograph('3000.dcm', 3000);
  if (hasModel) writeFileSync(new URL('accepting.cxrm', folder), await withGate(await read('model/cxrlens.cxrm'), 0));
  if (!quick) await rest();
  const about = machine();
  const chromium = await openChromium();
  const places = [];
  if (chromium) places.push(await measureIn(chromium, chromium));
  else say('There is no Chromium here (CHROMIUM=path): Node only.');
  places.push(await measureIn(openNode(true), openNode(false)));
  say('bytes over the wire');
  const wire = await measureWire(hasModel && chromium ? await chromium.requests('build/web/index.html') : []);
  await chromium?.close();
  const all = { about, quick, places, wire };
  writeFileSync(results, `${JSON.stringify(all, null, 2)}\n`);
  const text = report(all);
  writeFileSync(new URL('results.md', folder), text);
  console.log(text);
}

await main();
