/** The messages of the frame: who is heard, and hostile use. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chest, SITE } from '../support.js';
import { folder, origin, visit } from './portals.js';

/**
 * Loads the frame bare and gives a way to speak to it: sends messages, waits, and tells all that came back.
 * @param {string} from the portal's origin
 * @param {string} query of the frame's address
 * @param {{ address?: string, model?: boolean }} [options] most of the protocol needs no model, and loading one takes time
 */
async function bare(from, query, { address = `${origin.lens}/embed.html`, model = false } = {}) {
  const visited = await visit(`${from}/`, [origin.lens, origin.element]);
  if (!model) await visited.context.route('**/*.cxrm', (route) => route.abort());
  await visited.page.evaluate(async (src) => {
    const frame = document.createElement('iframe');
    /** @type {any[]} */
    const heard = [];
    addEventListener('message', ({ data }) => heard.push(data));
    const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
    frame.src = src;
    document.body.append(frame);
    await loaded;
    Object.assign(window, {
      heard,
      send: (/** @type {any[]} */ messages) => messages.forEach((message) => frame.contentWindow?.postMessage(message, '*')),
    });
  }, `${address}?${query}`);
  return {
    ...visited,
    /** @param {any[]} messages @returns {Promise<any[]>} */
    async ask(messages) {
      await visited.page.evaluate((messages) => {
        const { heard, send } = /** @type {any} */ (window);
        heard.length = 0;
        send(messages);
      }, messages);
      await settled(visited.page);
      return visited.page.evaluate(() =>
        /** @type {any} */ (window).heard
          .filter((/** @type {any} */ { messageType }) => messageType === undefined)
          .map((/** @type {any} */ { responseToMessageId, payload }) => ({ to: responseToMessageId, code: payload.error?.code, payload })),
      );
    },
  };
}

/**
 * Until all frames, then the page, have had turns enough to answer: on a busy machine a time alone would not do.
 * @param {import('playwright-core').Page} page
 */
async function settled(page) {
  for (const frame of [...page.frames().slice(1), page.mainFrame()]) {
    for (let turn = 0; turn < 3; turn++) await frame.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
  }
}

const handshake = { messageId: 'h', messageType: 'status.handshake', payload: { protocol: 1 } };

test('an origin that is not on the list hears nothing, whatever it says', async () => {
  const lists = [
    '',
    'origin=*&origin=null',
    `origin=${origin.other}/`,
    `origin=${origin.frame}&origin=${origin.other}.evil.example`,
    `origin=${encodeURIComponent(origin.other.toUpperCase())}&origin=http://localhost`,
  ];
  for (const list of lists) {
    const { ask, context } = await bare(origin.other, list);
    const heard = await ask([
      handshake,
      { messageId: 'c', messageType: 'cxr.classify', payload: { image: 'x' } },
      { messageType: 'status.handshake' },
    ]);
    assert.deepEqual(heard, [], list);
    await context.close();
  }
  const { ask } = await bare(origin.other, `origin=${origin.frame}&origin=${origin.other}`);
  assert.equal((await ask([handshake])).find(({ to }) => to === 'h')?.payload.protocol, 1, 'one of several on the list is answered');
});

test('a host that names origins in embed.html itself keeps to them', async () => {
  // Nor may the page's store for offline use keep the file as it was built, or refuse the edited one.
  assert.doesNotMatch(readFileSync(join(SITE, 'precache.js'), 'utf8'), /embed\.html/);
  const fixed = join(folder, 'element/cxrlens/embed-fixed.html');
  writeFileSync(fixed, readFileSync(fixed, 'utf8').replace('ORIGIN', origin.frame));
  for (const [from, expected] of [
    [origin.other, undefined],
    [origin.frame, 1],
  ]) {
    const query = `origin=${origin.frame}&origin=${origin.other}`;
    const { ask, context } = await bare(String(from), query, { address: `${origin.element}/cxrlens/embed-fixed.html` });
    assert.equal((await ask([handshake])).find(({ to }) => to === 'h')?.payload.protocol, expected);
    await context.close();
  }
});

