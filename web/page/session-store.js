/**
 * A session that the user asked to keep: its images, in IndexedDB, on this device only, until they are wiped.
 * Nothing is stored unless asked for; answers are not stored, they are computed anew.
 */

const NAME = 'cxrlens-session';
const STORE = 'images';

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { autoIncrement: true });
  return settled(request);
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The kept images in their order; none where nothing was kept. @returns {Promise<File[]>} */
export async function load() {
  const database = await open();
  try {
    return await settled(database.transaction(STORE).objectStore(STORE).getAll());
  } finally {
    database.close();
  }
}

/** Puts these images in place of what was kept. @param {readonly File[]} files */
export async function keep(files) {
  const database = await open();
  try {
    const transaction = database.transaction(STORE, 'readwrite');
    const store = transaction.objectStore(STORE);
    store.clear();
    for (const file of files) store.add(file);
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error); // such as a full disk; what was kept before stays
    });
  } finally {
    database.close();
  }
}

/** Removes all that was kept, and the place itself. */
export async function wipe() {
  await settled(indexedDB.deleteDatabase(NAME));
}
