// worker.js - one engine behind messages; a module worker in browsers, a worker thread in Node.
// A request carries an id and a message for createHost (wasm.js); the response has the same id.
import { nodeBuiltin } from './engine/platform.js';
import { createHost } from './engine/wasm.js';

const host = createHost();
const port = nodeBuiltin('worker_threads')?.parentPort;

/** @param {any} message */
const receive = async (message) => (port ?? globalThis).postMessage({ id: message.id, ...(await host(message)) });

if (port) port.on('message', receive);
else globalThis.addEventListener('message', (event) => receive(event.data));
