// portal.test.js - the example of a portal in Chromium, with Debian's Orthanc on another origin: a study is read, its reports are
// stored and read back; what goes wrong is told.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { reachable } from '../reachable.js';
import { PATIENCE, SITE, pick, sample, stage } from '../support.js';
import { studyOf } from '../../../web/dicomweb.js';
import { createStaticServer } from '../../../web/server/serve.js';
import { startPortal } from './demo.js';
import { noOrthanc } from './orthanc.js';
import { STUDY } from './study.js';

const site = stage();
const skip = noOrthanc;
const DATA = `${process.env.CXR_DATA ?? '../shared/data'}/dicom`;

/** @type {import('./demo.js').Portal} */
let portal;
before(async () => {
  if (!skip) portal = await startPortal({ site: SITE });
});
after(() => portal?.stop());

/** @typedef {any} Lens */

/** The portal's page; `events` collects what the element tells. @param {(page: import('playwright-core').Page) => Promise<unknown>} [prepare] */
async function open(prepare) {
  const context = await site.browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 }, serviceWorkers: 'block' });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  portal.gateway.asked.length = 0;
  portal.gateway.before = () => {};
  /** @type {any[]} */
  const events = [];
  await page.exposeFunction('tell', (/** @type {any} */ event) => events.push(event));
  await page.addInitScript(() => {
    for (const kind of ['cxr-study', 'cxr-result', 'cxr-error']) {
      document.addEventListener(kind, (event) => {
        const { images, retrieved, failed, file, error } = /** @type {CustomEvent} */ (event).detail;
        /** @type {any} */ (window).tell({ kind, images, retrieved, failed, file, code: error?.code });
      });
    }
  });
  await prepare?.(page);
  await page.goto(portal.url);
  return { page, events };
}

/** @param {import('../../../web/dicomweb.js').Study} study */
async function retrieved(study) {
  const all = [];
  for await (const each of portal.pacs.images(study)) all.push(each);
  return all;
}

/** Waits until a portal's page says something. @param {import('playwright-core').Page} page @param {string} text */
const said = (page, text) => page.locator('#answer', { hasText: text }).waitFor();

test('a study is read from the PACS on another origin, the first image before the last has come', { skip }, async () => {
  /** @type {() => void} */
  let release = () => {};
  const first = new Promise((resolve) => {
    release = () => resolve(undefined);
  });
  const { page, events } = await open((page) => page.exposeFunction('firstResult', release));
  // The last image stays in the PACS until the first has its result: were all retrieved first, this would wait for ever.
  portal.gateway.before = async (url) => {
    if (url.endsWith('.4')) await first;
  };
  await page.waitForFunction(() => {
    const [result] = /** @type {Lens} */ (document.querySelector('cxr-lens')).results ?? [];
    if (result) /** @type {any} */ (window).firstResult();
    return Boolean(result);
  });
  await said(page, '3 of 3 images read');
  assert.deepEqual(
    events
      .filter(({ kind }) => kind === 'cxr-result')
      .map(({ file }) => file)
      .sort(), // two workers may end in either order
    ['CR-1-1.dcm', 'CR-1-2.dcm', 'CR-1-4.dcm'],
  );
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'cxr-error'),
    [],
  );
  const { images, retrieved, failed } = events.filter(({ kind }) => kind === 'cxr-study').at(-1);
  assert.deepEqual([images, retrieved, failed], [3, 3, 0]);
  const results = await page.evaluate(() =>
    /** @type {Lens} */ (document.querySelector('cxr-lens')).results.map((/** @type {any} */ { dicom, verdict }) => [
      dicom.instanceUid,
      verdict,
    ]),
  );
  assert.deepEqual(results, [
    [`${STUDY}.1.1`, 'covid-19'],
    [`${STUDY}.1.2`, 'lung-opacity'],
    [`${STUDY}.1.4`, 'viral-pneumonia'],
  ]);
  // Of the CT in the same study nothing was asked for, and nothing of the lateral image but its listing.
  assert.deepEqual(
    portal.gateway.asked.filter((path) => /\.2(\/|$)|\.1\.3$/.test(path) && !/\.1\.2$/.test(path)),
    [],
  );
  const kept = await page.evaluate(async () => [
    localStorage.length,
    sessionStorage.length,
    document.cookie,
    (await indexedDB.databases()).length,
    (await caches.keys()).length,
  ]);
  assert.deepEqual(kept, [0, 0, '', 0, 0], 'nothing is stored on the device');
});

