/** A prefix for commands that must fail on locked folders: root can open every folder. @type {string[]} */
export const unprivileged = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [];
