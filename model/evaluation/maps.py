"""How well the two maps point: opacities against radiologists' boxes, lungs against masks."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dataset.records import Record
from evaluation.engine import Answers
from evaluation.evidence import inside, largest_inside
from evaluation.metrics import area, dice, free_response, patients_drawn, share

MASK_SIDE = 112
ALLOWED = 0.5  # false marks in each clear image


def centres(frame: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the centres of a map's rows and columns lie in the image, as fractions."""
    at = (np.arange(cells) + 0.5) / cells
    return frame[1] + frame[3] * at, frame[0] + frame[2] * at


def in_boxes(record: Record, frame: np.ndarray, cells: int) -> np.ndarray:
    """Which cells of a map over the frame have their centre in each box: boxes x cells x cells."""
    y, x = centres(frame, cells)
    return np.array([np.outer((y >= top) & (y <= top + height), (x >= left) & (x <= left + width))
                     for left, top, width, height in record.boxes or ()], bool).reshape(-1, cells, cells)


def marks_of(opacities: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Local maxima (none of the eight cells around is larger) inside the lungs, bool N x H x W."""
    padded = np.pad(opacities, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    height, width = opacities.shape[1:]
    around = np.max([padded[:, y:y + height, x:x + width] for y in range(3) for x in range(3)], axis=0)
    return (opacities >= around) & allowed


def opacity_figures(answers: Answers, records: list[Record], threshold: float) -> dict | None:
    """The pointing game, free-response sensitivity and the AUC of the strongest opacity, on the images of one collection
    whose boxes are known; None without both boxed and clear images."""
    boxed = np.array([bool(r.boxes) for r in records], bool)
    clear = np.array([r.boxes == () for r in records], bool)
    if not (boxed.any() and clear.any()) or answers.opacities.shape[1] == 0:
        return None
    cells, draws = answers.opacities.shape[1], patients_drawn([r.cluster for r in records])
    lungs = inside(answers.lungs, threshold)
    within = np.where(lungs, answers.opacities, -np.inf)
    marks = np.where(marks_of(answers.opacities, lungs), answers.opacities, -np.inf)
    points, points_within, found = np.zeros(len(records), bool), np.zeros(len(records), bool), []
    for i in np.flatnonzero(boxed):
        boxes = in_boxes(records[i], answers.frames[i], cells)
        points[i] = boxes.any(0).ravel()[answers.opacities[i].argmax()]
        points_within[i] = lungs[i].any() and boxes.any(0).ravel()[within[i].argmax()]
        found += [np.where(box, marks[i], -np.inf).max() for box in boxes]
    sensitivity, at = free_response(np.array(found), marks[clear][np.isfinite(marks[clear])], int(clear.sum()), ALLOWED)
    known, typical = boxed | clear, np.array([r.reading == "typical" for r in records]) & boxed
    largest = largest_inside(answers.lungs, answers.opacities, threshold)
    return {"boxed": int(boxed.sum()), "boxes": len(found), "clear": int(clear.sum()),
            "pointing": share(points, boxed, draws), "pointing inside the lungs": share(points_within, boxed, draws),
            "sensitivity at half a false mark": sensitivity, "threshold of that": at,
            "auc": area(largest[known], boxed[known], draws[:, known]),
            "auc_typical": area(largest[typical | clear], typical[typical | clear], draws[:, typical | clear])}


# ---- lungs ----


def _linear(centres_of: np.ndarray, start: float, length: float, cells: int) -> np.ndarray:
    """Interpolation along one axis as a matrix, image points x cells; rows of points outside the frame are zeros."""
    at = (centres_of - start) / length
    place = np.clip(at * cells - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), cells - 2)
    result, rows = np.zeros((len(at), cells)), np.arange(len(at))
    result[rows, low], result[rows, low + 1] = 1 - (place - low), place - low
    return result * ((at >= 0) & (at <= 1))[:, None]


def over_image(values: np.ndarray, frame: np.ndarray, side: int = MASK_SIDE) -> np.ndarray:
    """A map over the frame as a map over the whole image, side x side, bilinear; 0 outside the frame."""
    at = (np.arange(side) + 0.5) / side
    return _linear(at, frame[1], frame[3], len(values)) @ values @ _linear(at, frame[0], frame[2], values.shape[1]).T


def lungs_figures(answers: Answers, masks: list[str], threshold: float) -> dict[str, float]:
    """Mean Dice coefficient of the found lungs with masks over the whole image, and what share of the masks is found."""
    found = np.stack([over_image(v, f) for v, f in zip(answers.lungs, answers.frames)]) >= threshold
    wanted = []
    for path in masks:
        with Image.open(Path(path)) as image:
            wanted.append(np.asarray(image.convert("L").resize((MASK_SIDE, MASK_SIDE), Image.BOX)) >= 128)
    truth = np.stack(wanted)
    covered = (found & truth).sum((1, 2)) / np.maximum(truth.sum((1, 2)), 1)
    overlap = dice(found, truth)
    return {"images": len(masks), "dice": float(overlap.mean()), "worst_twentieth": float(np.quantile(overlap, 0.05)),
            "covered": float(covered.mean())}
