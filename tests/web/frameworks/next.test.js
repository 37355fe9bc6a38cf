/** The example for Next.js, installed, built and served by the real Next.js. Its packages are too large for `make test`: `make test-frameworks`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { file, PATIENCE, sample, stage } from '../support.js';
import { installed, mustRun } from '../package/project.js';

const site = stage();
/** @type {ReturnType<typeof installed>} */
let project;
/** @type {import('node:child_process').ChildProcess|undefined} */
let server;
let address = '';
before(async () => {
  project = installed();
  const { folder, tarball } = project;
  cpSync('web/examples/next', folder, { recursive: true });
  const path = join(folder, 'package.json');
  const example = JSON.parse(readFileSync(path, 'utf8'));
  example.dependencies.cxrlens = `file:${tarball}`;
  writeFileSync(path, JSON.stringify(example));
  process.env.NEXT_TELEMETRY_DISABLED = '1';
  mustRun(folder, 'npm', 'install', '--no-audit', '--no-fund');
  mustRun(folder, 'npm', 'run', 'build');
  server = spawn(process.execPath, ['node_modules/next/dist/bin/next', 'start', '--port', '0', '--hostname', '127.0.0.1'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  for await (const text of /** @type {import('node:stream').Readable} */ (server.stdout)) {
    said += text;
    address = said.match(/http:\/\/(?:127\.0\.0\.1|localhost):[1-9]\d*/)?.[0] ?? '';
    if (address) break;
  }
});
after(async () => {
  server?.kill();
  if (server && server.exitCode === null) await once(server, 'exit');
  project?.remove();
});

test('the server sends the tag, and the browser reads an image in a worker', async () => {
  assert.match(await (await fetch(address)).text(), /<cxr-lens[^>]*><\/cxr-lens>.*No image yet/);
  const page = await (await site.browser.newContext({ locale: 'en-US' })).newPage();
  page.setDefaultTimeout(PATIENCE);
  /** @type {string[]} */
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  await page.goto(address);
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('xray.jpg', sample, 'image/jpeg'));
  await page
    .getByRole('status')
    .filter({ hasText: /^xray\.jpg: covid-19$/ })
    .waitFor();
  assert.ok(page.workers().length > 0);
  assert.equal(await page.locator('cxr-lens').evaluate((lens) => /** @type {any} */ (lens).doubtThreshold), 0.95);
  assert.deepEqual(troubles, []);
});
