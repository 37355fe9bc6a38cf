/** Says in words what the colours over the image mean. */

import { fill, h } from '../shared/dom.js';
import { paintMap } from './colormap.js';

/** @typedef {import('../shared/words.js').Words} Words */

export class Legend {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.scale = h('canvas', { class: 'scale', width: 256, height: 12, role: 'img' });
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

  /** The scale is a map too: one row from the lowest value to 1. @param {number} lowest */
  #paint(lowest) {
    const row = Float32Array.from({ length: 32 }, (_, i) => lowest + ((1 - lowest) * i) / 31);
    this.scale.getContext('2d')?.putImageData(paintMap({ width: 32, height: 1, values: row }, 1), 0, 0);
  }
}
