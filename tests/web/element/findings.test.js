/** Findings on the screen: drawn where they are, said in words, beside another image's. The engine's answers are made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dicomFile, radiograph } from '../dicom/write.js';
import { CLASSES, THRESHOLDS, madeUp } from '../made-up.js';
import { chest, file, idle, pick, png, ready, stage } from '../support.js';

const site = stage();

/** A worker that answers by the length of what it is given, or, for pixels, with the last answer. @param {Record<string, any>} answers */
const workerOf = (answers) => `
const info = ${JSON.stringify({
  version: '0.1.0',
  kernels: 'ref',
  model: {
    id: 'made-up',
    version: '1',
    sha256: 'b'.repeat(64),
    classes: CLASSES,
    inputWidth: 192,
    inputHeight: 192,
    maps: { lungs: { width: 24, height: 24 }, opacities: { width: 12, height: 12 } },
    gateThreshold: 0.5,
    uncertainThreshold: 0.5,
    evidenceThreshold: 0.3,
    ...THRESHOLDS,
    arenaBytes: 1,
    macs: 1,
  },
})};
const answers = ${JSON.stringify(answers, (_, value) => (value instanceof Float32Array ? { floats: [...value] } : value))};
const revive = (value) => value?.floats ? Float32Array.from(value.floats) : value && typeof value === 'object'
  ? Object.assign(Array.isArray(value) ? [] : {}, Object.fromEntries(Object.entries(value).map(([key, each]) => [key, revive(each)]))) : value;
onmessage = ({ data: { id, type, job } }) => {
  const value = type === 'load' ? info : revive(answers[job.bytes?.length] ?? answers.pixels);
  postMessage({ id, value, memoryBytes: 1 });
};`;

/**
 * A page whose engine gives these answers to these images.
 * @param {{ image: Buffer, answer: any }[]} cases
 * @param {any} [options]
 */
async function opened(cases, options) {
  const { page, troubles } = await site.open(options);
  const answers = Object.fromEntries(cases.map(({ image, answer }) => [image.length, answer]));
  await page.route('**/worker.js', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: workerOf({ ...answers, pixels: cases[0].answer }) }),
  );
  await page.reload();
  await ready(page);
  await pick(
    page,
    cases.map(({ image }, i) => file(`${i}.png`, image, 'image/png')),
  );
  await idle(page, cases.length);
  return { page, troubles, lens: page.locator('cxr-lens') };
}

/** Where things are: boxes as shares of the picture, and which of the map's cells are coloured. @param {import('playwright-core').Locator} lens */
const drawn = (lens) =>
  lens.evaluate(async (element) => {
    const root = /** @type {ShadowRoot} */ (element.shadowRoot);
    const rect = (/** @type {string} */ selector) => [...root.querySelectorAll(selector)].map((node) => node.getBoundingClientRect());
    const [image] = rect('canvas.image');
    const share = (/** @type {DOMRect} */ { x, y, width, height }) => [
      (x - image.x) / image.width,
      (y - image.y) / image.height,
      width / image.width,
      height / image.height,
    ];
    const map = /** @type {HTMLCanvasElement} */ (root.querySelector('canvas.map'));
    const { data, width } = /** @type {CanvasRenderingContext2D} */ (map.getContext('2d')).getImageData(0, 0, map.width, map.height);
    const shown = [...data.keys()]
      .filter((i) => i % 4 === 3 && data[i] > 60)
      .map((i) => [(((i >> 2) % width) / width) * 12, (Math.floor((i >> 2) / width) / width) * 12]);
    const ends = [0, 1].flatMap((axis) => [Math.min(...shown.map((at) => at[axis])), Math.max(...shown.map((at) => at[axis]))]);
    return {
      ratio: image.width / image.height,
      marks: rect('.mark').map(share),
      frame: share(rect('.frame')[0]),
      cells: ends,
      labels: [...root.querySelectorAll('.label')].map((node) => node.textContent),
    };
  });

/** @param {number[]} got @param {number[]} wanted @param {number} tolerance @param {string} what */
const near = (got, wanted, tolerance, what) =>
  got.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) <= tolerance, `${what}: ${got} instead of ${wanted}`));

