/** The package as npm users get it: what is in it, its types, and Node. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { publint } from 'publint';
import { installed, mustRun, run } from './project.js';

const tool = (/** @type {string} */ name) => resolve('node_modules/.bin', name);
/** @type {ReturnType<typeof installed>} */
let project;
before(() => {
  project = installed();
  copyFileSync('tests/golden/images/phantom.png', join(project.folder, 'phantom.png'));
  mkdirSync(join(project.folder, 'node_modules/@types'));
  symlinkSync(resolve('node_modules/@types/react'), join(project.folder, 'node_modules/@types/react'));
});
after(() => project?.remove());

test('it holds the served folder, the commands and the card', () => {
  const { packed } = project;
  for (const name of [
    'README.md',
    'LICENSE',
    'model/CARD.md',
    'build/web/README.md',
    'build/web/classifier.js',
    'build/web/classifier.d.ts',
    'build/web/custom-elements.json',
    'build/web/types.d.ts',
    'build/web/define.js',
    'build/web/element.d.ts',
    'build/web/embed.html',
    'build/web/cxrlens-embed.js',
    'build/web/fhir.js',
    'build/web/worker.js',
    'build/web/cxrlens.cxrm',
    'build/web/cxrlens-simd.wasm',
    'build/web/cxrlens-relaxed.wasm',
    'build/web/cxrlens-scalar.wasm',
    'build/web/strings/ko.js',
    'build/web/examples/node.js',
  ])
    assert.ok(packed.includes(name), name);
  assert.deepEqual(
    packed.filter((name) => !/^(LICENSE|README\.md|package\.json|model\/CARD\.md|(build\/web|web\/bin)\/.+)$/.test(name)),
    [],
  );
  assert.deepEqual(
    packed.filter((name) => /\/[._]|\/serve\.|\.test\./.test(name)),
    [],
    'no settings of a host',
  );
  const own = JSON.parse(readFileSync(join(project.folder, 'node_modules/cxrlens/package.json'), 'utf8'));
  assert.equal(own.dependencies, undefined);
  for (const hook of ['preinstall', 'install', 'postinstall']) assert.equal(own.scripts[hook], undefined);
  const addresses = Object.values(own.exports).flatMap((each) => (typeof each === 'string' ? each : Object.values(each)));
  const missing = addresses.filter((path) => !path.includes('*') && !packed.includes(path.slice(2)));
  assert.deepEqual(missing, []);
});

test('publint and "are the types wrong" find nothing', async () => {
  const { messages } = await publint({ pkgDir: join(project.folder, 'node_modules/cxrlens'), pack: false, strict: true });
  assert.deepEqual(messages, []);
  // The package is of ES modules only, and says so.
  const { status, stdout, stderr } = run('.', tool('attw'), project.tarball, '--profile', 'esm-only', '--format', 'json');
  const { analysis, problems } = JSON.parse(stdout);
  assert.equal(status, 0, JSON.stringify(problems) + stderr);
  assert.ok(Object.keys(analysis.entrypoints).length >= 6);
});

const CONSUMER = `
import { createClassifier, CxrError, type Result } from 'cxrlens';
import { toFhir } from 'cxrlens/fhir';

const cxr = await createClassifier({ workers: 1, onProgress: ({ loaded }) => loaded.toFixed() });
const result: Result = await cxr.classify(new Uint8Array(8), { maps: true, signal: AbortSignal.timeout(9) });
const verdict: string = result.verdict;
const first: Float32Array | undefined = result.maps?.opacities.values;
const bundle: Record<string, any> = toFhir(result, { patient: 'Patient/1' });
if (new Error() instanceof CxrError) throw verdict;
console.log(first?.length, bundle.type, cxr.info.model.classes);
cxr.dispose();
// @ts-expect-error: there is no such option
await createClassifier({ wasmURL: '' });
// @ts-expect-error: results are frozen
result.classes[0].probability = 1;
`;
const BROWSER_CONSUMER = `
import { CxrLens } from 'cxrlens/define';
import { embed } from 'cxrlens/embed';

const lens: CxrLens = document.createElement('cxr-lens');
lens.doubtThreshold = 0.5;
const { verdict } = await lens.classify(new Blob(), { signal: AbortSignal.timeout(9) });
lens.addEventListener('cxr-progress', ({ detail }) => detail.left?.toFixed());
lens.addEventListener('drop', (event) => event.dataTransfer?.files);
document.querySelector('cxr-lens')?.addEventListener('cxr-ready', ({ detail }) => detail.model.sha256.length);
document.addEventListener('cxr-error', ({ detail: { error, file } }) => console.log(file ?? 'the model', error.code));
const frame = await embed(document.body, 'https://lens.example/embed.html', { theme: 'dark' });
frame.addEventListener('cxr-result', ({ detail: { result, file } }) => console.log(file, result.findings.length));
frame.addEventListener('anything', (event: Event) => event.type);
const answer: string = (await frame.classify(new Blob())).verdict;
console.log(answer, frame.info?.model.id, frame.info?.workers);
// @ts-expect-error: no such theme
await frame.configure({ theme: verdict });
// @ts-expect-error: the detail has no such field
lens.addEventListener('cxr-result', ({ detail }) => detail.answer);
// @ts-expect-error: nor in the frame
frame.addEventListener('cxr-result', ({ detail }) => detail.answer);
`;
const REACT_CONSUMER = `
import 'cxrlens/react';

export const seen = <cxr-lens multiple doubtThreshold={0.9} className="lens" oncxr-result={({ detail }) => detail.verdict.length} />;
// @ts-expect-error: a threshold is a number
export const wrong = <cxr-lens doubtThreshold="0.9" />;
`;

