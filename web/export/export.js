/**
 * Turns results into files: CSV that spreadsheets cannot be tricked by, JSON by the schema, DICOM Structured Reports.
 * Code that only one kind of export needs is loaded on request.
 */

import { contentOf } from '../shared/source.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {'csv' | 'json' | 'sr' | 'seg' | 'sc' | 'print' | 'print.all'} Kind
 * @typedef {{ names: boolean, verdict: (item: Item) => string }} Choice `names`: file names included
 *
 * @typedef {object} Source
 * @property {import('../shared/words.js').Words} words
 * @property {readonly Item[]} shown what the table shows, in its order
 * @property {Item | null} selected
 * @property {(item: Item) => import('../viewer/occlusion.js').OcclusionMap | null} occlusion its occlusion map, if it was made
 * @property {(item: Item) => string} shownClass the class of that map
 * @property {import('../classifier.js').ModelInfo} model
 * @property {string} version of the library
 */

/** A Secondary Capture is at least so wide, if the image is. */
const CAPTURE_WIDTH = 1024;
const CLASSES = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];
const COLUMNS = [
  'file',
  'sha256',
  'verdict',
  ...CLASSES,
  'findings',
  'zones',
  'opacity',
  'gate_score',
  'gate_threshold',
  'width',
  'height',
  'format',
  'warnings',
  'error',
  'model',
  'model_version',
  'model_sha256',
];

/** What archives take. @type {Record<string, (item: Item, words: import('../shared/words.js').Words, choice: Pick<Choice & Source, 'verdict' | 'model'>) => Promise<Uint8Array<ArrayBuffer>>>} */
const OBJECTS = {
  sr: (item, _, choice) => toSr(item, choice),
  seg: (item, _, choice) => toSeg(item, choice),
  sc: (item, words, choice) => toCapture(item, words, choice),
};

/**
 * Makes the file and gives it to the user.
 * @param {Kind} kind
 * @param {Choice & Source} source
 */
export async function exportAs(kind, { words, shown, selected, ...choice }) {
  const one = selected ? [selected] : [];
  const name = `cxr-lens-${new Date().toISOString().slice(0, 10)}`;
  if (kind === 'csv') save(`${name}.csv`, toCsv(shown, choice), 'text/csv;charset=utf-8');
  else if (kind === 'json') save(`${name}.json`, toJson(shown, choice), 'application/json');
  else if (kind in OBJECTS)
    for (const item of one) save(`${name}.${kind}.dcm`, await OBJECTS[kind](item, words, choice), 'application/dicom');
  else await import('./print.js').then(({ printReport }) => printReport(words, kind === 'print' ? one : shown, choice));
}

/**
 * What an object for an archive is made of. It names patient and study as the image does, which is read from the file now,
 * for results hold nothing of the patient.
 * @param {Item} item with the result of a DICOM file
 * @param {Pick<Choice, 'verdict'>} choice
 */
async function named(item, choice) {
  const { identityOf } = await import('../dicom.js');
  const file = /** @type {Blob} */ (await contentOf(item.source));
  const identity = await identityOf(new Uint8Array(await file.arrayBuffer()));
  const result = { .../** @type {import('../classifier.js').Result} */ (item.result), verdict: choice.verdict(item) };
  return { result, options: { ...identity, date: new Date() } };
}

/**
 * A report that an archive can file beside the image.
 * @param {Item} item with the result of a DICOM file
 * @param {Pick<Choice, 'verdict'>} choice
 */
export async function toSr(item, choice) {
  const [{ toDicomSr }, { result, options }] = await Promise.all([import('../dicom-sr.js'), named(item, choice)]);
  return toDicomSr(result, options);
}

/** Lungs and opacities as a Segmentation. @param {Item} item @param {Pick<Choice & Source, 'verdict' | 'model'>} choice */
async function toSeg(item, choice) {
  const [{ toDicomSeg }, { result, options }] = await Promise.all([import('../dicom-overlay.js'), named(item, choice)]);
  return toDicomSeg(result, { ...options, thresholds: choice.model });
}

