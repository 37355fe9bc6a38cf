/**
 * The script of embed.html: <cxr-lens> in a frame, driven by messages of the page around it, the host. The host
 * may use cxrlens-embed.js, or speak the protocol itself; README.md has it.
 *
 * Only the parent is heard, only from an origin on the list, and only it is answered, never '*'. The list is the
 * `origin`s of the frame's address; where embed.html names origins itself, the address can only choose among them.
 * Also in the address: `lang`, `theme`.
 */

import './define.js';

/** What this frame speaks; a change that breaks hosts counts it up. */
const PROTOCOL = 1;

/**
 * @typedef {{ messageId: string, messageType: string, payload: Record<string, any> }} Request after SMART Web Messaging
 * @typedef {(payload: Record<string, any>, request: Request) => unknown} Handler answers at once, or later by a promise
 */

const lens = /** @type {import('./element.js').CxrLens} */ (document.querySelector('cxr-lens'));
const query = new URLSearchParams(location.search);
const allowed = allowedOrigins();

/** Origin of the host, once it has shaken hands. @type {string | null} */
let host = null;
/** How the classifier does, for hosts that come later. @type {{ info: object | null, error: object | null }} */
let state = { info: null, error: null };
/** Requests to classify that have no response yet. @type {Map<string, AbortController>} */
const running = new Map();
let lastId = 0;

// ---- settings ---------------------------------------------------------------------------------------------

const isText = (/** @type {unknown} */ value) => typeof value === 'string' && value.length < 256;
const isSwitch = (/** @type {unknown} */ value) => typeof value === 'boolean';

/** What a host may set: a test of the value, and what it does. @type {Record<string, [(value: any) => boolean, (value: any) => void]>} */
const SETTINGS = {
  lang: [
    isText,
    (lang) => {
      document.documentElement.lang = lens.lang = lang;
    },
  ],
  theme: [
    (theme) => ['auto', 'light', 'dark'].includes(theme),
    (theme) => {
      document.documentElement.style.colorScheme = theme === 'auto' ? '' : theme;
    },
  ],
  multiple: [
    isSwitch,
    (on) => {
      lens.multiple = on;
    },
  ],
  disabled: [
    isSwitch,
    (on) => {
      lens.disabled = on;
    },
  ],
  noGuidance: [
    isSwitch,
    (on) => {
      lens.noGuidance = on;
    },
  ],
  noKeys: [
    isSwitch,
    (on) => {
      lens.noKeys = on;
    },
  ],
  doubtThreshold: [
    (p) => p === null || (typeof p === 'number' && p >= 0 && p <= 1),
    (p) => {
      lens.doubtThreshold = p;
    },
  ],
};

/** All or nothing. @param {Record<string, unknown>} settings */
function configure(settings) {
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(SETTINGS, name)) throw failure('argument', `There is no setting "${name.slice(0, 40)}".`);
    if (!SETTINGS[name][0](value)) throw failure('argument', `The value of "${name}" is of no use.`);
  }
  for (const [name, value] of Object.entries(settings)) SETTINGS[name][1](value);
}

// ---- requests ---------------------------------------------------------------------------------------------

/** @type {Record<string, Handler>} */
const HANDLERS = {
  'status.handshake': ({ protocol }) => {
    if (protocol !== PROTOCOL) throw failure('protocol', `This frame speaks version ${PROTOCOL} of the protocol.`);
    return { protocol: PROTOCOL, ...state };
  },
  'cxr.configure': (payload) => configure(payload),
  'cxr.classify': classify,
  'cxr.cancel': ({ messageId }) => {
    if (messageId === undefined) lens.cancel();
    else running.get(messageId)?.abort();
  },
  'cxr.clear': () => lens.clear(),
};

