// wasm.js - drives the engine's module and reads its memory; the only file that knows the module's exports and
// layouts (src/wasm.c asserts them). Runs unchanged in pages, module workers and Node.
import { decodeByBrowser } from './browser-decoder.js';
import { arrived } from '../shared/passage.js';
import { asBytes, asError, checkHash, CxrError, hex, quiet, sha256 } from './platform.js';

/**
 * @typedef {object} Gray16 decoded pixels of one frame, as struct cxr_gray16 describes them
 * @property {Uint16Array} pixels row by row, no gaps; signed values as two's complement
 * @property {number} width
 * @property {number} height
 * @property {number} [bits] bits stored, 1..16 (16); higher bits are ignored
 * @property {boolean} [signed] two's complement within `bits`
 * @property {number} [slope] modality rescale (1)
 * @property {number} [intercept] modality rescale (0)
 * @property {{ shape?: 'linear'|'linear-exact'|'sigmoid', centre: number, width: number }} [window]
 *   left out: from the smallest to the largest value present
 * @property {boolean} [invert] small values are white (MONOCHROME1)
 * @property {number} [padding] stored value of background pixels
 *
 * @typedef {{ data: Uint8ClampedArray, width: number, height: number }} Rgba what ImageData holds
 * @typedef {{ bytes: Uint8Array } | { rgba: Rgba, file?: Uint8Array } | { gray16: Sent }
 *   | { picture: Uint8Array, kind: import('../shared/image-kind.js').ImageKind }} Job one image for the engine; `file`: what the
 *   pixels were decoded from, to be hashed; `picture`: for the browser to decode
 * @typedef {Omit<Gray16, 'pixels'> & { pixels: Uint16Array|MessagePort }} Sent from another worker by `passed` (passage.js), or as it is
 *
 * @typedef {{ readonly x: number, readonly y: number, readonly width: number, readonly height: number }} Box in fractions
 *   of the image, as it lies upright by its own orientation
 *
 * @typedef {{ readonly width: number, readonly height: number, readonly values: Float32Array }} ValueMap values from 0 to 1,
 *   row by row over the result's frame
 * @typedef {{ readonly lungs: ValueMap, readonly opacities: ValueMap }} Maps
 *
 * @typedef {object} FindingOnly
 * @property {'right'|'left'|'both'} side the patient's lung; both: about the midline
 * @property {'upper'|'middle'|'lower'} zone third of the lungs' height
 * @property {number} strength 0..1, the largest value of the opacity map in it
 *
 * @typedef {Readonly<FindingOnly> & Box} Finding an opacity inside the lungs, and its box
 *
 * @typedef {object} Result one answer, schema "cxrlens.result/2" (result.schema.json)
 * @property {'cxrlens.result/2'} schema
 * @property {string|null} file name of the input, if it has one
 * @property {string|null} sha256 of the encoded input; null for pixels and where the platform has no hash
 * @property {{ readonly width: number, readonly height: number, readonly format: 'png'|'jpeg'|'pixels'|'dicom'|import('../shared/image-kind.js').ImageKind }} image
 * @property {Box} frame which part of the image was read
 * @property {{ readonly id: string, readonly version: string, readonly sha256: string }} model
 * @property {string} verdict a class's id, 'uncertain' or 'not-a-chest-x-ray'
 * @property {ReadonlyArray<{ readonly id: string, readonly logit: number, readonly probability: number }>} classes
 * @property {{ readonly score: number, readonly threshold: number, readonly accepted: boolean }} gate
 * @property {{ readonly score: number, readonly threshold: number }} opacity the strongest opacity inside the lungs, and
 *   the least that a disease needs to be named
 * @property {ReadonlyArray<Finding>} findings the strongest first
 * @property {Maps} [maps]
 * @property {ReadonlyArray<string>} warnings
 * @property {import('../dicom/classifier-job.js').DicomPart} [dicom] what a DICOM file says of itself
 * @property {{ readonly decode_ms: number, readonly preprocess_ms: number, readonly network_ms: number }} timings
 *
 * @typedef {object} ModelInfo
 * @property {string} id
 * @property {string} version
 * @property {string} sha256 of the whole .cxrm file
 * @property {ReadonlyArray<string>} classes
 * @property {number} inputWidth
 * @property {number} inputHeight
 * @property {Readonly<Record<'lungs'|'opacities', { readonly width: number, readonly height: number }>>} maps
 * @property {number} gateThreshold
 * @property {number} uncertainThreshold
 * @property {number} evidenceThreshold opacity below which no disease is named
 * @property {number} lungsThreshold value at and above which a cell of the lungs' map is lung
 * @property {number} opacityThreshold value at and above which a cell of the opacity map is part of a finding
 * @property {number} arenaBytes memory the engine holds beside the file
 * @property {number} macs multiply-accumulates of one image
 *
 * @typedef {object} EngineInfo
 * @property {string} version of the library
 * @property {string} kernels 'ref', 'simd128', 'relaxed' or 'relaxed-maddubs'
 * @property {ModelInfo} model
 */