/** A JPEG that is to be turned by a quarter, 300 x 400 then. @param {import('playwright-core').Page} page */
async function turnedJpeg(page) {
  const bytes = Buffer.from(
    await page.evaluate(async () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 400, height: 300 });
      const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg'));
      return [...new Uint8Array(await /** @type {Blob} */ (blob).arrayBuffer())];
    }),
  );
  const exif = Buffer.from('ffe1002245786966000049492a0008000000010012010300010000000600000000000000', 'hex');
  return Buffer.concat([bytes.subarray(0, 2), exif, bytes.subarray(2)]);
}

const BORDERED = { x: 0.25, y: 0.1, width: 0.5, height: 0.8 };
const radiographFile = dicomFile(radiograph({ width: 80, height: 100, pixels: Uint8Array.from({ length: 8000 }, (_, i) => i % 200) }));

for (const [name, image, options] of /** @type {[string, Buffer | null, any][]} */ ([
  ['as it is', chest(1), {}],
  ['cut at its borders', png(300, 200, (x) => x / 2), { frame: BORDERED }],
  ['inverted', chest(2), { warnings: ['inverted'] }],
  ['turned upright by the engine', chest(3), { warnings: ['rotated'], frame: { x: 0.1, y: 0.25, width: 0.8, height: 0.5 } }],
  ['turned by its EXIF tag', null, { frame: BORDERED }],
  ['DICOM with a window', radiographFile, { frame: BORDERED }],
])) {
  test(`an image ${name}: opacities, lungs and boxes lie where they are, at any zoom`, async () => {
    const answer = madeUp(options);
    const given = image ?? (await turnedJpeg((await site.open()).page));
    const { page, lens, troubles } = await opened([{ image: given, answer }]);
    await lens.locator('.mark').waitFor();
    const {
      frame,
      findings: [{ x, y, width, height }],
    } = answer;
    for (const zoom of [1, 2]) {
      const seen = await drawn(lens);
      near(seen.marks[0], [x, y, width, height], 0.005, 'the box');
      near(seen.frame, [frame.x, frame.y, frame.width, frame.height], 0.005, 'the frame');
      near(seen.cells, [2, 5, 7, 9], 1, 'the opacity, in cells');
      assert.deepEqual(seen.labels, ['1: right lower zone']);
      if (name.includes('EXIF')) assert.ok(Math.abs(seen.ratio - 0.75) < 0.01, 'the browser has turned it');
      if (zoom === 1) for (let i = 0; i < 3; i++) await page.locator('body').press('+');
    }
    assert.deepEqual(troubles, []);
  });
}

test('each finding is a line with a number, a place and a strength, and leads to its place', async () => {
  const answer = madeUp({
    cells: [
      [2, 7, 3, 2],
      [8, 2, 1, 1],
    ],
  });
  const { page, lens } = await opened([{ image: chest(1), answer }]);
  const lines = lens.locator('.findings button');
  assert.deepEqual(
    (await lines.allInnerTexts()).map((text) => text.split(/\s*\n\s*/)),
    [
      ['1', 'right lower zone', 'medium'],
      ['2', 'left upper zone', 'medium'],
    ],
  );
  assert.equal(await lens.locator('.found').innerText(), 'Two opacities found: right lower, left upper zone');
  await lines.nth(1).focus();
  await lens.locator('.mark.lit').nth(0).waitFor();
  await page.keyboard.press('Enter');
  await lens.locator('.stage.zoomed').waitFor();
  const [mark, view] = await Promise.all([lens.locator('.mark').nth(1).boundingBox(), lens.locator('.stage').boundingBox()]);
  assert.ok(mark && view);
  near(
    [mark.x + mark.width / 2, mark.y + mark.height / 2],
    [view.x + view.width / 2, view.y + view.height / 2],
    0.2 * view.width,
    'its middle',
  );
  await page.keyboard.press('Enter');
  await lens.locator('.stage:not(.zoomed)').waitFor();
});

test('without a verdict no group is marked, and a verdict without evidence says so first', async () => {
  const answer = { ...madeUp({ verdict: 'covid-19', cells: [], warnings: ['no-evidence'] }), verdict: 'uncertain' };
  const { lens } = await opened([{ image: chest(1), answer }]);
  const texts = await lens.locator('.answer-head > :not(.file-name)').allInnerTexts();
  assert.match(texts[0], /^Not sure$/);
  assert.match(texts[1], /^The figures point to COVID.19, but no opacity was found in the lungs/);
  assert.equal(texts[2], 'No opacity found in the lungs');
  assert.equal(texts[3], 'For research and education. Not a medical device.');
  assert.deepEqual([await lens.locator('.bar.top').count(), await lens.locator('label.bar input:checked').count()], [0, 0]);
  assert.match(await lens.locator('.warnings').innerText(), /^Caution\n/);
});

