// findings.js - what a DICOM file says of itself, without anything about the patient, and what of that
// speaks against a frontal chest radiograph.
import { functionalGroup, invertedBy } from './grayscale.js';

/**
 * @typedef {import('./parser.js').DicomData} DicomData
 * @typedef {import('./parser.js').Tags} Tags
 *
 * @typedef {object} Spacing millimetres between pixels
 * @property {number} row between rows
 * @property {number} column between columns
 * @property {'patient'|'detector'} at detector: the patient is smaller by the unknown magnification (C.8.11.7.1.1)
 *
 * @typedef {object} About
 * @property {{ uid: string, name: string }} transferSyntax
 * @property {string|null} modality
 * @property {string|null} bodyPart
 * @property {string|null} viewPosition
 * @property {string|null} laterality
 * @property {string|null} presentationIntent 'FOR PRESENTATION' or 'FOR PROCESSING'
 * @property {boolean} burnedIn text on the picture is said to name the patient
 * @property {Spacing|null} spacing
 * @property {string|null} studyUid
 * @property {string|null} seriesUid
 * @property {string|null} instanceUid
 * @property {string|null} sopClass
 *
 * @typedef {'modality'|'body-part'|'view'|'processing'|'polarity'|'window'|'frames'|'burned-in'} FindingKind
 * @typedef {`dicom-${FindingKind}`} FindingCode
 *
 * @typedef {object} Finding
 * @property {'refuse'|'warn'} level refuse: an answer would mean nothing
 * @property {FindingCode} code
 * @property {string} tag '(0008,0060)'
 * @property {string} keyword 'Modality'
 * @property {string} value what it says
 * @property {string} message a sentence in English
 */

/** @param {DicomData} dicom @returns {About} */
export function aboutOf({ tags, syntax }) {
  const text = (/** @type {string} */ key) => tags.text(key) ?? null;
  /** What is no UID names nothing, and whoever wrote it on would write a bad file. @param {string} key */
  const uid = (key) => text(key)?.match(/^(?=.{1,64}$)\d+(\.\d+)+$/)?.[0] ?? null;
  return {
    transferSyntax: { uid: syntax.uid, name: syntax.name },
    modality: text('x00080060'),
    bodyPart: text('x00180015') ?? meaningOf(tags, 'x00082218'),
    viewPosition: text('x00185101') ?? meaningOf(tags, 'x00540220'),
    laterality: text('x00200062') ?? text('x00200060'),
    presentationIntent: text('x00080068'),
    burnedIn: text('x00280301') === 'YES',
    spacing: spacingOf(tags),
    studyUid: uid('x0020000d'),
    seriesUid: uid('x0020000e'),
    instanceUid: uid('x00080018'),
    sopClass: uid('x00080016'),
  };
}

/** The Code Meaning of a code sequence's first item. @param {Tags} tags @param {string} key */
const meaningOf = (tags, key) => tags.items(key)[0]?.text('x00080104') ?? null;

/** @param {Tags} tags @returns {Spacing|null} */
function spacingOf(tags) {
  // Imager Pixel Spacing, Nominal Scanned Pixel Spacing, Pixel Spacing.
  const detector = spacing(tags.decimals('x00181164'), 'detector') ?? spacing(tags.decimals('x00182010'), 'detector');
  const given = spacing(functionalGroup(tags, 0, 'x00289110').decimals('x00280030'), 'patient');
  // Pixel Spacing that was not calibrated repeats that of the detector (10.7.1.1).
  const repeated = given?.row === detector?.row && given?.column === detector?.column && !tags.text('x00280a02');
  return given && !repeated ? given : detector;
}

/** @param {number[]} values @param {'patient'|'detector'} at @returns {Spacing|null} */
const spacing = ([row, column = row], at) => (row > 0 && column > 0 ? { row, column, at } : null);

// ---- Is it a frontal chest radiograph? ------------------------------------------------------

const RADIOGRAPHY = ['CR', 'DX', 'RG', 'DR'];
/** May be a radiograph: captures, scans of film, fluoroscopy, or a modality left out. */
const MAYBE = ['OT', 'SC', 'RF', 'XA', 'HC'];

