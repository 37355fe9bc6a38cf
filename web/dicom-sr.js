// dicom-sr.js - a result as a DICOM Structured Report: Comprehensive SR by template TID 1500, preliminary and
// unverified. A pure function, except for the local time zone if the study names none: the same arguments give the
// same bytes, UIDs included. Loaded only when a report is made.

import { coded, dcm, dicomFile, fl, frameOf, headerOf, NOTICE, own, referenceTo, SIDES, snomed, sourceOf, uidsFor } from './dicom/write.js';

/**
 * @typedef {import('./engine/wasm.js').Result} Result
 * @typedef {import('./dicom/write.js').Source} Source
 * @typedef {import('./dicom/write.js').ObjectOptions} SrOptions
 * @typedef {import('./dicom/write.js').Element} Element
 * @typedef {import('./dicom/write.js').Concept} Concept
 */

const COMPREHENSIVE_SR = '1.2.840.10008.5.1.4.1.1.88.33';

/**
 * @param {Result} result
 * @param {SrOptions} options
 * @returns {Uint8Array<ArrayBuffer>} a DICOM file
 * @throws {TypeError} when the source's UIDs are missing or no UIDs, or a text is longer than DICOM can hold
 */
export function toDicomSr(result, options) {
  const source = sourceOf(result, options);
  const uid = uidsFor(JSON.stringify([result, source, options]));
  return dicomFile(COMPREHENSIVE_SR, uid('instance'), [
    ...headerOf(result, options, source, uid, { modality: 'SR', series: 'CXR Lens, for research and education only' }),
    [0x00081111, 'SQ', []],
    [0x0040a372, 'SQ', []],
    [0x0040a375, 'SQ', [evidence(source)]],
    [0x0040a491, 'CS', 'COMPLETE'],
    [0x0040a493, 'CS', 'UNVERIFIED'],
    [0x0040a496, 'CS', 'PRELIMINARY'],
    ...contentOf(result, source, uid),
  ]);
}

/** Current Requested Procedure Evidence. @param {Source} source @returns {Element[]} */
const evidence = (source) => [
  [
    0x00081115,
    'SQ',
    [
      [
        [0x00081199, 'SQ', [referenceTo(source)]],
        [0x0020000e, 'UI', source.seriesUid],
      ],
    ],
  ],
  [0x0020000d, 'UI', source.studyUid],
];

// ---- Content (PS3.16 TID 1500) --------------------------------------------------------------

/** @type {Record<string, Concept>} */
const VERDICTS = {
  normal: snomed('168733007', 'Standard chest X-ray normal'),
  'covid-19': own('covid-19', 'COVID-19 pneumonia'),
  'viral-pneumonia': snomed('75570004', 'Viral pneumonia'),
  'lung-opacity': own('lung-opacity', 'Lung opacity'),
  uncertain: own('uncertain', 'Not sure which class this is'),
  'not-a-chest-x-ray': own('not-a-chest-x-ray', 'Not an upright frontal chest X-ray; not classified'),
};
/** @param {string} id perhaps of a model that we do not know */
const conceptOf = (id) => VERDICTS[id] ?? own(id, id);

/**
 * @param {Result} result
 * @param {Source} source
 * @param {(name: string) => string} uid
 * @returns {Element[]}
 */
function contentOf(result, source, uid) {
  const { model } = result;
  const about = result.warnings.length > 0 ? `About the image: ${result.warnings.join(', ')}.` : '';
  const measurements = container('CONTAINS', dcm('126010', 'Imaging Measurements'), [
    measurementsOf(result, uid),
    ...result.findings.map((_, index) => regionOf(result, index, source, uid)),
  ]);
  const children = [
    code('HAS CONCEPT MOD', dcm('121049', 'Language of Content Item and Descendants'), ['en', 'RFC5646', 'English']),
    code('HAS OBS CONTEXT', dcm('121005', 'Observer Type'), dcm('121007', 'Device')),
    item('HAS OBS CONTEXT', 'UIDREF', dcm('121012', 'Device Observer UID'), [[0x0040a124, 'UI', uidsFor(model.sha256)('device')]]),
    text('HAS OBS CONTEXT', dcm('121013', 'Device Observer Name'), `CXR Lens ${model.id} ${model.version}`),
    code('HAS CONCEPT MOD', dcm('121058', 'Procedure reported'), snomed('399208008', 'Plain chest X-ray')),
    container('CONTAINS', dcm('111028', 'Image Library'), [
      container('CONTAINS', dcm('126200', 'Image Library Group'), [
        item('CONTAINS', 'IMAGE', undefined, [[0x00081199, 'SQ', [[...referenceTo(source), ...frameOf(source)]]]]),
      ]),
    ]),
    measurements,
    container(
      'CONTAINS',
      ['C0034375', 'UMLS', 'Qualitative Evaluations'],
      [
        code('CONTAINS', own('verdict', 'Class of the chest X-ray'), conceptOf(result.verdict)),
        text('CONTAINS', dcm('121106', 'Comment'), `${NOTICE} ${about}`.trim()),
      ],
    ),
  ];
  return [
    [0x0040a040, 'CS', 'CONTAINER'],
    [0x0040a043, 'SQ', [coded(dcm('126000', 'Imaging Measurement Report'))]],
    [0x0040a050, 'CS', 'SEPARATE'],
    template('1500'),
    [0x0040a730, 'SQ', children],
  ];
}

