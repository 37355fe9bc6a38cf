/**
 * What lies over the image: the map of opacities or of occlusion sensitivity, the lungs' outline, the findings' boxes, and
 * the legend. Loaded while the model loads, which takes longer.
 */

import { fill, h, svg } from '../shared/dom.js';
import { laterWords } from '../shared/deferred-words.js';
import { findingName } from '../shared/findings.js';
import { MAP_SIDE, paintMap, reach } from './colormap.js';
import { Legend } from './legend.js';
import { outlineOf, paintOpacities, placeLabels } from './overlay.js';

/**
 * @typedef {import('../shared/words.js').Words} Words
 * @typedef {import('./viewer.js').Scene} Scene
 * @typedef {import('./viewer.js').ViewSettings} ViewSettings
 */

/** A share as CSS wants it. @param {number} share */
const percent = (share) => `${100 * share}%`;

/** @param {HTMLElement} node @param {import('../classifier.js').Box} box of the image that it covers */
function place(node, { x, y, width, height }) {
  Object.assign(node.style, { left: percent(x), top: percent(y), width: percent(width), height: percent(height) });
}

export class Layers {
  /** What the canvas shows. @type {unknown} */
  #painted = null;
  /** Whose outline and boxes are there. @type {unknown} */
  #traced = null;
  /** The result that is drawn, or was before it was hidden. @type {unknown} */
  #drawn = null;
  #timer = 0;

  /** @param {Words} elementWords @param {ViewSettings} settings */
  constructor(elementWords, settings) {
    this.words = laterWords(elementWords);
    this.legend = new Legend(this.words);
    this.settings = settings;
    this.map = h('canvas', { class: 'map', width: MAP_SIDE, height: MAP_SIDE });
    this.outlines = ['halo', 'line'].map((name) => svg('path', { class: name }));
    this.outline = svg('svg', { class: 'outline', viewBox: '0 0 1 1', preserveAspectRatio: 'none' }, ...this.outlines);
    this.frame = h('div', { class: 'frame' }, this.map, this.outline);
    this.marks = h('div', { class: 'marks' });
    // The panel lists the findings in words.
    this.root = h('div', { class: 'over', 'aria-hidden': 'true' }, this.frame, this.marks);
  }

  /** Covers the image as it lies on the stage. @param {number} width in pixels @param {number} height @param {number} x from the middle @param {number} y */
  moveTo(width, height, x, y) {
    Object.assign(this.root.style, {
      width: `${width}px`,
      height: `${height}px`,
      transform: `translate(calc(-50% + ${x}px), calc(-50% + ${y}px))`,
    });
  }

  /** A new result is drawn in a task of its own, for its words alone keep the page busy. @param {Scene | null} scene */
  update(scene) {
    clearTimeout(this.#timer);
    const result = scene?.image && scene.result;
    if (!result || result === this.#drawn) return this.#update(scene);
    this.root.hidden = true;
    this.#timer = window.setTimeout(() => {
      this.#drawn = result;
      this.#update(scene);
    });
  }

  /** @param {Scene | null} scene */
  #update(scene) {
    const { overlay } = this.settings;
    this.legend.update(scene, overlay);
    const result = scene?.image && scene.result;
    this.root.hidden = !result || overlay === 'off' || (overlay === 'occlusion' && !scene.occlusion);
    if (!result || this.root.hidden) return;
    const findings = overlay === 'findings';
    this.map.style.opacity = String(this.settings.opacity);
    this.marks.hidden = !findings;
    this.outline.toggleAttribute('hidden', !findings);
    place(this.frame, result.frame);
    if (findings) this.#showFindings(result, scene.thresholds);
    else this.#showOcclusion(/** @type {import('./occlusion.js').OcclusionMap} */ (scene.occlusion), scene.shown);
  }

  /** Makes one box stand out. @param {number} index -1: none */
  light(index) {
    for (const [i, mark] of [...this.marks.children].entries()) mark.classList.toggle('lit', i === index);
  }

  /** @param {import('../classifier.js').Result} result @param {import('./overlay.js').Thresholds} thresholds */
  #showFindings(result, thresholds) {
    const { maps, findings } = result;
    this.map.hidden = !maps;
    if (maps && this.#painted !== maps) this.#paint(maps, paintOpacities(maps, thresholds));
    if (this.#traced === result) return;
    this.#traced = result;
    for (const path of this.outlines) path.setAttribute('d', maps ? outlineOf(maps, thresholds.lungsThreshold) : '');
    const labels = placeLabels(findings);
    fill(
      this.marks,
      ...findings.map((finding, index) => {
        const { below, end, short } = labels[index];
        const text = this.words.text('view.mark', { n: index + 1, name: findingName(this.words, finding) });
        const mark = h(
          'div',
          { class: `mark${below ? ' below' : ''}${end ? ' end' : ''}` },
          h('span', { class: 'label' }, short ? String(index + 1) : text),
        );
        place(mark, finding);
        return mark;
      }),
    );
  }

  /** @param {import('./occlusion.js').OcclusionMap} occlusion @param {string} shown */
  #showOcclusion(occlusion, shown) {
    const found = occlusion.classes.find(({ id }) => id === shown);
    this.map.hidden = !found;
    if (!found || this.#painted === found.values) return;
    this.#paint(found.values, paintMap({ ...occlusion, values: found.values }, reach(occlusion.classes)));
  }

  /** @param {unknown} what @param {ImageData} image */
  #paint(what, image) {
    this.#painted = what;
    this.map.getContext('2d')?.putImageData(image, 0, 0);
  }
}
