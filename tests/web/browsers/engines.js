/**
 * Three browser engines behind one face. Chromium and Firefox are driven by puppeteer-core, the second over WebDriver BiDi;
 * WebKitGTK by plain WebDriver over HTTP, on a screen of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { FLAGS, PATIENCE } from '../support.js';

/**
 * @typedef {object} Engine one page in one browser
 * @property {(url: string) => Promise<void>} open
 * @property {(script: Function, ...args: any[]) => Promise<any>} run a function, in the page; arguments and result are JSON
 * @property {(paths: string[]) => Promise<void>} pick files in the element's own input
 * @property {() => Promise<void>} close
 */

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
const WEBKIT = ['/usr/bin/WebKitWebDriver', '/usr/bin/Xvfb', '/usr/bin/dbus-run-session'];
const MINI_BROWSER = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/webkit2gtk-4.1/MiniBrowser`)
  .find((path) => existsSync(path));

/** @type {{ name: string, packages: string, installed: boolean, start: () => Promise<Engine> }[]} */
export const ENGINES = [
  {
    name: 'Chromium',
    packages: 'chromium',
    installed: existsSync(CHROMIUM),
    start: () => driven({ browser: 'chrome', executablePath: CHROMIUM, args: FLAGS }),
  },
  {
    name: 'Firefox',
    packages: 'firefox-esr',
    installed: existsSync(FIREFOX),
    start: () => driven({ browser: 'firefox', executablePath: FIREFOX }),
  },
  {
    name: 'WebKit',
    packages: 'webkit2gtk-driver xvfb dbus',
    installed: MINI_BROWSER !== undefined && WEBKIT.every((path) => existsSync(path)),
    start: startWebKit,
  },
];

/** @param {import('puppeteer-core').LaunchOptions} options @returns {Promise<Engine>} */
async function driven(options) {
  const browser = await puppeteer.launch({ headless: true, protocolTimeout: 2 * PATIENCE, ...options });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  return {
    open: async (url) => void (await page.goto(url)),
    run: (script, ...args) => page.evaluate(/** @type {any} */ (script), ...args),
    pick: async (paths) => {
      const input = await page.evaluateHandle(() => document.querySelector('cxr-lens')?.shadowRoot?.querySelector('input[type=file]'));
      await /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (input).uploadFile(...paths);
    },
    close: () => browser.close(),
  };
}

// ---- WebKit ---------------------------------------------------------------------------------------------------

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** How WebDriver names an element in JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/**
 * WebDriver's script that runs a function in the page and tells its result, as JSON in which keys stay in their order, or its
 * failure. The page's policy forbids eval.
 * @param {Function} script
 */
const runner = (script) => `const [args, tell] = arguments;
(async () => (${script})(...args))().then((value) => tell({ value: JSON.stringify(value) }), (error) => tell({ error: String(error) + error?.stack }));`;

/** @returns {Promise<Engine>} */
async function startWebKit() {
  const home = mkdtempSync(join(tmpdir(), 'cxrlens-webkit-')); // 0700, as a runtime folder has to be
  const screen = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], { stdio: QUIET });
  const [display] = await once(screen.stdout, 'data');
  const port = await freePort();
  const bus = spawn('dbus-run-session', ['--', 'sh', '-c', 'echo $$; exec WebKitWebDriver -p "$0"', String(port)], {
    stdio: QUIET,
    env: {
      ...process.env,
      DISPLAY: `:${String(display).trim()}`,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      LIBGL_ALWAYS_SOFTWARE: '1',
      // Its sandbox wants user namespaces, which root in a container may not have.
      ...(process.getuid?.() === 0 ? { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' } : {}),
    },
  });
  const [driver] = await once(bus.stdout, 'data');
  const end = async () => {
    const ended = once(bus, 'exit'); // which it does with its program
    const own = Number(driver);
    const browsers = readFileSync(`/proc/${own}/task/${own}/children`, 'utf8').match(/\d+/g) ?? []; // which the driver may leave behind
    process.kill(own);
    for (const pid of browsers) {
      try {
        process.kill(Number(pid));
      } catch {
        /* it has ended by itself */
      }
    }
    await ended;
    screen.kill();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  return session(`http://127.0.0.1:${port}/session`, end).catch(async (error) => {
    await end();
    throw error;
  });
}

/** @type {['ignore', 'pipe', 'ignore']} */
const QUIET = ['ignore', 'pipe', 'ignore'];

/** @param {string} driver @param {() => Promise<void>} end @returns {Promise<Engine>} */
async function session(driver, end) {
  /** @param {string} path @param {object} body */
  const ask = async (path, body) => {
    const response = await fetch(driver + path, { method: 'POST', body: JSON.stringify(body) });
    const { value } = /** @type {any} */ (await response.json());
    if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  const options = { binary: MINI_BROWSER, args: ['--automation'] };
  const wanted = { capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': options } } };
  const { sessionId } = await patiently(() => ask('', wanted));
  await ask(`/${sessionId}/timeouts`, { script: 2 * PATIENCE, pageLoad: PATIENCE });
  return {
    open: (url) => ask(`/${sessionId}/url`, { url }),
    run: async (script, ...args) => {
      const { value, error } = await ask(`/${sessionId}/execute/async`, { script: runner(script), args: [args] });
      if (error) throw new Error(error);
      return value === undefined || value === null ? undefined : JSON.parse(value);
    },
    pick: async (paths) => {
      const script = "return document.querySelector('cxr-lens').shadowRoot.querySelector('input[type=file]')";
      const { [ELEMENT]: input } = await ask(`/${sessionId}/execute/sync`, { script, args: [] });
      await ask(`/${sessionId}/element/${input}/value`, { text: paths.join('\n') });
    },
    close: async () => {
      await fetch(`${driver}/${sessionId}`, { method: 'DELETE' }); // which ends the browser
      await end();
    },
  };
}

/** Until the driver listens. @template T @param {() => Promise<T>} start @returns {Promise<T>} */
async function patiently(start) {
  for (const until = Date.now() + PATIENCE; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    try {
      return await start();
    } catch (error) {
      // `fetch` throws a TypeError where nobody answers yet.
      if (!(error instanceof TypeError) || Date.now() > until) throw error;
    }
  }
}
