/**
 * A session that the user asked to keep: its images, in IndexedDB, on this device only, until they are wiped.
 * Nothing is stored unless the user asks. Results are not stored; they are computed again.
 *
 * It stores bytes, not Files: WebKit stores no Files in private windows and reports no error. Every step has a time limit.
 * Each image is written once, however often the session is saved.
 */

const NAME = 'cxrlens-session';
const STORE = 'images';
/** Longest wait for one step, such as writing one image. */
const STEP_MS = 8000;

/** @typedef {{ name: string, type: string, lastModified: number, bytes: ArrayBuffer }} Kept */

/** The keys of what is stored; they grow in the images' order. @type {WeakMap<File, number>} */
const keys = new WeakMap();

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { autoIncrement: true });
  return settled(request);
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return inTime((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * A promise that rejects when it has waited for too long.
 * @template T
 * @param {(resolve: (value: T) => void, reject: (reason: unknown) => void) => void} start
 * @returns {Promise<T>}
 */
function inTime(start) {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new DOMException('The browser does not answer.', 'TimeoutError')), STEP_MS);
    start(resolve, reject);
  });
}

/**
 * One step in the store: done as a whole or, as when the disk is full, not at all.
 * @template T
 * @param {IDBDatabase} database
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => T} work
 * @returns {Promise<T>}
 */
async function step(database, mode, work) {
  const transaction = database.transaction(STORE, mode);
  const made = work(transaction.objectStore(STORE));
  try {
    await inTime((/** @type {(value: unknown) => void} */ resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
  } catch (error) {
    if (!transaction.error) transaction.abort(); // or it may come about after its failure was told
    throw error;
  }
  return made;
}

/**
 * @template T
 * @param {(database: IDBDatabase) => Promise<T>} work
 */
async function withDatabase(work) {
  const database = await open();
  try {
    return await work(database);
  } finally {
    database.close();
  }
}

/** The kept images in their order; none where nothing was kept. @returns {Promise<File[]>} */
export function load() {
  return withDatabase(async (database) => {
    const [found, places] = await step(database, 'readonly', (store) => [store.getAll(), store.getAllKeys()]);
    return found.result.map((/** @type {Kept | File} */ kept, /** @type {number} */ i) => {
      // What was kept before bytes were: the File itself.
      const file = kept instanceof File ? kept : new File([kept.bytes], kept.name, kept);
      keys.set(file, Number(places.result[i]));
      return file;
    });
  });
}

/**
 * Puts these images in place of what was kept.
 * @param {readonly File[]} files
 * @returns {Promise<number>} how many are kept: a file that has gone away cannot be
 */
export function keep(files) {
  return withDatabase(async (database) => {
    const { result: present } = await step(database, 'readonly', (store) => store.getAllKeys());
    const stays = leading(files, new Set(present.map(Number)));
    const own = new Set(files.slice(0, stays).map((file) => keys.get(file)));
    await step(database, 'readwrite', (store) => {
      for (const key of present) if (!own.has(Number(key))) store.delete(key);
    });
    let count = stays;
    for (const file of files.slice(stays)) if (await write(database, file)) count++;
    return count;
  });
}

/**
 * How many of the first files are stored in their order; those after them are to be written again.
 * @param {readonly File[]} files
 * @param {Set<number>} present the keys in the store
 */
function leading(files, present) {
  let last = 0;
  const end = files.findIndex((file) => {
    const key = keys.get(file) ?? 0;
    if (key <= last || !present.has(key)) return true;
    last = key;
    return false;
  });
  return end < 0 ? files.length : end;
}

/** @param {IDBDatabase} database @param {File} file @returns {Promise<boolean>} false: it cannot be read */
async function write(database, file) {
  const bytes = await file.arrayBuffer().catch(() => null);
  if (!bytes) return false;
  const { name, type, lastModified } = file;
  const { result } = await step(database, 'readwrite', (store) => store.add({ name, type, lastModified, bytes }));
  keys.set(file, Number(result));
  return true;
}

/** Removes all that was kept, and the place itself. */
export async function wipe() {
  await settled(indexedDB.deleteDatabase(NAME));
}
