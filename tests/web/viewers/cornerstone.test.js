// cornerstone.test.js - the adapter with the real Cornerstone3D and its DICOM loader, in Chromium: images give the results of their
// files, and what is drawn over them lies where the image shows it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { inputOf } from '../../../web/cornerstone.js';
import { openDicom } from '../../../web/dicom.js';
import { dicomFile, radiograph } from '../dicom/write.js';
import { sampleDicom } from '../portal/study.js';
import { PATIENCE, SITE, stage } from '../support.js';

const site = stage();
/** Scripts of the viewer, by name. @type {Record<string, string>} */
const scripts = {};
before(async () => {
  const loader = 'node_modules/@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js';
  const { outputFiles } = await build({
    entryPoints: { viewer: 'tests/web/viewers/page.js', decodeImageFrameWorker: loader },
    bundle: true,
    format: 'esm',
    outdir: '/viewer',
    write: false,
    logLevel: 'error',
    plugins: [{ name: 'resolve', setup: resolve }],
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  for (const { path, text } of outputFiles) scripts[path] = text;
});

/** Modules of Node, which codecs ask for where they find it, and writers of XML are empty; the package is what the server has. @param {import('esbuild').PluginBuild} build */
function resolve({ onResolve, onLoad }) {
  onResolve({ filter: /^(fs|path|crypto|module|url|xmlbuilder2)$/ }, ({ path }) => ({ path, namespace: 'unused' }));
  onLoad({ filter: /./, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
  onResolve({ filter: /^cxrlens(\/cornerstone)?$/ }, ({ path }) => ({
    path: path === 'cxrlens' ? '/classifier.js' : '/cornerstone.js',
    external: true,
  }));
}

const PAGE = `<!doctype html><html lang="en"><title>Viewer</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/viewer/viewer.css">
<div id="viewport"></div><script type="module" src="/viewer/viewer.js"></script>`;
const STYLE = '#viewport { position: absolute; left: 20px; top: 30px; width: 500px; height: 400px }';

/** A page with the viewer, of the origin that serves ours. */
async function open() {
  const context = await site.browser.newContext({ viewport: { width: 640, height: 480 }, serviceWorkers: 'block' });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  /** @type {string[]} */
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  await context.route('**/viewer/**', (route) => {
    const path = new URL(route.request().url()).pathname;
    if (path.endsWith('.js')) return route.fulfill({ contentType: 'text/javascript', body: scripts[path] });
    return route.fulfill(path.endsWith('.css') ? { contentType: 'text/css', body: STYLE } : { contentType: 'text/html', body: PAGE });
  });
  await page.goto(`${site.url}viewer/index.html`);
  await Promise.race([
    page.waitForFunction(() => /** @type {any} */ (window).loaded),
    page.waitForEvent('pageerror').then((error) => Promise.reject(error)),
  ]);
  return { page, troubles };
}

// ---- The same result as that of the file ---------------------------------------------------------

/** The sample's gray values, 0 to 255. @type {{ width: number, height: number, pixels: Uint16Array }} */
let sample;
before(async () => {
  sample = await (await openDicom(sampleDicom(0))).frame(0);
});

/** @param {(gray: number, index: number) => number} value stored @param {Partial<import('../dicom/write.js').Picture>} picture @param {Parameters<typeof radiograph>[1]} [more] */
const written = (value, picture, more) => {
  const { width, height } = sample;
  return dicomFile(radiograph({ width, height, ...picture, pixels: Uint16Array.from(sample.pixels, value) }, more));
};

/** Files of the kinds that radiographs come in; the names say what the adapter has to mind. @type {Record<string, () => Uint8Array>} */
const KINDS = {
  '8 bits': () => dicomFile(radiograph({ ...sample, pixels: Uint8Array.from(sample.pixels) })),
  '12 bits with a window': () =>
    written((gray) => 600 + 9 * gray, { bits: 12 }, { '00281050': ['DS', '1700'], '00281051': ['DS', '2000'] }),
  'no window': () => written((gray) => 600 + 9 * gray, { bits: 12 }),
  'values of a byte in 16 bits': () => written((gray) => gray, { bits: 16 }),
  'inverted, rescaled': () =>
    written(
      (gray) => 3000 - 9 * gray,
      { bits: 12, photometric: 'MONOCHROME1' },
      { '00281052': ['DS', '-1024'], '00281053': ['DS', '1'], '00281050': ['DS', '700'], '00281051': ['DS', '2400'] },
    ),
  'signed, rescaled to fractions': () =>
    written(
      (gray) => 8 * gray - 1500,
      { bits: 16, signed: true },
      {
        '00281052': ['DS', '12.5'],
        '00281053': ['DS', '0.37'],
        '00281050': ['DS', '-150'],
        '00281051': ['DS', '700'],
        '00281056': ['CS', 'SIGMOID'],
      },
    ),
  'fractions without a window': () =>
    written((gray) => 8 * gray - 1500, { bits: 12, signed: true }, { '00281052': ['DS', '0.5'], '00281053': ['DS', '0.25'] }),
  'padding at the edge': () =>
    written((gray, i) => (i % sample.width < 40 ? 4095 : 600 + 9 * gray), { bits: 12 }, { '00280120': ['US', 4095] }),
};

/** An image of the viewer gives the logits of its file, however it is stored. @param {import('playwright-core').Page} page */
async function sameResults(page) {
  for (const [kind, file] of Object.entries(KINDS)) {
    const [viewed, read] = await page.evaluate(
      async (bytes) => {
        const scope = /** @type {any} */ (window);
        const { createClassifier } = await import(new URL('/classifier.js', location.href).href);
        const { inputOf } = await import(new URL('/cornerstone.js', location.href).href);
        scope.cxr ??= await createClassifier({ workers: 1 });
        const viewport = await scope.show([new Uint8Array(bytes)]);
        // What the user does to the view is not the image's.
        viewport.setProperties({ voiRange: { lower: 0, upper: 100 }, invert: true });
        const image = viewport.getCornerstoneImage();
        const padding = scope.metaData.get('imagePixelModule', image.imageId).pixelPaddingValue;
        const results = [await scope.cxr.classify(inputOf(image, { padding })), await scope.cxr.classify(new Uint8Array(bytes))];
        return results.map(({ classes, gate, findings, verdict }) => JSON.stringify({ classes, gate, findings, verdict }));
      },
      [...file()],
    );
    assert.equal(viewed, read, kind);
  }
}

// ---- The overlay ---------------------------------------------------------------------------------

/** A white box in black, in fractions of the image. */
const BOX = { x: 0.2, y: 0.4, width: 0.25, height: 0.3 };

/** An image of 200 x 160 with that box. */
function boxed() {
  const [width, height] = [200, 160];
  const inside = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ share) => at >= from && at < from + share;
  const pixels = Uint8Array.from({ length: width * height }, (_, i) =>
    inside((i % width) / width, BOX.x, BOX.width) && inside(Math.floor(i / width) / height, BOX.y, BOX.height) ? 255 : 0,
  );
  return dicomFile(radiograph({ width, height, pixels }));
}

/** A result whose frame, lungs, opacities and finding are all the box. */
const RESULT = {
  frame: BOX,
  findings: [{ ...BOX, side: 'right', zone: 'middle', strength: 0.9 }],
  maps: {
    lungs: { width: 24, height: 24, values: new Array(576).fill(1) },
    opacities: { width: 12, height: 12, values: new Array(144).fill(1) },
  },
};

/** Views: zoom, pan in pixels, rotation in degrees, mirrored. */
const VIEWS = [
  {},
  { zoom: 2.2, pan: [30, -40] },
  { rotation: 90 },
  { zoom: 1.4, rotation: 30, pan: [-25, 10] },
  { flipHorizontal: true },
  { flipVertical: true, rotation: 200, zoom: 0.7 },
];

/** @param {import('playwright-core').Page} page @param {boolean} cpu */
async function followsTheView(page, cpu) {
  const seen = await page.evaluate(
    async ({ bytes, result, views, cpu }) => {
      const scope = /** @type {any} */ (window);
      const { showFindings } = await import(new URL('/cornerstone.js', location.href).href);
      const viewport = await scope.show([new Uint8Array(bytes)], { cpu });
      const thresholds = { lungsThreshold: 0.5, opacityThreshold: 0.5 };
      const overlay = showFindings(viewport, result, { thresholds });
      const start = viewport.getViewPresentation();
      /** Bounds of what is white in the viewport's canvas, in pixels of the page. */
      const white = () => {
        const { canvas } = viewport;
        const { left, top, width } = canvas.getBoundingClientRect();
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let bounds = [Infinity, Infinity, -Infinity, -Infinity];
        for (let i = 0; i < data.length / 4; i++) {
          if (data[4 * i] < 128) continue;
          const [x, y] = [i % canvas.width, Math.floor(i / canvas.width)];
          bounds = [Math.min(bounds[0], x), Math.min(bounds[1], y), Math.max(bounds[2], x + 1), Math.max(bounds[3], y + 1)];
        }
        const scale = width / canvas.width;
        return bounds.map((value, i) => value * scale + (i % 2 ? top : left));
      };
      /** @param {Element} node */
      const bounds = (node) => {
        const { left, top, right, bottom } = node.getBoundingClientRect();
        const frame = viewport.canvas.getBoundingClientRect();
        // What reaches beyond the viewport is cut off there.
        return [Math.max(left, frame.left), Math.max(top, frame.top), Math.min(right, frame.right), Math.min(bottom, frame.bottom)];
      };
      const seen = [];
      for (const { zoom = 1, pan, rotation = 0, flipHorizontal = false, flipVertical = false } of /** @type {any[]} */ (views)) {
        viewport.setViewPresentation(start);
        viewport.setViewPresentation({ rotation, flipHorizontal, flipVertical });
        viewport.setZoom(zoom);
        if (pan) viewport.setPan(pan);
        const rendered = new Promise((resolve) => viewport.element.addEventListener('CORNERSTONE_IMAGE_RENDERED', resolve, { once: true }));
        viewport.render();
        await rendered;
        const root = viewport.element.querySelector('.cxr-findings');
        const [outline, box] = root.querySelectorAll('g');
        seen.push({
          white: white(),
          map: bounds(root.querySelector('canvas')),
          outline: bounds(outline.lastChild),
          box: bounds(box.lastChild),
        });
      }
      overlay.remove();
      return { seen, left: viewport.element.querySelectorAll('.cxr-findings').length };
    },
    { bytes: [...boxed()], result: RESULT, views: VIEWS, cpu },
  );
  assert.equal(seen.left, 0);
  for (const [i, { white, ...layers }] of seen.seen.entries()) {
    assert.ok(white.every(Number.isFinite), JSON.stringify(VIEWS[i]));
    for (const [name, bounds] of Object.entries(layers))
      for (const [k, value] of bounds.entries())
        assert.ok(Math.abs(value - white[k]) <= 3, `${JSON.stringify(VIEWS[i])}: ${name} at ${bounds}, the image at ${white}`);
  }
}

/** The overlay hides while the viewport shows another image of the stack. @param {import('playwright-core').Page} page */
async function hides(page) {
  const shown = await page.evaluate(
    async ({ bytes, result }) => {
      const scope = /** @type {any} */ (window);
      const { showFindings } = await import(new URL('/cornerstone.js', location.href).href);
      const viewport = await scope.show([new Uint8Array(bytes), new Uint8Array(bytes)]);
      const overlay = showFindings(viewport, result, { thresholds: { lungsThreshold: 0.5, opacityThreshold: 0.5 } });
      const root = viewport.element.querySelector('.cxr-findings');
      const shown = [getComputedStyle(root).display];
      for (const index of [1, 0]) {
        const rendered = new Promise((resolve) => viewport.element.addEventListener('CORNERSTONE_IMAGE_RENDERED', resolve, { once: true }));
        await viewport.setImageIdIndex(index);
        viewport.render();
        await rendered;
        shown.push(getComputedStyle(root).display);
      }
      overlay.remove();
      return shown;
    },
    { bytes: [...boxed()], result: RESULT },
  );
  assert.deepEqual(shown, ['block', 'none', 'block']);
}

// ---- OHIF ----------------------------------------------------------------------------------------

/** The extension's command says the result and draws it; once more takes it away. @param {import('playwright-core').Page} page */
async function readsByCommand(page) {
  const { said, drawn } = await page.evaluate(
    async (bytes) => {
      const scope = /** @type {any} */ (window);
      const viewport = await scope.show([new Uint8Array(bytes)]);
      /** @type {string[]} */
      const said = [];
      const services = {
        viewportGridService: { getActiveViewportId: () => 'one' },
        cornerstoneViewportService: { getCornerstoneViewport: () => viewport },
        uiNotificationService: { show: (/** @type {{ message: string }} */ { message }) => said.push(message) },
      };
      const { readChestXray } = scope.ohif.getCommandsModule({ servicesManager: { services } }).definitions;
      const drawn = [];
      for (let i = 0; i < 2; i++) {
        await readChestXray.commandFn();
        drawn.push(viewport.element.querySelectorAll('.cxr-findings path').length > 0);
      }
      return { said, drawn };
    },
    [...KINDS['12 bits with a window']()],
  );
  assert.match(said.join(), /^covid-19; \d (opacity|opacities) found$/);
  assert.deepEqual(drawn, [true, false]);
}

/** What stands for OHIF's packages, which are of its own repository; the names are those of modes/basic there. */
const OHIF = {
  '@ohif/core': "export const ToolbarService = { TOOLBAR_SECTIONS: { primary: 'Primary' } };",
  '@ohif/mode-basic': `export const extensionDependencies = { '@ohif/extension-default': '^3.0.0' };
    export const modeInstance = { id: 'basic', toolbarButtons: [{ id: 'Zoom' }], toolbarSections: { Primary: ['Zoom'], More: [] },
      routes: [{ path: 'basic', layoutTemplate() { return this.layout; }, layout: 7 }] };`,
};

test("the OHIF mode is the basic one with the command's button", async () => {
  const { outputFiles } = await build({
    entryPoints: ['web/examples/ohif/mode.js'],
    bundle: true,
    format: 'esm',
    write: false,
    plugins: [
      {
        name: 'ohif',
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^(@ohif|@cornerstonejs|cxrlens)/ }, ({ path }) => ({ path, namespace: 'ohif' }));
          onLoad({ filter: /./, namespace: 'ohif' }, ({ path }) => ({
            contents: OHIF[/** @type {keyof typeof OHIF} */ (path)] ?? 'module.exports = {};',
          }));
        },
      },
    ],
  });
  const { default: mode } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
  const { toolbarSections, toolbarButtons, isValidMode, routes, extensions } = mode.modeFactory();
  assert.deepEqual(toolbarSections, { Primary: ['Zoom', 'ReadChestXray'], More: [] });
  assert.equal(toolbarButtons.at(-1).props.commands, 'readChestXray');
  assert.deepEqual(
    ['CR', 'SR\\DX', 'CT'].map((modalities) => isValidMode({ modalities }).valid),
    [true, true, false],
  );
  assert.equal(routes[0].layoutTemplate(), 7);
  assert.deepEqual(Object.keys(extensions), ['@ohif/extension-default', 'cxrlens-ohif']);
});

