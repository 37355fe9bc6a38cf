/** The answer for one image: above the picture the verdict and what was found, below or beside it the rest. */

import { button, fill, h, icon } from '../shared/dom.js';
import { disagreement, findingName, findingsSentence, strengthName } from '../shared/findings.js';
import { factsOf, isRefusal, retryHelps, warningText } from '../shared/result.js';

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../shared/words.js').Words} Words
 *
 * @typedef {object} Options
 * @property {string} marked the class whose row is marked, if any
 * @property {string} verdict the result's, or a more careful one
 * @property {number | null} threshold the portal's own, when it has one
 * @property {string} name of the radio buttons, one for each panel
 * @property {(id: string) => void} onshow another class was chosen
 * @property {(index: number) => void} onfinding one of the findings was chosen
 * @property {(index: number) => void} onpoint one of them is pointed at; -1: none
 * @property {() => void} onretry
 * @property {(open: boolean) => void} onfigures the figures of a refused image were opened
 * @property {boolean} figures whether they are open
 *
 * @typedef {{ head: HTMLElement, answer: HTMLElement }} Panel its two parts
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
 * @param {Panel} panel
 * @param {Words} words
 * @param {Item | null} item
 * @param {Options} options
 */
export function showAnswer({ head, answer }, words, item, options) {
  head.dataset.state = item?.state ?? 'none';
  answer.setAttribute('aria-label', [words.text('answer.title'), item?.name].filter(Boolean).join(': '));
  forgetRadios(answer);
  const result = item?.state === 'done' ? item.result : null;
  fill(head, ...(item ? [fileName(item), ...(result ? headOf(words, result, options) : stateOf(words, item))] : []));
  if (item && result) fill(answer, ...restOf(words, item, result, options));
  else fill(answer, ...(item ? openOf(words, item, options) : [h('p', { class: 'muted' }, words.text('answer.none'))]));
}

/** @param {Item} item */
const fileName = ({ name }) => h('p', { class: 'file-name', title: name }, name);

// Without a result

/** @param {Words} words @param {Item} item */
function stateOf(words, { state }) {
  const pending = state === 'waiting' || state === 'running';
  return [
    h(
      'h2',
      { class: `verdict${state === 'failed' ? '' : ' quiet'}` },
      pending && h('span', { class: 'spinner', 'aria-hidden': 'true' }),
      state === 'failed' && icon('warn'),
      words.text(`state.${state}`),
    ),
  ];
}

/** @param {Words} words @param {Item} item @param {Options} options */
function openOf(words, item, options) {
  return [
    item.error && h('p', { class: 'says', part: 'error' }, words.error(item.error)),
    retryHelps(item) && button(words.text('table.retry'), options.onretry, { icon: 'retry' }),
  ];
}

// With one

/** @param {Words} words @param {Result} result @param {Options} options */
function headOf(words, result, { verdict }) {
  const named = result.classes.find(({ id }) => id === verdict);
  const contrary = disagreement(words, result, verdict);
  return [
    h(
      'div',
      { class: 'head', part: 'verdict' },
      h(
        'h2',
        { class: `verdict${named ? '' : ' none'}${isRefusal(verdict) ? ' refused' : ''}` },
        icon(verdict),
        h(
          'span',
          {},
          named && h('small', {}, words.text('answer.like'), ' '),
          isRefusal(verdict) ? words.text('answer.refused') : words.verdict(verdict),
        ),
      ),
      named && h('p', { class: 'figure' }, words.percent(named.probability)),
    ),
    contrary && h('p', { class: 'contrary', part: 'contrary' }, contrary),
    isRefusal(verdict)
      ? h('p', { class: 'says' }, words.text(`answer.says.${verdict}`))
      : h('p', { class: 'found', part: 'found' }, findingsSentence(words, result)),
    h('p', { class: 'notice-line', part: 'notice-line' }, words.text('answer.notice')),
  ];
}

/** @param {Words} words @param {Item} item @param {Result} result @param {Options} options */
function restOf(words, item, result, options) {
  const { verdict } = options;
  const figures = bars(words, result, options);
  return [
    !isRefusal(verdict) && findings(words, result, options),
    !isRefusal(verdict) &&
      h(
        'p',
        { class: 'says' },
        words.text(`answer.says.${unsupported(result, verdict) ? 'unsupported' : verdict}`),
        options.threshold !== null &&
          verdict === 'uncertain' &&
          ` ${words.text('answer.threshold', { percent: words.percent(options.threshold) })}`,
      ),
    isRefusal(verdict) ? folded(words, figures, options) : figures,
    warnings(words, result),
    facts(words, item, result),
  ];
}

/** Whether a disease was likely, but has nothing in the lungs to rest on. @param {Result} result @param {string} verdict */
const unsupported = ({ warnings }, verdict) =>
  verdict === 'uncertain' && ['no-evidence', 'lungs-not-found'].some((name) => warnings.includes(name));

/** The findings as a list; each shows its place in the picture. @param {Words} words @param {Result} result @param {Options} options */
function findings(words, result, { onfinding, onpoint }) {
  if (result.findings.length === 0) return null;
  return h(
    'ol',
    { class: 'findings', part: 'findings', 'aria-label': words.text('findings.title') },
    ...result.findings.map((finding, index) => {
      const show = () => onpoint(index),
        hide = () => onpoint(-1);
      const choose = button(findingName(words, finding), () => onfinding(index), { class: 'finding', title: words.text('findings.show') });
      for (const kind of ['pointerenter', 'focus']) choose.addEventListener(kind, show);
      for (const kind of ['pointerleave', 'blur']) choose.addEventListener(kind, hide);
      choose.prepend(h('span', { class: 'number' }, String(index + 1)));
      choose.append(h('span', { class: 'muted' }, strengthName(words, finding)));
      return h('li', {}, choose);
    }),
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
 * One row a class; choosing one shows its occlusion map. Without a verdict no row stands out.
 * @param {Words} words @param {Result} result @param {Options} options
 */
function bars(words, result, { marked, verdict, name, onshow }) {
  const able = !isRefusal(verdict);
  return h(
    'fieldset',
    { class: 'bars', part: 'probabilities' },
    h('legend', {}, words.text('answer.classes'), ' ', able && h('span', { class: 'muted' }, words.text('answer.classes.hint'))),
    ...result.classes.map(({ id, probability }) => {
      const fillBar = h('span', { class: 'fill' });
      fillBar.style.setProperty('--share', String(probability));
      return h(
        'label',
        { class: `bar${id === verdict ? ' top' : ''}`, part: `bar bar-${id}` },
        h('input', { type: 'radio', name, value: id, checked: id === marked, disabled: !able, onchange: () => onshow(id) }),
        icon(id),
        h('span', { class: 'name' }, words.verdict(id)),
        h('span', { class: 'track', 'aria-hidden': 'true' }, fillBar),
        h('span', { class: 'percent' }, words.percent(probability)),
      );
    }),
    h('p', { class: 'muted' }, words.text('answer.cannot')),
  );
}

/** @param {Words} words @param {Result} result */
function warnings(words, result) {
  if (result.warnings.length === 0) return null;
  return h(
    'div',
    { class: 'warnings', part: 'warnings', role: 'note' },
    h('h3', {}, icon('warn'), words.text('warn.title')),
    h('ul', {}, ...result.warnings.map((name) => h('li', {}, warningText(words, result, name)))),
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
