/** Foreign pages: the element under a strict policy, the frame on another origin, and hostile use of both. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { transform } from 'esbuild';
import { createStaticServer } from '../../../web/server/serve.js';
import { chest, file, PATIENCE, SITE, stage } from '../support.js';

/** What a careful portal allows. */
const STRICT = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

const site = stage();
const folder = mkdtempSync(join(tmpdir(), 'cxrlens-portal-'));
/** Origins: of a portal with the element, of one with the frame, and of the frame's host. */
const origin = { element: '', frame: '', other: '', lens: '' };
/** @type {import('node:http').Server[]} */
const servers = [];

/**
 * Serves a folder under a policy of its own, on an origin of its own.
 * @param {string} root
 * @param {string} policy
 */
async function serve(root, policy) {
  const files = await createStaticServer(root);
  const server = createServer((request, response) => {
    const set = response.setHeader.bind(response);
    response.setHeader = (name, value) => set(name, name === 'Content-Security-Policy' ? policy : value);
    files.emit('request', request, response);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://localhost:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
}

before(async () => {
  cpSync(SITE, join(folder, 'element/cxrlens'), { recursive: true });
  writeFileSync(join(folder, 'element/later.cxrm'), laterFormat());
  origin.element = await serve(join(folder, 'element'), STRICT);
  origin.lens = await serve(SITE, 'frame-ancestors *');
  // The portal has the host's script and its own page, nothing else.
  mkdirSync(join(folder, 'frame/examples'), { recursive: true });
  cpSync(join(SITE, 'cxrlens-embed.js'), join(folder, 'frame/cxrlens-embed.js'));
  cpSync(join(SITE, 'examples/iframe.html'), join(folder, 'frame/examples/iframe.html'));
  writeFileSync(join(folder, 'frame/index.html'), '<!doctype html><title>Portal</title><div id="lens"></div>');
  writeFileSync(join(folder, 'frame/sibling.html'), '<!doctype html><title>Sibling</title><script src="sibling.js"></script>');
  writeFileSync(
    join(folder, 'frame/sibling.js'),
    `
    addEventListener('message', ({ data }) => parent.postMessage({ sibling: data }, '*'));
    parent.frames[0].postMessage({ messageId: 's', messageType: 'status.handshake', payload: { protocol: 1 } }, '*');
    parent.frames[0].postMessage({ messageId: 't', messageType: 'cxr.clear' }, '*');`,
  );
  const entry = readFileSync(join(SITE, 'embed.html'), 'utf8');
  assert.ok(entry.includes('content=""'));
  writeFileSync(join(folder, 'element/cxrlens/embed-fixed.html'), entry.replace('content=""', 'content="https://a.example ORIGIN"'));
  const script = readFileSync(join(SITE, 'examples/iframe.js'), 'utf8');
  assert.ok(script.includes('https://lens.example'));
  writeFileSync(join(folder, 'frame/examples/iframe.js'), script.replace('https://lens.example', origin.lens));
  origin.frame = await serve(join(folder, 'frame'), `default-src 'self'; frame-src ${origin.lens} ${origin.element}`);
  origin.other = await serve(
    join(folder, 'frame'),
    `default-src 'self'; frame-src 'self' ${origin.lens} ${origin.frame} ${origin.element}`,
  );
});
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

/** The published model with the number of a format that is yet to come. */
function laterFormat() {
  const bytes = readFileSync(`${SITE}/cxrlens.cxrm`);
  bytes.writeUInt32LE(bytes.readUInt32LE(4) + 1, 4);
  return bytes;
}

/**
 * A page of a portal, and what it must never have: errors, and requests to origins that are not its own or allowed.
 * @param {string} url
 * @param {string[]} [also] allowed origins
 */
async function visit(url, also = []) {
  const context = await site.browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  /** @type {string[]} */
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/favicon/.test(message.location().url)) troubles.push(`${message.text()} ${message.location().url}`);
  });
  context.on('request', (request) => {
    const where = new URL(request.url());
    if (where.protocol.startsWith('http') && ![new URL(url).origin, ...also].includes(where.origin)) troubles.push(`request to ${where}`);
  });
  await page.goto(url);
  return { context, page, troubles };
}

