// cxrlens.global.js - for pages without modules and without a bundler: `<script src="cxrlens.global.js">` registers <cxr-lens>
// and puts `cxrlens` there, with the names below. The build makes one file of it and of all that it imports, now or later, so that
// one `integrity` in the page covers them.

export { CxrLens } from './define.js';
export { createClassifier, CxrError } from './classifier.js';
export { toFhir, toOutcome, postFhir } from './fhir.js';
