"""Figures of merit, in plain numpy: rates, curves, intervals. Knows nothing of images or networks."""
from __future__ import annotations

import numpy as np


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts [true, predicted]."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def rates(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 per class; the last two axes of `matrix` are [true, predicted]."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1).astype(float)
    precision = hits / np.maximum(matrix.sum(-2), 1)
    recall = hits / np.maximum(matrix.sum(-1), 1)
    return {"precision": precision, "recall": recall,
            "f1": 2 * hits / np.maximum(matrix.sum(-2) + matrix.sum(-1), 1)}


def bootstrap(labels: np.ndarray, predicted: np.ndarray, classes: int, shares: np.ndarray,
              times: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
    """95% intervals [2, ...] of accuracy, re-weighted accuracy, macro F1 and the per-class rates; a resample without images
    of a class says nothing of its recall and F1."""
    rng = np.random.default_rng(seed)
    cells = confusion(labels, predicted, classes).ravel()
    draws = rng.multinomial(cells.sum(), cells / cells.sum(), times).reshape(times, classes, classes)
    r = rates(draws)
    absent = draws.sum(-1) == 0
    r["recall"][absent] = r["f1"][absent] = np.nan
    figures = {"accuracy": np.trace(draws, axis1=1, axis2=2) / cells.sum(), "reweighted": r["recall"] @ shares,
               "macro_f1": r["f1"].mean(1), **r}
    return {k: np.nanpercentile(v, (2.5, 97.5), axis=0) for k, v in figures.items()}


def _sorted_counts(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives at each distinct threshold, from strict to lax."""
    order = np.argsort(-scores, kind="stable")
    hits, false = np.cumsum(positive[order]), np.cumsum(~positive[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    return hits[last], false[last]


def roc_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """False-positive rate, true-positive rate, area."""
    hits, false = _sorted_counts(scores, positive)
    tpr = np.append(0, hits) / max(positive.sum(), 1)
    fpr = np.append(0, false) / max((~positive).sum(), 1)
    return fpr, tpr, float(np.trapz(tpr, fpr))


def pr_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Recall, precision, average precision."""
    hits, false = _sorted_counts(scores, positive)
    recall, precision = hits / max(positive.sum(), 1), hits / (hits + false)
    return recall, precision, float((np.diff(np.append(0, recall)) * precision).sum())


def reliability(p: np.ndarray, labels: np.ndarray, bins: int = 15) -> tuple[list[dict[str, float]], float]:
    """Confidence and accuracy per equal-width bin, and the expected calibration error."""
    confidence, right = p.max(1), p.argmax(1) == labels
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [{"from": b / bins, "to": (b + 1) / bins, "count": int((at == b).sum()),
             "confidence": float(confidence[at == b].mean()), "accuracy": float(right[at == b].mean())}
            for b in range(bins) if (at == b).any()]
    return rows, sum(r["count"] * abs(r["confidence"] - r["accuracy"]) for r in rows) / len(p)


def risk_coverage(p: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage, and accuracy among that most confident part."""
    order = np.argsort(-p.max(1), kind="stable")
    right = (p.argmax(1) == labels)[order]
    count = np.arange(1, len(p) + 1)
    return count / len(p), np.cumsum(right) / count


# ---- intervals by patient: images of one patient are not independent ----


def patients_drawn(patients: list[str] | np.ndarray, times: int = 1000, seed: int = 0) -> np.ndarray:
    """How often each image comes in bootstrap resamples of the patients, times x N."""
    _, at = np.unique(np.asarray(patients), return_inverse=True)
    count = at.max() + 1 if len(at) else 1
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), times)[:, at].astype(np.float64)


def measured(value: float, samples: np.ndarray) -> dict[str, float]:
    """A figure with its 95% interval; resamples in which it has no value do not count."""
    known = samples[np.isfinite(samples)]
    low, high = np.percentile(known, (2.5, 97.5)) if len(known) else (value, value)
    return {"value": float(value), "low": float(low), "high": float(high)}


def share(hits: np.ndarray, among: np.ndarray, draws: np.ndarray) -> dict[str, float] | None:
    """Share of `hits` in the images `among` (both bool), and how many these are; None where there are none."""
    if not among.any():
        return None
    counts = draws[:, among].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = draws[:, among & hits].sum(1) / counts
    return {**measured(hits[among].mean(), samples), "images": int(among.sum())}


def area(scores: np.ndarray, positive: np.ndarray, draws: np.ndarray) -> dict[str, float] | None:
    """Area under the ROC curve with its interval; None without images of both kinds. Ties count by half."""
    if positive.all() or not positive.any():
        return None
    found, other = scores[positive], scores[~positive]
    wins = (found[:, None] > other) + 0.5 * (found[:, None] == other)
    of_found, of_other = draws[:, positive], draws[:, ~positive]
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = ((of_found @ wins) * of_other).sum(1) / (of_found.sum(1) * of_other.sum(1))
    return measured(wins.mean(), samples)


# ---- maps ----


def dice(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Overlap of bool masks N x H x W, 0..1; 1 where both are empty."""
    both, sizes = (found & wanted).sum((1, 2)), found.sum((1, 2)) + wanted.sum((1, 2))
    return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)


def free_response(found: np.ndarray, false_marks: np.ndarray, clear_images: int, allowed: float) -> tuple[float, float]:
    """Sensitivity at a number of false marks in each clear image, and the threshold above which marks count there.

    `found`: the strongest mark within each box, -inf for none; `false_marks`: the strengths of all marks in clear images.
    """
    strongest = np.sort(false_marks)[::-1]
    most = int(allowed * clear_images)
    threshold = float(strongest[most]) if len(strongest) > most else -np.inf
    return float((found > threshold).mean()) if len(found) else 0.0, threshold
