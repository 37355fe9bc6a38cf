// cornerstone.js - for viewers made with Cornerstone3D, such as OHIF: turns their images into inputs of the classifier, and draws
// lungs and opacities over the viewport. It imports nothing from Cornerstone: the page passes its own objects.
//
//     const image = viewport.getCornerstoneImage();
//     const result = await cxr.classify(inputOf(image), { maps: true });
//     const overlay = showFindings(viewport, result, { imageId: image.imageId, thresholds: cxr.info.model });
//     overlay.remove();
import { grayOf } from './dicom/grayscale.js';
import { svg } from './shared/dom.js';
import { MAP_SIDE } from './viewer/colormap.js';
import { COLOURS, outlineOf, paintOpacities } from './viewer/overlay.js';

/**
 * @typedef {import('./classifier.js').Result} Result
 * @typedef {import('./classifier.js').Gray16} Gray16
 * @typedef {import('./classifier.js').Rgba} Rgba
 * @typedef {import('./classifier.js').Finding} Finding
 * @typedef {import('./shared/maps.js').Thresholds} Thresholds
 * @typedef {import('./dicom/grayscale.js').Rendering} Rendering
 *
 * @typedef {{ readonly length: number, readonly [index: number]: number, readonly BYTES_PER_ELEMENT: number }} Values
 * @typedef {{ lut: ArrayLike<number>, firstValueMapped?: number }} ImageLut
 *
 * @typedef {object} CornerstoneImage what is read of Cornerstone's IImage
 * @property {number} columns
 * @property {number} rows
 * @property {() => Values} getPixelData
 * @property {boolean} color
 * @property {number} slope
 * @property {number} intercept
 * @property {boolean} invert
 * @property {number|number[]} [windowCenter]
 * @property {number|number[]} [windowWidth]
 * @property {string} [voiLUTFunction]
 * @property {{ scaled?: boolean, scalingParameters?: { rescaleSlope?: number, rescaleIntercept?: number } }} [preScale]
 * @property {{ bitsStored?: number, pixelRepresentation?: number }} [imageFrame]
 * @property {ImageLut} [modalityLUT]
 * @property {ImageLut} [voiLUT]
 *
 * @typedef {object} CornerstoneViewport what is used of a stack viewport
 * @property {HTMLDivElement} element
 * @property {HTMLCanvasElement} canvas
 * @property {() => string} getCurrentImageId
 * @property {() => { dimensions: ArrayLike<number>, spacing: ArrayLike<number>, origin: ArrayLike<number>, direction: ArrayLike<number> }|undefined} getImageData
 * @property {(world: [number, number, number]) => ArrayLike<number>} worldToCanvas
 */

// ---- The image ----------------------------------------------------------------------------------

/**
 * An image of Cornerstone as classify() takes it. Gray is as `cxrlens/dicom` reads it from the same file: with the image's own window
 * or VOI LUT, whatever window the user has set. But tags are not looked at: whether this is a frontal radiograph of a chest is for
 * the caller to know.
 * @param {CornerstoneImage} image
 * @param {{ padding?: number }} [options] the stored value of the background: `pixelPaddingValue` of the imagePixelModule
 * @returns {Gray16|Rgba}
 * @throws {TypeError} if the values are not an image of at most 16 bits
 */
export function inputOf(image, { padding } = {}) {
  if (image.color) return rgbaOf(image);
  const { pixels, range, negative, deep } = storedOf(image);
  const { bitsStored, pixelRepresentation } = image.imageFrame ?? {};
  const stored = bitsStored ?? (negative || deep ? 16 : 8);
  /** @type {import('./dicom/pixel-data.js').Layout} */
  const layout = {
    width: image.columns,
    height: image.rows,
    frames: 1,
    samples: 1,
    photometric: '',
    planar: false,
    allocated: 16,
    stored,
    high: stored - 1,
    signed: pixelRepresentation === undefined ? negative : pixelRepresentation === 1,
  };
  return grayOf({ data: pixels }, layout, renderingOf(image, range, padding));
}

/** @param {CornerstoneImage} image */
const rescaleOf = ({ slope, intercept, preScale: { scalingParameters } = {} }) => ({
  slope: (scalingParameters?.rescaleSlope ?? slope) || 1,
  intercept: scalingParameters?.rescaleIntercept ?? intercept ?? 0,
});

/**
 * The values as the file stores them: Cornerstone rescales them when it loads a file, if necessary into fractions. Those stay in the
 * image when it is drawn by CPU, though its `preScale.scaled`, slope and range are then those of a copy.
 * @param {CornerstoneImage} image
 */
