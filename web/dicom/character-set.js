// character-set.js - the bytes of a text to the text, by the file's Specific Character Set (0008,0005).

/** The platform's encodings, by the number in a defined term and the escape sequence that switches to it (PS3.3 C.12.1.1.2). */
const ENCODINGS = [
  ['100', '-A', 'latin1'],
  ['101', '-B', 'iso-8859-2'],
  ['109', '-C', 'iso-8859-3'],
  ['110', '-D', 'iso-8859-4'],
  ['144', '-L', 'iso-8859-5'],
  ['127', '-G', 'iso-8859-6'],
  ['126', '-F', 'iso-8859-7'],
  ['138', '-H', 'iso-8859-8'],
  ['148', '-M', 'iso-8859-9'],
  ['203', '-b', 'iso-8859-15'],
  ['166', '-T', 'tis-620'],
  ['13', ')I', 'shift_jis'],
  ['87', '$B', 'iso-2022-jp'],
  ['159', '$(D', 'euc-jp'],
  ['149', '$)C', 'euc-kr'],
  ['58', '$)A', 'gbk'],
  ['192', '', 'utf-8'],
  ['GB18030', '', 'gb18030'],
  ['GBK', '', 'gbk'],
];

/** An encoding of the default repertoire (PS3.5 6.1.2.1) alone: whatever else comes without an escape is U+FFFD. */
export const ASCII = 'iso-2022-jp';

/**
 * Text in the file's first character set, or in those that its escape sequences name.
 * @param {Uint8Array} [bytes]
 * @param {string} [first] its defined term; misspelt ones as well, where they are plain
 * @param {string} [otherwise] encoding where there is no such term
 */
export function decoded(bytes = new Uint8Array(), first = '', otherwise = 'latin1') {
  const number = first.replace(/^UTF-?8$/i, '192').split(/[ _-]/).pop();
  const initial = ENCODINGS.find(([term]) => term === number)?.[2] ?? otherwise;
  return runs(bytes).map((run) => decodedRun(run, initial)).join('');
}

/** Parts that begin with an escape, except perhaps the first. @param {Uint8Array} bytes */
function runs(bytes) {
  const starts = [0];
  for (let at = bytes.indexOf(0x1b, 1); at > 0; at = bytes.indexOf(0x1b, at + 1)) starts.push(at);
  return starts.map((start, i) => bytes.subarray(start, starts[i + 1]));
}

/** @param {Uint8Array} run @param {string} initial encoding */
function decodedRun(run, initial) {
  const [, escape] = /^\x1b(\$?[()-]?.)/.exec(String.fromCharCode(...run.subarray(0, 4))) ?? [];
  const encoding = ENCODINGS.find(([, own]) => escape && own === escape)?.[2] ?? initial;
  // The platform's ISO-2022-JP wants the escape, the others know of none.
  const start = escape && encoding !== 'iso-2022-jp' ? 1 + escape.length : 0;
  const text = run.subarray(start);
  return new TextDecoder(encoding).decode(escape === '$(D' ? threeByteCodes(text) : text);
}

/** JIS X 0212 as EUC-JP writes it: 8F before each two bytes, their high bits set. @param {Uint8Array} pairs */
const threeByteCodes = (pairs) =>
  Uint8Array.from([...pairs].flatMap((byte, i) => (i % 2 === 0 ? [0x8f, byte | 0x80] : [byte | 0x80])));
