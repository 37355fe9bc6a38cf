/**
 * <cxr-lens>: drop a chest X-ray, read the result and its evidence, all on the user's device.
 *
 * Importing this file registers nothing; import define.js for that. Elements with the same model share one pool of
 * workers. The element never registers a service worker and writes no storage. element/attributes.js documents its
 * attributes, events, slots, parts and custom properties.
 */

import { Announcements } from './element/announcements.js';
import { Attributes } from './element/attributes.js';
import { filesOf } from './element/dropped-files.js';
import { FormValue } from './element/form-value.js';
import { isTyping, shortcut } from './element/keyboard.js';
import { failure } from './element/queue.js';
import { Session, refusal } from './element/session.js';
import { acquire } from './element/shared-classifier.js';
import { View } from './element/view.js';
import { contentOf } from './shared/source.js';
import { Words, loadStrings, pickLanguage } from './shared/words.js';

/**
 * @typedef {import('./element/queue.js').Item} Item
 * @typedef {import('./classifier.js').Result} Result
 * @typedef {import('./types.js').CxrLensEventMap} CxrLensEventMap
 * @typedef {Blob | ImageData | ArrayBuffer | ArrayBufferView} Image
 */

/** Attributes that say which classifier to use. */
const SOURCES = ['model-url', 'wasm-url', 'workers', 'eager'];
/** Attributes whose change redraws the element. */
const LOOKS = ['multiple', 'no-guidance', 'doubt-threshold'];

export class CxrLens extends Attributes {
  static formAssociated = true;
  static observedAttributes = ['src', 'study', 'lang', ...SOURCES, ...LOOKS];

