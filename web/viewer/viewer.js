/**
 * Shows one image with what was found in it: zoom, move, window and level, invert, full screen, by mouse, touch and
 * keyboard. Zooming and moving only change a transform, so they cost nothing however large the image.
 */

import { button, h } from '../shared/dom.js';
import { findingsSentence } from '../shared/findings.js';
import { PLAIN, STRIP, breath, paintGray } from './image.js';

/**
 * @typedef {import('./image.js').ViewedImage} ViewedImage
 * @typedef {import('../shared/words.js').Words} Words
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {{ scale: number, x: number, y: number }} View scale over the fitted size; shift in fitted sizes
 *
 * @typedef {object} Scene what to show
 * @property {string} name of the file
 * @property {ViewedImage | null} image null when the browser cannot show it
 * @property {boolean} [failed] whether it could not be read either
 * @property {Result | null} result null when there is nothing to draw of it: none yet, or a refusal
 * @property {import('./occlusion.js').OcclusionMap | null} occlusion null before its first part is there
 * @property {string} shown the class whose occlusion map is shown
 * @property {import('./overlay.js').Thresholds} thresholds
 * @property {boolean} [inverted] start inverted
 * @property {(choice: import('../classifier.js').DicomChoice) => void} [onchoose] another frame or window was chosen
 */

const MAX_SCALE = 16;
/** One press of a key: share of the view moved, factor of zoom, gray values of window. */
const STEP = { move: 0.08, zoom: 1.25, gray: 8 };

/** Settings that outlive the image shown, shared by all viewers of an element. */
export class ViewSettings {
  /** What lies over the image. @type {'off' | 'findings' | 'occlusion'} */
  overlay = 'findings';
  opacity = 0.65;
  /** The class chosen for the occlusion map; null: that of the verdict. @type {string | null} */
  shown = null;
  /** What a drag does. @type {'pan' | 'window'} */
  drag = 'pan';
}

export class Viewer {
  /** @type {Scene | null} */
  #scene = null;
  /** @type {import('./image.js').Look} */
  #look = { ...PLAIN };
  /** @type {View} */
  #view = { scale: 1, x: 0, y: 0 };
  /** Painting waits for the next frame: many pointer events make one. */
  #frame = 0;
  /** What the canvas shows: moving an image paints nothing. @type {{ image?: ViewedImage, level?: import('./image.js').Level, look?: string, pixels?: ImageData }} */
  #painted = {};
  #painting = false;
  /** @type {Map<number, PointerEvent>} fingers and buttons that are down */
  #pointers = new Map();
  #fitted = { width: 1, height: 1 };
  #readoutTimer = 0;

