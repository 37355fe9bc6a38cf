// character-set.js - the bytes of a text to the text, by the file's Specific Character Set (0008,0005): PS3.3 C.12.1.1.2,
// PS3.5 6.1.2.5. Platforms disagree on some codes, and a wrong letter in a name is worse than none: the platform's
// tables are therefore read without those codes, and a table that does not hash to the value given here is not used.

/** Stands for what no table of ours can read. */
const UNKNOWN = '\ufffd';
const ESCAPE = 0x1b;

/** @typedef {(bytes: Uint8Array, at: number) => [letters: string, length: number]} Read one letter, in so many bytes */

/** Codes of two bytes in a square of 94 x 94, A1A1 to FEFE, as KS X 1001, JIS X 0208 and JIS X 0212 have them. */
const SQUARE = 94;
/** Codes of two bytes in GB18030: 81..FE, then 40..FE. */
const GB_TRAILS = 191;
/** Codes of four bytes in GB18030 that stand for letters below U+10000. */
const GB_FOUR = 39420;

// ---- Tables ---------------------------------------------------------------------------------

/** @type {Map<string, string>} */
const tables = new Map();

/**
 * The letters of an encoding, one code unit for each code in its order.
 * @param {string} label the platform's name of it
 * @param {string} hash of the table
 * @param {() => number[][]} codes
 * @param {RegExp} [varying] letters that one platform has and another has not
 */
function table(label, hash, codes, varying = /[\ue000-\uf8ff]/g) {
  const known = tables.get(hash);
  if (known !== undefined) return known;
  const letters = lettersOf(label, codes()).replace(varying, UNKNOWN);
  const usable = hashOf(letters) === hash ? letters : '';
  tables.set(hash, usable);
  return usable;
}

/** @param {string} label @param {number[][]} codes */
function lettersOf(label, codes) {
  const lines = new Uint8Array(codes.reduce((sum, { length }) => sum + length + 1, 0)).fill(0x0a);
  let at = 0;
  for (const code of codes) {
    lines.set(code, at);
    at += code.length + 1;
  }
  try {
    const found = new TextDecoder(label).decode(lines).split('\n');
    return codes.map((_, i) => (found[i].length === 1 ? found[i] : UNKNOWN)).join('');
  } catch {
    return ''; // a Node without these encodings
  }
}

/** FNV-1a. @param {string} text */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16);
}

/** @param {number} from @param {number} to @param {number} first @param {number} last @param {number[]} [head] @returns {number[][]} */
const pairs = (from, to, first, last, head = []) =>
  Array.from({ length: (to - from + 1) * (last - first + 1) }, (_, i) => [
    ...head,
    from + Math.floor(i / (last - first + 1)),
    first + (i % (last - first + 1)),
  ]);

const korean = () => table('euc-kr', 'aefd7510', () => pairs(0xa1, 0xfe, 0xa1, 0xfe), /[\u20ac\u00ae\ue000-\uf8ff]/g);
const japanese = () => table('euc-jp', 'fb5f1951', () => pairs(0xa1, 0xfe, 0xa1, 0xfe));
/** Row 83 holds nothing in the standard, but letters on some platforms. */
const supplementary = () => table('euc-jp', '7697e2cc', () => pairs(0xa1, 0xfe, 0xa1, 0xfe, [0x8f]), /[\u2160-\u2179\u3231\ue000-\uf8ff]/g);
/** What the editions of 2000, 2005 and 2022 moved is left out. */
const MOVED = /[\u01f9\u1e3f\u20ac\u3000\u9fb4-\u9fbb\ue000-\uf8ff\ufe10-\ufe19]/g;
const chinese = () => table('gb18030', '818bc147', () => pairs(0x81, 0xfe, 0x40, 0xfe), MOVED);
const chineseLong = () =>
  table(
    'gb18030',
    '3dac9f9a',
    () =>
      Array.from({ length: GB_FOUR }, (_, i) => [
        0x81 + Math.floor(i / 12600),
        0x30 + (Math.floor(i / 1260) % 10),
        0x81 + (Math.floor(i / 10) % 126),
        0x30 + (i % 10),
      ]),
    MOVED,
  );

