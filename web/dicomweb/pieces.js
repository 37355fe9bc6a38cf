// pieces.js - bytes that arrive bit by bit, as Blobs: browsers keep those outside the page's memory. Each is copied there while the
// next bytes are on their way; the whole image at its end would hold the page up.

const BLOB_BYTES = 2 ** 20;
/** A DICOM file names its instance within them. */
const HEAD_BYTES = 4096;
const latin1 = new TextDecoder('latin1');

export class Pieces {
  /** The first bytes, one character each. */
  head = '';
  /** @type {Blob[]} */
  #blobs = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #waiting = [];
  #size = 0;

  /** @param {Uint8Array<ArrayBuffer>} bytes that stay as they are */
  add(bytes) {
    if (this.head.length < HEAD_BYTES) this.head += latin1.decode(bytes.subarray(0, HEAD_BYTES));
    this.#waiting.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= BLOB_BYTES) this.#copy();
  }

  /** All of them, in their order. */
  get blobs() {
    this.#copy();
    return this.#blobs;
  }

  #copy() {
    this.#blobs.push(new Blob(this.#waiting));
    this.#waiting = [];
    this.#size = 0;
  }
}