/** TID 1501. Of what was refused, only the figure that refused it. @param {Result} result @param {(name: string) => string} uid */
const measurementsOf = ({ model, classes, gate, opacity }, uid) =>
  container('CONTAINS', dcm('125007', 'Measurement Group'), [
    text('HAS OBS CONTEXT', dcm('112039', 'Tracking Identifier'), 'Chest X-ray'),
    item('HAS OBS CONTEXT', 'UIDREF', dcm('112040', 'Tracking Unique Identifier'), [[0x0040a124, 'UI', uid('tracking')]]),
    code('HAS CONCEPT MOD', snomed('363698007', 'Finding Site'), snomed('39607008', 'Lung')),
    text('HAS CONCEPT MOD', dcm('111001', 'Algorithm Name'), `CXR Lens ${model.id}`),
    text('HAS CONCEPT MOD', dcm('111003', 'Algorithm Version'), model.version),
    text('HAS CONCEPT MOD', dcm('111002', 'Algorithm Parameters'), `model file: SHA-256 ${model.sha256}`),
    ...(gate.accepted ? classes : []).map(({ id, probability }) =>
      number(own(`probability-${id}`, `Probability of: ${conceptOf(id)[2]}`), probability),
    ),
    number(own('gate-score', 'Resemblance to an upright frontal chest X-ray'), gate.score),
    ...(gate.accepted ? [number(own('opacity', 'Strongest opacity inside the lungs'), opacity.score)] : []),
  ]);

/**
 * A finding as TID 1410, Planar ROI Measurements and Qualitative Evaluations: its box as a closed polyline.
 * @param {Result} result
 * @param {number} index
 * @param {Source} source
 * @param {(name: string) => string} uid
 */
function regionOf({ image, findings }, index, source, uid) {
  const { side, zone, strength, x, y, width, height } = findings[index];
  const [left, top, right, bottom] = [x * image.width, y * image.height, (x + width) * image.width, (y + height) * image.height];
  const zoneModifier = code(
    'HAS CONCEPT MOD',
    snomed('106233006', 'Topographical modifier'),
    own(`${zone}-zone`, `${zone[0].toUpperCase()}${zone.slice(1)} zone of lung`),
  );
  return [
    ...container('CONTAINS', dcm('125007', 'Measurement Group'), [
      text('HAS OBS CONTEXT', dcm('112039', 'Tracking Identifier'), `Opacity ${index + 1}`),
      item('HAS OBS CONTEXT', 'UIDREF', dcm('112040', 'Tracking Unique Identifier'), [[0x0040a124, 'UI', uid(`finding ${index}`)]]),
      code('CONTAINS', dcm('121071', 'Finding'), own('lung-opacity', 'Lung opacity')),
      [...code('HAS CONCEPT MOD', snomed('363698007', 'Finding Site'), SIDES[side]), [0x0040a730, 'SQ', [zoneModifier]]],
      item('CONTAINS', 'SCOORD', dcm('111030', 'Image Region'), [
        [0x00700022, 'FL', fl(left, top, right, top, right, bottom, left, bottom, left, top)],
        [0x00700023, 'CS', 'POLYLINE'],
        [
          0x0040a730,
          'SQ',
          [item('SELECTED FROM', 'IMAGE', undefined, [[0x00081199, 'SQ', [[...referenceTo(source), ...frameOf(source)]]]])],
        ],
      ]),
      number(own('opacity-strength', 'Strength of the opacity'), strength),
    ]),
    template('1410'),
  ];
}

/** @param {string} id @returns {Element} */
const template = (id) => [
  0x0040a504,
  'SQ',
  [
    [
      [0x00080105, 'CS', 'DCMR'],
      [0x0040db00, 'CS', id],
    ],
  ],
];

/**
 * A content item (PS3.3 C.17.3).
 * @param {string} relation to the item above
 * @param {string} type
 * @param {Concept|undefined} concept
 * @param {Element[]} value
 * @returns {Element[]}
 */
const item = (relation, type, concept, value) => [
  [0x0040a010, 'CS', relation],
  [0x0040a040, 'CS', type],
  ...(concept ? [/** @type {Element} */ ([0x0040a043, 'SQ', [coded(concept)]])] : []),
  ...value,
];

/** @param {string} relation @param {Concept} concept @param {Element[][]} children */
const container = (relation, concept, children) =>
  item(relation, 'CONTAINER', concept, [
    [0x0040a050, 'CS', 'SEPARATE'],
    [0x0040a730, 'SQ', children],
  ]);

/** @param {string} relation @param {Concept} concept @param {Concept} value */
const code = (relation, concept, value) => item(relation, 'CODE', concept, [[0x0040a168, 'SQ', [coded(value)]]]);

/** @param {string} relation @param {Concept} concept @param {string} value */
const text = (relation, concept, value) => item(relation, 'TEXT', concept, [[0x0040a160, 'UT', value]]);

/** A share, 0..1. @param {Concept} concept @param {number} value */
const number = (concept, value) =>
  item('CONTAINS', 'NUM', concept, [
    [
      0x0040a300,
      'SQ',
      [
        [
          [0x004008ea, 'SQ', [coded(['1', 'UCUM', 'no units'])]],
          [0x0040a30a, 'DS', value.toFixed(6)],
        ],
      ],
    ],
  ]);
