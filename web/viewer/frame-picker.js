/** The controls that only DICOM images have: a choice of frame and window, and a scale bar. */

import { fill, h } from '../shared/dom.js';

export { Ruler } from './ruler.js';

/**
 * @typedef {import('./image.js').ViewedImage} ViewedImage
 * @typedef {import('../classifier.js').DicomChoice} DicomChoice
 * @typedef {import('../shared/words.js').Words} Words
 */

/**
 * Fills a panel with the controls that an image needs, or hides it. The focus stays where it was.
 * @param {HTMLElement} panel
 * @param {Words} words
 * @param {ViewedImage | null} image
 * @param {(choice: DicomChoice) => void} onchoose
 */
export function showChoice(panel, words, image, onchoose) {
  const { frames = 1, frame = 0, windows = [], window = 0 } = image?.offer ?? {};
  const focused = /** @type {HTMLInputElement | null} */ (panel.querySelector(':focus'))?.name;
  panel.hidden = frames < 2 && windows.length < 2;
  fill(
    panel,
    frames > 1 &&
      h(
        'label',
        {},
        words.text('view.frame'),
        ' ',
        frameInput(frames, frame, (chosen) => onchoose({ frame: chosen })),
        ' ',
        words.text('view.frame.of', { n: frames }),
      ),
    windows.length > 1 &&
      h(
        'label',
        {},
        words.text('view.voi'),
        ' ',
        windowInput(words, windows, window, (chosen) => onchoose({ frame, window: chosen })),
      ),
  );
  if (focused) /** @type {HTMLElement | null} */ (panel.querySelector(`[name=${focused}]`))?.focus();
}

/** @param {number} frames @param {number} frame @param {(frame: number) => void} onchange */
function frameInput(frames, frame, onchange) {
  const input = h('input', {
    type: 'number',
    name: 'frame',
    min: 1,
    max: frames,
    value: frame + 1,
    onchange: () => {
      const wanted = Math.min(Math.max(Math.round(input.valueAsNumber || 1), 1), frames);
      input.value = String(wanted);
      if (wanted !== frame + 1) onchange(wanted - 1);
    },
  });
  return input;
}

/** @param {Words} words @param {readonly (string | null)[]} windows their names @param {number} window @param {(window: number) => void} onchange */
function windowInput(words, windows, window, onchange) {
  const select = h(
    'select',
    { name: 'voi', onchange: () => onchange(select.selectedIndex) },
    ...windows.map((name, i) => h('option', { selected: i === window }, name ?? words.text('view.voi.n', { n: i + 1 }))),
  );
  return select;
}
