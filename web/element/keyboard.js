/** The keyboard shortcuts. */

/** Keys of controls in which letters have a meaning of their own. */
const TYPING = 'input:not([type=radio], [type=checkbox], [type=range]), textarea, select';

/**
 * @typedef {object} Context
 * @property {import('./session.js').Session} session
 * @property {import('./view.js').View} view
 * @property {boolean} letters whether keys of one letter, digit or sign do something
 * @property {() => void} cancel
 */

/** Whether a key is meant for the control that has the focus. @param {KeyboardEvent} event */
export function isTyping(event) {
  const target = event.composedPath()[0];
  return target instanceof Element && target.matches(TYPING);
}

/** What a key does, if anything. @param {KeyboardEvent} event @param {Context} context @returns {(() => void) | undefined} */
export function shortcut(event, context) {
  if (event.altKey) return undefined;
  const { session, letters, cancel } = context;
  const item = session.selected;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return key === 'z' && session.queue.removedCount ? () => session.undo() : undefined;
  if (key === 'Escape') return session.queue.progress.open > 0 && !document.fullscreenElement ? cancel : undefined;
  if (key === 'Delete') return item ? () => session.remove([item]) : undefined;
  return letters ? letter(key, context) : undefined;
}

/** @param {string} key @param {Context} context @returns {(() => void) | undefined} */
function letter(key, { session, view }) {
  const viewer = view.viewers.viewer();
  /** @type {Record<string, () => void>} */
  const always = { o: () => view.pickFiles(), '?': () => view.showHelp() };
  /** @type {Record<string, () => void>} */
  const withImage = {
    n: () => session.step(1),
    p: () => session.step(-1),
    m: () => view.toggle('findings'),
    c: () => view.toggle('occlusion'),
    i: () => viewer?.invert(),
    f: () => viewer?.full(),
    0: () => viewer?.reset(),
    '+': () => viewer?.zoom(1.25),
    '=': () => viewer?.zoom(1.25),
    '-': () => viewer?.zoom(0.8),
  };
  const chosen = session.selected?.result?.classes[Number(key) - 1];
  if (chosen) return () => view.set({ shown: chosen.id, overlay: 'occlusion' });
  return always[key] ?? (session.selected ? withImage[key] : undefined);
}
