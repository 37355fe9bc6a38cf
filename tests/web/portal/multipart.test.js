// multipart.test.js - the parser of multipart/related: every way of cutting the stream gives the same parts, and what is no
// multipart ends in an error.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundaryOf, multipartOf, partsOf } from '../../../web/dicomweb/multipart.js';

/** @param {Uint8Array} bytes @param {number} size of a piece */
async function* cut(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield new Uint8Array(bytes.subarray(at, at + size));
}

/** @param {Buffer} bytes @param {{ size?: number, boundary?: string, limit?: number }} [options] */
async function read(bytes, { size = bytes.length, boundary = 'b', limit = 1000 } = {}) {
  const parts = [];
  for await (const { type, body } of partsOf(cut(bytes, size), boundary, limit))
    parts.push([type, Buffer.from(await new Blob(body.blobs).arrayBuffer()).toString('latin1')]);
  return parts;
}

const text = (/** @type {string} */ value) => Buffer.from(value, 'latin1');

const usual = text(
  '--b\r\nContent-Type: application/dicom\r\nContent-Length: 9\r\n\r\none\r\n--ab\r\r\n--b\r\nX: y\r\ncontent-type:text/html \r\n\r\n\r\n--b--\r\ntail',
);
const usualParts = [
  ['application/dicom', 'one\r\n--ab\r'],
  ['text/html', ''],
];

test('parts are the same wherever the stream is cut', async () => {
  for (let size = 1; size <= usual.length; size++) assert.deepEqual(await read(usual, { size }), usualParts, `pieces of ${size}`);
});

for (const [what, bytes, parts] of /** @type {[string, string, string[][]][]} */ ([
  ['a preamble', 'Hello\r\n--b\r\n\r\nx\r\n--b--', [['', 'x']]],
  ['no header', '--b\r\n\r\nx\r\n--b--', [['', 'x']]],
  ['white space after the delimiter', '--b \t\r\n\r\nx\r\n--b--', [['', 'x']]],
  ['an empty part', '--b\r\nA: b\r\n\r\n\r\n--b--', [['', '']]],
  ['a body of line ends', '--b\r\n\r\n\r\n\r\n\r\n\r\r\n--b--', [['', '\r\n\r\n\r\n\r']]],
  ['no part', '--b--', []],
])) {
  test(`${what} is read`, async () => {
    for (const size of [1, 2, 3, 5, bytes.length]) assert.deepEqual(await read(text(bytes), { size }), parts, `pieces of ${size}`);
  });
}

for (const [what, bytes, code] of [
  ['nothing', '', 'pacs-corrupt'],
  ['no delimiter', 'Hello, this is not multipart', 'pacs-corrupt'],
  ['another boundary', '--c\r\n\r\nx\r\n--c--', 'pacs-corrupt'],
  ['a boundary that goes on', '--bb\r\n\r\nx\r\n--bb--', 'pacs-corrupt'],
  ['a header without an end', `--b\r\nA: ${'x'.repeat(20000)}`, 'pacs-corrupt'],
  ['a long header', `--b\r\nA: ${'x'.repeat(20000)}\r\n\r\nx\r\n--b--`, 'pacs-corrupt'],
  ['a preamble without an end', 'x'.repeat(70000), 'pacs-corrupt'],
  ['a part that is cut off', '--b\r\n\r\nxxxx', 'pacs-corrupt'],
  ['a part that is too large', `--b\r\n\r\n${'x'.repeat(1001)}\r\n--b--`, 'pacs-size'],
  ['a part that says that it will be too large', '--b\r\nContent-Length: 1001\r\n\r\n', 'pacs-size'],
]) {
  test(`${what} is refused`, async () => {
    for (const size of [7, 4096, 100_000])
      await assert.rejects(read(text(bytes), { size }), { name: 'DicomWebError', code }, `pieces of ${size}`);
  });
}

test('the boundary is taken from the type, quoted or not', () => {
  assert.equal(boundaryOf('multipart/related; type="application/dicom"; boundary="a b"'), 'a b');
  assert.equal(boundaryOf('multipart/related;boundary=a-b; type=x'), 'a-b');
  assert.equal(boundaryOf('Multipart/Related; BOUNDARY=AbC'), 'AbC');
  for (const none of ['', 'multipart/related', 'multipart/related; boundary=', 'multipart/related; xboundary=a'])
    assert.equal(boundaryOf(none), null, none);
});

test('what is written is read', async () => {
  const objects = [new Uint8Array([1, 13, 10, 45, 45, 2]), new Blob(['two'])];
  const { body, type } = multipartOf(objects);
  const parts = await read(Buffer.from(await body.arrayBuffer()), { boundary: String(boundaryOf(type)), size: 5 });
  assert.deepEqual(parts, [
    ['application/dicom', '\x01\r\n--\x02'],
    ['application/dicom', 'two'],
  ]);
});
