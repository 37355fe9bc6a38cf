// passage.js - passes pixels from one worker to another. Only a port goes through the page's thread: pixels of many megabytes
// would make it collect garbage, which holds it up.

/** @param {Uint16Array} pixels given away @returns {MessagePort} that has them */
export function passed(pixels) {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(pixels, [/** @type {ArrayBuffer} */ (pixels.buffer)]);
  return port2;
}

/**
 * Nothing is waited for that was not sent before the port was.
 * @param {Uint16Array|MessagePort} pixels
 * @returns {Promise<Uint16Array>}
 * @throws {Error} if there is no memory for them
 */
export async function arrived(pixels) {
  if (ArrayBuffer.isView(pixels)) return pixels;
  try {
    return await new Promise((resolve, reject) => {
      pixels.onmessage = ({ data }) => resolve(data);
      pixels.onmessageerror = () => reject(new RangeError('the pixels did not arrive'));
    });
  } finally {
    pixels.close();
  }
}
