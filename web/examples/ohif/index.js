// index.js - an OHIF extension: the command `readChestXray` classifies the image of the active viewport on the user's device, says the
// result, and draws lungs and opacities over the image. Called again, it takes the drawing away.
import { metaData } from '@cornerstonejs/core';
import { createClassifier } from 'cxrlens';
import { inputOf, showFindings } from 'cxrlens/cornerstone';

const RADIOGRAPHY = ['CR', 'DX'];

/** Loaded at the first use, for all viewports. @type {Promise<import('cxrlens').Classifier>|undefined} */
let classifier;
/** What is drawn, by viewport. @type {Map<string, { imageId: string, remove: () => void }>} */
const drawn = new Map();

/** @param {any} services OHIF's */
async function readChestXray({ viewportGridService, cornerstoneViewportService, uiNotificationService }) {
  const say = (/** @type {string} */ message, type = 'info') =>
    uiNotificationService.show({ title: 'CXR Lens: for research, not a medical device', message, type, duration: 10_000 });
  const viewportId = viewportGridService.getActiveViewportId();
  const viewport = cornerstoneViewportService.getCornerstoneViewport(viewportId);
  const image = viewport?.getCornerstoneImage?.();
  if (!image) return say('The active viewport shows no image.', 'warning');
  const { imageId } = image;
  const before = drawn.get(viewportId);
  before?.remove();
  drawn.delete(viewportId);
  if (before?.imageId === imageId) return;
  // The classifier sees pixels only: tags that rule out a frontal radiograph are for the viewer to look at.
  const { modality } = metaData.get('generalSeriesModule', imageId) ?? {};
  if (!RADIOGRAPHY.includes(modality)) return say(`An image of modality ${modality} is not a radiograph.`, 'warning');
  try {
    classifier ??= createClassifier();
    const cxr = await classifier;
    const padding = metaData.get('imagePixelModule', imageId)?.pixelPaddingValue;
    const result = await cxr.classify(inputOf(image, { padding }), { maps: true });
    const { remove } = showFindings(viewport, result, { imageId, thresholds: cxr.info.model });
    drawn.set(viewportId, { imageId, remove });
    const { length } = result.findings;
    say(`${result.verdict}; ${length} ${length === 1 ? 'opacity' : 'opacities'} found`);
  } catch (error) {
    if (!(await classifier?.catch(() => null))) classifier = undefined; // what did not load may load next time
    say(error instanceof Error ? error.message : String(error), 'error');
  }
}

/** @type {{ id: string, getCommandsModule: (ohif: { servicesManager: { services: any } }) => any, onModeExit: () => void }} */
export default {
  id: 'cxrlens-ohif',
  getCommandsModule: ({ servicesManager }) => ({
    definitions: { readChestXray: { commandFn: () => readChestXray(servicesManager.services) } },
    defaultContext: 'CORNERSTONE',
  }),
  onModeExit() {
    for (const { remove } of drawn.values()) remove();
    drawn.clear();
  },
};
