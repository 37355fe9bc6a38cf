/** Collects the files that people drop, paste or pick: single files, many, whole folders. */

/** Files that systems leave in folders and nobody means. */
const SKIPPED = /^(\..*|Thumbs\.db|desktop\.ini)$/i;

/**
 * The files of a drop or a paste, folders walked. Must be called in the event's own turn: the
 * browser empties the transfer afterwards. An entry is only asked of a folder: that of a picture without a path, as one
 * copied from a page, cannot be opened in every browser.
 * @param {DataTransfer} transfer
 * @returns {Promise<(File | null)[]>} null for a file or a folder that cannot be opened
 */
export async function filesOf(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === 'file');
  const found = items.map((item) => {
    const entry = item.webkitGetAsEntry?.() ?? null;
    return entry?.isDirectory ? entry : (item.getAsFile() ?? entry);
  });
  return walkAll(found.filter((each) => each !== null));
}

/** @param {(File | FileSystemEntry)[]} entries */
async function walkAll(entries) {
  // One that cannot be opened does not take the others with it.
  return (await Promise.all(entries.map((entry) => walk(entry).catch(() => [null])))).flat();
}

/**
 * @param {File | FileSystemEntry} entry
 * @returns {Promise<(File | null)[]>}
 */
async function walk(entry) {
  if (entry instanceof File) return [entry];
  if (entry.isFile) {
    const file = await fileOf(/** @type {FileSystemFileEntry} */ (entry));
    // As a picked folder's files have it: two patients' images may bear one name.
    return [Object.defineProperty(file, 'webkitRelativePath', { value: entry.fullPath.slice(1) })];
  }
  const children = await childrenOf(/** @type {FileSystemDirectoryEntry} */ (entry));
  return walkAll(children.filter(({ name }) => !SKIPPED.test(name)).sort((a, b) => inOrder(a.name, b.name)));
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** All children: a reader hands them out a hundred at a time. @param {FileSystemDirectoryEntry} folder */
async function childrenOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** The files of a file input, without the files that systems leave in a folder. @param {HTMLInputElement} input */
export function filesPicked(input) {
  const files = [...(input.files ?? [])].filter(({ name }) => !SKIPPED.test(name));
  // A picked folder's come as the file system has them.
  return files.sort((a, b) => inOrder(a.webkitRelativePath, b.webkitRelativePath));
}

/** @param {string} a @param {string} b */
const inOrder = (a, b) => a.localeCompare(b, undefined, { numeric: true });
