// dicomweb.js - DICOMweb from a page, for any PACS that speaks it: finds the frontal radiographs of a study (QIDO-RS), retrieves
// them as files (WADO-RS) and stores reports (STOW-RS). Images come from the portal's own PACS and go nowhere else. Nothing is
// stored or logged here; credentials are the business of the `fetch` that the portal hands in.
//
//     const pacs = dicomWeb('https://pacs.example/dicom-web', { fetch: withToken });
//     for await (const { file, error } of pacs.images('1.2.840.1')) ...
//     await pacs.store([report], { studyUid: '1.2.840.1' });
import { DicomWebError } from './dicomweb/error.js';
import { UID } from './dicomweb/json.js';
import { retrieve, retrieveAll } from './dicomweb/retrieve.js';
import { search } from './dicomweb/search.js';
import { store } from './dicomweb/store.js';

export { DicomWebError };

/**
 * @typedef {import('./dicomweb/exchange.js').Fetch} Fetch
 * @typedef {import('./dicomweb/exchange.js').Limits} Limits
 * @typedef {import('./dicomweb/error.js').DicomWebCode} DicomWebCode
 *
 * @typedef {object} Study what to read: a study, or one series or instance of it
 * @property {string} studyUid
 * @property {string} [seriesUid]
 * @property {string} [instanceUid]
 *
 * @typedef {object} Image an instance, as the PACS lists it
 * @property {string} studyUid
 * @property {string} seriesUid
 * @property {string} instanceUid
 * @property {string} sopClass '' where the PACS does not say, and so below
 * @property {string} modality
 * @property {string} view
 * @property {string} name for people: modality, series and instance number; nothing of the patient
 *
 * @typedef {{ image: Image, loaded: number }} Progress bytes so far
 * @typedef {{ signal?: AbortSignal, onProgress?: (progress: Progress) => void }} Options
 * @typedef {{ image: Image, file: File, error?: undefined } | { image: Image, error: DicomWebError, file?: undefined }} Retrieved
 * @typedef {{ stored: { instanceUid: string, sopClass: string }[] }} Stored
 *
 * @typedef {object} Pacs
 * @property {(study: string|Study, options?: Options) => Promise<Image[]>} search the study's radiographs, without those that say
 *   that they are not frontal
 * @property {(image: Image, options?: Options) => Promise<File>} retrieve one whole instance, as it is stored
 * @property {(study: string|Study|readonly Image[], options?: Options & { ahead?: number }) => AsyncGenerator<Retrieved, void>} images
 *   both in one, or those of a list: in order, `ahead` (2) at a time; an image that cannot be had comes with its error, and the
 *   next follow
 * @property {(objects: readonly (Blob|Uint8Array)[], options?: { studyUid?: string, signal?: AbortSignal }) => Promise<Stored>} store
 *   DICOM files; rejects unless all were stored
 */

/** @type {Limits} */
const LIMITS = { seconds: 120, idle: 20, bytes: 256 * 2 ** 20, images: 1000 };

/**
 * @param {string} root of the DICOMweb service, such as 'https://pacs.example/dicom-web'
 * @param {{ fetch?: Fetch, limits?: Partial<Limits> }} [options] fetch: the portal's own, which adds a token or sends cookies;
 *   default: the page's
 * @returns {Readonly<Pacs>}
 * @throws {DicomWebError} pacs-address
 */
export function dicomWeb(root, { fetch = (url, init) => globalThis.fetch(url, init), limits } = {}) {
  const service = { root: rootOf(root), fetch, limits: { ...LIMITS, ...limits } };
  return Object.freeze({
    search: async (study, { signal } = {}) => search({ ...service, signal }, checked(study)),
    retrieve: async (image, { signal, onProgress } = {}) => retrieve({ ...service, signal }, { ...image, ...checked(image) }, onProgress),
    async *images(study, { ahead = 2, signal, onProgress } = {}) {
      const list = isList(study)
        ? study.map((image) => ({ ...image, ...checked(image) }))
        : await search({ ...service, signal }, checked(study));
      if (list.length === 0) throw new DicomWebError('pacs-empty');
      yield* retrieveAll({ ...service, signal }, list, ahead, onProgress);
    },
    store: async (objects, { studyUid, signal } = {}) => store({ ...service, signal }, objects, studyUid && checked(studyUid).studyUid),
  });
}

/**
 * Takes the address of a study apart.
 * @param {string} address 'dicomweb:https://pacs.example/dicom-web/studies/1.2.3', perhaps with /series/… and /instances/…
 * @returns {Study & { root: string }}
 * @throws {DicomWebError} pacs-address
 */
export function studyOf(address) {
  const path = /^(?:dicomweb:)?(.*?)\/studies\/([\d.]+)(?:\/series\/([\d.]+)(?:\/instances\/([\d.]+))?)?\/?$/.exec(address.trim());
  const [, root = '', studyUid = '', seriesUid, instanceUid] = path ?? [];
  return { root: rootOf(root), ...checked({ studyUid, seriesUid, instanceUid }) };
}

/** A root without query, hash and credentials, which would go into logs. @param {string} root */
function rootOf(root) {
  /** @type {URL|undefined} */
  let url;
  try {
    url = new URL(root, globalThis.document?.baseURI);
  } catch {
    /* not an address */
  }
  if (!root || !url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username || url.password)
    throw new DicomWebError('pacs-address');
  return url.href.replace(/\/+$/, '');
}

/** @param {string|Study|readonly Image[]} study @returns {study is readonly Image[]} */
const isList = (study) => Array.isArray(study);

/** @template {Study} T @param {string|T} study @returns {Study} */
function checked(study) {
  const { studyUid, seriesUid, instanceUid } = typeof study === 'string' ? { studyUid: study } : study;
  const wrong = [studyUid, seriesUid, instanceUid].some((uid) => uid !== undefined && !UID.test(uid));
  if (wrong || !studyUid || (instanceUid && !seriesUid)) throw new DicomWebError('pacs-address');
  return { studyUid, seriesUid, instanceUid };
}
