// sha256.js - the platform's SHA-256, in hexadecimal.

/**
 * @param {ArrayBuffer|ArrayBufferView} bytes
 * @returns {Promise<string|null>} SHA-256 in hexadecimal, or null where the platform has none (insecure pages)
 */
export async function sha256(bytes) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return null;
  return hex(new Uint8Array(await subtle.digest('SHA-256', /** @type {ArrayBuffer} */ (bytes))));
}

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
