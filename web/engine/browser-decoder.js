// browser-decoder.js - lets the browser decode an image that the engine cannot: WebP, BMP, GIF, AVIF, and other kinds that it
// knows. Runs beside the engine, in its worker.
import { KIND_NAMES } from '../shared/image-kind.js';
import { CxrError } from './platform.js';

/**
 * @typedef {import('../shared/image-kind.js').ImageKind} ImageKind
 * @typedef {import('./wasm.js').Rgba} Rgba
 */

// The engine's limits (cxr.h).
const MAX_SIDE = 16384;
const MAX_PIXELS = 64 * 2 ** 20;

/** @param {ImageKind} kind @param {unknown} [cause] */
export const notDecoded = (kind, cause) =>
  new CxrError('image-kind', `The image is of another kind, ${KIND_NAMES[kind]}, which cannot be decoded here: save it as PNG or JPEG.`, {
    cause,
  });

/** Whether this platform decodes images at all; Node does not. */
export const canDecode = () => typeof globalThis.createImageBitmap === 'function' && typeof globalThis.OffscreenCanvas === 'function';

/**
 * The first frame, upright by the file's own orientation.
 * @param {Uint8Array} bytes
 * @param {ImageKind} kind
 * @returns {Promise<Rgba>}
 */
export async function decodeByBrowser(bytes, kind) {
  // The pixels as they are stored, as the engine reads PNG and JPEG: no colour profile is applied.
  const bitmap = await Promise.resolve()
    .then(() =>
      createImageBitmap(new Blob([/** @type {BlobPart} */ (bytes)], { type: `image/${kind}` }), {
        imageOrientation: 'from-image',
        colorSpaceConversion: 'none',
      }),
    )
    .catch((cause) => {
      throw notDecoded(kind, cause);
    });
  try {
    const { width, height } = bitmap;
    if (width > MAX_SIDE || height > MAX_SIDE) throw new CxrError('image-side', `A side is longer than ${MAX_SIDE} pixels.`);
    if (width * height > MAX_PIXELS) throw new CxrError('image-pixels', 'The image has more than 64 megapixels.');
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!context) throw notDecoded(kind);
    context.drawImage(bitmap, 0, 0);
    return { data: context.getImageData(0, 0, width, height).data, width, height };
  } finally {
    bitmap.close();
  }
}
