/**
 * The page around <cxr-lens>: language and appearance, drops and keys anywhere, the count of what was sent,
 * offline use. The element does everything with images.
 */

import './define.js';
import { loadReport, showReport } from './page/about.js';
import { Words, loadStrings, pickLanguage } from './shared/words.js';
import { countTraffic } from './page/traffic.js';
import { goOffline } from './page/offline.js';
import { keep, load, wipe } from './page/session-store.js';
import english from './strings/page.en.js';

/** @typedef {import('./element.js').CxrLens} CxrLens */

const lens = /** @type {CxrLens} */ (byId('lens'));
let words = new Words('en', english);
/** The page's own words; the element's come with it. @type {Record<string, () => Promise<{ default: import('./shared/words.js').Strings }>>} */
const PAGE_STRINGS = { en: async () => ({ default: english }), ko: () => import('./strings/page.ko.js') };
/** @type {import('./page/traffic.js').Traffic | null} null until the first image */
let traffic = null;
let stored = false;
/** @type {import('./page/about.js').Report | null} */
let report = null;
/** @type {(() => void) | null} starts the new version that waits */
let startUpdate = null;

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** A remembered choice; private windows may forbid remembering. @param {string} key */
function recall(key) {
  try {
    return localStorage.getItem(`cxrlens.${key}`);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string} value @returns {boolean} false: the choice lasts as long as the page */
function remember(key, value) {
  try {
    localStorage.setItem(`cxrlens.${key}`, value);
    return true;
  } catch {
    return false;
  }
}

// Language and appearance

/** @param {string} language */
async function setLanguage(language) {
  const select = /** @type {HTMLSelectElement} */ (byId('language'));
  const found = await Promise.all([loadStrings(language), PAGE_STRINGS[language]()]).catch(() => null);
  if (select.value !== language) return; // another was chosen meanwhile
  if (!found) {
    select.value = words.language;
    return;
  }
  const [own, page] = found;
  words = new Words(language, { ...own, ...page.default });
  document.documentElement.lang = language;
  document.title = words.text('page.title');
  for (const node of document.querySelectorAll('[data-t]'))
    node.textContent = words.text(/** @type {HTMLElement} */ (node).dataset.t ?? '');
  lens.lang = language;
  showTraffic();
  showNetwork();
  showFigures();
  showKept();
}

function setUpLanguage() {
  const select = /** @type {HTMLSelectElement} */ (byId('language'));
  const language = pickLanguage([new URLSearchParams(location.search).get('lang'), recall('language'), ...navigator.languages]);
  select.value = language;
  select.addEventListener('change', () => {
    remember('language', select.value);
    setLanguage(select.value);
  });
  setLanguage(language);
}

function setUpTheme() {
  const select = /** @type {HTMLSelectElement} */ (byId('theme'));
  const apply = () => {
    document.documentElement.dataset.theme = select.value;
  };
  select.value = recall('theme') ?? 'auto';
  select.addEventListener('change', () => {
    remember('theme', select.value);
    apply();
  });
  apply();
}

// Drops, paste and keys anywhere

function setUpInput() {
  for (const kind of ['dragover', 'dragleave', 'drop']) {
    document.addEventListener(kind, (event) => document.body.classList.toggle('dropping', event.type === 'dragover'));
  }
  // What the element itself got is prevented already, and addFrom then leaves it alone.
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => lens.addFrom(event, event.dataTransfer));
  document.addEventListener('paste', (event) => lens.addFrom(event, event.clipboardData));
  document.addEventListener('keydown', (event) => {
    // Only keys that no control has: a control handles its own keys.
    if (event.target === document.body) lens.handleKey(event);
  });
  const launched = /** @type {any} */ (window).launchQueue;
  launched?.setConsumer(async (/** @type {{ files: FileSystemFileHandle[] }} */ { files }) => {
    const opened = await Promise.allSettled(files.map((handle) => handle.getFile()));
    lens.add(opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
  });
}

// Samples and figures

/** @param {string} name @returns {Promise<File>} */
async function sample(name) {
  const response = await fetch(new URL(`./samples/${name}`, import.meta.url));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new File([await response.blob()], name, { type: 'image/jpeg' });
}

function setUpSamples() {
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll('[data-sample]'))) {
    const names = (button.dataset.sample ?? '').split(' ');
    button.addEventListener('click', () =>
      Promise.all(names.map(sample)).then(
        (files) => lens.add(files),
        (error) => console.warn(error),
      ),
    );
  }
}

function showFigures() {
  const about = /** @type {HTMLDetailsElement} */ (byId('about'));
  if (report && about.open) showReport(byId('figures'), report, words);
}

// What was sent

function showTraffic() {
  const requests = traffic?.requests ?? [];
  const blocked = traffic?.blocked ?? [];
  byId('sent').textContent = requests.length > 0 ? words.text('page.sent.some', { n: requests.length }) : words.text('page.sent.zero');
  byId('sent-none').hidden = requests.length > 0;
  byId('sent-blocked').hidden = blocked.length === 0;
  if (blocked.length > 0) byId('sent-blocked').textContent = words.text('page.sent.blocked', { n: blocked.length });
  byId('sent-list').replaceChildren(
    ...requests.slice(-50).map((url) => {
      const line = document.createElement('li');
      line.textContent = url;
      return line;
    }),
  );
}

