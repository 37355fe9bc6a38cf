/** The Python binding of an installed library: what it answers is what the command prints. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const PYTHON = process.env.PYTHON || '/usr/bin/python3';
const IMAGES = ['web/samples/synthetic-covid-19-1.jpg', 'web/samples/synthetic-normal-1.jpg', 'tests/golden/images/phantom.png'];
const root = mkdtempSync(join(tmpdir(), 'cxrlens-python-'));
const packages = `${root}/usr/lib/python3/dist-packages`;
after(() => rmSync(root, { recursive: true, force: true }));

/** @param {string} command @param {string[]} args @param {Record<string, string>} [env] */
function run(command, args, env = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000, env: { ...process.env, CXRLENS_MODEL: '', ...env } });
  assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stdout}${done.stderr}`);
  return done.stdout.trim();
}

const make = (/** @type {string} */ target) =>
  run(process.env.MAKE || 'make', ['--no-print-directory', target, `DESTDIR=${root}`, 'PREFIX=/usr']);

/** What a program of Python prints as JSON, one value a line. @param {string} program @param {string[]} args */
const python = (program, ...args) =>
  run(PYTHON, ['-c', `import dataclasses, json\nimport numpy as np\nimport cxrlens\n${program}`, ...args], {
    PYTHONPATH: packages,
    PYTHONDONTWRITEBYTECODE: '',
  })
    .split('\n')
    .map((line) => JSON.parse(line));

/** Every number as the float that it came from. @param {any} value */
const floats = (value) => JSON.parse(JSON.stringify(value), (_, each) => (typeof each === 'number' ? Math.fround(each) : each));

const SHOW = `import sys
def show(result): print(json.dumps(dataclasses.asdict(result), default=np.ndarray.tolist, allow_nan=False))`;

before(() => make('install'));

test('files: verdict, probabilities, frame, gate, opacity, findings, maps and warnings are those of the command', () => {
  const lines = run(`${root}/usr/bin/cxrlens`, ['classify', '--format', 'json', '--maps', ...IMAGES]).split('\n');
  const results = python(
    `${SHOW}
with cxrlens.Classifier() as classifier:
    for path in sys.argv[1:]: show(classifier.classify(open(path, "rb").read()))`,
    ...IMAGES,
  );
  assert.equal(results.length, IMAGES.length);
  let findings = 0;
  for (const [k, result] of results.entries()) {
    const { verdict, classes, image, frame, gate, opacity, maps, warnings, ...said } = JSON.parse(lines[k]);
    /** Of each class. @param {string} name */
    const each = (name) => Object.fromEntries(classes.map((/** @type {any} */ one) => [one.id, one[name]]));
    /** @param {{ width: number, values: number[] }} map */
    const rows = ({ width, values }) => Array.from({ length: values.length / width }, (_, y) => values.slice(y * width, (y + 1) * width));
    const expected = {
      verdict,
      probabilities: each('probability'),
      logits: each('logit'),
      width: image.width,
      height: image.height,
      frame,
      gate: { score: gate.score, threshold: gate.threshold },
      opacity,
      findings: said.findings,
      maps: { lungs: rows(maps.lungs), opacities: rows(maps.opacities) },
      warnings,
    };
    assert.deepEqual(floats(result), floats(expected), IMAGES[k]);
    findings += said.findings.length;
  }
  assert.ok(findings > 0, 'some image has a finding');
});

test('pixels: uint8, uint16, int16 and a strided view of the same image get the same answer', () => {
  const [u8, ...others] = python(`${SHOW}
y, x = np.mgrid[:300, :260]
image = (127 + 60 * np.sin(x / 37) + 60 * np.cos(y / 23)).astype(np.uint8)
wide = image.astype(np.uint16) * 257
with cxrlens.Classifier() as classifier:
    show(classifier.classify(image))
    show(classifier.classify(wide, window=(32768, 65536)))
    show(classifier.classify((wide.astype(np.int32) - 32768).astype(np.int16), window=(0, 65536)))
    show(classifier.classify(np.repeat(image, 2, axis=1)[:, ::2]))
    show(classifier.classify(255 - image, invert=True))
    show(classifier.classify(wide >> 4, bits=12, window=(2048, 4096)))`);
  assert.deepEqual([u8.width, u8.height], [260, 300]);
  const twelve = others.pop();
  for (const other of others) assert.deepEqual(other, u8);
  assert.equal(twelve.verdict, u8.verdict);
});

test('errors are exceptions with the name of the status', () => {
  const damaged = join(root, 'damaged.cxrm');
  writeFileSync(damaged, 'no model');
  const said = python(
    `import sys
def fails(call):
    try: call()
    except cxrlens.Error as error: print(json.dumps([error.name, str(error).startswith(error.name + ": ")]))
    else: print(json.dumps("no error"))
classifier = cxrlens.Classifier()
fails(lambda: classifier.classify(b""))
fails(lambda: classifier.classify(b"no image at all"))
fails(lambda: classifier.classify(np.zeros((8, 8), np.uint8)))
fails(lambda: classifier.classify(np.zeros((64, 64, 3), np.uint8)))
fails(lambda: classifier.classify(np.zeros((64, 64), np.float32)))
fails(lambda: classifier.classify(np.zeros((64, 64), np.uint16), bits=17))
classifier.close()
classifier.close()
fails(lambda: classifier.classify(b"x"))
fails(lambda: cxrlens.Classifier(model=sys.argv[1]))
fails(lambda: cxrlens.Classifier(library="/nowhere/libcxr.so.0"))
cxrlens.VERSION = "9.9"
fails(cxrlens.Classifier)`,
    damaged,
  );
  const names = ['image-empty', 'image-format', 'image-small', 'argument', 'argument', 'argument', 'argument'];
  assert.deepEqual(
    said,
    [...names, 'model-format', 'library', 'library'].map((name) => [name, true]),
  );
});

test('uninstall takes it away, with what Python compiled', () => {
  assert.ok(existsSync(`${packages}/__pycache__`));
  make('uninstall');
  assert.deepEqual(spawnSync('find', [packages, '-type', 'f'], { encoding: 'utf8' }).stdout, '');
});
