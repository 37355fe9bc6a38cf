/** What to put before a command that is to meet locked folders: for root nothing is locked. @type {string[]} */
export const unprivileged = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [];
