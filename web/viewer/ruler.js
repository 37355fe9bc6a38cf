/** A scale bar: a round length in millimetres, as long as it is on the image. */

import { h } from '../shared/dom.js';

/** @typedef {import('../shared/words.js').Words} Words */

/** Lengths that a bar may have, in millimetres. */
const LENGTHS = [1, 2, 5, 10, 20, 50, 100, 200];
/** The longest bar, as a share of the view. */
const MOST = 0.3;

export class Ruler {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.bar = h('span', { class: 'ruler-bar', 'aria-hidden': 'true' });
    this.label = h('span', {});
    this.root = h('div', { class: 'ruler', part: 'ruler', hidden: true }, this.label, this.bar);
  }

  /**
   * @param {import('./image.js').Size | null} size of the image; null when it is unknown
   * @param {number} width of the image as shown, in pixels
   * @param {number} view width of the view, in pixels
   */
  show(size, width, view) {
    this.root.hidden = !size;
    if (!size) return;
    const scale = width / size.width;
    const length = LENGTHS.filter((each) => each * scale <= MOST * view).pop() ?? LENGTHS[0];
    this.bar.style.width = `${length * scale}px`;
    const text = length < 10 ? this.words.text('unit.mm', { n: length }) : this.words.text('unit.cm', { n: length / 10 });
    this.label.textContent = size.at === 'detector' ? this.words.text('view.ruler.detector', { length: text }) : text;
  }
}
