// samples.test.js - files of public test collections (pydicom, dicom-test-files, cornerstone): each one opens
// with the pixels that pydicom and GDCM store, or is refused by name. DICOM_SAMPLES is their folder, with a
// manifest.csv.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDicom, refusal } from './module.js';

const folder = process.env.DICOM_SAMPLES ?? fileURLToPath(new URL('../../../../shared/data/dicom/', import.meta.url));

/** Refusals that are right, by the end of the file's name. */
const REFUSED = {
  'meta_missing_tsyntax.dcm': ['dicom-corrupt', /Bits Allocated/], // has no image description at all
  'nested_priv_SQ.dcm': ['dicom-corrupt', /Bits Allocated/],
  'rtdose_expb.dcm': ['dicom-unsupported', /32 bits/],
  'rtdose_rle.dcm': ['dicom-unsupported', /32 bits/],
  'liver_nonbyte_aligned_j2k.dcm': ['dicom-unsupported', /1 bits/],
  'liver_nonbyte_aligned_deflate.dcm': ['dicom-syntax', /Deflated Image Frame/],
  'liver_deflate.dcm': ['dicom-syntax', /Deflated Image Frame/],
  '1.2.840.10008.1.2.4.53.dcm': ['dicom-syntax', /JPEG Spectral Selection/],
  '1.2.840.10008.1.2.4.55.dcm': ['dicom-syntax', /JPEG Full Progression/],
};

/** Stored pixels of which we know better than the oracle, with the reason. @type {Record<string, string>} */
const OTHERWISE = {
  // Bytes in OW words swap in big endian (PS3.5 8.1.1): only then is each row of this picture of one colour.
  'SC_rgb_small_odd_big_endian.dcm': 'ef2df252',
};

/** @param {string} text @returns {Record<string, string>[]} */
function readCsv(text) {
  const [head, ...rows] = text
    .trim()
    .split(/\r?\n/)
    .map((line) => [...line.matchAll(/(?:^|,)(?:"([^"]*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted ?? plain));
  return rows.map((row) => Object.fromEntries(head.map((name, i) => [name, row[i]])));
}

/**
 * SHA-256 of all frames' stored pixels; the oracle masks what a lossy decoder overshoots, and so is that done here.
 * @param {Uint8Array} bytes
 */
async function storedHash(bytes) {
  const dicom = await openDicom(bytes);
  const hash = createHash('sha256');
  for (let i = 0; i < dicom.frames; i++) {
    const { data, precision = 0 } = await dicom.stored(i);
    const mask = 2 ** dicom.layout.stored - 1;
    const masked = precision > dicom.layout.stored ? data.map((/** @type {number} */ v) => v & mask) : data;
    hash.update(new Uint8Array(masked.buffer, masked.byteOffset, masked.byteLength));
  }
  return hash.digest('hex');
}

const present = existsSync(join(folder, 'manifest.csv'));
const manifest = present ? readCsv(readFileSync(join(folder, 'manifest.csv'), 'utf8')) : [];

test('the sample files', { skip: present ? false : `no manifest.csv in ${folder}: set DICOM_SAMPLES to test these files` }, async (t) => {
  for (const file of new Set(manifest.map((row) => row.file))) {
    await t.test(file, async () => {
      const bytes = readFileSync(join(folder, file));
      const refused = Object.entries(REFUSED).find(([end]) => file.endsWith(end))?.[1];
      const answer = await refusal(bytes);
      if (refused) {
        assert.equal(answer?.code, refused[0]);
        return assert.match(answer.message, /** @type {RegExp} */ (refused[1]));
      }
      assert.equal(answer, null);
      const hash = await storedHash(bytes);
      const otherwise = Object.entries(OTHERWISE).find(([end]) => file.endsWith(end))?.[1];
      if (otherwise) return assert.ok(hash.startsWith(otherwise), hash);
      // One name stands there twice: two collections have files of the same name.
      const expected = manifest
        .filter((row) => row.file === file)
        .map((row) => row.stored_sha256)
        .filter(Boolean);
      return assert.ok(expected.length === 0 || expected.includes(hash), `${hash} instead of ${expected}`);
    });
  }
});