/** Waits for a line of the portal's own page. @param {import('playwright-core').Page} page @param {RegExp} pattern */
async function answered(page, pattern) {
  await page.locator('#answer').filter({ hasText: pattern }).waitFor();
}

// ---- the element ------------------------------------------------------------------------------------------

test('the example with the element runs on a foreign page, under a strict policy, from one copied folder', async () => {
  const { context, page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  await page.locator('cxr-lens .status[data-state=ready]').waitFor({ state: 'attached' });
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('a.png', chest(1)));
  await answered(page, /^a\.png: (normal|covid-19|viral-pneumonia|lung-opacity|uncertain|not-a-chest-x-ray)/);
  await page.locator('cxr-lens h2.verdict').waitFor();
  await page
    .locator('cxr-lens input[type=file]')
    .first()
    .setInputFiles(file('b.png', Buffer.from('no image')));
  await answered(page, /^b\.png: .*\[image-format\]$/);
  const seen = await page.evaluate(async () => ({
    film: new FormData(/** @type {HTMLFormElement} */ (document.querySelector('form'))).get('film'),
    workers: (await navigator.serviceWorker.getRegistrations()).length,
    stored:
      Object.keys(localStorage).length +
      Object.keys(sessionStorage).length +
      (await indexedDB.databases()).length +
      (await caches.keys()).length,
    isolated: crossOriginIsolated,
  }));
  assert.equal(seen.film, '[]', 'an image that failed leaves no result');
  assert.deepEqual([seen.workers, seen.stored, seen.isolated], [0, 0, false], 'no service worker, no storage, no isolation');
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual(troubles, []);
});

test('a model of a later format: a typed error, for those who wait too, and a way on', async () => {
  const { page } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const codes = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {any} */ (document.createElement('cxr-lens'));
      const event = new Promise((resolve) =>
        lens.addEventListener('cxr-error', (/** @type {any} */ e) => resolve(e.detail.error.code), { once: true }),
      );
      lens.modelUrl = '/later.cxrm';
      document.body.append(lens);
      const codeOf = (/** @type {any} */ error) => error.code;
      const early = await lens.classify(new Uint8Array(bytes)).catch(codeOf);
      const late = await lens.classify(new Uint8Array(bytes)).catch(codeOf);
      const ready = await lens.ready.catch(codeOf);
      const told = await event;
      lens.modelUrl = '/cxrlens/cxrlens.cxrm';
      const { schema } = await lens.classify(new Uint8Array(bytes));
      return { early, late, ready, told, schema };
    },
    [...chest()],
  );
  assert.deepEqual(codes, {
    early: 'model-version',
    late: 'model-version',
    ready: 'model-version',
    told: 'model-version',
    schema: 'cxrlens.result/2',
  });
});

