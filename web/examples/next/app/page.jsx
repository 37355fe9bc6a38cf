// A server component: the page itself needs nothing of the browser.
import { ChestXray } from './chest-xray';

export default function Page() {
  return (
    <main>
      <h1>Your chest X-ray</h1>
      <ChestXray />
    </main>
  );
}
