// search.js - QIDO-RS: which radiographs a study has. First it lists the series, which name their modality, then the instances
// of those series that may be radiographs: a CT of a thousand slices in the same study costs nothing.
import { DicomWebError } from './error.js';
import { checkStatus, exchange, jsonOf } from './exchange.js';
import { UID, textOf } from './json.js';

/**
 * @typedef {import('../dicomweb.js').Study} Study
 * @typedef {import('../dicomweb.js').Image} Image
 * @typedef {import('./exchange.js').Service} Service
 */

/** Instances per request. */
const PAGE = 100;
const RADIOGRAPHY = ['CR', 'DX', 'RG', 'DR'];
/** View positions (PS3.3 C.8.11.5.1.1) that are certainly not frontal; the reader judges all others by the whole file. */
const NOT_FRONTAL = /^(LL|RL|[LR]?LAT|LATERAL|[LR]LO|[LR][AP]O)$/i;
const FOR_PROCESSING = '1.2.840.10008.5.1.4.1.1.1.1.1';

/**
 * @param {Service} service
 * @param {Study} study
 * @returns {Promise<Image[]>}
 */
export async function search(service, { studyUid, seriesUid, instanceUid }) {
  /** @type {Image} */
  const none = { studyUid, seriesUid: '', instanceUid: '', sopClass: '', modality: '', view: '', name: 'image' };
  if (seriesUid && instanceUid) return [{ ...none, seriesUid, instanceUid }];
  const all = [];
  for (const each of await query(
    service,
    `${studyUid}/series?includefield=00200011${seriesUid ? `&SeriesInstanceUID=${seriesUid}` : ''}`,
  )) {
    const [uid, modality] = [textOf(each, '0020000E'), textOf(each, '00080060')];
    // A PACS that does not know the filter sends all series.
    if (!UID.test(uid) || !RADIOGRAPHY.includes(modality) || (seriesUid && uid !== seriesUid)) continue;
    const name = [modality, textOf(each, '00200011')].filter(Boolean).join('-');
    all.push(...(await instancesOf(service, { ...none, seriesUid: uid, modality, name })));
    checkCount(all.length, service);
  }
  return frontal(all);
}

/** All instances of a series. @param {Service} service @param {Image} series what its images have in common */
async function instancesOf(service, series) {
  /** @type {Map<string, Image>} */
  const found = new Map();
  for (let offset = 0; ; offset += PAGE) {
    const page = await query(
      service,
      `${series.studyUid}/series/${series.seriesUid}/instances?includefield=00185101&limit=${PAGE}&offset=${offset}`,
    );
    const before = found.size;
    for (const each of page) {
      const image = imageFrom(each, series);
      if (UID.test(image.instanceUid)) found.set(image.instanceUid, image);
      checkCount(found.size, service);
    }
    // Some do not know `offset` and give the same again.
    if (page.length < PAGE || found.size === before) return [...found.values()];
  }
}

/** @param {number} count @param {Service} service */
function checkCount(count, { limits }) {
  if (count > limits.images) throw new DicomWebError('pacs-size', { detail: `more than ${limits.images} images` });
}

/** @param {Service} service @param {string} path below the studies @returns {Promise<Record<string, any>[]>} */
const query = (service, path) =>
  exchange(service, `${service.root}/studies/${path}`, { headers: { Accept: 'application/dicom+json' } }, async (answer) => {
    checkStatus(answer.response);
    if (answer.response.status === 204) return [];
    const list = await jsonOf(answer);
    if (!Array.isArray(list) || list.some((each) => Object(each) !== each)) throw new DicomWebError('pacs-type', { detail: 'not a list' });
    return list;
  });

/** @param {Record<string, any>} json @param {Image} series @returns {Image} */
const imageFrom = (json, series) => ({
  ...series,
  instanceUid: textOf(json, '00080018'),
  sopClass: textOf(json, '00080016'),
  view: textOf(json, '00185101'),
  name: [series.name, textOf(json, '00200013')]
    .filter(Boolean)
    .join('-')
    .replace(/[^\w-]/g, ''),
});

/** In order, without views that are not frontal, and without raw data of the detector where the image made of it is there, too. @param {Image[]} images */
function frontal(images) {
  const views = images.filter(({ view }) => !NOT_FRONTAL.test(view)).sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const made = views.filter(({ sopClass }) => sopClass !== FOR_PROCESSING);
  return made.length > 0 ? made : views;
}