// ---- The tests -----------------------------------------------------------------------------------

test('images give the logits of their files; the overlay follows the view, drawn by CPU and by WebGL, and hides', async () => {
  const { page, troubles } = await open();
  // On one page: Cornerstone is large.
  await followsTheView(page, true);
  await followsTheView(page, false);
  await hides(page);
  await readsByCommand(page);
  await sameResults(page);
  assert.deepEqual(troubles, []);
});

/** A table of 256 entries that brightens, as VOI LUTs of CR do. */
const LUT = Array.from({ length: 256 }, (_, i) => Math.round(4095 * (i / 255) ** 0.7));

test('a VOI LUT is applied as that of a file', async () => {
  const file = written(
    (gray) => gray,
    { bits: 12 },
    { '00283010': ['SQ', [{ '00283002': ['US', [256, 0, 12]], '00283006': ['US', LUT] }]] },
  );
  const { coloured, ...read } = await (await openDicom(file)).frame(0);
  const { width: columns, height: rows, pixels } = sample;
  // Version 5 hands on no VOI LUT of the files that it loads; other versions and loaders do.
  const image = { columns, rows, slope: 1, intercept: 0, invert: false, color: false, getPixelData: () => Uint8Array.from(pixels) };
  const voiLUT = { lut: LUT, firstValueMapped: 0 };
  assert.deepEqual(inputOf({ ...image, voiLUT, imageFrame: { bitsStored: 12, pixelRepresentation: 0 } }), read);
  assert.equal(coloured, false);
});

test('colour becomes gray; what has more than 16 bits is refused', async () => {
  const image = { columns: 2, rows: 1, slope: 1, intercept: 0, invert: false, color: true };
  const rgb = inputOf({ ...image, getPixelData: () => Uint8Array.of(1, 2, 3, 4, 5, 6) });
  assert.deepEqual(rgb, { width: 2, height: 1, data: Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 255) });
  for (const values of [Uint32Array.of(70000, 1), Float32Array.of(-40000, 1), Int16Array.of(1, 2, 3)])
    assert.throws(() => inputOf({ ...image, color: false, getPixelData: () => values }), TypeError);
  assert.throws(() => inputOf({ ...image, getPixelData: () => Uint8Array.of(1, 2) }), TypeError);
});

test('the door is one file that imports nothing, of at most 6 KB over the wire', () => {
  const text = readFileSync(`${SITE}/cornerstone.js`);
  assert.doesNotMatch(String(text), /\bimport\b/);
  const size = gzipSync(text, { level: 9 }).length;
  assert.ok(size <= 6 * 1024, `${size} bytes`);
});
