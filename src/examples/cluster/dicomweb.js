#!/usr/bin/env node
// dicomweb.js - for images in a PACS: lists the radiographs of studies, and takes the place of the command in partition.py.
//
//     dicomweb.js list <STUDIES >LIST                       a study's address a line becomes its images' addresses
//     partition.py LIST OUT --command ./dicomweb.js …       the rest as for files
//
// An address is dicomweb:https://pacs.example/dicom-web/studies/1.2.840.1. A token goes into DICOMWEB_TOKEN. Images pass through
// memory only.
import { createInterface } from 'node:readline';
import { createClassifier } from 'cxrlens';
import { DicomWebError, dicomWeb, studyOf } from 'cxrlens/dicomweb';

const { DICOMWEB_TOKEN } = process.env;
/** partition.py gives an image up after a minute. */
const limits = { seconds: 50 };

/** @param {string} root */
const pacsAt = (root) =>
  dicomWeb(root, {
    limits,
    fetch: (url, init) =>
      fetch(url, DICOMWEB_TOKEN ? { ...init, headers: { ...init?.headers, Authorization: `Bearer ${DICOMWEB_TOKEN}` } } : init),
  });

/** @param {string} file @param {any} error */
const failed = (file, { code = 'unknown', message }) => ({ schema: 'cxrlens.result/2', file, error: { code, message } });

/** A study that cannot be listed, or has no radiograph, stays in the list: its line then says why. */
async function list() {
  for await (const line of createInterface({ input: process.stdin })) {
    const address = line.trim();
    if (!address) continue;
    try {
      const { root, ...study } = studyOf(address);
      const images = await pacsAt(root).search(study);
      if (images.length === 0) console.log(address);
      for (const { studyUid, seriesUid, instanceUid } of images)
        console.log(`dicomweb:${root}/studies/${studyUid}/series/${seriesUid}/instances/${instanceUid}`);
    } catch (error) {
      console.error(`${address}: ${/** @type {Error} */ (error).message}`);
      console.log(address);
      process.exitCode = 1;
    }
  }
}

/** @param {string} address @returns {Promise<File>} */
async function retrieved(address) {
  const { root, ...study } = studyOf(address);
  const pacs = pacsAt(root);
  if (study.instanceUid) return pacs.retrieve(/** @type {import('cxrlens/dicomweb').Image} */ (study));
  // Not listed before: the reason that holds now, or that it is no image's address.
  throw new DicomWebError((await pacs.search(study)).length === 0 ? 'pacs-empty' : 'pacs-address');
}

/** @param {string[]} addresses */
async function classify(addresses) {
  const cxr = await createClassifier({ workers: 1 });
  // The next image is on its way while this one is classified.
  const fetching = (/** @type {number} */ at) => {
    const file = at < addresses.length ? retrieved(addresses[at]) : undefined;
    file?.catch(() => {});
    return file;
  };
  let next = fetching(0);
  for (const [at, address] of addresses.entries()) {
    const file = next;
    next = fetching(at + 1);
    try {
      console.log(JSON.stringify({ ...(await cxr.classify(/** @type {File} */ (await file))), file: address }));
    } catch (error) {
      console.log(JSON.stringify(failed(address, error)));
      process.exitCode = 1;
    }
  }
  cxr.dispose();
}

async function info() {
  const cxr = await createClassifier({ workers: 0 });
  console.log(JSON.stringify(cxr.info.model));
  cxr.dispose();
}

const [what, format, kind, ...addresses] = process.argv.slice(2);
try {
  if (what === 'list') await list();
  else if (what === 'info') await info();
  else if (what === 'classify' && format === '--format' && kind === 'json') await classify(addresses);
  else throw new Error('Usage: dicomweb.js list <STUDIES, or info, or classify --format json ADDRESS...');
} catch (error) {
  console.error(`dicomweb.js: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 2;
}