/**
 * The image with its findings as a Secondary Capture.
 * @param {Item} item
 * @param {import('../shared/words.js').Words} words
 * @param {Pick<Choice & Source, 'verdict' | 'model'>} choice
 */
async function toCapture(item, words, choice) {
  const [{ toSecondaryCapture }, { canvasOf }] = await Promise.all([import('../dicom-overlay.js'), import('./picture.js')]);
  const { result, options } = await named(item, choice);
  const canvas = await canvasOf(item, 'findings', { words, model: choice.model, width: CAPTURE_WIDTH });
  const { width, height } = /** @type {HTMLCanvasElement} */ (canvas);
  const picture = /** @type {CanvasRenderingContext2D} */ (canvas?.getContext('2d')).getImageData(0, 0, width, height);
  return toSecondaryCapture(picture, result, options);
}

/**
 * One cell. A leading equals, plus, minus or at sign, tab or return would be run as a formula by spreadsheets: an
 * apostrophe before it makes it text.
 * @param {string | number | null | undefined} value
 */
export function csvCell(value) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[\s]*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(value) ? `'${value}` : value;
  return /[",;\r\n\t]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * One line an image, by RFC 4180. The byte order mark makes spreadsheets read it as UTF-8.
 * @param {readonly Item[]} items
 * @param {Choice} choice
 */
export function toCsv(items, choice) {
  const lines = finished(items).map((item) => row(item, choice).map(csvCell).join(','));
  return `\uFEFF${[COLUMNS.join(','), ...lines].join('\r\n')}\r\n`;
}

/** @param {Item} item @param {Choice} choice @returns {(string | number | null | undefined)[]} */
function row(item, choice) {
  const { result, error } = item;
  /** @type {Record<string, string | number | null | undefined>} */
  const cells = { file: choice.names ? item.name : `image-${item.id}`, error: error?.code };
  if (result) {
    const { image, model, gate } = result;
    Object.assign(cells, image, {
      sha256: choice.names ? result.sha256 : null,
      verdict: choice.verdict(item),
      warnings: result.warnings.join(' '),
      findings: result.findings.length,
      zones: result.findings.map(({ side, zone }) => `${side} ${zone}`).join('; '),
      opacity: result.opacity.score,
      gate_score: gate.score,
      gate_threshold: gate.threshold,
      model: model.id,
      model_version: model.version,
      model_sha256: model.sha256,
    });
    for (const { id, probability } of result.classes) cells[id] = probability;
  }
  return COLUMNS.map((column) => cells[column]);
}

/**
 * The results as an array, each by result.schema.json; maps are plain arrays of numbers.
 * @param {readonly Item[]} items
 * @param {Choice} choice
 */
export function toJson(items, choice) {
  return `${JSON.stringify(
    finished(items).map((item) => record(item, choice)),
    plainArrays,
    1,
  )}\n`;
}

/** @param {Item} item @param {Choice} choice */
function record(item, choice) {
  const file = choice.names ? item.name : null;
  if (!item.result) return { schema: 'cxrlens.result/2', file, error: item.error };
  const { result } = item;
  // The hash of a file, or its UIDs, are as good as its name to whoever holds the file.
  const nameless = choice.names
    ? {}
    : { sha256: null, dicom: result.dicom && { ...result.dicom, studyUid: null, seriesUid: null, instanceUid: null } };
  return { ...result, ...nameless, file, verdict: choice.verdict(item) };
}

/** @param {string} _key @param {unknown} value */
function plainArrays(_key, value) {
  return value instanceof Float32Array ? [...value] : value;
}

/** @param {readonly Item[]} items */
function finished(items) {
  return items.filter(({ state }) => state === 'done' || state === 'failed');
}

/**
 * Hands a file to the user.
 * @param {string} name
 * @param {string | Uint8Array<ArrayBuffer>} content
 * @param {string} type
 */
function save(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the blob after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
