/** The portal guide matches the code: it has every public name, and no other. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const guide = readFileSync('web/README.md', 'utf8');
const source = (/** @type {string} */ name) => readFileSync(`web/${name}`, 'utf8');
/** The element as custom-elements.json describes it to editors; made of the JSDoc. */
const [{ declarations }] = JSON.parse(readFileSync('build/web/custom-elements.json', 'utf8')).modules;
/** @param {'attributes' | 'events' | 'cssParts' | 'slots' | 'cssProperties'} kind @returns {string[]} */
const described = (kind) => set(declarations[0][kind].map((/** @type {{ name: string }} */ { name }) => name));
const all = [
  '',
  ...readdirSync('web', { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .map(({ name }) => `${name}/`),
]
  .flatMap((folder) =>
    readdirSync(`web/${folder}`)
      .filter((name) => name.endsWith('.js'))
      .map((name) => source(folder + name)),
  )
  .join('\n');

/** Sorted, each once. @param {Iterable<string>} names */
const set = (names) => [...new Set(names)].sort();
/** @param {string} text @param {RegExp} pattern with one group */
const found = (text, pattern) => set([...text.matchAll(pattern)].map((match) => match[1]));
/** The guide from one phrase to another. @param {string} from @param {string} to */
const part = (from, to) => guide.slice(guide.indexOf(from), guide.indexOf(to, guide.indexOf(from)));

test('attributes: the guide, the manifest and the code name the same', () => {
  const arrays = [...source('element.js').matchAll(/const (?:SOURCES|LOOKS) = \[(.*?)\]|observedAttributes = \[(.*?)\]/g)]
    .map(([whole]) => whole)
    .join();
  const read = found(source('element/attributes.js'), /this\.(?:get|has)Attribute\('([a-z-]+)'/g);
  assert.deepEqual(described('attributes'), set([...found(arrays, /'([a-z-]+)'/g), ...read]));
  assert.deepEqual(found(part('| attribute', 'Properties only'), /^\| `([a-z-]+)` \|/gm), described('attributes'));
});

test('events: the same', () => {
  const events = found(source('element.js') + source('element/study.js'), /emit\('(cxr-[a-z]+)'/g);
  assert.deepEqual(described('events'), events);
  assert.deepEqual(found(part('| event |', 'A [result]'), /^\| `(cxr-[a-z]+)`/gm), events);
  assert.deepEqual(found(source('types.d.ts'), /'(cxr-[a-z]+)': CustomEvent/g), events);
});

test('parts, slots, custom properties: the same', () => {
  const parts = found(all, /part: ['`]([^'`]+)['`]/g)
    .concat(['button'])
    .flatMap((names) => names.replace('${id}', '<class>').split(' '));
  assert.deepEqual(described('cssParts'), set(parts));
  assert.deepEqual(found(part('Parts for', 'Custom properties'), /`([a-z<>-]+)`/g), set(parts));
  assert.deepEqual(described('slots'), found(all, /h\('slot', \{ name: '([a-z]+)'/g));
  assert.deepEqual(found(part('Slots:', 'Parts for'), /`([a-z]+)`/g), described('slots'));
  assert.deepEqual(described('cssProperties'), found(source('element/styles.css'), /var\((--cxr-[a-z-]+)/g));
  assert.deepEqual(found(part('Custom properties:', 'All elements'), /`(--cxr-[a-z-]+)`/g), described('cssProperties'));
});

test('settings and messages of the frame', () => {
  const embed = source('embed.js');
  const settings = found(embed.slice(embed.indexOf('const SETTINGS'), embed.indexOf('/** All or nothing')), /^ {2}(\w+): \[/gm);
  assert.deepEqual(
    found(part('Settings, for', '`embed` also').replace(/\(.*?\)/gs, ''), /`([a-z][a-zA-Z]+)`/g).filter(
      (name) => !['embed', 'configure'].includes(name),
    ),
    settings,
  );
  const handlers = found(
    embed.slice(embed.indexOf('const HANDLERS'), embed.indexOf('/** @param {Record<string, any>} payload')),
    /^ {2}'([a-z.]+)':/gm,
  );
  assert.deepEqual(found(part('| `messageType`', 'The answer to a request that fails'), /^\| `([a-z]+\.[a-z]+)`/gm), handlers);
  assert.ok(guide.includes(`### The protocol, version ${embed.match(/PROTOCOL = (\d+)/)?.[1]}`));
});

test('error codes', () => {
  const platform = source('engine/platform.js');
  const types = platform.slice(platform.indexOf('@typedef'), platform.indexOf('EngineCode'));
  const codes = set([
    ...found(types, /'([a-z-]+)'/g),
    ...found(source('embed.js') + source('cxrlens-embed.js'), /failure\('([a-z-]+)'/g),
    ...found(source('element.js') + source('element/session.js'), /code: '([a-z-]+)'/g),
    ...found(source('bin/cxrlens-dicom.js'), /(?:failed\(|code = )'([a-z-]+)'/g),
  ]);
  assert.ok(guide.includes('`dicom-…`') && all.includes("'dicom-format'"), 'as a group');
  assert.deepEqual(found(part('| `code` |', 'Refusals').replace(/\| `code` \|/, ''), /`([a-z-]+)`/g), codes);
});

test('error codes of the PACS', () => {
  const codes = found(source('dicomweb/error.js'), /^ {2}'(pacs-[a-z-]+)':/gm);
  assert.ok(codes.length > 10);
  assert.deepEqual(found(part('| code of the PACS |', '**FHIR'), /`([a-z-]+)`/g), codes);
});

test('links lead somewhere, and the policy is the one that is tested', () => {
  const anchors = found(guide, /^#+ (.+)$/gm).map(
    (title) =>
      `#${title
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replace(/ /g, '-')}`,
  );
  for (const target of found(guide, /\]\(([^)]+)\)/g))
    assert.ok(target.startsWith('#') ? anchors.includes(target) : existsSync(`web/${target}`), target);
  const policy = guide.match(/^Content-Security-Policy: (default-src .*)$/m)?.[1];
  assert.ok(policy && readFileSync('tests/web/frame/portals.js', 'utf8').includes(`"${policy}"`));
});

test('the changelog names the model that ships', () => {
  const bytes = readFileSync('model/cxrlens.cxrm');
  const digest = createHash('sha256').update(bytes).digest('hex');
  /** The value of a metadata entry (src/README.md). @param {string} key */
  const text = (key) => {
    const at = bytes.indexOf(key),
      start = at + Math.ceil(key.length / 4) * 4;
    return bytes.toString('latin1', start, start + bytes.readUInt32LE(at - 4));
  };
  assert.ok(
    readFileSync('CHANGELOG.md', 'utf8').includes(`\`${text('model.id')}\` ${text('model.version')}, SHA-256 ${digest.slice(0, 16)}`),
  );
});
