/** Registers <cxr-lens>. Importing it twice, or beside another copy, does no harm. */

import { CxrLens } from './element.js';

if (!customElements.get('cxr-lens')) customElements.define('cxr-lens', CxrLens);

export { CxrLens };
