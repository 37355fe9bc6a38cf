/** What is told of a result wherever it is shown: panel, table, printed report. */

import { enlarge } from './resample.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('./words.js').Words} Words
 */

/** A uniform map has .36 of its mass in the outer tenth. */
const MUCH_AT_BORDER = 0.6;

/** @param {string} verdict whether there is nothing to say of the image, not even how likely each class is */
export function isRefusal(verdict) {
  return verdict === 'not-a-chest-x-ray';
}

/** The class with the largest probability. @param {Result} result */
export function topClass(result) {
  return result.classes.reduce((best, each) => (each.probability > best.probability ? each : best));
}

/** Whether an image may do better another time: what is wrong with the file itself stays. @param {Item} item */
export function retryHelps({ state, error }) {
  return state === 'cancelled' || (state === 'failed' && (error?.code === 'dicom-codec' || !/^(image|dicom)-/.test(error?.code ?? '')));
}

/**
 * The engine's warnings, and one of our own: evidence that lies where no lung is.
 * @param {Result} result @param {string} verdict
 * @returns {string[]}
 */
export function warningsOf(result, verdict) {
  const { heatmap } = result;
  const map = heatmap?.classes.find(({ id }) => id === verdict);
  const atBorder = heatmap && map && borderShare({ ...heatmap, values: map.values }) > MUCH_AT_BORDER;
  return atBorder ? [...result.warnings, 'evidence-at-border'] : [...result.warnings];
}

/** A warning in words; what comes of a DICOM file's tag names the tag. @param {Words} words @param {Result} result @param {string} name */
export function warningText(words, result, name) {
  const { tag = '', value = '' } = result.dicom?.findings.find(({ code }) => code === name) ?? {};
  return words.text(`warn.${name}`, { tag, value: value || '–' });
}

/** How much of a map's positive mass lies within a tenth of the edge. @param {import('./resample.js').Grid} grid */
export function borderShare(grid) {
  const side = 40;
  const values = enlarge(grid, side);
  let all = 0;
  let edge = 0;
  values.forEach((value, i) => {
    const x = i % side;
    const y = Math.floor(i / side);
    const mass = Math.max(value, 0);
    all += mass;
    if (Math.min(x, y, side - 1 - x, side - 1 - y) < side / 10) edge += mass;
  });
  return all > 0 ? edge / all : 0;
}

/** @param {Words} words @param {Result} result @returns {[string, string | null][]} */
function dicomFacts(words, { dicom }) {
  if (!dicom) return [];
  const { window, spacing } = dicom;
  const shape =
    window?.centre === null
      ? window.explanation
      : window &&
        words.text('fact.window.value', { centre: String(window.centre), width: String(window.width), shape: window.shape ?? '' });
  return [
    ['fact.dicom', [dicom.modality, dicom.bodyPart, dicom.viewPosition, dicom.laterality].filter(Boolean).join(', ')],
    ['fact.syntax', dicom.transferSyntax.name],
    ['fact.frame', dicom.frames > 1 ? words.text('fact.frame.value', { frame: dicom.frame + 1, frames: dicom.frames }) : null],
    ['fact.window', shape],
    ['fact.spacing', spacing && words.text(`fact.spacing.${spacing.at}`, { row: String(spacing.row), column: String(spacing.column) })],
  ];
}

/**
 * What is known of a result, as pairs of a key and a text; the report prints them too.
 * @param {Words} words @param {Item} item @param {Result} result
 * @returns {[string, string][]}
 */
export function factsOf(words, item, result) {
  const { image, model, gate, timings } = result;
  /** @type {[string, string | null][]} */
  const rows = [
    ['fact.file', item.name],
    ['fact.image', words.text('fact.image.value', { width: image.width, height: image.height, format: image.format.toUpperCase() })],
    ['fact.sha256', result.sha256],
    ...dicomFacts(words, result),
    ['fact.gate', words.text('fact.gate.value', { score: words.percent(gate.score, 3), threshold: words.percent(gate.threshold, 3) })],
    [
      'fact.time',
      words.text('fact.time.value', {
        decode: words.duration(timings.decode_ms),
        preprocess: words.duration(timings.preprocess_ms),
        network: words.duration(timings.network_ms),
      }),
    ],
    ['fact.model', `${model.id} ${model.version}`],
    ['fact.weights', model.sha256],
  ];
  return /** @type {[string, string][]} */ (rows.filter(([, value]) => value));
}
