// memory.test.js - of a study the page holds no more than a few images at a time, however many there are; those that somebody
// wants to see or to report later are retrieved again.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { dicomFile, radiograph } from '../dicom/write.js';
import { SITE, idle, ready, stage } from '../support.js';
import { createStaticServer } from '../../../web/server/serve.js';
import { MULTIPART, element, multipart, sendJson } from './server.js';

const site = stage();
const STUDY = '1.2.3';
const IMAGES = 40;
const SIDE = 512;
/** Files that the element may hold (web/element/study.js), and one that is on its way. */
const MOST = 7;

const pixels = new Uint8Array(SIDE * SIDE).map((_, i) => (i * 2654435761) >>> 24);
const instance = (/** @type {string} */ uid) =>
  dicomFile(
    radiograph(
      { width: SIDE, height: SIDE, pixels },
      { '00080018': ['UI', uid], '00100010': ['PN', 'Doe^Jane'], '0020000d': ['UI', STUDY], '0020000e': ['UI', `${STUDY}.1`] },
    ),
  );
const listed = Array.from({ length: IMAGES }, (_, k) => ({ ...element('00080018', `${STUDY}.1.${k + 1}`), ...element('00200013', k + 1) }));

/** UIDs of the instances that were retrieved, and what was stored. @type {string[]} */
const asked = [];
let stored = '';
/** What the PACS answers instead, for a while. */
let status = 200;

/** @type {import('./server.js').Handler} */
function pacs(request, response) {
  const { pathname, searchParams } = new URL(String(request.url), 'http://host');
  if (status !== 200) return void response.writeHead(status).end();
  if (request.method === 'POST') {
    request.setEncoding('latin1').on('data', (text) => (stored += text));
    const sequence = { vr: 'SQ', Value: [{ ...element('00081155', '1.2'), ...element('00081150', '1.3') }] };
    return void request.on('end', () => sendJson(response, { '00081199': sequence }));
  }
  if (pathname.endsWith('/series'))
    return void sendJson(response, [{ ...element('0020000E', `${STUDY}.1`), ...element('00080060', 'DX'), ...element('00200011', 1) }]);
  const start = Number(searchParams.get('offset'));
  if (pathname.endsWith('/instances')) return void sendJson(response, listed.slice(start, start + 100));
  const uid = String(pathname.split('/').pop());
  asked.push(uid);
  response.writeHead(200, MULTIPART).end(multipart([instance(uid)]));
}

const pages = createServer();
let url = '';
before(async () => {
  const files = await createStaticServer(SITE);
  pages.on('request', (request, response) =>
    request.url?.startsWith('/dicom-web/') ? pacs(request, response) : files.emit('request', request, response),
  );
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  url = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (pages.address()).port}`;
});
after(() => {
  pages.closeAllConnections();
  pages.close();
});

/** Bytes of all Blobs and buffers of the page's thread that are still reachable. @param {import('playwright-core').CDPSession} devtools */
async function held(devtools) {
  let bytes = 0;
  for (const [kind, size] of [
    ['Blob', 'size'],
    ['ArrayBuffer', 'byteLength'],
  ]) {
    const { result } = await devtools.send('Runtime.evaluate', { expression: `${kind}.prototype`, objectGroup: 'held' });
    const { objects } = await devtools.send('Runtime.queryObjects', { prototypeObjectId: String(result.objectId), objectGroup: 'held' });
    const sum = await devtools.send('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      // But the prototypes of derived kinds, which have no size.
      functionDeclaration: `function () {
        return this.filter((each) => !Object.hasOwn(each, 'constructor')).reduce((sum, { ${size} }) => sum + ${size}, 0);
      }`,
      returnByValue: true,
    });
    bytes += sum.result.value;
    await devtools.send('Runtime.releaseObjectGroup', { objectGroup: 'held' });
  }
  return bytes;
}

test(`of ${IMAGES} images a few are held; an older one is retrieved again when it is wanted`, async (t) => {
  const page = await site.browser.newPage({ viewport: { width: 1280, height: 900 }, serviceWorkers: 'block' });
  const devtools = await page.context().newCDPSession(page);
  await page.goto(url);
  await ready(page);
  const before = await held(devtools);
  await page.evaluate(
    (study) => Object.assign(/** @type {any} */ (document.querySelector('cxr-lens')), { study }),
    `dicomweb:${url}/dicom-web/studies/${STUDY}`,
  );
  await idle(page, IMAGES);
  assert.deepEqual([asked.length, new Set(asked).size], [IMAGES, IMAGES], 'each was retrieved once');
  const images = (await held(devtools)) - before;
  t.diagnostic(`${(images / 2 ** 20).toFixed(1)} MiB held, of ${IMAGES} images of ${SIDE ** 2 / 2 ** 20} MiB each`);
  assert.ok(images < (MOST + 3) * SIDE ** 2, 'the files, and the picture on show with its canvas');

  const look = (/** @type {number} */ k) => page.locator('cxr-lens').getByText(`DX-1-${k}.dcm`, { exact: true }).first().click();
  const seen = (/** @type {number} */ k) =>
    page.waitForFunction((name) => {
      const { shadowRoot } = /** @type {any} */ (document.querySelector('cxr-lens'));
      return shadowRoot.querySelector('.open[aria-current=true]')?.title === name && !shadowRoot.querySelector('.sheet').hidden;
    }, `DX-1-${k}.dcm`);
  const uids = (/** @type {number[]} */ ...numbers) => numbers.map((k) => `${STUDY}.1.${k}`);
  asked.length = 0;
  for (const k of [2, 3, 2, 3]) {
    await look(k);
    await page.waitForTimeout(300); // the image before goes when the next is not there at once
    await seen(k);
  }
  assert.deepEqual(asked, uids(2, 3), 'once each, not at every look');
  await page.evaluate(() => {
    const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
    return lens.storeReport(lens.results[9]);
  });
  assert.deepEqual(asked, uids(2, 3, 10));
  assert.match(stored, /Doe\^Jane/);
  assert.ok((await held(devtools)) - before < (MOST + 3) * SIDE ** 2);

  status = 401;
  await look(20);
  await page.locator('cxr-lens').getByText('Sign in again').waitFor();
  status = 200;
  for (const k of [21, 20]) {
    await look(k);
    await page.waitForTimeout(300);
    await seen(k);
  }
  assert.deepEqual(asked, uids(2, 3, 10, 21, 20));
});