test('reports are stored in the PACS, and DCMTK reads them there', {
  skip: skip || (spawnSync('dsrdump', ['--version']).status === 0 ? false : 'needs the Debian package dcmtk'),
}, async () => {
  const { page } = await open();
  await said(page, '3 of 3 images read');
  await page.locator('#store').click();
  await said(page, '3 reports stored');
  assert.ok(portal.gateway.asked.includes(`POST /dicom-web/studies/${STUDY}`));
  const stored = await page.evaluate(async () => {
    const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
    const { stored } = await lens.storeReport(lens.results[1]);
    return stored;
  });
  assert.equal(stored.length, 1);
  assert.equal(stored[0].sopClass, '1.2.840.10008.5.1.4.1.1.88.33');
  // Back by WADO-RS: the series is found by its modality.
  const series = await seriesOf(stored[0].instanceUid);
  const [{ file }] = await retrieved({ studyUid: STUDY, seriesUid: String(series), instanceUid: stored[0].instanceUid });
  const folder = mkdtempSync(join(tmpdir(), 'cxrlens-portal-'));
  const path = join(folder, 'report.dcm');
  writeFileSync(path, new Uint8Array(await /** @type {File} */ (file).arrayBuffer()));
  const { status, stdout, stderr } = spawnSync('dsrdump', ['--print-instance-uid', '--print-all-codes', path], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  assert.deepEqual([status, stderr], [0, '']);
  for (const line of [
    /Comprehensive SR Document/,
    /Synthetic\^Sample/,
    /S-1/,
    new RegExp(`IMAGE:.*${STUDY}\\.1\\.2`),
    /verdict,99CXRLENS,[^\n]*=\(lung-opacity,99CXRLENS/,
  ])
    assert.match(stdout, line);
});

/** The series of a report, from the PACS. @param {string} instanceUid */
async function seriesOf(instanceUid) {
  const { root } = studyOf(portal.study);
  const { token } = await (await fetch(new URL('portal.json', portal.url))).json();
  const response = await fetch(`${root}/studies/${STUDY}/instances?SOPInstanceUID=${instanceUid}`, {
    headers: { Accept: 'application/dicom+json', Authorization: `Bearer ${token}` },
  });
  const [instance] = await response.json();
  return instance['0020000E'].Value[0];
}

test('without a valid token the user is told to sign in; with one it goes on', { skip }, async () => {
  const { page, events } = await open((page) =>
    page.route('**/portal.json', (route) => route.fulfill({ json: { study: portal.study, token: 'expired' } })),
  );
  await page.locator('cxr-lens').getByText('Sign in again').waitFor();
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'cxr-error').map(({ code, file }) => [code, file]),
    [['pacs-login', portal.study]],
  );
  const { token } = await (await fetch(new URL('portal.json', portal.url))).json();
  await page.evaluate((token) => {
    const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
    lens.fetch = (/** @type {string} */ url, /** @type {RequestInit} */ init) =>
      fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
  }, token);
  await said(page, '3 of 3 images read');
  assert.equal(await page.locator('cxr-lens').getByText('Sign in again').count(), 0);
});

test('an image that the PACS does not give is told, and the others are read; asked again, only it is retrieved', { skip }, async () => {
  const { page, events } = await open((page) =>
    page.route('**/instances/*.2', (route) => route.fulfill({ status: 404, headers: { 'Access-Control-Allow-Origin': '*' } })),
  );
  await said(page, '2 of 2 images read');
  await page.waitForFunction(() =>
    /** @type {Lens} */ (document.querySelector('cxr-lens')).shadowRoot.textContent.includes('does not have this study'),
  );
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'cxr-error').map(({ code, file }) => [code, file]),
    [['pacs-not-found', 'CR-1-2']],
  );
  await page.unrouteAll();
  portal.gateway.asked.length = 0;
  await page.evaluate(() => {
    const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
    const { fetch } = lens;
    lens.fetch = fetch;
  });
  await said(page, '3 of 3 images read');
  assert.deepEqual(
    portal.gateway.asked.filter((path) => /instances\/[\d.]+$/.test(path)).map((path) => path.split('/').pop()),
    [`${STUDY}.1.2`],
  );
});

