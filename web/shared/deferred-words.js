/** Loads the strings that are needed only after the start: guidance, help dialogue, printed report. */

import { Words } from './words.js';
import en from '../strings/deferred.en.js';
import ko from '../strings/deferred.ko.js';

/** Both languages: they are short, and nothing should be fetched once there are images. @type {Record<string, import('./words.js').Strings>} */
const STRINGS = { en, ko };

/** The element's words with these beside them; a portal's own go before both. @param {Words} words of the element */
export const laterWords = ({ language, strings }) => new Words(language, { ...(STRINGS[language] ?? en), ...strings });
