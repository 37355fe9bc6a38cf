"""Figures of the four classes on the test split, by group; shares of refused and uncertain images."""
from __future__ import annotations

from collections import Counter

import numpy as np

from dataset.images import Sets, negatives_of
from dataset.records import CLASS_IDS, CLASSES, PUBLISHED, Record, labels_of, select
from evaluation.engine import UNCERTAIN, Answers, Engine
from evaluation.metrics import bootstrap, confusion, pr_curve, rates, reliability, risk_coverage, roc_curve

MADE = 60      # made negatives of each kind
MISTAKES = 12  # most confident ones, to be listed


def _with_interval(value: float, interval: np.ndarray) -> dict[str, float]:
    return {"value": float(value), "low": float(interval[0]), "high": float(interval[1])}


def class_figures(answers: Answers, labels: np.ndarray) -> dict:
    """Everything about the four classes. A class is the most likely one, whatever the gate and the verdict say."""
    predicted, p = answers.predicted, answers.probabilities
    matrix = confusion(labels, predicted, CLASSES)
    r, interval = rates(matrix), bootstrap(labels, predicted, CLASSES, PUBLISHED)
    bins, ece = reliability(p, labels)
    ranked = {CLASS_IDS[c]: {"roc_auc": roc_curve(p[:, c], labels == c)[2],
                             "average_precision": pr_curve(p[:, c], labels == c)[2]} for c in range(CLASSES)}
    return {
        "images": len(labels), "accuracy": _with_interval((predicted == labels).mean(), interval["accuracy"]),
        "reweighted_accuracy": _with_interval(r["recall"] @ PUBLISHED, interval["reweighted"]),
        "macro_f1": _with_interval(r["f1"].mean(), interval["macro_f1"]),
        "classes": {CLASS_IDS[c]: {"images": int((labels == c).sum()), **ranked[CLASS_IDS[c]],
                                   **{k: _with_interval(r[k][c], interval[k][:, c]) for k in r}}
                    for c in range(CLASSES)},
        "confusion": matrix.tolist(), "ece": ece, "reliability": bins, "doubt": doubt_figures(answers, labels),
        "warnings": {name: count / len(labels) for name, count in Counter(w for of in answers.warnings for w in of).most_common()},
    }


def doubt_figures(answers: Answers, labels: np.ndarray) -> dict[str, float | None]:
    """What `uncertain` does, and accuracy among the 90% of accepted images that are most confident."""
    accepted = answers.accepted
    if not accepted.any():
        return {"answered": 0.0, "accuracy_answered": None, "accuracy_at_90": None, "ece_accepted": None}
    answered = answers.named >= 0
    right = answers.predicted == labels
    coverage, accuracy = risk_coverage(answers.probabilities[accepted], labels[accepted])
    return {"answered": float(answered.mean()),
            "accuracy_answered": float(right[answered].mean()) if answered.any() else None,
            "accuracy_at_90": float(accuracy[np.searchsorted(coverage, 0.9)]),
            "ece_accepted": reliability(answers.probabilities[accepted], labels[accepted])[1]}


def group_figures(answers: Answers, records: list[Record]) -> dict:
    """Accuracy, calibration, and what is refused or left open, by age group and by source, as far as the manifest guesses them."""
    labels = labels_of(records)
    right = answers.predicted == labels
    result: dict = {}
    for field in ("age_group", "source"):
        values = np.array([getattr(r, field) for r in records])
        result[field] = {str(v): {"images": int((values == v).sum()), "accuracy": float(right[values == v].mean()),
                                  "ece": reliability(answers.probabilities[values == v], labels[values == v])[1],
                                  "refused": float((~answers.accepted[values == v]).mean()),
                                  "uncertain": float((answers.verdict[values == v] == UNCERTAIN).mean())}
                         for v in np.unique(values)}
    return result


def worst_mistakes(answers: Answers, records: list[Record]) -> list[dict]:
    """The most confident wrong results."""
    predicted, confidence = answers.predicted, answers.probabilities.max(1)
    wrong = np.flatnonzero(predicted != labels_of(records))
    return [{"id": records[i].id, "source": records[i].source, "truth": CLASS_IDS[records[i].label],
             "answer": CLASS_IDS[predicted[i]], "probability": float(confidence[i]), "verdict": str(answers.verdict[i])}
            for i in wrong[np.argsort(-confidence[wrong])][:MISTAKES]]


# ---- the gate ----


def refusals(answers: Answers) -> dict[str, float]:
    """Shares of what the engine could read."""
    images = int(answers.read.sum())
    return {"images": images, "unread": len(answers) - images,
            "refused": float((answers.read & ~answers.accepted).sum() / max(1, images)),
            "turned": float((answers.accepted & answers.turned).sum() / max(1, images))}


def gate_figures(engine: Engine, sets: Sets, chest: Answers) -> dict:
    """Refusals of the test split's chest X-rays, and of other images by kind; kinds that training never saw are marked."""
    negatives = sets.negatives
    trained = {negatives.records[i].source for i in select(negatives.records, "train")}
    chosen = [r for r in negatives.records if r.split == "test"]
    made, made_kinds = negatives_of(sets.classes, negatives.where(np.array([], np.int64)), "test", MADE)
    rows, real = {}, engine.classify([r.path for r in chosen])
    for kinds, answers in ((np.array([r.source for r in chosen]), real), (made_kinds, engine.classify_arrays(made))):
        for kind in np.unique(kinds):
            rows[str(kind)] = {**refusals(answers.where(kinds == kind)), "trained_on": kind in trained or kind in made_kinds}
    own = refusals(chest)
    return {"images_refused": own["refused"], "images_turned": own["turned"],
            "others_refused": refusals(real)["refused"] if chosen else None, "negatives": rows}


# ---- what it looks at, and what it withstands ----


def robustness(engine: Engine, images: np.ndarray, labels: np.ndarray, changes: dict) -> dict:
    """Accuracy, mean class AUC and what is refused or left open under each change of u8 images."""
    result = {}
    for name, change in changes.items():
        rng = np.random.default_rng(0)
        answers = engine.classify_arrays(change(image, rng) for image in images)
        areas = [roc_curve(answers.probabilities[:, c], labels == c)[2] for c in range(CLASSES)]
        recall = rates(confusion(labels, answers.predicted, CLASSES))["recall"]
        result[name] = {"accuracy": float((answers.predicted == labels).mean()),
                        "reweighted_accuracy": float(recall @ PUBLISHED), "mean_auc": float(np.mean(areas)),
                        "refused": float((~answers.accepted).mean()), "answered": float((answers.named >= 0).mean())}
    return result
