/** The built scripts that a script needs before it runs. */
import { readFileSync } from 'node:fs';

/** @param {string} start name of a script @param {string} [folder] that it lies in @returns {string[]} it and all that it imports statically */
export function reachable(start, folder = 'build/web') {
  const found = new Set([start]);
  for (const name of found) {
    const code = readFileSync(`${folder}/${name}`, 'utf8');
    for (const [, to] of code.matchAll(/(?:^|[;}])\s*(?:import|export)\b(?:[\w\s{},*$]*\bfrom)?\s*['"]\.\/([^'"]+)['"]/gm)) found.add(to);
  }
  return [...found];
}