test('another study takes the place of the first, of which nothing stays; a removed element retrieves no more', { skip }, async () => {
  const { page } = await open();
  await said(page, '3 of 3 images read');
  const seen = await page.evaluate(async (study) => {
    const lens = /** @type {Lens} */ (document.querySelector('cxr-lens'));
    lens.study = `${study}/series/2.25.20261124.1/instances/2.25.20261124.1.2`;
    await new Promise((resolve) => lens.addEventListener('cxr-result', resolve, { once: true }));
    const uids = lens.results.map((/** @type {any} */ { dicom }) => dicom.instanceUid);
    lens.undo();
    const back = lens.results.length;
    lens.remove();
    await new Promise((resolve) => setTimeout(resolve, 100));
    lens.study = study;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { uids, back, after: lens.results.length };
  }, portal.study);
  assert.deepEqual(seen, { uids: [`${STUDY}.1.2`], back: 1, after: 0 });
});

test('without `multiple` it reads the first frontal image', { skip }, async () => {
  const { page } = await open((page) =>
    page.addInitScript(() =>
      document.addEventListener('readystatechange', () => document.querySelector('cxr-lens')?.removeAttribute('multiple')),
    ),
  );
  await said(page, '1 of 1 images read');
  assert.equal(portal.gateway.asked.filter((path) => /instances\/[\d.]+$/.test(path)).length, 1);
});

// ---- The guide ---------------------------------------------------------------------------------

