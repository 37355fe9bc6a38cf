// stats.js - medians of repeated measurements.

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * What is reported of repeated measurements: most runs are a little disturbed, so the smallest says what is possible.
 * @param {number[]} values
 */
export const summary = (values) => ({ median: median(values), min: Math.min(...values), max: Math.max(...values), count: values.length });
