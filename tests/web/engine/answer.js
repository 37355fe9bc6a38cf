// answer.js - prints what one build of the module says of some files, as JSON: `node answer.js BUILD FILE...`
import { readFileSync } from 'node:fs';
import { Engine, modelBytes, moduleBytes } from './helpers.js';

const [build, ...files] = process.argv.slice(2);
const module = await WebAssembly.compile(moduleBytes(/** @type {any} */ (build)));
const engine = await Engine.create(module, modelBytes());
/** @type {Record<string, any>} */
const results = {};
for (const file of files) {
  const { heatmap, ...result } = await engine.classify({ bytes: readFileSync(file) }, true);
  const classes = heatmap?.classes.map((each) => ({ ...each, values: Array.from(each.values) }));
  results[file] = { ...result, heatmap: { ...heatmap, classes } };
}
console.log(JSON.stringify({ info: engine.info, results }));