test('`make portal` serves the page, and ends with its PACS', { skip }, async () => {
  const demo = spawn(process.execPath, ['tests/web/portal/demo.js'], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(demo.stdout.setEncoding('utf8'), 'data');
  const [, url, root] = /on (\S+), its PACS on (\S+)/.exec(line) ?? [];
  assert.match(await (await fetch(url)).text(), /<cxr-lens multiple>/);
  assert.equal((await fetch(`${root}/studies`)).status, 401);
  demo.kill('SIGTERM');
  const [code] = await once(demo, 'exit');
  assert.equal(code, 0);
  await assert.rejects(fetch(`${root}/studies`));
});

test('the script of the guide runs as it stands', { skip }, async () => {
  const script = String(
    readFileSync('web/README.md', 'utf8')
      .split('```')
      .find((block) => block.startsWith('js\n') && block.includes('cxrlens/dicomweb'))
      ?.slice(3),
  );
  const { root, studyUid } = studyOf(portal.study);
  const { token } = await (await fetch(new URL('portal.json', portal.url))).json();
  const setting = `const studyUid = '${studyUid}', signal = undefined, withToken = (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: 'Bearer ${token}' } });\n`;
  // Within the package, for its imports to lead to it.
  const path = 'build/guide-pacs.mjs';
  writeFileSync(path, script.replace("'https://pacs.example/dicom-web'", `'${root}'`).replace('const cxr', `${setting}const cxr`));
  portal.gateway.asked.length = 0;
  const child = spawn(process.execPath, [path], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const timer = setInterval(() => {
    // the classifier keeps its workers until it is disposed of
    if (portal.gateway.asked.filter((path) => path.startsWith('POST')).length === 3) child.kill();
  }, 50);
  await once(child, 'exit');
  clearInterval(timer);
  rmSync(path);
  assert.equal(said, '');
  assert.equal(portal.gateway.asked.filter((path) => path.startsWith('POST')).length, 3);
});

// ---- A browser of its own kind -----------------------------------------------------------------

/** A server on a free port. @param {import('node:http').Server} server @returns {Promise<string>} its origin */
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

test('in a browser, too: without CORS it is pacs-network, a redirect is pacs-redirect, and no request reaches the other origin', async () => {
  /** @type {string[]} */
  const asked = [];
  const other = createServer((request, response) => {
    asked.push(String(request.url));
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*' }).end();
  });
  const elsewhere = await listen(other);
  const pacs = createServer((request, response) => {
    const cors = request.url?.startsWith('/open')
      ? { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'authorization, accept' }
      : {};
    if (request.method === 'OPTIONS') return response.writeHead(204, cors).end();
    return response.writeHead(307, { ...cors, Location: `${elsewhere}/stolen` }).end();
  });
  const root = await listen(pacs);
  const pages = await createStaticServer(SITE, { connect: "'self' http://127.0.0.1:*" });
  const page = await site.browser.newPage();
  try {
    await page.goto(`${(await listen(pages)).replace('127.0.0.1', 'localhost')}/examples/element.html`);
    const codes = await page.evaluate(async (root) => {
      const { dicomWeb } = await import(new URL('../dicomweb.js', location.href).href);
      const withToken = (/** @type {string} */ url, /** @type {RequestInit} */ init) =>
        fetch(url, { ...init, headers: { ...init.headers, Authorization: 'Bearer secret' } });
      const code = (/** @type {string} */ path) =>
        dicomWeb(root + path, { fetch: withToken })
          .search('1.2')
          .catch((/** @type {any} */ error) => error.code);
      return [await code('/closed'), await code('/open')];
    }, root);
    assert.deepEqual(codes, ['pacs-network', 'pacs-redirect']);
    assert.deepEqual(asked, []);
  } finally {
    await page.close();
    for (const server of [other, pacs, pages]) {
      server.closeAllConnections();
      server.close();
    }
  }
});

test('whoever drops files gets nothing of it; the door has at most 6 KB over the wire', async () => {
  const { page } = await site.open();
  await pick(page, [{ name: 'image.jpg', mimeType: 'image/jpeg', buffer: sample }]);
  await page.waitForFunction(() => /** @type {Lens} */ (document.querySelector('cxr-lens')).results.length === 1);
  const scripts = await page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => name)
      .filter((name) => name.endsWith('.js')),
  );
  assert.ok(scripts.length > 3);
  for (const name of scripts) assert.doesNotMatch(readFileSync(join(SITE, new URL(name).pathname), 'utf8'), /multipart|cxr-study/, name);
  const size = reachable('dicomweb.js', SITE).reduce((sum, name) => sum + gzipSync(readFileSync(join(SITE, name)), { level: 9 }).length, 0);
  assert.ok(size <= 6 * 1024, `${size} bytes`);
});

// ---- Files from elsewhere ----------------------------------------------------------------------

test('what other makers wrote comes back as it was stored, in every transfer syntax', {
  skip: skip || (existsSync(DATA) ? false : `no files at ${DATA}`),
}, async () => {
  const names = [
    'dicom-test-files__RG1_J2KI.dcm',
    'dicom-test-files__RG2_JPLY',
    'dicom-test-files__RG3_JLSN',
    'dicom-test-files__RG3_JPLY',
    'dicom-test-files__RG3_J2KI.dcm',
  ];
  for (const name of names) {
    const bytes = readFileSync(join(DATA, name));
    const {
      stored: [{ instanceUid }],
    } = await portal.pacs.store([bytes]);
    const text = (/** @type {string} */ tag) =>
      spawnSync('dcmdump', ['+P', tag, '-s', join(DATA, name)], { encoding: 'utf8' }).stdout.match(/\[([^\]]*)\]/)?.[1] ?? '';
    const [{ file }] = await retrieved({ studyUid: text('0020,000d'), seriesUid: text('0020,000e'), instanceUid });
    const back = Buffer.from(await /** @type {File} */ (file).arrayBuffer());
    assert.equal(text('0008,0018'), instanceUid);
    assert.ok(back.equals(bytes), name);
  }
});

test('a study without frontal images says so', { skip }, async () => {
  const { page } = await open();
  await said(page, '3 of 3 images read');
  await page.evaluate((study) => {
    /** @type {Lens} */ (document.querySelector('cxr-lens')).study = study;
  }, `${portal.study}.404`);
  await page
    .locator('cxr-lens')
    .getByText(/no frontal X[-‑]ray image/)
    .waitFor();
});
