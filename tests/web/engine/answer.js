// answer.js - prints what one build of the module says of some files, as JSON: `node answer.js BUILD FILE...`
import { readFileSync } from 'node:fs';
import { Engine, modelBytes, moduleBytes, plainMaps } from './helpers.js';

const [build, ...files] = process.argv.slice(2);
const module = await WebAssembly.compile(moduleBytes(/** @type {any} */ (build)));
const engine = await Engine.create(module, modelBytes());
/** @type {Record<string, any>} */
const results = {};
for (const file of files) {
  const { maps, ...result } = await engine.classify({ bytes: readFileSync(file) }, true);
  results[file] = { ...result, maps: plainMaps(maps) };
}
console.log(JSON.stringify({ info: engine.info, results }));
