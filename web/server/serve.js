#!/usr/bin/env node
/**
 * Serves a folder of static files for `make run`: `node web/server/serve.js DIR`.
 *
 * The headers are those that a real host should send; `node web/server/serve.js --headers FILE` prints them as the
 * host whose settings are in a file of that name wants them: _headers (Netlify and others), .htaccess (Apache), nginx.conf,
 * Caddyfile. Environment: PORT (8080), HOST (localhost),
 * FRAME_ANCESTORS ('self': the pages that may embed ours, as in the header of that name).
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { readFile, realpath, stat } from 'node:fs/promises';
import { extname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.cxrm': 'application/octet-stream',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};
const COMPRESSED_ALREADY = new Set(['.jpeg', '.jpg', '.png', '.webp', '.woff2']);

/**
 * Headers of every answer.
 * @param {string} frameAncestors
 * @param {string} [connect] what scripts may fetch from
 */
export function securityHeaders(frameAncestors, connect = "'self'") {
  return {
    'Content-Security-Policy': [
      "default-src 'none'",
      "script-src 'self' 'wasm-unsafe-eval'",
      "style-src 'self'",
      "img-src 'self' blob: data:",
      `connect-src ${connect}`,
      "worker-src 'self'",
      "manifest-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      `frame-ancestors ${frameAncestors}`,
    ].join('; '),
    'Permissions-Policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  };
}

/** Content types that hosts may not know. */
const NEW_TYPES = /** @type {const} */ (['.wasm', '.webmanifest']);

/** How hosts write headers, by the names of their files. @type {Record<string, (headers: [string, string][]) => string[]>} */
const HOSTS = {
  _headers: (headers) => ['/*', ...headers.map(([name, value]) => `  ${name}: ${value}`)],
  '.htaccess': (headers) => [
    ...NEW_TYPES.map((end) => `AddType ${TYPES[end]} ${end}`),
    ...headers.map(([name, value]) => `Header always set ${name} "${value}"`),
  ],
  'nginx.conf': (headers) => [
    ...NEW_TYPES.map((end) => `location ~ \\${end}$ { types { } default_type ${TYPES[end]}; }`),
    ...headers.map(([name, value]) => `add_header ${name} "${value}" always;`),
  ],
  Caddyfile: (headers) => ['header {', ...headers.map(([name, value]) => `  ${name} "${value}"`), '}'],
};

/**
 * The headers of every answer as a host's settings; null for a file that is not known.
 * @param {string} file
 * @param {string} frameAncestors
 */
export function hostSettings(file, frameAncestors) {
  const headers = Object.entries({ ...securityHeaders(frameAncestors), 'Cache-Control': 'no-cache' });
  return Object.hasOwn(HOSTS, file) ? `${HOSTS[file](headers).join('\n')}\n` : null;
}

/** @typedef {{ type: string, stamp: string, etag: string, bodies: Map<string, Buffer> }} Entry */

const encoders = {
  br: (/** @type {Buffer} */ body) =>
    promisify(brotliCompress)(body, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 6, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
    }),
  gzip: (/** @type {Buffer} */ body) => promisify(gzip)(body, { level: 6 }),
};

/**
 * Name of the file that a request asks for, or null if it is not one below the root.
 * @param {string} root real path
 * @param {string} url
 */
async function findFile(root, url) {
  let path;
  try {
    path = decodeURIComponent(new URL(url, 'http://host').pathname);
  } catch {
    return null;
  }
  if (path.includes('\0') || path.includes('\\')) return null;
  if (path.endsWith('/')) path += 'index.html';
  try {
    const file = await realpath(resolve(root, `.${path}`));
    const inside = file.startsWith(root + sep) && !file.slice(root.length).includes(`${sep}.`);
    return inside && (await stat(file)).isFile() ? file : null;
  } catch {
    return null;
  }
}

/**
 * Reads a file, or takes it from the cache while the file has not changed.
 * @param {Map<string, Entry>} cache
 * @param {string} file
 */