function storedOf(image) {
  const values = image.getPixelData();
  const scaled = image.preScale?.scaled || (image.preScale?.scalingParameters && values instanceof Float32Array);
  const { slope, intercept } = scaled ? rescaleOf(image) : { slope: 1, intercept: 0 };
  const pixels = new Uint16Array(values.length);
  let [least, most, from, to] = [Infinity, -Infinity, 0, 0];
  for (let i = 0; i < pixels.length; i++) {
    const value = values[i];
    least = Math.min(least, value);
    most = Math.max(most, value);
    const stored = Math.round((value - intercept) / slope);
    from = Math.min(from, stored);
    to = Math.max(to, stored);
    pixels[i] = stored;
  }
  if (values.length !== image.columns * image.rows || from < -32768 || to > (from < 0 ? 32767 : 65535))
    throw new TypeError('The image is not one of at most 16 bits a pixel.');
  return { pixels, range: { least, most }, negative: from < 0, deep: values.BYTES_PER_ELEMENT > 1 };
}

/** @typedef {{ least: number, most: number }} Range of the values present */

/** @param {CornerstoneImage} image @param {Range} range @param {number} [padding] @returns {Rendering} */
function renderingOf(image, range, padding) {
  const { modalityLUT, voiLUT } = image;
  const window = windowOf(image, range);
  return {
    ...rescaleOf(image),
    modalityLut: modalityLUT && lutOf(modalityLUT),
    vois: [
      ...(voiLUT ? [{ kind: /** @type {const} */ ('lut'), lut: lutOf(voiLUT), explanation: null }] : []),
      ...(window ? [{ kind: /** @type {const} */ ('window'), window, explanation: null }] : []),
    ],
    invert: Boolean(image.invert),
    padding: padding === undefined ? undefined : [padding, padding],
  };
}

/** @param {ImageLut} lut */
const lutOf = ({ lut, firstValueMapped = 0 }) => ({ first: firstValueMapped, bits: 16, entries: Uint16Array.from(lut) });

/**
 * The image's own window. To an image without one Cornerstone gives that of all values present, which says nothing of them.
 * @param {CornerstoneImage} image
 * @param {Range} range
 * @returns {import('./dicom/grayscale.js').Window|undefined}
 */
function windowOf({ windowCenter, windowWidth, voiLUTFunction = '' }, { least, most }) {
  const [centre, width] = [windowCenter, windowWidth].map((value) => (Array.isArray(value) ? value[0] : value));
  if (centre === undefined || width === undefined || !(width >= 1)) return undefined;
  if ([width - (most - least + 1), centre - (least + most + 1) / 2].every((off) => Math.abs(off) < 1e-3 * width)) return undefined;
  // Of SIGMOID, Cornerstone's DICOM loader hands on the first letter only.
  const shape = voiLUTFunction.startsWith('S') ? 'sigmoid' : voiLUTFunction === 'LINEAR_EXACT' ? 'linear-exact' : 'linear';
  return { shape, centre, width };
}

/** @param {CornerstoneImage} image @returns {Rgba} */
function rgbaOf(image) {
  const { columns: width, rows: height } = image;
  const values = image.getPixelData();
  const samples = values.length / (width * height);
  if (samples !== 3 && samples !== 4) throw new TypeError('The image has neither three nor four samples a pixel.');
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[4 * i + c] = values[samples * i + c];
  return { data, width, height };
}

// ---- The overlay --------------------------------------------------------------------------------

/** What Cornerstone's elements send after every drawing: a new image, zoom, pan, rotation, flip, another size. */
const RENDERED = 'CORNERSTONE_IMAGE_RENDERED';

/** A light line on a dark one: seen on any gray. @param {string} d the path's data @param {string} colour */
function lines(d, colour) {
  const path = { d, fill: 'none', 'vector-effect': 'non-scaling-stroke' };
  return [
    svg('path', { ...path, stroke: COLOURS.halo, 'stroke-width': 4, 'stroke-opacity': 0.7 }),
    svg('path', { ...path, stroke: colour, 'stroke-width': 1.5 }),
  ];
}

/** @typedef {(x: number, y: number) => [number, number]} Place from fractions of the image to pixels of the viewport */

/** @param {CornerstoneViewport} viewport @returns {Place|undefined} nothing while it has no image */
function placeIn(viewport) {
  const image = viewport.getImageData();
  if (!image) return undefined;
  const { dimensions, spacing, origin, direction } = image;
  return (x, y) => {
    // The origin is the middle of the first pixel, not its corner.
    const across = (x * dimensions[0] - 0.5) * spacing[0];
    const down = (y * dimensions[1] - 0.5) * spacing[1];
    const at = (/** @type {number} */ axis) => origin[axis] + across * direction[axis] + down * direction[3 + axis];
    const [left, top] = Array.from(viewport.worldToCanvas([at(0), at(1), at(2)]));
    return [left, top];
  };
}

