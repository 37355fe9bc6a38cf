// source.js - what an image is read from: something at hand, or an archive that is asked each time.

/**
 * @typedef {{ name: string, open: () => Promise<Blob> }} Remote an image that can be had again, so that it need not be kept
 * @typedef {Blob | ImageData | Remote} Source
 */

/** @param {Source} source @returns {Promise<Blob | ImageData>} */
export const contentOf = async (source) => ('open' in source ? source.open() : source);
