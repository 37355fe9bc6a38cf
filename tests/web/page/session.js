/** "Keep this session" from the tests' side: ticks its box, and reads what the browser holds. */

/** @typedef {import('playwright-core').Page} Page */

/** Opens the section and ticks the box. @param {Page} page */
export async function keep(page) {
  await page.getByText('Keep this session').click();
  await page.getByLabel('Keep my images on this device').check();
}

/**
 * The images in the page's store, in its order.
 * @param {Page} page
 * @returns {Promise<{ key: number, name: string, type: string, bytes: number[] | null }[]>} bytes: null where none are stored
 */
export const held = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('cxrlens-session', 1);
        opening.onerror = reject;
        opening.onsuccess = () => {
          const { result: database } = opening;
          const transaction = database.objectStoreNames.contains('images') ? database.transaction('images') : null;
          if (!transaction) {
            database.close();
            return resolve([]);
          }
          const store = transaction.objectStore('images');
          const [values, keys] = [store.getAll(), store.getAllKeys()];
          transaction.onerror = reject;
          transaction.oncomplete = () => {
            database.close();
            resolve(
              values.result.map(({ name, type, bytes }, i) => ({
                key: Number(keys.result[i]),
                name,
                type,
                bytes: bytes instanceof ArrayBuffer ? [...new Uint8Array(bytes)] : null,
              })),
            );
          };
        };
      }),
  );
