/** The script for pages without modules: one file, whose integrity the page may ask for, and which needs no other script but the workers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SITE, chest, file, idle, pick, stage } from '../support.js';

const site = stage();
const code = readFileSync(join(SITE, 'cxrlens.global.js'));
const integrity = (/** @type {Buffer} */ bytes) => `sha384-${createHash('sha384').update(bytes).digest('base64')}`;

/** A page without modules. @param {string} expected its script's integrity */
async function open(expected) {
  const context = await site.browser.newContext({ serviceWorkers: 'block' });
  const page = await context.newPage();
  const asked = /** @type {string[]} */ ([]);
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.route(`${site.url}plain/page.html`, (route) =>
    route.fulfill({
      contentType: 'text/html',
      body: `<!doctype html><script src="../cxrlens.global.js" integrity="${expected}"></script><cxr-lens></cxr-lens>`,
    }),
  );
  await page.goto(`${site.url}plain/page.html`);
  return { page, asked };
}

test('element and classifier from one script', async () => {
  const { page, asked } = await open(integrity(code));
  await pick(page, [file('chest.png', chest(0, 256))]);
  await idle(page, 1);
  await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).preload());
  const { verdict, names, bundle } = await page.evaluate(async () => {
    const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
    const { cxrlens } = /** @type {any} */ (window);
    const classifier = await cxrlens.createClassifier();
    const result = await classifier.classify(lens.images[0]);
    classifier.dispose();
    return { verdict: [result.verdict, lens.results[0].verdict], names: Object.keys(cxrlens), bundle: cxrlens.toFhir(result).resourceType };
  });
  assert.equal(verdict[0], verdict[1]);
  assert.equal(bundle, 'Bundle');
  assert.deepEqual(names.sort(), ['CxrError', 'CxrLens', 'createClassifier', 'postFhir', 'toFhir', 'toOutcome']);
  const scripts = asked.filter((path) => path.endsWith('.js'));
  assert.deepEqual([...new Set(scripts)], ['/cxrlens.global.js', '/worker.js']);
});

test('a script that was changed does not run', async () => {
  const { page } = await open(integrity(Buffer.concat([code, Buffer.from(' ')])));
  await page.waitForLoadState('load');
  assert.equal(await page.evaluate(() => 'cxrlens' in window || Boolean(customElements.get('cxr-lens'))), false);
});
