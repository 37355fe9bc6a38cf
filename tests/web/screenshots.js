/**
 * Pictures of the page for the README and the manifest, with a synthetic chest X-ray: `node tests/web/screenshots.js`.
 * They are part of the repository, so run this after the page or the model has changed, and look at them.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { createStaticServer } from '../../web/server/serve.js';
import { FLAGS, SITE, idle, ready } from './support.js';

const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 400, height: 800 };
/** @type {[string, { width: number, height: number }, 'light' | 'dark'][]} */
const PICTURES = [
  ['web/screenshots/desktop-light.png', WIDE, 'light'],
  ['web/screenshots/desktop-dark.png', WIDE, 'dark'],
  ['web/screenshots/phone-light.png', PHONE, 'light'],
  ['web/screenshots/phone-dark.png', PHONE, 'dark'],
  ['web/icons/wide.png', WIDE, 'light'],
  ['web/icons/narrow.png', PHONE, 'light'],
];

/** 255 colours, dithered, are enough for these and make them half as large. */
const SHRINK = `
import sys
from PIL import Image
for path in sys.argv[1:]:
    picture = Image.open(path).convert("RGB")
    picture.quantize(palette=picture.quantize(255), dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
`;

mkdirSync('web/screenshots', { recursive: true });
const server = await createStaticServer(SITE);
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
for (const [path, viewport, colorScheme] of PICTURES) {
  const page = await browser.newPage({ viewport, colorScheme, locale: 'en-US', serviceWorkers: 'block' });
  await page.goto(`http://localhost:${port}/`);
  await ready(page);
  await page.locator('[data-sample="synthetic-covid-19-1.jpg"]').click();
  await idle(page, 1);
  await page.evaluate(() => scrollTo(0, 0)); // the samples are further down
  await page.waitForTimeout(400); // the map fades in
  await page.screenshot({ path });
  await page.close();
}
await browser.close();
server.closeAllConnections();
server.close();
execFileSync(process.env.PYTHON ?? '/usr/bin/python3', ['-c', SHRINK, ...PICTURES.map(([path]) => path)]);
