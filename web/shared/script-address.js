/** Where a script that is no module came from: stands for `import.meta.url` in it. Read at once, as it is told only while the script starts. */
export const scriptAddress = /** @type {HTMLScriptElement} */ (document.currentScript).src;
