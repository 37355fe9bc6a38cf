/** Turns results into files: CSV that spreadsheets cannot be tricked by, and JSON by the schema. */

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {{ names: boolean, verdict: (item: Item) => string }} Choice `names`: file names included
 */

const CLASSES = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];
const COLUMNS = ['file', 'sha256', 'verdict', ...CLASSES, 'gate_score', 'gate_threshold', 'width', 'height', 'format',
  'warnings', 'error', 'model', 'model_version', 'model_sha256'];

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
      sha256: choice.names ? result.sha256 : null, verdict: choice.verdict(item), warnings: result.warnings.join(' '),
      gate_score: gate.score, gate_threshold: gate.threshold, model: model.id, model_version: model.version, model_sha256: model.sha256,
    });
    for (const { id, probability } of result.classes) cells[id] = probability;
  }
  return COLUMNS.map((column) => cells[column]);
}

/**
 * The results as an array, each by result.schema.json; maps become plain arrays of numbers.
 * @param {readonly Item[]} items
 * @param {Choice} choice
 */
export function toJson(items, choice) {
  return `${JSON.stringify(finished(items).map((item) => record(item, choice)), plainArrays, 1)}\n`;
}

/** @param {Item} item @param {Choice} choice */
function record(item, choice) {
  const file = choice.names ? item.name : null;
  if (!item.result) return { schema: 'cxrlens.result/1', file, error: item.error };
  const { result } = item;
  // The hash of a file, or its UIDs, are as good as its name to whoever holds the file.
  const nameless = choice.names ? {} : { sha256: null, dicom: result.dicom && { ...result.dicom, studyUid: null, seriesUid: null, instanceUid: null } };
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
 * @param {string} text
 * @param {string} type
 */
export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the blob after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
