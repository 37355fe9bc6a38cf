// dicom-overlay.js - findings as DICOM images, for viewers that show no regions of reports: a Segmentation of lungs and
// opacities, which lies over the image, and a Secondary Capture, a picture with the findings burned in. Pure functions, as
// toDicomSr() is. A Segmentation, not a presentation state: OHIF reads no presentation states, and Weasis reads both.

import { coded, dcm, dicomFile, frameOf, headerOf, longs, NOTICE, own, referenceTo, snomed, sourceOf, uidsFor, us } from './dicom/write.js';
import { masksOf } from './shared/maps.js';

/**
 * @typedef {import('./engine/wasm.js').Result} Result
 * @typedef {import('./shared/maps.js').Thresholds} Thresholds
 * @typedef {import('./dicom/write.js').ObjectOptions} ObjectOptions
 * @typedef {import('./dicom/write.js').Source} Source
 * @typedef {import('./dicom/write.js').Element} Element
 * @typedef {import('./dicom/write.js').Concept} Concept
 */

const SEGMENTATION = '1.2.840.10008.5.1.4.1.1.66.4';
const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
/** Side of the masks that are scaled to the image: eight pixels a cell of the finer map. */
const MASK_SIDE = 192;

/** What is marked: label, category and type (PS3.16 CID 7150), and a colour in CIELab (PS3.3 C.10.7.1.1). */
const SEGMENTS = /** @type {const} */ ([
  {
    key: 'lungs',
    label: 'Lungs',
    category: snomed('123037004', 'Anatomical Structure'),
    type: snomed('39607008', 'Lung'),
    colour: [53000, 28000, 25000],
  },
  {
    key: 'opacities',
    label: 'Opacities',
    category: snomed('49755003', 'Morphologically Altered Structure'),
    type: own('lung-opacity', 'Lung opacity'),
    colour: [47000, 40000, 50000],
  },
]);

/**
 * A Segmentation (PS3.3 A.51) of the image's own size, one frame for each segment.
 * @param {Result} result with maps
 * @param {ObjectOptions & { thresholds: Thresholds }} options thresholds: those of the classifier's `info.model`
 * @returns {Uint8Array<ArrayBuffer>} a DICOM file
 * @throws {TypeError} when the source's UIDs or the maps are missing
 */
export function toDicomSeg(result, options) {
  const { maps, image, frame, model, dicom } = result;
  if (!maps) throw new TypeError('The result has no maps: ask for them when classifying.');
  const source = sourceOf(result, options);
  const uid = uidsFor(JSON.stringify(['seg', { ...result, maps: undefined }, source, options]));
  const masks = masksOf(maps, options.thresholds, MASK_SIDE);
  const spacing = dicom?.spacing ? `${dicom.spacing.row}\\${dicom.spacing.column}` : '1\\1';
  return dicomFile(SEGMENTATION, uid('instance'), [
    ...headerOf(result, options, source, uid, { modality: 'SEG', series: 'CXR Lens lungs and opacities, for research only' }),
    [0x00080008, 'CS', 'DERIVED\\PRIMARY'],
    [
      0x00081115,
      'SQ',
      [
        [
          [0x0008114a, 'SQ', [referenceTo(source)]],
          [0x0020000e, 'UI', source.seriesUid],
        ],
      ],
    ],
    // Coordinates of a frame of reference of its own: radiographs have none, but OHIF shows no segmentation without.
    [0x00200052, 'UI', uid('frame of reference')],
    [0x00201040, 'LO', ''],
    [0x00209221, 'SQ', [[[0x00209164, 'UI', uid('dimensions')]]]],
    [
      0x00209222,
      'SQ',
      [
        [
          [0x00209164, 'UI', uid('dimensions')],
          [0x00209165, 'AT', us(0x0062, 0x000b)],
          [0x00209167, 'AT', us(0x0062, 0x000a)],
        ],
      ],
    ],
    ...pixelModule(image, 1, 1),
    [0x00280008, 'IS', String(SEGMENTS.length)],
    [0x00282110, 'CS', '00'],
    [0x00620001, 'CS', 'BINARY'],
    [0x00620002, 'SQ', SEGMENTS.map((segment, i) => segmentOf(segment, i + 1, model.id))],
    [0x00700080, 'CS', 'CXR_LENS'],
    [0x00700081, 'LO', NOTICE.slice(0, 64)],
    [0x00700084, 'PN', ''],
    [
      0x52009229,
      'SQ',
      [
        [
          [0x00209116, 'SQ', [[[0x00200037, 'DS', '1\\0\\0\\0\\1\\0']]]],
          [
            0x00289110,
            'SQ',
            [
              [
                [0x00180050, 'DS', '1'],
                [0x00280030, 'DS', spacing],
              ],
            ],
          ],
        ],
      ],
    ],
    [0x52009230, 'SQ', SEGMENTS.map((_, i) => frameGroups(source, i + 1))],
    [
      0x7fe00010,
      'OB',
      packed(
        SEGMENTS.map(({ key }) => masks[key]),
        image,
        frame,
      ),
    ],
  ]);
}

