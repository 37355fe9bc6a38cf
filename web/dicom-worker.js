// dicom-worker.js - reads DICOM files beside the page, which has other things to do while a decoder works. It is asked by
// dicom-remote.js; what it tells of a file names no patient.
import { answer } from './dicom.js';

globalThis.addEventListener('message', async ({ data: { id, ...request } }) => {
  try {
    const value = await answer(request);
    const arrays = 'levels' in value ? value.levels.map(({ gray }) => gray) : [value.gray16.pixels];
    postMessage({ id, value }, { transfer: arrays.map(({ buffer }) => /** @type {ArrayBuffer} */ (buffer)) });
  } catch (error) {
    const { name, code, message } = /** @type {any} */ (error);
    postMessage({ id, error: { code: name === 'DicomError' ? code : 'worker-failed', message } });
  }
});
postMessage({ ready: true });