test('another window than the parent is not heard, though its origin is on the list', async () => {
  const { page, ask } = await bare(origin.other, `origin=${origin.frame}&origin=${origin.other}`);
  await page.evaluate(
    async (origins) => {
      for (const origin of origins) {
        const sibling = document.createElement('iframe');
        const loaded = new Promise((resolve) => sibling.addEventListener('load', resolve));
        sibling.src = `${origin}/sibling.html`;
        document.body.append(sibling);
        await loaded;
      }
    },
    [origin.frame, origin.other],
  );
  await settled(page);
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).heard), []);
  assert.equal((await ask([handshake])).find(({ to }) => to === 'h')?.payload.protocol, 1, 'the parent is answered');
});

test('malformed and premature messages: a typed error or nothing', async () => {
  const { ask, troubles } = await bare(origin.frame, `origin=${origin.frame}`);
  const noise = [
    null,
    undefined,
    0,
    '',
    'text',
    [],
    {},
    { messageId: 1, messageType: 'cxr.clear' },
    { messageId: '', messageType: {} },
    { messageId: 'x'.repeat(1e6), messageType: 'cxr.clear' },
    { responseToMessageId: 'h', payload: {} },
  ];
  assert.deepEqual(await ask(noise), []);
  const early = await ask([
    { messageId: '1', messageType: 'cxr.classify', payload: {} },
    { ...handshake, messageId: '2', payload: { protocol: 2 } },
    { messageId: '3', messageType: 'status.handshake' },
  ]);
  assert.deepEqual(
    early.map(({ to, code }) => [to, code]),
    [
      ['1', 'handshake'],
      ['2', 'protocol'],
      ['3', 'protocol'],
    ],
  );
  const [hands] = await ask([handshake]);
  assert.equal(hands.payload.protocol, 1);
  const ids = await ask([
    { messageId: '4', messageType: 'cxr.unknown' },
    { messageId: '5', messageType: 'constructor' },
    { messageId: '6', messageType: '__proto__' },
    { messageId: '7', messageType: 'cxr.classify' },
    { messageId: '8', messageType: 'cxr.classify', payload: null },
    { messageId: '9', messageType: 'cxr.classify', payload: [] },
    { messageId: '10', messageType: 'cxr.classify', payload: { image: 'data:image/png;base64,AAAA' } },
    { messageId: '11', messageType: 'cxr.configure', payload: { toString: 1 } },
    { messageId: '12', messageType: 'cxr.configure', payload: { lang: 7 } },
    { messageId: '13', messageType: 'cxr.cancel', payload: { messageId: {} } },
  ]);
  const codes = Object.fromEntries(ids.map(({ to, code }) => [to, code ?? 'done']));
  assert.deepEqual(codes, {
    4: 'message-type',
    5: 'message-type',
    6: 'message-type',
    7: 'argument',
    8: 'argument',
    9: 'argument',
    10: 'argument',
    11: 'argument',
    12: 'argument',
    13: 'done',
  });
  assert.deepEqual(
    troubles.filter((text) => !/\.cxrm/.test(text)),
    [],
  );
});

test('one messageId twice does not mix two images', async () => {
  const { page, ask } = await bare(origin.frame, `origin=${origin.frame}`, { model: true });
  await ask([handshake]);
  const seen = await page.evaluate(
    async (xrays) => {
      const { heard, send } = /** @type {any} */ (window);
      heard.length = 0;
      send(xrays.map((bytes) => ({ messageId: 'same', messageType: 'cxr.classify', payload: { image: new Uint8Array(bytes) } })));
      const answers = () =>
        heard.filter((/** @type {any} */ each) => each.responseToMessageId === 'same' && !each.additionalResponsesExpected);
      while (answers().length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
      return answers().map((/** @type {any} */ { payload }) => payload.error?.code ?? payload.result.schema);
    },
    [[...chest(0)], [...chest(1)]],
  );
  assert.deepEqual(seen, ['argument', 'cxrlens.result/2']);
});
