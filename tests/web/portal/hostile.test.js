// hostile.test.js - a PACS that misbehaves: every answer ends in a typed error, within its limits of time and memory, and no
// credential goes to another origin.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { dicomWeb } from '../../../web/dicomweb.js';
import { dicomFile, radiograph } from '../dicom/write.js';
import { MULTIPART, element, multipart, pour, sendJson, withServer } from './server.js';

const MIB = 2 ** 20;
const limits = { seconds: 3, idle: 1, bytes: 4 * MIB, images: 50 };
const image = { studyUid: '1.2', seriesUid: '1.2.3', instanceUid: '1.2.3.4', sopClass: '', modality: 'DX', view: '', name: 'DX' };
const instance = (/** @type {string} */ uid) =>
  dicomFile(radiograph({ width: 32, height: 32, pixels: new Uint8Array(1024) }, { '00080018': ['UI', uid] }));
const HEAD = Buffer.from('--edge\r\nContent-Type: application/dicom\r\n\r\n');

/** @param {Promise<unknown>} promise @param {string} code @param {number} [seconds] until it must have failed */
async function fails(promise, code, seconds = 2.9) {
  const start = performance.now();
  await assert.rejects(promise, { name: 'DicomWebError', code });
  assert.ok(performance.now() - start < 1000 * seconds, `after ${performance.now() - start} ms`);
}