test('a normal verdict with an opacity says so first', async () => {
  const { lens } = await opened([{ image: chest(1), answer: madeUp({ verdict: 'normal' }) }]);
  assert.match(await lens.locator('.contrary').innerText(), /yet an opacity was found/);
  assert.match(await lens.locator('.head').innerText(), /Looks most like\s+Normal\s+70\.0%/);
});

test('two images side by side have their answers and findings, each its own', async () => {
  const { page, lens } = await opened([
    { image: chest(1), answer: madeUp() },
    { image: chest(2, 200), answer: madeUp({ verdict: 'normal', cells: [] }) },
  ]);
  await lens.getByRole('button', { name: 'Compare with another' }).click();
  const panes = lens.locator('.pane');
  await panes.nth(1).locator('canvas.image').waitFor();
  assert.deepEqual(await lens.locator('.found').allInnerTexts(), ['One opacity found: right lower zone', 'No opacity found in the lungs']);
  assert.deepEqual(await Promise.all([0, 1].map((i) => panes.nth(i).locator('.mark').count())), [1, 0]);
  const [left, right] = await Promise.all([0, 1].map((i) => panes.nth(i).locator('.stage').boundingBox()));
  assert.ok(left && right && left.x + left.width <= right.x && left.y === right.y, 'side by side');
  assert.deepEqual(
    await lens.locator('label.bar input:checked').evaluateAll((nodes) => nodes.map((node) => /** @type {HTMLInputElement} */ (node).value)),
    ['covid-19', 'normal'],
  );
  await page.locator('body').press('m');
  assert.ok(await lens.locator('.over').first().isHidden());
});

test('what cannot be read has no viewer', async () => {
  const { lens } = await opened([{ image: chest(1), answer: madeUp() }]);
  await lens.getByRole('button', { name: 'Clear all' }).click();
  await pick(lens.page(), [file('bad.dcm', radiographFile.subarray(0, 200))]);
  await idle(lens.page(), 1);
  assert.match(await lens.locator('h2.verdict').innerText(), /Could not be read/);
  assert.ok(await lens.locator('.viewer').isHidden());
});

test('Undo stays in view at any scroll position', async () => {
  const { page, lens } = await opened(
    [
      { image: chest(1), answer: madeUp() },
      { image: chest(2, 200), answer: madeUp() },
    ],
    { viewport: { width: 390, height: 500 } },
  );
  await lens.getByRole('button', { name: 'Remove 1.png' }).press('Enter');
  for (const top of [0, 100_000]) {
    await page.evaluate((y) => scrollTo(0, y), top);
    const box = await lens.locator('.undo').boundingBox();
    assert.ok(box && box.y >= 0 && box.y + box.height <= 500 && box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box));
  }
  await lens.getByRole('button', { name: 'Undo' }).click();
  await idle(page, 2);
  assert.ok(await lens.locator('.undo').isHidden());
});

test('on a small laptop the controls of the viewer are in view, on a phone the verdict stands above the picture', async () => {
  const { page, lens } = await opened([{ image: chest(1), answer: madeUp() }], { viewport: { width: 1366, height: 657 } });
  await lens.locator('.mark').waitFor();
  const bottom = async (/** @type {string} */ part) => {
    const box = await lens.locator(part).first().boundingBox();
    return box ? box.y + box.height : NaN;
  };
  assert.ok((await bottom('.states')) <= 657);
  await page.setViewportSize({ width: 390, height: 844 });
  const viewer = await lens.locator('.viewer').boundingBox();
  assert.ok(viewer && (await bottom('.notice-line')) <= viewer.y, 'verdict, findings and notice come first');
  assert.ok((await bottom('.stage')) <= 844);
});

test('a touch screen is not asked to drop', async () => {
  const { page } = await site.open({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  const words = await page.locator('cxr-lens .drop').innerText();
  assert.doesNotMatch(words, /[Dd]rop|paste|folder/);
});

test('the parts of a radiograph that DICOM leaves out are said to be missing', async () => {
  const bare = dicomFile(radiograph({ width: 80, height: 90, pixels: new Uint8Array(7200) }, { '00080060': null }));
  const { lens } = await opened([{ image: bare, answer: madeUp() }]);
  assert.match(await lens.locator('.warnings').innerText(), /Modality \(0008,0060\) is missing/);
});
