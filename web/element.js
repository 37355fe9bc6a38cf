/**
 * <cxr-lens>: drop a chest X-ray, read the answer and why, all on the user's device.
 *
 * Importing this file registers nothing; import define.js for that. Elements that ask for the same model
 * share one pool of workers. The element never registers a service worker and writes no storage.
 *
 * Attributes: src (an image to read), model-url, wasm-url, workers, eager (all workers at once), lang, multiple, disabled,
 *   no-guidance, no-keys (no single-key shortcuts), doubt-threshold (0..1: an answer below it becomes "not sure"; it can
 *   only make the element more careful), name (in a form).
 * Properties: the same, and results, images, progress, strings, ready.
 * Methods: classify(image), add(files), cancel(), clear(), undo(), preload().
 * Events, bubbling and composed: cxr-ready, cxr-progress, cxr-result, cxr-error.
 */

import { styles } from './element/styles.js';
import { fill } from './shared/dom.js';
import { Words, loadStrings, pickLanguage } from './shared/words.js';
import { acquire } from './element/shared-classifier.js';
import { Queue, failure } from './element/queue.js';
import { filesOf } from './element/dropped-files.js';
import { Layout } from './element/layout.js';
import { Scenes } from './viewer/viewers.js';
import { Table } from './element/table.js';
import { forgetRadios, showAnswer } from './element/result-panel.js';
import { isRefusal, topClass } from './shared/result.js';

/**
 * @typedef {import('./element/queue.js').Item} Item
 * @typedef {import('./classifier.js').Result} Result
 * @typedef {Blob | ImageData | ArrayBuffer | ArrayBufferView} Image
 */

/** Attributes that say which classifier to use. */
const SOURCES = ['model-url', 'wasm-url', 'workers', 'eager'];
/** Attributes after which the element is drawn anew. */
const LOOKS = ['multiple', 'no-guidance', 'doubt-threshold'];

/** Keys of controls in which letters have a meaning of their own. */
const TYPING = 'input:not([type=radio], [type=checkbox], [type=range]), textarea, select';

