/**
 * The images on show, one or two side by side: their viewers, findings and occlusion sensitivity, and the choice of
 * the second image.
 */

import { fill, h } from '../shared/dom.js';
import { ViewedImage } from './image.js';
import { Words } from '../shared/words.js';
import { isRefusal, topClass } from '../shared/result.js';
import { Viewer, ViewSettings } from './viewer.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('./occlusion.js').Occlusion} Occlusion
 * @typedef {import('../classifier.js').DicomChoice} DicomChoice
 *
 * @typedef {object} Hooks
 * @property {() => import('../classifier.js').Classifier | null} classifier null before it is ready
 * @property {() => readonly Item[]} items which one may be compared with
 * @property {(item: Item) => string} sentence an image's end in words
 * @property {(item: Item) => string} verdict the answer to show
 * @property {() => void} onsettings they have changed
 * @property {(item: Item | null) => void} oncompare another image is to stand beside the first
 * @property {(item: Item, choice: DicomChoice) => void} onchoose another frame or window of an image
 * @property {(error: unknown) => void} onerror of an occlusion test
 */

export class Scenes {
  settings = new ViewSettings();
  /** Where they stand, between draw() and undraw(). @type {HTMLElement[]} */
  #places = [];
  #words = new Words('en');
  /** @type {Item[]} the image on show, and the one beside it */
  #items = [];
  /** @type {Viewer[]} theirs */
  #viewers = [];
  /** @type {Item[]} whose image each viewer had last */
  #shown = [];
  /** @type {HTMLSelectElement | null} */
  #select = null;
  /** @type {Map<Item, Promise<ViewedImage | null>>} */
  #images = new Map();
  /** Occlusion tests, finished or not. @type {WeakMap<Item, Occlusion>} */
  #tests = new WeakMap();
  /** Those that run. @type {Map<Item, AbortController>} */
  #running = new Map();
  #hooks;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** Begins in new places, with new words. @param {HTMLElement[]} places for one image, and for the one beside it @param {Words} words */
  draw(places, words) {
    this.#places = places;
    this.#words = words;
    this.#select = null;
  }

