// instructions.test.js - one pass of the random MobileNetV2 through the vector kernels, in instructions as callgrind counts
// them in the native build: a measure of speed that is the same on a busy machine. A change that needs more fails here;
// one that needs fewer lowers the bound.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cwd = new URL('../../../', import.meta.url);

const measured = 183_266_852; // by GCC 12 for x86-64
const tolerance = 1.05; // for other compilers' versions

test('a forward pass takes no more instructions than before', { skip: process.arch !== 'x64' && 'the bound is for x86-64' }, async () => {
  await run(process.env.MAKE ?? 'make', ['-s', 'build/bench/instructions'], { cwd });
  const { stderr } = await run(
    'valgrind',
    [
      '--tool=callgrind',
      '--callgrind-out-file=/dev/null',
      '--collect-atstart=no',
      '--toggle-collect=cxr_graph_run',
      'build/bench/instructions',
    ],
    { cwd },
  );
  const instructions = Number(/Collected : (\d+)/.exec(stderr)?.[1]);
  assert.ok(instructions > measured / 10, `callgrind did not see the pass:\n${stderr}`);
  assert.ok(instructions <= measured * tolerance, `${instructions} instructions, ${measured} before`);
});
