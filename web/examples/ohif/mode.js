// mode.js - an OHIF mode for chest X-rays: the basic mode with a button that runs the extension's command.
import { ToolbarService } from '@ohif/core';
import { extensionDependencies, modeInstance } from '@ohif/mode-basic';
import extension from './index.js';

const { primary } = ToolbarService.TOOLBAR_SECTIONS;
const id = 'cxrlens-ohif-mode';
const extensions = { ...extensionDependencies, [extension.id]: '^0.2.0' };

const button = {
  id: 'ReadChestXray',
  uiType: 'ohif.toolButton',
  props: {
    icon: 'tool-probe',
    label: 'Read chest X-ray',
    tooltip: 'Lungs and opacities, found on this device. For research only',
    commands: 'readChestXray',
    evaluate: 'evaluate.action',
  },
};

/** @type {any} */
export default {
  id,
  modeFactory: () => ({
    ...modeInstance,
    id,
    hide: false,
    routeName: 'chest',
    displayName: 'Chest X-ray',
    extensions,
    toolbarButtons: [...modeInstance.toolbarButtons, button],
    toolbarSections: { ...modeInstance.toolbarSections, [primary]: [...modeInstance.toolbarSections[primary], button.id] },
    isValidMode: (/** @type {{ modalities: string }} */ { modalities }) => ({
      valid: modalities.split('\\').some((modality) => ['CR', 'DX'].includes(modality)),
      description: 'Studies with CR or DX images',
    }),
    routes: modeInstance.routes.map((/** @type {any} */ route) => ({ ...route, path: 'chest' })),
  }),
  extensionDependencies: extensions,
};
