// files.js - reads files of the repository by their path in it, alike in Node and in a page that server.js serves.

const root = new URL('../../../', import.meta.url);
export const inNode = typeof process === 'object' && !!process.versions?.node;

/** @param {string} path within the repository */
export const urlOf = (path) => new URL(path, root).href;

/**
 * @param {string} path within the repository
 * @returns {Promise<Uint8Array>}
 */
export async function read(path) {
  if (inNode) return new Uint8Array(await (await import('node:fs/promises')).readFile(new URL(path, root)));
  const response = await fetch(urlOf(path));
  if (!response.ok) throw new Error(`${path}: HTTP status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * Runs a classic script in the page, for peers that come as one.
 * @param {string} path within the repository
 */
export function runScript(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    Object.assign(script, { src: urlOf(path), onload: resolve, onerror: () => reject(new Error(`${path} does not load`)) });
    document.head.append(script);
  });
}