test('two models at once keep apart, and so do the results of many elements', async () => {
  const { page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const films = [0, 1, 2].map((seed) => [...chest(seed)]);
  const seen = await page.evaluate(async (films) => {
    const make = (/** @type {string} */ model) => {
      const lens = /** @type {any} */ (document.createElement('cxr-lens'));
      lens.multiple = true;
      if (model) lens.modelUrl = model;
      document.body.append(lens);
      return lens;
    };
    const lenses = [make(''), make('/cxrlens/cxrlens.cxrm'), make(''), make('/later.cxrm')];
    return Promise.all(
      lenses.map((lens) =>
        Promise.all(
          films.map(async (bytes) => {
            const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
            const own = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
            return lens.classify(new Uint8Array(bytes)).then(
              (/** @type {any} */ { sha256, classes }) => [sha256 === own, JSON.stringify(classes)],
              (/** @type {any} */ { code }) => code,
            );
          }),
        ),
      ),
    );
  }, films);
  assert.ok(
    seen[0].every(([own]) => own === true),
    'each answer is of the image it was asked about',
  );
  assert.deepEqual(seen[1], seen[0]);
  assert.deepEqual(seen[2], seen[0]);
  assert.deepEqual(
    seen[3],
    films.map(() => 'model-version'),
  );
  assert.deepEqual(troubles, []);
});

test('abort at any moment: an answer or a typed error, never silence; the next image is read', async () => {
  const { page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const seen = await page.evaluate(
    async (bytes) => {
      const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
      lens.multiple = true;
      const image = new Blob([new Uint8Array(bytes)]);
      const told = (/** @type {Promise<any>} */ promise) =>
        promise.then(
          ({ schema }) => schema,
          ({ code }) => code,
        );
      const before = AbortSignal.abort();
      const outcomes = [await told(lens.classify(image, { signal: before }))];
      await lens.ready;
      for (const delay of [-1, 0, 1, 4, 16, 64, 256]) {
        const controller = new AbortController();
        const running = [told(lens.classify(image, { signal: controller.signal })), told(lens.classify(image))];
        if (delay < 0) controller.abort();
        else setTimeout(() => controller.abort(), delay);
        outcomes.push(...(await Promise.all(running)));
      }
      const pending = told(lens.classify(image));
      lens.remove();
      outcomes.push(await pending);
      lens.disabled = true;
      outcomes.push(await told(lens.classify(image)));
      return outcomes;
    },
    [...chest(0, 512)],
  );
  assert.equal(seen[0], 'aborted');
  assert.equal(seen[1], 'aborted');
  for (const [k, each] of seen.slice(1, -2).entries()) {
    if (k % 2) assert.equal(each, 'cxrlens.result/2', 'its neighbour is not touched');
    else assert.match(each, /^(aborted|cxrlens\.result\/2)$/);
  }
  assert.deepEqual(seen.slice(-2), ['aborted', 'disabled']);
  assert.deepEqual(troubles, []);
});

test('a file of 1 GB and things that are no image are refused at once', async () => {
  const { page, troubles } = await visit(`${origin.element}/cxrlens/examples/element.html`);
  const codes = await page.evaluate(async () => {
    const lens = /** @type {any} */ (document.querySelector('cxr-lens'));
    lens.multiple = true;
    const block = new Blob([new Uint8Array(2 ** 24)]);
    const inputs = [
      new Blob(Array(64).fill(block)),
      new Uint8Array(300 * 2 ** 20),
      new Blob([]),
      'text',
      null,
      undefined,
      {},
      [1, 2],
      new ImageData(1, 1),
    ];
    return Promise.all(
      inputs.map((input) =>
        lens.classify(input).then(
          () => 'taken',
          (/** @type {any} */ { code }) => code,
        ),
      ),
    );
  });
  assert.deepEqual(codes.slice(0, 3), ['image-file-size', 'image-file-size', 'image-empty']);
  for (const code of codes.slice(3)) assert.match(code, /^(image-format|image-small|argument)$/);
  assert.deepEqual(troubles, []);
});

// ---- the frame --------------------------------------------------------------------------------------------

test('the host’s script is below 2 KB, minified and by gzip', async (t) => {
  const { code } = await transform(readFileSync(`${SITE}/cxrlens-embed.js`, 'utf8'), { minify: true, format: 'esm' });
  const size = gzipSync(code, { level: 9 }).length;
  t.diagnostic(`${size} bytes`);
  assert.ok(size < 2048, `${size}`);
  assert.doesNotMatch(code, /\bimport\b/, 'it is copied to other sites by itself');
});

test('the example with the frame needs only frame-src', async () => {
  const { page, troubles } = await visit(`${origin.frame}/examples/iframe.html`, [origin.lens]);
  const lens = page.frameLocator('iframe').locator('cxr-lens');
  await lens.locator('.status[data-state=ready]').waitFor({ state: 'attached' });
  const before = (await page.locator('iframe').boundingBox())?.height ?? 0;
  await lens
    .locator('input[type=file]')
    .first()
    .setInputFiles(file('dropped.png', chest(1)));
  await answered(page, /^dropped\.png: [a-z]/);
  await page.locator('body > input').setInputFiles(file('given.png', chest(2)));
  await page.locator('#answer[data-verdict]').waitFor();
  await page.waitForFunction((height) => /** @type {HTMLElement} */ (document.querySelector('iframe')).clientHeight > height, before);
  await page.locator('body > input').setInputFiles(file('bad.png', Buffer.from('no image')));
  await answered(page, /\[image-format\]$/);
  assert.equal(await page.locator('iframe').evaluate((frame) => frame.scrollHeight > frame.clientHeight), false);
  assert.deepEqual(troubles, []);
});

/**
 * Opens the frame's portal with the host's script loaded.
 * @param {string} [from]
 */
async function portal(from = origin.frame) {
  const visited = await visit(`${from}/`, [origin.lens]);
  await visited.page.evaluate(
    async ({ lens }) => {
      const { embed } = await import(/** @type {string} */ ('/cxrlens-embed.js'));
      const self = /** @type {any} */ (window);
      self.open_ = (/** @type {object} */ options) => embed(document.querySelector('#lens'), `${lens}/embed.html`, options);
      self.told = (/** @type {Promise<any>} */ promise) =>
        promise.then(
          (value) => value?.schema ?? 'done',
          ({ code }) => code,
        );
    },
    { lens: origin.lens },
  );
  return visited;
}

test('promises, events, settings, cancelling and removal through the host’s script', async () => {
  const { page, troubles } = await portal();
  const seen = await page.evaluate(
    async (bytes) => {
      const { open_, told } = /** @type {any} */ (window);
      /** @type {string[]} */
      const events = [];
      const lens = await open_({ lang: 'ko', theme: 'dark' });
      for (const kind of ['ready', 'progress', 'result', 'error']) lens.addEventListener(`cxr-${kind}`, () => events.push(kind));
      const given = new Uint8Array(bytes);
      const result = await lens.classify(given, { file: 'given.png' });
      const called = new File([new Uint8Array(bytes)], 'own.png');
      const names = [(await lens.classify(called)).file, (await lens.classify(called, { file: 'case-17' })).file];
      const many = await Promise.all([
        told(lens.classify(new Blob([new Uint8Array(bytes)]))),
        told(lens.classify(new Blob(['no image']))),
        told(lens.classify('text')),
      ]);
      const controller = new AbortController();
      const aborted = [
        told(lens.classify(new Blob([new Uint8Array(bytes)]), { signal: controller.signal })),
        told(lens.classify(new Uint8Array(9), { signal: AbortSignal.abort() })),
      ];
      controller.abort();
      const wrong = await told(lens.configure({ theme: 'pink' }));
      const unknown = await told(lens.configure({ modelUrl: 'https://evil.example/' }));
      await lens.configure({ disabled: true });
      const disabled = await told(lens.classify(new Uint8Array(bytes)));
      await lens.configure({ disabled: false, doubtThreshold: 1, noGuidance: true });
      await lens.clear();
      await lens.cancel();
      // The user loads the frame anew: what is pending ends, and the settings come back.
      const pending = told(lens.classify(new Blob([new Uint8Array(bytes)])));
      const src = lens.frame.src;
      lens.frame.src = 'about:blank';
      const lost = await pending;
      lens.frame.src = src;
      await new Promise((resolve) => lens.addEventListener('cxr-ready', resolve, { once: true }));
      const again = await told(lens.classify(new Uint8Array(bytes)));
      const last = told(lens.classify(new Uint8Array(bytes)));
      lens.remove();
      return {
        result,
        names,
        gone: given.byteLength,
        many,
        aborted: await Promise.all(aborted),
        wrong,
        unknown,
        disabled,
        lost,
        again,
        last: await last,
        after: await told(lens.classify(new Uint8Array(bytes))),
        info: lens.info.model.classes.length,
        kinds: [...new Set(events)].sort(),
        frames: document.querySelectorAll('iframe').length,
      };
    },
    [...chest(1)],
  );
  assert.deepEqual(seen.names, ['own.png', 'case-17']);
  assert.equal(seen.result.schema, 'cxrlens.result/2');
  assert.equal(seen.result.file, 'given.png');
  assert.equal(seen.result.maps.opacities.values.length, 144);
  assert.equal(seen.gone, 0, 'the bytes were given away, not copied');
  assert.deepEqual(seen.many, ['cxrlens.result/2', 'image-format', 'argument']);
  assert.deepEqual(seen.aborted, ['aborted', 'aborted']);
  assert.deepEqual([seen.wrong, seen.unknown, seen.disabled], ['argument', 'argument', 'disabled']);
  assert.deepEqual([seen.lost, seen.again, seen.last, seen.after], ['aborted', 'cxrlens.result/2', 'aborted', 'aborted']);
  assert.equal(seen.info, 4);
  for (const kind of ['error', 'progress', 'result']) assert.ok(seen.kinds.includes(kind), kind);
  assert.equal(seen.frames, 0);
  assert.deepEqual(
    troubles.filter((text) => !/postMessage.*about:blank|target origin/.test(text)),
    [],
  );
});

test('language and theme reach the frame, from its address and by message', async () => {
  const { page } = await portal();
  await page.evaluate(async () => {
    /** @type {any} */ (window).lens = await /** @type {any} */ (window).open_({ lang: 'ko', theme: 'dark' });
  });
  const inside = /** @type {import('playwright-core').Frame} */ (page.frames().find((frame) => frame.url().includes('embed.html')));
  const looks = () =>
    inside.evaluate(() => ({ lang: document.documentElement.lang, scheme: getComputedStyle(document.documentElement).colorScheme }));
  assert.deepEqual(await looks(), { lang: 'ko', scheme: 'dark' });
  await page.evaluate(() => /** @type {any} */ (window).lens.configure({ lang: 'en', theme: 'light' }));
  assert.deepEqual(await looks(), { lang: 'en', scheme: 'light' });
  await inside.goto(`${origin.lens}/embed.html?lang=ko&theme=dark`);
  assert.deepEqual(await looks(), { lang: 'ko', scheme: 'dark' });
});

test('where no frame of ours is, a host gets a typed error', async () => {
  const { page } = await portal();
  const code = await page.evaluate(async (lens) => {
    const { embed } = await import(/** @type {string} */ ('/cxrlens-embed.js'));
    return embed(document.querySelector('#lens'), `${lens}/missing.html`, { patience: 1500 }).catch(
      (/** @type {any} */ error) => error.code,
    );
  }, origin.lens);
  assert.equal(code, 'timeout');
  assert.equal(await page.locator('iframe').count(), 0);
});

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
    async (films) => {
      const { heard, send } = /** @type {any} */ (window);
      heard.length = 0;
      send(films.map((bytes) => ({ messageId: 'same', messageType: 'cxr.classify', payload: { image: new Uint8Array(bytes) } })));
      const answers = () =>
        heard.filter((/** @type {any} */ each) => each.responseToMessageId === 'same' && !each.additionalResponsesExpected);
      while (answers().length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
      return answers().map((/** @type {any} */ { payload }) => payload.error?.code ?? payload.result.schema);
    },
    [[...chest(0)], [...chest(1)]],
  );
  assert.deepEqual(seen, ['argument', 'cxrlens.result/2']);
});