const CHEST = /CHEST|THORA|TORAX|T[OÓ]RAX|LUNG|PULMO|PECHO|BRUST|POUMON|흉|胸/i;
const CHEST_PARTS = /RIB|STERNUM|CLAVIC|HEART|MEDIASTIN|SHOULDER|SCAPULA|TRUNK/i;
/** The defined terms of PS3.16 Annex L, as whole words, side by side, of either side, or several: "LOWERLEG", "NECK_SHOULDERS". */
const ELSEWHERE =
  wholeWords(`HAND FINGER THUMB WRIST FOREARM ELBOW HUMERUS ARM FOOT FEET TOE ANKLE CALCANEUS CALCANEAL LEG TIBIA FIBULA KNEE PATELLA
  FEMUR FEMORAL THIGH HIP PELVIS PELVIC PELV SACRUM SACRAL SACROILIAC COCCYX ABDOMEN ABDOMINAL ABD KIDNEY BLADDER COLON SKULL HEAD FOREHEAD BRAIN FACE
  FACIAL SINUS ORBIT ORBITAL NOSE NASAL JAW MANDIBLE MAXILLA TOOTH TEETH TMJ NECK BREAST EXTREMITY EXTREMITIES LIMB LUMBAR LUMBOSACRAL THORACOLUMBAR
  CERVICAL UTERUS PROSTATE LIVER RADIUS ULNA HEEL SACRO MAXILLO`);

/** @param {string} words */
function wholeWords(words) {
  const any = words.trim().split(/\s+/).join('|');
  return new RegExp(
    `(?<!\\p{L})(?:L|R|LT|RT|LEFT|RIGHT|BILATERAL|BOTH|UPPER|LOWER|UP|LOW|WHOLE)?(?:(?:${any})(?:E?S)?)+(?:SPINE|JOINT|BONE|AP|PA|LAT)?(?!\\p{L})`,
    'iu',
  );
}

/** The spine behind the lungs, too, is no chest. */
const SPINE = /SPINE|VERTEBR|THORACO-?LUMBAR|CERVICO-?THORAC/i;
/** Not the spine behind the lungs. */
const OTHER_SPINE = /(?<![A-Z])(C|L|LS|TL)[-_ ]?SPINE/i;

const FRONTAL = /^(PA|AP|A\.?P\.?|P\.?A\.?|FRONTAL.*|.*(POSTERO-?ANTERIOR|ANTERO-?POSTERIOR).*|(AP|PA)[ _-].*)$/i;
const LATERAL = /^(LL|RL)$|(?<![A-Z])[LR]?LAT(?![A-Z])|(?<!BI|UNI|IPSI|CONTRA|COL)LATERAL/i;
const DECUBITUS = /^(LLD|RLD)$|DECUB/i;
const OBLIQUE = /^(RLO|LLO|RAO|LAO|RPO|LPO)$|OBLIQUE|(?<![A-Z])OBL(?![A-Z])/i;

/**
 * @param {DicomData} dicom
 * @param {About} about
 * @param {{ frames: number, windowless: boolean }} picture windowless: no window where one should be
 * @returns {Finding[]} the refusals first
 */
export function findingsOf({ tags }, about, { frames, windowless }) {
  const all = [
    aboutModality(about),
    aboutBodyPart(tags, about),
    aboutView(tags, about),
    aboutPolarity(tags),
    windowless ? aboutWindow() : undefined,
    ...aboutPicture(about, frames),
  ];
  return all.filter((finding) => finding !== undefined).sort((a, b) => Number(b.level === 'refuse') - Number(a.level === 'refuse'));
}

/**
 * @param {'refuse'|'warn'} level
 * @param {FindingKind} kind
 * @param {string} tag
 * @param {string} keyword
 * @param {string|null} value
 * @param {string} reason
 * @returns {Finding}
 */
const finding = (level, kind, tag, keyword, value, reason) => ({
  level,
  code: `dicom-${kind}`,
  tag,
  keyword,
  value: value ?? '',
  message: `${keyword} ${tag} is ${value ? `“${value}”` : 'missing'}: ${reason}.`,
});

