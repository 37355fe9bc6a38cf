// orthanc.js - a real PACS on loopback: Debian's Orthanc with its DICOMweb plugin and a storage folder of its own, behind a
// gateway that does what Orthanc leaves to one: it asks for a token and allows the portal's origin (CORS).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ORTHANC = '/usr/sbin/Orthanc';
const PLUGIN = '/usr/share/orthanc/plugins/libOrthancDicomWeb.so';
const START_MS = 30_000;

/** Why there is no PACS here, or false. */
export const noOrthanc = existsSync(ORTHANC) && existsSync(PLUGIN) ? false : 'needs the Debian packages orthanc and orthanc-dicomweb';

async function freePort() {
  const socket = createSocket().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (socket.address());
  socket.close();
  await once(socket, 'close');
  return port;
}

/**
 * Starts Orthanc; it takes about a second.
 * @returns {Promise<{ port: number, root: string, stop: () => Promise<void> }>}
 */
export async function startOrthanc() {
  const folder = mkdtempSync(join(tmpdir(), 'cxrlens-orthanc-'));
  const port = await freePort();
  const storage = join(folder, 'storage');
  mkdirSync(storage);
  const settings = join(folder, 'orthanc.json');
  writeFileSync(
    settings,
    JSON.stringify({
      Name: 'cxrlens-test',
      StorageDirectory: storage,
      IndexDirectory: storage,
      HttpPort: port,
      DicomServerEnabled: false,
      RemoteAccessAllowed: false,
      AuthenticationEnabled: false,
      Plugins: [PLUGIN],
      DicomWeb: { Enable: true, Root: '/dicom-web/' },
    }),
  );
  const child = spawn(ORTHANC, [settings], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => (said = (said + text).slice(-4000)));
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL'); // its storage goes with it
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (const start = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (
      await fetch(`http://127.0.0.1:${port}/system`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { port, root: `http://127.0.0.1:${port}/dicom-web`, stop };
    if (child.exitCode === null && Date.now() - start < START_MS) continue;
    await stop();
    throw new Error(`Orthanc did not start: ${said}`);
  }
}

/**
 * @typedef {object} Gateway
 * @property {string} root
 * @property {string[]} asked method and path of each request that came through
 * @property {(url: string) => Promise<void>|void} before what is waited for before a request is passed on
 * @property {() => void} close
 */

/**
 * What stands before a PACS on the network of a clinic.
 * @param {object} options
 * @param {number} options.port of the PACS
 * @param {string} options.origin of the portal's pages
 * @param {string} options.token that every request has to bring
 * @param {number} [options.listen] default: a free port
 * @returns {Promise<Gateway>}
 */
export async function startGateway({ port, origin, token, listen = 0 }) {
  const cors = {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Methods': 'GET, POST',
    Vary: 'Origin',
    'Access-Control-Allow-Headers': 'Authorization, Accept, Content-Type',
    'Access-Control-Max-Age': '600',
  };
  /** @type {Gateway} */
  const gateway = {
    root: '',
    asked: [],
    before: () => {},
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    if (method === 'OPTIONS') return response.writeHead(204, cors).end();
    if (headers.authorization !== `Bearer ${token}`) return response.writeHead(401, cors).end();
    gateway.asked.push(`${method} ${url}`);
    await gateway.before(String(url));
    // Compressing pixels takes the PACS several times as long as sending them.
    const asked = { ...headers, host: `127.0.0.1:${port}`, 'accept-encoding': 'identity' };
    const forward = ask({ host: '127.0.0.1', port, method, path: url, headers: asked }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...cors });
      answer.pipe(response);
    });
    forward.on('error', () => response.destroy());
    response.on('close', () => forward.destroy());
    return request.pipe(forward);
  });
  server.listen(listen, '127.0.0.1');
  await once(server, 'listening');
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  gateway.root = `http://127.0.0.1:${address.port}/dicom-web`;
  return gateway;
}
