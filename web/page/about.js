/** The model's measured figures, from the report that ships beside the page; without the report the page has none. */

import { fill, h } from '../shared/dom.js';

/** @typedef {import('../shared/words.js').Words} Words */
/** @typedef {{ value: number, low: number, high: number }} Measured with its 95% interval */

/**
 * What is read of model/reports/evaluation.json.
 * @typedef {object} Report
 * @property {boolean} same_data whether the weights have learned from no other data or splits than those of the test
 * @property {{ films: number, accuracy: Measured, reweighted_accuracy: Measured, ece: number, classes: Record<string, { f1: Measured }> }} test
 * @property {{ films_refused: number }} gate
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
 * Fills `node` with two tables: films of the sources that the model learned from, and films from elsewhere. Figures that
 * films seen in training may flatter are not shown, and a sentence says so.
 * @param {HTMLElement} node
 * @param {Report} report
 * @param {Words} words
 */
export function showReport(node, { same_data: sameData, test, gate, masks, external }, words) {
  if (!sameData) return fill(node, h('p', {}, words.text('about.seen')));
  const rows = [
    [words.text('about.accuracy'), interval(words, test.accuracy)],
    [words.text('about.reweighted'), interval(words, test.reweighted_accuracy)],
    ...Object.entries(test.classes).map(([id, { f1 }]) => [
      words.text('about.f1', { name: words.text(`class.${id}`) }),
      interval(words, f1),
    ]),
    [words.text('about.refused'), words.percent(gate.films_refused)],
    ...(LUNGS_REMOVED in masks ? [[words.text('about.lungs'), words.percent(masks[LUNGS_REMOVED].accuracy)]] : []),
  ];
  const elsewhere = Object.entries(external).flatMap(([set, labels]) =>
    Object.entries(labels)
      .filter(([, row]) => row.recall !== undefined)
      .map(([label, { images, recall }]) => [`${set}: ${label} (${words.integer.format(images)})`, words.percent(recall ?? 0)]),
  );
  fill(
    node,
    table(words.text('about.test', { n: test.films }), rows),
    elsewhere.length > 0 && table(words.text('about.elsewhere'), elsewhere),
    h('p', {}, words.text('about.flatter')),
  );
}

/** @param {string} caption @param {string[][]} rows */
function table(caption, rows) {
  return h(
    'table',
    {},
    h('caption', {}, caption),
    h('tbody', {}, ...rows.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value)))),
  );
}
