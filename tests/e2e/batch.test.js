/** Many images: all are read, memory stays flat, the page stays usable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chest, file, idle, pick, stage } from './support.js';

const site = stage();
const COUNT = 200;

test(`${COUNT} images in a row, one of them broken, with flat memory`, async (t) => {
  const { context, page, troubles } = await site.open();
  const session = await context.newCDPSession(page);
  const pictures = Array.from({ length: 20 }, (_, i) => chest(i, 300));
  const files = (/** @type {string} */ round) => Array.from({ length: COUNT / 2 }, (_, i) =>
    file(`${round}-${i}.png`, i === 50 ? Buffer.from('broken') : pictures[i % pictures.length]));
  await pick(page, files('first'));
  await idle(page, COUNT / 2);
  const before = await heap(session);
  const start = Date.now();
  await pick(page, files('second'));
  await idle(page, COUNT);
  const took = Date.now() - start;
  const grown = (await heap(session) - before) / 2 ** 20;
  t.diagnostic(`${(took / (COUNT / 2)).toFixed(1)} ms an image; the second hundred added ${grown.toFixed(2)} MB of JavaScript heap`);
  const { done, failed } = await page.evaluate(() => /** @type {any} */ (document.querySelector('cxr-lens')).progress);
  assert.deepEqual({ done, failed }, { done: COUNT - 2, failed: 2 });
  assert.equal(await page.locator('cxr-lens').locator('tbody tr').count(), COUNT);
  // A result, its row and its name; a decoded film alone would be 0.4 MB, a hundred of them 36.
  assert.ok(grown < 8, `${grown} MB`);
  assert.deepEqual(troubles, []);
});

/** Bytes of live JavaScript objects. @param {import('playwright-core').CDPSession} session */
async function heap(session) {
  await session.send('HeapProfiler.collectGarbage');
  return (await session.send('Runtime.getHeapUsage')).usedSize;
}
