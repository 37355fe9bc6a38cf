// A client component with a plain import: on the server the package loads without a DOM, and the tag is sent empty; the browser
// fills it.
'use client';

import { useState } from 'react';
import 'cxrlens/react';

export function ChestXray() {
  const [answer, setAnswer] = useState('No image yet');
  return (
    <>
      <cxr-lens
        multiple
        doubtThreshold={0.95}
        oncxr-result={({ detail }) => setAnswer(`${detail.file}: ${detail.verdict}`)}
        oncxr-error={({ detail }) => setAnswer(`${detail.error.message} [${detail.error.code}]`)}
      />
      <p role="status">{answer}</p>
    </>
  );
}
