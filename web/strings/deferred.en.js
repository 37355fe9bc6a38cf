/** The words of what comes later, guidance, help and printed report, in English. A portal replaces them like the element's. */
export default {
  'help.title': 'Help and shortcuts',
  'help.close': 'Close',
  'help.how': 'How to read the answer',
  'help.how.1':
    'The model compares a film with four groups it learned from: normal, COVID-19, viral pneumonia and lung opacity. It knows nothing else.',
  'help.how.2':
    'The map shows which parts of the film pushed one group’s figure up (orange) or down (blue, striped). Each part of it sees the whole film, so it mostly marks the middle. The cover test shows what the figure loses when a part of the film is blurred away. Both explain the model, not the patient.',
  'help.how.3': '“Not sure” and “Not a frontal chest X-ray” are answers too: better no name than a wrong one.',
  'help.keys': 'Keyboard',
  'help.keys.note': 'Shortcuts work while the focus is in the classifier, or nowhere in particular.',
  'help.keys.on': 'Use single-key shortcuts',
  'key.open': 'Choose images',
  'key.paste': 'Paste an image',
  'key.next': 'Next, previous image',
  'key.map': 'Map on, off',
  'key.cover': 'Cover test on, off',
  'key.class': 'Map for group 1 to 4',
  'key.invert': 'Invert',
  'key.zoom': 'Zoom in, out; reset',
  'key.pan': 'Move the image (focus on it)',
  'key.window': 'Window and level (focus on it)',
  'key.full': 'Full screen',
  'key.remove': 'Remove the image; undo',
  'key.cancel': 'Cancel reading; leave full screen',
  'key.help': 'This help',

  'report.title': 'Chest X-ray classifier report',
  'report.made': 'Made {date} with CXR Lens {version}',
  'report.image': 'Image {n} of {total}',
  'report.original': 'Image',
  'report.map': 'Map for {class}: orange speaks for it, striped blue against it. Each part of it sees the whole film.',
  'report.cover': 'Cover test for {class}: orange where it loses when a part is blurred away, striped blue where it gains.',
  'report.more.one': '{n} more image is in the table only.',
  'report.more.other': '{n} more images are in the table only.',

  'guide.title': 'What this may mean for a visit',
  'guide.known': 'What can tell',
  'guide.ask': 'Whom to ask',
  'guide.urgent': 'When to seek help at once',
  'guide.urgent.text':
    'Whatever a picture shows: severe trouble breathing, chest pain or pressure that stays, new confusion, blue or gray lips or face, fainting, or being hard to wake are reasons to call the local emergency number now.',
  'guide.note': 'General information. It does not replace a clinician who knows the person, and is no advice to wait.',
  'guide.normal':
    'The film resembles those that readers labelled normal. A film can look normal while someone is ill: early infections, asthma, clots and many heart conditions may not show.',
  'guide.normal.known': 'A radiologist’s reading of the film, together with the reason it was taken.',
  'guide.normal.ask': 'Whoever ordered the film, or a family doctor or telehealth service if symptoms last, return or worry you.',
  'guide.covid-19':
    'The film resembles those of people with confirmed COVID-19 in the data the model learned from. Other infections and conditions look alike, and many people with COVID-19 have a clear film.',
  'guide.covid-19.known': 'An antigen or PCR test can tell whether someone has COVID-19. A picture cannot.',
  'guide.covid-19.ask':
    'A family doctor, a telehealth service or the local public-health line about testing, treatment that works best when started early, and how to protect others meanwhile.',
  'guide.viral-pneumonia':
    'The film resembles those labelled viral pneumonia, all of them films of children. For an adult’s film this answer says little.',
  'guide.viral-pneumonia.known':
    'An examination, how the person breathes, oxygen in the blood, and laboratory tests. Viral and bacterial pneumonia often look the same on a film.',
  'guide.viral-pneumonia.ask':
    'A family doctor, a paediatrician for a child, or a telehealth service, soon if there is fever, fast breathing or poor drinking.',
  'guide.lung-opacity':
    'The film resembles those on which readers marked an opacity: a part of the lung that lets less X-ray through. Infection, fluid, collapse, bleeding, a scar or a growth can all look so.',
  'guide.lung-opacity.known': 'A radiologist’s reading, older films to compare, and sometimes a CT scan or blood tests.',
  'guide.lung-opacity.ask': 'Whoever ordered the film, or a family doctor, who can have it read and decide with you what comes next.',
  'guide.uncertain':
    'The model does not name a group. This is common with findings it never learned, with unusual positions and with poor copies. It is neither good news nor bad.',
  'guide.uncertain.known': 'A radiologist’s reading of the original film.',
  'guide.uncertain.ask': 'Whoever ordered the film, or a family doctor or telehealth service if none has seen it yet.',
  'guide.not-a-chest-x-ray':
    'The model answers only for upright, frontal chest X-rays of one person. A side view, a CT slice, a photo of a light box at an angle, or a turned film is refused.',
  'guide.not-a-chest-x-ray.known':
    'If it is a frontal film: the original as DICOM, PNG or JPEG, upright, without a frame, one film per image.',
  'guide.not-a-chest-x-ray.ask': 'The service that took the film can give you the original file.',

  'error.pacs-login': 'Your sign-in to the image archive is missing or has ended. Sign in again.',
  'error.pacs-forbidden': 'You may not open this study. Ask whoever runs this site for access.',
  'error.pacs-not-found': 'The image archive does not have this study or one of its images.',
  'error.pacs-network': 'The image archive cannot be reached. Check the connection and try again.',
  'error.pacs-timeout': 'The image archive is too slow. Try again.',
  'error.pacs-empty': 'This study has no frontal X-ray image.',
};
