// page.js - the test's viewer: Cornerstone3D and its DICOM loader, with one stack viewport. esbuild bundles it.
import { Enums, init, metaData, RenderingEngine, setUseCPURendering } from '@cornerstonejs/core';
import { init as initLoader, wadouri } from '@cornerstonejs/dicom-image-loader';
import ohif from '../../../web/examples/ohif/index.js';

/** @type {any} */
const scope = window;
/** @type {RenderingEngine|undefined} */
let engine;

/** Shows a stack of DICOM files, and gives its viewport. @param {Uint8Array<ArrayBuffer>[]} files @param {{ cpu?: boolean }} [options] */
scope.show = async (files, { cpu = true } = {}) => {
  engine?.destroy();
  setUseCPURendering(cpu);
  engine = new RenderingEngine('engine');
  const element = /** @type {HTMLDivElement} */ (document.querySelector('#viewport'));
  engine.enableElement({ viewportId: 'one', type: Enums.ViewportType.STACK, element });
  const viewport = /** @type {import('@cornerstonejs/core').StackViewport} */ (engine.getViewport('one'));
  await viewport.setStack(files.map((bytes) => wadouri.fileManager.add(new Blob([bytes]))));
  viewport.render();
  scope.viewport = viewport;
  return viewport;
};
scope.metaData = metaData;
scope.ohif = ohif;

init();
initLoader({ maxWebWorkers: 1 });
scope.loaded = true;
