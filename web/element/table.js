/** The table of all images: sortable, filterable, one row updated at a time. */

import { button, fill, h, icon } from '../shared/dom.js';
import { isRefusal, retryHelps } from '../shared/result.js';

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {import('../shared/words.js').Words} Words
 * @typedef {'id' | 'file' | 'kind' | 'top' | 'time' | `class.${string}`} Column
 *
 * @typedef {object} Hooks
 * @property {(item: Item) => void} onselect
 * @property {(item: Item) => void} onretry
 * @property {(item: Item) => void} onremove
 * @property {(item: Item) => string} verdict the answer to show
 */

/** Rows that are made in one go, at first: then as many as there are, so that thousands are not arranged time and again. */
const FEW = 16;

const CLASSES = ['normal', 'covid-19', 'viral-pneumonia', 'lung-opacity'];

export class Table {
  /** @type {Map<Item, HTMLTableRowElement>} */
  #rows = new Map();
  /** @type {{ column: Column, down: boolean }} */
  #sort = { column: 'id', down: false };
  /** @type {readonly Item[]} */
  #items = [];
  /** @type {Item | null} */
  #selected = null;
  #timer = 0;

  /** @param {Words} words @param {Hooks} hooks @param {Table | null} before the one in whose place it comes */
  constructor(words, hooks, before) {
    this.words = words;
    this.hooks = hooks;
    this.search = h('input', {
      type: 'search',
      placeholder: words.text('table.filter'),
      'aria-label': words.text('table.filter'),
      oninput: () => this.#arrange(),
    });
    this.show = h(
      'select',
      { 'aria-label': words.text('table.show'), onchange: () => this.#arrange() },
      h('option', { value: '' }, words.text('table.show.all')),
      ...[...CLASSES, 'uncertain', 'not-a-chest-x-ray'].map((id) => h('option', { value: id }, words.verdict(id))),
      h('option', { value: 'failed' }, words.text('table.show.failed')),
    );
    this.count = h('output', { class: 'muted' });
    this.body = h('tbody', {});
    this.headers = this.#headers();
    this.head = h(
      'thead',
      {},
      h(
        'tr',
        {},
        ...this.headers.values(),
        h('th', { scope: 'col', class: 'actions' }, h('span', { class: 'hidden' }, words.text('table.actions'))),
      ),
    );
    this.scroll = h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': words.text('table.title') },
      h('table', {}, this.head, this.body),
    );
    this.empty = h('p', { class: 'muted empty', hidden: true }, words.text('table.none'));
    this.root = h(
      'div',
      { class: 'table', part: 'table' },
      h(
        'div',
        { class: 'table-bar' },
        h('h2', {}, words.text('table.title')),
        this.count,
        h('span', { class: 'gap' }),
        this.search,
        this.show,
      ),
      this.scroll,
      this.empty,
    );
    if (before) this.#resemble(before);
  }

