/**
 * Who may import whom. Reads folders, not names of files: a new file is in its layer by where it lies. What is in no row
 * here may be imported by nobody else.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

// ---- JavaScript -------------------------------------------------------------------------------------------

/**
 * The layers of web/: its folders (end in /) and the doors (scripts directly in web/). Each may import itself and these,
 * `lazy` ones by import() only, so that they arrive when they are needed. @type {Record<string, { may?: string[], lazy?: string[] }>}
 */
const LAYERS = {
  'app.js': { may: ['define.js', 'page/', 'shared/', 'strings/'], lazy: ['strings/'] },
  'page/': { may: ['shared/', 'strings/'] },
  'embed.js': { may: ['define.js'] },
  'cxrlens.global.js': { may: ['define.js', 'classifier.js', 'fhir.js'] },
  'define.js': { may: ['element.js'] },
  'element.js': { may: ['element/', 'viewer/', 'shared/'], lazy: ['element/', 'export/', 'viewer/'] },
  'element/': { may: ['classifier.js', 'viewer/', 'shared/'], lazy: ['dicomweb.js', 'export/'] },
  'export/': { may: ['viewer/', 'shared/'], lazy: ['dicom.js', 'dicom-sr.js', 'dicom-overlay.js'] },
  'viewer/': { may: ['shared/'], lazy: ['dicom-remote.js'] },
  'classifier.js': { may: ['engine/', 'shared/dicom-sniff.js'] },
  'worker.js': { may: ['engine/'] },
  'engine/': { may: ['shared/dicom-sniff.js', 'shared/image-kind.js', 'shared/sha256.js'], lazy: ['dicom-remote.js'] },
  'dicom-remote.js': { may: ['dicom/'], lazy: ['dicom.js'] },
  'dicom-worker.js': { may: ['dicom.js'] },
  'dicom.js': { may: ['dicom/', 'shared/dicom-sniff.js'] },
  'dicom-sr.js': { may: ['dicom/'] },
  'dicom-overlay.js': { may: ['dicom/', 'shared/'] },
  'dicom/': { may: ['shared/dicom-sniff.js', 'shared/resample.js', 'shared/sha256.js'] },
  'dicomweb.js': { may: ['dicomweb/'] },
  'shared/': { may: ['strings/'], lazy: ['strings/'] },
};

/** @param {string} [folder] @returns {string[]} scripts of web/ that browsers run, the doors first */
const scripts = (folder = '') =>
  readdirSync(join('web', folder), { withFileTypes: true })
    .filter(({ name }) => !(folder === '' && ['bin', 'server', 'examples'].includes(name)))
    .flatMap((each) => (each.isDirectory() ? scripts(`${folder}${each.name}/`) : each.name.endsWith('.js') ? [folder + each.name] : []));

/** @param {string} path without what comments say */
const codeOf = (path) =>
  readFileSync(join('web', path), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '');

const graph = new Map(
  scripts().map((path) => [
    path,
    [...codeOf(path).matchAll(/^\s*(?:import|export)\b(?:[\w\s{},*$]*\bfrom)?\s*'([^']+)'|\bimport\(\s*([^)]*?)\s*\)/gm)]
      .map(([, to, lazy]) => ({ to: to ?? lazy.slice(1, -1), lazy: to === undefined, literal: to !== undefined || /^'[^']+'$/.test(lazy) }))
      .map((each) => ({ ...each, to: each.to.startsWith('.') ? normalize(join(dirname(path), each.to)) : each.to })),
  ]),
);
const layerOf = (/** @type {string} */ path) => path.replace(/\/.*/, '/');

test('web: every import is one that its layer may have, by a name written out', () => {
  for (const [path, imports] of graph)
    for (const { to, lazy, literal } of imports) {
      assert.ok(literal, `${path}: bundlers cannot follow import(${to})`);
      if (!existsSync(join('web', to))) continue;
      const { may = [], lazy: later = [] } = LAYERS[layerOf(path)] ?? {};
      const allowed = [layerOf(path), ...(lazy ? later : may)];
      assert.ok(
        allowed.some((each) => each === to || each === layerOf(to)),
        `${path} may not import ${to}${lazy ? ' lazily' : ''}`,
      );
    }
});

test('web: only a door asks where it lies, and a package is imported by one file of dicom/', () => {
  /** @type {Record<string, string[]>} */
  const packages = {};
  for (const [path, imports] of graph) {
    assert.ok(!path.includes('/') || !codeOf(path).includes('import.meta'), `${path} has its addresses handed in`);
    for (const { to } of imports) if (!existsSync(join('web', to))) (packages[to] ??= []).push(path);
  }
  for (const [name, by] of Object.entries(packages))
    assert.ok(by.length === 1 && by[0].startsWith('dicom/'), `${name} is imported by ${by}`);
});

test('web: no circle of imports', () => {
  const done = new Set();
  /** @param {string} path @param {string[]} trail */
  const visit = (path, trail) => {
    assert.ok(!trail.includes(path), `${[...trail, path].join(' -> ')}`);
    if (done.has(path)) return;
    for (const { to } of graph.get(path) ?? []) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
});
