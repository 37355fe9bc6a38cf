/**
 * An image prepared for display: gray, as the model reads it, in halving sizes, so that window and
 * level stay smooth on large images and small views show no jagged edges.
 */

import { looksLikeDicom } from '../shared/dicom-sniff.js';
import { halved } from '../shared/resample.js';
import { contentOf } from '../shared/source.js';

/** Longest side kept for viewing. The classifier reads the file itself, in full. */
const MAX_SIDE = 4096;

/** Pixels that are worked on in one go: large images take several, with a breath between them in which the page may do other work. */
export const STRIP = 2 ** 19;

/** @returns {Promise<void>} */
export const breath = () => {
  const { scheduler } = /** @type {any} */ (globalThis); // not in every browser
  return scheduler?.yield ? scheduler.yield() : new Promise((resolve) => setTimeout(resolve));
};

/** Bytes of a file that tell whether it is DICOM. */
const HEAD = 1024;

/**
 * @typedef {{ width: number, height: number, gray: Uint8Array | Uint8ClampedArray }} Level
 * @typedef {{ width: number, at: 'patient' | 'detector' }} Size of an image in millimetres, and where it was measured
 *
 * @typedef {object} Offer what a DICOM file lets one choose, and what was chosen
 * @property {number} frames
 * @property {number} frame from 0
 * @property {readonly (string | null)[]} windows their names, where they have one
 * @property {number} window from 0
 * @property {Size | null} size
 */

export class ViewedImage {
  /** @param {Level[]} levels the largest first, at least that one @param {Offer | null} [offer] of a DICOM file */
  constructor(levels, offer = null) {
    this.offer = offer;
    this.width = levels[0].width;
    this.height = levels[0].height;
    this.levels = levels;
  }

  /**
   * @param {import('../shared/source.js').Source} from
   * @param {import('../classifier.js').DicomChoice} [choice] frame and window of a DICOM file
   * @returns {Promise<ViewedImage>} rejects when the browser cannot show this kind of image
   */
  static async from(from, choice) {
    const source = await contentOf(from);
    if (source instanceof Blob && looksLikeDicom(await bytesOf(source.slice(0, HEAD)))) return dicomImage(source, choice);
    const bitmap = await createImageBitmap(source);
    try {
      return new ViewedImage([await grayOf(bitmap)]);
    } finally {
      bitmap.close();
    }
  }

  /** The smallest level at least so wide, or the full one. @param {number} width in device pixels */
  level(width) {
    let index = 0;
    while (this.#at(index).width >= 2 * width && this.#at(index).width > 64) index += 1;
    return this.#at(index);
  }

  /** @param {number} index */
  #at(index) {
    while (this.levels.length <= index) this.levels.push(halved(this.levels[this.levels.length - 1]));
    return this.levels[index];
  }
}

/** @param {Blob} blob */
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

/** @param {Blob} blob @param {import('../classifier.js').DicomChoice} [choice] */
async function dicomImage(blob, { frame = 0, window = 0 } = {}) {
  const { readPicture } = await import('../dicom-remote.js');
  const { levels, width, frames, windows, spacing } = await readPicture(blob, { frame, window, maxSide: MAX_SIDE });
  return new ViewedImage(levels, { frames, frame, windows, window, size: spacing && { width: spacing.column * width, at: spacing.at } });
}

/** @param {ImageBitmap} bitmap @returns {Promise<Level>} */
async function grayOf(bitmap) {
  const shrink = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * shrink));
  const height = Math.max(1, Math.round(bitmap.height * shrink));
  // Shrunk in one go, or the strips would show.
  const rows = shrink < 1 ? height : Math.min(Math.max(1, Math.floor(STRIP / width)), height);
  const context = contextOf(width, rows);
  context.imageSmoothingQuality = 'high';
  const gray = new Uint8Array(width * height);
  for (let top = 0; top < height; top += rows) {
    if (top > 0) await breath();
    context.fillRect(0, 0, width, rows); // black, on which the reader lays transparent pixels too
    context.drawImage(bitmap, 0, -top, width, height);
    toGray(context.getImageData(0, 0, width, Math.min(rows, height - top)).data, gray, top * width);
  }
  return { width, height, gray };
}

/** @param {Uint8ClampedArray} data red, green, blue, alpha @param {Uint8Array} gray @param {number} to where in it to begin */
function toGray(data, gray, to) {
  for (let at = 0; at < data.length; at += 4) gray[to++] = (77 * data[at] + 150 * data[at + 1] + 29 * data[at + 2] + 128) >> 8;
}

/** @param {number} width @param {number} height */
function contextOf(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
}

/**
 * @typedef {object} Look how gray is shown
 * @property {number} centre gray that becomes the middle, 0..255
 * @property {number} width span of gray from black to white, at least 1
 * @property {boolean} inverted
 */

/** @type {Readonly<Look>} */
export const PLAIN = Object.freeze({ centre: 127.5, width: 255, inverted: false });

/**
 * Paints one level through a window.
 * @param {Level} level
 * @param {Look} look
 * @param {ImageData} image of the level's size, to be painted over
 * @param {number} [from] first pixel
 * @param {number} [to] behind the last
 */
export function paintGray({ gray }, look, image, from = 0, to = gray.length) {
  const table = shades(look);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = from; i < to; i++) pixels[i] = table[gray[i]];
  return image;
}

/** The pixel of each gray value. @param {Look} look */
function shades({ centre, width, inverted }) {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let gray = 0; gray < 256; gray++) {
    const shade = 255 * ((gray - centre) / width + 0.5);
    const shown = inverted ? 255 - shade : shade;
    bytes.set([shown, shown, shown, 255], 4 * gray);
  }
  return new Uint32Array(bytes.buffer);
}
