/** The help dialogue: how to read a result, and the keyboard. */

import { button, h } from '../shared/dom.js';
import { laterWords } from '../shared/deferred-words.js';

/** Looks that only the dialogue needs, beside the element's. */
export const helpSheet = new CSSStyleSheet();
helpSheet.replaceSync(`
dialog { color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); width: min(36rem, calc(100vw - 2rem)); max-height: calc(100dvh - 2rem); padding: 1.25rem 1.5rem 1.5rem; box-shadow: 0 20px 60px rgb(0 0 0 / .3) }
dialog::backdrop { background: rgb(8 14 18 / .55) }
.dialog-head { display: flex; justify-content: space-between; align-items: center }
.help h2 { font-size: 1.25rem } .help h3 { font-size: 1rem; margin: 1rem 0 .25rem }
.help ul { padding-inline-start: 1.25rem }
.keys { display: grid; grid-template-columns: max-content 1fr; gap: .375rem 1rem; font-size: .9375rem }
.help .check, .help .muted { margin-top: .5rem }
kbd { font: 600 .8125rem/1 ui-monospace, monospace; display: inline-block; padding: .25rem .375rem; margin-inline-end: .25rem; min-width: 1.5rem; text-align: center; border: 1px solid var(--strong-line); border-bottom-width: 2px; border-radius: .375rem }
`);

const KEYS = [
  ['key.open', 'O'],
  ['key.paste', 'Ctrl V'],
  ['key.next', 'N P'],
  ['key.findings', 'M'],
  ['key.occlusion', 'C'],
  ['key.class', '1 2 3 4'],
  ['key.invert', 'I'],
  ['key.zoom', '+ − 0'],
  ['key.pan', '← ↑ ↓ →'],
  ['key.window', 'Shift ← ↑ ↓ →'],
  ['key.full', 'F'],
  ['key.remove', 'Del Ctrl Z'],
  ['key.cancel', 'Esc'],
  ['key.help', '?'],
];

/**
 * @param {import('../shared/words.js').Words} elementWords
 * @param {{ on: boolean, onchange: (on: boolean) => void }} singleKeys whether letters alone act: some people
 *   type by voice, and need them off
 * @returns {HTMLDialogElement}
 */
export function helpDialog(elementWords, singleKeys) {
  const words = laterWords(elementWords);
  const toggle = h('input', { type: 'checkbox', checked: singleKeys.on, onchange: () => singleKeys.onchange(toggle.checked) });
  const dialog = h(
    'dialog',
    { class: 'help', part: 'help', lang: words.language, 'aria-labelledby': 'help-title' },
    h(
      'div',
      { class: 'dialog-head' },
      h('h2', { id: 'help-title' }, words.text('help.title')),
      button(words.text('help.close'), () => dialog.close(), { icon: 'close', bare: true, class: 'tool' }),
    ),
    h('h3', {}, words.text('help.how')),
    h('ul', {}, ...[1, 2, 3].map((n) => h('li', {}, words.text(`help.how.${n}`)))),
    h('h3', {}, words.text('help.keys')),
    h(
      'dl',
      { class: 'keys' },
      ...KEYS.flatMap(([key, caps]) => [h('dt', {}, ...caps.split(' ').map((cap) => h('kbd', {}, cap))), h('dd', {}, words.text(key))]),
    ),
    h('p', { class: 'muted' }, words.text('help.keys.note')),
    h('label', { class: 'check' }, toggle, words.text('help.keys.on')),
  );
  dialog.addEventListener('click', (event) => {
    // A click on the dialogue itself, not on anything in it, is one on the backdrop.
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
