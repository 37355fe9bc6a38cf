/**
 * The host's side of embed.html: puts the frame into a page and turns its messages into promises and events.
 * It needs nothing else from this package: copy it to the portal. README.md has the protocol.
 */

/** @typedef {{ lang?: string, theme?: 'auto' | 'light' | 'dark', multiple?: boolean, disabled?: boolean,
 *   noGuidance?: boolean, noKeys?: boolean, doubtThreshold?: number | null }} Settings */

/**
 * Shows embed.html and waits until it answers.
 * @param {Element} place
 * @param {string | URL} url of embed.html
 * @param {Settings & { title?: string, patience?: number }} [options] patience in milliseconds
 * @returns {Promise<CxrFrame>} rejects with code 'timeout' where no frame of ours answers
 */
export async function embed(place, url, { title = 'CXR Lens', patience = 20_000, ...settings } = {}) {
  const lens = new CxrFrame(place, new URL(url, document.baseURI), title, settings);
  const timer = setTimeout(() => lens.remove(failure('timeout', 'The frame did not answer.')), patience);
  try {
    await lens.greeted;
    return lens;
  } catch (error) {
    lens.remove();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Fires cxr-ready, cxr-progress, cxr-result and cxr-error, as the element does. */
export class CxrFrame extends /** @type {typeof import('./types.js').FrameTarget} */ (EventTarget) {
  /** What the classifier says of itself, once it is ready. @type {import('./classifier.js').Classifier['info'] | null} */
  info = null;
  /** Why it could not start. @type {{ code: string, message: string } | null} */
  error = null;
  /** @type {Map<string, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #lastId = 0;
  #stop = new AbortController();
  #origin;
  #settings;
  /** @type {(error: Error) => void} */
  #giveUp = () => {};

  /** @param {Element} place @param {URL} url @param {string} title @param {Settings} settings */
  constructor(place, url, title, settings) {
    super();
    url.searchParams.append('origin', location.origin);
    this.#origin = url.origin;
    this.#settings = settings;
    this.frame = document.createElement('iframe');
    // The portal's addresses are nobody's business.
    Object.assign(this.frame, { src: url.href, title, allow: 'fullscreen', referrerPolicy: 'no-referrer' });
    Object.assign(this.frame.style, { border: '0', width: '100%' });
    this.greeted = new Promise((resolve, reject) => {
      this.#giveUp = reject;
      // More than once if the user reloads the frame.
      this.frame.addEventListener('load', () => {
        this.#reject(failure('aborted', 'The frame was loaded anew.'));
        this.#greet().then(resolve, reject);
      });
    });
    addEventListener('message', (event) => this.#receive(event), { signal: this.#stop.signal });
    place.append(this.frame);
  }

  /**
   * @param {Blob | BufferSource} image bytes are given away, not copied
   * @param {{ file?: string, signal?: AbortSignal }} [options]
   * @returns {Promise<import('./engine/wasm.js').Result>} rejects with an Error that has a `code`
   */
  async classify(image, { file, signal } = {}) {
    const { buffer = image } = /** @type {any} */ (image);
    const id = `host-${this.#lastId + 1}`;
    const abort = () => {
      this.#waiting.get(id)?.reject(failure('aborted', 'The image was cancelled.'));
      this.ask('cxr.cancel', { messageId: id }).catch(() => {});
    };
    if (signal?.aborted) throw failure('aborted', 'The image was cancelled.');
    signal?.addEventListener('abort', abort);
    try {
      const { result } = await this.ask('cxr.classify', { image, file }, buffer instanceof ArrayBuffer ? [buffer] : []);
      return result;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** @param {Settings} settings */
  async configure(settings) {
    settings = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)); // as frameworks pass on what was not set
    const answer = await this.ask('cxr.configure', settings);
    this.#settings = { ...this.#settings, ...settings }; // without settings that the frame refused; otherwise it would refuse all after a reload
    return answer;
  }

  /** Stops reading; what is done stays. */
  cancel() {
    return this.ask('cxr.cancel');
  }

  /** Removes all images. */
  clear() {
    return this.ask('cxr.clear');
  }

  /** Takes the frame out of the page; what is pending is rejected. */
  remove(reason = failure('aborted', 'The frame was removed.')) {
    this.#stop.abort();
    this.frame.remove();
    this.#giveUp(reason);
    this.#reject(reason);
  }

  /**
   * One request of the protocol.
   * @param {string} messageType
   * @param {object} [payload]
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>} the payload of the last answer
   */
  ask(messageType, payload = {}, transfer = []) {
    return new Promise((resolve, reject) => {
      const { contentWindow } = this.frame; // null once the frame is out of the document
      if (!contentWindow || this.#stop.signal.aborted) throw failure('aborted', 'The frame was removed.');
      const messageId = `host-${++this.#lastId}`;
      contentWindow.postMessage({ messageId, messageType, payload }, this.#origin, transfer);
      this.#waiting.set(messageId, { resolve, reject });
    });
  }

  async #greet() {
    const { info, error } = await this.ask('status.handshake', { protocol: 1 });
    Object.assign(this, { info, error });
    await this.configure(this.#settings);
  }

  /** @param {Error} reason for all that is pending */
  #reject(reason) {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  /** @param {MessageEvent} event */
  #receive({ source, origin, data }) {
    if (source !== this.frame.contentWindow || origin !== this.#origin) return;
    const { responseToMessageId: id, additionalResponsesExpected: more, messageType, payload } = Object(data);
    if (messageType === 'cxr.resize') this.frame.style.height = `${payload.height}px`;
    else if (messageType) {
      if (messageType === 'cxr.ready') Object.assign(this, { info: payload, error: null });
      this.dispatchEvent(new CustomEvent(messageType.replace('.', '-'), { detail: payload }));
    } else if (!more) {
      const { error } = payload;
      if (error) this.#waiting.get(id)?.reject(failure(error.code, error.message));
      else this.#waiting.get(id)?.resolve(payload);
      this.#waiting.delete(id);
    }
  }
}

/** @param {string} code @param {string} message */
const failure = (code, message) => Object.assign(new Error(message), { code });
