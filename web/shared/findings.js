/** Findings in words: in the panel, over the image, in the table and in exports. */

/**
 * @typedef {import('../classifier.js').Result} Result
 * @typedef {import('../classifier.js').Finding} Finding
 * @typedef {import('./words.js').Words} Words
 */

/** "right lower zone" @param {Words} words @param {Finding} finding */
export const findingName = (words, finding) => placed(words, finding, 'finding.name');

/** @param {Words} words @param {Finding} finding @param {string} key */
const placed = (words, { side, zone }, key) => words.text(key, { side: words.text(`side.${side}`), zone: words.text(`zone.${zone}`) });

/** "weaker", "medium" or "stronger", as the opacity map's values go. @param {Words} words @param {Finding} finding */
export function strengthName(words, { strength }) {
  return words.text(`strength.${strength < 0.85 ? 'weaker' : strength < 0.95 ? 'medium' : 'stronger'}`);
}

/** Each place once, the strongest first. @param {Words} words @param {Result} result */
export function zonesOf(words, { findings }) {
  const names = new Set(findings.map((finding) => placed(words, finding, 'finding.place')));
  return [...names].join(words.text('findings.comma'));
}

/** "Two opacities found: right lower, left middle zone" @param {Words} words @param {Result} result */
export function findingsSentence(words, result) {
  const n = result.findings.length;
  if (n === 0) return words.text('findings.none');
  const count = words.has(`count.${n}`) ? words.text(`count.${n}`) : words.count(n);
  return words.text(n === 1 ? 'findings.one' : 'findings.more', { count, zones: zonesOf(words, result) });
}

/**
 * What to say first where the verdict and the findings disagree; '' where they agree.
 * @param {Words} words
 * @param {Result} result
 * @param {string} verdict
 */
export function disagreement(words, { findings, warnings, classes }, verdict) {
  if (warnings.includes('no-evidence')) {
    const likeliest = classes.reduce((best, each) => (each.probability > best.probability ? each : best));
    return words.text('findings.disagree.none', { class: words.verdict(likeliest.id) });
  }
  return verdict === 'normal' && findings.length > 0 ? words.text('findings.disagree.normal') : '';
}
