// client.test.js - what the DICOMweb client asks of a PACS, and what it makes of each answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { DicomWebError, dicomWeb, studyOf } from '../../../web/dicomweb.js';
import { dicomFile, radiograph } from '../dicom/write.js';
import { MULTIPART, element, multipart, sendJson, withServer } from './server.js';

const STUDY = '1.2.3';
const TOKEN = 'secret-token';
const { fetch } = globalThis;
const withToken = (/** @type {string} */ url, /** @type {RequestInit} */ init) =>
  fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${TOKEN}` } });

const instance = (/** @type {string} */ uid) =>
  dicomFile(radiograph({ width: 32, height: 32, pixels: new Uint8Array(1024) }, { '00080018': ['UI', uid], '0020000d': ['UI', STUDY] }));
const series = (/** @type {string} */ uid, /** @type {string} */ modality) => ({
  ...element('0020000E', uid),
  ...element('00080060', modality),
  ...element('00200011', 2),
});
const listed = (/** @type {string} */ uid, /** @type {string} */ view = '', sopClass = '1.2.840.10008.5.1.4.1.1.1.1') => ({
  ...element('00080018', uid),
  ...element('00080016', sopClass),
  ...(view && element('00185101', view)),
  ...element('00200013', 7),
  ...element('00100010', { Alphabetic: 'Doe^Jane' }),
});

/** A well-behaved PACS with one series. @param {object[]} instances @param {object[]} [others] @returns {import('./server.js').Handler} */
const pacsOf =
  (instances, others = []) =>
  ({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://host');
    if (pathname.endsWith('/series')) return sendJson(response, [series('1.2.3.1', 'DX'), ...others]);
    const start = Number(searchParams.get('offset'));
    if (pathname.endsWith('/instances')) return sendJson(response, instances.slice(start, start + Number(searchParams.get('limit'))));
    return response.writeHead(200, MULTIPART).end(multipart([instance(String(pathname.split('/').pop()))]));
  };

/** @param {AsyncIterable<import('../../../web/dicomweb.js').Retrieved>} images */
async function all(images) {
  const list = [];
  for await (const each of images) list.push(each);
  return list;
}

test('a study: its frontal radiographs arrive in order, as they are stored, with the fetch that was handed in', async () => {
  const many = Array.from({ length: 205 }, (_, k) => listed(`1.2.3.1.${k}`, k === 3 ? 'LL' : k % 2 ? 'PA' : ''));
  await withServer(pacsOf(many, [series('1.2.3.2', 'CT'), series('1.2.3.3', 'SR')]), async ({ root, asked }) => {
    /** @type {number[]} */
    const loaded = [];
    const found = await all(dicomWeb(root, { fetch: withToken }).images(STUDY, { onProgress: (progress) => loaded.push(progress.loaded) }));
    assert.deepEqual(
      found.map(({ image }) => image.instanceUid),
      many.flatMap((_, k) => (k === 3 ? [] : [`1.2.3.1.${k}`])),
    );
    assert.ok(found.every(({ file, image }) => file?.name === 'DX-2-7.dcm' && file.size === instance(image.instanceUid).length));
    assert.ok(loaded.length >= 204 && loaded.every((count) => count > 1024));
    assert.equal(
      asked.filter(({ url }) => url.includes('/1.2.3.2/') || url.includes('/1.2.3.3/')).length,
      0,
      'of other modalities nothing is asked',
    );
    assert.equal(asked.filter(({ url }) => url.includes('/instances?')).length, 3);
    assert.ok(asked.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`));
    assert.match(String(asked.at(-1)?.headers.accept), /^multipart\/related; type="application\/dicom"; transfer-syntax=\*$/);
  });
});

test('a series or an instance may be named; raw data of the detector is left out only where its image is there', async () => {
  const raw = '1.2.840.10008.5.1.4.1.1.1.1.1';
  await withServer(pacsOf([listed('1.2.3.1.1', '', raw), listed('1.2.3.1.2')], [series('1.2.3.9', 'CR')]), async ({ root, asked }) => {
    const pacs = dicomWeb(root);
    assert.deepEqual(
      (await pacs.search({ studyUid: STUDY, seriesUid: '1.2.3.1' })).map(({ instanceUid }) => instanceUid),
      ['1.2.3.1.2'],
    );
    asked.length = 0;
    const [{ file }] = await all(pacs.images(studyOf(`dicomweb:${root}/studies/${STUDY}/series/1.2.3.1/instances/1.2.3.1.4`)));
    assert.equal(file?.name, 'image.dcm');
    assert.equal(asked.length, 1);
  });
  await withServer(pacsOf([listed('1.2.3.1.1', '', raw)]), async ({ root }) =>
    assert.equal((await dicomWeb(root).search(STUDY)).length, 1),
  );
});