  /** Ends what was drawn; images stay. */
  undraw() {
    for (const item of this.#running.keys()) this.#stop(item);
    for (const viewer of this.#viewers) viewer.dispose();
    this.#viewers = [];
    this.#places = [];
  }

  /** Lets go of all images. */
  clear() {
    this.#images.clear();
  }

  /** Forgets what was made of an image. @param {Item} item */
  forget(item) {
    this.#images.delete(item);
    this.#stop(item);
    this.#tests.delete(item);
  }

  /** Its occlusion map, as far as it was made. @param {Item} item */
  occlusion(item) {
    return this.#tests.get(item)?.map ?? null;
  }

  /** The class whose occlusion map is shown. @param {Item} item */
  shown(item) {
    const { result } = item;
    if (!result) return '';
    const verdict = this.#hooks.verdict(item);
    return this.settings.shown ?? (result.classes.some(({ id }) => id === verdict) ? verdict : topClass(result).id);
  }

  /** The viewer of the image on show, or of the one beside it. @param {number} [index] @returns {Viewer | undefined} */
  viewer(index = 0) {
    return this.#viewers[index];
  }

  /** Redraws after a change of the settings. */
  update() {
    this.show(); // which starts or stops occlusion tests
    for (const viewer of this.#viewers) viewer.update();
  }

  /** @param {Item[]} items one, two or none */
  async show(items = this.#items) {
    if (this.#places.length === 0) return;
    this.#items = items;
    for (const item of this.#running.keys()) if (!items.includes(item) || this.settings.overlay !== 'occlusion') this.#stop(item);
    // One image alone may take 64 MB.
    for (const item of this.#images.keys()) if (!items.includes(item)) this.#images.delete(item);
    this.#syncViewers();
    if (items.length === 0) this.#viewers[0].show(null);
    for (const [index, item] of items.entries()) {
      const coming = this.#image(item);
      // Another image, or another frame of it, may have been chosen while this one was decoded.
      const wanted = () => item === this.#items[index] && coming === this.#images.get(item);
      // The image before it must not stand beside its answer, nor flicker where this one is there at once.
      const timer = setTimeout(() => wanted() && this.#viewers[index]?.show(null, item === this.#shown[index]), 100);
      const image = await coming;
      clearTimeout(timer);
      if (!wanted()) continue;
      this.#shown[index] = item;
      // A file that is refused by its own data may still be a picture; one that cannot be decoded shows no empty viewer.
      this.#places[index].hidden = item.state === 'failed' && !image;
      const scene = this.#scene(item, image);
      this.#viewers[index]?.show(scene);
      if (image && scene.result && this.settings.overlay === 'occlusion') this.#test(item, image);
    }
  }

  /** @param {Item} item */
  #image(item) {
    const image = this.#images.get(item) ?? ViewedImage.from(item.source, item.choice).catch(() => null);
    this.#images.set(item, image);
    return image;
  }

  /** @param {Item} item @param {ViewedImage | null} image @returns {import('./viewer.js').Scene} */
  #scene(item, image) {
    const { result } = item;
    const { lungsThreshold = 0.5, opacityThreshold = 0.5 } = this.#hooks.classifier()?.info.model ?? {};
    return {
      name: item.name,
      image,
      failed: item.state === 'failed',
      inverted: result?.warnings.includes('inverted'),
      result: result && !isRefusal(this.#hooks.verdict(item)) ? result : null,
      occlusion: this.occlusion(item),
      shown: this.shown(item),
      thresholds: { lungsThreshold, opacityThreshold },
      onchoose: (choice) => {
        this.forget(item);
        this.#hooks.onchoose(item, choice);
      },
    };
  }

  /** Goes on with the occlusion test of an image until it is finished or stopped. @param {Item} item @param {ViewedImage} image */
  async #test(item, image) {
    const classifier = this.#hooks.classifier();
    const { result } = item;
    if (!classifier || !result || this.#running.has(item)) return;
    const controller = new AbortController();
    const { signal } = controller;
    this.#running.set(item, controller);
    try {
      const { OCCLUSION_WIDTH, Occlusion } = await import('./occlusion.js');
      if (signal.aborted) return;
      const level = image.level(OCCLUSION_WIDTH);
      const test = this.#tests.get(item) ?? new Occlusion(level, result.warnings.includes('inverted'), result.frame);
      this.#tests.set(item, test);
      await test.run(
        level,
        (image) => classifier.classify(image, { signal }),
        () => this.#redraw(item, image),
      );
    } catch (error) {
      if (signal.aborted) return;
      this.settings.overlay = 'findings';
      this.#hooks.onerror(error);
      this.show();
    } finally {
      if (this.#running.get(item) === controller) this.#running.delete(item);
    }
  }

  /** @param {Item} item whose occlusion map has become finer @param {ViewedImage} image */
  #redraw(item, image) {
    const at = this.#items.indexOf(item);
    if (at >= 0) this.#viewers[at]?.show(this.#scene(item, image));
  }

  /** @param {Item} item */
  #stop(item) {
    this.#running.get(item)?.abort();
    this.#running.delete(item);
  }

  /** As many viewers as images, and one for none. */
  #syncViewers() {
    const wanted = Math.max(this.#items.length, 1);
    while (this.#viewers.length > wanted) this.#viewers.pop()?.dispose();
    while (this.#viewers.length < wanted) this.#viewers.push(this.#newViewer());
    this.#viewers.forEach(({ root }, index) => {
      fill(this.#places[index], index > 0 && this.#choice(), root);
      this.#places[index].hidden = this.#items[index]?.state === 'failed';
    });
  }

  #newViewer() {
    /** @type {Viewer} */
    const viewer = new Viewer(this.#words, this.settings, {
      onsettings: this.#hooks.onsettings,
      onview: (view) => this.#viewers.forEach((other) => other !== viewer && other.follow(view)),
    });
    return viewer;
  }

  /** Which image stands beside the first. */
  #choice() {
    this.#select ??= h('select', {
      'aria-label': this.#words.text('view.compare.with'),
      onfocus: () => this.#choice(), // images may have got their answers
      onchange: () => this.#hooks.oncompare(this.#hooks.items().find(({ id }) => String(id) === this.#select?.value) ?? null),
    });
    const [first, second] = this.#items;
    fill(
      this.#select,
      ...this.#hooks.items().map((item) => item !== first && h('option', { value: String(item.id) }, this.#hooks.sentence(item))),
    );
    this.#select.value = String(second?.id);
    return this.#select;
  }
}
