/** What the page gives out: exported files and printed reports. */
import { readFileSync } from 'node:fs';

const lens = (/** @type {import('playwright-core').Page} */ page) => page.locator('cxr-lens');

/** @param {import('playwright-core').Page} page @param {string} label */
export async function exported(page, label) {
  await lens(page).locator('.menu summary').click();
  const download = page.waitForEvent('download');
  await lens(page).getByRole('button', { name: label }).click();
  return readFileSync(await (await download).path(), 'utf8');
}

/**
 * Chooses a report from the menu; the frame that it is in.
 * @param {import('playwright-core').Page} page
 * @param {RegExp} name
 */
export async function print(page, name) {
  await page.evaluate(() => {
    // A headless browser has no print dialogue: note the call instead.
    const insert = Element.prototype.append;
    Element.prototype.append = function append(/** @type {(Node|string)[]} */ ...nodes) {
      insert.apply(this, nodes);
      for (const node of nodes)
        if (node instanceof HTMLIFrameElement && node.contentWindow)
          node.contentWindow.print = () => {
            document.body.dataset.printed = 'yes';
          };
    };
  });
  await lens(page).locator('.menu summary').click();
  await lens(page).getByRole('button', { name }).click();
  await page.waitForFunction(() => document.body.dataset.printed === 'yes');
  return page.frameLocator('iframe.cxr-report');
}
