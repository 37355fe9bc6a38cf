/** The address of a script that is not a module, in place of `import.meta.url`. Read at once: the browser gives it only while the script starts. */
export const scriptAddress = /** @type {HTMLScriptElement} */ (document.currentScript).src;
