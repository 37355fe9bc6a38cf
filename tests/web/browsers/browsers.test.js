/**
 * One suite in three browser engines: what they compute has the bits of the native command and of Node, and what the page
 * promises holds. One page for each engine, whose cases follow each other.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { createStaticServer } from '../../../web/server/serve.js';
import { encode } from '../dicom/openjph.js';
import { openDicom, web } from '../dicom/module.js';
import { dicomFile, encapsulated, radiograph, rle } from '../dicom/write.js';
import { at, bitsOf, builds } from '../engine/helpers.js';
import { SITE } from '../support.js';
import { ENGINES } from './engines.js';

const SAMPLES = ['synthetic-covid-19-1.jpg', 'synthetic-normal-1.jpg', 'synthetic-lung-opacity-1.jpg'];
/** Of the golden images, one of each kind: the rest says no more here, and three engines run three modules. */
const GOLDEN = ['colour-333x180', 'deep-257x301', 'gradient', 'inverted-phantom', 'least-32', 'phantom', 'tall-41x611'].map(
  (name) => `${name}.png`,
);
const DATE = '2026-11-24T08:01:02.345Z';

// ---- what is served, and what the answers are to be ---------------------------------------------------------------

// A copy, with the files to read beside it: the page's policy lets it fetch from nowhere else.
const root = mkdtempSync(join(tmpdir(), 'cxrlens-browsers-'));
cpSync(SITE, root, { recursive: true });
mkdirSync(join(root, 'given'));
after(() => rmSync(root, { recursive: true }));

/** @param {string} name @param {Uint8Array} bytes @returns {string} its path */
function give(name, bytes) {
  const path = join(root, 'given', name);
  writeFileSync(path, bytes);
  return path;
}

const [width, height] = [160, 144];
const deep = Uint16Array.from({ length: width * height }, (_, i) => 2000 + 1900 * Math.sin(i / 977) * Math.cos((i % width) / 31));
const shallow = Uint8Array.from(deep, (value) => value >> 4);

/** @param {string} end of its transfer syntax @param {Uint8Array} fragment @param {object} picture */
const compressed = (end, fragment, picture) =>
  dicomFile(radiograph(/** @type {any} */ ({ width, height, ...picture }), { '7fe00010': null }), {
    syntax: `1.2.840.10008.1.2.${end}`,
    tail: encapsulated([fragment]),
  });

/** Radiographs in the syntaxes that can be written here, and foreign files of others. */
const dicoms = [
  give('explicit.dcm', dicomFile(radiograph({ width, height, pixels: deep, bits: 12 }))),
  give('rle.dcm', compressed('5', rle(shallow), { pixels: shallow })),
  give('htj2k.dcm', compressed('4.201', encode({ width, height, bits: 12, pixels: deep }), { pixels: deep, bits: 12 })),
];
const foreign = [
  ...['JPEG2000', 'MR_small_jpeg_ls_lossless', 'JPEG-lossy', 'SC_rgb_jpeg_dcmtk', 'SC_rgb_rle_16bit'].map(
    (name) => `/usr/lib/python3/dist-packages/pydicom/data/test_files/${name}.dcm`,
  ),
].filter((path) => existsSync(path));
for (const path of foreign) cpSync(path, join(root, 'given', basename(path)));
for (const name of GOLDEN) cpSync(at(`tests/golden/images/${name}`), join(root, 'given', name));

/** Pixels of a DICOM file, as a hash. @param {any} gray */
const hashOf = ({ pixels }) =>
  createHash('sha256')
    .update(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength))
    .digest('hex');

/** The native command's answers, by name. @type {Map<string, any>} */
const native = new Map();
{
  const images = [...GOLDEN.map((name) => join(root, 'given', name)), ...SAMPLES.map((name) => join(root, 'samples', name))];
  const command = [at('build/cxrlens'), 'classify', '--format', 'json', '--maps', '--model', join(root, 'cxrlens.cxrm')];
  const { stdout, stderr, status } = spawnSync(command[0], [...command.slice(1), ...images], { encoding: 'utf8', maxBuffer: 2 ** 27 });
  assert.equal(status, 0, stderr);
  for (const line of stdout.trim().split('\n')) {
    const result = JSON.parse(line);
    native.set(basename(result.file), result);
  }
}

