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
    """95% intervals [2, ...] of accuracy, re-weighted accuracy, macro F1 and the per-class rates; a resample without films
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
