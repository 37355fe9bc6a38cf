// crashing-worker.js - the real worker, but for inputs of a few bytes, which make it fail in one way or another.
import { parentPort } from 'node:worker_threads';
import { createHost } from '../../../web/engine/wasm.js';

const host = createHost();

parentPort?.on('message', async (message) => {
  const { id, job } = message;
  switch (job?.bytes?.length) {
    case 1:
      return process.exit(7);
    case 2:
      throw new Error('out of luck');
    case 3:
      return parentPort?.postMessage({ id, error: { code: null, message: 'unreachable' } });
    case 4:
      return undefined; // never answers
    case 5: // answers a question that nobody asked, then the right one
      parentPort?.postMessage({ id: id - 1, value: 'wrong', memoryBytes: 0 });
      parentPort?.postMessage({ id: id + 1, value: 'wrong', memoryBytes: 0 });
      return parentPort?.postMessage({ id, error: { code: 'image-format', message: 'Right.' } });
    default:
      return parentPort?.postMessage({ id, ...(await host(message)) });
  }
});
