// dead-worker.js - a worker that never gets as far as loading a model.
throw new Error('dead on arrival');
