// page.js - the browser's child.js: calls one exported function and posts what it returns to the server.
const { id, file, name, args } = Object.fromEntries(new URLSearchParams(location.search));
try {
  const value = await (await import(new URL(`../measure/${file}`, location.href).href))[name](...JSON.parse(args));
  await post({ value });
} catch (error) {
  await post({ error: String(error) });
}

/** @param {import('./server.js').Answer} answer */
function post(answer) {
  return fetch(`/answer/${id}`, { method: 'POST', body: JSON.stringify(answer) });
}
