/**
 * What the element draws of a session: layout, table, viewers, result, guidance, help, messages. The state is the
 * session's, so that all can be drawn anew at any time, as when the language changes.
 */

import { fill } from '../shared/dom.js';
import { Words } from '../shared/words.js';
import { Scenes } from '../viewer/viewers.js';
import { sentence } from './announcements.js';
import { Layout } from './layout.js';
import { failure } from './queue.js';
import { forgetRadios, showAnswer } from './result-panel.js';
import { Table } from './table.js';

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {{ state: 'loading' | 'ready' | 'broken', why?: import('./queue.js').Failure }} Status of the classifier
 *
 * @typedef {object} Host the element: how it is set
 * @property {boolean} multiple
 * @property {boolean} noGuidance
 * @property {boolean} noKeys
 * @property {number | null} doubtThreshold
 *
 * @typedef {object} Hooks
 * @property {() => import('../classifier.js').Classifier | null} classifier null before it is ready
 * @property {() => boolean} off whether the element is disabled
 * @property {(items: Item[]) => void} onframe images that changed have been drawn
 */

/** @type {CSSStyleSheet | null} */
let sheet = null;

/** The one sheet that all elements share, for a strict policy allows no inline styles; made on first use, as Node has none. */
function styles() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    // @ts-expect-error The build puts styles.css here: see web.mk.
    sheet.replaceSync(CXRLENS_STYLES);
  }
  return sheet;
}

export class View {
  words = new Words('en');
  /** Made once it is there. @type {typeof import('./guidance.js').guidance | undefined} */
  #guidance;
  /** Whether the guidance is unfolded, once the user chose. @type {boolean | null} */
  #guidanceOpen = null;
  /** Whether the figures of a refused image are unfolded. */
  #figures = false;
  /** The result for which the class of the occlusion map was chosen. @type {import('../classifier.js').Result | null | undefined} */
  #shownOf = null;
  /** @type {Status} */
  #status = { state: 'loading' };
  #trouble = '';
  /** @type {Layout | null} */
  #layout = null;
  /** @type {Table | null} */
  #table = null;
  /** @type {HTMLDialogElement | null} */
  #help = null;
  /** Items whose rows are to be redrawn in the next frame. @type {Set<Item>} */
  #stale = new Set();
  #listStale = false;
  #frame = 0;
  #shadow;
  #host;
  #session;
  #actions;
  #hooks;

  /**
   * @param {ShadowRoot} shadow
   * @param {HTMLElement & Host} host
   * @param {import('./session.js').Session} session
   * @param {Omit<import('./layout.js').Actions, 'help' | 'compare'>} actions
   * @param {Hooks} hooks
   */
  constructor(shadow, host, session, actions, hooks) {
    this.#shadow = shadow;
    this.#host = host;
    this.#session = session;
    this.#actions = actions;
    this.#hooks = hooks;
    this.viewers = new Scenes({
      classifier: hooks.classifier,
      items: () => session.queue.items,
      sentence: (item) => sentence(this.words, item, (each) => session.verdict(each)),
      verdict: (item) => (item.result ? session.verdict(item) : ''),
      onsettings: () => this.set({}),
      onerror: (error) => this.tellError(error),
      oncompare: (item) => session.compare(item),
      onchoose: (item, choice) => session.queue.choose(item, choice),
    });
    shadow.adoptedStyleSheets = [styles()];
  }

  /** Whether anything is drawn. */
  get drawn() {
    return this.#layout !== null;
  }

  /** The images as the table shows them. @returns {readonly Item[]} */
  get shown() {
    return this.#table?.visible ?? [];
  }