/** The command prints as many digits as single precision has. @param {any} result */
const bits = (result) => bitsOf(JSON.parse(JSON.stringify(result), (_, value) => (typeof value === 'number' ? Math.fround(value) : value)));
/** Without the maps, which are not asked for on the page. @param {any} result */
const plain = (result) => bits({ ...result, maps: undefined });

const { createClassifier } = await import(new URL('classifier.js', web).href);
const { toDicomSr } = await import(new URL('dicom-sr.js', web).href);
const { toFhir } = await import(new URL('fhir.js', web).href);
const here = await createClassifier({ workers: 0 });
/** Node's answers to the DICOM files, by name. */
const ofNode = new Map(
  await Promise.all(dicoms.map(async (path) => /** @type {const} */ ([path, await here.classify(readFileSync(path))]))),
);
here.dispose();

/** @type {import('node:http').Server[]} */
const servers = [];
/** @param {import('node:http').Server} server @param {number} [port] */
async function listen(server, port = 0) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  if (!servers.includes(server)) servers.push(server);
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

let url = '';
let portal = '';
let lens = '';
/** @type {import('node:http').Server} */
let site;
before(async () => {
  site = await createStaticServer(root);
  url = `http://localhost:${await listen(site)}/`;
  lens = `http://localhost:${await listen(await createStaticServer(SITE, { frameAncestors: '*' }))}/embed.html`;
  const page = '<!doctype html><title>Portal</title><div id="lens"></div>';
  const script = readFileSync(join(SITE, 'cxrlens-embed.js'));
  portal = `http://localhost:${await listen(
    createServer((request, response) => {
      const wanted = request.url === '/cxrlens-embed.js';
      response.setHeader('Content-Type', wanted ? 'text/javascript' : 'text/html').end(wanted ? script : page);
    }),
  )}/`;
});

// ---- what runs in the page ----------------------------------------------------------------------------------------

