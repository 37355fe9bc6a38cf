/**
 * Builds DOM nodes without HTML strings: a file name can never become markup, and no inline style
 * or handler is ever written, so the strictest content security policy holds.
 */

/** @typedef {Node | string | null | undefined | false} Child */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props] `onclick` and its kind become listeners, `true` and `false`
 *   boolean attributes, the rest attributes; null and undefined are left out.
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child) node.append(child);
  return node;
}

/**
 * Replaces all children of a node.
 * @param {Element | DocumentFragment} node
 * @param {...Child} children
 */
export function fill(node, ...children) {
  const wanted = /** @type {(Node | string)[]} */ (children.filter(Boolean));
  // Nodes that are there already stay: inserting them again would lose the focus.
  if (wanted.length === node.childNodes.length && wanted.every((child, i) => child === node.childNodes[i])) return;
  node.replaceChildren(...wanted);
}

/**
 * Makes an SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes, ...children) {
  const node = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Paths of the icons, drawn on a 24 x 24 grid with a 1.75 stroke. */
const ICONS = {
  add: 'M12 5v14M5 12h14',
  upload: 'M12 16V5m-4.5 4.5L12 5l4.5 4.5M4 16v2.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V16',
  folder: 'M3.5 18V6.5h6l2 2.5h9v9z',
  close: 'M6 6l12 12M18 6L6 18',
  retry: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4',
  invert: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16M15 5v14M18 7v10',
  reset: 'M5 12a7 7 0 1 0 2.2-5.1M5 4v4h4',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  plus: 'M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5L20 20M11 8.5v5M8.5 11h5',
  minus: 'M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5L20 20M8.5 11h5',
  compare: 'M4 5h7v14H4zM13 5h7v14h-7z',
  contrast: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16',
  bin: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.3 10.5v6M13.7 10.5v6',
  print: 'M7 9V4h10v5M7 17H4.5V9h15v8H17M7 14h10v6H7z',
  save: 'M12 4v11m-4.5-4.5L12 15l4.5-4.5M4 16v2.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V16',
  help: 'M9.2 9.2a2.8 2.8 0 1 1 4.3 2.4c-1 .6-1.5 1.1-1.5 2.2M12 17v.2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z',
  warn: 'M12 4.5L3.5 19h17zM12 10v4M12 16.5v.2',
  normal: 'M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14z',
  'covid-19': 'M12 3.5l8.5 8.5-8.5 8.5L3.5 12z',
  'viral-pneumonia': 'M12 4.5l8.5 15h-17z',
  'lung-opacity': 'M5 5h14v14H5z',
  uncertain: 'M8.5 9a3.5 3.5 0 1 1 5.3 3c-1.2.8-1.8 1.5-1.8 3M12 18.5v.3',
  'not-a-chest-x-ray': 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM6.4 6.4l11.2 11.2',
};

/**
 * An icon, hidden from assistive technology: the text beside it says the same.
 * @param {string} name a key of ICONS
 * @returns {SVGElement}
 */
export function icon(name) {
  const path = svg('path', { d: ICONS[/** @type {keyof typeof ICONS} */ (name)] ?? '' });
  return svg('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true', class: 'icon' }, path);
}

/**
 * A push button.
 * @param {string} label its text, or its name when it shows only an icon
 * @param {(event: MouseEvent) => void} onclick
 * @param {{ icon?: string, bare?: boolean, class?: string, title?: string, key?: string, part?: string }} [options]
 *   `bare` shows the icon alone; `key` is the shortcut, shown in the tooltip.
 * @returns {HTMLButtonElement}
 */
export function button(label, onclick, options = {}) {
  const tip = options.key ? `${options.title ?? label} (${options.key})` : options.title;
  return h(
    'button',
    {
      type: 'button',
      class: options.class ?? '',
      part: options.part ?? 'button',
      onclick,
      'aria-label': options.bare ? label : null,
      title: tip ?? (options.bare ? label : null),
      'aria-keyshortcuts': options.key ?? null,
    },
    options.icon && icon(options.icon),
    !options.bare && h('span', {}, label),
  );
}
