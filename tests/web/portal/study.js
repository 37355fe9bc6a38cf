// study.js - a study for the PACS: the synthetic radiographs of web/samples/, as DICOM files. No patient's image is ever part of
// the repository.
import { readFileSync } from 'node:fs';
import { dicomFile, encapsulated, radiograph } from '../dicom/write.js';

export const STUDY = '2.25.20261124';
const JPEG_BASELINE = '1.2.840.10008.1.2.4.50';
const CR_STORAGE = '1.2.840.10008.5.1.4.1.1.1';
const SAMPLES = ['synthetic-covid-19-1', 'synthetic-lung-opacity-1', 'synthetic-normal-1', 'synthetic-viral-pneumonia-1'];

/** Width and height of a baseline JPEG, from its frame header. @param {Buffer} jpeg */
function sizeOf(jpeg) {
  let at = 2;
  while (jpeg[at + 1] !== 0xc0) at += 2 + jpeg.readUInt16BE(at + 2);
  return { height: jpeg.readUInt16BE(at + 5), width: jpeg.readUInt16BE(at + 7) };
}

/** One sample as DICOM; its instance is number k + 1 of the study. @param {number} k @param {string} [view] */
export function sampleDicom(k, view = 'PA') {
  const jpeg = readFileSync(new URL(`../../../web/samples/${SAMPLES[k % SAMPLES.length]}.jpg`, import.meta.url));
  const elements = radiograph(
    { ...sizeOf(jpeg), pixels: new Uint8Array() },
    {
      '00080016': ['UI', CR_STORAGE],
      '00080018': ['UI', `${STUDY}.1.${k + 1}`],
      '00080020': ['DA', '20261124'],
      '00080060': ['CS', 'CR'],
      '00100010': ['PN', 'Synthetic^Sample'],
      '00100020': ['LO', 'S-1'],
      '00185101': ['CS', view],
      '0020000d': ['UI', STUDY],
      '0020000e': ['UI', `${STUDY}.1`],
      '00200010': ['SH', '1'],
      '00200011': ['IS', '1'],
      '00200013': ['IS', String(k + 1)],
      '7fe00010': null,
    },
  );
  return dicomFile(elements, {
    syntax: JPEG_BASELINE,
    tail: encapsulated([jpeg.length % 2 ? Buffer.concat([jpeg, Buffer.alloc(1)]) : jpeg]),
  });
}

/** Three frontal images and a lateral one, and a CT slice that is none of our business. */
export const study = () => [
  sampleDicom(0),
  sampleDicom(1),
  sampleDicom(2, 'LL'),
  sampleDicom(3, 'AP'),
  dicomFile(
    radiograph(
      { width: 16, height: 16, pixels: new Uint8Array(256) },
      {
        '00080016': ['UI', '1.2.840.10008.5.1.4.1.1.2'],
        '00080018': ['UI', `${STUDY}.2.1`],
        '00080060': ['CS', 'CT'],
        '00100010': ['PN', 'Synthetic^Sample'],
        '00100020': ['LO', 'S-1'],
        '00185101': null,
        '0020000d': ['UI', STUDY],
        '0020000e': ['UI', `${STUDY}.2`],
        '00200011': ['IS', '2'],
        '00200013': ['IS', '1'],
      },
    ),
  ),
];