/** The syllables that KS X 1001 lacks, in their order: CP949 has them at codes that KS X 1001 leaves free. @type {string|undefined} */
let rest;
function furtherSyllables() {
  if (rest !== undefined) return rest;
  const standard = new Set(korean());
  const all = Array.from({ length: 11172 }, (_, i) => String.fromCharCode(0xac00 + i));
  return (rest = standard.size > 0 ? all.filter((letter) => !standard.has(letter)).join('') : '');
}

// ---- Letters --------------------------------------------------------------------------------

/** @param {string|undefined} letter @param {number} length @returns {[string, number]} */
const found = (letter, length) => (letter && letter !== UNKNOWN ? [letter, length] : [UNKNOWN, 1]);

/** ISO 8859-1, and what Windows puts where that has control characters. @type {Read} */
const latin1 = (bytes, at) =>
  found(
    bytes[at] < 0xa0 ? '€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ'[bytes[at] - 0x80] : String.fromCharCode(bytes[at]),
    1,
  );

/** Another part of ISO 8859. @param {string} label @param {string} hash @returns {Read} */
const part = (label, hash) => (bytes, at) =>
  found(table(label, hash, () => pairs(0xa0, 0xff, 0, 0).map(([byte]) => [byte]))[bytes[at] - 0xa0], 1);

/** Half-width katakana (JIS X 0201). @type {Read} */
const katakana = (bytes, at) => found(bytes[at] > 0xa0 && bytes[at] < 0xe0 ? String.fromCharCode(0xff61 - 0xa1 + bytes[at]) : undefined, 1);

/** Of a square, in bytes with or without their high bits. @param {() => string} letters @returns {Read} */
const square = (letters) => (bytes, at) => {
  const [row, column] = [(bytes[at] & 0x7f) - 0x21, (bytes[at + 1] & 0x7f) - 0x21];
  return found(row >= 0 && column >= 0 && column < SQUARE ? letters()[row * SQUARE + column] : undefined, 2);
};

/** KS X 1001 with its composed syllables, and CP949. @type {Read} */
function hangul(bytes, at) {
  const [lead, trail] = [bytes[at], bytes[at + 1]];
  if (lead === 0xa4 && trail === 0xd4) return composed(bytes, at);
  if (lead > 0xa0 && trail > 0xa0) return square(korean)(bytes, at);
  // 41..5A, 61..7A, 81 and on.
  const column =
    trail >= 0x81
      ? trail - 0x81 + 52
      : trail >= 0x61 && trail <= 0x7a
        ? trail - 0x61 + 26
        : trail >= 0x41 && trail <= 0x5a
          ? trail - 0x41
          : -1;
  const row = lead <= 0xa0 ? (lead - 0x81) * 178 : 32 * 178 + (lead - 0xa1) * 84;
  return found(lead > 0x80 && column >= 0 ? furtherSyllables()[row + column] : undefined, 2);
}

const INITIALS = 'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ';
/** The first stands for none. */
const FINALS = '\u3164ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ';

/** A filler, then an initial, a medial and a final are one syllable (KS X 1001 Annex 3). @type {Read} */
function composed(bytes, at) {
  const [initial, medial, final] = [2, 4, 6].map((step) => (bytes[at + step] === 0xa4 ? square(korean)(bytes, at + step)[0] : UNKNOWN));
  const places = [INITIALS.indexOf(initial), medial.charCodeAt(0) - 0x314f, FINALS.indexOf(final)];
  if (places[0] < 0 || places[1] < 0 || places[1] > 20 || places[2] < 0) return [UNKNOWN, 2];
  return [String.fromCharCode(0xac00 + (places[0] * 21 + places[1]) * 28 + places[2]), 8];
}

/** GB18030, of which GBK and GB 2312 are parts. @type {Read} */
function hanzi(bytes, at) {
  const [one, two, three, four] = bytes.subarray(at, at + 4);
  if (one < 0x81 || one === 0xff || two === undefined) return [UNKNOWN, 1];
  if (one === 0xa1 && two === 0xa1) return ['\u3000', 2]; // the other code of this space is one of those that moved
  if (two >= 0x40 && two !== 0x7f) return found(chinese()[(one - 0x81) * GB_TRAILS + two - 0x40], 2);
  if (!(two >= 0x30 && two <= 0x39 && three >= 0x81 && three <= 0xfe && four >= 0x30 && four <= 0x39)) return [UNKNOWN, 1];
  const linear = (((one - 0x81) * 10 + two - 0x30) * 126 + three - 0x81) * 10 + four - 0x30;
  // 90308130 is U+10000, and so on in one row.
  const beyond = linear - 189000;
  if (beyond >= 0) return found(beyond < 0x100000 ? String.fromCodePoint(0x10000 + beyond) : undefined, 4);
  return found(chineseLong()[linear], 4);
}

