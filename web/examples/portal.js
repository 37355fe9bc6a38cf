// What a portal with a PACS does: it says where the study is and how to ask for it. The images come straight from the PACS to
// this page, and a report goes back there when the user wants it.
const lens = document.querySelector('cxr-lens');
const answer = document.querySelector('#answer');
const store = document.querySelector('#store');

// From the portal's own server, for the user who is signed in.
const { study, token } = await (await fetch('portal.json')).json();
lens.fetch = (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
lens.study = study; // dicomweb:https://pacs.example/dicom-web/studies/1.2.840.1

lens.addEventListener('cxr-study', ({ detail: { images, retrieved, failed } }) => {
  answer.textContent = `${retrieved} of ${images} images retrieved${failed ? `, ${failed} failed` : ''}`;
});
lens.addEventListener('cxr-progress', ({ detail: { total, open, done } }) => {
  store.disabled = open > 0 || done === 0;
  if (total > 0 && open === 0) answer.textContent = `${done} of ${total} images read`;
});
store.addEventListener('click', async () => {
  try {
    const { stored } = await lens.storeReport();
    answer.textContent = `${stored.length} reports stored`;
  } catch (error) {
    answer.textContent = `${error.message} [${error.code}]`;
  }
});