const warningNames = [
  'low-resolution',
  'heavy-borders',
  'low-contrast',
  'aspect',
  'colour',
  'inverted',
  'rotated',
  'no-evidence',
  'lungs-not-found',
  'lungs-cut',
];
const sideNames = /** @type {const} */ (['right', 'left', 'both']);
const zoneNames = /** @type {const} */ (['upper', 'middle', 'lower']);
const findingBytes = 28;
const formatNames = /** @type {const} */ (['pixels', 'png', 'jpeg', 'pixels']);
/** @type {Record<number, string>} */
const verdictNames = { [-1]: 'uncertain', [-2]: 'not-a-chest-x-ray' };
const windowShapes = [undefined, 'linear', 'linear-exact', 'sigmoid'];
const outOfMemory = 2; // CXR_E_MEMORY

/** One instance of the module with one model. It answers synchronously, one image at a time. */
export class Engine {
  /** The module's exports. @type {any} */
  #wasm;

  /**
   * @param {WebAssembly.Module} module
   * @param {Uint8Array} model copied into the instance's memory, and used there
   * @param {string|null} [modelSha256] what the file has to hash to; null: any model
   * @param {boolean} [verified] who asks finds that out meanwhile
   */
  static async create(module, model, modelSha256 = null, verified = false) {
    const imports = { env: { now_ms: () => performance.now() } };
    const instance = await WebAssembly.instantiate(module, imports).catch((cause) => {
      throw asError(cause, 'unsupported', 'The WebAssembly module does not start');
    });
    const engine = new Engine(instance, model, verified ? modelSha256 : null);
    checkHash('The model', engine.info.model.sha256, [modelSha256]);
    return engine;
  }

  /**
   * @param {WebAssembly.Instance} instance
   * @param {Uint8Array} model
   * @param {string|null} sha256 the model's, if it is known and trusted
   */
  constructor(instance, model, sha256) {
    this.#wasm = instance.exports;
    if (!this.#wasm.classify_gray16) throw new CxrError('unsupported', 'The WebAssembly module is not of CXR Lens.');
    this.#wasm._initialize?.();
    const known = sha256 && this.#copyIn(Uint8Array.from(sha256.match(/../g) ?? [], (byte) => parseInt(byte, 16)));
    this.#check(this.#wasm.load(this.#copyIn(model), model.length, known ?? 0));
    if (known) this.#wasm.release(known);
    /** @type {EngineInfo} */
    this.info = this.#readInfo();
  }

  /** Linear memory in bytes: it grows with the largest image and never shrinks. */
  get memoryBytes() {
    return this.#wasm.memory.buffer.byteLength;
  }

  /**
   * Classifies one image, in one call of the module.
   * @param {Job} job
   * @param {boolean} [maps] whether the result holds them
   * @returns {Promise<Result>}
   */
  async classify(job, maps = false) {
    if ('picture' in job) return this.#classifyPicture(job.picture, job.kind, maps);
    if ('gray16' in job) job.gray16.pixels = await arrived(job.gray16.pixels);
    // The platform hashes on another thread while the module works.
    const file = 'bytes' in job ? job.bytes : 'file' in job && job.file;
    const hash = file ? sha256(file) : null;
    const result = this.#run(job, maps);
    return { ...result, sha256: await hash };
  }

  /**
   * @param {Uint8Array} bytes
   * @param {import('../shared/image-kind.js').ImageKind} kind
   * @param {boolean} maps
   * @returns {Promise<Result>}
   */
  async #classifyPicture(bytes, kind, maps) {
    const start = performance.now();
    const rgba = await decodeByBrowser(bytes, kind);
    const took = performance.now() - start;
    const result = await this.classify({ rgba, file: bytes }, maps);
    return {
      ...result,
      image: { ...result.image, format: kind },
      // Browsers, and their versions, may decode to other bits.
      warnings: [...result.warnings, 'browser-decoded'],
      timings: { ...result.timings, decode_ms: result.timings.decode_ms + took },
    };
  }

