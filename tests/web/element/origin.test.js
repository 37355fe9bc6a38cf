/** A worker's script on another origin, as with a CDN: browsers start none, and the error says that. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { createStaticServer } from '../../../web/server/serve.js';
import { SITE, stage } from '../support.js';

const site = stage();
const portal = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html>'));
let cdn = '';
/** @type {import('node:http').Server} */
let folder;

before(async () => {
  folder = await createStaticServer(SITE);
  folder.prependListener('request', (_, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  });
  for (const server of [folder, portal]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  cdn = `http://127.0.0.1:${/** @type {any} */ (folder.address()).port}`;
});
after(() => {
  for (const server of [folder, portal]) {
    server.closeAllConnections();
    server.close();
  }
});

/** @param {import('playwright-core').Page} page @param {string} url of classifier.js @param {string} [workerUrl] */
const startIn = (page, url, workerUrl) =>
  page.evaluate(
    async ([url, workerUrl]) => {
      const { createClassifier } = await import(url);
      return createClassifier({ workers: 1, workerUrl }).then(
        () => 'it started',
        (/** @type {any} */ { code, message }) => `${code}: ${message}`,
      );
    },
    /** @type {const} */ ([url, workerUrl]),
  );

test('a folder on another origin is named as the cause', async () => {
  const page = await site.browser.newPage();
  const own = `http://localhost:${/** @type {any} */ (portal.address()).port}`;
  await page.goto(own);
  const said = await startIn(page, `${cdn}/classifier.js`);
  assert.match(said, /^worker-failed: /);
  assert.ok(said.includes(cdn) && said.includes(own) && said.includes('another origin'), said);
});

test('so is a worker named by `workerUrl`; one that is merely missing is not', async () => {
  const { page } = await site.open();
  assert.match(await startIn(page, './classifier.js', `${cdn}/worker.js`), /^worker-failed: .*another origin/);
  const missing = await startIn(page, './classifier.js', 'no-such-worker.js');
  assert.match(missing, /^worker-failed: /);
  assert.doesNotMatch(missing, /another origin/);
});
