"""Sets of other hospitals that training did not use: the engine's verdicts for every label."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.folder import read_rows
from dataset.kaggle import NEAR, bits_apart, perceptual_hash
from dataset.preprocess import canonical, read_gray
from dataset.records import COVID, NORMAL, OPACITY, VIRAL
from evaluation.classes import refusals
from evaluation.contrasts import counts_of
from evaluation.engine import UNCERTAIN, Answers
from evaluation.metrics import patients_drawn, share
from files import UNREADABLE, DataError

# Labels of the external sets that mean one of our classes.
LABELS = {"normal": NORMAL, "No Finding": NORMAL, "COVID-19": COVID, "viral-pneumonia": VIRAL, "lung-opacity": OPACITY}


@dataclass(frozen=True)
class External:
    """One image of another hospital."""
    path: str
    set: str
    label: str
    patient: str
    mask: str = ""  # path of the lungs' mask, if there is one


def read_external(root: str) -> list[External]:
    """Rows of external/manifest.csv (may be empty), with masks from lungs/manifest.csv."""
    manifest, lungs = Path(root) / "external" / "manifest.csv", Path(root) / "lungs" / "manifest.csv"
    if not manifest.is_file():
        return []
    masks = {(r["set"], r["id"]): str(Path(root) / r["mask"]) for r in read_rows(lungs)} if lungs.is_file() else {}
    try:
        return [External(str(Path(root) / r["file"]), r["set"], r["label"], r.get("patient") or r["file"],
                         masks.get((r["set"], Path(r["file"]).stem), "")) for r in read_rows(manifest)]
    except KeyError as error:
        raise DataError(f"{manifest} lacks the column {error}.") from None


def unknown(images: list[External], pixels: np.ndarray) -> list[External]:
    """The images that look like none of `pixels` (canonical ones, which may have trained the network), and like none before."""
    known = np.stack([perceptual_hash(image) for image in pixels])
    seen: set[bytes] = set()
    kept = []
    for image in images:
        try:
            own = perceptual_hash(canonical(read_gray(image.path))[0])
        except UNREADABLE:
            kept.append(image)  # the engine will say so
            continue
        if bits_apart(known, own[None]).min() > NEAR and own.tobytes() not in seen:
            kept.append(image)
        seen.add(own.tobytes())
    return kept


def label_figures(answers: Answers, label: str, patients: list[str]) -> dict:
    """What the engine says of the images of one label."""
    row = {**refusals(answers), **counts_of(answers)}
    read = max(1, row["images"])
    row["uncertain"] = float((answers.verdict == UNCERTAIN).sum() / read)
    if label in LABELS:
        row["recall"] = row["argmax"][list(row["argmax"])[LABELS[label]]] / read
    if LABELS.get(label) == NORMAL:
        row["called_a_disease"] = share(answers.named > NORMAL, answers.read, patients_drawn(patients))
    return row


def external_figures(answers: Answers, images: list[External]) -> dict[str, dict[str, dict]]:
    """By set and label."""
    result: dict[str, dict[str, dict]] = {}
    for name, label in sorted({(i.set, i.label) for i in images}):
        chosen = np.array([(i.set, i.label) == (name, label) for i in images])
        result.setdefault(name, {})[label] = label_figures(answers.where(chosen), label,
                                                           [i.patient for i, c in zip(images, chosen) if c])
    return result