  /** Whether the help dialogue has the keyboard. */
  get helping() {
    return Boolean(this.#help?.open);
  }

  // Drawing

  /** Builds everything. @param {Words} [words] */
  draw(words = this.words) {
    const session = this.#session;
    this.words = words;
    this.#undraw();
    this.#layout = new Layout(
      words,
      { ...this.#actions, help: () => this.showHelp(), compare: () => session.toggleCompare() },
      { multiple: this.#host.multiple, names: this.#layout?.names.checked ?? true },
    );
    this.#table = new Table(
      words,
      {
        onselect: (item) => session.select(item),
        onretry: (item) => session.retry(item),
        onremove: (item) => session.remove([item]),
        verdict: (item) => session.verdict(item),
      },
      this.#table,
    );
    this.#layout.table.append(this.#table.root);
    this.#help = null;
    this.#shadow.replaceChildren(this.#layout.root);
    this.viewers.draw([this.#layout.pane.viewer, this.#layout.second.viewer], words);
    this.setStatus(this.#status);
    this.setDisabled();
    this.#table.setItems(session.queue.items);
    this.syncStage();
    this.showSelected();
  }

  #undraw() {
    this.viewers.undraw();
    if (this.#layout) for (const { answer } of [this.#layout.pane, this.#layout.second]) forgetRadios(answer);
  }

  /** Ends what was drawn. */
  close() {
    this.#undraw();
    this.#layout = null;
    this.viewers.clear();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#shadow.replaceChildren();
  }

  /** Has an image's row drawn anew in the next frame. @param {Item | null} item null: images came or went */
  changed(item) {
    if (item) this.#stale.add(item);
    if (!item || item.state === 'waiting') this.#listStale = true;
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#refresh());
  }

  /** Brings rows and progress up to date, once a frame. */
  #refresh() {
    this.#frame = 0;
    if (!this.#layout || !this.#table) return;
    const stale = [...this.#stale];
    this.#stale.clear();
    // Of a slotted child the document knows, and of ours the shadow tree.
    const focused = this.#shadow.activeElement ?? this.#host.querySelector(':focus');
    if (this.#listStale) {
      this.#table.setItems(this.#session.queue.items);
      this.#session.keepSelection();
    }
    this.#listStale = false;
    this.#table.refresh(stale);
    this.syncStage();
    const { selected, compared } = this.#session;
    if (selected && stale.includes(selected)) this.showSelected();
    else if (compared && stale.includes(compared)) this.showSelected();
    if (focused && !(this.#shadow.activeElement ?? focused).getClientRects().length) this.#layout.focus();
    this.#hooks.onframe(stale);
  }

  syncStage() {
    const { progress, removedCount } = this.#session.queue;
    this.#layout?.setCount(progress.total);
    this.#layout?.setProgress(progress);
    this.#layout?.setUndo(removedCount);
  }

  setDisabled() {
    this.#layout?.setDisabled(this.#hooks.off());
  }

  /** @param {boolean} over whether something is dragged over the element */
  setOver(over) {
    this.#layout?.setOver(over);
  }

  // Messages

  /** @param {Status} status */
  setStatus(status) {
    this.#status = status;
    this.#layout?.setStatus(status.state, status.why ? this.words.error(status.why) : this.#trouble);
  }

  /** Says what went wrong outside of any image, until the next one comes. @param {string} trouble '' for nothing */
  tell(trouble) {
    if (!trouble && !this.#trouble) return;
    this.#trouble = trouble;
    this.setStatus(this.#status);
  }

  /** @param {unknown} error */
  tellError(error) {
    this.tell(this.words.error(failure(error)));
  }

  /** To those who listen. @param {string} text */
  announce(text) {
    this.#layout?.announce(text);
  }

  async showHelp() {
    const help = await import('./help.js').catch((error) => this.tellError(error));
    if (!help) return;
    this.#shadow.adoptedStyleSheets = [styles(), help.helpSheet];
    this.#help?.remove();
    this.#help = help.helpDialog(this.words, {
      on: !this.#host.noKeys,
      onchange: (on) => {
        this.#host.noKeys = !on;
      },
    });
    this.#shadow.append(this.#help);
    this.#help.showModal();
  }

  pickFiles() {
    this.#layout?.files.click();
  }

  // The selected image

  /** Another image is selected. */
  select() {
    this.#figures = false;
    this.showSelected();
  }

  /** Shows the selected image: result, picture, map. */
  showSelected() {
    const item = this.#session.selected;
    if (!this.#layout) return;
    if (this.#shownOf !== item?.result) this.viewers.settings.shown = null;
    this.#shownOf = item?.result;
    this.#table?.select(item);
    const { studyUid, seriesUid, instanceUid, sopClass } = item?.result?.dicom ?? {};
    // What is made for an archive has to name its image by all of these.
    this.#layout.setDicom(Boolean(studyUid && seriesUid && instanceUid && sopClass), Boolean(item?.result?.gate.accepted));
    this.#showAnswer();
    this.showImages();
  }

  #showAnswer() {
    if (!this.#layout) return;
    const { pane, second } = this.#layout;
    const { selected, compared } = this.#session;
    const focused = pane.answer.contains(this.#shadow.activeElement) && this.#shadow.activeElement;
    this.#showPanel(pane, selected, 0);
    if (compared) this.#showPanel(second, compared, 1);
    this.#showGuidance(selected);
    if (focused && !focused.isConnected)
      ((focused instanceof HTMLInputElement && pane.answer.querySelector(/** @type {'input'} */ (':checked'))) || pane.answer).focus();
  }

  /** @param {import('./result-panel.js').Panel} panel @param {Item | null} item @param {number} index of its viewer */
  #showPanel(panel, item, index) {
    showAnswer(panel, this.words, item, {
      marked: this.#marked(item),
      threshold: this.#host.doubtThreshold,
      figures: this.#figures,
      name: `shown-${index}`,
      verdict: item?.result ? this.#session.verdict(item) : '',
      onshow: (id) => this.set({ shown: id, overlay: 'occlusion' }),
      onfinding: (at) => {
        this.set({ overlay: 'findings' });
        const finding = item?.result?.findings[at];
        if (finding) this.viewers.viewer(index)?.lookAt(finding);
      },
      onpoint: (at) => this.viewers.viewer(index)?.layers?.light(at),
      onretry: () => item && this.#session.retry(item),
      onfigures: (open) => {
        this.#figures = open;
      },
    });
  }

  /** The class whose row is marked: none where the verdict names none and no map of one is shown. @param {Item | null} item */
  #marked(item) {
    const { overlay, shown } = this.viewers.settings;
    if (!item?.result) return '';
    return overlay === 'occlusion' ? this.viewers.shown(item) : (shown ?? this.#session.verdict(item));
  }

  /** Gets ready what it takes to tell a result and what to do now: after the start, which it would slow. */
  loadGuidance() {
    setTimeout(() => this.words.percent(1)); // a browser's first formatter takes long, and the first result must not wait
    import('./guidance.js').then(
      ({ guidance }) => {
        this.#guidance = guidance;
        if (this.#layout) this.#showGuidance(this.#session.selected);
      },
      (error) => this.tellError(error),
    );
  }

  /** Unfolded for one image; among many it would push the table out of sight. @param {Item | null} item */
  #showGuidance(item) {
    const shown =
      item?.result && !this.#host.noGuidance && this.#guidance
        ? this.#guidance(this.words, this.#session.verdict(item), {
            open: this.#guidanceOpen ?? this.#session.queue.items.length < 2,
            ontoggle: (open) => {
              this.#guidanceOpen = open;
            },
          })
        : null;
    const {
      guidance,
      pane: { answer },
    } = /** @type {Layout} */ (this.#layout);
    const held = guidance.contains(this.#shadow.activeElement);
    fill(guidance, shown);
    if (held) (guidance.querySelector('summary') ?? answer).focus();
  }

  /** @param {Partial<import('../viewer/viewer.js').ViewSettings>} change */
  set(change) {
    Object.assign(this.viewers.settings, change);
    const { selected, compared } = this.#session;
    for (const [pane, item] of /** @type {const} */ ([
      [this.#layout?.pane, selected],
      [this.#layout?.second, compared],
    ]))
      for (const radio of pane?.answer.querySelectorAll(/** @type {'input'} */ ('.bar input')) ?? [])
        radio.checked = radio.value === this.#marked(item);
    this.viewers.update();
  }

  /** On, or off if it is on. @param {'findings' | 'occlusion'} overlay */
  toggle(overlay) {
    this.set({ overlay: this.viewers.settings.overlay === overlay ? 'off' : overlay });
  }

  /** Shows the selected image and the one beside it. */
  showImages() {
    if (!this.#layout) return;
    const { selected, compared } = this.#session;
    const items = [selected, compared].filter((item) => item !== null);
    this.#layout.setComparing(items.length > 1);
    this.viewers.show(items);
  }
}