  /**
   * @param {Words} words
   * @param {ViewSettings} settings
   * @param {{ onsettings: () => void, onview?: (view: View) => void }} hooks
   */
  constructor(words, settings, hooks) {
    this.words = words;
    this.settings = settings;
    this.hooks = hooks;
    this.image = h('canvas', { class: 'image', role: 'img' });
    this.sheet = h('div', { class: 'sheet' }, this.image);
    /** What lies over the image, once its script is there. @type {import('./layers.js').Layers | null} */
    this.layers = null;
    this.readout = h('output', { class: 'readout', hidden: true });
    this.message = h('p', { class: 'stage-message', hidden: true });
    /** Of the first image whose size is known. @type {import('./ruler.js').Ruler | null} */
    this.ruler = null;
    this.choice = h('div', { class: 'tools choice', part: 'choice', hidden: true });
    this.stage = h(
      'div',
      {
        class: 'stage',
        part: 'stage',
        tabindex: '0',
        role: 'group',
        'aria-label': words.text('view.label'),
        'aria-description': words.text('view.keys'),
        onpointerdown: (/** @type {PointerEvent} */ e) => this.#down(e),
        onpointermove: (/** @type {PointerEvent} */ e) => this.#move(e),
        onpointerup: (/** @type {PointerEvent} */ e) => this.#up(e),
        onpointercancel: (/** @type {PointerEvent} */ e) => this.#up(e),
        ondblclick: () => this.reset(),
        onkeydown: (/** @type {KeyboardEvent} */ e) => this.#key(e),
        oncontextmenu: (/** @type {Event} */ e) => e.preventDefault(),
      },
      this.sheet,
      this.message,
      this.readout,
    );
    this.stage.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    this.states = /** @type {const} */ ([['off'], ['findings', 'M'], ['occlusion', 'C']]).map(
      ([state, key]) =>
        /** @type {const} */ ([state, button(words.text(`view.${state}`), () => this.#set({ overlay: state }), { key, class: 'toggle' })]),
    );
    this.opacity = h('input', {
      type: 'range',
      min: '0.1',
      max: '1',
      step: '0.05',
      class: 'opacity',
      'aria-label': words.text('view.opacity'),
      title: words.text('view.opacity'),
      oninput: () => this.#set({ opacity: Number(this.opacity.value) }),
    });
    this.windowButton = this.#tool('view.window', 'contrast', () => this.#set({ drag: settings.drag === 'pan' ? 'window' : 'pan' }));
    this.invertButton = this.#tool('view.invert', 'invert', () => this.invert(), 'I');
    this.tools = this.#toolbar();
    this.root = h(
      'section',
      { class: 'viewer', part: 'viewer', 'aria-label': words.text('view.label') },
      this.stage,
      this.choice,
      this.tools,
    );
    this.#addLayers();
    this.resizes = new ResizeObserver(() => this.#fit());
    this.resizes.observe(this.stage);
  }

  async #addLayers() {
    const script = await import('./layers.js').catch(() => null);
    if (!script) return; // the image is there, without what lies over it
    this.layers = new script.Layers(this.words, this.settings);
    this.sheet.after(this.layers.root);
    this.root.append(this.layers.legend.root);
    this.#place();
    this.update();
  }

  /** Stops watching; the viewer is of no use afterwards. */
  dispose() {
    this.resizes.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#readoutTimer);
  }

  /** @param {Scene | null} scene null for none, or none yet @param {boolean} [same] whether it is of the image before */
  show(scene, same) {
    const before = this.#scene;
    this.#scene = scene;
    if (scene?.image !== before?.image) {
      this.#look = { ...PLAIN, inverted: !!scene?.inverted };
      this.#view = { scale: 1, x: 0, y: 0 };
      this.#fit();
      if (!same) this.#showChoice(scene?.image ?? null); // or the focus would be lost
    } else if (scene?.inverted !== before?.inverted) this.#look.inverted = !!scene?.inverted; // the answer came after the image
    this.update();
  }

  /** Only DICOM offers frames and windows, so only then their controls are loaded. @param {ViewedImage | null} image */
  async #showChoice(image) {
    if (!image?.offer) {
      this.choice.hidden = true;
      return;
    }
    const onchoose = this.#scene?.onchoose;
    const choice = await import('./frame-picker.js').catch(() => null);
    if (!choice) return; // the image is there, without its other frames
    const { Ruler, showChoice } = choice;
    if (!this.ruler) this.stage.append((this.ruler = new Ruler(this.words)).root);
    this.#place();
    if (image === this.#scene?.image) showChoice(this.choice, this.words, image, (choice) => onchoose?.(choice));
  }

  /** Redraws after a change of the settings. */
  update() {
    this.layers?.update(this.#scene);
    this.#paint();
    this.#syncTools();
  }

  /** @param {View} view another viewer's, to move along with it */
  follow(view) {
    this.#view = { ...view };
    this.#place();
    this.#paint();
  }

  /** Back to the whole image as it is. */
  reset() {
    this.#look = { ...PLAIN, inverted: !!this.#scene?.inverted };
    this.#setView({ scale: 1, x: 0, y: 0 });
    this.#paint();
    this.#syncTools();
  }

  invert() {
    this.#look.inverted = !this.#look.inverted;
    this.#paint();
    this.#syncTools();
  }

  /** @param {number} factor */
  zoom(factor) {
    this.#zoomAt(factor, 0, 0);
  }

  /** Brings a part of the image to the middle, large; again: back to the whole. @param {import('../classifier.js').Box} box */
  lookAt({ x, y, width, height }) {
    const scale = Math.min(Math.max(0.5 / Math.max(width, height), 1.5), 4);
    const view = { scale, x: (0.5 - x - width / 2) * scale, y: (0.5 - y - height / 2) * scale };
    const there = JSON.stringify(this.#view) === JSON.stringify(this.#limited(view));
    this.#setView(there ? { scale: 1, x: 0, y: 0 } : view);
  }

  /** Turns full screen on or off. */
  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => {}); // a frame may not be allowed to
  }

  // Drawing

  /** Sizes the sheet so that the image fits the stage. */
  #fit() {
    const image = this.#scene?.image;
    if (!image) return this.ruler?.show(null, 0, 0);
    const { clientWidth, clientHeight } = this.stage;
    const ratio = Math.min(clientWidth / image.width, clientHeight / image.height);
    this.#fitted = { width: image.width * ratio, height: image.height * ratio };
    this.sheet.style.width = `${this.#fitted.width}px`;
    this.sheet.style.height = `${this.#fitted.height}px`;
    this.#place();
    this.#paint();
  }

  #place() {
    const { scale, x, y } = this.#view;
    const { width, height } = this.#fitted;
    this.sheet.style.transform = `translate(${x * width}px, ${y * height}px) scale(${scale})`;
    this.layers?.moveTo(width * scale, height * scale, x * width, y * height);
    this.stage.classList.toggle('zoomed', scale > 1);
    this.ruler?.show(this.#scene?.image?.offer?.size ?? null, width * scale, this.stage.clientWidth);
  }

  #paint() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paintNow());
  }

  async #paintNow() {
    const image = this.#scene?.image;
    this.sheet.hidden = !image;
    if (!image || this.#painting) return; // what is being painted is looked at again when it is done
    const level = image.level(this.#fitted.width * this.#view.scale * devicePixelRatio);
    const look = JSON.stringify(this.#look);
    if (this.#painted.level === level && this.#painted.look === look) return;
    // The image before it must not stand below this one's findings.
    this.stage.classList.toggle('painting', this.#painted.image !== image);
    this.#painting = true;
    await this.#paintLevel(image, level, look).finally(() => {
      this.#painting = false;
    });
    this.#paintNow();
  }

  /** @param {ViewedImage} image @param {import('./image.js').Level} level @param {string} look */
  async #paintLevel(image, level, look) {
    const { width, height, gray } = level;
    const { pixels: last } = this.#painted;
    const pixels = last?.width === width && last.height === height ? last : new ImageData(width, height);
    this.#painted = { image: this.#painted.image, pixels };
    for (let from = 0; from < gray.length; from += STRIP) {
      if (gray.length > STRIP) await breath();
      paintGray(level, JSON.parse(look), pixels, from, Math.min(from + STRIP, gray.length));
      if (this.#scene?.image !== image) return; // another was chosen meanwhile
    }
    if (this.image.width !== width) this.image.width = width;
    if (this.image.height !== height) this.image.height = height;
    this.image.getContext('2d')?.putImageData(pixels, 0, 0);
    this.#painted = { image, level, look, pixels };
    this.stage.classList.remove('painting');
  }

  // Tools

  #toolbar() {
    const full = document.fullscreenEnabled && this.#tool('view.full', 'full', () => this.full(), 'F');
    return h(
      'div',
      { class: 'tools', role: 'toolbar', 'aria-label': this.words.text('view.label') },
      h(
        'div',
        { class: 'states', role: 'group', 'aria-label': this.words.text('view.overlay') },
        ...this.states.map(([, toggle]) => toggle),
      ),
      this.opacity,
      h('span', { class: 'gap' }),
      this.#tool('view.zoom-out', 'minus', () => this.zoom(1 / STEP.zoom), '-'),
      this.#tool('view.zoom-in', 'plus', () => this.zoom(STEP.zoom), '+'),
      this.windowButton,
      this.invertButton,
      this.#tool('view.reset', 'reset', () => this.reset(), '0'),
      full,
    );
  }

  /**
   * @param {string} key of the words
   * @param {string} picture
   * @param {() => void} act
   * @param {string} [shortcut]
   */
  #tool(key, picture, act, shortcut) {
    return button(this.words.text(key), act, { icon: picture, bare: true, class: 'tool', key: shortcut });
  }

  /** @param {Partial<ViewSettings>} change */
  #set(change) {
    Object.assign(this.settings, change);
    this.hooks.onsettings();
  }

