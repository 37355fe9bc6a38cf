/**
 * A report to print or save as PDF: image, map, figures, model and notice. It is built in a frame of its
 * own, so that the host page's styles and content stay out of it.
 */

import { h } from '../shared/dom.js';
import { laterWords } from '../shared/deferred-words.js';
import { Film, PLAIN, paintFilm } from '../viewer/image.js';
import { MAP_SIDE, paintMap, reach } from '../viewer/colormap.js';
import { factsOf, isRefusal, topClass, warningText, warningsOf } from '../shared/result.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../shared/words.js').Words} Words
 *
 * @typedef {object} Choice
 * @property {boolean} names whether file names are printed
 * @property {(item: Item) => string} verdict the answer to print
 * @property {(item: Item) => import('../viewer/occlusion.js').CoverMap | null} cover printed in place of the map, if it was made
 * @property {string} version of the software
 */

/** Images printed in full; a longer batch is printed as a table. */
const MOST_PAGES = 60;
/** Width of a printed image in pixels: 300 dots an inch at 6 cm. */
const PRINT_WIDTH = 700;

const STYLE = `
  @page { margin: 15mm }
  :root { color-scheme: light }
  body { font: 10pt/1.45 system-ui, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', sans-serif; color: #14202b; background: #fff; margin: 0 }
  h1 { font-size: 17pt; margin: 0 } h2 { font-size: 13pt; margin: 0 0 2mm; overflow-wrap: anywhere }
  .notice { border: .4mm solid #14202b; padding: 2mm 3mm; margin: 3mm 0 6mm; font-weight: 600 }
  .muted { color: #45535f } .verdict { font-size: 13pt; font-weight: 650; margin: 0 0 2mm }
  article { break-inside: avoid; padding: 5mm 0; border-top: .2mm solid #9aa7b1 }
  .pictures { display: flex; gap: 5mm; margin: 3mm 0 } figure { margin: 0; width: 62mm } figure img { width: 100%; display: block }
  figcaption { font-size: 8pt; color: #45535f; margin-top: 1mm }
  table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: 1mm 2mm; border-bottom: .2mm solid #c8d0d6; font-weight: 400; overflow-wrap: anywhere }
  th { font-weight: 600 } thead th { overflow-wrap: normal } td.number { text-align: right; font-variant-numeric: tabular-nums }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .5mm 4mm; font-size: 8.5pt } dt { color: #45535f } dd { margin: 0; overflow-wrap: anywhere }
`;

/**
 * Builds the report and opens the browser's print dialogue.
 * @param {Words} elementWords
 * @param {readonly Item[]} items
 * @param {Choice} choice
 */
export async function printReport(elementWords, items, choice) {
  const words = laterWords(elementWords);
  const ended = items.filter(({ state }) => state === 'done' || state === 'failed');
  const done = ended.filter(({ state }) => state === 'done');
  /** @type {string[]} */
  const urls = [];
  const pages = [];
  for (const [index, item] of done.slice(0, MOST_PAGES).entries()) {
    pages.push(await page(words, item, choice, { n: index + 1, total: done.length }, urls));
  }
  const frame = openFrame(words);
  const body = /** @type {Document} */ (frame.contentDocument).body;
  body.append(
    ...head(words, choice),
    ended.length > 1 || done.length === 0 ? overview(words, ended, choice) : '',
    ...pages,
    done.length > MOST_PAGES ? h('p', {}, words.text('report.more', { n: done.length - MOST_PAGES })) : '',
  );
  await Promise.all([...body.querySelectorAll('img')].map((image) => image.decode().catch(() => {})));
  printFrame(frame, urls);
}

/** @param {Words} words */
function openFrame(words) {
  const frame = h('iframe', { title: words.text('report.title'), class: 'cxr-report', 'aria-hidden': 'true', tabindex: '-1' });
  Object.assign(frame.style, { position: 'fixed', inset: 'auto 100% 100% auto', width: '210mm', height: '297mm', border: '0' });
  document.body.append(frame);
  const view = /** @type {Window & typeof globalThis} */ (frame.contentWindow);
  const sheet = new view.CSSStyleSheet();
  sheet.replaceSync(STYLE);
  view.document.adoptedStyleSheets = [sheet];
  view.document.documentElement.lang = words.language;
  view.document.title = words.text('report.title');
  return frame;
}

/** @param {HTMLIFrameElement} frame @param {string[]} urls of its images */
function printFrame(frame, urls) {
  const view = /** @type {Window} */ (frame.contentWindow);
  view.addEventListener('afterprint', () => {
    frame.remove();
    for (const url of urls) URL.revokeObjectURL(url);
  });
  view.focus();
  view.print();
}

/** @param {Words} words @param {Choice} choice */
function head(words, choice) {
  const date = new Intl.DateTimeFormat(words.language, { dateStyle: 'long', timeStyle: 'short' }).format(new Date());
  return [
    h('h1', {}, words.text('report.title')),
    h('p', { class: 'muted' }, words.text('report.made', { date, version: choice.version })),
    h('p', { class: 'notice' }, words.text('lens.notice')),
  ];
}

/** @param {Item} item @param {Choice} choice */
function nameOf(item, choice) {
  return choice.names ? item.name : `#${item.id}`;
}

/**
 * Of a class that is named: beside a refusal or a doubt a figure would read as the answer's.
 * @param {Words} words @param {Item} item @param {Choice} choice
 */
