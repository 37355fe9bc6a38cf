"""One image of a data set as a record: where it is, what it shows, which split it is in, and what radiologists marked."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from files import DataError

CACHE = "build/cache"
CLASS_IDS = ("normal", "covid-19", "viral-pneumonia", "lung-opacity")
CLASSES = len(CLASS_IDS)
NORMAL, COVID, VIRAL, OPACITY = range(CLASSES)
# Folder names as published, with blanks written as underscores.
FOLDERS = {"Normal": NORMAL, "COVID": COVID, "Viral_Pneumonia": VIRAL, "Lung_Opacity": OPACITY}
# What radiologists of the SIIM collection read, as one of our classes.
READINGS = {"typical": COVID, "negative": NORMAL, "indeterminate": OPACITY, "atypical": OPACITY}
# Class shares of the database as published, for re-weighted figures.
PUBLISHED = np.array([10192, 3616, 1345, 6012]) / 21165
SPLITS = ("train", "val", "test")
NEGATIVE = -1  # the label of an image that is not a frontal chest X-ray
NO_CLASS = -2  # the label of a chest X-ray of none of the four classes: bacterial pneumonia of a child
# Identifies the published model's data and splits (Sets.fingerprint): its notice applies to no other data.
PUBLIC_FINGERPRINT = "e5c46fbab4e1654fcf8be0f32e498a7bddb55be7844ff4023f5902b14b27dd54"

Box = tuple[float, float, float, float]  # x, y, width, height as fractions of the image


@dataclass(frozen=True)
class Record:
    """One image; `label` is an index of CLASS_IDS, NEGATIVE or NO_CLASS."""
    id: str
    path: str
    label: int
    split: str
    cluster: str
    source: str
    age_group: str
    reading: str = ""                       # of a radiologist, if one read it: a key of READINGS
    boxes: tuple[Box, ...] | None = None    # outlined opacities; (): there are none; None: nobody looked
    mask: str = ""                          # path of the lungs' mask, if there is one

    @property
    def contradicts(self) -> bool:
        """Whether a radiologist read clear lungs in an image labelled COVID-19 by a PCR test: not to be taught."""
        return self.label == COVID and self.reading == "negative"


def check_classes(records: list[Record]) -> None:
    """Every class must have images, and images to train and to test with."""
    for name, label in FOLDERS.items():
        if not any(r.label == label for r in records):
            raise DataError(f"The class {name} has no images.")
        for split in SPLITS:
            if not any(r.label == label and r.split == split for r in records):
                raise DataError(f"The class {name} has no images in the split {split}.")


def check_splits(records: list[Record]) -> None:
    """Near-duplicates and images of one patient must be in one split, otherwise the figures would be too good."""
    split_of: dict[str, str] = {}
    for r in records:
        if split_of.setdefault(r.cluster, r.split) != r.split:
            raise DataError(f"Near-duplicates of {r.id} are in both {split_of[r.cluster]} and {r.split}.")


def select(records: list[Record], split: str) -> np.ndarray:
    """Indices of the records of one split."""
    return np.array([i for i, r in enumerate(records) if r.split == split], np.int64)


def labels_of(records: list[Record]) -> np.ndarray:
    """Class index of each record."""
    return np.array([r.label for r in records], np.int64)


def balanced_part(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` images with the classes' shares kept, seeded."""
    if count >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    parts = [rng.permutation(np.flatnonzero(labels == c))[:max(1, round(count * (labels == c).mean()))]
             for c in range(CLASSES)]
    return np.sort(np.concatenate(parts))


def summary(records: list[Record]) -> str:
    """Counts per class and split."""
    lines = [f"{'class':<18}" + "".join(f"{s:>8}" for s in SPLITS)]
    for label, name in enumerate(CLASS_IDS):
        counts = [sum(r.label == label and r.split == s for r in records) for s in SPLITS]
        lines.append(f"{name:<18}" + "".join(f"{c:>8}" for c in counts))
    return "\n".join(lines)