  #syncTools() {
    const { words, settings } = this;
    const scene = this.#scene;
    const drawn = Boolean(scene?.image && scene.result);
    for (const [state, toggle] of this.states) {
      toggle.ariaPressed = String(settings.overlay === state);
      toggle.disabled = !drawn;
    }
    this.windowButton.ariaPressed = String(settings.drag === 'window');
    this.invertButton.ariaPressed = String(this.#look.inverted);
    this.opacity.disabled = !drawn || settings.overlay === 'off';
    this.opacity.value = String(settings.opacity);
    this.stage.dataset.drag = settings.drag;
    this.image.setAttribute('aria-label', this.#description());
    this.root.setAttribute('aria-label', [words.text('view.label'), scene?.name].filter(Boolean).join(': '));
    const message = scene && !scene.image && !scene.failed ? words.text('view.none') : '';
    this.message.hidden = !message;
    this.message.textContent = message;
  }

  /** The picture for people who listen. */
  #description() {
    const { name = '', image, result, shown = '' } = this.#scene ?? {};
    if (!image || !result || this.settings.overlay === 'off') return name;
    const findings = this.settings.overlay === 'findings';
    return `${name}. ${findings ? findingsSentence(this.words, result) : this.words.text('view.occlusion.of', { class: this.words.verdict(shown) })}`;
  }

