/** Announcements for screen readers: the result of one image, or one sentence at the end of many. */

/**
 * @typedef {import('./queue.js').Item} Item
 * @typedef {import('../shared/words.js').Words} Words
 */

/** An image's end in one sentence. @param {Words} words @param {Item} item @param {(item: Item) => string} verdict */
export function sentence(words, item, verdict) {
  if (item.error) return `${item.name}: ${words.error(item.error)}`;
  if (!item.result) return `${item.name}: ${words.text(`state.${item.state}`)}`;
  const shown = verdict(item);
  const named = item.result.classes.find(({ id }) => id === shown);
  return `${item.name}: ${words.verdict(shown)}${named ? `, ${words.percent(named.probability)}` : ''}`;
}

export class Announcements {
  /** How many skipped files were told of. */
  #skipped = 0;
  /** Whether a run of many images is on, whose end is told once. */
  #running = false;
  #session;
  #view;

  /** @param {import('./session.js').Session} session @param {import('./view.js').View} view */
  constructor(session, view) {
    this.#session = session;
    this.#view = view;
  }

  /** Images came. @param {number} count */
  began(count) {
    this.#skipped = 0;
    if (count > 1) this.#running = true; // all images may be read before the next frame
  }

  cancelled() {
    if (this.#session.queue.progress.open > 0) this.#view.announce(this.#view.words.text('run.cancelled'));
    this.#running = false;
  }

  /** @param {Item[]} items that changed since the last frame */
  changed(items) {
    const { open, done, failed, skipped, total } = this.#session.queue.progress;
    const { words } = this.#view;
    if (open > 1) this.#running = true;
    if (open > 0) return;
    if (skipped > this.#skipped) this.#view.tell(words.text('run.skipped', { n: skipped }));
    this.#skipped = skipped;
    const { selected } = this.#session;
    if (this.#running && total > 1)
      this.#view.announce(words.text('run.end', { n: done }) + (failed ? ` ${words.text('run.failed', { n: failed })}.` : ''));
    else if (selected && items.includes(selected)) this.#view.announce(sentence(words, selected, (item) => this.#session.verdict(item)));
    this.#running = false;
  }
}
