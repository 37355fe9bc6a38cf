/** Registers <cxr-lens>. Importing it twice, beside another copy or in Node, where nothing can be registered, does no harm. */

import { CxrLens } from './element.js';

if (globalThis.customElements && !customElements.get('cxr-lens')) customElements.define('cxr-lens', CxrLens);

export { CxrLens };
