/**
 * Writes the release's bill of materials (CycloneDX): `npm sbom … | node web/server/sbom.js STB EMSCRIPTEN`, two versions.
 *
 * npm lists development packages only, since the package has no dependencies. This keeps those that the scripts import, which are
 * bundled, and adds what is compiled into the WebAssembly modules. It removes time and serial number, so that two runs give the
 * same bytes.
 */
import { readdirSync, readFileSync } from 'node:fs';

const [stb, emscripten] = process.argv.slice(2);
const bom = JSON.parse(readFileSync(0, 'utf8'));
const { version } = bom.metadata.component;

const folder = new URL('../dicom/', import.meta.url);
const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
const imports = sources.flatMap((name) => [
  ...readFileSync(new URL(name, folder), 'utf8').matchAll(/from '(@[^/']+\/[^/']+|[a-z][^/']*)/g),
]);
const bundled = new Set(imports.map(([, name]) => name));

/** @param {string} name @param {string} version @param {string} expression */
const compiled = (name, version, expression) => ({
  'bom-ref': `${name}@${version}`,
  type: 'library',
  name,
  version,
  scope: 'required',
  purl: `pkg:generic/${name}@${version}`,
  licenses: [{ expression }],
});
const components = [
  ...bom.components
    .filter((/** @type {{ name: string }} */ { name }) => bundled.has(name))
    .map((/** @type {any} */ component) => ({ ...component, scope: 'required', properties: [] })),
  compiled('stb_image', stb, 'MIT OR Unlicense'),
  compiled('emscripten', emscripten, 'MIT OR NCSA'), // its C library
];
const main = `cxrlens@${version}`;
const { serialNumber, metadata, ...rest } = bom;
const { timestamp, ...kept } = metadata;
const result = {
  ...rest,
  metadata: { ...kept, component: { ...metadata.component, name: 'cxrlens' } },
  components,
  dependencies: [
    { ref: main, dependsOn: components.map((each) => each['bom-ref']) },
    ...components.map((each) => ({ ref: each['bom-ref'], dependsOn: [] })),
  ],
};
if (components.length !== bundled.size + 2 || !stb || !emscripten) throw new Error(`Missing among ${[...bundled]}, stb_image, emscripten.`);
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
