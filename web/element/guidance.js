/**
 * What a result may mean for a doctor's visit: neutral information by verdict, never triage. The texts are the
 * `guide.` keys of strings/; a portal replaces them with `element.strings`. Loaded once the model is ready.
 */

import { h } from '../shared/dom.js';
import { laterWords } from '../shared/deferred-words.js';

/**
 * @param {import('../shared/words.js').Words} elementWords
 * @param {string} verdict
 * @param {{ open: boolean, ontoggle: (open: boolean) => void }} fold
 */
export function guidance(elementWords, verdict, fold) {
  const words = laterWords(elementWords);
  const part = (/** @type {string} */ name, /** @type {string} */ text) =>
    h('div', { class: name }, h('h3', {}, words.text(`guide.${name}`)), h('p', {}, words.text(text)));
  const details = h(
    'details',
    { class: 'guidance', part: 'guidance', open: fold.open },
    h('summary', {}, words.text('guide.title')),
    h('p', { class: 'lead' }, words.text(`guide.${verdict}`)),
    h(
      'div',
      { class: 'parts' },
      part('known', `guide.${verdict}.known`),
      part('ask', `guide.${verdict}.ask`),
      part('urgent', 'guide.urgent.text'),
    ),
    h('p', { class: 'muted' }, words.text('guide.note')),
  );
  // A details that is made open tells so once, though nobody touched it.
  let { open } = fold;
  details.addEventListener('toggle', () => {
    if (details.open === open) return;
    open = details.open;
    fold.ontoggle(open);
  });
  return details;
}
