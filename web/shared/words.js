/** Words, numbers and times in the reader's language. */

import en from '../strings/en.js';

/** @typedef {Record<string, string>} Strings */

/**
 * Languages on offer. A new one is a file in strings/ and a line here, the same in deferred-words.js, and for the page
 * another file, a line in app.js and its name in index.html.
 * @type {Record<string, () => Promise<{ default: Strings }>>}
 */
const LOADERS = {
  en: async () => ({ default: en }),
  ko: () => import('../strings/ko.js'),
};

/**
 * The first wanted language that is on offer; English when none is.
 * @param {readonly (string | null | undefined)[]} wanted BCP 47 tags, the most wanted first
 */
export function pickLanguage(wanted) {
  for (const tag of wanted) {
    const language = tag?.toLowerCase().split('-')[0] ?? '';
    if (Object.hasOwn(LOADERS, language)) return language;
  }
  return 'en';
}

/** @param {string} language one that pickLanguage gave */
export async function loadStrings(language) {
  return (await LOADERS[language]()).default;
}

/** Errors that mean the same to a reader. @type {Record<string, string>} */
const ERROR_GROUPS = {
  integrity: 'model',
  unsupported: 'wasm',
  unreadable: 'image-read',
  disposed: 'worker-failed',
  'dicom-modality': 'dicom-refused',
  'dicom-body-part': 'dicom-refused',
  'dicom-view': 'dicom-refused',
  'dicom-truncated': 'image-corrupt',
  'dicom-corrupt': 'image-corrupt',
  'dicom-syntax': 'dicom-unsupported',
  'dicom-format': 'image-format',
  'dicom-codec': 'network',
};

/** Formatters of numbers, as each takes a while to make. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** @param {string} language @param {'decimal' | 'percent'} style @param {number} [decimals] */
function formatOf(language, style, decimals) {
  const key = language + style + decimals;
  const format =
    formats.get(key) ?? new Intl.NumberFormat(language, { style, minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  formats.set(key, format);
  return format;
}

/** Looks up strings and formats numbers for one language. */
export class Words {
  /** @type {Intl.PluralRules | undefined} */
  #plural;

  /**
   * @param {string} language
   * @param {Strings} strings
   * @param {Strings} [own] a portal's own words; those missing are taken from `strings`
   */
  constructor(language, strings = en, own = {}) {
    this.language = language;
    /** @type {Strings} */
    this.strings = { ...en, ...strings, ...own };
  }

  // Formatters are made when first asked for: a browser's first one takes as long as the rest of the page's start.

  /** @returns {Intl.PluralRules} */
  get plural() {
    return (this.#plural ??= new Intl.PluralRules(this.language));
  }

  /**
   * The text of a key, with `{name}`s filled in. When `n` is given and the key has plural forms,
   * the right one is taken.
   * @param {string} key
   * @param {Record<string, string | number>} [values]
   */
  text(key, values = {}) {
    const form = typeof values.n === 'number' && this.strings[`${key}.${this.plural.select(values.n)}`];
    const text = form || this.strings[key] || this.strings[`${key}.other`] || key;
    const filled = text.replace(/\{(\w+)\}/g, (whole, name) => {
      const value = values[name];
      return typeof value === 'number' ? this.count(value) : (value ?? whole);
    });
    return filled.replace(/(COVID|X)-(?=19|ray)/g, '$1\u2011'); // a hyphen at which no line breaks
  }

  /** A whole number; one of up to three digits, which no language here groups, without a formatter. @param {number} n */
  count(n) {
    return Number.isInteger(n) && n >= 0 && n < 1000 ? String(n) : formatOf(this.language, 'decimal').format(n);
  }

  /** @param {string} key whether the key has words in this language or in English */
  has(key) {
    return key in this.strings;
  }

  /**
   * A share as a percentage, and never "100 %" or "0 %" unless it is exactly that.
   * @param {number} share 0..1
   */
  percent(share, decimals = 1) {
    const least = 10 ** (-2 - decimals);
    const shown = share >= 1 - least / 2 && share < 1 ? 1 - least : share < least / 2 && share > 0 ? least : share;
    return formatOf(this.language, 'percent', decimals).format(shown);
  }

  /**
   * A plain number with a fixed count of decimals.
   * @param {number} value
   * @param {number} decimals
   */
  number(value, decimals) {
    return formatOf(this.language, 'decimal', decimals).format(value);
  }

  /** @param {number} ms a duration, in the unit that suits it */
  duration(ms) {
    if (ms < 1000) return this.text('unit.ms', { n: this.number(ms, ms < 10 ? 1 : 0) });
    if (ms < 90_000) return this.text('unit.s', { n: this.number(ms / 1000, ms < 10_000 ? 1 : 0) });
    return this.text('unit.min', { n: this.number(ms / 60_000, 0) });
  }

  /** The name of a class, or of a verdict that is none. @param {string} id */
  verdict(id) {
    return this.has(`class.${id}`) ? this.text(`class.${id}`) : this.text(`verdict.${id}`);
  }

  /** What to tell about an error. @param {{ code: string, message: string }} error */
  error({ code, message }) {
    const group = code.startsWith('model-') ? 'model' : (ERROR_GROUPS[code] ?? code);
    return this.text(this.has(`error.${group}`) ? `error.${group}` : 'error.other', { message });
  }
}
