// passage.js - passes pixels from one worker to another. Only a port goes through the page's thread: pixels of many megabytes
// would make it collect garbage, which holds it up.

/**
 * Firefox gets the pixels as they are: it sends what goes through a port to another process and back, and loses it when the
 * worker that sent it ends.
 * @param {Uint16Array} pixels given away
 * @returns {MessagePort|Uint16Array}
 */
export function passed(pixels) {
  if (/Firefox/.test(navigator.userAgent)) return pixels;
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(pixels, [/** @type {ArrayBuffer} */ (pixels.buffer)]);
  return port2;
}

/** What holds the pixels, to be transferred. @param {Uint16Array|MessagePort} pixels @returns {Transferable} */
export const holderOf = (pixels) => ('buffer' in pixels ? /** @type {ArrayBuffer} */ (pixels.buffer) : pixels);

/**
 * Nothing is waited for that was not sent before the port was.
 * @param {Uint16Array|MessagePort} pixels
 * @returns {Promise<Uint16Array>} rejects if there is no memory for them
 */
export async function arrived(pixels) {
  if ('buffer' in pixels) return pixels;
  const { data } = await new Promise((resolve, reject) => {
    pixels.onmessage = resolve;
    pixels.onmessageerror = reject;
  });
  pixels.close();
  return data;
}
