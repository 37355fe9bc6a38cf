/**
 * The films on show, one or two side by side: their viewers, maps and cover tests, and the choice of what to compare with.
 */

import { fill, h } from '../shared/dom.js';
import { Film } from './image.js';
import { Words } from '../shared/words.js';
import { Viewer, ViewSettings } from './viewer.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('./occlusion.js').CoverMap} CoverMap
 * @typedef {import('../classifier.js').DicomChoice} DicomChoice
 *
 * @typedef {object} Hooks
 * @property {() => import('../classifier.js').Classifier | null} classifier null before it is ready
 * @property {() => readonly Item[]} items which one may be compared with
 * @property {(item: Item) => string} sentence an image's end in words
 * @property {(item: Item) => boolean} folded whether its answer hides the map
 * @property {() => void} onsettings they have changed
 * @property {(item: Item | null) => void} oncompare another image is to stand beside the first
 * @property {(item: Item, choice: DicomChoice) => void} onchoose another frame or window of an image
 * @property {(error: unknown) => void} onerror of a cover test
 */

export class Scenes {
  settings = new ViewSettings();
  /** Where they stand, between draw() and undraw(). @type {HTMLElement | null} */
  #root = null;
  #words = new Words('en');
  /** @type {Item[]} the image on show, and the one beside it */
  #items = [];
  /** @type {Viewer[]} theirs */
  #viewers = [];
  /** @type {Item[]} whose film each viewer had last */
  #shown = [];
  /** The second viewer, below the choice of its image. @type {HTMLElement | null} */
  #pane = null;
  /** @type {Map<Item, Promise<Film | null>>} */
  #films = new Map();
  /** Cover tests, made and being made. @type {WeakMap<Item, CoverMap | null>} */
  #covers = new WeakMap();
  #hooks;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /** Begins in a new place, with new words. @param {HTMLElement} root @param {Words} words */
  draw(root, words) {
    this.#root = root;
    this.#words = words;
  }

  /** Ends what was drawn; films stay. */
  undraw() {
    for (const viewer of this.#viewers) viewer.dispose();
    this.#viewers = [];
    this.#root = null;
  }

  /** Lets go of all films. */
  clear() {
    this.#films.clear();
  }

  /** Forgets what was made of an image. @param {Item} item */
  forget(item) {
    this.#films.delete(item);
    this.#covers.delete(item);
  }

  /** Its cover test, if it was made. @param {Item} item */
  cover(item) {
    return this.#covers.get(item) ?? null;
  }

  /** The first viewer. */
  get first() {
    return this.#viewers[0];
  }

  /** Redraws after a change of the settings. */
  update() {
    for (const viewer of this.#viewers) viewer.update();
    if (this.settings.cover && this.#items.some((item) => !this.#covers.has(item))) this.show(); // which makes the tests
  }

  /** @param {Item[]} items one, two or none */
  async show(items = this.#items) {
    if (!this.#root) return;
    this.#items = items;
    // One film alone may take 64 MB.
    for (const item of this.#films.keys()) if (!items.includes(item)) this.#films.delete(item);
    this.#syncViewers();
    if (items.length === 0) this.#viewers[0].show(null);
    for (const [index, item] of items.entries()) {
      const coming = this.#film(item);
      // Another image, or another frame of it, may have been chosen while this one was decoded.
      const wanted = () => item === this.#items[index] && coming === this.#films.get(item);
      // The film before it must not stand beside its answer, nor flicker where this one is there at once.
      const timer = setTimeout(() => wanted() && this.#viewers[index]?.show(null, item === this.#shown[index]), 100);
      const film = await coming;
      clearTimeout(timer);
      if (!wanted()) continue;
      this.#shown[index] = item;
      const scene = this.#scene(item, film);
      this.#viewers[index]?.show(scene);
      if (this.settings.cover && scene.heatmap) this.#test(item, /** @type {Film} */ (film), scene.inverted);
    }
  }

  /** @param {Item} item */
  #film(item) {
    const film = this.#films.get(item) ?? Film.from(item.source, item.choice).catch(() => null);
    this.#films.set(item, film);
    return film;
  }

  /** @param {Item} item @param {Film | null} film @returns {import('./viewer.js').Scene} */
  #scene(item, film) {
    const { result } = item;
    const rotated = result?.warnings.includes('rotated');
    return {
      name: item.name,
      film,
      failed: item.state === 'failed',
      inverted: result?.warnings.includes('inverted'),
      heatmap: rotated || !film || this.#hooks.folded(item) ? null : (result?.heatmap ?? null),
      cover: this.cover(item),
      noMap: rotated ? this.#words.text('view.no-map') : undefined,
      onchoose: (choice) => {
        this.forget(item);
        this.#hooks.onchoose(item, choice);
      },
    };
  }

  /** Makes the cover test of an image, once. @param {Item} item @param {Film} film @param {boolean} [inverted] */
  async #test(item, film, inverted = false) {
    const classifier = this.#hooks.classifier();
    const { result } = item;
    if (this.#covers.has(item) || !classifier) return;
    this.#covers.set(item, null);
    try {
      const { COVER_WIDTH, coverTest } = await import('./occlusion.js');
      const map = await coverTest((image) => classifier.classify(image), film.level(COVER_WIDTH), inverted);
      if (item.result !== result) return; // another frame was chosen meanwhile, which has a test of its own
      this.#covers.set(item, map);
    } catch (error) {
      this.#covers.delete(item);
      this.settings.cover = false;
      this.#hooks.onerror(error);
    }
    this.show();
  }

  /** As many viewers as images, and one for none. */
  #syncViewers() {
    const wanted = Math.max(this.#items.length, 1);
    while (this.#viewers.length > wanted) this.#viewers.pop()?.dispose();
    while (this.#viewers.length < wanted) this.#viewers.push(this.#newViewer());
    const [first, second] = this.#viewers;
    fill(/** @type {HTMLElement} */ (this.#root), first.root, second && this.#secondPane(second.root));
  }

  #newViewer() {
    /** @type {Viewer} */
    const viewer = new Viewer(this.#words, this.settings, {
      onsettings: this.#hooks.onsettings,
      onview: (view) => this.#viewers.forEach((other) => other !== viewer && other.follow(view)),
    });
    return viewer;
  }

  /** The same as long as its viewer is: put in anew it would lose the focus, or the full screen. @param {HTMLElement} viewer */
  #secondPane(viewer) {
    if (this.#pane?.lastChild !== viewer) {
      this.#pane = h(
        'div',
        { class: 'second' },
        h('select', {
          'aria-label': this.#words.text('view.compare.with'),
          onfocus: () => this.#secondPane(viewer), // images may have got their answers
          onchange: () => this.#hooks.oncompare(this.#hooks.items().find(({ id }) => String(id) === select.value) ?? null),
        }),
        viewer,
      );
    }
    const select = /** @type {HTMLSelectElement} */ (this.#pane.firstChild);
    const [first, second] = this.#items;
    fill(
      select,
      ...this.#hooks.items().map((item) => item !== first && h('option', { value: String(item.id) }, this.#hooks.sentence(item))),
    );
    select.value = String(second?.id);
    return this.#pane;
  }
}
