// report.js - the results as Markdown: all of them, and the short table for the README.
import { goals } from './goals.js';

/** @typedef {any} Results what run.js writes into results.json */

/** @param {number} value @param {number} [digits] */
const fixed = (value, digits = 1) => value.toFixed(digits);
/** @param {number} part */
const percent = (part) => `${Math.round(100 * part)}%`;
/** @param {number} bytes */
const size = (bytes) => (bytes < 2 ** 20 ? `${fixed(bytes / 1024, 0)} KiB` : `${fixed(bytes / 2 ** 20)} MiB`);

/** @param {string[]} head @param {(string|number)[][]} rows */
function table(head, rows) {
  const line = (/** @type {(string|number)[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column ? '--:' : ':--'))), ...rows.map(line)].join('\n');
}

/** GMAC/s of a row of speed.js: what its fastest half reaches. @param {any} row */
export const rate = ({ macs, median }) => macs / median / 1e6;

/**
 * The rate that a contender's kind of arithmetic can reach at most here.
 * @param {any[]} rows
 * @param {any} row
 */
export function ceiling(rows, row) {
  const peaks = rows.filter(
    ({ group, numbers, name }) => group === 'peak' && numbers === row.numbers && !(name.includes('relaxed') && row.name.includes('simd')),
  );
  return Math.max(...peaks.map(rate));
}

/** @param {any[]} rows */
export const ours = (rows) => rows.find(({ name }) => name === 'CXR Lens relaxed') ?? rows.find(({ name }) => name === 'CXR Lens simd');

/** @param {any} speed */
function speedTable({ rows, missing }) {
  const base = ours(rows).median;
  const cells = rows.map((/** @type {any} */ row) => [
    row.name,
    row.numbers,
    fixed(row.median, 2),
    fixed(row.min, 2),
    fixed(rate(row)),
    row.group === 'peak' ? '' : percent(rate(row) / ceiling(rows, row)),
    row.group === 'peak' ? '' : fixed(row.median / base, 2),
  ]);
  const absent = missing.map((/** @type {any} */ { name, reason }) => `${name} does not run here: ${reason}`);
  return [table(['', 'numbers', 'median ms', 'least ms', 'GMAC/s', 'of peak', 'times ours'], cells), ...absent].join('\n\n');
}

/** @param {any} layers @param {any[]} rows of speed.js */
function layerTable({ build, steps }, rows) {
  const peak = ceiling(rows, { name: build, numbers: 'int8' });
  const total = steps.reduce((/** @type {number} */ sum, /** @type {any} */ { us }) => sum + us, 0);
  const cells = steps.map((/** @type {any} */ step, /** @type {number} */ index) => [
    index,
    step.operator + (step.residual ? ' + residual' : ''),
    `${step.height} x ${step.width}`,
    `${step.inputs} to ${step.outputs}`,
    step.stride,
    fixed(step.macs / 1e6, 2),
    fixed(step.us, 0),
    percent(step.us / total),
    step.macs ? fixed(step.macs / step.us / 1000) : '',
    step.macs ? percent(step.macs / step.us / 1000 / peak) : '',
  ]);
  const kinds = ['stem', 'pointwise', 'depthwise', 'head'].map((kind) => {
    const own = steps.filter((/** @type {any} */ { operator }) => operator === kind);
    const [us, macs] = ['us', 'macs'].map((key) => own.reduce((/** @type {number} */ sum, /** @type {any} */ step) => sum + step[key], 0));
    return [
      kind,
      own.length,
      fixed(macs / 1e6),
      fixed(us, 0),
      percent(us / total),
      macs ? fixed(macs / us / 1000) : '',
      macs ? percent(macs / us / 1000 / peak) : '',
    ];
  });
  return [
    `#### ${build}: ${fixed(total / 1000, 2)} ms in steps`,
    table(['', 'steps', 'MMAC', 'µs', 'of all', 'GMAC/s', 'of peak'], kinds),
    table(['step', 'operator', 'output', 'channels', 'stride', 'MMAC', 'µs', 'of all', 'GMAC/s', 'of peak'], cells),
  ].join('\n\n');
}

/** @param {any[]} cold */
function coldTable(cold) {
  const nothing = cold.find(({ name }) => name === 'nothing');
  const rows = cold
    .filter((row) => row !== nothing)
    .map(({ name, ms, linear, rss }) => [
      name,
      fixed(ms, 0),
      linear ? size(linear) : 'in a worker',
      ...(rss ? [size(rss - nothing.rss)] : []),
    ]);
  return table(['', 'ms', 'linear memory', ...(nothing.rss ? ['resident, beyond an empty process'] : [])], rows);
}

/** @param {any[]} canonical */
const canonicalTable = (canonical) =>
  table(
    ['', 'median ms', 'least ms'],
    canonical.map(({ build, side, median, min }) => [`${side} x ${side}, ${build}`, fixed(median, 2), fixed(min, 2)]),
  );

/** @param {any} place */
function imageTables({ files, batches, memory, drop }) {
  const byFile = files.map((/** @type {any} */ f) => [
    `${f.side} x ${f.side}${f.refused ? ', refused by the gate' : ''}`,
    size(f.bytes),
    fixed(f.decode),
    fixed(f.preprocess),
    fixed(f.network),
    fixed(f.total.median),
    fixed(f.total.min),
  ]);
  const byBatch = batches.map((/** @type {any} */ b) => [
    `${b.side} x ${b.side}`,
    b.workers,
    b.count,
    fixed(b.perSecond),
    fixed(b.perSecond / batches.find((/** @type {any} */ one) => one.side === b.side && one.workers === 1).perSecond, 2),
  ]);
  const byMemory = memory.map((/** @type {any} */ m) => [m.side ? `after ${m.side} x ${m.side}` : 'after loading', size(m.bytes)]);
  return [
    `### From a JPEG file to the verdict, one worker (${files[0].build} module, ms)`,
    table(['image', 'file', 'decode', 'preprocess', 'network', 'all, median', 'all, least'], byFile),
    '### Batches',
    table(['images', 'workers', 'in a batch', 'images a second', 'times one worker'], byBatch),
    '### Linear memory of one engine',
    table(['', ''], byMemory),
    ...(drop
      ? [
          '### A DICOM image of 3000 x 3000 pixels and 12 bits, dropped on the element (ms)',
          table(
            ['', 'median', 'least'],
            [
              ['until its verdict', drop.total],
              ['the page stood still at a stretch', drop.freeze],
            ].map(([name, times]) => [name, fixed(times.median), fixed(times.min)]),
          ),
        ]
      : []),
  ].join('\n\n');
}

/** @param {Results} results */
function aboutText({ about, quick }) {
  return (
    `${about.cpu}, ${about.cores} cores (${about.vectors.join(', ') || 'vectors unknown'}), ${size(about.memory)} of memory, ` +
    `${about.system}, ${about.date.slice(0, 10)}.${quick ? ' **A quick run: too few repetitions to trust.**' : ''}` +
    `${about.load > 0.5 ? ` **The machine was busy (load ${about.load}): do not trust these figures.**` : ''}`
  );
}

/** @param {Results} results @returns {string} */
export function report(results) {
  const parts = [
    '# Measurements',
    aboutText(results),
    'MobileNetV2 1.0 on one 224 x 224 gray image, random weights within the limit that our quantiser enforces, one thread; contenders in turns in one process or page; times ours: ' +
      'divided by the median of our best module.',
  ];
  for (const place of results.places) {
    parts.push(`## ${place.place}`, '### The network', speedTable(place.speed), '### Its steps, in order');
    for (const layers of place.layers) parts.push(layerTable(layers, place.speed.rows));
    parts.push('### The canonical step, without its resize', canonicalTable(place.canonical));
    parts.push('### Create and first answer, files local', coldTable(place.cold));
    if (place.files) parts.push(imageTables(place));
  }
  parts.push(
    '## Over the wire',
    table(
      ['', 'plain', 'gzip', 'brotli'],
      results.wire.map((/** @type {any} */ w) => [w.name, size(w.raw), size(w.gzip), size(w.brotli)]),
    ),
  );
  parts.push('## Goals', goalTable(results));
  return `${parts.join('\n\n')}\n`;
}

/** @param {Results} results */
const goalTable = (results) =>
  table(
    ['', 'goal', 'measured', ''],
    goals(results).map(({ what, goal, measured, met }) => [what, goal, measured, met ? 'met' : '**missed**']),
  );

/** @param {Results} results @returns {string} */
export function readmeTable(results) {
  const [place] = results.places;
  const { rows } = place.speed;
  const base = ours(rows).median;
  const shown = rows.filter((/** @type {any} */ { group, name }) => group !== 'peak' && !name.includes('shipped'));
  return [
    table(
      ['MobileNetV2 1.0, one 224 x 224 image, one thread', 'ms', 'times ours', 'of what the processor can do'],
      shown.map((/** @type {any} */ row) => [
        `${row.name} (${row.numbers})`,
        fixed(row.median),
        fixed(row.median / base),
        percent(rate(row) / ceiling(rows, row)),
      ]),
    ),
    `Medians of ${rows[0].count} rounds in ${place.place}, in turns. ${aboutText(results)} Repeat it with \`make bench\`.`,
  ].join('\n\n');
}
