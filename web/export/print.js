/**
 * A report to print or save as PDF: image, findings, figures, and on every page notice, date and model. It is built in a
 * frame of its own, so that the host page's styles and content stay out of it.
 */

import { h } from '../shared/dom.js';
import { laterWords } from '../shared/deferred-words.js';
import { disagreement, findingName, findingsSentence, strengthName } from '../shared/findings.js';
import { factsOf, isRefusal, warningText } from '../shared/result.js';
import { pictureOf } from './picture.js';

/**
 * @typedef {import('../element/queue.js').Item} Item
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../shared/words.js').Words} Words
 *
 * @typedef {object} Choice
 * @property {boolean} names whether file names are printed
 * @property {(item: Item) => string} verdict the answer to print
 * @property {(item: Item) => import('../viewer/occlusion.js').OcclusionMap | null} occlusion printed too, if it was made
 * @property {(item: Item) => string} shownClass the class of that map
 * @property {import('../classifier.js').ModelInfo} model
 * @property {string} version of the software
 */

/** Images printed in full; a longer batch is printed as a table. */
const MOST_PAGES = 60;
const STYLE = `
  @page { margin: 15mm }
  :root { color-scheme: light }
  body { font: 10pt/1.45 system-ui, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', sans-serif; color: #14202b; background: #fff; margin: 0 }
  h1 { font-size: 17pt; margin: 0 } h2 { font-size: 13pt; margin: 0 0 2mm; overflow-wrap: anywhere }
  .sheet, .sheet > * > tr > td { width: 100%; padding: 0; border: 0; vertical-align: top }
  .sheet > tfoot { break-inside: avoid; font-size: 8pt } .sheet > tfoot td { padding-top: 3mm }
  .notice { font-weight: 600 } .contrary { font-weight: 600 }
  .muted { color: #45535f } .verdict { font-size: 13pt; font-weight: 650; margin: 0 0 2mm } .verdict small { display: block; font-size: 9pt; font-weight: 400 }
  article { break-inside: avoid; padding: 5mm 0; border-top: .2mm solid #9aa7b1 }
  .pictures { display: flex; gap: 5mm; margin: 3mm 0 } figure { margin: 0; flex: 0 1 62mm } figure img { width: 100%; display: block }
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
    onEveryPage(
      words,
      choice,
      h('h1', {}, words.text('report.title')),
      (ended.length > 1 || done.length === 0) && overview(words, ended, choice),
      ...pages,
      done.length > MOST_PAGES && h('p', {}, words.text('report.more', { n: done.length - MOST_PAGES })),
    ),
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

/**
 * A table whose foot is printed on every page.
 * @param {Words} words @param {Choice} choice @param {...import('../shared/dom.js').Child} content
 */
function onEveryPage(words, { version, model }, ...content) {
  const date = new Intl.DateTimeFormat(words.language, { dateStyle: 'long', timeStyle: 'short' }).format(new Date());
  const foot = h(
    'td',
    {},
    h('span', { class: 'notice' }, words.text('answer.notice')),
    ' ',
    h('span', { class: 'muted' }, words.text('report.made', { date, version, model: `${model.id} ${model.version}` })),
  );
  return h(
    'table',
    { class: 'sheet', role: 'presentation' },
    h('tfoot', {}, h('tr', {}, foot)),
    h('tbody', {}, h('tr', {}, h('td', {}, ...content))),
  );
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

/** The findings in a cell of the table. @param {Words} words @param {Item} item @param {Choice} choice */
const foundIn = (words, item, choice) => (item.result && !isRefusal(choice.verdict(item)) ? findingsSentence(words, item.result) : '');

/** @param {Words} words @param {Item[]} items @param {Choice} choice */
function overview(words, items, choice) {
  return h(
    'table',
    {},
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ...['table.file', 'table.verdict', 'table.top', 'findings.title'].map((key) => h('th', { scope: 'col' }, words.text(key))),
      ),
    ),
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
          h('td', {}, foundIn(words, item, choice)),
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
  const refused = isRefusal(verdict);
  const figure = figureOf(words, item, choice);
  const contrary = disagreement(words, result, verdict);
  return h(
    'article',
    {},
    place.total > 1 && h('p', { class: 'muted' }, words.text('report.image', place)),
    h('h2', {}, nameOf(item, choice)),
    h(
      'p',
      { class: 'verdict' },
      figure && h('small', {}, words.text('answer.like')),
      refused ? words.text('answer.refused') : words.verdict(verdict),
      figure && ` · ${figure}`,
    ),
    contrary && h('p', { class: 'contrary' }, contrary),
    !refused && h('p', {}, findingsSentence(words, result)),
    h('div', { class: 'pictures' }, ...(await pictures(words, item, choice, urls))),
    !refused &&
      h('ol', {}, ...result.findings.map((finding) => h('li', {}, `${findingName(words, finding)}, ${strengthName(words, finding)}`))),
    h('p', {}, words.text(`answer.says.${verdict}`)),
    !refused && figures(words, result),
    warningList(words, result),
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

/** @param {Words} words @param {Result} result */
function warningList(words, result) {
  return result.warnings.length > 0 && h('ul', {}, ...result.warnings.map((name) => h('li', {}, warningText(words, result, name))));
}

/**
 * The image, the findings on it, and its occlusion map if there is one.
 * @param {Words} words
 * @param {Item} item
 * @param {Choice} choice
 * @param {string[]} urls
 */
async function pictures(words, item, choice, urls) {
  const occlusion = choice.occlusion(item);
  const shown = choice.shownClass(item);
  const kinds = isRefusal(choice.verdict(item))
    ? /** @type {const} */ (['plain'])
    : /** @type {const} */ (['plain', 'findings', ...(occlusion ? /** @type {const} */ (['occlusion']) : [])]);
  const made = [];
  for (const kind of kinds) {
    const blob = await pictureOf(item, kind, { words, model: choice.model, occlusion, shown });
    if (!blob) return [h('p', { class: 'muted' }, words.text('view.none'))];
    const src = URL.createObjectURL(blob);
    urls.push(src);
    made.push(
      h('figure', {}, h('img', { src, alt: '' }), h('figcaption', {}, words.text(`report.${kind}`, { class: words.verdict(shown) }))),
    );
  }
  return made;
}
