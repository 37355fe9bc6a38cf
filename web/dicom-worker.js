// dicom-worker.js - reads DICOM files in a worker, so that the page stays free while a decoder runs. dicom-remote.js sends it
// requests. Its answers name no patient.
import { answer } from './dicom.js';
import { holderOf, passed } from './shared/passage.js';

globalThis.addEventListener('message', async ({ data: { id, ...request } }) => {
  try {
    const value = await answer(request);
    if ('gray16' in value) {
      const pixels = passed(/** @type {Uint16Array} */ (value.gray16.pixels));
      postMessage({ id, value: { ...value, gray16: { ...value.gray16, pixels } } }, { transfer: [holderOf(pixels)] });
    } else postMessage({ id, value }, { transfer: value.levels.map(({ gray }) => /** @type {ArrayBuffer} */ (gray.buffer)) });
  } catch (error) {
    const { name, code, message } = /** @type {any} */ (error);
    postMessage({ id, error: { code: name === 'DicomError' ? code : 'worker-failed', message } });
  }
});
postMessage({ ready: true });
