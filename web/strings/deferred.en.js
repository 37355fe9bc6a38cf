/** The English strings that load later: help, guidance and printed report. A portal replaces them like the element's. */
export default {
  'help.title': 'Help and shortcuts',
  'help.close': 'Close',
  'help.how': 'How to read the result',
  'help.how.1':
    'The model compares an image with four groups it learned from: normal, COVID-19, viral pneumonia and lung opacity. It knows nothing else.',
  'help.how.2':
    'Findings are opacities inside the lungs: places that a radiologist might outline. Occlusion shows where a group’s figure falls (orange) or rises (blue, striped) when that part of the image is blurred. It explains the model, not the patient.',
  'help.how.3': '“Not sure” and “Not a frontal chest X-ray” are results too: no name is better than a wrong one.',
  'help.keys': 'Keyboard',
  'help.keys.note': 'Shortcuts work while the focus is in the classifier, or on no other control.',
  'help.keys.on': 'Use single-key shortcuts',
  'key.open': 'Choose images',
  'key.paste': 'Paste an image',
  'key.next': 'Next, previous image',
  'key.findings': 'Findings on, off',
  'key.occlusion': 'Occlusion on, off',
  'key.class': 'Occlusion for group 1 to 4',
  'key.invert': 'Invert',
  'key.zoom': 'Zoom in, out; reset',
  'key.pan': 'Move the image (focus on it)',
  'key.window': 'Window and level (focus on it)',
  'key.full': 'Full screen',
  'key.remove': 'Remove the image; undo',
  'key.cancel': 'Cancel reading; leave full screen',
  'key.help': 'This help',

  'view.mark': '{n}: {name}',
  'view.weaker': 'weaker',
  'view.stronger': 'stronger',
  'view.findings.note': 'Orange: opacities in the lungs. Blue line: the lungs as the model found them.',
  'view.findings.legend': 'Opacities, from weaker to stronger',
  'view.occlusion.note':
    'Occlusion sensitivity: the image is read again with one part blurred at a time. It explains the model, not the patient.',
  'view.occlusion.wait': 'Reading the image again, part by part: {done} of {total}',
  'view.gains': 'rises when blurred',
  'view.loses': 'falls when blurred',
  'view.occlusion.legend': 'From where the figure for {class} rises when a part is blurred (striped) to where it falls',

  'report.title': 'Chest X-ray classifier report',
  'report.made': 'CXR Lens {version}, model {model}, {date}',
  'report.image': 'Image {n} of {total}',
  'report.plain': 'Image',
  'report.findings': 'Orange: opacities in the lungs. Blue line: the lungs.',
  'report.occlusion':
    'Occlusion sensitivity for {class}: orange where its figure falls when that part is blurred, striped blue where it rises.',
  'report.more.one': '{n} more image is in the table only.',
  'report.more.other': '{n} more images are in the table only.',

  'guide.title': 'What this may mean for a doctor’s visit',
  'guide.known': 'What can confirm it',
  'guide.ask': 'Whom to ask',
  'guide.urgent': 'When to get help at once',
  'guide.urgent.text':
    'Whatever an image shows: severe trouble breathing, lasting chest pain, new confusion, blue or gray lips, fainting, or being hard to wake. Call the local emergency number.',
  'guide.note': 'General information, not advice to wait. A clinician who knows the person decides.',
  'guide.normal':
    'The image resembles normal ones. Someone can be ill with a normal image: early infections, asthma, clots and many heart conditions may not show.',
  'guide.normal.known': 'A radiologist’s reading, together with the reason for the image.',
  'guide.normal.ask': 'Whoever ordered the image; a family doctor if symptoms last or worry you.',
  'guide.covid-19':
    'The image resembles those of people with COVID-19 pneumonia. Other infections look alike, and many people with COVID-19 have a clear image.',
  'guide.covid-19.known': 'An antigen or PCR test. An image cannot tell.',
  'guide.covid-19.ask': 'A family doctor or telehealth service: about a test, early treatment, and protecting others.',
  'guide.viral-pneumonia':
    'The image resembles viral pneumonia, as the model saw it in children only. For an adult this result says little.',
  'guide.viral-pneumonia.known':
    'An examination, oxygen in the blood, laboratory tests. Viral and bacterial pneumonia often look the same.',
  'guide.viral-pneumonia.ask': 'A family doctor, or a paediatrician for a child: soon if there is fever, fast breathing or poor drinking.',
  'guide.lung-opacity':
    'The image resembles those with an opacity: a place that lets less X-ray through. Infection, fluid, collapse, bleeding, a scar or a growth can look like this. The marks show where to look first.',
  'guide.lung-opacity.known': 'A radiologist’s reading, earlier images to compare, sometimes a CT scan.',
  'guide.lung-opacity.ask': 'Whoever ordered the image, or a family doctor.',
  'guide.uncertain':
    'The model names no group. This is common with findings it never learned and with poor copies. It is neither good news nor bad. Marks, if any, show where to look first.',
  'guide.uncertain.known': 'A radiologist’s reading of the original image.',
  'guide.uncertain.ask': 'Whoever ordered the image, or a family doctor.',
  'guide.not-a-chest-x-ray': 'The model accepts only upright, frontal chest X-rays of one person.',
  'guide.not-a-chest-x-ray.known': 'The original image as DICOM, PNG or JPEG, upright, without borders.',
  'guide.not-a-chest-x-ray.ask': 'Where the image was taken: they can give you the original file.',

  'error.pacs-login': 'Your sign-in to the image archive is missing or has ended. Sign in again.',
  'error.pacs-forbidden': 'You may not open this study. Ask whoever runs this site for access.',
  'error.pacs-not-found': 'The image archive does not have this study or one of its images.',
  'error.pacs-network': 'The image archive cannot be reached. Check the connection and try again.',
  'error.pacs-timeout': 'The image archive is too slow. Try again.',
  'error.pacs-empty': 'This study has no frontal X-ray image.',
};
