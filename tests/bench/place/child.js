// child.js - what places.js starts in Node: calls one exported function and prints what it returns as the last line.
const [file, name, args] = process.argv.slice(2);
const value = await (await import(new URL(`../measure/${file}`, import.meta.url).href))[name](...JSON.parse(args));
process.stdout.write(`\n${JSON.stringify(value)}`, () => process.exit(0)); // peers leave handles open