  /**
   * @param {Job} job
   * @param {boolean} wanted
   */
  #run(job, wanted) {
    const { lungs, opacities } = this.info.model.maps;
    /** @type {number[]} */
    const owned = [];
    try {
      const maps = wanted ? this.#allocate(4 * (lungs.width * lungs.height + opacities.width * opacities.height), owned) : 0;
      const gray = 'rgba' in job ? grayOf(job.rgba) : { image: /** @type {any} */ (job).gray16, isColour: false };
      if ('bytes' in job) this.#check(this.#wasm.classify(this.#copyIn(job.bytes, owned), job.bytes.length, maps));
      else this.#classifyPixels(gray.image, maps, owned);
      return this.#readResult(gray.isColour, maps);
    } finally {
      for (const at of owned) this.#wasm.release(at);
    }
  }

  /**
   * @param {Gray16} image
   * @param {number} maps
   * @param {number[]} owned
   */
  #classifyPixels(image, maps, owned) {
    const { pixels, width, height, bits = 16, signed = false, slope = 1, intercept = 0, window, invert = false, padding } = image;
    const at = this.#copyIn(asBytes(pixels), owned);
    const shape = windowShapes.indexOf(window && (window.shape ?? 'linear'));
    this.#check(
      this.#wasm.classify_gray16(
        at,
        width,
        height,
        bits,
        Number(signed),
        slope,
        intercept,
        shape,
        window?.centre ?? 0,
        window?.width ?? 0,
        Number(invert),
        Number(padding != null),
        padding ?? 0,
        maps,
      ),
    );
  }

  /**
   * @param {number} length
   * @param {number[]} [owned] where to note what has to be released
   */
  #allocate(length, owned) {
    const at = this.#wasm.alloc(length) >>> 0;
    if (at === 0) this.#check(outOfMemory);
    owned?.push(at);
    return at;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number[]} [owned]
   */
  #copyIn(bytes, owned) {
    const at = this.#allocate(bytes.length, owned);
    new Uint8Array(this.#wasm.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }

  /** @param {number} status */
  #check(status) {
    if (status === 0) return;
    const code = /** @type {import('./platform.js').EngineCode} */ (this.#text(this.#wasm.status_name(status)));
    throw new CxrError(code, this.#text(this.#wasm.strerror(status)));
  }

  /** @param {number} at */
  #text(at) {
    const bytes = new Uint8Array(this.#wasm.memory.buffer, at >>> 0);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /** struct cxr_model_info @returns {EngineInfo} */
  #readInfo() {
    const { memory } = this.#wasm;
    const at = this.#wasm.info() >>> 0;
    const view = new DataView(memory.buffer, at);
    /** @param {number} offset */
    const u32 = (offset) => view.getUint32(offset, true);
    /** @param {number} offset */
    const f32 = (offset) => view.getFloat32(offset, true);
    /** @param {number} offset */
    const text = (offset) => this.#text(u32(offset));
    return {
      version: this.#text(this.#wasm.version()),
      kernels: text(128),
      model: {
        id: text(0),
        version: text(4),
        sha256: hex(new Uint8Array(memory.buffer, at + 8, 32)),
        classes: Array.from({ length: u32(40) }, (_, k) => text(44 + 4 * k)),
        inputWidth: u32(72),
        inputHeight: u32(76),
        maps: { lungs: { width: u32(80), height: u32(84) }, opacities: { width: u32(88), height: u32(92) } },
        gateThreshold: f32(96),
        uncertainThreshold: f32(100),
        evidenceThreshold: f32(104),
        lungsThreshold: f32(108),
        opacityThreshold: f32(112),
        arenaBytes: u32(116),
        macs: Number(view.getBigUint64(120, true)),
      },
    };
  }

  /**
   * struct cxr_result
   * @param {boolean} isColour what the engine can't know of pixels that came as gray
   * @param {number} maps 0: none
   * @returns {Result}
   */
  #readResult(isColour, maps) {
    const view = new DataView(this.#wasm.memory.buffer, this.#wasm.result() >>> 0);
    /** @param {number} offset */
    const u32 = (offset) => view.getUint32(offset, true);
    /** @param {number} offset */
    const f32 = (offset) => view.getFloat32(offset, true);
    /** @param {number} offset */
    const f64 = (offset) => view.getFloat64(offset, true);
    const { id, version, sha256, classes } = this.info.model;
    const verdict = view.getInt32(0, true);
    const colour = warningNames.indexOf('colour');
    const [width, height] = [u32(16), u32(20)];
    return {
      schema: 'cxrlens.result/2',
      file: null,
      sha256: null,
      image: { width, height, format: formatNames[u32(12)] },
      frame: {
        x: Math.fround(u32(124) / width),
        y: Math.fround(u32(128) / height),
        width: Math.fround(u32(132) / width),
        height: Math.fround(u32(136) / height),
      },
      model: { id, version, sha256 },
      verdict: verdictNames[verdict] ?? classes[verdict],
      classes: classes.map((id, k) => ({ id, logit: f32(36 + 4 * k), probability: f32(64 + 4 * k) })),
      gate: { score: f32(28), threshold: f32(32), accepted: u32(24) === 1 },
      opacity: { score: f32(140), threshold: f32(144) },
      findings: this.#readFindings(),
      ...(maps ? { maps: this.#readMaps(maps) } : {}),
      warnings: warningNames.filter((_, bit) => (u32(8) >> bit) & 1 || (bit === colour && isColour)),
      timings: { decode_ms: f64(96), preprocess_ms: f64(104), network_ms: f64(112) },
    };
  }

  /** An array of struct cxr_finding @returns {Finding[]} */
  #readFindings() {
    const view = new DataView(this.#wasm.memory.buffer, this.#wasm.findings() >>> 0);
    return Array.from({ length: this.#wasm.finding_count() }, (_, k) => {
      const at = k * findingBytes;
      const [x, y, width, height, strength] = [0, 4, 8, 12, 16].map((offset) => view.getFloat32(at + offset, true));
      return {
        side: sideNames[view.getUint32(at + 20, true)],
        zone: zoneNames[view.getUint32(at + 24, true)],
        strength,
        x,
        y,
        width,
        height,
      };
    });
  }

  /**
   * @param {number} at the values of the lungs' map and then those of the opacity map
   * @returns {Maps}
   */
  #readMaps(at) {
    const { lungs, opacities } = this.info.model.maps;
    /** @param {number} from @param {{ width: number, height: number }} size */
    const read = (from, { width, height }) => ({
      width,
      height,
      values: new Float32Array(this.#wasm.memory.buffer, from, width * height).slice(),
    });
    return { lungs: read(at, lungs), opacities: read(at + 4 * lungs.width * lungs.height, opacities) };
  }
}

/**
 * Answers the messages of a classifier, in a worker or in its own thread: {type: 'load', module, model, modelSha256}
 * first, the model as a Blob, then {type: 'classify', job, maps}. The reply holds {value, memoryBytes} or {error: {code,
 * message}}; a code of null says that the engine is beyond use.
 */
export function createHost() {
  /** @type {Engine} */
  let engine;
  return async (/** @type {any} */ message) => {
    try {
      if (message.type === 'load') engine = await load(message);
      const value = message.type === 'load' ? engine.info : await engine.classify(message.job, message.maps);
      return { value, memoryBytes: engine.memoryBytes };
    } catch (error) {
      // What is not an error of our own is a trap in the module, which leaves it in no known state.
      const code = error instanceof CxrError ? error.code : null;
      return { error: { code, message: /** @type {Error} */ (error).message } };
    }
  };
}

/** @param {{ module: WebAssembly.Module, model: Blob, modelSha256: string|null }} message */
async function load({ module, model, modelSha256 }) {
  const bytes = new Uint8Array(await model.arrayBuffer());
  // The platform hashes on another thread while the engine takes the model in; without one the engine does it, more slowly.
  const verified = modelSha256 && globalThis.crypto?.subtle ? sha256(bytes) : null;
  const created = quiet(Engine.create(module, bytes, modelSha256, verified !== null));
  if (verified) checkHash('The model', await verified, [modelSha256]); // of a wrong one this tells more than the engine
  return created;
}

/**
 * The engine's own rule for 8-bit colour (gray_of in src/image/codecs.h), so that a canvas's pixels give the same
 * bits as a PNG of them: BT.601 in integers, over black, then spread over 16 bits exactly.
 * @param {Rgba} image
 * @returns {{ image: Gray16, isColour: boolean }}
 */
function grayOf({ data, width, height }) {
  const pixels = new Uint16Array(width * height);
  let coloured = 0;
  for (let i = 0, at = 0; i < pixels.length; i++, at += 4) {
    const r = data[at],
      g = data[at + 1],
      b = data[at + 2],
      alpha = data[at + 3];
    const spread = Math.max(r, g, b) - Math.min(r, g, b);
    if (spread * alpha >= 16 * 255) coloured++;
    pixels[i] = 257 * (((((77 * r + 150 * g + 29 * b + 128) >> 8) * alpha + 127) / 255) | 0);
  }
  const window = /** @type {const} */ ({ shape: 'linear-exact', centre: 32767.5, width: 65535 });
  return { image: { pixels, width, height, window }, isColour: coloured > pixels.length >> 8 };
}
