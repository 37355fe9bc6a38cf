/** While large DICOM images are opened, decoded and windowed, the page's thread stays free, and nothing of the patient comes to it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fetched, file, idle, pick, stage } from '../support.js';
import { encode } from './openjph.js';
import { dicomFile, encapsulated, radiograph } from './write.js';

const site = stage();
const folder = mkdtempSync(join(tmpdir(), 'cxrlens-responsive-'));
after(() => rmSync(folder, { recursive: true }));

const SIDE = 3000;
/** Longer tasks are felt. Of time on the processor: the clock also counts the waits for one, on a machine that does other work. */
const LIMIT_MS = 50;
const pixels = Uint16Array.from({ length: SIDE * SIDE }, (_, i) => {
  const [x, y] = [(i % SIDE) / SIDE, Math.floor(i / SIDE) / SIDE];
  return 2048 + 1500 * Math.sin(9 * x) * Math.cos(7 * y) + ((i * 2654435761) >>> 28);
});
const image = radiograph(
  { width: SIDE, height: SIDE, bits: 12, pixels },
  { '00100020': ['LO', 'ID-4711'], '00281050': ['DS', '2048'], '00281051': ['DS', '4096'] },
);
const plain = dicomFile(image);

/** @param {string} name @param {string} command @param {string[]} options @returns {Buffer|undefined} if the tool is there */
function compressed(name, command, ...options) {
  const [from, to] = [join(folder, `${name}.in`), join(folder, name)];
  writeFileSync(from, plain);
  return spawnSync(command, [...options, from, to]).status === 0 ? readFileSync(to) : undefined;
}

const { '7fe00010': _, ...rest } = image;
/** @type {Record<string, Buffer|undefined>} */
const FILES = {
  'plain.dcm': plain,
  'htj2k.dcm': dicomFile(rest, {
    syntax: '1.2.840.10008.1.2.4.201',
    tail: encapsulated([encode({ width: SIDE, height: SIDE, pixels, bits: 12 })]),
  }),
  'jpeg2000.dcm': compressed('jpeg2000.dcm', 'gdcmconv', '--j2k'),
  'lossless.dcm': compressed('lossless.dcm', 'dcmcjpeg', '+e1'),
};

/**
 * The longest task of a page's thread, in milliseconds on the processor.
 * @param {import('playwright-core').Page} page @param {() => Promise<unknown>} work
 */
async function longestTask(page, work) {
  const path = join(folder, 'trace.json');
  await site.browser.startTracing(page, { path, categories: ['toplevel', '__metadata'] });
  await work();
  await site.browser.stopTracing();
  /** @type {{ traceEvents: any[] }} */
  const { traceEvents } = JSON.parse(readFileSync(path, 'utf8'));
  const mains = new Set(traceEvents.filter(({ args }) => args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = traceEvents.filter(({ name, pid, tid }) => /RunTask$/.test(name) && mains.has(`${pid} ${tid}`));
  assert.ok(tasks.length > 100, `${tasks.length} tasks`);
  return Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000;
}

/** @param {import('playwright-core').Page} page @returns {Promise<any[]>} */
const results = (page) => page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).results);

for (const [name, bytes] of Object.entries(FILES))
  test(`${name} of ${SIDE} x ${SIDE} pixels holds up nothing`, {
    skip: bytes ? false : 'needs the Debian packages dcmtk and libgdcm-tools',
  }, async (t) => {
    const { page, troubles } = await site.open();
    // By its path: bytes that the test hands over are a long task themselves.
    writeFileSync(join(folder, name), /** @type {Buffer} */ (bytes));
    await fetched(page);
    const longest = await longestTask(page, async () => {
      await pick(page, join(folder, name));
      await idle(page, 1);
      await page.waitForFunction(() => {
        const canvas = /** @type {any} */ (document.querySelector('cxr-lens')).shadowRoot.querySelector('canvas.image');
        return canvas.width > 0 && canvas.checkVisibility({ visibilityProperty: true });
      });
      await page.waitForTimeout(500);
    });
    const [{ timings }] = await results(page);
    t.diagnostic(`decoded in ${Math.round(timings.decode_ms)} ms, longest task ${Math.round(longest)} ms`);
    assert.ok(longest < LIMIT_MS, `${longest} ms`);
    assert.deepEqual(troubles, []);
  });

test('what comes from the worker names no patient, and what the classifier takes passes the page by', async () => {
  const { page } = await site.open();
  await page.evaluate(() => {
    const told = /** @type {string[]} */ ([]);
    const plain = (/** @type {string} */ _, /** @type {any} */ value) => (ArrayBuffer.isView(value) ? value.constructor.name : value);
    const Before = window.Worker;
    class Told extends Before {
      /** @param {string|URL} url @param {WorkerOptions} [options] */
      constructor(url, options) {
        super(url, options);
        if (/dicom-worker/.test(String(url))) this.addEventListener('message', ({ data }) => told.push(JSON.stringify(data, plain)));
      }
    }
    Object.assign(window, { told, Worker: Told });
  });
  await pick(page, [
    file('xray.dcm', dicomFile(radiograph({ width: 64, height: 64, pixels: new Uint8Array(4096) }, { '00100020': ['LO', 'ID-4711'] })), ''),
  ]);
  await idle(page, 1);
  await page.waitForFunction(() => /** @type {any} */ (window).told.length >= 3);
  const told = (await page.evaluate(() => /** @type {any} */ (window).told)).join('\n');
  assert.match(told, /"gray16"/);
  assert.match(told, /"levels"/);
  assert.doesNotMatch(told, /Doe|Jane|ID-4711/);
  assert.doesNotMatch(told, /Uint16Array/); // of which the page would collect the garbage
});

for (const [why, stop] of /** @type {[string, (page: import('playwright-core').Page) => Promise<unknown>][]} */ ([
  ['its script is not there', (page) => page.route('**/dicom-worker.js', (route) => route.fulfill({ status: 404 }))],
  [
    'the page may not',
    (page) =>
      page.evaluate(() =>
        Object.assign(window, {
          Worker: class {
            constructor() {
              throw new DOMException('no', 'SecurityError');
            }
          },
        }),
      ),
  ],
]))
  test(`where no worker can be started, as ${why}, the page's own thread reads`, async () => {
    const { page } = await site.open();
    await stop(page);
    await pick(
      page,
      ['a.dcm', 'b.dcm'].map((name) =>
        file(name, dicomFile(radiograph({ width: 64, height: 64, pixels: new Uint8Array(4096).map((_, i) => i) })), ''),
      ),
    );
    await idle(page, 2);
    assert.deepEqual(
      (await results(page)).map(({ image }) => image.format),
      ['dicom', 'dicom'],
    );
  });

test('a reader that ends in the middle is told, and the next file gets another', async () => {
  const { page } = await site.open();
  await page.route(
    '**/dicom-worker.js',
    (route) =>
      route.fulfill({
        contentType: 'text/javascript',
        body: "postMessage({ ready: true }); onmessage = () => { throw new Error('out of memory'); };",
      }),
    { times: 1 },
  );
  const xray = () => dicomFile(radiograph({ width: 64, height: 64, pixels: new Uint8Array(4096).map((_, i) => i) }));
  await pick(page, [file('a.dcm', xray(), '')]);
  await idle(page, 1);
  assert.equal((await results(page)).length, 0);
  await pick(page, [file('b.dcm', xray(), '')]);
  await idle(page, 2);
  assert.equal((await results(page)).length, 1);
});