/** The matrix that takes a part of the image, from 0 to `side` each way, to its place. @param {Place} place @param {import('./classifier.js').Box} part @param {number} side */
function matrixOf(place, { x, y, width, height }, side) {
  const [left, top] = place(x, y);
  const along = (/** @type {[number, number]} */ end) => [(end[0] - left) / side, (end[1] - top) / side];
  return `matrix(${[...along(place(x + width, y)), ...along(place(x, y + height)), left, top].join()})`;
}

/**
 * The layers: opacities, the lungs' outline, a box and a label for each finding.
 * @param {Result} result
 * @param {Thresholds} thresholds
 * @param {(finding: Finding, index: number) => string} label
 */
function layersOf({ maps, findings }, thresholds, label) {
  const map = Object.assign(document.createElement('canvas'), { width: MAP_SIDE, height: MAP_SIDE });
  if (maps) map.getContext('2d')?.putImageData(paintOpacities(maps, thresholds), 0, 0);
  map.style.opacity = '0.6';
  const outline = svg('g', {}, ...(maps ? lines(outlineOf(maps, thresholds.lungsThreshold), COLOURS.lungs) : []));
  const paths = findings.map(({ x, y, width, height }) => `M${x} ${y}h${width}v${height}h${-width}z`);
  const boxes = svg('g', {}, ...paths.flatMap((path) => lines(path, COLOURS.finding)));
  const text = { fill: COLOURS.finding, stroke: COLOURS.halo, 'stroke-width': 3, 'paint-order': 'stroke' };
  const labels = findings.map((finding, index) => svg('text', text, label(finding, index)));
  for (const { style } of labels) style.font = '600 13px system-ui, sans-serif';
  const drawing = svg('svg', { width: '100%', height: '100%' }, outline, boxes, ...labels);
  for (const { style } of [map, drawing]) Object.assign(style, { position: 'absolute', left: '0', top: '0', transformOrigin: '0 0' });
  const root = document.createElement('div');
  root.className = 'cxr-findings';
  root.setAttribute('aria-hidden', 'true');
  root.append(map, drawing);
  Object.assign(root.style, { position: 'absolute', inset: '0', overflow: 'hidden', pointerEvents: 'none' });
  return { root, map, outline, boxes, labels };
}

/**
 * Draws opacities, the lungs' outline and a box for each finding over an image, and keeps them there however the viewport shows it.
 * They hide while the viewport shows another image. Remove them before the viewport is disabled, if its element stays.
 * @param {CornerstoneViewport} viewport a stack viewport
 * @param {Result} result with maps
 * @param {object} options
 * @param {Thresholds} options.thresholds those of the classifier's `info.model`
 * @param {string} [options.imageId] the image's; default: that of the image which the viewport shows now
 * @param {(finding: Finding, index: number) => string} [options.label] default: the finding's number
 * @returns {{ remove: () => void }}
 */
export function showFindings(viewport, result, options) {
  const { thresholds, imageId = viewport.getCurrentImageId(), label = (_, index) => String(index + 1) } = options;
  const { root, map, outline, boxes, labels } = layersOf(result, thresholds, label);
  const draw = () => {
    const place = viewport.getCurrentImageId() === imageId ? placeIn(viewport) : undefined;
    root.style.display = place ? '' : 'none';
    if (!place) return;
    map.style.transform = matrixOf(place, result.frame, MAP_SIDE);
    outline.setAttribute('transform', matrixOf(place, result.frame, 1));
    boxes.setAttribute('transform', matrixOf(place, { x: 0, y: 0, width: 1, height: 1 }, 1));
    result.findings.forEach(({ x, y, width, height }, index) => {
      const corners = [place(x, y), place(x + width, y), place(x, y + height), place(x + width, y + height)];
      labels[index].setAttribute('x', String(Math.min(...corners.map(([left]) => left))));
      labels[index].setAttribute('y', String(Math.min(...corners.map(([, top]) => top)) - 5));
    });
  };
  draw();
  (viewport.canvas.parentElement ?? viewport.element).append(root);
  viewport.element.addEventListener(RENDERED, draw);
  return {
    remove() {
      viewport.element.removeEventListener(RENDERED, draw);
      root.remove();
    },
  };
}
