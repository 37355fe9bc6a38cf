// A portal that keeps the classifier in a frame of another origin. Its policy needs only `frame-src`.
import { embed } from '../cxrlens-embed.js';

const answer = document.querySelector('#answer');
const lens = await embed(document.querySelector('#lens'), 'https://lens.example/embed.html', { lang: 'en', theme: 'light' });

// What the user drops into the frame comes as an event ...
lens.addEventListener('cxr-result', ({ detail }) => {
  answer.textContent = `${detail.file}: ${detail.verdict}`;
});
// ... and what the portal gives it is answered by a promise.
document.querySelector('input').addEventListener('change', async ({ target }) => {
  try {
    const { verdict } = await lens.classify(target.files[0]);
    answer.dataset.verdict = verdict;
  } catch (error) {
    answer.textContent = `${error.message} [${error.code}]`;
  }
});
