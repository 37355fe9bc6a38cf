// dicom-worker.js - reads DICOM files in a worker, so that the page stays free while a decoder runs. dicom-remote.js sends it
// requests. Its answers name no patient.
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
