/** Foreign pages that use the element or the frame: one with a strict policy, one with the frame of another origin. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { createStaticServer } from '../../../web/server/serve.js';
import { PATIENCE, SITE, stage } from '../support.js';

/** What a careful portal allows. */
export const STRICT = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

export const site = stage();
export const folder = mkdtempSync(join(tmpdir(), 'cxrlens-portal-'));
/** Origins: of a portal with the element, of one with the frame, and of the frame's host. */
export const origin = { element: '', frame: '', other: '', lens: '' };
/** @type {import('node:http').Server[]} */
export const servers = [];

/**
 * Serves a folder under a policy of its own, on an origin of its own.
 * @param {string} root
 * @param {string} policy
 */
export async function serve(root, policy) {
  const files = await createStaticServer(root);
  const server = createServer((request, response) => {
    const set = response.setHeader.bind(response);
    response.setHeader = (name, value) => set(name, name === 'Content-Security-Policy' ? policy : value);
    files.emit('request', request, response);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://localhost:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

before(async () => {
  cpSync(SITE, join(folder, 'element/cxrlens'), { recursive: true });
  writeFileSync(join(folder, 'element/later.cxrm'), laterFormat());
  origin.element = await serve(join(folder, 'element'), STRICT);
  origin.lens = await serve(SITE, 'frame-ancestors *');
  // The portal has the host's script and its own page, nothing else.
  mkdirSync(join(folder, 'frame/examples'), { recursive: true });
  cpSync(join(SITE, 'cxrlens-embed.js'), join(folder, 'frame/cxrlens-embed.js'));
  cpSync(join(SITE, 'examples/iframe.html'), join(folder, 'frame/examples/iframe.html'));
  writeFileSync(join(folder, 'frame/index.html'), '<!doctype html><title>Portal</title><div id="lens"></div>');
  writeFileSync(join(folder, 'frame/sibling.html'), '<!doctype html><title>Sibling</title><script src="sibling.js"></script>');
  writeFileSync(
    join(folder, 'frame/sibling.js'),
    `
    addEventListener('message', ({ data }) => parent.postMessage({ sibling: data }, '*'));
    parent.frames[0].postMessage({ messageId: 's', messageType: 'status.handshake', payload: { protocol: 1 } }, '*');
    parent.frames[0].postMessage({ messageId: 't', messageType: 'cxr.clear' }, '*');`,
  );
  const entry = readFileSync(join(SITE, 'embed.html'), 'utf8');
  assert.ok(entry.includes('content=""'));
  writeFileSync(join(folder, 'element/cxrlens/embed-fixed.html'), entry.replace('content=""', 'content="https://a.example ORIGIN"'));
  const script = readFileSync(join(SITE, 'examples/iframe.js'), 'utf8');
  assert.ok(script.includes('https://lens.example'));
  writeFileSync(join(folder, 'frame/examples/iframe.js'), script.replace('https://lens.example', origin.lens));
  origin.frame = await serve(join(folder, 'frame'), `default-src 'self'; frame-src ${origin.lens} ${origin.element}`);
  origin.other = await serve(
    join(folder, 'frame'),
    `default-src 'self'; frame-src 'self' ${origin.lens} ${origin.frame} ${origin.element}`,
  );
});
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

/** The published model with the number of a format that is yet to come. */
export function laterFormat() {
  const bytes = readFileSync(`${SITE}/cxrlens.cxrm`);
  bytes.writeUInt32LE(bytes.readUInt32LE(4) + 1, 4);
  return bytes;
}

/**
 * A page of a portal, and what it must never have: errors, and requests to origins that are not its own or allowed.
 * @param {string} url
 * @param {string[]} [also] allowed origins
 */
export async function visit(url, also = []) {
  const context = await site.browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  /** @type {string[]} */
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/favicon/.test(message.location().url)) troubles.push(`${message.text()} ${message.location().url}`);
  });
  context.on('request', (request) => {
    const where = new URL(request.url());
    if (where.protocol.startsWith('http') && ![new URL(url).origin, ...also].includes(where.origin)) troubles.push(`request to ${where}`);
  });
  await page.goto(url);
  return { context, page, troubles };
}

/** Waits for a line of the portal's own page. @param {import('playwright-core').Page} page @param {RegExp} pattern */
export async function answered(page, pattern) {
  await page.locator('#answer').filter({ hasText: pattern }).waitFor();
}