  /** @type {ReturnType<typeof acquire> | null} */
  #lease = null;
  /** @type {import('./element/shared-classifier.js').Classifier | null} */
  #classifier = null;
  /** The model that results are of, once there may be some. @type {import('./classifier.js').ModelInfo | null} */
  #model = null;
  /** Whether the classifier did not start. */
  #broken = false;
  /** The present turn of #relabel. */
  #turn = 0;
  /** @type {Record<string, string>} */
  #ownStrings = {};
  /** Made once its script is there. @type {import('./element/study.js').StudyReader | null} */
  #study = null;
  /** @type {import('./dicomweb.js').Fetch | undefined} */
  #ownFetch;
  /** @type {Session} */
  #session = new Session({
    classify: (item, signal) => this.#classify(item, signal),
    width: () => (this.#classifier ? this.#classifier.info.workers + 1 : 0),
    multiple: () => this.multiple,
    threshold: () => this.doubtThreshold,
    shown: () => this.#view.shown,
    onchange: (item) => this.#onChange(item),
    onend: (item) => this.#onEnd(item),
    onselect: () => this.#view.select(),
    oncompare: () => this.#view.showSelected(),
    onforget: (item) => this.#view.viewers.forget(item),
  });
  /** @type {View} */
  #view = new View(
    this.attachShadow({ mode: 'open' }),
    this,
    this.#session,
    {
      add: (files) => this.add(files),
      cancel: () => this.cancel(),
      clear: () => this.clear(),
      undo: () => this.undo(),
      resume: () => this.#resume(),
      restart: () => this.#reopen(),
      save: (kind, names) => this.#save(kind, names),
    },
    {
      classifier: () => this.#classifier,
      off: () => this.#off,
      onframe: (items) => {
        this.#emit('cxr-progress', this.progress);
        this.#announcements.changed(items);
      },
    },
  );
  #announcements = new Announcements(this.#session, this.#view);
  #form = new FormValue(() =>
    this.name && !this.#off
      ? {
          name: this.name,
          value: this.#session.queue.items.flatMap((item) =>
            item.result ? { ...item.result, maps: undefined, verdict: this.#session.verdict(item) } : [],
          ),
        }
      : null,
  );

  constructor() {
    super();
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
    if (this.#study) this.#study.read();
    else this.#openStudy();
  }

  /** @param {HTMLFormElement | null} form */
  formAssociatedCallback(form) {
    this.#form.move(form);
  }

  formResetCallback() {
    this.clear();
    this.#session.queue.forget();
    this.#view.syncStage();
  }

  formDisabledCallback() {
    this.#view.setDisabled();
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
    if (name === 'study') this.#openStudy();
    if (name === 'lang' && this.#lease) this.#relabel();
    if (SOURCES.includes(name) && this.#lease) this.#reopen();
    if (name === 'doubt-threshold' && after !== null && this.doubtThreshold === null)
      console.warn(`cxr-lens: doubt-threshold="${after}" is no number from 0 to 1.`);
    if (this.#view.drawn && LOOKS.includes(name)) this.#view.draw();
  }

  // Public: properties

  /** A portal's own words, by the keys of strings/en.js; the missing ones stay ours. */
  get strings() {
    return this.#ownStrings;
  }
  set strings(strings) {
    this.#ownStrings = { ...strings };
    if (this.#view.drawn) this.#relabel();
  }

  /** How the PACS is asked: a portal's own adds a token or sends cookies. Set anew, the element goes on with what is missing. */
  get fetch() {
    return this.#ownFetch;
  }
  set fetch(fetch) {
    this.#ownFetch = fetch;
    this.#study?.stop();
    this.#study?.read();
  }

  /** All results so far, in the order of arrival. */
  get results() {
    return this.#session.results;
  }

  /** The images, in order, as files named by their paths; without those of a study, which the PACS has. */
  get images() {
    return this.#session.images;
  }

  /** How far the queue has come. */
  get progress() {
    return this.#session.queue.progress;
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
    if (!this.#lease)
      this.#open(); // also in no document
    else if (this.#broken) this.#reopen();
    const source = image instanceof Blob || image instanceof ImageData ? image : new Blob([/** @type {BlobPart} */ (image)]);
    const [item] = this.add([source]);
    return this.#session.resultOf(item, signal).finally(() => this.#rest());
  }

  /**
   * Puts images in the queue; results come as events.
   * @param {Iterable<import('./shared/source.js').Source>} images
   * @returns {Item[]}
   */
  add(images) {
    const list = this.multiple ? [...images] : [...images].slice(0, 1);
    if (list.length === 0 || this.#off) return [];
    this.#view.tell('');
    this.#announcements.began(list.length);
    return this.#session.add(list);
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
    if (lost > 0) this.#view.tell(this.#view.words.text('run.failed', { n: lost }));
    else if (files.length === 0) this.#view.tell(this.#view.words.text('drop.none'));
  }

  /** Stops reading; what is done stays. */
  cancel() {
    this.#announcements.cancelled();
    this.#study?.stop();
    this.#session.queue.cancel();
  }

  #resume() {
    this.#session.queue.resume();
    this.#study?.read();
  }

  /** Removes all images; undo() brings them back. */
  clear() {
    this.#study?.stop();
    this.#session.clear();
  }

  /**
   * Stores a DICOM Structured Report of each result of the study in its PACS.
   * @param {Result} [result] of this one only
   * @returns {Promise<import('./dicomweb.js').Stored>}
   */
  async storeReport(result) {
    if (!this.#study) throw refusal({ code: 'argument', message: 'The element reads no study of a PACS.' });
    return this.#study.store(result);
  }

  /** Fetches the scripts that otherwise arrive when they are needed: exports, printed report, help, occlusion sensitivity. */
  async preload() {
    await Promise.all([
      import('./export/export.js'),
      import('./export/print.js'),
      import('./element/help.js'),
      import('./viewer/occlusion.js'),
    ]);
  }

  /** Brings back what was removed last. */
  undo() {
    this.#session.undo();
  }

  /**
   * Acts on a shortcut. Keys pressed within the element come here by themselves; a page may pass on those
   * that were pressed nowhere in particular.
   * @param {KeyboardEvent} event
   */
  handleKey(event) {
    if (event.defaultPrevented || this.#off || this.#view.helping || isTyping(event)) return;
    const act = shortcut(event, { session: this.#session, view: this.#view, letters: !this.noKeys, cancel: () => this.cancel() });
    if (!act) return;
    event.preventDefault();
    act();
  }

  // Life

  /** A property set before the upgrade hides the accessor: set it again. */
  #upgrade() {
    for (const [name, value] of Object.entries(this))
      if (name in CxrLens.prototype) {
        Reflect.deleteProperty(this, name);
        Reflect.set(this, name, value);
      }
  }

  #open() {
    const lease = acquire({
      modelUrl: this.modelUrl || undefined,
      wasmUrl: this.wasmUrl || undefined,
      workers: this.workers || undefined,
      eager: this.eager,
    });
    this.#lease = lease;
    this.#broken = false;
    this.#view.setStatus({ state: 'loading' });
    lease.ready.then(
      (classifier) => {
        if (this.#lease !== lease) return;
        this.#classifier = classifier;
        this.#model = classifier.info.model;
        this.#view.setStatus({ state: 'ready' });
        this.#emit('cxr-ready', classifier.info);
        this.#session.queue.pump();
        this.#view.loadGuidance();
        this.#view.showImages(); // a test of occlusion sensitivity may wait for it
      },
      (error) => {
        if (this.#lease !== lease) return;
        this.#broken = true;
        this.#view.setStatus({ state: 'broken', why: failure(error) });
        this.#emit('cxr-error', { error: failure(error), file: null });
        // The images stay, for the user may try again; who waits for a result must not wait for that.
        this.#session.refuse(failure(error));
      },
    );
  }

  /** In no document nothing else closes it. */
  #rest() {
    if (!this.isConnected && !this.#session.awaited) this.#close();
  }

  #close() {
    this.#study?.close(); // both go on when the element comes back
    this.#session.queue.restart();
    this.#session.refuse({ code: 'aborted', message: 'The element was removed.' });
    this.#lease?.release();
    this.#lease = null;
    this.#classifier = null;
    this.#view.close();
  }

  #reopen() {
    this.#lease?.release();
    this.#classifier = null;
    this.#session.queue.restart();
    this.#open();
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
    const { words: before, drawn } = this.#view;
    const same = words.language === before.language && JSON.stringify(words.strings) === JSON.stringify(before.strings);
    if (!this.isConnected) this.#view.words = words;
    else if (!same || !drawn) this.#view.draw(words);
  }

  /** @type {import('./types.js').Emit} */
  #emit = (name, detail) => void this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));

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
      this.#view.tell(this.#view.words.text('error.network'));
    }
  }

  /** Begins with the study that the attribute names. Images of the one before go, for they may be another patient's. */
  async #openStudy() {
    const before = this.#study;
    this.#study = null;
    if (before) {
      before.close();
      this.#session.remove(before.items);
      this.#session.queue.forget();
    }
    const { study } = this;
    if (!study || !this.isConnected) return;
    const script = await import('./element/study.js').catch((error) => this.#view.tellError(error));
    if (!script || this.study !== study || this.#study) return;
    this.#view.tell('');
    this.#study = new script.StudyReader(this, this.#session, this.#view, {
      add: (source) => this.#append(source),
      emit: this.#emit,
    });
    this.#study.read();
  }

  /** Adds an image of the study, without leaving the one that the user looks at. @param {import('./shared/source.js').Source} source */
  #append(source) {
    if (!this.multiple || !this.#session.selected || this.#off) return this.add([source])[0];
    return this.#session.queue.add([source])[0];
  }

  // Images

  /** @param {Item} item @param {AbortSignal} signal @returns {Promise<Result>} */
  async #classify(item, signal) {
    const classifier = /** @type {import('./element/shared-classifier.js').Classifier} */ (this.#classifier);
    return classifier.classify(await contentOf(item.source), { signal, maps: true, file: item.name, dicom: item.choice });
  }

  /** @param {Item | null} item null: images came or went */
  #onChange(item) {
    this.#view.changed(item);
    // A hidden tab gets no frames, but its page may still wait for the progress.
    if (document.hidden) this.#emit('cxr-progress', this.progress);
  }

  /** Tells the world about an image that has come to an end. @param {Item} item */
  #onEnd(item) {
    const { result, error, name: file } = item;
    if (item.state === 'done' && result) this.#emit('cxr-result', { result, verdict: this.#session.verdict(item), file });
    else if (error) this.#emit('cxr-error', { error, file });
  }

  /** @param {DragEvent} event */
  #drag(event) {
    if (!event.dataTransfer) return;
    const over = event.type === 'dragenter' || event.type === 'dragover';
    if (over) event.preventDefault();
    const leaving = event.type === 'dragleave' && event.relatedTarget !== null;
    this.#view.setOver(!this.#off && (over || (leaving && this.contains(/** @type {Node} */ (event.relatedTarget)))));
    if (event.type === 'drop') this.addFrom(event, event.dataTransfer);
  }

  // Exports

  /** @param {import('./export/export.js').Kind} kind @param {boolean} names whether file names go out */
  async #save(kind, names) {
    const session = this.#session;
    const view = this.#view;
    view.tell('');
    try {
      const { exportAs } = await import('./export/export.js');
      await exportAs(kind, {
        names,
        verdict: (item) => session.verdict(item),
        occlusion: (item) => view.viewers.occlusion(item),
        shownClass: (item) => view.viewers.shown(item),
        words: view.words,
        shown: view.shown,
        selected: session.selected,
        model: /** @type {import('./classifier.js').ModelInfo} */ (this.#model),
        version: this.#classifier?.info.version ?? '',
      });
    } catch (error) {
      view.tellError(error);
    }
  }
}
