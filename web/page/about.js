/** Shows the model's measured figures from the report beside the page; without the report it shows none. */

import { fill, h } from '../shared/dom.js';

/** @typedef {import('../shared/words.js').Words} Words */
/** @typedef {{ value: number, low: number, high: number }} Measured with its 95% interval */

/**
 * What is read of model/reports/evaluation.json.
 * @typedef {object} Report
 * @property {boolean} same_data whether the weights were trained only on the data and splits of this test
 * @property {{ images: number, auc: Record<string, Measured>, shares: Record<string, Measured> }} [siim] one collection, in
 *   which radiologists read "typical for COVID-19" or "negative for pneumonia"
 * @property {{ opacities: Record<string, { boxed: number, pointing: Measured }> }} [maps]
 * @property {{ images: number, accuracy: Measured, reweighted_accuracy: Measured, classes: Record<string, { f1: Measured }> }} test
 * @property {{ images_refused: number }} gate
 * @property {Record<string, { accuracy: number }>} masks
 * @property {Record<string, Record<string, { images: number, recall?: number }>>} external
 */

const LUNGS_REMOVED = "lungs' box removed";

/** The report; null where the build had none. @param {URL} url @returns {Promise<Report | null>} */
export async function loadReport(url) {
  const response = await fetch(url);
  return response.ok ? response.json() : null;
}

/** @param {Words} words @param {Measured} measured */
const interval = (words, { value, low, high }) =>
  words.text('about.interval', { value: words.percent(value), low: words.percent(low), high: words.percent(high) });

/**
 * Fills `node` with tables: first what cannot be won by recognising the hospital, then images of the sources that the model
 * learned from, then images from elsewhere. Figures that images seen in training may flatter are not shown, and a sentence
 * says so.
 * @param {HTMLElement} node
 * @param {Report} report
 * @param {Words} words
 */
export function showReport(node, report, words) {
  if (!report.same_data) return fill(node, h('p', {}, words.text('about.seen')));
  const { siim, test, external } = report;
  const elsewhere = Object.entries(external).flatMap(([set, labels]) =>
    Object.entries(labels)
      .filter(([, row]) => typeof row.recall === 'number')
      .map(([label, { images, recall }]) => [`${set}: ${label} (${words.count(images)})`, words.percent(recall ?? 0)]),
  );
  fill(
    node,
    siim && table(words.text('about.siim', { n: siim.images }), honest(report, words)),
    table(words.text('about.test', { n: test.images }), mixed(report, words)),
    elsewhere.length > 0 && table(words.text('about.elsewhere'), elsewhere),
    h('p', {}, words.text('about.flatter')),
  );
}

/** Figures of one collection. @param {Report} report @param {Words} words @returns {string[][]} */
function honest({ siim, maps }, words) {
  /** @type {[string, Measured | undefined][]} */
  const rows = [
    ['about.siim.auc', siim?.auc['not normal']],
    ['about.siim.false', siim?.shares['negative, called covid-19']],
    ['about.siim.found', siim?.shares['typical, called covid-19']],
    ['about.siim.pointing', maps?.opacities.SIIM?.pointing],
  ];
  return rows.flatMap(([key, measured]) => (measured ? [[words.text(key), interval(words, measured)]] : []));
}

/** Figures of mixed sources. @param {Report} report @param {Words} words @returns {string[][]} */
const mixed = ({ test, gate, masks }, words) => [
  [words.text('about.accuracy'), interval(words, test.accuracy)],
  [words.text('about.reweighted'), interval(words, test.reweighted_accuracy)],
  ...Object.entries(test.classes).map(([id, { f1 }]) => [words.text('about.f1', { name: words.text(`class.${id}`) }), interval(words, f1)]),
  [words.text('about.refused'), words.percent(gate.images_refused)],
  ...(LUNGS_REMOVED in masks ? [[words.text('about.lungs'), words.percent(masks[LUNGS_REMOVED].accuracy)]] : []),
];

/** @param {string} caption @param {string[][]} rows */
function table(caption, rows) {
  return h(
    'table',
    {},
    h('caption', {}, caption),
    h('tbody', {}, ...rows.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value)))),
  );
}