/** @param {About} about @returns {Finding|undefined} */
function aboutModality({ modality }) {
  if (modality && RADIOGRAPHY.includes(modality)) return undefined;
  const say = (/** @type {'refuse'|'warn'} */ level, /** @type {string} */ reason) =>
    finding(level, 'modality', '(0008,0060)', 'Modality', modality, reason);
  if (!modality || MAYBE.includes(modality)) return say('warn', 'this may not be a radiograph');
  return say('refuse', 'this is not a radiograph');
}

/** @param {Tags} tags @param {About} about @returns {Finding|undefined} */
function aboutBodyPart(tags, { bodyPart }) {
  if (!bodyPart || (CHEST.test(bodyPart) && !SPINE.test(bodyPart))) return undefined;
  const [tag, keyword] = tags.text('x00180015') ? ['(0018,0015)', 'BodyPartExamined'] : ['(0008,2218)', 'AnatomicRegionSequence'];
  const elsewhere = (ELSEWHERE.test(bodyPart) || OTHER_SPINE.test(bodyPart)) && !CHEST_PARTS.test(bodyPart);
  return elsewhere
    ? finding('refuse', 'body-part', tag, keyword, bodyPart, 'this is not a chest')
    : finding('warn', 'body-part', tag, keyword, bodyPart, 'this may not be a whole chest');
}

/** @param {Tags} tags @param {About} about @returns {Finding|undefined} */
function aboutView(tags, { viewPosition }) {
  const [tag, keyword] = tags.text('x00185101') ? ['(0018,5101)', 'ViewPosition'] : ['(0054,0220)', 'ViewCodeSequence'];
  if (!viewPosition) return aboutOrientation(tags);
  if (DECUBITUS.test(viewPosition)) return finding('warn', 'view', tag, keyword, viewPosition, 'the patient lies on one side');
  if (LATERAL.test(viewPosition)) return finding('refuse', 'view', tag, keyword, viewPosition, 'this is a lateral view');
  if (OBLIQUE.test(viewPosition)) return finding('refuse', 'view', tag, keyword, viewPosition, 'this is an oblique view');
  if (FRONTAL.test(viewPosition)) return undefined;
  return finding('warn', 'view', tag, keyword, viewPosition, 'this may not be a frontal view');
}

/**
 * Rows that run from front to back (C.7.6.1.1.1) are those of a lateral view; columns, of one that lies on its side.
 * @param {Tags} tags
 * @returns {Finding|undefined}
 */
function aboutOrientation(tags) {
  const [row = '', column = ''] = tags.texts('x00200020');
  if (!/^[AP]/.test(row) && !/^[AP]/.test(column)) return undefined;
  return finding('refuse', 'view', '(0020,0020)', 'PatientOrientation', `${row}\\${column}`, 'this is a lateral view');
}

/** @param {Tags} tags @returns {Finding|undefined} */
function aboutPolarity(tags) {
  const [shape, photometric = ''] = [tags.text('x20500020'), tags.text('x00280004')];
  const inverted = invertedBy(shape);
  if (inverted === undefined || photometric !== (inverted ? 'MONOCHROME2' : 'MONOCHROME1')) return undefined;
  return finding(
    'warn',
    'polarity',
    '(2050,0020)',
    'PresentationLUTShape',
    shape ?? '',
    `${photometric} (0028,0004) says the opposite, so this may be a negative`,
  );
}

/** @returns {Finding} */
const aboutWindow = () => finding('warn', 'window', '(0028,1050)', 'WindowCenter', null, 'the range of its values was taken instead');

/** @param {About} about @param {number} frames @returns {Finding[]} */
function aboutPicture({ presentationIntent, burnedIn }, frames) {
  const all = [];
  if (presentationIntent === 'FOR PROCESSING')
    all.push(
      finding(
        'warn',
        'processing',
        '(0008,0068)',
        'PresentationIntentType',
        presentationIntent,
        "the detector's raw data look unlike the radiographs that the model knows",
      ),
    );
  if (frames > 1) all.push(finding('warn', 'frames', '(0028,0008)', 'NumberOfFrames', String(frames), 'only the chosen frame is read'));
  if (burnedIn)
    all.push(finding('warn', 'burned-in', '(0028,0301)', 'BurnedInAnnotation', 'YES', 'text on the picture may name the patient'));
  return all;
}
