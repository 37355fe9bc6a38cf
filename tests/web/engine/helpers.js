// helpers.js - what the tests of the JavaScript core share: where things are, and pictures made here.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { png, pngOf } from '../../png.js';

export { pickBuild, probes } from '../../../web/engine/loader.js';
export { createHost, Engine } from '../../../web/engine/wasm.js';

/** @param {string} path from the repository's root */
export const at = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

export const web = at('build/web/');
export const builds = /** @type {const} */ (['scalar', 'simd', 'relaxed']);
export const classIds = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];

/** The core as it is published. */
export const { createClassifier, CxrError } = await import('../../../build/web/classifier.js');
/** What the build gave it to check by. @type {Record<string, string>} */
export const digests = JSON.parse(readFileSync(at('build/obj/web/sha256.json'), 'utf8'));

export const modelBytes = () => readFileSync(`${web}cxrlens.cxrm`);

/** @param {'scalar'|'simd'|'relaxed'} build */
export const moduleBytes = (build) => readFileSync(`${web}cxrlens-${build}.wasm`);

/** Names of the generated pictures. */
export const goldenNames = () => readdirSync(at('tests/golden/images')).sort();

/** @param {string} name */
export const golden = (name) => readFileSync(at(`tests/golden/images/${name}`));

/** Real radiographs, where somebody keeps some; they are not ours to publish. */
export function realImages() {
  const folder = at('../shared/data/crd/COVID/images');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /\.(png|jpe?g)$/i.test(name))
    .slice(0, 3)
    .map((name) => `${folder}/${name}`);
}

/** A large RGB picture, quickly. @param {number} width @param {number} height */
export const blackPng = (width, height) =>
  pngOf(width, height, deflateSync(Buffer.alloc(height * (1 + width * 3)), { level: 1 }), { channels: 3 });

/** A number from 0 to 1 for each place, always the same. @param {number} x @param {number} y @param {number} seed */
export function noise(x, y, seed = 0) {
  let h = Math.imul(x + 0x9e37, 0x85ebca6b) ^ Math.imul(y + seed * 977 + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return ((h ^ (h >>> 13)) >>> 0) / 2 ** 32;
}

/** A gray picture of its own for each seed. @param {number} seed @param {number} [side] */
export const grayPicture = (seed, side = 64) => png(side, side, (x, y) => 128 + 90 * Math.sin(x / 9 + seed) + 30 * noise(x, y, seed));

/** What must be the same to the last bit, wherever it was computed. @param {any} result */
export const bitsOf = ({ image, frame, verdict, classes, gate, opacity, findings, warnings, maps }) =>
  JSON.stringify({
    image,
    frame,
    verdict,
    classes,
    gate,
    opacity,
    findings,
    warnings,
    maps: maps && plainMaps(maps),
  });

/** Maps as JSON has them. @param {any} maps */
export const plainMaps = ({ lungs, opacities }) => ({
  lungs: { ...lungs, values: Array.from(lungs.values) },
  opacities: { ...opacities, values: Array.from(opacities.values) },
});

/**
 * An assertion for assert.rejects.
 * @param {string} code
 * @param {object} [more]
 */
export const failsWith =
  (code, more = {}) =>
  (/** @type {any} */ error) => {
    if (!(error instanceof CxrError)) throw error;
    if (error.code !== code) throw new Error(`code is ${error.code}, not ${code}: ${error.message}`);
    for (const [key, value] of Object.entries(more)) {
      const got = /** @type {any} */ (error)[key];
      if (got !== value) throw new Error(`${key} is ${got}`);
    }
    return typeof error.message === 'string' && /^[A-Z`].*\.$/s.test(error.message);
  };
