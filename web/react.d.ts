// `import 'cxrlens/react'` registers the element, as define.js does, and tells React's JSX about it.
import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import type { CxrLens } from './element.js';
import type { Attributes } from './element/attributes.js';
import type { CxrEvents } from './types.js';

export * from './define.js';

type Properties = Pick<CxrLens, Exclude<keyof Attributes, keyof HTMLElement> | 'fetch' | 'strings'>;
type Listeners = { [K in keyof CxrEvents as `on${K}`]: (event: CxrEvents[K]) => void };

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'cxr-lens': DetailedHTMLProps<HTMLAttributes<CxrLens>, CxrLens> & Partial<Properties & Listeners>;
    }
  }
}
