#!/usr/bin/env node
/**
 * Turns what `cxrlens classify --format json` and `cxrlens-dicom` print into FHIR R4, line by line:
 *
 *   cxrlens classify --format json --maps --heatmap pictures/ image.png | cxrlens-fhir --patient Patient/1 --maps
 *
 * One Bundle per line; for an input that could not be read, an OperationOutcome. Exit status 0 if all were
 * read, 1 if some were not, 2 for usage or a line that is no result.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { toFhir, toOutcome } from '../../build/web/fhir.js';
import { runCommand } from './command.js';

const USAGE = `Usage: cxrlens classify --format json FILE... | cxrlens-fhir [OPTION...]

Writes a FHIR R4 Bundle for each line, or an OperationOutcome where there is no answer.

  --patient REF        whose image it is, such as Patient/1
  --encounter REF      --imaging-study REF      --service-request REF
  --pacs ROOT          the DICOMweb service that holds the study, such as https://pacs.example/dicom-web
  --effective TIME     when the image was taken, a FHIR dateTime
  --issued TIME        when the answer was given, a FHIR instant
  --transaction        Bundles that a server stores, instead of collections
  --maps               attach the maps of cxrlens --maps, and the picture that cxrlens --heatmap wrote
`;

const text = /** @type {const} */ ({ type: 'string' });
const flag = /** @type {const} */ ({ type: 'boolean' });
const OPTIONS = {
  patient: text,
  encounter: text,
  'imaging-study': text,
  'service-request': text,
  pacs: text,
  effective: text,
  issued: text,
  transaction: flag,
  maps: flag,
  help: flag,
};

/** @param {any} values of the command line @returns {import('../../build/web/fhir.js').FhirOptions} */
const optionsFrom = ({ patient, encounter, pacs, effective, issued, transaction, maps, ...rest }) => ({
  patient,
  encounter,
  pacs,
  effective,
  issued,
  imagingStudy: rest['imaging-study'],
  serviceRequest: rest['service-request'],
  maps,
  type: transaction ? 'transaction' : 'collection',
});

/**
 * @param {any} line a result, or why there is none
 * @param {import('../../build/web/fhir.js').FhirOptions} options
 */
function resourceOf(line, options) {
  if (line.error) return toOutcome(line.error, line.file);
  const picture =
    options.maps && line.picture ? { contentType: 'image/png', data: readFileSync(line.picture).toString('base64') } : undefined;
  return toFhir(line, { ...options, picture });
}

function readArguments() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new Error(`${/** @type {Error} */ (error).message}\n\n${USAGE.trimEnd()}`);
  }
}

/** @returns {Promise<number>} the exit status */
async function main() {
  const values = readArguments();
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = optionsFrom(values);
  let status = 0;
  for await (const text of createInterface({ input: process.stdin })) {
    if (text.trim() === '') continue;
    const line = JSON.parse(text);
    if (line?.schema !== 'cxrlens.result/2') throw new Error('A line is no result of cxrlens classify --format json.');
    if (line.error) status = 1;
    process.stdout.write(`${JSON.stringify(resourceOf(line, options))}\n`);
  }
  return status;
}

runCommand('cxrlens-fhir', main);