/** @type {[string, string, import('./server.js').Handler][]} */
const RETRIEVALS = [
  [
    'a part without an end',
    'pacs-size',
    (request, response) => {
      response.writeHead(200, MULTIPART).write(HEAD);
      pour(request, response, Buffer.alloc(65536));
    },
  ],
  [
    'a part of nothing but line ends',
    'pacs-size',
    (request, response) => {
      response.writeHead(200, MULTIPART).write(HEAD);
      pour(request, response, Buffer.alloc(65536, '\r'));
    },
  ],
  [
    'a preamble without an end',
    'pacs-corrupt',
    (request, response) => pour(request, response.writeHead(200, MULTIPART), Buffer.alloc(65536, 'x')),
  ],
  [
    'a header without an end',
    'pacs-corrupt',
    (request, response) => {
      response.writeHead(200, MULTIPART).write('--edge\r\n');
      pour(request, response, Buffer.from('X-Y: z\r\n'.repeat(512)));
    },
  ],
  [
    'parts without an end, none of them DICOM',
    'pacs-type',
    (request, response) =>
      pour(request, response.writeHead(200, MULTIPART), Buffer.from('--edge\r\nContent-Type: application/dicom\r\n\r\nx\r\n')),
  ],
  [
    'DICOM without an end and without parts',
    'pacs-size',
    (request, response) => pour(request, response.writeHead(200, { 'Content-Type': 'application/dicom' }), Buffer.alloc(65536)),
  ],
  [
    'an answer that says that it has 1 GB',
    'pacs-size',
    (request, response) => pour(request, response.writeHead(200, { ...MULTIPART, 'Content-Length': 2 ** 30 }), Buffer.alloc(65536)),
  ],
  [
    'a part that says that it has 1 GB',
    'pacs-size',
    (request, response) => {
      response.writeHead(200, MULTIPART).write('--edge\r\nContent-Length: 1073741824\r\n\r\n');
      pour(request, response, Buffer.alloc(1024));
    },
  ],
  ['1 GB in a few bytes', 'pacs-size', (_, response) => response.writeHead(200, { ...MULTIPART, 'Content-Encoding': 'gzip' }).end(bomb)],
  ['another boundary', 'pacs-corrupt', (_, response) => response.writeHead(200, MULTIPART).end(multipart([instance('1.2.3.4')], 'ridge'))],
  [
    'no boundary',
    'pacs-type',
    (_, response) => response.writeHead(200, { 'Content-Type': 'multipart/related' }).end(multipart([instance('1.2.3.4')])),
  ],
  ['HTML', 'pacs-type', (_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Log in</h1>')],
  ['no type', 'pacs-type', (_, response) => response.writeHead(200).end(instance('1.2.3.4'))],
  [
    'a part of HTML',
    'pacs-type',
    (_, response) => response.writeHead(200, MULTIPART).end(multipart([Buffer.from('<h1>')], 'edge', 'text/html')),
  ],
  ['HTML that is called DICOM', 'pacs-type', (_, response) => response.writeHead(200, MULTIPART).end(multipart([Buffer.from('<h1>')]))],
  ['the image of another patient', 'pacs-type', (_, response) => response.writeHead(200, MULTIPART).end(multipart([instance('1.2.3.44')]))],
  ['no part', 'pacs-corrupt', (_, response) => response.writeHead(200, MULTIPART).end('--edge--')],
  [
    'half an image',
    'pacs-corrupt',
    (_, response) => response.writeHead(200, MULTIPART).end(multipart([instance('1.2.3.4')]).subarray(0, 900)),
  ],
  [
    'a connection that breaks',
    'pacs-network',
    (_, response) => {
      response.writeHead(200, MULTIPART).write(HEAD);
      setTimeout(() => response.destroy(), 50);
    },
  ],
  [
    'a drip, slower than the limit of one image',
    'pacs-timeout',
    (_, response) => {
      response.writeHead(200, MULTIPART).write(HEAD);
      const timer = setInterval(() => response.write('x'), 100);
      response.on('close', () => clearInterval(timer));
    },
  ],
  ['an answer that stops in the middle', 'pacs-timeout', (_, response) => response.writeHead(200, MULTIPART).write(HEAD)],
  ['no answer', 'pacs-timeout', () => {}],
];
const bomb = gzipSync(Buffer.concat([HEAD, Buffer.alloc(256 * MIB)]));

for (const [what, code, handler] of RETRIEVALS) {
  test(`${what} is ${code}; the connection is closed and nothing more is read`, async () => {
    await withServer(handler, async (server) => {
      const before = process.memoryUsage().arrayBuffers;
      await fails(dicomWeb(server.root, { limits }).retrieve(image), code, limits.seconds + 0.5);
      assert.ok(process.memoryUsage().arrayBuffers - before < 64 * MIB);
      // What lies in the buffers of the sockets comes on top of what was read.
      assert.ok(server.sent < limits.bytes + 16 * MIB, `${server.sent} bytes`);
      // The server learns of the end a little later.
      for (let last = -1, turns = 0; last !== server.sent; turns++) {
        assert.ok(turns < 20, 'the server still sends');
        last = server.sent;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
  });
}

test('without limits of its own a request takes at most two minutes and 256 MiB', async () => {
  await withServer(
    (request, response) => pour(request, response.writeHead(200, { ...MULTIPART, 'Content-Length': 300 * MIB }), Buffer.alloc(65536)),
    ({ root }) => fails(dicomWeb(root).retrieve(image), 'pacs-size'),
  );
});

test('a fetch that heeds no signal does not outlast the limit', async () => {
  const never = () => new Promise(() => {});
  await fails(
    dicomWeb('http://127.0.0.1:9', { fetch: /** @type {any} */ (never), limits: { seconds: 0.2 } }).retrieve(image),
    'pacs-timeout',
    1,
  );
  await withServer(
    (_, response) => response.writeHead(200, MULTIPART).write(HEAD),
    ({ root }) => fails(dicomWeb(root, { fetch: (url) => fetch(url), limits: { seconds: 0.2 } }).retrieve(image), 'pacs-timeout', 1),
  );
});

// ---- Listings -----------------------------------------------------------------------------------

const series = [{ ...element('0020000E', '1.2.3'), ...element('00080060', 'DX') }];
/** @type {[string, string, import('./server.js').Handler][]} */
const LISTINGS = [
  ['a login page', 'pacs-type', (_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Log in</h1>')],
  ['JSON that is none', 'pacs-type', (_, response) => response.writeHead(200, { 'Content-Type': 'application/dicom+json' }).end('[{')],
  ['JSON that is no list', 'pacs-type', (_, response) => sendJson(response, { a: 1 })],
  ['a list of nulls', 'pacs-type', (_, response) => sendJson(response, [null])],
  [
    'JSON nested a million deep',
    'pacs-type',
    (_, response) => response.writeHead(200, { 'Content-Type': 'application/dicom+json' }).end('['.repeat(1_000_000)),
  ],
  [
    'a list without an end',
    'pacs-size',
    (request, response) =>
      pour(request, response.writeHead(200, { 'Content-Type': 'application/dicom+json' }), Buffer.from('[],'.repeat(20000))),
  ],
  [
    'a page again and again, for ever with other images',
    'pacs-size',
    ({ url = '' }, response) => {
      const offset = Number(/offset=(\d+)/.exec(url)?.[1]);
      sendJson(
        response,
        url.includes('/instances') ? Array.from({ length: 100 }, (_, k) => element('00080018', `1.2.3.${offset + k}`)) : series,
      );
    },
  ],
  [
    'elements of the wrong kind',
    'pacs-empty',
    ({ url = '' }, response) =>
      sendJson(
        response,
        url.includes('/instances')
          ? [{ '00080018': { Value: [{ a: 1 }] } }, { '00080018': null }, { '00080018': { Value: 'x' } }, element('00080018', '../../1')]
          : [...series, element('0020000E', '1/..'), {}],
      ),
  ],
];
for (const [what, code, handler] of LISTINGS) {
  test(`listing: ${what} is ${code}`, async () => {
    await withServer(handler, ({ root }) => fails(dicomWeb(root, { limits }).images('1.2').next(), code));
  });
}

test('a PACS that does not know `offset` gives the same page twice: that is the end', async () => {
  const page = Array.from({ length: 100 }, (_, k) => element('00080018', `1.2.3.${k}`));
  await withServer(
    ({ url = '' }, response) => sendJson(response, url.includes('/instances') ? page : series),
    async ({ root, asked }) => {
      assert.equal((await dicomWeb(root).search('1.2')).length, 100);
      assert.equal(asked.length, 3);
    },
  );
});

// ---- Redirects ----------------------------------------------------------------------------------

const withToken = (/** @type {string} */ url, /** @type {RequestInit} */ init) =>
  fetch(url, { ...init, headers: { ...init.headers, Authorization: 'Bearer secret', 'X-Key': 'secret' } });

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirect (${status}) is not followed: no request and no credential reaches the other origin`, async () => {
    await withServer(
      (_, response) => response.end(),
      async (other) => {
        await withServer(
          (_, response) => response.writeHead(status, { Location: `${other.root}/studies` }).end(),
          async ({ root }) => {
            const pacs = dicomWeb(root, { fetch: withToken, limits });
            for (const failing of [pacs.search('1.2'), pacs.retrieve(image), pacs.store([instance('1.2')])])
              await fails(failing, 'pacs-redirect');
            assert.deepEqual(other.asked, []);
          },
        );
      },
    );
  });
}

test('what a fetch brings that follows redirects all the same is not taken', async () => {
  await withServer(
    (_, response) => response.writeHead(200, MULTIPART).end(multipart([instance('1.2.3.4')])),
    async (other) => {
      await withServer(
        (_, response) => response.writeHead(302, { Location: other.root }).end(),
        async ({ root }) => {
          await fails(dicomWeb(root, { fetch: (url) => fetch(url) }).retrieve(image), 'pacs-redirect');
        },
      );
    },
  );
});

// ---- Ends ---------------------------------------------------------------------------------------

test('an abort ends what runs and closes the connection; nothing is asked after it', async () => {
  await withServer(
    (request, response) => {
      response.writeHead(200, MULTIPART).write(HEAD);
      pour(request, response, Buffer.alloc(1024));
    },
    async (server) => {
      const abort = new AbortController();
      const pacs = dicomWeb(server.root, { limits: { bytes: 1024 * MIB } });
      await fails(pacs.retrieve(image, { signal: abort.signal, onProgress: () => abort.abort() }), 'aborted');
      await fails(pacs.images('1.2', { signal: abort.signal }).next(), 'aborted');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual([server.asked.length, server.left], [1, 1]);
    },
  );
});

test('a server that speaks no HTTP is pacs-network', async () => {
  const raw = createServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n')).listen(0, '127.0.0.1');
  await once(raw, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (raw.address());
  await fails(dicomWeb(`http://127.0.0.1:${port}`).retrieve(image), 'pacs-network');
  raw.close();
});
