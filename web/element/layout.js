/** The element's layout: drop zone, toolbar, progress, panes, messages. Other files fill the panes. */

import { button, fill, h, icon } from '../shared/dom.js';
import { filesPicked } from './dropped-files.js';

/**
 * @typedef {import('../shared/words.js').Words} Words
 * @typedef {import('./queue.js').Progress} Progress
 *
 * @typedef {object} Actions
 * @property {(files: File[]) => void} add
 * @property {() => void} cancel
 * @property {() => void} clear
 * @property {() => void} undo
 * @property {() => void} resume reading what was cancelled
 * @property {() => void} help
 * @property {() => void} restart after the classifier failed to start
 * @property {() => void} compare
 * @property {(kind: import('../export/export.js').Kind, names: boolean) => void} save
 */

/** Nothing is dropped, pasted or picked by the folder on a touch screen. */
const TOUCH = globalThis.matchMedia?.('(pointer: coarse)') ?? { matches: false };

/**
 * The place of one image: verdict, picture, and the rest of the answer.
 * @param {Words} words
 */
function newPane(words) {
  const head = h('header', { class: 'answer-head' });
  const viewer = h('div', { class: 'viewers' });
  const answer = h('section', { class: 'answer', part: 'answer', tabindex: '-1', 'aria-label': words.text('answer.title') });
  return { root: h('div', { class: 'pane' }, head, viewer, answer), head, viewer, answer };
}

export class Layout {
  /**
   * @param {Words} words
   * @param {Actions} actions
   * @param {{ multiple: boolean, names: boolean }} options names: whether exports hold the files' names
   */
  constructor(words, actions, { multiple, names }) {
    this.words = words;
    this.actions = actions;
    this.multiple = multiple;
    this.files = this.#input({ multiple });
    this.folder = this.#input({ webkitdirectory: true, multiple: true });
    this.status = h('p', { class: 'status', part: 'status' });
    this.alert = h('div', { class: 'alert', part: 'alert', role: 'alert' });
    this.drop = this.#dropZone();
    this.compareButton = button(words.text('view.compare'), actions.compare, {
      icon: 'compare',
      class: 'toggle',
      title: words.text('view.compare'),
    });
    this.cancelButton = button(words.text('bar.cancel'), actions.cancel, { icon: 'close' });
    this.clearButton = button(words.text('bar.clear'), actions.clear, { icon: 'bin', title: words.text('bar.clear') });
    this.resumeButton = button(words.text('run.resume'), actions.resume, { icon: 'retry' });
    this.names = h('input', { type: 'checkbox', checked: names });
    this.menu = this.#exportMenu();
    this.bar = this.#toolbar();
    this.meter = h('progress', { max: 1, value: 0, 'aria-label': words.text('run.label') });
    this.progressText = h('span', { class: 'progress-text' });
    this.progress = h(
      'div',
      { class: 'progress', part: 'progress', hidden: true },
      this.meter,
      this.progressText,
      this.cancelButton,
      this.resumeButton,
    );
    this.undoText = h('span', {});
    this.undoButton = button(words.text('bar.undo'), actions.undo, { icon: 'retry' });
    this.undo = h('div', { class: 'undo', part: 'undo', popover: 'manual', hidden: true }, this.undoText, this.undoButton);
    this.pane = newPane(words);
    this.second = newPane(words);
    this.panes = h('div', { class: 'panes' }, this.pane.root);
    this.guidance = h('div', {});
    this.table = h('div', {});
    this.live = h('div', { class: 'hidden', role: 'status', 'aria-live': 'polite' });
    this.veil = h('div', { class: 'veil', 'aria-hidden': 'true' }, icon('upload'), words.text('drop.release'));
    this.root = h(
      'div',
      { class: 'lens', part: 'base', role: 'group', lang: words.language, 'aria-label': words.text('lens.label') },
      this.alert,
      this.drop,
      this.bar,
      this.progress,
      this.panes,
      this.guidance,
      this.table,
      h('p', { class: 'notice', part: 'notice' }, h('slot', { name: 'notice' }, words.text('lens.notice'))),
      this.undo,
      this.files,
      this.folder,
      this.live,
      this.veil,
    );
  }

  /** Says something to people who listen. @param {string} text */
  announce(text) {
    this.live.textContent = text;
  }

  /** Takes the focus from what is no longer to be seen. */
  focus() {
    const places = [this.undoButton, this.resumeButton, this.pane.answer, this.drop.querySelector('button')];
    places.find((place) => place?.getClientRects().length)?.focus();
  }

  /** @param {number} count of images */
  setCount(count) {
    this.drop.hidden = count > 0;
    for (const part of [this.bar, this.panes, this.guidance]) part.hidden = count === 0;
    this.table.hidden = count < 2;
    this.compareButton.hidden = count < 2;
  }

  /** @param {boolean} over whether files hang over the element */
  setOver(over) {
    this.root.classList.toggle('over', over);
  }

  /** @param {boolean} on whether two images stand side by side */
  setComparing(on) {
    this.panes.classList.toggle('comparing', on);
    if (on !== this.second.root.isConnected) fill(this.panes, this.pane.root, on && this.second.root);
    this.compareButton.ariaPressed = String(on);
  }

  /** @param {boolean} disabled */
  setDisabled(disabled) {
    for (const control of [this.files, this.folder, ...this.bar.querySelectorAll('button, input'), ...this.drop.querySelectorAll('button')])
      control.toggleAttribute('disabled', disabled);
  }

