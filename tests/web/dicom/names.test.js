// names.test.js - the patient's name in the character sets that archives write, and no name rather than a wrong one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { read, skip, WAYS, web } from './module.js';
import { dicomFile, radiograph } from './write.js';

const { identityOf } = await import(new URL('dicom.js', web).href);
/** @typedef {import('./write.js').FileOptions} FileOptions */

/** @param {Uint8Array} file */
const nameIn = async (file) => (await identityOf(file)).patient.name;
/** @param {string} set @param {Buffer|string} name @param {FileOptions} [file] */
const nameOf = (set, name, file) =>
  nameIn(
    dicomFile(
      radiograph(
        { width: 2, height: 2, pixels: new Uint8Array(4) },
        {
          '00080005': ['CS', set],
          '00100010': ['PN', typeof name === 'string' ? Buffer.from(name, 'hex') : name],
        },
      ),
      file,
    ),
  );
const refused = { name: 'DicomError', code: 'dicom-unsupported' };

test('Korean names as Korean archives write them', { skip }, async () => {
  assert.equal(await nameIn(read('korean-name-cp949')), '김똠순');
  assert.equal(await nameIn(read('korean-name-ksx1001-composed')), '김\ub620^순');
  await assert.rejects(nameIn(read('korean-name-no-charset-element')), refused);
});

test('every syllable, as CP949, as KS X 1001 composes it, with the escape sequence or without', async () => {
  // By Python's codecs cp949 and johab, which are tables of others.
  for (const [name, hex] of [
    ['갂힣', '8141c652'],
    ['뷁', '94ee'],
    ['똠방각하', '8c63b9e6b0a2c7cf'],
    ['뿴', '97b4'],
    ['가힝', 'b0a1c8fe'],
    ['伽詰', 'caa1fdfe'],
  ]) {
    for (const file of WAYS.map(([, file]) => file)) assert.equal(await nameOf('\\ISO 2022 IR 149', `1b242943${hex}`, file), name);
    assert.equal(await nameOf('\\ISO 2022 IR 149', hex), name, 'without an escape sequence');
    assert.equal(await nameOf('ISO_IR 149', hex), name, 'as the first set');
  }
  const initials = [...'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'];
  const codeOf = (/** @type {string} */ jamo) => (0xa4a1 + jamo.charCodeAt(0) - 0x3131).toString(16);
  const medials = Array.from({ length: 21 }, (_, i) => String.fromCharCode(0x314f + i));
  const finals = ['\u3164', ...'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'];
  const all = initials.flatMap((a) => medials.flatMap((b) => finals.map((c) => `a4d4${[a, b, c].map(codeOf).join('')}`)));
  const syllables = await nameOf('\\ISO 2022 IR 149', `1b242943${all.slice(0, 4000).join('')}`);
  assert.equal(syllables, Array.from({ length: 4000 }, (_, i) => String.fromCharCode(0xac00 + i)).join(''));
  assert.equal(
    await nameOf('\\ISO 2022 IR 149', `1b242943${all.slice(-4000).join('')}`),
    Array.from({ length: 4000 }, (_, i) => String.fromCharCode(0xd7a4 - 4000 + i)).join(''),
  );
});

test("names in Japanese and Chinese sets, with the letters that only vendors' tables have", async () => {
  for (const [set, hex, name] of [
    ['\\ISO 2022 IR 87', '1b24427c6236364f3a1b2842', '髙橋郎'], // row 92, as Windows has it
    ['\\ISO 2022 IR 159', '1b24284430271b284221', '丣!'],
    ['\\ISO 2022 IR 58', '1b242941d5c55e1b242941d0a1b6ab', '张^小东'],
    ['\\ISO 2022 IR 58', '1b24294196539e56a8a1', '朣濾ā'],
    ['GB18030', '82308130d0a1', '\u34a3小'],
    ['GB18030', '95328236', '\u{20000}'],
    ['GB18030', 'a1a1', ''],
    ['GBK', '9f40', '烜'],
    ['ISO_IR 13', 'd4cfc0de', 'ﾔﾏﾀﾞ'],
    ['ISO_IR 100', '8a696d656b', 'Šimek'],
    ['ISO_IR 101', 'a6', 'Ś'],
    ['ISO_IR 144', 'bbee61', 'Люa'],
    ['ISO_IR 166', 'a1d2', 'กา'],
  ])
    assert.equal(await nameOf(set, hex), name, `${set} ${hex}`);
});

test('no name rather than another one', async () => {
  for (const [set, hex, why] of [
    ['\\ISO 2022 IR 149', '1b242943c8', 'half a letter'],
    ['\\ISO 2022 IR 149', '1b242943c9a1', 'a row for the user'],
    ['\\ISO 2022 IR 149', '1b242943a4d4a4a8a4c7', 'half a composition'],
    ['\\ISO 2022 IR 149', '1b242943a4d4a4c7a4a8a4b1', 'a composition out of order'],
    ['\\ISO 2022 IR 149', '1b242943ff41', 'no letter'],
    ['\\ISO 2022 IR 149\\ISO 2022 IR 58', 'b1e8', 'two sets and no escape sequence'],
    ['GB18030', '8130', 'half a letter of four bytes'],
    ['GB18030', 'a6d9', 'a letter that moved between editions'],
    ['ISO_IR 192', '1b2442304c', 'an escape sequence in UTF-8'],
    ['', '1b2422304c', 'an unknown escape sequence'],
    ['ISO_IR 166', 'dbdc', 'letters that one platform adds'],
    ['ISO_IR 13', 'fd', 'no katakana'],
  ])
    await assert.rejects(nameOf(set, hex), refused, why);
});