  // Moving

  /** @param {View} view */
  #setView(view) {
    this.#view = this.#limited(view);
    this.#place();
    this.#paint();
    this.hooks.onview?.(this.#view);
  }

  /** Without leaving the stage empty. @param {View} view @returns {View} */
  #limited({ scale, x, y }) {
    const free = Math.max(scale - 1, 0) / 2 + 0.25;
    const limit = (/** @type {number} */ shift) => (scale === 1 ? 0 : Math.min(Math.max(shift, -free), free));
    return { scale, x: limit(x), y: limit(y) };
  }

  /**
   * @param {number} factor
   * @param {number} px from the middle of the stage, in pixels
   * @param {number} py
   */
  #zoomAt(factor, px, py) {
    const { scale, x, y } = this.#view;
    const next = Math.min(Math.max(scale * factor, 1), MAX_SCALE);
    const grow = next / scale;
    const ax = px / this.#fitted.width;
    const ay = py / this.#fitted.height;
    this.#setView({ scale: next, x: ax - (ax - x) * grow, y: ay - (ay - y) * grow });
  }

  /** @param {number} dx pixels @param {number} dy */
  #pan(dx, dy) {
    const { scale, x, y } = this.#view;
    this.#setView({ scale, x: x + dx / this.#fitted.width, y: y + dy / this.#fitted.height });
  }

  /** @param {number} width gray values to add @param {number} centre */
  #window(width, centre) {
    this.#look.width = Math.min(Math.max(this.#look.width + width, 4), 510);
    this.#look.centre = Math.min(Math.max(this.#look.centre + centre, 0), 255);
    this.#paint();
    this.#showReadout();
  }

  #showReadout() {
    const { width, centre } = this.#look;
    this.readout.value = this.words.text('view.window.now', { width: Math.round(width), centre: Math.round(centre) });
    this.readout.hidden = false;
    clearTimeout(this.#readoutTimer);
    this.#readoutTimer = window.setTimeout(() => {
      this.readout.hidden = true;
    }, 1500);
  }

  // Input

  /** @param {PointerEvent} event */
  #down(event) {
    this.#pointers.set(event.pointerId, event);
    this.stage.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    this.#pointers.delete(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.#pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    this.#pointers.set(event.pointerId, event);
    const dx = event.clientX - before.clientX;
    const dy = event.clientY - before.clientY;
    if (other) this.#pinch(before, event, other);
    else if (this.settings.drag === 'window' || event.buttons & 2 || event.shiftKey) this.#window(dx, dy);
    else this.#pan(dx, dy);
  }

  /**
   * @param {PointerEvent} before
   * @param {PointerEvent} after of the finger that moved
   * @param {PointerEvent} still the other finger
   */
  #pinch(before, after, still) {
    const span = (/** @type {PointerEvent} */ e) => Math.hypot(e.clientX - still.clientX, e.clientY - still.clientY) || 1;
    const box = this.stage.getBoundingClientRect();
    this.#zoomAt(
      span(after) / span(before),
      (after.clientX + still.clientX) / 2 - box.left - box.width / 2,
      (after.clientY + still.clientY) / 2 - box.top - box.height / 2,
    );
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    // Without focus on the image the wheel scrolls the page, as everywhere else.
    const ours = event.ctrlKey || document.fullscreenElement || this.stage.matches(':focus');
    if (!ours || !this.#scene?.image) return;
    event.preventDefault();
    const box = this.stage.getBoundingClientRect();
    this.#zoomAt(
      Math.exp((-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100)) / 400),
      event.clientX - box.left - box.width / 2,
      event.clientY - box.top - box.height / 2,
    );
  }

  /** Arrow keys on the image itself; the letters are the element's. @param {KeyboardEvent} event */
  #key(event) {
    const arrow = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y] = arrow;
    if (event.shiftKey) this.#window(-x * STEP.gray, -y * STEP.gray);
    else this.#pan(x * STEP.move * this.stage.clientWidth, y * STEP.move * this.stage.clientHeight);
  }
}
