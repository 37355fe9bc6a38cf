/**
 * The element's looks, as a constructable stylesheet: a strict content security policy allows no inline
 * styles. Portals change them by the custom properties on :host and by ::part().
 */

const CSS = `
:host {
  --accent: var(--cxr-accent, light-dark(#0b6e72, #5cc9c4));
  --on-accent: var(--cxr-on-accent, light-dark(#fff, #06282a));
  --surface: var(--cxr-surface, light-dark(#fff, #141b22));
  --sunken: var(--cxr-sunken, light-dark(#f2f5f7, #0e1419));
  --text: var(--cxr-text, light-dark(#15222c, #e5ecf0));
  --muted: var(--cxr-muted, light-dark(#51626f, #9fb0bb));
  --line: var(--cxr-line, light-dark(#d5dde3, #2b3741));
  --strong-line: var(--cxr-strong-line, light-dark(#8597a4, #60727f));
  --note: var(--cxr-note, light-dark(#fdf6e6, #2a2415));
  --note-line: var(--cxr-note-line, light-dark(#d9b457, #8f7631));
  --radius: var(--cxr-radius, 14px);
  --small-radius: calc(var(--radius) * .6);
  display: block; container-type: inline-size; color: var(--text); color-scheme: inherit;
  font: var(--cxr-font, 400 1rem/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', sans-serif);
}
:host([hidden]) { display: none }
*, *::before, *::after { box-sizing: border-box }
[hidden] { display: none !important }
h2, h3, p, dl, dd, ul, fieldset, figure { margin: 0; padding: 0 }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.muted { color: var(--muted); font-size: .875rem; font-weight: 400 }
.gap { flex: 1 }
.row { display: flex; flex-wrap: wrap; gap: .625rem; justify-content: center }
.icon { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; vertical-align: -.25em }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }

button, summary, select, input[type=search] {
  font: inherit; font-size: .9375rem; color: inherit; background: var(--surface); border: 1px solid var(--strong-line); border-radius: var(--small-radius);
  min-height: 2.5rem; padding: .375rem .875rem; display: inline-flex; align-items: center; gap: .5rem; cursor: pointer; max-width: 100%;
}
button:hover:not(:disabled), summary:hover { border-color: var(--accent); color: var(--accent) }
button:disabled { opacity: .5; cursor: default }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600 }
button.primary:hover:not(:disabled) { color: var(--on-accent); filter: brightness(1.08) }
button.tool { padding: .375rem; min-width: 2.5rem; justify-content: center; border-color: transparent; background: transparent }
button[aria-pressed=true] { background: color-mix(in oklab, var(--accent) 16%, var(--surface)); border-color: var(--accent); color: var(--accent) }
input[type=search] { cursor: text; min-width: 0; width: 12rem }
input[type=radio], input[type=checkbox], input[type=range], progress { accent-color: var(--accent) }
label.check { display: flex; gap: .5rem; align-items: center; font-size: .9375rem }

.lens { position: relative; display: grid; gap: 1rem }
.lens > * { min-width: 0 }
.drop {
  display: grid; justify-items: center; gap: .75rem; text-align: center; padding: clamp(1.75rem, 7cqi, 4rem) 1rem;
  border: 1.5px dashed var(--strong-line); border-radius: var(--radius); background: var(--surface);
}
.drop-mark { width: 4rem; height: 4rem; border-radius: 50%; display: grid; place-items: center; color: var(--accent); background: color-mix(in oklab, var(--accent) 12%, transparent); font-size: 1.5rem }
.drop-title { font-size: clamp(1.25rem, 3.4cqi, 1.625rem); font-weight: 650; line-height: 1.25; text-wrap: balance }
.drop .row { margin: .5rem 0 }
.privacy { font-size: .9375rem }
.status { font-size: .875rem; color: var(--muted); min-height: 2.5rem; text-wrap: balance }
.status .spinner { display: inline-block; vertical-align: -.125em; margin-inline-end: .5rem }
.status[data-state=ready]::before { content: ''; display: inline-block; width: .5rem; height: .5rem; border-radius: 50%; background: var(--accent); margin-inline-end: .5rem; vertical-align: .0625em }
.veil { position: absolute; inset: 0; display: none; place-content: center; justify-items: center; gap: .5rem; font-size: 1.25rem; font-weight: 600; color: var(--accent); background: color-mix(in oklab, var(--surface) 88%, transparent); border: 3px dashed var(--accent); border-radius: var(--radius); z-index: 5; pointer-events: none }
.over > .veil { display: grid }
.alert { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; padding: .75rem 1rem; border-radius: var(--small-radius); background: var(--note); border: 1px solid var(--note-line) }
.alert:empty { display: none }
.alert p { flex: 1 1 16rem }
.notice { font-size: .8125rem; color: var(--muted); text-align: center; text-wrap: balance }

.bar { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center }
.menu { position: relative }
.menu summary { list-style: none }
.menu summary::-webkit-details-marker { display: none }
.sheetlet { position: absolute; right: 0; top: calc(100% + .375rem); z-index: 6; width: min(21rem, 86cqi); display: grid; gap: .25rem; padding: .625rem; background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: 0 12px 32px rgb(0 0 0 / .22) }
.sheetlet .item { border-color: transparent; text-align: start }
.sheetlet .check, .sheetlet .muted { padding: .25rem .875rem }
.sheetlet .muted { font-size: .8125rem }
.undo { display: flex; align-items: center; justify-content: space-between; gap: .75rem; padding: .5rem .5rem .5rem 1rem; border-radius: var(--small-radius); background: var(--sunken); border: 1px solid var(--line) }
.progress { display: flex; align-items: center; gap: .75rem; flex-wrap: wrap }
progress { flex: 1 1 10rem; height: .625rem; border: 0; border-radius: 1rem; overflow: hidden; background: var(--line) }
progress::-webkit-progress-bar { background: var(--line) }
progress::-webkit-progress-value { background: var(--accent) }
progress::-moz-progress-bar { background: var(--accent) }
.progress-text { font-size: .875rem; color: var(--muted); font-variant-numeric: tabular-nums }
.spinner { width: 1em; height: 1em; flex: none; border: 2px solid var(--line); border-top-color: var(--accent); border-radius: 50%; animation: spin 1s linear infinite }
@keyframes spin { to { rotate: 360deg } }

.panes { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr) }
.viewers { display: grid; gap: 1rem; align-content: start; grid-template-columns: minmax(0, 1fr) }
@container (min-width: 54rem) {
  .panes { grid-template-columns: minmax(0, 1.15fr) minmax(20rem, 1fr); align-items: start }
  .panes.comparing { grid-template-columns: minmax(0, 1fr) }
  .comparing .viewers { grid-template-columns: 1fr 1fr; align-items: end }
}
.second { display: grid; gap: .5rem; grid-template-columns: minmax(0, 1fr) }
.viewer { display: grid; grid-template-rows: 1fr auto auto; background: #0b0f13; color: #dfe7ec; border-radius: var(--radius); overflow: hidden; border: 1px solid var(--line); color-scheme: dark }
.stage { position: relative; aspect-ratio: 1; max-height: 78vh; width: 100%; overflow: hidden; display: grid; place-items: center; touch-action: pan-y; cursor: grab; user-select: none }
.stage.zoomed { touch-action: none }
.stage:active { cursor: grabbing }
.stage[data-drag=window] { cursor: ns-resize; touch-action: none }
.stage:focus-visible { outline-offset: -3px; outline-color: #5cc9c4 }
.sheet { position: relative; will-change: transform; transform-origin: center }
.sheet canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block }
.sheet .map { pointer-events: none }
.stage-message { position: absolute; padding: 1.5rem; text-align: center; color: #a9b8c2 }
.readout { position: absolute; left: .75rem; top: .75rem; font-size: .8125rem; padding: .125rem .5rem; border-radius: .375rem; background: rgb(0 0 0 / .65); font-variant-numeric: tabular-nums }
.ruler { position: absolute; right: .75rem; bottom: .75rem; display: grid; justify-items: end; gap: .125rem; font-size: .75rem; padding: .125rem .375rem; border-radius: .375rem; background: rgb(0 0 0 / .65); pointer-events: none; font-variant-numeric: tabular-nums }
.ruler-bar { display: block; height: .375rem; border: solid currentColor; border-width: 0 1px 1px }
.choice { gap: .25rem 1rem; font-size: .875rem; color: #dfe7ec }
.choice input { width: 5em } .choice select { max-width: 14rem }
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem; padding: .5rem; border-top: 1px solid #222c34; background: #11171d }
.viewer button { background: transparent; border-color: transparent; color: #dfe7ec }
.viewer button.toggle { border-color: #40505c }
.viewer button[aria-pressed=true] { background: #17383a; border-color: #5cc9c4; color: #8fe3de }
.viewer button:hover:not(:disabled) { border-color: #5cc9c4; color: #8fe3de }
.opacity { width: 4.5rem; margin: 0 .25rem; accent-color: #5cc9c4 }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .625rem; padding: .5rem .875rem .625rem; font-size: .8125rem; color: #a9b8c2; background: #11171d; font-variant-numeric: tabular-nums }
.legend-line { flex: 1 1 100% }
.legend-line strong { color: #dfe7ec; font-weight: 600 }
.scale { flex: 1 1 6rem; min-width: 4rem; max-width: 16rem; height: .75rem; border-radius: .25rem; background: #59636b }
.viewer:fullscreen { border: 0; border-radius: 0 }
.viewer:fullscreen .stage { aspect-ratio: auto; max-height: none; height: 100% }

.answer { display: grid; gap: 1rem; align-content: start; min-width: 0 }
.file-name { color: var(--muted); font-size: .875rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.head { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: end; justify-content: space-between; margin-top: -.75rem }
.verdict { display: flex; gap: .625rem; align-items: center; font-size: clamp(1.375rem, 4cqi, 1.75rem); font-weight: 680; line-height: 1.2; letter-spacing: -.01em; overflow-wrap: anywhere }
.verdict small { display: block; font-size: .875rem; font-weight: 450; color: var(--muted); letter-spacing: 0; margin-bottom: .125rem }
.verdict > .icon { color: var(--accent); width: 1.25em; height: 1.25em }
.verdict.none > .icon { color: var(--muted) }
.verdict.quiet { font-weight: 500; color: var(--muted) }
.figure { font-size: clamp(1.375rem, 4cqi, 1.75rem); font-weight: 300; font-variant-numeric: tabular-nums; line-height: 1.2 }
.says { text-wrap: pretty }
.bars { border: 0; display: grid; gap: .125rem; min-width: 0 }
.bars legend { padding: 0; font-weight: 600; font-size: .9375rem; margin-bottom: .25rem }
.bar input { margin: 0 }
label.bar { display: grid; grid-template-columns: auto auto minmax(6.5rem, 9.5rem) minmax(2rem, 1fr) 4.25rem; flex-wrap: nowrap; gap: .5rem; align-items: center; padding: .4375rem .5rem; margin-inline: -.5rem; border-radius: var(--small-radius); cursor: pointer; font-size: .9375rem }
label.bar:hover { background: var(--sunken) }
label.bar:has(:checked) { background: color-mix(in oklab, var(--accent) 9%, transparent) }
label.bar .icon { color: var(--muted); width: 1em; height: 1em }
.bar .name { overflow-wrap: anywhere; line-height: 1.25 }
.bar.top .name, .bar.top .percent { font-weight: 650 }
.bar .track { height: .625rem; border-radius: 1rem; background: var(--line); overflow: hidden }
.bar .fill { display: block; height: 100%; width: calc(var(--share) * 100%); min-width: 2px; background: var(--strong-line); border-radius: inherit }
.bar.top .fill { background: var(--accent) }
.bar .percent { text-align: end; font-variant-numeric: tabular-nums }
.bars > .muted { margin-top: .25rem; font-size: .8125rem }
.warnings { padding: .75rem 1rem; border-radius: var(--small-radius); background: var(--note); border: 1px solid var(--note-line); font-size: .9375rem }
.warnings h3 { font-size: .9375rem; display: flex; gap: .5rem; align-items: center }
.warnings ul { padding-inline-start: 1.75rem }
details.fold { border-top: 1px solid var(--line); padding-top: .75rem }
.fold summary, .guidance summary { border: 0; padding: 0; min-height: 2rem; background: none; display: list-item; list-style-position: inside; font-weight: 600 }
.fold[open] > :not(summary) { margin-top: .5rem }
.guidance { padding: .75rem 1.25rem; background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); font-size: .9375rem }
.guidance summary { font-size: 1rem }
.guidance p { text-wrap: pretty }
.guidance .lead { margin: .5rem 0 1rem; max-width: 70ch }
.guidance .parts { display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)) }
.guidance h3 { font-size: .9375rem; margin-bottom: .125rem }
.guidance .urgent { border-inline-start: 3px solid var(--note-line); padding-inline-start: .875rem }
.guidance .muted { margin: 1rem 0 .25rem; font-size: .8125rem }
.facts dl { display: grid; grid-template-columns: minmax(5rem, max-content) minmax(0, 1fr); gap: .25rem 1rem; font-size: .8125rem }
.facts dt { color: var(--muted) }
.facts dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums }

.table-bar { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin-bottom: .5rem }
.table h2 { font-size: 1.0625rem }
.scroll { overflow: auto; max-height: 28rem; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface) }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .875rem }
thead th { position: sticky; top: 0; z-index: 1; background: var(--surface); text-align: start; padding: .25rem; border-bottom: 1px solid var(--line) }
thead button { border-color: transparent; padding: .25rem .375rem; min-height: 2rem; font-size: .8125rem; font-weight: 600; white-space: nowrap }
th[aria-sort=ascending] button::after { content: '▲' } th[aria-sort=descending] button::after { content: '▼' }
tbody th, td { text-align: start; font-weight: 400; padding: .25rem .625rem; border-bottom: 1px solid var(--line); vertical-align: middle }
tbody tr:last-child > * { border-bottom: 0 }
tbody tr { cursor: pointer; background: var(--surface) }
tbody tr:hover { background: var(--sunken) }
tbody tr.selected { background: color-mix(in oklab, var(--accent) 10%, var(--surface)); box-shadow: inset 3px 0 var(--accent) }
button.open { border: 0; background: none; padding: .25rem 0; min-height: 2rem; display: block; max-width: 13rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: left; direction: rtl; font-size: .875rem }
.tag { display: flex; gap: .375rem; align-items: center; white-space: nowrap }
.reason { display: block; color: var(--muted); font-size: .8125rem; min-width: 12rem; max-width: 28rem }
td.top, td.class, td.time { font-variant-numeric: tabular-nums; white-space: nowrap }
.actions { position: sticky; inset-inline-end: 0; background: inherit } thead .actions { z-index: 2; background: var(--surface) }
td.actions { white-space: nowrap; text-align: end; padding-block: 0 }
.empty { padding: 1rem }
@container (max-width: 54rem) { .class, th.time, td.time { display: none } button.open { max-width: 30cqi } }
@container (max-width: 38rem) {
  .bar > button:not(.primary) span, .menu summary span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
  .bar { gap: .375rem; position: relative } .menu { position: static } .sheetlet { left: 0; width: auto } .bar > button:not(.primary), .menu summary { padding: .375rem; min-width: 2.5rem; justify-content: center }
}
@container (max-width: 30rem) {
  .table-bar input, .table-bar select { flex: 1 1 8rem; width: auto }
  label.bar { grid-template-columns: auto auto minmax(0, 1fr) auto; }
  .bar .track { grid-column: 3 / -1; grid-row: 2 }
  .top { display: none } .tools .gap { flex-basis: 100%; height: 0 } .opacity { flex: 1 }
  .tag { white-space: normal } .reason { min-width: 0 } tbody th, td { padding-inline: .375rem } td.actions button { min-width: 2rem; padding: .25rem }
}

@media (prefers-reduced-motion: reduce) { .spinner { animation-duration: 4s } }
@media (forced-colors: active) {
  .bar .fill { background: CanvasText; forced-color-adjust: none } .bar.top .fill { background: Highlight } .bar .track { border: 1px solid CanvasText }
  .film, .map, .scale { forced-color-adjust: none }
  tbody tr.selected { outline: 2px solid Highlight; outline-offset: -2px }
  button[aria-pressed=true], .viewer button[aria-pressed=true] { border: 2px solid Highlight }
}
@media print { .scroll { max-height: none; overflow: visible } div.bar, .tools, .table-bar, .actions { display: none } }
@media (pointer: coarse) { button, summary, select, button.open { min-height: 2.75rem } }
`;

/** @type {CSSStyleSheet | null} */
let sheet = null;

/** The one sheet that all elements share; made on first use, so that importing needs no DOM. */
export function styles() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
