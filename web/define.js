/** Registers <cxr-lens>. Importing it twice, or beside another copy, does no harm; nor does it in Node, where there is nothing to register it with. */

import { CxrLens } from './element.js';

if (globalThis.customElements && !customElements.get('cxr-lens')) customElements.define('cxr-lens', CxrLens);

export { CxrLens };
