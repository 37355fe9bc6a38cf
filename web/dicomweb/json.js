// json.js - reads values from DICOM JSON (PS3.18 F.2). It comes from a server, so it may contain anything.

/** A unique identifier (PS3.5 9.1). */
export const UID = /^(?=.{1,64}$)\d+(\.\d+)+$/;

/** The first value of an element, as text. @param {Record<string, any>} json @param {string} tag */
export const textOf = (json, tag) => String(json[tag]?.Value?.[0] ?? '').trim();

/** The items of a sequence. @param {Record<string, any>|null} json @param {string} tag @returns {Record<string, any>[]} */
export function itemsOf(json, tag) {
  const items = json?.[tag]?.Value;
  return Array.isArray(items) ? items.filter((item) => Object(item) === item) : [];
}