async function load(cache, file) {
  const { mtimeMs, size } = await stat(file);
  const stamp = `${mtimeMs}-${size}`;
  const cached = cache.get(file);
  if (cached?.stamp === stamp) return cached;
  const body = await readFile(file);
  const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file).toLowerCase())] ?? 'application/octet-stream';
  const etag = createHash('sha256').update(body).digest('base64url').slice(0, 27);
  const entry = { type, stamp, etag, bodies: new Map([['identity', body]]) };
  cache.set(file, entry);
  return entry;
}

/**
 * The best encoding that both sides know.
 * @param {string} file
 * @param {string} accepted
 * @returns {'br' | 'gzip' | 'identity'}
 */
function chooseEncoding(file, accepted) {
  if (COMPRESSED_ALREADY.has(extname(file).toLowerCase())) return 'identity';
  const offers = new Set(
    accepted
      .split(',')
      .map((offer) => offer.trim().toLowerCase())
      .filter((offer) => !/;\s*q=0(\.0*)?$/.test(offer))
      .map((offer) => offer.split(';')[0].trim()),
  );
  return offers.has('br') ? 'br' : offers.has('gzip') ? 'gzip' : 'identity';
}

/**
 * @param {Entry} entry
 * @param {'br' | 'gzip' | 'identity'} encoding
 */
async function encode(entry, encoding) {
  const done = entry.bodies.get(encoding);
  if (done) return done;
  const body = await encoders[/** @type {'br' | 'gzip'} */ (encoding)](/** @type {Buffer} */ (entry.bodies.get('identity')));
  entry.bodies.set(encoding, body);
  return body;
}

/**
 * A server for the files below `root`; the caller makes it listen.
 * @param {string} root
 * @param {{ frameAncestors?: string, connect?: string }} [options]
 */
export async function createStaticServer(root, { frameAncestors = "'self'", connect } = {}) {
  const realRoot = await realpath(root);
  /** @type {Map<string, Entry>} */
  const cache = new Map();
  const always = securityHeaders(frameAncestors, connect);

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async function answer(request, response) {
    for (const [name, value] of Object.entries(always)) response.setHeader(name, value);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const file = await findFile(realRoot, request.url ?? '/');
    if (!file) {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Not found\n');
      return;
    }
    const entry = await load(cache, file);
    const encoding = chooseEncoding(file, String(request.headers['accept-encoding'] ?? ''));
    const etag = `"${entry.etag}-${encoding}"`;
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('ETag', etag);
    response.setHeader('Vary', 'Accept-Encoding');
    if (
      String(request.headers['if-none-match'] ?? '')
        .split(/\s*,\s*/)
        .includes(etag)
    ) {
      response.writeHead(304).end();
      return;
    }
    const body = await encode(entry, encoding);
    if (encoding !== 'identity') response.setHeader('Content-Encoding', encoding);
    response.writeHead(200, { 'Content-Type': entry.type, 'Content-Length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  return createServer((request, response) => {
    answer(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
}

async function main() {
  const [root, file = ''] = process.argv.slice(2);
  const frameAncestors = process.env.FRAME_ANCESTORS || "'self'";
  const settings = root === '--headers' ? hostSettings(file, frameAncestors) : null;
  if (settings) {
    process.stdout.write(settings);
    return;
  }
  if (!root || root.startsWith('--')) {
    console.error(`Usage: node web/server/serve.js DIR, or node web/server/serve.js --headers ${Object.keys(HOSTS).join('|')}`);
    process.exitCode = 2;
    return;
  }
  const port = Number(process.env.PORT || 8080);
  const host = process.env.HOST || 'localhost';
  const server = await createStaticServer(root, { frameAncestors });
  server.on('error', (error) => {
    console.error(`Cannot serve on ${host}:${port}: ${error.message}. Choose another port with PORT=8081.`);
    process.exitCode = 1;
  });
  server.listen(port, host, () => {
    const address = /** @type {import('node:net').AddressInfo} */ (server.address());
    console.log(`CXR Lens is on http://${host}:${address.port} (Ctrl+C stops it)`);
  });
}

if (process.argv[1] && fileURLToPath(import.meta.url) === (await realpath(process.argv[1]))) await main();
