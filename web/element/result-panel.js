/** The answer for one image: verdict in words, probabilities, warnings, details. */

import { button, fill, h, icon } from '../shared/dom.js';
import { factsOf, isRefusal, retryHelps, topClass, warningText, warningsOf } from '../shared/result.js';

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../shared/words.js').Words} Words
 *
 * @typedef {object} Options
 * @property {string} shown the class whose map is shown
 * @property {string} verdict the result's, or a more careful one
 * @property {number | null} threshold the portal's own, when it has one
 * @property {(id: string) => void} onshow another class was chosen
 * @property {() => void} onretry
 * @property {(open: boolean) => void} onfigures the figures of a refused image were opened
 * @property {boolean} figures whether they are open
 */

/**
 * Browsers keep the radio buttons of a shadow tree, by their name, longer than the tree has them, and all that they hold.
 * @param {HTMLElement} panel
 */
export function forgetRadios(panel) {
  for (const radio of panel.querySelectorAll('input')) radio.name = '';
}

/**
 * Fills the answer's panel.
 * @param {HTMLElement} panel
 * @param {Words} words
 * @param {Item | null} item
 * @param {Options} options
 */
export function showAnswer(panel, words, item, options) {
  panel.dataset.state = item?.state ?? 'none';
  forgetRadios(panel);
  if (!item) fill(panel, h('p', { class: 'muted' }, words.text('answer.none')));
  else if (item.state === 'done' && item.result) fill(panel, ...answer(words, item, item.result, options));
  else if (item.state === 'failed') fill(panel, ...failed(words, item, options));
  else fill(panel, ...pending(words, item, options));
}

/** @param {Item} item */
function fileName(item) {
  return h('p', { class: 'file-name', title: item.name }, item.name);
}

/** @param {Words} words @param {Item} item @param {Options} options */
function pending(words, item, options) {
  const cancelled = item.state === 'cancelled';
  return [
    fileName(item),
    h(
      'h2',
      { class: 'verdict quiet' },
      !cancelled && h('span', { class: 'spinner', 'aria-hidden': 'true' }),
      words.text(`state.${item.state}`),
    ),
    cancelled && button(words.text('table.retry'), options.onretry, { icon: 'retry' }),
  ];
}

/** @param {Words} words @param {Item} item @param {Options} options */
function failed(words, item, options) {
  return [
    fileName(item),
    h('h2', { class: 'verdict' }, icon('warn'), words.text('state.failed')),
    h('p', { class: 'says', part: 'error' }, item.error && words.error(item.error)),
    retryHelps(item) && button(words.text('table.retry'), options.onretry, { icon: 'retry' }),
  ];
}

/** @param {Words} words @param {Item} item @param {Result} result @param {Options} options */
function answer(words, item, result, options) {
  const { verdict } = options;
  const refused = isRefusal(verdict);
  const figures = bars(words, result, options);
  return [
    fileName(item),
    heading(words, result, verdict),
    h(
      'p',
      { class: 'says' },
      words.text(`answer.says.${verdict}`),
      options.threshold !== null &&
        verdict === 'uncertain' &&
        ` ${words.text('answer.threshold', { percent: words.percent(options.threshold) })}`,
    ),
    refused ? folded(words, figures, options) : figures,
    warnings(words, result, warningsOf(result, verdict)),
    facts(words, item, result),
  ];
}

/** @param {Words} words @param {Result} result @param {string} verdict */
function heading(words, result, verdict) {
  const named = result.classes.find(({ id }) => id === verdict);
  return h(
    'div',
    { class: 'head', part: 'verdict' },
    h(
      'h2',
      { class: `verdict${named ? '' : ' none'}` },
      icon(verdict),
      h('span', {}, named && h('small', {}, words.text('answer.like'), ' '), words.verdict(verdict)),
    ),
    named && h('p', { class: 'figure' }, words.percent(named.probability)),
  );
}

/**
 * The figures of a refused image, behind a fold: they mean little.
 * @param {Words} words @param {HTMLElement} figures @param {Options} options
 */
function folded(words, figures, options) {
  const details = h(
    'details',
    { class: 'fold', open: options.figures },
    h('summary', {}, words.text('answer.anyway')),
    h('p', { class: 'muted' }, words.text('answer.anyway.hint')),
    figures,
  );
  details.addEventListener('toggle', () => {
    if (details.open !== options.figures) options.onfigures(details.open);
  });
  return details;
}

/**
 * One row a class; choosing one shows its map.
 * @param {Words} words @param {Result} result @param {Options} options
 */
function bars(words, result, options) {
  const top = topClass(result).id;
  return h(
    'fieldset',
    { class: 'bars', part: 'probabilities' },
    h('legend', {}, words.text('answer.classes'), ' ', h('span', { class: 'muted' }, words.text('answer.classes.hint'))),
    ...result.classes.map(({ id, probability }) => {
      const fillBar = h('span', { class: 'fill' });
      fillBar.style.setProperty('--share', String(probability));
      return h(
        'label',
        { class: `bar${id === top ? ' top' : ''}`, part: `bar bar-${id}` },
        h('input', { type: 'radio', name: 'shown', value: id, checked: id === options.shown, onchange: () => options.onshow(id) }),
        icon(id),
        h('span', { class: 'name' }, words.verdict(id)),
        h('span', { class: 'track', 'aria-hidden': 'true' }, fillBar),
        h('span', { class: 'percent' }, words.percent(probability)),
      );
    }),
    h('p', { class: 'muted' }, words.text('answer.cannot')),
  );
}

/** @param {Words} words @param {Result} result @param {string[]} names */
function warnings(words, result, names) {
  if (names.length === 0) return null;
  return h(
    'div',
    { class: 'warnings', part: 'warnings', role: 'note' },
    h('h3', {}, icon('warn'), words.text('warn.title')),
    h('ul', {}, ...names.map((name) => h('li', {}, warningText(words, result, name)))),
  );
}

/** @param {Words} words @param {Item} item @param {Result} result */
function facts(words, item, result) {
  return h(
    'details',
    { class: 'fold facts', part: 'details' },
    h(
      'summary',
      {},
      words.text('answer.facts'),
      ' ',
      h('span', { class: 'muted' }, words.text('answer.time', { time: words.duration(item.elapsed) })),
    ),
    h('dl', {}, ...factsOf(words, item, result).flatMap(([name, value]) => [h('dt', {}, words.text(name)), h('dd', {}, value)])),
  );
}