test('images come in the order of their numbers, whatever the order of the list', async () => {
  const numbered = [10, 9, 100, 1].map((number) => ({ ...listed(`1.2.3.1.${number}`), ...element('00200013', number) }));
  await withServer(pacsOf(numbered), async ({ root }) =>
    assert.deepEqual(
      (await dicomWeb(root).search(STUDY)).map(({ name }) => name),
      ['DX-2-1', 'DX-2-9', 'DX-2-10', 'DX-2-100'],
    ),
  );
});

test('at most `ahead` images are on the way, and none once nobody waits for them', async () => {
  let open = 0,
    most = 0;
  const good = pacsOf(Array.from({ length: 9 }, (_, k) => listed(`1.2.3.1.${k}`)));
  await withServer(
    (request, response) => {
      if (!/instances\/\d/.test(String(request.url))) return good(request, response);
      most = Math.max(most, ++open);
      response.on('close', () => open--);
      return setTimeout(() => good(request, response), 20);
    },
    async ({ root, asked }) => {
      for await (const { error } of dicomWeb(root).images(STUDY, { ahead: 3 })) if (!error) break;
      const before = asked.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.deepEqual([most, asked.length - before, open], [3, 0, 0]);
    },
  );
});

test('an image that cannot be had comes with its error, and the others follow', async () => {
  const good = pacsOf([listed('1.2.3.1.1'), listed('1.2.3.1.2'), listed('1.2.3.1.3')]);
  await withServer(
    (request, response) => (request.url?.endsWith('.2') ? response.writeHead(404).end() : good(request, response)),
    async ({ root }) => {
      assert.deepEqual(
        (await all(dicomWeb(root).images(STUDY))).map(({ file, error }) => file?.name ?? error?.code),
        ['DX-2-7.dcm', 'pacs-not-found', 'DX-2-7.dcm'],
      );
    },
  );
});

test('a study without frontal radiographs is told from one that is missing', async () => {
  await withServer(pacsOf([listed('1.2.3.1.1', 'LL')]), ({ root }) =>
    assert.rejects(all(dicomWeb(root).images(STUDY)), { code: 'pacs-empty' }),
  );
  await withServer(
    (_, response) => response.writeHead(204).end(),
    ({ root }) => assert.rejects(all(dicomWeb(root).images(STUDY)), { code: 'pacs-empty' }),
  );
});

for (const [status, code] of /** @type {const} */ ([
  [401, 'pacs-login'],
  [403, 'pacs-forbidden'],
  [404, 'pacs-not-found'],
  [406, 'pacs-type'],
  [409, 'pacs-conflict'],
  [413, 'pacs-size'],
  [500, 'pacs-status'],
  [503, 'pacs-status'],
])) {
  test(`status ${status} is ${code}, and names no credential`, async () => {
    await withServer(
      (_, response) => response.writeHead(status, { 'Content-Type': 'text/html' }).end(`<p>${TOKEN}</p>`),
      async ({ root }) => {
        const pacs = dicomWeb(root, { fetch: withToken });
        for (const failing of [all(pacs.images(STUDY)), pacs.store([instance('1.2')])]) {
          const error = await failing.then(
            () => assert.fail('it resolved'),
            (why) => why,
          );
          assert.ok(error instanceof DicomWebError);
          assert.deepEqual([error.code, error.status], [code, status]);
          assert.match(error.message, /\. .*\.|: .*\./, 'what happened and what to do');
          assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(TOKEN));
        }
      },
    );
  });
}

test('a server that is not there is pacs-network, and no credential stands in the error', async () => {
  const error = await dicomWeb('http://127.0.0.1:9/dicom-web', { fetch: withToken })
    .search(STUDY)
    .catch((why) => why);
  assert.equal(error.code, 'pacs-network');
  assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(TOKEN));
});

// ---- Storing ----------------------------------------------------------------------------------

const references = (/** @type {string[]} */ ...uids) => ({
  vr: 'SQ',
  Value: uids.map((uid) => ({ ...element('00081155', uid), ...element('00081150', '1.2.840.10008.5.1.4.1.1.88.33') })),
});
const failures = (/** @type {string[]} */ ...uids) => ({
  vr: 'SQ',
  Value: uids.map((uid) => ({ ...element('00081155', uid), ...element('00081197', 272) })),
});

