/** Texts about a result that panel, table and printed report share. */

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('./words.js').Words} Words
 */

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

/** A warning in words; what comes of a DICOM file's tag names the tag. @param {Words} words @param {Result} result @param {string} name */
export function warningText(words, result, name) {
  const { tag = '', value = '' } = result.dicom?.findings.find(({ code }) => code === name) ?? {};
  const missing = !value && words.has(`warn.${name}.missing`);
  return words.text(`warn.${name}${missing ? '.missing' : ''}`, { tag, value });
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
