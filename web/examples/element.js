// What a portal does with the element's events. They bubble, so one listener serves all elements of the page.
const answer = document.querySelector('#answer');

document.addEventListener('cxr-result', ({ detail: { verdict, file, result } }) => {
  const named = result.classes.find(({ id }) => id === verdict);
  answer.textContent = `${file}: ${verdict}${named ? ` (${Math.round(100 * named.probability)} %)` : ''}`;
});
document.addEventListener('cxr-error', ({ detail: { error, file } }) => {
  answer.textContent = `${file ?? 'The model'}: ${error.message} [${error.code}]`;
});
