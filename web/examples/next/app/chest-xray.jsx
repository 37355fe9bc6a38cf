// A client component with a plain import: on the server the package loads without a DOM, and the tag is sent empty; the browser
// fills it. Of a custom element that came from the server React sets neither properties nor listeners: so the component writes
// attributes, and adds its listeners to the element.
'use client';

import { useEffect, useRef, useState } from 'react';
import 'cxrlens/react';

export function ChestXray() {
  const [answer, setAnswer] = useState('No image yet');
  const lens = useRef(/** @type {import('cxrlens/element').CxrLens | null} */ (null));
  useEffect(() => {
    const removed = new AbortController();
    const { signal } = removed;
    lens.current?.addEventListener('cxr-result', ({ detail }) => setAnswer(`${detail.file}: ${detail.verdict}`), { signal });
    lens.current?.addEventListener('cxr-error', ({ detail }) => setAnswer(`${detail.error.message} [${detail.error.code}]`), { signal });
    return () => removed.abort();
  }, []);
  return (
    <>
      <cxr-lens multiple doubt-threshold="0.95" ref={lens} />
      <p role="status">{answer}</p>
    </>
  );
}
