// store.js - STOW-RS: stores DICOM files in the PACS.
import { DicomWebError } from './error.js';
import { checkStatus, exchange, jsonOf } from './exchange.js';
import { itemsOf, textOf } from './json.js';
import { multipartOf } from './multipart.js';

/**
 * @param {import('./exchange.js').Service} service
 * @param {readonly (Blob|Uint8Array)[]} objects
 * @param {string} [studyUid]
 * @returns {Promise<import('../dicomweb.js').Stored>}
 * @throws {DicomWebError} unless the PACS says of every object that it is stored
 */
export function store(service, objects, studyUid) {
  const { body, type } = multipartOf(objects);
  const url = `${service.root}/studies${studyUid ? `/${studyUid}` : ''}`;
  const headers = { 'Content-Type': type, Accept: 'application/dicom+json' };
  return exchange(service, url, { method: 'POST', headers, body }, async (answer) => {
    const { ok, status } = answer.response;
    if (status !== 409) checkStatus(answer.response);
    const json = await jsonOf(answer).catch((error) => {
      throw ok ? error : new DicomWebError('pacs-conflict', { status });
    });
    const stored = itemsOf(json, '00081199').map((item) => ({ instanceUid: textOf(item, '00081155'), sopClass: textOf(item, '00081150') }));
    const failed = itemsOf(json, '00081198').map((item) => ({
      instanceUid: textOf(item, '00081155'),
      reason: Number(textOf(item, '00081197')),
    }));
    if (stored.length >= objects.length && failed.length === 0) return { stored };
    throw new DicomWebError(ok || stored.length > 0 ? 'pacs-partial' : 'pacs-conflict', {
      status,
      failed,
      detail: `${stored.length} of ${objects.length} stored`,
    });
  });
}
