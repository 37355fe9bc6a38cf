/** Says in words what the colours over the image mean. */

import { fill, h } from '../shared/dom.js';
import { SCALE, paintScale } from './colormap.js';

/** @typedef {import('../shared/words.js').Words} Words */

export class Legend {
  /** Lowest value of the scale that is painted. @type {number | null} */
  #lowest = null;

  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.scale = h('canvas', { class: 'scale', ...SCALE, role: 'img' });
    this.title = h('span', { class: 'legend-line' });
    this.low = h('span', {});
    this.high = h('span', {});
    this.note = h('span', { class: 'legend-line' });
    this.root = h('div', { class: 'legend', part: 'legend' }, this.title, this.low, this.scale, this.high, this.note);
  }

  /** @param {import('./viewer.js').Scene | null} scene @param {import('./viewer.js').ViewSettings['overlay']} overlay */
  update(scene, overlay) {
    const result = scene?.image && scene.result;
    this.root.hidden = !result || overlay === 'off';
    if (!result || this.root.hidden) return;
    if (overlay === 'findings') this.#findings();
    else this.#occlusion(scene);
  }

  #findings() {
    const { words } = this;
    fill(this.title);
    this.#say('view.weaker', 'view.stronger', 'view.findings.note');
    this.scale.setAttribute('aria-label', words.text('view.findings.legend'));
    this.#paint(0);
  }

  /** @param {import('./viewer.js').Scene} scene */
  #occlusion({ occlusion, shown }) {
    const { words } = this;
    const name = words.verdict(shown);
    fill(this.title, words.text('view.occlusion.of', { class: name }));
    this.#say('view.gains', 'view.loses', 'view.occlusion.note');
    if (!occlusion || occlusion.done < occlusion.total)
      this.note.textContent = words.text('view.occlusion.wait', { done: occlusion?.done ?? 0, total: occlusion?.total ?? 49 });
    this.scale.setAttribute('aria-label', words.text('view.occlusion.legend', { class: name }));
    this.#paint(-1);
  }

  /** @param {string} low @param {string} high @param {string} note keys of the words */
  #say(low, high, note) {
    this.low.textContent = this.words.text(low);
    this.high.textContent = this.words.text(high);
    this.note.textContent = this.words.text(note);
  }

  /** The scale from the lowest value to 1. @param {number} lowest */
  #paint(lowest) {
    if (this.#lowest === lowest) return;
    this.#lowest = lowest;
    this.scale.getContext('2d')?.putImageData(paintScale(lowest), 0, 0);
  }
}