/** Waits until a script in the page is true. @param {import('./engines.js').Engine} page @param {string} what @param {Function} script @param {any[]} args */
async function until(page, what, script, ...args) {
  for (let left = 600; left > 0; left--) {
    if (await page.run(script, ...args)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`in vain: ${what}`);
}

const text = (/** @type {string} */ id) => document.getElementById(id)?.textContent;
const says = (/** @type {string} */ id, /** @type {string} */ words) => document.getElementById(id)?.textContent === words;
const isReady = () => Boolean(document.querySelector('cxr-lens')?.shadowRoot?.querySelector('.status[data-state=ready]'));
const idle = (/** @type {number} */ total) => {
  const { progress } = /** @type {any} */ (document.querySelector('cxr-lens'));
  return progress.total === total && progress.open === 0;
};
const results = () => JSON.parse(JSON.stringify(/** @type {any} */ (document.querySelector('cxr-lens')).results));

/** All given images through one module. @param {string} build @param {string[]} names */
async function classifyAll(build, names) {
  const { createClassifier } = await import(new URL('classifier.js', location.href).href);
  const options = { workers: 1, wasmUrl: new URL(`cxrlens-${build}.wasm`, location.href).href };
  try {
    const cxr = await createClassifier(options);
    const found = [];
    for (const name of names) {
      const bytes = await (await fetch(`given/${name}`)).arrayBuffer();
      const { maps, ...result } = await cxr.classify(bytes, { maps: true });
      const listed = (/** @type {any} */ { width, height, values }) => ({ width, height, values: [...values] });
      found.push({ ...result, maps: { lungs: listed(maps.lungs), opacities: listed(maps.opacities) } });
    }
    cxr.dispose();
    return found;
  } catch (error) {
    return /** @type {any} */ (error).code === 'unsupported' ? null : Promise.reject(error);
  }
}

/** Drops or pastes a picture without a path. @param {string} kind @param {string} name */
async function transfer(kind, name) {
  const data = new DataTransfer();
  data.items.add(new File([await (await fetch(`samples/${name}`)).blob()], name));
  const event = new Event(kind, { bubbles: true, composed: true, cancelable: true }); // Firefox makes none of a paste with files
  Object.defineProperty(event, kind === 'drop' ? 'dataTransfer' : 'clipboardData', { value: data });
  document.querySelector('cxr-lens')?.dispatchEvent(event);
}

/** Hash of what the reader makes of a DICOM file. @param {string} name */
async function pixelsOf(name) {
  const { openDicom } = await import(new URL('dicom.js', location.href).href);
  const { pixels } = await (await openDicom(await (await fetch(`given/${name}`)).arrayBuffer())).frame(0);
  const hash = await crypto.subtle.digest('SHA-256', new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A bundle and a report. @param {any} result @param {string} date */
async function reportsOf(result, date) {
  const [{ toFhir }, { toDicomSr }] = await Promise.all(
    ['fhir.js', 'dicom-sr.js'].map((name) => import(new URL(name, location.href).href)),
  );
  return { fhir: toFhir(result, { issued: date }), sr: [...toDicomSr(result, { date: new Date(date) })] };
}

/** Puts the frame of another origin into the page and asks it. @param {string} url @param {number[]} bytes */
async function askFrame(url, bytes) {
  const { embed } = await import(new URL('cxrlens-embed.js', location.href).href);
  const frame = await embed(document.getElementById('lens'), url, { patience: 60_000 });
  return frame.classify(new File([new Uint8Array(bytes)], 'image.jpg'));
}

// ---- the suite ----------------------------------------------------------------------------------------------------

for (const { name, packages, installed, start } of ENGINES)
  test(name, { skip: !installed && `not installed: ${packages}` }, async (t) => {
    const page = await start();
    try {
      await suite(page, (what, work) => t.test(`${name}: ${what}`, work));
    } finally {
      await page.close();
    }
  });

/** @param {import('./engines.js').Engine} page @param {(what: string, work: () => Promise<void>) => Promise<void>} check */
async function suite(page, check) {
  await page.open(`${url}?lang=en`);
  await until(page, 'the classifier is ready', isReady);
  await check('every module that it can load gives the bits of the native command', async () => {
    const loaded = [];
    for (const build of builds) {
      const found = await page.run(classifyAll, build, GOLDEN);
      if (!found) continue;
      loaded.push(build);
      for (const [i, image] of GOLDEN.entries()) assert.equal(bits(found[i]), bits(native.get(image)), `${build}: ${image}`);
    }
    assert.ok(loaded.includes('scalar') && loaded.includes('simd'), `loaded: ${loaded}`);
  });
  await check('stores itself, then reads picked, dropped and pasted files, and sends nothing', async () => {
    await until(page, 'it works offline', says, 'network', 'Works offline');
    await page.pick([join(root, 'samples', SAMPLES[0])]);
    await until(page, 'the picked file is read', idle, 1);
    await page.run(transfer, 'drop', SAMPLES[1]);
    await until(page, 'the dropped file is read', idle, 2);
    await page.run(transfer, 'paste', SAMPLES[2]);
    await until(page, 'the pasted file is read', idle, 3);
    const found = await page.run(results);
    assert.deepEqual(
      found.map((/** @type {any} */ result) => [result.file, plain(result)]),
      SAMPLES.map((each) => [each, plain(native.get(each))]),
    );
    assert.equal(await page.run(text, 'sent'), '0 bytes sent');
  });
  await check('findings are listed, and occlusion sensitivity comes to its end', () => shown(page));
  await check('another language is no request, and a request is one', async () => {
    await page.run(choose, 'ko');
    await until(page, 'the page is Korean', says, 'sent', '0바이트 전송');
    await page.run(choose, 'en');
    await until(page, 'the page is English', says, 'sent', '0 bytes sent');
    await page.run(() => fetch('nowhere.txt').then(() => true));
    await until(page, 'the request is counted', says, 'sent', '1 network request');
  });
  await check('a session is kept and wiped', async () => {
    await page.run(() => document.getElementById('keep')?.click());
    await until(page, 'the session is kept', says, 'kept', '3 images are kept on this device.');
    await page.run(() => document.getElementById('wipe')?.click());
    await until(page, 'the session is wiped', says, 'kept', '');
  });
  await check('DICOM: the pixels of every codec, and the answers, are those of Node', () => readsDicom(page));
  await check('FHIR and the Structured Report are those of Node', async () => {
    const result = { ...ofNode.get(dicoms[0]), maps: undefined };
    const { fhir, sr } = await page.run(reportsOf, JSON.parse(JSON.stringify(result)), DATE);
    assert.deepEqual(fhir, JSON.parse(JSON.stringify(toFhir(result, { issued: DATE }))));
    assert.deepEqual(Buffer.from(sr), Buffer.from(toDicomSr(result, { date: new Date(DATE) })));
  });
  await check('the frame of another origin answers', async () => {
    await page.open(portal);
    const bytes = [...readFileSync(join(root, 'samples', SAMPLES[0]))];
    assert.equal(plain(await page.run(askFrame, lens, bytes)), plain(native.get(SAMPLES[0])));
  });
  await check('without its server the page starts and reads', async () => {
    const { port } = new URL(url);
    const closed = new Promise((resolve) => site.close(resolve));
    site.closeAllConnections(); // after it takes no more
    await closed;
    try {
      await page.open(`${url}?lang=en`);
      await until(page, 'the classifier is ready', isReady);
      await page.pick([join(root, 'samples', SAMPLES[1])]);
      await until(page, 'the file is read', idle, 1);
      assert.equal(plain((await page.run(results))[0]), plain(native.get(SAMPLES[1])));
    } finally {
      await listen(site, Number(port));
    }
  });
}

/** Chooses a language as a user does. @param {string} language */
function choose(language) {
  const select = /** @type {HTMLSelectElement} */ (document.getElementById('language'));
  select.value = language;
  select.dispatchEvent(new Event('change', { bubbles: true }));
}

/** @param {import('./engines.js').Engine} page with the samples */
async function shown(page) {
  const lines = () => document.querySelector('cxr-lens')?.shadowRoot?.querySelectorAll('[part~=findings] li').length;
  const count = native.get(SAMPLES[0]).findings.length;
  await page.run(() => /** @type {HTMLElement} */ (document.querySelector('cxr-lens')?.shadowRoot?.querySelector('tbody tr')).click());
  await until(page, `${count} findings are listed`, new Function('count', `return (${lines})() === count`), count);
  await until(page, 'occlusion sensitivity has its legend', () => {
    const shadow = /** @type {ShadowRoot} */ (document.querySelector('cxr-lens')?.shadowRoot);
    const button = [...shadow.querySelectorAll('button')].find((each) => each.textContent === 'Occlusion');
    // The image that was just chosen may come after the click and end what it began.
    if (button?.getAttribute('aria-pressed') !== 'true') button?.click();
    return shadow.querySelector('.legend')?.textContent?.includes('Occlusion sensitivity');
  });
}

/** @param {import('./engines.js').Engine} page */
async function readsDicom(page) {
  for (const path of [...dicoms, ...foreign]) {
    const { frame } = await openDicom(readFileSync(path)).then((dicom) => ({ frame: dicom.frame(0) }));
    assert.equal(await page.run(pixelsOf, basename(path)), hashOf(await frame), basename(path));
  }
  await page.pick(dicoms.map((path) => resolve(path)));
  await until(page, 'the DICOM files are read', idle, SAMPLES.length + dicoms.length);
  const found = (await page.run(results)).slice(SAMPLES.length);
  assert.deepEqual(
    found.map(plain),
    dicoms.map((path) => plain(ofNode.get(path))),
  );
}