  /** @param {Table} other whose filter and order it takes over */
  #resemble(other) {
    this.search.value = other.search.value;
    this.show.value = other.show.value;
    this.#order(other.#sort);
  }

  /** Items as the table shows them: filtered and sorted. @returns {Item[]} */
  get visible() {
    const name = this.search.value.trim().toLowerCase();
    const wanted = this.show.value;
    const kept = this.#items.filter((item) => item.name.toLowerCase().includes(name) && (!wanted || this.#kind(item) === wanted));
    const { column, down } = this.#sort;
    return kept.sort((a, b) => (down ? -1 : 1) * this.#compare(a, b, column) || a.id - b.id);
  }

  /** Takes over the list after images came or went. @param {readonly Item[]} items */
  setItems(items) {
    this.#items = items;
    if (items.length < 2) this.search.value = this.show.value = ''; // nobody sees them
    const present = new Set(items);
    for (const item of this.#rows.keys()) if (!present.has(item)) this.#rows.delete(item);
    this.#make();
  }

  /** Makes the rows that are missing, in several tasks: a folder of images must not hold up the page. */
  #make() {
    clearTimeout(this.#timer);
    const missing = this.#items.filter((item) => !this.#rows.has(item));
    const now = missing.slice(0, FEW + this.#rows.size);
    for (const item of now) this.#rows.set(item, this.#row(item));
    if (now.length < missing.length) this.#timer = window.setTimeout(() => this.#make());
    this.#arrange();
    this.#mark(this.#selected, true);
  }

  /** Redraws some rows. @param {Iterable<Item>} items */
  refresh(items) {
    for (const item of items) {
      const row = this.#rows.get(item);
      if (row) this.#fillRow(row, item);
    }
    if (this.#sort.column !== 'id' || this.show.value) this.#arrange();
  }

  /** @param {Item | null} item */
  select(item) {
    this.#mark(this.#selected, false);
    this.#selected = item;
    this.#mark(item, true);
  }

  /** @param {Item | null} item @param {boolean} on */
  #mark(item, on) {
    const row = item && this.#rows.get(item);
    if (!row) return;
    row.classList.toggle('selected', on);
    row.querySelector('button.open')?.setAttribute('aria-current', String(on));
    if (on) this.#reveal(row);
  }

  /** Scrolls the table alone, and not the page around it. @param {HTMLTableRowElement} row */
  #reveal({ offsetTop, offsetHeight }) {
    const { scroll, head } = this;
    const lowest = offsetTop + offsetHeight - scroll.clientHeight;
    scroll.scrollTop = Math.min(Math.max(scroll.scrollTop, lowest), offsetTop - head.offsetHeight); // it covers the first rows
  }

  // Order

  #headers() {
    /** @type {[Column, string][]} */
    const columns = [
      ['file', this.words.text('table.file')],
      ['kind', this.words.text('table.verdict')],
      ['top', this.words.text('table.top')],
      ...CLASSES.map((id) => /** @type {[Column, string]} */ ([`class.${id}`, this.words.verdict(id)])),
      ['time', this.words.text('table.time')],
    ];
    return new Map(
      columns.map(([column, label]) => [
        column,
        h(
          'th',
          { scope: 'col', class: column.split('.')[0], 'aria-sort': 'none' },
          button(label, () => this.#sortBy(column), { title: this.words.text('table.sort', { column: label }) }),
        ),
      ]),
    );
  }

  /** First click up, second down, third back to the order of arrival. @param {Column} column */
  #sortBy(column) {
    const { column: now, down } = this.#sort;
    if (now !== column) this.#order({ column, down: false });
    else this.#order(down ? { column: 'id', down: false } : { column, down: true });
    this.#arrange();
  }

  /** @param {{ column: Column, down: boolean }} sort */
  #order(sort) {
    this.#sort = sort;
    for (const [each, header] of this.headers) {
      const order = this.#sort.down ? 'descending' : 'ascending';
      header.setAttribute('aria-sort', each === this.#sort.column ? order : 'none');
    }
  }

  /** @param {Item} a @param {Item} b @param {Column} column */
  #compare(a, b, column) {
    const [x, y] = [this.#key(a, column), this.#key(b, column)];
    if (typeof x === 'string' && typeof y === 'string') return x.localeCompare(y, this.words.language, { numeric: true });
    return Number(x) - Number(y);
  }

  /** What an item is sorted by. @param {Item} item @param {Column} column */
  #key(item, column) {
    const { result } = item;
    if (column === 'id') return item.id;
    if (column === 'file') return item.name;
    if (column === 'kind') return this.#kindText(item);
    if (column === 'time') return item.elapsed;
    if (!result || isRefusal(result.verdict)) return -1;
    if (column === 'top') return this.#named(item)?.probability ?? -1;
    return result.classes.find(({ id }) => `class.${id}` === column)?.probability ?? -1;
  }

  #arrange() {
    const items = this.visible;
    const { rows } = this.body;
    const focused = /** @type {HTMLElement | null} */ (/** @type {ShadowRoot} */ (this.root.getRootNode()).activeElement);
    const at = [...rows].findIndex((row) => row.contains(focused));
    fill(this.body, ...items.map((item) => this.#rows.get(item)));
    // Rows that change places lose the focus, and one that goes leaves it to the next.
    if (at >= 0)
      (focused?.isConnected ? focused : rows[Math.min(at, rows.length - 1)]?.querySelector('button'))?.focus({ preventScroll: true });
    this.empty.hidden = items.length > 0;
    this.count.value = this.words.text('table.count', { shown: items.length, total: this.#items.length });
  }

  // Rows

  /** @param {Item} item */
  #kind(item) {
    return item.state === 'done' ? this.hooks.verdict(item) : item.state;
  }

  /** @param {Item} item */
  #kindText(item) {
    const kind = this.#kind(item);
    return item.state === 'done' ? this.words.verdict(kind) : this.words.text(`state.${kind}`);
  }

  /** @param {Item} item */
  #row(item) {
    const row = h('tr', { onclick: () => this.hooks.onselect(item) });
    this.#fillRow(row, item);
    return row;
  }

  /** @param {HTMLTableRowElement} row @param {Item} item */
  #fillRow(row, item) {
    const { words, hooks } = this;
    // Replacing the row's content must not throw the keyboard out of it.
    const focused = /** @type {ShadowRoot | Document} */ (row.getRootNode()).activeElement;
    const had = focused && row.contains(focused) ? focused.className : null;
    row.dataset.state = item.state;
    fill(
      row,
      h(
        'th',
        { scope: 'row', class: 'file' },
        h(
          'button',
          {
            type: 'button',
            class: 'open',
            title: item.name,
            'aria-current': String(item === this.#selected),
          },
          h('bdi', {}, item.name),
        ),
      ), // cut at its start: images of a folder differ at the end
      this.#verdictCell(item),
      ...this.#figureCells(item),
      h('td', { class: 'time' }, item.elapsed ? words.duration(item.elapsed) : ''),
      h(
        'td',
        { class: 'actions' },
        retryHelps(item) &&
          button(
            words.text('table.retry.name', { name: item.name }),
            stopping(() => hooks.onretry(item)),
            { icon: 'retry', bare: true, class: 'tool retry' },
          ),
        button(
          words.text('table.remove', { name: item.name }),
          stopping(() => hooks.onremove(item)),
          { icon: 'close', bare: true, class: 'tool remove' },
        ),
      ),
    );
    if (had !== null) ([...row.querySelectorAll('button')].find((b) => b.className === had) ?? row.querySelector('button'))?.focus();
  }

  /** @param {Item} item */
  #verdictCell(item) {
    const kind = this.#kind(item);
    const picture =
      item.state === 'running' ? h('span', { class: 'spinner', 'aria-hidden': 'true' }) : icon(item.state === 'failed' ? 'warn' : kind);
    return h(
      'td',
      { class: 'verdict-cell' },
      h('span', { class: 'tag' }, picture, this.#kindText(item)),
      item.error && h('span', { class: 'reason' }, this.words.error(item.error)),
    );
  }

  /** The class that the answer names, if any. @param {Item} item */
  #named(item) {
    return item.result?.classes.find(({ id }) => id === this.hooks.verdict(item));
  }

  /** @param {Item} item */
  #figureCells(item) {
    const { result } = item;
    // The figures of a refused image mean nothing, so a list does not show them.
    const counted = result && !isRefusal(result.verdict) ? result : null;
    const percent = (/** @type {number | undefined} */ share) => (share === undefined ? '' : this.words.percent(share));
    return [
      h('td', { class: 'top' }, percent(this.#named(item)?.probability)),
      ...CLASSES.map((id) => h('td', { class: 'class' }, percent(counted?.classes.find((c) => c.id === id)?.probability))),
    ];
  }
}

/** A row's buttons do their own work only: the click must not select the row as well. @param {() => void} act */
function stopping(act) {
  return (/** @type {Event} */ event) => {
    event.stopPropagation();
    act();
  };
}
