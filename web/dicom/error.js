// error.js - the one error of the DICOM reader. A file of its own, so that the lazily loaded codecs
// and the reader share one class.

/**
 * @typedef {'dicom-format'|'dicom-truncated'|'dicom-corrupt'|'dicom-syntax'|'dicom-unsupported'|'dicom-no-image'
 *   |'dicom-directory'|'dicom-frame'|'dicom-codec'|'unreadable'|'worker-failed'|'image-file-size'|'image-side'|'image-pixels'
 *   |import('./findings.js').FindingCode} DicomCode
 *
 * dicom-format: not DICOM at all. dicom-truncated: the file ends too early. dicom-corrupt: it contradicts itself.
 * dicom-syntax: a transfer syntax that is not read; the message has its name. dicom-unsupported: another
 * variant that is not read. dicom-no-image: DICOM without a picture (a report, a PDF). dicom-directory: a DICOMDIR.
 * dicom-frame: no such frame or window. dicom-codec: the decoder could not be loaded. unreadable: the file went
 * away. worker-failed: the thread that read it ended. The image-* codes are the engine's; those of findings say which tag speaks against a frontal chest radiograph.
 */

/** A DICOM file that can not be read, and why. `code` is for programs, `message` a sentence in English. */
export class DicomError extends Error {
  /**
   * @param {DicomCode} code
   * @param {string} message
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = 'DicomError';
    this.code = code;
  }
}
