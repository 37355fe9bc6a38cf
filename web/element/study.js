// study.js - reads a study from a PACS into the element's queue, image by image, and stores the reports of its results there.
// Loaded only by an element with the attribute `study`.
// No image is kept but the few that were used last: the PACS has them, and is asked again.
import { laterWords } from '../shared/deferred-words.js';
import { failure } from './queue.js';

/** Images in the queue that are not read yet, before the next is retrieved: what waits costs memory. */
const MOST_OPEN = 4;
/** Files at hand: those in the queue, the one that comes next and the one that the user looks at. */
const MOST_KEPT = MOST_OPEN + 2;

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {import('../dicomweb.js').Fetch} Fetch
 * @typedef {import('../dicomweb.js').Image} Image
 *
 * @typedef {object} Host the element
 * @property {string} study its address
 * @property {Fetch | undefined} fetch
 * @property {boolean} multiple
 *
 * @typedef {object} Hooks
 * @property {(source: import('../shared/source.js').Source) => Item | undefined} add
 * @property {import('../types.js').Emit} emit
 */

export class StudyReader {
  #host;
  #session;
  #view;
  #hooks;
  #address;
  /** @type {AbortController | null} */
  #running = null;
  /** What was retrieved, by the UID of the instance. @type {Map<string, Item>} */
  #items = new Map();
  /** Files at hand, the one that was used last at the end. @type {Map<string, Promise<File>>} */
  #files = new Map();
  /** Ends what is retrieved again. */
  #again = new AbortController();

  /**
   * @param {Host} host
   * @param {import('./session.js').Session} session
   * @param {import('./view.js').View} view
   * @param {Hooks} hooks
   */
  constructor(host, session, view, hooks) {
    this.#host = host;
    this.#session = session;
    this.#view = view;
    this.#hooks = hooks;
    this.#address = host.study;
  }

  /** The images that it brought. */
  get items() {
    return [...this.#items.values()];
  }

  /** Retrieves what is missing, unless that is on its way. Whatever fails is told as an event and to the user. */
  async read() {
    if (this.#running) return;
    const { signal } = (this.#running = new AbortController());
    try {
      await this.#retrieve(signal);
    } catch (error) {
      if (!signal.aborted) this.#fail(error, this.#address);
    }
    if (!signal.aborted) this.#running = null;
  }

  /** Ends the retrieval; read() goes on with it. */
  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  /** Ends all retrieval, also that of images to be looked at again. */
  close() {
    this.stop();
    this.#again.abort();
    this.#again = new AbortController();
  }

  async #connect() {
    const { dicomWeb, studyOf } = await import('../dicomweb.js');
    const { root, ...study } = studyOf(this.#address);
    return { pacs: dicomWeb(root, { fetch: this.#host.fetch }), study };
  }

  /** @param {AbortSignal} signal */
  async #retrieve(signal) {
    const { pacs, study } = await this.#connect();
    const all = await pacs.search(study, { signal });
    const images = this.#host.multiple ? all : all.slice(0, 1);
    const state = { images: images.length, retrieved: images.filter(({ instanceUid }) => this.#items.has(instanceUid)).length, failed: 0 };
    const missing = images.filter(({ instanceUid }) => !this.#items.has(instanceUid));
    this.#hooks.emit('cxr-study', { ...state });
    if (images.length > 0 && missing.length === 0) return;
    for await (const { image, file, error } of pacs.images(images.length > 0 ? missing : study, { signal })) {
      if (signal.aborted) return;
      const item = file && this.#hooks.add(this.#source(image, file));
      if (item) this.#items.set(image.instanceUid, item);
      if (error) this.#fail(error, image.name);
      state[item ? 'retrieved' : 'failed'] += 1;
      this.#hooks.emit('cxr-study', { ...state });
      await this.#room(signal);
    }
  }

  /** What the queue holds of an image. @param {Image} image @param {File} file */
  #source(image, file) {
    const { instanceUid } = image;
    this.#keep(instanceUid, Promise.resolve(file));
    return { name: file.name, open: () => this.#keep(instanceUid, this.#files.get(instanceUid) ?? this.#retrieveAgain(image)) };
  }

  /** Notes that a file was used, and lets go of the one that was used longest ago. @param {string} uid @param {Promise<File>} file */
  #keep(uid, file) {
    this.#files.delete(uid);
    this.#files.set(uid, file);
    for (const oldest of [...this.#files.keys()].slice(0, -MOST_KEPT)) this.#files.delete(oldest);
    return file;
  }

  /** @param {Image} image @returns {Promise<File>} */
  async #retrieveAgain(image) {
    const { signal } = this.#again;
    this.#view.tell(''); // of an attempt before
    try {
      const { pacs } = await this.#connect();
      return await pacs.retrieve(image, { signal });
    } catch (error) {
      this.#files.delete(image.instanceUid);
      if (!signal.aborted) this.#tell(failure(error));
      throw error;
    }
  }

  /** Waits until the classifier keeps up. @param {AbortSignal} signal */
  async #room(signal) {
    const { queue } = this.#session;
    while (queue.progress.open >= MOST_OPEN && !signal.aborted) {
      await new Promise((resolve) => {
        queue.addEventListener('change', resolve, { once: true });
        signal.addEventListener('abort', resolve, { once: true });
      });
    }
  }

  /** @param {unknown} error @param {string} file */
  #fail(error, file) {
    const why = failure(error);
    this.#hooks.emit('cxr-error', { error: why, file });
    this.#tell(why);
  }

  /** @param {import('./queue.js').Failure} why */
  #tell(why) {
    this.#view.tell(laterWords(this.#view.words).error(why));
  }

  /**
   * Stores a Structured Report for each result.
   * @param {import('../classifier.js').Result} [result] for this one only
   * @returns {Promise<import('../dicomweb.js').Stored>}
   */
  async store(result) {
    const items = this.items.filter(
      (item) => item.result && this.#session.queue.items.includes(item) && (!result || item.result === result),
    );
    if (items.length === 0) throw Object.assign(new Error('There is no result of this study to report.'), { code: 'argument' });
    const [{ pacs, study }, { toSr }] = await Promise.all([this.#connect(), import('../export/export.js')]);
    const reports = [];
    for (const item of items) reports.push(await toSr(item, this.#session)); // one by one: each may need its image again
    return pacs.store(reports, { studyUid: study.studyUid });
  }
}
