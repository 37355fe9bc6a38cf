/** Servers that render pages import this file too, and have no elements. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? class {};

/**
 * The element's attributes as properties; what follows is its public face, from which custom-elements.json is made.
 *
 * @attr {'en' | 'ko'} lang language; default: the nearest `lang`, then the browser's languages
 *
 * @fires {CustomEvent<import('../classifier.js').Classifier['info']>} cxr-ready the classifier is ready
 * @fires {CustomEvent<import('./queue.js').Progress>} cxr-progress the queue has changed
 * @fires {CustomEvent<{ result: import('../classifier.js').Result, verdict: string, file: string }>} cxr-result an image has its result
 * @fires {CustomEvent<{ error: import('./queue.js').Failure, file: string | null }>} cxr-error an image, or the classifier, failed
 * @fires {CustomEvent<{ images: number, retrieved: number, failed: number }>} cxr-study a study of the PACS arrives
 *
 * @slot notice - the sentence at the foot
 * @slot samples - samples to try
 *
 * @csspart base - all of the element
 * @csspart dropzone - where images are dropped
 * @csspart status - whether the classifier is ready
 * @csspart alert - messages
 * @csspart toolbar - the buttons above the images
 * @csspart button - every button
 * @csspart choose - the button that opens the file dialog
 * @csspart progress - the bar of a run
 * @csspart undo - the line that brings images back
 * @csspart viewer - the image with its tools
 * @csspart choice - frames and windows of a DICOM image
 * @csspart stage - where the image is drawn
 * @csspart ruler - the scale bar
 * @csspart legend - colours of what lies over the image
 * @csspart answer - the panel with the result
 * @csspart verdict - its headline
 * @csspart contrary - the sentence that verdict and findings disagree
 * @csspart found - the heading of the findings
 * @csspart findings - the list of findings
 * @csspart notice-line - the sentence that this is not a medical device
 * @csspart probabilities - the list of classes
 * @csspart bar - the bar of a class
 * @csspart bar-<class> - the bar of one class
 * @csspart warnings - warnings about the image
 * @csspart details - figures, folded away
 * @csspart error - why an image failed
 * @csspart guidance - what the result may mean
 * @csspart table - the table of images
 * @csspart help - the help
 * @csspart notice - the foot
 *
 * @cssprop --cxr-accent - buttons and marks
 * @cssprop --cxr-on-accent - text on the accent
 * @cssprop --cxr-surface - background
 * @cssprop --cxr-sunken - background of fields
 * @cssprop --cxr-text - text
 * @cssprop --cxr-muted - secondary text
 * @cssprop --cxr-line - faint lines
 * @cssprop --cxr-strong-line - lines of controls
 * @cssprop --cxr-note - background of notes
 * @cssprop --cxr-note-line - lines of notes
 * @cssprop --cxr-radius - radius of corners
 * @cssprop --cxr-font - font
 */
export class Attributes extends Base {
  /**
   * The address of an image to classify.
   * @attr src
   * @type {string}
   */
  get src() {
    return this.getAttribute('src') ?? '';
  }
  set src(value) {
    this.setAttribute('src', value);
  }

  /**
   * A study in a PACS: dicomweb: and its address.
   * @attr study
   * @type {string}
   */
  get study() {
    return this.getAttribute('study') ?? '';
  }
  set study(value) {
    this.setAttribute('study', value);
  }

  /**
   * The address of a .cxrm file; default: the published model.
   * @attr model-url
   * @type {string}
   */
  get modelUrl() {
    return this.getAttribute('model-url') ?? '';
  }
  set modelUrl(value) {
    this.setAttribute('model-url', value);
  }

  /**
   * The address of a WebAssembly module, or of a folder of modules.
   * @attr wasm-url
   * @type {string}
   */
  get wasmUrl() {
    return this.getAttribute('wasm-url') ?? '';
  }
  set wasmUrl(value) {
    this.setAttribute('wasm-url', value);
  }

  /**
   * The maximum number of workers; 0: the device's cores, at most 4.
   * @attr workers
   * @type {number}
   */
  get workers() {
    return Number(this.getAttribute('workers')) || 0;
  }
  set workers(value) {
    this.setAttribute('workers', String(value));
  }

  /**
   * Start all workers at once.
   * @attr eager
   * @type {boolean}
   */
  get eager() {
    return this.hasAttribute('eager');
  }
  set eager(on) {
    this.toggleAttribute('eager', Boolean(on));
  }

  /**
   * Accept many images.
   * @attr multiple
   * @type {boolean}
   */
  get multiple() {
    return this.hasAttribute('multiple');
  }
  set multiple(on) {
    this.toggleAttribute('multiple', Boolean(on));
  }

  /**
   * Accept no images.
   * @attr disabled
   * @type {boolean}
   */
  get disabled() {
    return this.hasAttribute('disabled');
  }
  set disabled(on) {
    this.toggleAttribute('disabled', Boolean(on));
  }

  /**
   * Hide the guidance section.
   * @attr no-guidance
   * @type {boolean}
   */
  get noGuidance() {
    return this.hasAttribute('no-guidance');
  }
  set noGuidance(on) {
    this.toggleAttribute('no-guidance', Boolean(on));
  }

  /**
   * Switch off single-key shortcuts.
   * @attr no-keys
   * @type {boolean}
   */
  get noKeys() {
    return this.hasAttribute('no-keys');
  }
  set noKeys(on) {
    this.toggleAttribute('no-keys', Boolean(on));
  }

  /**
   * The probability below which a verdict becomes "not sure"; null: the model's own.
   * @attr doubt-threshold
   * @type {number | null}
   */
  get doubtThreshold() {
    const value = Number(this.getAttribute('doubt-threshold')?.trim() || NaN);
    return value >= 0 && value <= 1 ? value : null;
  }
  set doubtThreshold(value) {
    if (value === null) this.removeAttribute('doubt-threshold');
    else this.setAttribute('doubt-threshold', String(value));
  }

  /**
   * The name in a form.
   * @attr name
   * @type {string}
   */
  get name() {
    return this.getAttribute('name') ?? '';
  }
  set name(value) {
    this.setAttribute('name', value);
  }
}