/** @param {Record<string, any>} payload @param {Request} request */
async function classify({ image, file }, request) {
  const isImage = image instanceof Blob || image instanceof ArrayBuffer || ArrayBuffer.isView(image);
  if (!isImage || !(file === undefined || isText(file))) throw failure('argument', '`image` is a Blob or bytes, `file` its name.');
  if (running.has(request.messageId)) throw failure('argument', 'This messageId is in use.');
  const controller = new AbortController();
  running.set(request.messageId, controller);
  answer(request, { state: 'accepted' }, true);
  try {
    // A name that is given counts, whatever the image is called.
    const named = image instanceof File && file === undefined ? image : new File([/** @type {BlobPart} */ (image)], file ?? 'image');
    return { result: await lens.classify(named, { signal: controller.signal }) };
  } finally {
    running.delete(request.messageId);
  }
}

// ---- messages ---------------------------------------------------------------------------------------------

/** @param {MessageEvent} event */
async function receive({ source, origin, data }) {
  if (source !== parent || source === window || !allowed.has(origin)) return;
  const { messageId, messageType, payload = {} } = Object(data);
  // What is not a request may be meant for others, and gets no answer.
  if (!isText(messageId) || !isText(messageType)) return;
  const request = { messageId, messageType, payload };
  try {
    if (Object.prototype.toString.call(payload) !== '[object Object]') throw failure('argument', 'The payload is not an object.');
    if (!Object.hasOwn(HANDLERS, messageType)) throw failure('message-type', 'This frame does not know such messages.');
    if (messageType !== 'status.handshake' && host !== origin) throw failure('handshake', 'The first message is status.handshake.');
    const said = await HANDLERS[messageType](payload, request);
    if (messageType === 'status.handshake') host = origin;
    answer(request, said ?? {}, false, origin);
    if (messageType === 'status.handshake') tellHeight();
  } catch (error) {
    const { code = 'unknown', message } = /** @type {any} */ (error);
    answer(request, { error: { code, message } }, false, origin);
  }
}

/**
 * @param {Request} request
 * @param {unknown} payload
 * @param {boolean} [more] whether further answers follow
 * @param {string | null} [to]
 */
function answer({ messageId }, payload, more = false, to = host) {
  post({ responseToMessageId: messageId, additionalResponsesExpected: more, payload }, to);
}

/** Sends an event to the host. @param {string} messageType @param {unknown} payload */
const tell = (messageType, payload) => post({ messageType, payload }, host);

/** @param {object} message @param {string | null} to */
function post(message, to) {
  if (to !== null) parent.postMessage({ messageId: `frame-${++lastId}`, ...message }, to);
}

const tellHeight = () => tell('cxr.resize', { height: Math.ceil(document.documentElement.getBoundingClientRect().height) });

/** @param {string} code @param {string} message */
const failure = (code, message) => Object.assign(new Error(message), { code });

function allowedOrigins() {
  const own = document.querySelector('meta[name=cxr-origins]')?.getAttribute('content')?.split(/\s+/).filter(Boolean) ?? [];
  const asked = query.getAll('origin').filter((origin) => URL.canParse(origin) && new URL(origin).origin === origin);
  return new Set(own.length > 0 ? asked.filter((origin) => own.includes(origin)) : asked);
}

// ---- start ------------------------------------------------------------------------------------------------

// In script, for the policy allows no style in the page. An image as high as a share of a frame that grows with it
// would never come to rest.
const sheet = new CSSStyleSheet();
sheet.replaceSync('body { margin: 0; padding: 2px } cxr-lens::part(stage) { max-height: 40rem }');
document.adoptedStyleSheets = [sheet];

for (const name of ['lang', 'theme']) {
  const value = query.get(name);
  if (value !== null && SETTINGS[name][0](value)) SETTINGS[name][1](value);
}
lens.addEventListener('cxr-ready', (event) => {
  state = { info: event.detail, error: null };
});
lens.addEventListener('cxr-error', (event) => {
  const { error, file } = event.detail;
  if (file === null) state = { info: null, error };
});
for (const kind of ['ready', 'progress', 'result', 'error']) {
  lens.addEventListener(`cxr-${kind}`, (event) => tell(`cxr.${kind}`, /** @type {CustomEvent} */ (event).detail));
}
// An image dropped beside the element would take the frame's place.
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('drop', (event) => lens.addFrom(event, event.dataTransfer));
addEventListener('paste', (event) => lens.addFrom(event, event.clipboardData));
new ResizeObserver(tellHeight).observe(document.documentElement);
addEventListener('message', receive);
