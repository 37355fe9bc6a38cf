// React 19 passes properties and listeners to custom elements by itself: no wrapper is needed.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import 'cxrlens/define';

function ChestXray() {
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

createRoot(document.querySelector('#root')).render(<ChestXray />);