test('what is stored arrives byte by byte, under the study', async () => {
  /** @type {Buffer[]} */
  const bodies = [];
  await withServer(
    (request, response) => {
      request
        .on('data', (bytes) => bodies.push(bytes))
        .on('end', () => sendJson(response, { '00081199': references('1.2.3.7', '1.2.3.8') }));
    },
    async ({ root, asked }) => {
      const objects = [instance('1.2.3.7'), new Blob([instance('1.2.3.8')])];
      const { stored } = await dicomWeb(root, { fetch: withToken }).store(objects, { studyUid: STUDY });
      assert.deepEqual(
        stored.map(({ instanceUid }) => instanceUid),
        ['1.2.3.7', '1.2.3.8'],
      );
      const { method, url, headers } = asked[0];
      assert.deepEqual([method, url, headers.authorization], ['POST', `/dicom-web/studies/${STUDY}`, `Bearer ${TOKEN}`]);
      const boundary = String(/boundary=(\w+)$/.exec(String(headers['content-type']))?.[1]);
      assert.deepEqual(Buffer.concat(bodies), multipart([instance('1.2.3.7'), instance('1.2.3.8')], boundary));
    },
  );
});

for (const [what, status, answer, code, failed] of /** @type {[string, number, object|string, string, string[]][]} */ ([
  ['one refused', 202, { '00081199': references('1.1'), '00081198': failures('1.2') }, 'pacs-partial', ['1.2']],
  ['one forgotten', 200, { '00081199': references('1.1') }, 'pacs-partial', []],
  ['a success that names nothing', 200, {}, 'pacs-partial', []],
  ['all refused', 409, { '00081198': failures('1.1', '1.2') }, 'pacs-conflict', ['1.1', '1.2']],
  ['all refused, said in words', 409, 'no', 'pacs-conflict', []],
  ['a login page', 200, '<html>', 'pacs-type', []],
  ['null', 200, 'null', 'pacs-partial', []],
])) {
  test(`storing: ${what} is ${code}`, async () => {
    await withServer(
      (request, response) => {
        request
          .resume()
          .on('end', () =>
            response
              .writeHead(status, { 'Content-Type': answer === '<html>' ? 'text/html' : 'application/dicom+json' })
              .end(typeof answer === 'string' ? answer : JSON.stringify(answer)),
          );
      },
      async ({ root }) => {
        const error = await dicomWeb(root)
          .store([instance('1.1'), instance('1.2')])
          .catch((why) => why);
        assert.deepEqual([error.code, error.failed.map((/** @type {any} */ { instanceUid }) => instanceUid)], [code, failed]);
      },
    );
  });
}

// ---- Addresses --------------------------------------------------------------------------------

test('an address is a root and UIDs, and nothing that could carry a credential or leave the root', () => {
  assert.deepEqual(studyOf('dicomweb:https://pacs.example:8443/a/dicom-web/studies/1.2.3/'), {
    root: 'https://pacs.example:8443/a/dicom-web',
    studyUid: '1.2.3',
    seriesUid: undefined,
    instanceUid: undefined,
  });
  assert.deepEqual(studyOf('https://pacs.example/studies/1.2/series/1.3/instances/1.4'), {
    root: 'https://pacs.example',
    studyUid: '1.2',
    seriesUid: '1.3',
    instanceUid: '1.4',
  });
  for (const wrong of [
    '',
    'dicomweb:',
    'https://pacs.example/dicom-web',
    'https://pacs.example/studies/abc',
    'https://pacs.example/studies/1.2?token=x',
    'https://pacs.example/dicom-web?token=x/studies/1.2',
    'https://me:secret@pacs.example/studies/1.2',
    'ftp://pacs.example/studies/1.2',
    'javascript:/studies/1.2',
    'https://pacs.example/studies/1.2/series/1.3/../1.2',
    `https://pacs.example/studies/${'1.'.repeat(40)}2`,
  ]) {
    assert.throws(() => studyOf(wrong), { name: 'DicomWebError', code: 'pacs-address' }, wrong);
  }
  assert.throws(() => dicomWeb('https://pacs.example/?key=1'), { code: 'pacs-address' });
});

test('UIDs that are none reach no server', async () => {
  await withServer(
    () => assert.fail('asked'),
    async ({ root }) => {
      const pacs = dicomWeb(root);
      for (const study of ['../1', '', '1', { studyUid: '1.2', seriesUid: '1.3/..' }, { studyUid: '1.2', instanceUid: '1.4' }])
        await assert.rejects(pacs.search(study), { code: 'pacs-address' });
      await assert.rejects(pacs.store([], { studyUid: '1/..' }), { code: 'pacs-address' });
    },
  );
});
