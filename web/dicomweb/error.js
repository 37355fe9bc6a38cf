// error.js - the one error of the DICOMweb client: a stable code for programs, a sentence in English on what to do.

/**
 * @typedef {keyof typeof SENTENCES} DicomWebCode
 * @typedef {{ instanceUid: string, reason: number }} Refused an object that the PACS did not store; reason: (0008,1197)
 */

const SENTENCES = {
  aborted: 'The request was cancelled.',
  'pacs-address': 'This is not the address of a study. Write dicomweb:https://pacs.example/dicom-web/studies/1.2.3, without a query.',
  'pacs-login': 'The PACS asks for a login. Sign in again, or set a fetch that sends a valid token.',
  'pacs-forbidden': 'The PACS does not allow this. Ask its administrator for the right to read this study, or to store in it.',
  'pacs-not-found': 'The PACS does not have this study or image. Check the address and the UIDs.',
  'pacs-conflict':
    'The PACS refused to store the objects. It may hold them already, or they do not fit the study: `failed` lists them with the reason.',
  'pacs-partial': 'The PACS did not store all objects. Send those listed in `failed` again, or ask its administrator about the reason.',
  'pacs-network':
    'The PACS cannot be reached from this page. Check the connection; then check that its CORS settings allow the origin of this page, and the headers Authorization, Accept and Content-Type.',
  'pacs-redirect':
    'The PACS redirects to another address. Redirects are not followed, so that no credential reaches another server: give the final address.',
  'pacs-type':
    'The PACS did not send the requested DICOM. Check that the address is a DICOMweb service and not a page, such as a login page.',
  'pacs-corrupt': 'The response of the PACS is damaged or cut off. Try again; if that does not help, tell its administrator.',
  'pacs-size': 'The response of the PACS is larger than the limit. Raise `limits.bytes` if such large images are expected.',
  'pacs-timeout': 'The PACS was too slow. Try again; on a slow connection raise `limits.seconds`.',
  'pacs-status': 'The PACS could not answer. Try again later; if that does not help, tell its administrator.',
  'pacs-empty': 'The study has no frontal radiograph (modality CR or DX). Check that this is the right study.',
};

/** Why the PACS did not do what was asked. `code` is for programs, `message` says what to do. It never holds a credential. */
export class DicomWebError extends Error {
  /**
   * @param {DicomWebCode} code
   * @param {{ status?: number, detail?: string, failed?: Refused[], cause?: unknown }} [more]
   */
  constructor(code, { status, detail, failed, cause } = {}) {
    const facts = [status && `status ${status}`, detail].filter(Boolean).join(', ');
    super(SENTENCES[code] + (facts && ` (${facts})`), { cause });
    this.name = 'DicomWebError';
    this.code = code;
    /** HTTP status, if there was an answer. */
    this.status = status ?? null;
    /** Objects that were not stored. */
    this.failed = failed ?? [];
  }
}
