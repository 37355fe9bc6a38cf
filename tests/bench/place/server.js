// server.js - serves the repository to the benchmark's own browser, on this computer only.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../', import.meta.url);
/** @type {Record<string, string>} */
const types = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.html': 'text/html',
  '.jpg': 'image/jpeg',
};

/** A page that crashed says nothing. */
const longestMs = 30 * 60 * 1000;

/**
 * @typedef {{ value?: any, error?: string }} Answer
 *
 * @param {boolean} isolated with the headers that give the page its finest clock, and threads
 * @returns {Promise<{ url: string, expectAnswer: () => { id: string, answer: Promise<Answer> }, close: () => void }>}
 *   expectAnswer: of the page that posts to /answer/ID
 */
export function serve(isolated) {
  /** @type {Map<string, (answer: Answer) => void>} */
  const expected = new Map();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (request.method === 'POST') {
      const answer = await json(request);
      response.writeHead(204).end();
      expected.get(url.pathname.slice('/answer/'.length))?.(/** @type {Answer} */ (answer));
      return;
    }
    const path = fileURLToPath(new URL(`.${url.pathname}`, root));
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    if (!path.startsWith(fileURLToPath(root)) || !existsSync(path) || !statSync(path).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream', 'Cache-Control': 'no-store' });
    response.end(readFileSync(path)); // at once, as a host with a warm cache does
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      resolve({
        url: `http://127.0.0.1:${port}/`,
        expectAnswer() {
          const id = randomUUID();
          const answer = new Promise((resolve) => {
            expected.set(id, resolve);
            setTimeout(() => resolve({ error: 'no answer' }), longestMs).unref();
          });
          return { id, answer };
        },
        close: () => server.close(),
      });
    }),
  );
}
