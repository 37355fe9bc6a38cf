// On a server, in a project with `"type": "module"` that has the package: `node node.js FILE...`. Prints one FHIR Bundle per image, one per line.
import { readFile } from 'node:fs/promises';
import { createClassifier } from 'cxrlens';
import { toFhir } from 'cxrlens/fhir';

const cxr = await createClassifier({ workers: 1 });
for (const file of process.argv.slice(2)) {
  try {
    const result = await cxr.classify(await readFile(file), { file });
    console.log(JSON.stringify(toFhir(result, { patient: 'Patient/1' })));
  } catch (error) {
    console.error(`${file}: ${error.message} [${error.code ?? 'unknown'}]`);
    process.exitCode = 1;
  }
}
cxr.dispose();