/** @param {{ width: number, height: number }} image @param {number} samples @param {number} bits @returns {Element[]} (PS3.3 C.7.6.3) */
const pixelModule = ({ width, height }, samples, bits) => [
  [0x00280002, 'US', us(samples)],
  [0x00280004, 'CS', samples === 1 ? 'MONOCHROME2' : 'RGB'],
  [0x00280010, 'US', us(height)],
  [0x00280011, 'US', us(width)],
  [0x00280100, 'US', us(bits)],
  [0x00280101, 'US', us(bits)],
  [0x00280102, 'US', us(bits - 1)],
  [0x00280103, 'US', us(0)],
];

/** @param {typeof SEGMENTS[number]} segment @param {number} number @param {string} algorithm @returns {Element[]} */
const segmentOf = ({ label, category, type, colour }, number, algorithm) => [
  [0x00620003, 'SQ', [coded(category)]],
  [0x00620004, 'US', us(number)],
  [0x00620005, 'LO', label],
  [0x00620008, 'CS', 'AUTOMATIC'],
  [0x00620009, 'LO', `CXR Lens ${algorithm}`.slice(0, 64)],
  [0x0062000d, 'US', us(...colour)],
  [0x0062000f, 'SQ', [coded(type)]],
];

/** @param {Source} source @param {number} segment @returns {Element[]} */
const frameGroups = (source, segment) => [
  [
    0x00089124,
    'SQ',
    [
      [
        [
          0x00082112,
          'SQ',
          [
            [
              ...referenceTo(source),
              ...frameOf(source),
              [0x0028135a, 'CS', 'YES'],
              [0x0040a170, 'SQ', [coded(dcm('121322', 'Source image for image processing operation'))]],
            ],
          ],
        ],
        [0x00089215, 'SQ', [coded(dcm('113076', 'Segmentation'))]],
      ],
    ],
  ],
  [0x00209111, 'SQ', [[[0x00209157, 'UL', longs(segment)]]]],
  [0x00209113, 'SQ', [[[0x00200032, 'DS', '0\\0\\0']]]],
  [0x0062000a, 'SQ', [[[0x0062000b, 'US', us(segment)]]]],
];

/**
 * Frames of one bit a pixel, the first in the lowest bit, without gaps (PS3.5 8.1.1).
 * @param {boolean[][]} masks of the frame
 * @param {{ width: number, height: number }} image
 * @param {import('./classifier.js').Box} frame
 */
function packed(masks, { width, height }, frame) {
  const bytes = new Uint8Array(Math.ceil((masks.length * width * height) / 8));
  /** Where in a mask a pixel's centre lies; -1: beside it. @param {number} at @param {number} size @param {number} start @param {number} share */
  const cellOf = (at, size, start, share) => {
    const cell = Math.floor((((at + 0.5) / size - start) / share) * MASK_SIDE);
    return cell >= 0 && cell < MASK_SIDE ? cell : -1;
  };
  const columns = Array.from({ length: width }, (_, x) => cellOf(x, width, frame.x, frame.width));
  let bit = 0;
  for (const mask of masks) {
    for (let y = 0; y < height; y++) {
      const row = cellOf(y, height, frame.y, frame.height);
      for (let x = 0; x < width; x++, bit++) {
        if (row >= 0 && columns[x] >= 0 && mask[row * MASK_SIDE + columns[x]]) bytes[bit >> 3] |= 1 << (bit & 7);
      }
    }
  }
  return bytes;
}

/**
 * A Secondary Capture (PS3.3 A.8.1) of a picture with the findings drawn over the image.
 * @param {{ data: Uint8Array|Uint8ClampedArray, width: number, height: number }} picture RGBA, as ImageData is
 * @param {Result} result
 * @param {ObjectOptions} options
 * @returns {Uint8Array<ArrayBuffer>} a DICOM file
 * @throws {TypeError} when the source's UIDs are missing
 */
export function toSecondaryCapture({ data, width, height }, result, options) {
  const source = sourceOf(result, options);
  const uid = uidsFor(JSON.stringify(['sc', { ...result, maps: undefined }, source, options, width, height]));
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) rgb.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
  return dicomFile(SECONDARY_CAPTURE, uid('instance'), [
    ...headerOf(result, options, source, uid, { modality: 'OT', series: 'CXR Lens findings, for research and education only' }),
    [0x00080008, 'CS', 'DERIVED\\SECONDARY'],
    [0x00080064, 'CS', 'WSD'],
    [0x00082111, 'ST', `Findings drawn over the image. ${NOTICE}`],
    [0x00082112, 'SQ', [[...referenceTo(source), ...frameOf(source)]]],
    [0x00200020, 'CS', ''],
    ...pixelModule({ width, height }, 3, 8),
    [0x00280006, 'US', us(0)],
    [0x00280301, 'CS', result.dicom?.burnedIn ? 'YES' : 'NO'],
    [0x7fe00010, 'OB', rgb],
  ]);
}
