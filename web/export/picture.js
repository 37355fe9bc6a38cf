/** A picture of an image as the viewer shows it: plain, with the findings burned in, or with its occlusion map. */

import { h } from '../shared/dom.js';
import { laterWords } from '../shared/deferred-words.js';
import { findingName } from '../shared/findings.js';
import { MAP_SIDE, paintMap, reach } from '../viewer/colormap.js';
import { ViewedImage, PLAIN, paintGray } from '../viewer/image.js';
import { drawFindings } from '../viewer/overlay.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 *
 * @typedef {object} Options
 * @property {import('../shared/words.js').Words} words
 * @property {import('../classifier.js').ModelInfo} model
 * @property {import('../viewer/occlusion.js').OcclusionMap | null} [occlusion]
 * @property {string} [shown] the class of its map
 * @property {number} [width] that the picture has at least, if the image has: 700, 300 dots an inch at 6 cm
 */

/**
 * @param {Item} item with a result
 * @param {'plain' | 'findings' | 'occlusion'} kind
 * @param {Options} options
 * @returns {Promise<HTMLCanvasElement | null>} null when the browser cannot show the image
 */
export async function canvasOf(item, kind, { words, model, occlusion, shown, width = 700 }) {
  const result = /** @type {Result} */ (item.result);
  const image = await ViewedImage.from(item.source, item.choice).catch(() => null);
  if (!image) return null;
  const level = image.level(width);
  const canvas = h('canvas', { width: level.width, height: level.height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const look = { ...PLAIN, inverted: result.warnings.includes('inverted') };
  context.putImageData(paintGray(level, look, new ImageData(level.width, level.height)), 0, 0);
  if (kind === 'findings') {
    const later = laterWords(words);
    drawFindings(context, result, model, (finding, index) => later.text('view.mark', { n: index + 1, name: findingName(later, finding) }));
  } else if (kind === 'occlusion' && occlusion) drawOcclusion(context, result, occlusion, shown ?? '');
  return canvas;
}

/** The same as a file. @param {Item} item @param {'plain' | 'findings' | 'occlusion'} kind @param {Options} options @returns {Promise<Blob | null>} */
export async function pictureOf(item, kind, options) {
  const canvas = await canvasOf(item, kind, options);
  return canvas && new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
}

/** @param {CanvasRenderingContext2D} context @param {Result} result @param {import('../viewer/occlusion.js').OcclusionMap} occlusion @param {string} shown */
function drawOcclusion(context, { frame }, occlusion, shown) {
  const values = occlusion.classes.find(({ id }) => id === shown)?.values;
  if (!values) return;
  const { width, height } = context.canvas;
  const map = h('canvas', { width: MAP_SIDE, height: MAP_SIDE });
  map.getContext('2d')?.putImageData(paintMap({ ...occlusion, values }, reach(occlusion.classes)), 0, 0);
  context.globalAlpha = 0.6;
  context.drawImage(map, frame.x * width, frame.y * height, frame.width * width, frame.height * height);
  context.globalAlpha = 1;
}
