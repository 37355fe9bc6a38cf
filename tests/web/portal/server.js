// server.js - a server on loopback for the tests of the DICOMweb client: it behaves or misbehaves as each test wants, and
// remembers what it was asked and how much it sent.
import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * @typedef {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void} Handler
 *
 * @typedef {object} Server
 * @property {string} root of its DICOMweb service
 * @property {{ method: string, url: string, headers: import('node:http').IncomingHttpHeaders }[]} asked
 * @property {number} sent bytes of answers that were made by `pour`
 * @property {number} left answers that the client left before their end
 */

/**
 * Runs a test against a server.
 * @param {Handler} handler
 * @param {(server: Server) => Promise<void>} use
 */
export async function withServer(handler, use) {
  const http = createServer((request, response) => {
    server.asked.push({ method: String(request.method), url: String(request.url), headers: request.headers });
    response.on('close', () => (server.left += response.writableFinished ? 0 : 1));
    handler(request, response);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  /** @type {Server} */
  const server = { root: `http://127.0.0.1:${port}/dicom-web`, asked: [], sent: 0, left: 0 };
  servers.set(http, server);
  try {
    await use(server);
  } finally {
    http.closeAllConnections();
    http.close();
  }
}

/** @type {WeakMap<object, Server>} */
const servers = new WeakMap();

/**
 * Sends the same bytes for ever, as fast as the client takes them.
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 * @param {Buffer} bytes
 */
export async function pour(request, response, bytes) {
  const server = /** @type {Server} */ (servers.get(/** @type {any} */ (request.socket).server));
  let open = true;
  response.on('close', () => (open = false));
  while (open) {
    server.sent += bytes.length;
    if (!response.write(bytes)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

/** @param {import('node:http').ServerResponse} response @param {unknown} value @param {number} [status] */
export const sendJson = (response, value, status = 200) =>
  response.writeHead(status, { 'Content-Type': 'application/dicom+json' }).end(JSON.stringify(value));

/** An element of DICOM JSON. @param {string} tag @param {...unknown} values */
export const element = (tag, ...values) => ({ [tag]: { vr: 'UN', Value: values } });

/** @param {Uint8Array[]} parts @param {string} [boundary] @param {string} [type] of a part */
export const multipart = (parts, boundary = 'edge', type = 'application/dicom') =>
  Buffer.concat([
    ...parts.flatMap((part) => [Buffer.from(`--${boundary}\r\nContent-Type: ${type}\r\n\r\n`), part, Buffer.from('\r\n')]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);

export const MULTIPART = { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=edge' };
