// places.js - the places to measure in: a process of Node, or a page of headless Chromium, fresh each time. Both call one
// exported function of one file of ../measure/ and hand back what it returns. The page sends that to the server by itself:
// a browser that is driven reports each request and each of its packets, at the measurement's cost.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from './server.js';

/**
 * @typedef {object} Place
 * @property {string} name with its version
 * @property {(file: string, name: string, args?: unknown[], options?: { isolated?: boolean }) => Promise<any>} call
 * @property {() => Promise<void>} close
 *
 * @typedef {Place & { requests: (path: string) => Promise<string[]> }} Browser requests: paths that a page of ours asks for
 */

const executable = process.env.CHROMIUM ?? '/usr/bin/chromium';

/**
 * @param {boolean} relaxed with relaxed SIMD, where a flag gives it; without it: what users of that Node get
 * @returns {Place}
 */
export function openNode(relaxed) {
  const flags = relaxed ? relaxedFlags() : [];
  const child = fileURLToPath(new URL('child.js', import.meta.url));
  return {
    name: `Node ${process.versions.node}`,
    call: (file, name, args = []) =>
      new Promise((resolve, reject) => {
        const node = spawn(process.execPath, [...flags, child, file, name, JSON.stringify(args)], { stdio: ['ignore', 'pipe', 'inherit'] });
        let output = '';
        node.stdout.on('data', (data) => {
          output += data;
        });
        node.on('error', reject);
        node.on('close', (code) =>
          code === 0
            ? resolve(JSON.parse(output.slice(output.lastIndexOf('\n') + 1)))
            : reject(new Error(`${file} ${name} in Node: exit ${code}`)),
        );
      }),
    close: async () => {},
  };
}

/** Node 20 has relaxed SIMD behind a flag, later ones without. */
function relaxedFlags() {
  const flag = '--experimental-wasm-relaxed-simd';
  return Number(process.versions.node.split('.')[0]) < 22 && spawnSync(process.execPath, [flag, '-e', '']).status === 0 ? [flag] : [];
}

/** @returns {Promise<Browser|null>} null: there is no Chromium */
export async function openChromium() {
  if (!existsSync(executable)) return null;
  const servers = { plain: await serve(false), isolated: await serve(true) };
  const browser = await chromium.launch({
    executablePath: executable,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--no-first-run',
    ],
  });
  const session = await browser.newBrowserCDPSession();
  return {
    name: `Chromium ${browser.version()}`,
    async call(file, name, args = [], { isolated = false } = {}) {
      const server = isolated ? servers.isolated : servers.plain;
      const { browserContextId } = await session.send('Target.createBrowserContext');
      try {
        const { id, answer } = server.expectAnswer();
        const query = new URLSearchParams({ id, file, name, args: JSON.stringify(args) });
        await session.send('Target.createTarget', { url: `${server.url}tests/bench/place/page.html?${query}`, browserContextId });
        const { value, error } = await answer;
        if (error) throw new Error(`${file} ${name} in Chromium: ${error}`);
        return value;
      } finally {
        await session.send('Target.disposeBrowserContext', { browserContextId });
      }
    },
    async requests(path) {
      const context = await browser.newContext({ serviceWorkers: 'block' });
      const page = await context.newPage();
      /** @type {Set<string>} */
      const paths = new Set();
      context.on('request', (request) => paths.add(new URL(request.url()).pathname.slice(1)));
      await page.goto(servers.plain.url + path, { waitUntil: 'networkidle' });
      await context.close();
      return [...paths].filter((asked) => asked.startsWith('build/web/'));
    },
    async close() {
      await browser.close();
      servers.plain.close();
      servers.isolated.close();
    },
  };
}