function showNetwork() {
  byId('network').textContent = stored ? words.text(navigator.onLine ? 'page.stored' : 'page.offline') : '';
}

function setUpCounts() {
  lens.addEventListener('cxr-progress', (event) => {
    const { total } = event.detail;
    document.body.classList.toggle('working', total > 0);
    showUpdate();
    if (total > 0 && !traffic)
      countTraffic((now) => {
        traffic = now;
        showTraffic();
      });
  });
  lens.addEventListener('cxr-ready', (event) => {
    const { model, kernels, version } = event.detail;
    document.body.classList.add('ready');
    byId('model').textContent = `${model.id} ${model.version} · SHA-256 ${model.sha256} · CXR Lens ${version} (${kernels})`;
  });
}

// A session to keep

/** Whether the user wants the session kept; stored with the images. */
let keeping = false;
let keptCount = 0;
/** Whether all images are kept. */
let allKept = false;
/** What writes are waiting for: they must not overtake each other. */
let writing = Promise.resolve();

/** @param {string} [trouble] the words for it */
function showKept(trouble) {
  /** @type {HTMLInputElement} */ (byId('keep')).checked = keeping;
  byId('wipe').hidden = !keeping;
  showUpdate(); // which says what it loses
  byId('kept').textContent = trouble ? words.text(trouble) : keeping ? words.text('page.keep.count', { n: keptCount }) : '';
}

function keepNow() {
  writing = writing
    .then(async () => {
      if (!keeping || recall('keep') !== 'yes') return;
      keptCount = await keep(lens.images);
      allKept = keptCount === lens.progress.total;
      showKept();
    })
    .catch(() => showKept('page.keep.failed'));
}

function forget() {
  keeping = false;
  writing = writing.then(wipe).then(
    () => {
      if (!keeping) remember('keep', 'no'); // or the box was ticked again meanwhile
      keptCount = 0;
      showKept();
    },
    () => {
      keeping = true;
      showKept('page.keep.stays');
    },
  );
}

async function setUpSession() {
  const box = /** @type {HTMLInputElement} */ (byId('keep'));
  box.addEventListener('change', () => {
    if (!box.checked) return forget();
    keeping = remember('keep', 'yes'); // or it would be kept for nobody
    if (!keeping) return showKept('page.keep.failed');
    navigator.storage?.persist?.(); // or a full disk may take it
    keepNow();
  });
  byId('wipe').addEventListener('click', forget);
  lens.addEventListener('cxr-progress', (event) => {
    if (event.detail.open > 0) allKept = false;
    else if (keeping) keepNow();
  });
  // Another tab wiped what is kept: this one must not write it down again.
  window.addEventListener('storage', ({ key }) => {
    if (key !== 'cxrlens.keep' || recall('keep') === 'yes') return;
    keeping = false;
    showKept();
  });
  if (recall('keep') !== 'yes') return;
  const images = await load().catch((error) => console.warn('What was kept cannot be read:', error));
  if (!images) {
    showKept('page.keep.unread');
    byId('wipe').hidden = false;
    return;
  }
  keeping = true;
  keptCount = images.length;
  showKept();
  if (images.length > 0) lens.add(images);
}

// Offline use

/** An update never interrupts a run. */
function showUpdate() {
  const running = lens.progress.open > 0;
  byId('update').hidden = !startUpdate;
  byId('update-wait').hidden = !running;
  byId('update-lost').hidden = (keeping && allKept) || lens.progress.total === 0;
  /** @type {HTMLButtonElement} */ (byId('update-go')).disabled = running;
}

function setUpOffline() {
  byId('update-go').addEventListener('click', () => startUpdate?.());
  goOffline({
    onstored: (whole) => {
      stored = whole;
      showNetwork();
    },
    onupdate: (start, begun) => {
      if (begun && lens.progress.total === 0) return start(); // what an old page still has to load would be of the new version
      startUpdate = start;
      showUpdate();
    },
    onshared: (files) => lens.add(files),
  }).catch((error) => console.warn('Offline use is not available:', error));
}

function setUpInstall() {
  const button = byId('install');
  /** @type {any} the browser's offer, which it makes once */
  let offer = null;
  window.addEventListener('beforeinstallprompt', (event) => {
    event.preventDefault();
    offer = event;
    button.hidden = false;
  });
  button.addEventListener('click', () => {
    button.hidden = true;
    offer?.prompt();
  });
  // An installed page must not lose its model when the disk gets full.
  window.addEventListener('appinstalled', () => navigator.storage?.persist?.());
}

byId('about').addEventListener('toggle', showFigures);
setUpTheme();
setUpLanguage();
setUpSamples();
setUpInput();
setUpCounts();
setUpInstall();
setUpSession();
// The first image matters more than the next visit: store for offline use once the classifier stands.
lens.ready.then(setUpOffline, setUpOffline);
// Now, so that the page sends no request once there are images.
lens.ready.then(() => lens.preload()).catch(() => {});
loadReport(new URL('./evaluation.json', import.meta.url)).then(
  (found) => {
    report = found;
    showFigures();
  },
  (error) => console.warn('The model’s figures are not at hand:', error),
);
