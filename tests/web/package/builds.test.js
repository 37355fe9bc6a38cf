/** The installed package in browsers: a plain page, and builds by esbuild (React), Vite and webpack. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { build as esbuild } from 'esbuild';
import { build as vite } from 'vite';
import webpack from 'webpack';
import { createStaticServer } from '../../../web/server/serve.js';
import { chest, file, PATIENCE, stage } from '../support.js';
import { encode } from '../dicom/openjph.js';
import { dicomFile, encapsulated, radiograph } from '../dicom/write.js';
import { installed } from './project.js';

const site = stage();
/** @type {ReturnType<typeof installed>} */
let project;
/** @type {import('node:http').Server[]} */
const servers = [];
before(() => {
  project = installed();
});
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  project?.remove();
});

/** @param {string} name */
const inPackage = (name) => join(project.folder, 'node_modules/cxrlens/build/web', name);

/**
 * Serves a folder, under the policy of web/serve.js, and opens it.
 * @param {string} root
 * @param {string} path
 */
async function open(root, path) {
  const server = await createStaticServer(root);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const page = await (await site.browser.newContext({ locale: 'en-US' })).newPage();
  page.setDefaultTimeout(PATIENCE);
  /** @type {string[]} */
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/favicon/.test(message.location().url)) troubles.push(`${message.text()} ${message.location().url}`);
  });
  await page.goto(`http://localhost:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/${path}`);
  return { page, troubles };
}

const picture = { width: 64, height: 64, bits: 12, pixels: Uint16Array.from({ length: 4096 }, (_, i) => i) };
const dicom = dicomFile(radiograph(picture, { '7fe00010': null }), {
  syntax: '1.2.840.10008.1.2.4.201',
  tail: encapsulated([encode(picture)]),
});

/** Gives the page's element an image and waits for its portal's own line. @param {import('playwright-core').Page} page */
async function reads(page) {
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('xray.png', chest(1)));
  await page
    .getByRole('status')
    .filter({ hasText: /^xray\.png: (normal|covid-19|viral-pneumonia|lung-opacity|uncertain|not-a-chest-x-ray)/ })
    .waitFor();
  assert.ok(page.workers().length > 0, 'in a worker');
  const before = page.workers().length;
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('xray.dcm', dicom, ''));
  await page
    .getByRole('status')
    .filter({ hasText: /^xray\.dcm: [a-z]/ })
    .waitFor();
  assert.ok(page.workers().length > before, 'DICOM in another');
}

const APP = `
  import { createClassifier } from 'cxrlens';
  import 'cxrlens/define';
  const line = document.createElement('p');
  line.role = 'status';
  document.body.append(document.createElement('cxr-lens'), line);
  addEventListener('cxr-result', ({ detail }) => { line.textContent = detail.file + ': ' + detail.verdict; });
  window.createClassifier = createClassifier;`;

test('a plain page, served from node_modules', async () => {
  const { page, troubles } = await open(project.folder, 'node_modules/cxrlens/build/web/examples/element.html');
  await reads(page);
  assert.deepEqual(troubles, []);
});

test('esbuild: the example with React; the worker is a second entry, module and model are copied', async () => {
  const out = join(project.folder, 'react');
  mkdirSync(out);
  copyFileSync(inPackage('examples/react.html'), join(out, 'index.html'));
  copyFileSync(inPackage('examples/react.jsx'), join(project.folder, 'react.jsx'));
  for (const name of ['react', 'react-dom', 'scheduler'])
    symlinkSync(resolve('node_modules', name), join(project.folder, 'node_modules', name));
  await esbuild({
    absWorkingDir: project.folder,
    entryPoints: { react: './react.jsx', worker: 'cxrlens/worker', 'dicom-worker': 'cxrlens/dicom-worker' },
    outdir: out,
    bundle: true,
    minify: true,
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
  });
  for (const name of readdirSync(inPackage('.')).filter((name) => /\.(wasm|cxrm)$/.test(name)))
    copyFileSync(inPackage(name), join(out, name));
  const { page, troubles } = await open(out, '');
  await reads(page);
  const lens = page.locator('cxr-lens');
  assert.deepEqual(await lens.evaluate((lens) => [lens.hasAttribute('multiple'), lens.getAttribute('doubt-threshold')]), [true, '0.95']);
  assert.deepEqual(troubles, []);
});

test('Vite: worker, modules and model are found by themselves', async () => {
  const source = join(project.folder, 'vite');
  mkdirSync(source);
  writeFileSync(
    join(source, 'index.html'),
    '<!doctype html><html lang="en"><title>Vite</title><body><script type="module" src="./app.js"></script>',
  );
  writeFileSync(join(source, 'app.js'), APP);
  await vite({ root: source, logLevel: 'error', build: { outDir: 'dist' } });
  // Apart from the project, so that nothing of it can be fetched by chance.
  const out = join(project.folder, 'vite-dist');
  cpSync(join(source, 'dist'), out, { recursive: true });
  const { page, troubles } = await open(out, '');
  await reads(page);
  const { verdict, code } = await page.evaluate(
    async (bytes) => {
      const cxr = await /** @type {any} */ (window).createClassifier({ workers: 0 });
      const code = await cxr.classify(new Blob(['no image'])).catch((/** @type {any} */ error) => error.code);
      return { ...(await cxr.classify(new Uint8Array(bytes))), code };
    },
    [...chest(1)],
  );
  assert.equal(code, 'image-format');
  assert.equal(`xray.dcm: ${verdict}`, await page.locator('body > [role=status]').innerText());
  assert.deepEqual(troubles, []);
});

test('Vite with Vue: the example', async () => {
  const source = join(project.folder, 'vue');
  cpSync(inPackage('examples/vue'), source, { recursive: true });
  for (const name of ['vue', '@vitejs', 'vite']) symlinkSync(resolve('node_modules', name), join(project.folder, 'node_modules', name));
  const out = join(project.folder, 'vue-dist');
  await vite({ root: source, logLevel: 'error', build: { outDir: out } });
  const { page, troubles } = await open(out, '');
  await reads(page);
  const lens = page.locator('cxr-lens');
  assert.deepEqual(await lens.evaluate((lens) => [lens.hasAttribute('multiple'), lens.getAttribute('doubt-threshold')]), [true, '0.95']);
  assert.deepEqual(troubles, []);
});

test('webpack 5: the same, and nothing to warn of', async () => {
  const source = join(project.folder, 'webpack');
  const out = join(project.folder, 'webpack-dist');
  mkdirSync(source);
  writeFileSync(join(source, 'app.js'), APP);
  const stats = await new Promise((resolve, reject) => {
    const output = { path: out, filename: 'app.js' };
    webpack({ context: source, mode: 'production', entry: './app.js', output, performance: { hints: false } }, (error, stats) =>
      error ? reject(error) : resolve(stats),
    );
  });
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  assert.deepEqual(
    [...errors, ...warnings].map(({ message }) => message),
    [],
  );
  writeFileSync(join(out, 'index.html'), '<!doctype html><html lang="en"><title>webpack</title><body><script src="app.js"></script>');
  const { page, troubles } = await open(out, '');
  await reads(page);
  assert.deepEqual(troubles, []);
});