/** Servers that render pages import this file too, and have no elements. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? class {};

export class CxrLens extends Base {
  static formAssociated = true;
  static observedAttributes = ['src', 'lang', ...SOURCES, ...LOOKS];

  #shadow = this.attachShadow({ mode: 'open' });
  #queue = new Queue((item, signal) => this.#classify(item, signal), () => this.#width());
  /** @type {ReturnType<typeof acquire> | null} */
  #lease = null;
  /** @type {import('./element/shared-classifier.js').Classifier | null} */
  #classifier = null;
  /** @type {{ state: 'loading' | 'ready' | 'broken', why?: import('./element/queue.js').Failure }} */
  #status = { state: 'loading' };
  #trouble = '';
  /** @type {Map<Item, { resolve: (result: Result) => void, reject: (error: Error) => void }>} */
  #waiters = new Map();
  /** @type {Item | null} */
  #selected = null;
  /** The image beside the selected one. @type {Item | null} */
  #compared = null;
  #scenes = new Scenes({
    classifier: () => this.#classifier, items: () => this.#queue.items, sentence: (item) => this.#sentence(item),
    folded: (item) => Boolean(item.result) && isRefusal(this.#verdict(item)) && !this.#figures,
    onsettings: () => this.#set({}), onerror: (error) => this.#tellError(error),
    oncompare: (item) => {
      this.#compared = item;
      this.#showScenes();
    },
    onchoose: (item, choice) => this.#queue.choose(item, choice),
  });
  /** Whether the figures of a refused image are unfolded. */
  #figures = false;
  /** Made once it is there. @type {typeof import('./element/guidance.js').guidance | undefined} */
  #guidance;
  /** Whether the guidance is unfolded, once the user chose. @type {boolean | null} */
  #guidanceOpen = null;
  #words = new Words('en');
  /** The present turn of #relabel. */
  #turn = 0;
  /** @type {Record<string, string>} */
  #ownStrings = {};
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
  /** How many strays were told of. */
  #skipped = 0;
  /** Whether a run of many is on, whose end is announced once. */
  #running = false;

  constructor() {
    super();
    this.#shadow.adoptedStyleSheets = [styles()];
    this.#queue.addEventListener('change', (event) => this.#onChange(/** @type {CustomEvent} */ (event).detail));
    this.addEventListener('keydown', (event) => this.handleKey(event));
    for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
      this.addEventListener(kind, (event) => this.#drag(/** @type {DragEvent} */ (event)));
    }
    this.addEventListener('paste', (event) => this.addFrom(event, event.clipboardData));
  }

  connectedCallback() {
    this.#upgrade();
    if (!this.#lease) this.#open();
    this.#relabel();
  }

  /** @type {HTMLFormElement | null} */
  #form = null;
  /** Its value in a form, made when it is asked for. @param {FormDataEvent} event */
  #fillForm = ({ formData }) => {
    if (!this.name || this.#off) return;
    formData.append(this.name, JSON.stringify(this.#queue.items.flatMap((item) => (
      item.result ? { ...item.result, heatmap: undefined, verdict: this.#verdict(item) } : []))));
  };

  /** @param {HTMLFormElement | null} form */
  formAssociatedCallback(form) {
    this.#form?.removeEventListener('formdata', this.#fillForm);
    this.#form = form;
    form?.addEventListener('formdata', this.#fillForm);
  }

  formResetCallback() {
    this.clear();
    this.#queue.forget();
    this.#syncStage();
  }

  formDisabledCallback() {
    this.#layout?.setDisabled(this.#off);
  }

  /** Whether it or a fieldset around it is disabled. */
  get #off() {
    return this.matches(':disabled');
  }

  disconnectedCallback() {
    // An element that is only moved comes back within this turn.
    queueMicrotask(() => {
      if (!this.isConnected) this.#close();
    });
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    if (name === 'src' && after) this.#fetch(after);
    if (name === 'lang' && this.#lease) this.#relabel();
    if (SOURCES.includes(name) && this.#lease) this.#reopen();
    if (name === 'doubt-threshold' && after !== null && this.doubtThreshold === null) console.warn(`cxr-lens: doubt-threshold="${after}" is no number from 0 to 1.`);
    if (this.#layout && LOOKS.includes(name)) this.#draw();
  }

  // Public: properties

  /** Where an image to read at once lies. */
  get src() { return this.getAttribute('src') ?? ''; }
  set src(value) { this.setAttribute('src', value); }

  /** Where the model lies, when not beside this file. */
  get modelUrl() { return this.getAttribute('model-url') ?? ''; }
  set modelUrl(value) { this.setAttribute('model-url', value); }

  /** Where the WebAssembly module, or the folder of them, lies. */
  get wasmUrl() { return this.getAttribute('wasm-url') ?? ''; }
  set wasmUrl(value) { this.setAttribute('wasm-url', value); }

  /** Most workers; 0 for as many as suit the device. */
  get workers() { return Number(this.getAttribute('workers')) || 0; }
  set workers(value) { this.setAttribute('workers', String(value)); }

  get eager() { return this.hasAttribute('eager'); }
  set eager(on) { this.toggleAttribute('eager', Boolean(on)); }

  get multiple() { return this.hasAttribute('multiple'); }
  set multiple(on) { this.toggleAttribute('multiple', Boolean(on)); }

  get disabled() { return this.hasAttribute('disabled'); }
  set disabled(on) { this.toggleAttribute('disabled', Boolean(on)); }

  get noGuidance() { return this.hasAttribute('no-guidance'); }
  set noGuidance(on) { this.toggleAttribute('no-guidance', Boolean(on)); }

  get noKeys() { return this.hasAttribute('no-keys'); }
  set noKeys(on) { this.toggleAttribute('no-keys', Boolean(on)); }

  /** Probability below which an answer becomes "not sure"; null for the model's own. */
  get doubtThreshold() {
    const value = Number(this.getAttribute('doubt-threshold')?.trim() || NaN);
    return value >= 0 && value <= 1 ? value : null;
  }
  set doubtThreshold(value) {
    if (value === null) this.removeAttribute('doubt-threshold');
    else this.setAttribute('doubt-threshold', String(value));
  }

  get name() { return this.getAttribute('name') ?? ''; }
  set name(value) { this.setAttribute('name', value); }

  /** A portal's own words, by the keys of strings/en.js; the missing ones stay ours. */
  get strings() { return this.#ownStrings; }
  set strings(strings) {
    this.#ownStrings = { ...strings };
    if (this.#layout) this.#relabel();
  }

  /** All results so far, in the order of arrival. */
  get results() {
    return this.#queue.items.flatMap(({ result }) => result ?? []);
  }

  /** The images in hand, in order, as files named by their paths. */
  get images() {
    return this.#queue.items.flatMap(({ name, source }) => (source instanceof Blob ? [new File([source], name, { type: source.type })] : []));
  }

  /** How far the queue has come. */
  get progress() {
    return this.#queue.progress;
  }

  /** Settles when the classifier is ready, with what it says of itself. */
  get ready() {
    if (!this.#lease) this.#open();
    return /** @type {ReturnType<typeof acquire>} */ (this.#lease).ready.then(({ info }) => {
      this.#rest();
      return info;
    });
  }

  // Public: methods

  /**
   * Puts one image in the queue.
   * @param {Image} image
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Result>} rejects with the reason (`code`, `message`) when it cannot be read
   */
  classify(image, { signal } = {}) {
    if (signal?.aborted) return Promise.reject(refusal({ code: 'aborted', message: 'The image was cancelled.' }));
    if (this.#off) return Promise.reject(refusal({ code: 'disabled', message: 'The element is disabled.' }));
    if (Object(image) !== image) return Promise.reject(refusal({ code: 'argument', message: 'This is no image.' }));
    if (!this.#lease) this.#open(); // also in no document
    else if (this.#status.state === 'broken') this.#reopen();
    const source = image instanceof Blob || image instanceof ImageData ? image : new Blob([/** @type {BlobPart} */ (image)]);
    const [item] = this.add([source]);
    const stop = () => this.#queue.cancel([item]);
    signal?.addEventListener('abort', stop);
    // The item's waiter must be there before the queue can settle it, which is never in this turn.
    return new Promise((resolve, reject) => this.#waiters.set(item, { resolve, reject }))
      .finally(() => {
        signal?.removeEventListener('abort', stop);
        this.#rest();
      });
  }

  /**
   * Puts images in the queue; results come as events.
   * @param {Iterable<Blob | ImageData>} images
   * @returns {Item[]}
   */
  add(images) {
    const list = this.multiple ? [...images] : [...images].slice(0, 1);
    if (list.length === 0 || this.#off) return [];
    if (!this.multiple) this.#queue.remove();
    this.#queue.forget();
    if (this.#trouble) this.#tell('');
    this.#skipped = 0;
    const items = this.#queue.add(list);
    if (items.length > 1) this.#running = true; // they may all be read before the next frame
    this.#select(items[0]);
    return items;
  }

  /**
   * Puts what was dropped or pasted in the queue, folders walked.
   * @param {Event} event prevented when there is something in it for us
   * @param {DataTransfer | null} transfer
   */
  async addFrom(event, transfer) {
    if (event.defaultPrevented || !transfer) return;
    const mayHold = [...transfer.items].some(({ kind }) => kind === 'file');
    // Pasting text into a field is none of our business; dropping text on us would navigate away.
    if (!mayHold && event.type === 'paste') return;
    event.preventDefault();
    if (this.#off) return;
    const found = mayHold ? await filesOf(transfer) : [];
    const files = found.filter((file) => file !== null);
    this.add(files);
    const lost = found.length - files.length;
    if (lost > 0) this.#tell(this.#words.text('run.failed', { n: lost }));
    else if (files.length === 0) this.#tell(this.#words.text('drop.none'));
  }

  /** Stops reading; what is done stays. */
  cancel() {
    if (this.#queue.progress.open > 0) this.#layout?.announce(this.#words.text('run.cancelled'));
    this.#running = false;
    this.#queue.cancel();
  }

  /** Removes all images; undo() brings them back. */
  clear() {
    this.#remove([...this.#queue.items]);
  }

  /** Fetches the scripts that otherwise arrive when they are needed: exports, printed report, help, occlusion sensitivity. */
  async preload() {
    await Promise.all([import('./export/export.js'), import('./export/print.js'), import('./element/help.js'), import('./viewer/occlusion.js')]);
  }

  /** Brings back what was removed last. */
  undo() {
    if (this.#queue.undo() === 0) return;
    this.#select(this.#selected ?? this.#queue.items[0]);
  }

  /**
   * Acts on a shortcut. Keys pressed within the element come here by themselves; a page may pass on those
   * that were pressed nowhere in particular.
   * @param {KeyboardEvent} event
   */
  handleKey(event) {
    const target = event.composedPath()[0];
    if (event.defaultPrevented || this.#off || this.#help?.open) return;
    if (target instanceof Element && target.matches(TYPING)) return;
    const act = this.#shortcut(event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  // Life

  /** A property set before the upgrade hides the accessor: set it again. */
  #upgrade() {
    const self = /** @type {Record<string, any>} */ (/** @type {unknown} */ (this));
    for (const [name, value] of Object.entries(self)) if (name in CxrLens.prototype) {
      delete self[name];
      self[name] = value;
    }
  }

  #open() {
    const lease = acquire({ modelUrl: this.modelUrl || undefined, wasmUrl: this.wasmUrl || undefined, workers: this.workers || undefined, eager: this.eager });
    this.#lease = lease;
    this.#setStatus({ state: 'loading' });
    lease.ready.then((classifier) => {
      if (this.#lease !== lease) return;
      this.#classifier = classifier;
      this.#setStatus({ state: 'ready' });
      this.#emit('cxr-ready', classifier.info);
      this.#queue.pump();
      import('./element/guidance.js').then(({ guidance }) => {
        this.#guidance = guidance;
        if (this.#layout) this.#showGuidance(this.#selected);
      }, (error) => this.#tellError(error));
      this.#showScenes(); // a cover test may wait for it
    }, (error) => {
      if (this.#lease !== lease) return;
      this.#setStatus({ state: 'broken', why: failure(error) });
      this.#emit('cxr-error', { error: failure(error), file: null });
      // The images stay, for the user may try again; who waits for an answer must not wait for that.
      this.#refuse(failure(error));
    });
  }

  /** @param {import('./element/queue.js').Failure} why told to all who wait */
  #refuse(why) {
    for (const { reject } of this.#waiters.values()) reject(refusal(why));
    this.#waiters.clear();
  }

  /** In no document nothing else closes it. */
  #rest() {
    if (!this.isConnected && this.#waiters.size === 0) this.#close();
  }

  #close() {
    this.#queue.restart(); // goes on when the element comes back
    this.#refuse({ code: 'aborted', message: 'The element was removed.' });
    this.#lease?.release();
    this.#lease = null;
    this.#classifier = null;
    this.#undraw();
    this.#layout = null;
    this.#scenes.clear();
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#shadow.replaceChildren();
  }

  #reopen() {
    this.#lease?.release();
    this.#classifier = null;
    this.#queue.restart();
    this.#open();
  }

  /** @param {{ state: 'loading' | 'ready' | 'broken', why?: import('./element/queue.js').Failure }} status */
  #setStatus(status) {
    this.#status = status;
    this.#layout?.setStatus(status.state, status.why ? this.#words.error(status.why) : this.#trouble);
  }

  /** Fetches the words of the language and draws with them. */
  async #relabel() {
    await new Promise((resolve) => setTimeout(resolve)); // a task of its own: a start in one piece keeps input waiting
    const nearest = this.closest('[lang]')?.getAttribute('lang');
    let language = pickLanguage([this.getAttribute('lang'), nearest, ...navigator.languages]);
    const turn = ++this.#turn;
    const strings = await loadStrings(language).catch(() => void (language = 'en'));
    if (this.#turn !== turn) return; // another language was asked for since
    const words = new Words(language, strings, this.#ownStrings);
    const same = words.language === this.#words.language && JSON.stringify(words.strings) === JSON.stringify(this.#words.strings);
    this.#words = words;
    if (this.isConnected && !(same && this.#layout)) this.#draw();
  }

  /** Says what went wrong outside of any image, until the next one comes. @param {string} trouble '' for nothing */
  #tell(trouble) {
    this.#trouble = trouble;
    this.#setStatus(this.#status);
  }

  /** @param {unknown} error */
  #tellError(error) {
    this.#tell(this.#words.error(failure(error)));
  }

  /** @param {string} name @param {unknown} detail */
  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  /** @param {string} src */
  async #fetch(src) {
    try {
      const response = await fetch(src);
      if (!response.ok) throw new Error(`${src}: ${response.status}`);
      const name = new URL(src, document.baseURI).pathname.split('/').pop() || src;
      const blob = await response.blob();
      // A slow image must not take the place of the one that was asked for since.
      if (this.src === src) this.add([new File([blob], name, { type: blob.type })]);
    } catch (error) {
      if (this.src !== src) return;
      this.#emit('cxr-error', { error: { code: 'network', message: String(error) }, file: src });
      this.#tell(this.#words.text('error.network'));
    }
  }

  // Queue

  /** How many images may be at work: none before the classifier is ready. */
  #width() {
    return this.#classifier ? this.#classifier.info.workers + 1 : 0;
  }

  /** @param {Item} item @param {AbortSignal} signal @returns {Promise<Result>} */
  #classify(item, signal) {
    const classifier = /** @type {import('./element/shared-classifier.js').Classifier} */ (this.#classifier);
    return classifier.classify(item.source, { signal, heatmap: true, file: item.name, dicom: item.choice });
  }

  /** The answer to show: the model's, or "not sure" when the portal asks for more. @param {Item} item */
  #verdict(item) {
    const result = /** @type {Result} */ (item.result);
    const named = result.classes.find(({ id }) => id === result.verdict);
    return named && this.doubtThreshold !== null && named.probability < this.doubtThreshold ? 'uncertain' : result.verdict;
  }

  /** @param {Item | null} item null: images came or went */
  #onChange(item) {
    if (item) this.#stale.add(item);
    if (!item || item.state === 'waiting') this.#listStale = true;
    if (item && ['done', 'failed', 'cancelled'].includes(item.state)) this.#settle(item);
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#refresh());
    // A hidden tab gets no frames, but its page may still wait for the progress.
    if (document.hidden) this.#emit('cxr-progress', this.#queue.progress);
  }

  /** Tells the world about an image that has come to an end. @param {Item} item */
  #settle(item) {
    const waiter = this.#waiters.get(item);
    this.#waiters.delete(item);
    if (item.state === 'done' && item.result) {
      waiter?.resolve(item.result);
      this.#emit('cxr-result', { result: item.result, verdict: this.#verdict(item), file: item.name });
    } else {
      const reason = item.error ?? { code: 'aborted', message: 'The image was cancelled.' };
      waiter?.reject(refusal(reason));
      if (item.error) this.#emit('cxr-error', { error: item.error, file: item.name });
    }
  }

  /** @param {Item[]} items */
  #remove(items) {
    if (items.length === 0) return;
    const next = this.#neighbour(1, items) ?? this.#neighbour(-1, items);
    this.#queue.remove(items);
    for (const item of items) this.#scenes.forget(item);
    if (this.#compared && items.includes(this.#compared)) this.#compared = null;
    if (this.#selected && items.includes(this.#selected)) this.#select(next ?? this.#queue.items[0]);
  }

  /** @param {Item} item */
  #retry(item) {
    this.#scenes.forget(item); // its film may have failed for the same reason
    this.#queue.retry(item);
    this.#showSelected();
  }

  // Drawing

  /** Ends what was drawn. */
  #undraw() {
    this.#scenes.undraw();
    if (this.#layout) forgetRadios(this.#layout.answer);
  }

  /** Builds everything; the state is elsewhere, so nothing is lost. */
  #draw() {
    const words = this.#words;
    this.#undraw();
    this.#layout = new Layout(words, {
      add: (files) => this.add(files), cancel: () => this.cancel(), clear: () => this.clear(), undo: () => this.undo(), resume: () => this.#queue.resume(),
      help: () => this.#showHelp(), restart: () => this.#reopen(), compare: () => this.#toggleCompare(),
      save: (kind, names) => this.#save(kind, names),
    }, { multiple: this.multiple, names: this.#layout?.names.checked ?? true });
    this.#table = new Table(words, {
      onselect: (item) => this.#select(item), onretry: (item) => this.#retry(item),
      onremove: (item) => this.#remove([item]), verdict: (item) => this.#verdict(item),
    }, this.#table);
    this.#layout.table.append(this.#table.root);
    this.#help = null;
    this.#shadow.replaceChildren(this.#layout.root);
    this.#scenes.draw(this.#layout.viewers, words);
    this.#setStatus(this.#status);
    this.#layout.setDisabled(this.#off);
    this.#table.setItems(this.#queue.items);
    this.#syncStage();
    this.#showSelected();
  }

  async #showHelp() {
    const help = await import('./element/help.js').catch((error) => this.#tellError(error));
    if (!help) return;
    this.#shadow.adoptedStyleSheets = [styles(), help.helpSheet];
    this.#help?.remove();
    this.#help = help.helpDialog(this.#words, { on: !this.noKeys, onchange: (on) => { this.noKeys = !on; } });
    this.#shadow.append(this.#help);
    this.#help.showModal();
  }

  /** Brings rows and progress up to date, once a frame. */
  #refresh() {
    this.#frame = 0;
    if (!this.#layout || !this.#table) return;
    const stale = [...this.#stale];
    this.#stale.clear();
    // Of a slotted child the document knows, and of ours the shadow tree.
    const focused = this.#shadow.activeElement ?? this.querySelector(':focus');
    if (this.#listStale) {
      this.#table.setItems(this.#queue.items);
      if (this.#selected && !this.#queue.items.includes(this.#selected)) this.#select(this.#queue.items[0]);
    }
    this.#listStale = false;
    this.#table.refresh(stale);
    this.#syncStage();
    if (this.#selected && stale.includes(this.#selected)) this.#showSelected();
    else if (this.#compared && stale.includes(this.#compared)) this.#showScenes();
    if (focused && !(this.#shadow.activeElement ?? focused).getClientRects().length) this.#layout.focus();
    this.#emit('cxr-progress', this.#queue.progress);
    this.#announce(stale);
  }

  #syncStage() {
    const { progress } = this.#queue;
    this.#layout?.setCount(progress.total);
    this.#layout?.setProgress(progress);
    this.#layout?.setUndo(this.#queue.removedCount);
  }

  /** One image is told in words, the end of many in one sentence. @param {Item[]} items that changed */
  #announce(items) {
    const { open, done, failed, skipped, total } = this.#queue.progress;
    const words = this.#words;
    if (open > 1) this.#running = true;
    if (open > 0) return;
    if (skipped > this.#skipped) this.#tell(words.text('run.skipped', { n: skipped }));
    this.#skipped = skipped;
    if (this.#running && total > 1) this.#layout?.announce(words.text('run.end', { n: done }) + (failed ? ` ${words.text('run.failed', { n: failed })}.` : ''));
    else if (this.#selected && items.includes(this.#selected)) this.#layout?.announce(this.#sentence(this.#selected));
    this.#running = false;
  }

  /** An image's end in one sentence. @param {Item} item */
  #sentence(item) {
    const words = this.#words;
    if (item.error) return `${item.name}: ${words.error(item.error)}`;
    if (!item.result) return `${item.name}: ${words.text(`state.${item.state}`)}`;
    const verdict = this.#verdict(item);
    const named = item.result.classes.find(({ id }) => id === verdict);
    return `${item.name}: ${words.verdict(verdict)}${named ? `, ${words.percent(named.probability)}` : ''}`;
  }

  /** @param {Item | null | undefined} item */
  #select(item) {
    this.#selected = item ?? null;
    this.#figures = false;
    if (this.#compared === item || !this.multiple) this.#compared = null;
    this.#showSelected();
  }

  /** Shows the selected image: answer, film, map. */
  #showSelected() {
    const item = this.#selected;
    if (!this.#layout) return;
    if (item?.result) this.#chooseMap(item);
    this.#table?.select(item);
    const { studyUid, seriesUid, instanceUid, sopClass } = item?.result?.dicom ?? {};
    // A report has to name its image by all of these.
    this.#layout.setSr(Boolean(studyUid && seriesUid && instanceUid && sopClass));
    this.#showAnswer();
    this.#showScenes();
  }

  /** The map to begin with is that of the answer, or of the likeliest class. @param {Item} item */
  #chooseMap(item) {
    if (this.#mapOf === item.result) return;
    this.#mapOf = item.result;
    if (item.result) this.#scenes.settings.shown = topClass(item.result).id;
  }

  /** The result for which the map's class was chosen last. @type {Result | null} */
  #mapOf = null;

  #showAnswer() {
    const item = this.#selected;
    if (!this.#layout) return;
    const { answer } = this.#layout;
    const focused = answer.contains(this.#shadow.activeElement) && this.#shadow.activeElement;
    showAnswer(answer, this.#words, item, {
      shown: this.#scenes.settings.shown, threshold: this.doubtThreshold, figures: this.#figures,
      verdict: item?.result ? this.#verdict(item) : '',
      onshow: (id) => this.#set({ shown: id, map: true }),
      onretry: () => item && this.#retry(item),
      onfigures: (open) => {
        this.#figures = open;
        this.#showScenes();
      },
    });
    this.#showGuidance(item);
    if (focused && !focused.isConnected) (focused instanceof HTMLInputElement && answer.querySelector(/** @type {'input'} */ (':checked')) || answer).focus();
  }

  /** Unfolded for one image; among many it would push the table out of sight. @param {Item | null} item */
  #showGuidance(item) {
    const shown = item?.result && !this.noGuidance && this.#guidance ? this.#guidance(this.#words, this.#verdict(item), {
      open: this.#guidanceOpen ?? this.#queue.items.length < 2,
      ontoggle: (open) => { this.#guidanceOpen = open; },
    }) : null;
    const { guidance, answer } = /** @type {Layout} */ (this.#layout);
    const held = guidance.contains(this.#shadow.activeElement);
    fill(guidance, shown);
    if (held) (guidance.querySelector('summary') ?? answer).focus();
  }

  /** @param {Partial<import('./viewer/viewer.js').ViewSettings>} change */
  #set(change) {
    Object.assign(this.#scenes.settings, change);
    for (const radio of this.#layout?.answer.querySelectorAll('input') ?? []) radio.checked = radio.value === this.#scenes.settings.shown;
    this.#scenes.update();
  }

  #showScenes() {
    if (!this.#layout) return;
    const items = [this.#selected, this.#compared].filter((item) => item !== null);
    this.#layout.setComparing(items.length > 1);
    this.#scenes.show(items);
  }

  // Comparing

  #toggleCompare() {
    this.#compared = this.#compared ? null : this.#neighbour(1) ?? this.#neighbour(-1);
    this.#showScenes();
  }

  /**
   * The image before or after the selected one, as the table shows them.
   * @param {1 | -1} step
   * @param {Item[]} [skip]
   */
  #neighbour(step, skip = []) {
    const items = this.#table?.visible ?? [];
    let at = items.indexOf(/** @type {Item} */ (this.#selected)) + step;
    while (skip.includes(items[at])) at += step;
    return items[at] ?? null;
  }

  // Input

  /** @param {DragEvent} event */
  #drag(event) {
    if (!event.dataTransfer) return;
    const over = event.type === 'dragenter' || event.type === 'dragover';
    if (over) event.preventDefault();
    const leaving = event.type === 'dragleave' && event.relatedTarget !== null;
    this.#layout?.setOver(!this.#off && (over || (leaving && this.contains(/** @type {Node} */ (event.relatedTarget)))));
    if (event.type === 'drop') this.addFrom(event, event.dataTransfer);
  }

  /** What a key does, if anything. @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  #shortcut(event) {
    if (event.altKey) return undefined;
    const item = this.#selected;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) return key === 'z' && this.#queue.removedCount ? () => this.undo() : undefined;
    if (key === 'Escape') return this.#queue.progress.open > 0 && !document.fullscreenElement ? () => this.cancel() : undefined;
    if (key === 'Delete') return item ? () => this.#remove([item]) : undefined;
    if (this.noKeys) return undefined;
    return this.#letter(key);
  }

  /** @param {string} key @returns {(() => void) | undefined} */
  #letter(key) {
    const viewer = this.#scenes.first;
    const step = (/** @type {1 | -1} */ by) => this.#select(this.#neighbour(by) ?? this.#selected);
    /** @type {Record<string, () => void>} */
    const always = { o: () => this.#layout?.files.click(), '?': () => this.#showHelp() };
    /** @type {Record<string, () => void>} */
    const withImage = {
      n: () => step(1), p: () => step(-1), m: () => this.#set({ map: !this.#scenes.settings.map }), c: () => this.#set({ cover: !this.#scenes.settings.cover, map: true }), i: () => viewer?.invert(), f: () => viewer?.full(),
      0: () => viewer?.reset(), '+': () => viewer?.zoom(1.25), '=': () => viewer?.zoom(1.25), '-': () => viewer?.zoom(0.8),
    };
    const chosen = this.#selected?.result?.classes[Number(key) - 1];
    if (chosen) return () => this.#set({ shown: chosen.id, map: true });
    return always[key] ?? (this.#selected ? withImage[key] : undefined);
  }

  // Exports

  /** @param {import('./export/export.js').Kind} kind @param {boolean} names whether file names go out */
  async #save(kind, names) {
    this.#tell('');
    try {
      const { exportAs } = await import('./export/export.js');
      await exportAs(kind, {
        names, verdict: (item) => this.#verdict(item), cover: (item) => this.#scenes.cover(item), words: this.#words, shown: this.#table?.visible ?? [], selected: this.#selected,
        version: this.#classifier?.info.version ?? '',
      });
    } catch (error) {
      this.#tellError(error);
    }
  }
}

/** @param {import('./element/queue.js').Failure} failure */
const refusal = ({ code, message }) => Object.assign(new Error(message), { code });
