// cxrlens.global.js - for pages without modules and without a bundler: `<script src="cxrlens.global.js">` registers <cxr-lens>
// and sets the global `cxrlens`, with the names below. The build bundles it with all its imports, lazy ones too, into one file, so
// that one `integrity` in the page covers them.

export { CxrLens } from './define.js';
export { createClassifier, CxrError } from './classifier.js';
export { toFhir, toOutcome, postFhir } from './fhir.js';
