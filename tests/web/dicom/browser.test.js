// browser.test.js - the reader in Chromium under the page's Content-Security-Policy: the codecs' WebAssembly, the lazy
// chunks and inflating work there too, and only what is needed is fetched.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { openDicom, toGray8, web } from './module.js';
import { encode } from './openjph.js';
import { dicomFile, encapsulated, radiograph } from './write.js';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `no ${CHROMIUM}`;
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";
const TYPES = /** @type {Record<string, string>} */ ({
  js: 'text/javascript',
  wasm: 'application/wasm',
  html: 'text/html',
});

const folder = mkdtempSync(join(tmpdir(), 'cxrlens-browser-'));
const pixels = Uint16Array.from({ length: 120 * 100 }, (_, i) => (i * 13) % 4096);
const picture = { width: 120, height: 100, bits: 12, pixels };
const image = radiograph(picture, { '00280120': ['US', 5] });
const { '7fe00010': _, ...description } = image;
const plain = dicomFile(image);
const bare = dicomFile(image, { header: false });

/** @type {Record<string, Buffer|undefined>} */
const files = {
  plain,
  deflated: Buffer.concat([dicomFile({}, { syntax: '1.2.840.10008.1.2.1.99' }), deflateRawSync(bare)]),
  jpegls: encoded('jpegls', 'dcmcjpls'),
  jpeg2000: encoded('jpeg2000', 'gdcmconv', '--j2k'),
  htj2k: dicomFile(description, { syntax: '1.2.840.10008.1.2.4.201', tail: encapsulated([encode(picture)]) }),
  lossless: encoded('lossless', 'dcmcjpeg', '+e1'),
};

/**
 * @param {string} name
 * @param {string} command
 * @param {string[]} options
 * @returns {Buffer|undefined} if the tool is there
 */
function encoded(name, command, ...options) {
  const [from, to] = [join(folder, `${name}.in`), join(folder, `${name}.dcm`)];
  writeFileSync(from, plain);
  return spawnSync(command, [...options, from, to]).status === 0 ? readFileSync(to) : undefined;
}

/** @type {string[]} */
let fetched = [];
const server = createServer((request, response) => {
  const name = (request.url ?? '/').slice(1).replace(/\?.*/, '');
  const file = files[name] ?? (name === 'page.html' ? Buffer.from('<!doctype html><title>DICOM</title>') : undefined);
  const path = new URL(name, web);
  if (!file && !(/^[\w-]+\.(js|wasm)$/.test(name) && existsSync(path))) return response.writeHead(404).end();
  fetched.push(name);
  response.writeHead(200, {
    'content-type': TYPES[name.split('.').pop() ?? ''] ?? 'application/octet-stream',
    'content-security-policy': POLICY,
  });
  return response.end(file ?? readFileSync(path));
});

/** @type {any} */
let browser;
before(async () => {
  if (skip) return;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { chromium } = await import('playwright-core');
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--no-first-run',
    ],
  });
});
after(async () => {
  await browser?.close();
  server.close();
  rmSync(folder, { recursive: true });
});

for (const [name, file] of Object.entries(files)) {
  test(`${name} opens in the browser as in Node`, {
    skip: skip || (file ? false : 'needs the Debian packages dcmtk and libgdcm-tools'),
  }, async () => {
    const page = await browser.newPage();
    const origin = `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`;
    await page.goto(`${origin}/page.html`);
    fetched = [];
    const shades = await page.evaluate(async (/** @type {string} */ name) => {
      // @ts-expect-error the page's own module
      const { openDicom, toGray8 } = await import('/dicom.js');
      const bytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
      return [...toGray8(await (await openDicom(bytes)).frame(0))];
    }, name);
    const expected = toGray8(await (await openDicom(plain)).frame(0));
    assert.deepEqual(shades, [...expected]);
    const codec =
      /** @type {Record<string, string[]>} */ ({
        jpegls: ['dicom-jpegls.wasm', 'jpegls.js'],
        jpeg2000: ['dicom-jpeg2000.wasm', 'jpeg2000.js'],
        htj2k: ['dicom-jpeg2000.wasm', 'jpeg2000.js'],
        lossless: ['jpeg.js'],
      })[name] ?? [];
    assert.deepEqual(
      fetched
        .filter((other) => other !== name && !other.startsWith('chunk-'))
        .map((other) => other.replace(/-[0-9A-Z]{8}\.js$/, '.js'))
        .sort(),
      ['dicom.js', ...codec].sort(),
    );
    await page.close();
  });
}
