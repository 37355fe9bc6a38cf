#!/usr/bin/env node
// cxrlens-dicom - the command for DICOM files and folders of them. It is in the npm package, because the reader is
// JavaScript that pages use too; a second reader in C could read the same file differently. Prints one JSON object
// per input in the schema cxrlens.result/2, as `cxrlens classify --format json` does; PNG and JPEG are read as well.
import { lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createClassifier } from '../../build/web/classifier.js';
import { identityOf } from '../../build/web/dicom.js';
import { toDicomSr } from '../../build/web/dicom-sr.js';
import { runCommand } from './command.js';

const USAGE = `Usage: cxrlens-dicom [--frame N] [--window N] [--sr FOLDER] [--workers N] FILE|FOLDER...

  --frame N      of files with many, from 1 (the first)
  --window N     of files with several, from 1 (the first)
  --sr FOLDER    also writes each answer as a DICOM Structured Report, named by the image's UID, of its patient and study
  --workers N    how many at a time; default: as many as cores, at most 4

For research and education only: not a medical device.
Exit status: 0 all were read, 1 some were not or a report could not be made, 2 nothing was done: wrong usage, or it could not start.
`;

/** @typedef {{ path: string, found: boolean }} Input found: in a folder, and so not asked for by name */

/**
 * The files of a folder and below, by name; hidden entries and links to folders are left out. A folder that can't be listed
 * stays as it is: reading it says why.
 * @param {string} path
 * @returns {Input[]}
 */
function walk(path) {
  let names;
  try {
    names = readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch {
    return [{ path, found: false }];
  }
  return names.flatMap((name) => {
    const entry = join(path, name);
    if (isFolder(entry, lstatSync)) return walk(entry);
    return isFolder(entry) ? [] : [{ path: entry, found: true }];
  });
}

/** A path whose type cannot be read counts as a file; reading it then gives the error. @param {string} path @param {typeof statSync | typeof lstatSync} [stat] */
function isFolder(path, stat = statSync) {
  try {
    return /** @type {import('node:fs').Stats} */ (stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** @param {string} path @returns {Input[]} */
const inputsOf = (path) => (isFolder(path) ? walk(path) : [{ path, found: false }]);

/** Error codes of files that are not images, such as notes in a folder of images, unless their names end like an image's. */
const PASSED_OVER = { 'image-format': 'neither DICOM nor an image', 'image-empty': 'empty', 'dicom-directory': 'a DICOMDIR' };
const IMAGE_NAME = /\.(png|jpe?g|jpe|jfif|dcm)$/i;

/** @param {number|undefined} value @param {string} name @param {number} least */
function checked(value, name, least) {
  if (value !== undefined && !(Number.isInteger(value) && value >= least)) throw new Error(`--${name} is not a number from ${least}.`);
  return value;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      frame: { type: 'string' },
      window: { type: 'string' },
      sr: { type: 'string' },
      workers: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const number = (/** @type {'frame'|'window'|'workers'} */ name, least = 1) =>
    checked(values[name] === undefined ? undefined : Number(values[name]), name, least);
  const [frame = 1, window] = [number('frame'), number('window')];
  if (!values.help && positionals.length === 0) throw new Error('No files are named.');
  return {
    help: values.help,
    sr: values.sr,
    workers: number('workers', 0),
    paths: positionals,
    dicom: { frame: frame - 1, window: window && window - 1 },
  };
}

/**
 * @param {Awaited<ReturnType<typeof createClassifier>>} cxr
 * @param {string} path
 * @param {ReturnType<typeof readArguments>} options
 * @returns {Promise<{ line: any, failed: boolean }>} line: of the output
 */
async function answerTo(cxr, path, { dicom, sr }) {
  const failed = (/** @type {string} */ code, /** @type {string} */ message) => ({
    line: { schema: 'cxrlens.result/2', file: path, error: { code, message } },
    failed: true,
  });
  let bytes;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return failed('file-unreadable', `The file cannot be read: ${/** @type {Error} */ (error).message}.`);
  }
  try {
    const line = await cxr.classify(bytes, { file: path, dicom });
    return { line, failed: sr !== undefined && !(await writeReport(sr, line, bytes)) };
  } catch (error) {
    const { code = 'unknown', message } = /** @type {any} */ (error);
    return failed(code, message);
  }
}

/**
 * A report that an archive files beside the image: it names patient and study as the image does.
 * @param {string} folder
 * @param {import('../../build/web/classifier.js').Result} result
 * @param {Uint8Array} image
 * @returns {Promise<boolean>} whether it was written
 */
async function writeReport(folder, result, image) {
  try {
    const identity = result.dicom && (await identityOf(image));
    const report = toDicomSr(result, { ...identity, date: new Date() });
    writeFileSync(join(folder, `${result.dicom?.instanceUid}.sr.dcm`), report);
    return true;
  } catch (error) {
    process.stderr.write(`cxrlens-dicom: no report of ${result.file}: ${/** @type {Error} */ (error).message}\n`);
    return false;
  }
}

/** @returns {Promise<number>} the exit status */
async function main() {
  let options;
  try {
    options = readArguments();
    if (options.sr) mkdirSync(options.sr, { recursive: true });
  } catch (error) {
    throw new Error(`${/** @type {Error} */ (error).message}\n${USAGE.trimEnd()}`);
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const inputs = options.paths.flatMap(inputsOf);
  const cxr = await createClassifier({ workers: options.workers });
  // As many are read ahead as there are workers: a folder may be larger than the memory.
  const ahead = Math.max(cxr.info.workers, 1);
  const answers = inputs.slice(0, ahead).map(({ path }) => answerTo(cxr, path, options));
  let failures = 0;
  for (const [i, { path, found }] of inputs.entries()) {
    const { line, failed } = await answers[i];
    delete answers[i];
    if (inputs[i + ahead]) answers[i + ahead] = answerTo(cxr, inputs[i + ahead].path, options);
    const passed = found && !IMAGE_NAME.test(path) && PASSED_OVER[/** @type {keyof typeof PASSED_OVER} */ (line.error?.code)];
    if (passed) process.stderr.write(`cxrlens-dicom: skipped ${path}: ${passed}\n`);
    else process.stdout.write(`${JSON.stringify(line)}\n`);
    if (failed && !passed) failures++;
  }
  cxr.dispose();
  return failures > 0 ? 1 : 0;
}

runCommand('cxrlens-dicom', main);