  /** @param {'loading' | 'ready' | 'broken'} state @param {string} [why] it is broken, or what else went wrong */
  setStatus(state, why = '') {
    const { words } = this;
    const broken = state === 'broken';
    this.status.dataset.state = state;
    fill(
      this.status,
      state === 'loading' && h('span', { class: 'spinner', 'aria-hidden': 'true' }),
      !broken && words.text(`lens.${state}`),
    );
    const trouble = broken || why;
    fill(
      this.alert,
      trouble && icon('warn'),
      trouble && h('p', {}, broken && h('strong', {}, words.text('lens.broken')), ` ${why}`),
      broken && button(words.text('lens.broken.retry'), this.actions.restart, { icon: 'retry' }),
    );
  }

  /** @param {Progress} progress */
  setProgress(progress) {
    const { words } = this;
    const ended = progress.done + progress.failed;
    this.progress.hidden = !(progress.open || progress.cancelled) || progress.total < 2;
    if (this.progress.hidden) return;
    this.cancelButton.hidden = progress.open === 0;
    this.resumeButton.hidden = progress.open > 0;
    this.meter.max = Math.max(progress.total, 1);
    this.meter.value = ended;
    this.progressText.textContent = [
      words.text('run.progress', { done: ended, total: progress.total }),
      progress.failed && words.text('run.failed', { n: progress.failed }),
      progress.left !== null && words.text('run.left', { time: words.duration(Math.max(progress.left, 1000)) }),
    ]
      .filter(Boolean)
      .join(' · ');
  }

  /** @param {boolean} named whether the selected image can be named to an archive @param {boolean} found whether it has findings to draw */
  setDicom(named, found) {
    for (const kind of ['sr', 'seg', 'sc'])
      this.menu.querySelector(`.${kind}`)?.toggleAttribute('hidden', !(named && (found || kind === 'sr')));
  }

  /** @param {number} count of images that can come back; 0 hides the offer */
  setUndo(count) {
    this.undoText.textContent = count > 0 ? this.words.text('bar.removed', { n: count }) : '';
    if (this.undo.hidden === (count === 0)) return;
    this.undo.hidden = count === 0;
    // Above everything, at any scroll position; a browser without popovers shows it at the end of the element.
    if (this.undo.isConnected) this.undo.togglePopover?.(count > 0);
  }

  #dropZone() {
    const { words } = this;
    return h(
      'div',
      { class: 'drop', part: 'dropzone' },
      h('div', { class: 'drop-mark', 'aria-hidden': 'true' }, icon('upload')),
      h('p', { class: 'drop-title' }, words.text(TOUCH.matches ? 'drop.title.touch' : 'drop.title')),
      h('p', { class: 'muted' }, words.text(TOUCH.matches ? 'drop.hint.touch' : 'drop.hint')),
      h(
        'div',
        { class: 'row' },
        button(words.text('drop.choose'), () => this.files.click(), { class: 'primary', icon: 'add', key: 'O', part: 'button choose' }),
        this.#folderButton('drop.folder'),
      ),
      h('slot', { name: 'samples' }),
      h('p', { class: 'privacy' }, words.text('drop.privacy')),
      this.status,
    );
  }

  #toolbar() {
    const { words, actions } = this;
    return h(
      'div',
      { class: 'bar', part: 'toolbar' },
      button(words.text('bar.add'), () => this.files.click(), { class: 'primary', icon: 'add', key: 'O' }),
      this.#folderButton('bar.folder'),
      h('span', { class: 'gap' }),
      this.compareButton,
      this.menu,
      this.clearButton,
      button(words.text('bar.help'), actions.help, { icon: 'help', bare: true, class: 'tool', key: '?' }),
    );
  }

  /** Folders cannot be picked on phones, nor when only one image is wanted. @param {string} key */
  #folderButton(key) {
    const able = this.multiple && 'webkitdirectory' in HTMLInputElement.prototype && !TOUCH.matches;
    return able && button(this.words.text(key), () => this.folder.click(), { icon: 'folder', title: this.words.text(key) });
  }

  #exportMenu() {
    const { words, actions } = this;
    const item = (/** @type {import('../export/export.js').Kind} */ kind) =>
      button(
        words.text(`export.${kind}`),
        () => {
          menu.querySelector('summary')?.focus();
          menu.open = false;
          actions.save(kind, this.names.checked);
        },
        { icon: kind.startsWith('print') ? 'print' : 'save', class: `item ${kind.replace('.', '-')}` },
      );
    const menu = h(
      'details',
      { class: 'menu' },
      h('summary', { title: words.text('export.title') }, icon('save'), h('span', {}, words.text('export.title'))),
      h(
        'div',
        { class: 'sheetlet' },
        item('csv'),
        item('json'),
        item('sr'),
        item('seg'),
        item('sc'),
        item('print'),
        item('print.all'),
        h('label', { class: 'check' }, this.names, words.text('export.names')),
        h('p', { class: 'muted' }, words.text('export.note')),
      ),
    );
    menu.addEventListener('focusout', (event) => {
      const next = /** @type {Node | null} */ (event.relatedTarget);
      if (next && !menu.contains(next)) menu.open = false;
    });
    menu.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !menu.open) return;
      event.stopPropagation();
      menu.open = false;
      menu.querySelector('summary')?.focus();
    });
    return menu;
  }

  /** A hidden file input. @param {Record<string, any>} props */
  #input(props) {
    const input = h('input', {
      type: 'file',
      hidden: true,
      tabindex: '-1',
      ...props,
      onchange: () => {
        const files = filesPicked(input);
        // Emptied, so that picking the same file again is a change again.
        input.value = '';
        this.actions.add(files);
      },
    });
    return input;
  }
}