// ---- Texts ----------------------------------------------------------------------------------

/**
 * Where letters of a character set stand (ISO 2022): G0 are the bytes below 80, G1 those from 80.
 * @typedef {[term: string, escape: string, element: 'g0'|'g1', read: Read|undefined]} CharacterSet
 */

/** By the number in the defined term, and by the escape sequence. A set may have two: its Latin half goes with the first. @type {CharacterSet[]} */
const SETS = [
  ['6', '(B', 'g0', undefined],
  ['14', '(J', 'g0', undefined], // JIS X 0201's yen sign stands where the backslash is, which DICOM means
  ['100', '-A', 'g1', latin1],
  ['101', '-B', 'g1', part('iso-8859-2', '2acc35ae')],
  ['109', '-C', 'g1', part('iso-8859-3', '606d07a4')],
  ['110', '-D', 'g1', part('iso-8859-4', 'c979bf01')],
  ['144', '-L', 'g1', part('iso-8859-5', '93413581')],
  ['127', '-G', 'g1', part('iso-8859-6', '790969d9')],
  ['126', '-F', 'g1', part('iso-8859-7', '78927f1f')],
  ['138', '-H', 'g1', part('iso-8859-8', '3df32d94')],
  ['148', '-M', 'g1', part('iso-8859-9', '2756a9ea')],
  ['203', '-b', 'g1', part('iso-8859-15', '6f587987')],
  ['166', '-T', 'g1', part('tis-620', 'a4e7e051')],
  ['13', ')I', 'g1', katakana],
  ['87', '$B', 'g0', square(japanese)],
  ['159', '$(D', 'g0', square(supplementary)],
  ['149', '$)C', 'g1', hangul],
  ['58', '$)A', 'g1', hanzi],
  ['GB18030', '', 'g1', hanzi],
  ['GBK', '', 'g1', hanzi],
];

/**
 * The text in the file's first character set, or in those that its escape sequences name.
 * @param {Uint8Array} [bytes]
 * @param {string[]} [terms] the values of (0008,0005); misspelt ones as well, where they are plain
 * @param {boolean} [strict] whether bytes beyond ASCII are unknown where the file names no character set; otherwise: ISO 8859-1
 */
export function decoded(bytes = new Uint8Array(), terms = [], strict = false) {
  const numbers = terms.map((term) =>
    term
      .replace(/^UTF-?8$/i, '192')
      .split(/[ _-]/)
      .pop(),
  );
  // No escape sequence has a meaning in UTF-8; one there is of a file that is not what it says.
  if (numbers[0] === '192') return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).replaceAll('\x1b', UNKNOWN);
  const beside = (/** @type {(string|undefined)[]} */ some) => SETS.filter(([term, , element]) => element === 'g1' && some.includes(term));
  // Writers forget the escape sequence; one set alone that bytes from 80 can belong to is meant.
  const [own, other] = [beside(numbers.slice(0, 1)), beside(numbers.slice(1))];
  const set = own[0] ?? (other.length === 1 ? other[0] : undefined);
  return textOf(bytes, set ? set[3] : strict ? undefined : latin1);
}

/** @param {Uint8Array} bytes @param {Read} [initial] of the bytes from 80 */
function textOf(bytes, initial) {
  /** @type {{ g0?: Read, g1?: Read }} */
  let sets = { g1: initial };
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at];
    const read = byte < 0x80 ? sets.g0 : sets.g1;
    if (byte === ESCAPE) {
      const set = setAt(bytes, at + 1);
      if (set) sets = { ...sets, [set[2]]: set[3] };
      else text += UNKNOWN;
      at += 1 + (set?.[1].length ?? 0);
    } else if (byte <= 0x20 || (byte < 0x80 && !read)) {
      text += String.fromCharCode(byte);
      at++;
    } else {
      const [letter, length] = read?.(bytes, at) ?? [UNKNOWN, 1];
      text += letter;
      at += length;
    }
  }
  return text;
}

/** @param {Uint8Array} bytes @param {number} at behind the escape character */
const setAt = (bytes, at) => SETS.find(([, escape]) => escape && [...escape].every((letter, i) => bytes[at + i] === letter.charCodeAt(0)));
