/** The element's attributes as properties. */

/** Servers that render pages import this file too, and have no elements. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? class {};

export class Attributes extends Base {
  /** Where an image to read at once lies. */
  get src() {
    return this.getAttribute('src') ?? '';
  }
  set src(value) {
    this.setAttribute('src', value);
  }

  /** A study to read from a PACS: dicomweb:, and its address there. */
  get study() {
    return this.getAttribute('study') ?? '';
  }
  set study(value) {
    this.setAttribute('study', value);
  }

  /** Where the model lies, when not beside this file. */
  get modelUrl() {
    return this.getAttribute('model-url') ?? '';
  }
  set modelUrl(value) {
    this.setAttribute('model-url', value);
  }

  /** Where the WebAssembly module, or the folder of them, lies. */
  get wasmUrl() {
    return this.getAttribute('wasm-url') ?? '';
  }
  set wasmUrl(value) {
    this.setAttribute('wasm-url', value);
  }

  /** Most workers; 0 for as many as suit the device. */
  get workers() {
    return Number(this.getAttribute('workers')) || 0;
  }
  set workers(value) {
    this.setAttribute('workers', String(value));
  }

  get eager() {
    return this.hasAttribute('eager');
  }
  set eager(on) {
    this.toggleAttribute('eager', Boolean(on));
  }

  get multiple() {
    return this.hasAttribute('multiple');
  }
  set multiple(on) {
    this.toggleAttribute('multiple', Boolean(on));
  }

  get disabled() {
    return this.hasAttribute('disabled');
  }
  set disabled(on) {
    this.toggleAttribute('disabled', Boolean(on));
  }

  get noGuidance() {
    return this.hasAttribute('no-guidance');
  }
  set noGuidance(on) {
    this.toggleAttribute('no-guidance', Boolean(on));
  }

  get noKeys() {
    return this.hasAttribute('no-keys');
  }
  set noKeys(on) {
    this.toggleAttribute('no-keys', Boolean(on));
  }

  /** Probability below which an answer becomes "not sure"; null for the model's own. */
  get doubtThreshold() {
    const value = Number(this.getAttribute('doubt-threshold')?.trim() || NaN);
    return value >= 0 && value <= 1 ? value : null;
  }
  set doubtThreshold(value) {
    if (value === null) this.removeAttribute('doubt-threshold');
    else this.setAttribute('doubt-threshold', String(value));
  }

  get name() {
    return this.getAttribute('name') ?? '';
  }
  set name(value) {
    this.setAttribute('name', value);
  }
}
