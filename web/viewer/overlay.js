/**
 * What the network found, drawn over the image in the image's own frame: opacities inside the lungs, the outline of the
 * lungs, and a numbered box for each finding. The viewer lays these over its canvas; exports draw them into a picture.
 */

import { opacitiesInside, smoothLungs } from '../shared/maps.js';
import { enlarge } from '../shared/resample.js';
import { MAP_SIDE, paintOpacity } from './colormap.js';

/**
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../classifier.js').Maps} Maps
 * @typedef {import('../classifier.js').Finding} Finding
 * @typedef {import('../classifier.js').Box} Box
 * @typedef {import('../shared/maps.js').Thresholds} Thresholds
 */

/** Side of the grid that outlines are traced on: the lungs' map, smoothly enlarged. */
const OUTLINE_SIDE = 48;
/** Size of a label as a share of the image, and its distance from the edge: enough to tell which ones would overlap. */
const LABEL = { width: 0.42, height: 0.08 };

/** Of lines: the lungs' outline, the boxes of findings, and the dark line below each. */
export const COLOURS = { lungs: '#7fd4ff', finding: '#ffd166', halo: '#0b0f13' };

/** The opacities inside the lungs as a picture of the frame. @param {Maps} maps @param {Thresholds} thresholds */
export const paintOpacities = (maps, { lungsThreshold, opacityThreshold }) =>
  paintOpacity(opacitiesInside(maps, lungsThreshold), opacityThreshold);

/**
 * The lungs' outline as the data of an SVG path over the frame, from 0 to 1 each way (marching squares).
 * @param {Maps} maps
 * @param {number} threshold
 */
export function outlineOf({ lungs }, threshold) {
  const side = OUTLINE_SIDE;
  const values = enlarge(smoothLungs(lungs, threshold), side);
  // Outside there is no lung, so that every outline is closed; its corners lie on the frame's edge.
  const at = (/** @type {number} */ x, /** @type {number} */ y) => (x < 0 || y < 0 || x >= side || y >= side ? 0 : values[y * side + x]);
  const lung = (/** @type {number} */ x, /** @type {number} */ y) => at(x, y) >= threshold;
  const place = (/** @type {number} */ cell) => Math.min(Math.max((cell + 0.5) / side, 0), 1);
  let path = '';
  for (let y = -1; y < side; y++) {
    for (let x = -1; x < side; x++) {
      const first = lung(x, y);
      if (first === lung(x + 1, y) && first === lung(x + 1, y + 1) && first === lung(x, y + 1)) continue; // as nearly everywhere
      const corners = [
        [x, y],
        [x + 1, y],
        [x + 1, y + 1],
        [x, y + 1],
      ];
      const crossings = corners.flatMap(([x1, y1], i) => {
        const [x2, y2] = corners[(i + 1) % 4];
        const [a, b] = [at(x1, y1), at(x2, y2)];
        if (a >= threshold === b >= threshold) return [];
        const share = (threshold - a) / (b - a);
        return [[place(x1) + share * (place(x2) - place(x1)), place(y1) + share * (place(y2) - place(y1))]];
      });
      for (let i = 0; i < crossings.length; i += 2) path += `M${point(crossings[i])}L${point(crossings[i + 1])}`;
    }
  }
  return path;
}

/** @param {number[]} place */
const point = ([x, y]) => `${x.toFixed(4)} ${y.toFixed(4)}`;

/**
 * Where the label of each finding goes: above its box or below, from its left edge or to its right one. One that would
 * cover another shows its number only.
 * @param {readonly Box[]} boxes
 * @returns {{ below: boolean, end: boolean, short: boolean }[]}
 */
export function placeLabels(boxes) {
  /** @type {{ x: number, y: number }[]} */
  const taken = [];
  return boxes.map((box) => {
    const below = box.y < LABEL.height;
    const end = box.x + LABEL.width > 1;
    const x = end ? box.x + box.width - LABEL.width : box.x;
    const y = below ? box.y + box.height : box.y - LABEL.height;
    const short = taken.some((other) => Math.abs(other.x - x) < LABEL.width && Math.abs(other.y - y) < LABEL.height);
    if (!short) taken.push({ x, y });
    return { below, end, short };
  });
}

/**
 * Draws everything into a picture of the image.
 * @param {CanvasRenderingContext2D} context of a canvas that holds the image
 * @param {Result} result with maps
 * @param {Thresholds} thresholds
 * @param {(finding: Finding, index: number) => string} label
 */
export function drawFindings(context, { frame, maps, findings }, thresholds, label) {
  const { width, height } = context.canvas;
  const unit = Math.max(width, height) / 350;
  if (maps) {
    const map = Object.assign(document.createElement('canvas'), { width: MAP_SIDE, height: MAP_SIDE });
    map.getContext('2d')?.putImageData(paintOpacities(maps, thresholds), 0, 0);
    context.globalAlpha = 0.6;
    context.drawImage(map, frame.x * width, frame.y * height, frame.width * width, frame.height * height);
    context.globalAlpha = 1;
    const outline = new Path2D();
    outline.addPath(
      new Path2D(outlineOf(maps, thresholds.lungsThreshold)),
      new DOMMatrix([frame.width * width, 0, 0, frame.height * height, frame.x * width, frame.y * height]),
    );
    stroke(context, outline, unit, COLOURS.lungs);
  }
  const places = placeLabels(findings);
  findings.forEach((finding, index) => {
    const box = new Path2D();
    box.rect(finding.x * width, finding.y * height, finding.width * width, finding.height * height);
    stroke(context, box, unit, COLOURS.finding);
    drawLabel(context, finding, places[index], places[index].short ? String(index + 1) : label(finding, index), unit);
  });
}

/** A light line on a dark one: seen on any gray. @param {CanvasRenderingContext2D} context @param {Path2D} path @param {number} unit @param {string} colour */
function stroke(context, path, unit, colour) {
  for (const [wide, style] of /** @type {const} */ ([
    [3, COLOURS.halo],
    [1.5, colour],
  ])) {
    context.lineWidth = wide * unit;
    context.strokeStyle = style;
    context.stroke(path);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} box
 * @param {{ below: boolean, end: boolean }} place
 * @param {string} text
 * @param {number} unit
 */
function drawLabel(context, box, { below, end }, text, unit) {
  const { width, height } = context.canvas;
  const size = 13 * unit;
  context.font = `600 ${size}px system-ui, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', sans-serif`;
  const wide = context.measureText(text).width + size;
  const tall = 1.5 * size;
  const x = Math.min(Math.max(end ? (box.x + box.width) * width - wide : box.x * width, 0), Math.max(width - wide, 0));
  const y = Math.min(Math.max(below ? (box.y + box.height) * height : box.y * height - tall, 0), Math.max(height - tall, 0));
  context.fillStyle = COLOURS.halo;
  context.fillRect(x, y, wide, tall);
  context.fillStyle = COLOURS.finding;
  context.textBaseline = 'middle';
  context.fillText(text, x + size / 2, y + tall / 2);
}