for (const [place, module, resolution] of [
  ['a bundler', 'ESNext', 'bundler'],
  ['Node', 'NodeNext', 'NodeNext'],
]) {
  test(`a consumer in TypeScript compiles as ${place} resolves, the declarations checked too`, () => {
    const folder = join(project.folder, `types-${resolution}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'core.ts'), CONSUMER);
    writeFileSync(join(folder, 'browser.ts'), BROWSER_CONSUMER);
    writeFileSync(join(folder, 'react.tsx'), REACT_CONSUMER);
    const compilerOptions = {
      target: 'ES2022',
      module,
      moduleResolution: resolution,
      lib: ['ES2022', 'DOM', 'DOM.Iterable'],
      types: [],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      jsx: 'react-jsx',
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['core.ts', 'browser.ts', 'react.tsx'] }));
    mustRun(folder, tool('tsc'), '-p', '.');
    writeFileSync(join(folder, 'core.ts'), CONSUMER.replace('const verdict: string', 'const verdict: number'));
    assert.notEqual(run(folder, tool('tsc'), '-p', '.').status, 0, 'a wrong type is found');
  });
}

test('for servers: the example for Next.js keeps to the declarations; the element imports without a DOM', () => {
  const { folder } = project;
  const source = join(folder, 'next');
  cpSync(join(folder, 'node_modules/cxrlens/build/web/examples/next'), source, { recursive: true });
  const compilerOptions = {
    target: 'ES2022',
    module: 'ESNext',
    moduleResolution: 'bundler',
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    types: [],
    strict: true,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    jsx: 'react-jsx',
    skipLibCheck: true, // the test above checks them
  };
  writeFileSync(join(source, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['app'] }));
  mustRun(source, tool('tsc'), '-p', '.');
  const names = ['element', 'define', 'react', 'cornerstone', 'dicomweb', 'fhir'];
  const script = `for (const name of ${JSON.stringify(names)}) await import('cxrlens/' + name); console.log(typeof document);`;
  assert.equal(mustRun(folder, process.execPath, '--input-type=module', '-e', script), 'undefined\n');
});

test('the example for Node writes a Bundle per image, and says what it could not read', () => {
  const { folder } = project;
  copyFileSync(join(folder, 'node_modules/cxrlens/build/web/examples/node.js'), join(folder, 'node.js'));
  copyFileSync('tests/golden/images/noise.png', join(folder, 'noise.png'));
  const { status, stdout, stderr } = run(folder, process.execPath, 'node.js', 'phantom.png', 'package.json', 'noise.png');
  assert.equal(status, 1, stderr);
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).resourceType),
    ['Bundle', 'Bundle'],
  );
  assert.match(stderr, /^package\.json: .*\[image-format\]\n$/);
});

test('in Node the same bits as from the build, in a worker and without one', () => {
  const { folder } = project;
  writeFileSync(
    join(folder, 'both.js'),
    `
    import { createClassifier } from 'cxrlens';
    import { readFileSync } from 'node:fs';
    const all = [];
    for (const workers of [0, 1]) {
      const cxr = await createClassifier({ workers });
      const { classes, gate, verdict } = await cxr.classify(readFileSync('phantom.png'));
      all.push(JSON.stringify({ classes, gate, verdict }));
      cxr.dispose();
    }
    console.log(all[0]);
    process.exitCode = all[0] === all[1] ? 0 : 1;`,
  );
  const here = mustRun(folder, process.execPath, 'both.js');
  writeFileSync(
    join(folder, 'build.js'),
    readFileSync(join(folder, 'both.js'), 'utf8').replace("'cxrlens'", JSON.stringify(resolve('build/web/classifier.js'))),
  );
  assert.equal(here, mustRun(folder, process.execPath, 'build.js'));
});

test('the commands run', () => {
  const command = (/** @type {string} */ name, /** @type {string[]} */ ...args) =>
    run(project.folder, join(project.folder, 'node_modules/.bin', name), ...args);
  assert.match(command('cxrlens-fhir', '--help').stdout, /^Usage/);
  const { stdout, stderr } = command('cxrlens-dicom', 'phantom.png');
  assert.equal(JSON.parse(stdout).file, 'phantom.png', stderr);
});
