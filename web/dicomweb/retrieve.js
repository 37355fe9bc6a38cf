// retrieve.js - WADO-RS: retrieves whole instances as they are stored, one per request.
import { DicomWebError } from './error.js';
import { bytesOf, checkStatus, exchange } from './exchange.js';
import { boundaryOf, partsOf, tooLarge } from './multipart.js';

/**
 * @typedef {import('../dicomweb.js').Image} Image
 * @typedef {import('../dicomweb.js').Retrieved} Retrieved
 * @typedef {import('../dicomweb.js').Progress} Progress
 * @typedef {import('./exchange.js').Answer} Answer
 * @typedef {import('./exchange.js').Service} Service
 */

/** Errors after which no other image of the study would come. */
const FINAL = ['aborted', 'pacs-login', 'pacs-forbidden', 'pacs-network', 'pacs-redirect', 'pacs-timeout'];
const DICOM = /^application\/dicom\s*(;|$)/i;
/** As it is stored: otherwise a PACS unpacks what is compressed. */
const ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*';

/**
 * @param {Service} service
 * @param {Image} image
 * @param {(progress: Progress) => void} [onProgress]
 * @returns {Promise<File>}
 */
export function retrieve(service, image, onProgress) {
  const { studyUid, seriesUid, instanceUid } = image;
  const url = `${service.root}/studies/${studyUid}/series/${seriesUid}/instances/${instanceUid}`;
  return exchange(service, url, { headers: { Accept: ACCEPT } }, async (answer) => {
    checkStatus(answer.response);
    const { bytes: limit } = service.limits;
    // With room for the boundary and the header of the part.
    if (Number(answer.response.headers.get('content-length')) > limit + 65536) throw tooLarge(limit);
    const pieces = await dicomIn(counted(answer, image, onProgress), limit);
    checkInstance(pieces.head, instanceUid);
    return new File(pieces.blobs, `${image.name}.dcm`, { type: 'application/dicom' });
  });
}

/** @param {Answer} answer @param {Image} image @param {(progress: Progress) => void} [onProgress] @returns {Answer} */
const counted = (answer, image, onProgress) => ({
  ...answer,
  async *chunks() {
    let loaded = 0;
    for await (const chunk of answer.chunks()) {
      onProgress?.({ image, loaded: (loaded += chunk.length) });
      yield chunk;
    }
  },
});

/** The DICOM file in an answer: its first part, or all of it. @param {Answer} answer @param {number} limit */
async function dicomIn(answer, limit) {
  const wrong = (/** @type {string} */ type) => new DicomWebError('pacs-type', { detail: type.slice(0, 80) || 'no type' });
  if (DICOM.test(answer.type)) return bytesOf(answer, limit);
  const boundary = /^multipart\/related/i.test(answer.type) && boundaryOf(answer.type);
  if (!boundary) throw wrong(answer.type);
  for await (const { type, body } of partsOf(answer.chunks(), boundary, limit)) {
    if (type && !DICOM.test(type)) throw wrong(type);
    return body;
  }
  throw new DicomWebError('pacs-corrupt', { detail: 'no part' });
}

/**
 * Whether it is DICOM, and the instance that was asked for: another may be another patient's. Its UID is SOP Instance UID
 * (0008,0018), in either byte order, or Media Storage SOP Instance UID (0002,0003).
 * @param {string} head of the file
 * @param {string} uid
 */
function checkInstance(head, uid) {
  if (head.slice(128, 132) !== 'DICM') throw new DicomWebError('pacs-type', { detail: 'not a DICOM file' });
  const named = new RegExp(`(\x02\0\x03\0|\x08\0\x18\0|\0\x08\0\x18)[^]{4}${uid.replaceAll('.', '\\.')}(?![\\d.])`);
  if (!named.test(head)) throw new DicomWebError('pacs-type', { detail: 'another instance than asked for' });
}

/**
 * Several, in their order, `ahead` of them at a time. One that cannot be had comes with its error, and the next follow.
 * @param {Service} service
 * @param {readonly Image[]} list
 * @param {number} ahead
 * @param {(progress: Progress) => void} [onProgress]
 * @returns {AsyncGenerator<Retrieved, void>}
 */
export async function* retrieveAll(service, list, ahead, onProgress) {
  const left = new AbortController();
  const stop = () => left.abort();
  if (service.signal?.aborted) stop();
  service.signal?.addEventListener('abort', stop);
  /** @type {Promise<Retrieved>[]} */
  const running = [];
  let next = 0;
  try {
    while (next < list.length || running.length > 0) {
      while (next < list.length && running.length < Math.max(1, ahead)) {
        const image = list[next++];
        running.push(
          retrieve({ ...service, signal: left.signal }, image, onProgress).then(
            (file) => ({ image, file }),
            (error) => ({ image, error }),
          ),
        );
      }
      const one = await /** @type {Promise<Retrieved>} */ (running.shift());
      if (one.error && (FINAL.includes(one.error.code) || !(one.error instanceof DicomWebError))) throw one.error;
      yield one;
    }
  } finally {
    service.signal?.removeEventListener('abort', stop);
    stop(); // whoever takes no more images needs none of those on their way
  }
}