function figureOf(words, item, choice) {
  const named = item.result?.classes.find(({ id }) => id === choice.verdict(item));
  return named && words.percent(named.probability);
}

/** The answer, or why there is none. @param {Words} words @param {Item} item @param {Choice} choice */
function outcomeOf(words, item, choice) {
  return item.error ? `${words.text('state.failed')}: ${words.error(item.error)}` : words.verdict(choice.verdict(item));
}

/** @param {Words} words @param {Item[]} items @param {Choice} choice */
function overview(words, items, choice) {
  return h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...['table.file', 'table.verdict', 'table.top'].map((key) => h('th', { scope: 'col' }, words.text(key))))),
    h(
      'tbody',
      {},
      ...items.map((item) =>
        h(
          'tr',
          {},
          h('td', {}, nameOf(item, choice)),
          h('td', {}, outcomeOf(words, item, choice)),
          h('td', { class: 'number' }, figureOf(words, item, choice)),
        ),
      ),
    ),
  );
}

/**
 * One image.
 * @param {Words} words
 * @param {Item} item
 * @param {Choice} choice
 * @param {{ n: number, total: number }} place
 * @param {string[]} urls collects what has to be revoked
 */
async function page(words, item, choice, place, urls) {
  const result = /** @type {Result} */ (item.result);
  const verdict = choice.verdict(item);
  const shown = isRefusal(verdict) ? null : (result.classes.find(({ id }) => id === verdict)?.id ?? topClass(result).id);
  return h(
    'article',
    {},
    place.total > 1 && h('p', { class: 'muted' }, words.text('report.image', place)),
    h('h2', {}, nameOf(item, choice)),
    h('p', { class: 'verdict' }, words.verdict(verdict)),
    h('p', {}, words.text(`answer.says.${verdict}`)),
    h('div', { class: 'pictures' }, ...(await pictures(words, item, choice.cover(item), shown, urls))),
    shown && figures(words, result),
    warningList(words, result, warningsOf(result, verdict)),
    h(
      'dl',
      {},
      ...factsOf(words, item, result)
        .filter(([key]) => choice.names || !['fact.file', 'fact.sha256'].includes(key))
        .flatMap(([key, value]) => [h('dt', {}, words.text(key)), h('dd', {}, value)]),
    ),
  );
}

/** @param {Words} words @param {Result} result */
function figures(words, result) {
  return h(
    'table',
    {},
    h(
      'tbody',
      {},
      ...result.classes.map(({ id, probability }) =>
        h('tr', {}, h('th', { scope: 'row' }, words.verdict(id)), h('td', { class: 'number' }, words.percent(probability))),
      ),
    ),
  );
}

/** @param {Words} words @param {Result} result @param {string[]} names */
function warningList(words, result, names) {
  return names.length > 0 && h('ul', {}, ...names.map((name) => h('li', {}, warningText(words, result, name))));
}

/**
 * @param {Words} words
 * @param {Item} item
 * @param {import('../viewer/occlusion.js').CoverMap | null} cover
 * @param {string | null} shown class of the map, null for none
 * @param {string[]} urls
 */
async function pictures(words, item, cover, shown, urls) {
  const result = /** @type {Result} */ (item.result);
  const film = await Film.from(item.source, item.choice).catch(() => null);
  if (!film) return [h('p', { class: 'muted' }, words.text('view.none'))];
  const plain = drawFilm(film, result.warnings.includes('inverted'));
  const pair = [h('figure', {}, await picture(plain, urls), h('figcaption', {}, words.text('report.original')))];
  const heatmap = cover ?? result.heatmap;
  const map = heatmap?.classes.find(({ id }) => id === shown);
  if (!heatmap || !map || result.warnings.includes('rotated')) return pair;
  drawMap(plain, heatmap, map.values);
  const caption = words.text(cover ? 'report.cover' : 'report.map', { class: words.verdict(map.id) });
  pair.push(h('figure', {}, await picture(plain, urls), h('figcaption', {}, caption)));
  return pair;
}

/** @param {Film} film @param {boolean} inverted */
function drawFilm(film, inverted) {
  const level = film.level(PRINT_WIDTH);
  const canvas = h('canvas', { width: level.width, height: level.height });
  canvas.getContext('2d')?.putImageData(paintFilm(level, { ...PLAIN, inverted }, new ImageData(level.width, level.height)), 0, 0);
  return canvas;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import('../classifier.js').Heatmap | import('../viewer/occlusion.js').CoverMap} heatmap
 * @param {Float32Array} values
 */
function drawMap(canvas, heatmap, values) {
  const map = h('canvas', { width: MAP_SIDE, height: MAP_SIDE });
  map.getContext('2d')?.putImageData(paintMap({ ...heatmap, values }, reach(heatmap.classes)), 0, 0);
  const context = canvas.getContext('2d');
  if (!context) return;
  context.globalAlpha = 0.6;
  context.drawImage(map, 0, 0, canvas.width, canvas.height);
}

/** @param {HTMLCanvasElement} canvas @param {string[]} urls @returns {Promise<HTMLImageElement>} */
async function picture(canvas, urls) {
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
  const url = blob ? URL.createObjectURL(blob) : '';
  urls.push(url);
  return h('img', { src: url, alt: '' });
}
