"""Contrasts within one collection, where recognising the source does not help: what a model reads in the lungs."""
from __future__ import annotations

import numpy as np

from dataset.records import CLASS_IDS, CLASSES, COVID, NORMAL, OPACITY, READINGS, VIRAL, Record, labels_of
from evaluation.engine import REFUSED, UNCERTAIN, Answers
from evaluation.metrics import area, patients_drawn, reliability, roc_curve, share


def counts_of(answers: Answers) -> dict[str, dict[str, int]]:
    """How often each verdict was given, and how often each class was the most likely one whatever the verdict."""
    return {"verdicts": {v: int((answers.verdict == v).sum()) for v in (*CLASS_IDS, UNCERTAIN, REFUSED)},
            "argmax": dict(zip(CLASS_IDS, np.bincount(answers.predicted[answers.read], minlength=CLASSES).tolist()))}


def within_siim(answers: Answers, opacity: np.ndarray, records: list[Record]) -> dict:
    """Radiographs of one collection by what radiologists read in them; `opacity` is the strongest inside the lungs.

    "Typical" against "negative" is the honest measure: both come from the same hospitals and machines.
    """
    readings = np.array([r.reading for r in records])
    typical, negative = readings == "typical", readings == "negative"
    draws, sure = patients_drawn([r.cluster for r in records]), typical | negative
    p, named, labels = answers.probabilities, answers.named, labels_of(records)
    scores = {"covid-19": p[:, COVID], "not normal": 1 - p[:, NORMAL], "largest opacity": opacity}
    shares = {"negative, called covid-19": (named == COVID, negative),
              "negative, called a disease": (named > NORMAL, negative),
              "negative, called normal": (named == NORMAL, negative),
              "typical, called covid-19": (named == COVID, typical),
              "typical, called a disease": (named > NORMAL, typical),
              "typical, called normal": (named == NORMAL, typical),
              "typical, covid-19 most likely": (answers.predicted == COVID, typical),
              "negative, covid-19 most likely": (answers.predicted == COVID, negative)}
    accepted = sure & answers.accepted
    return {
        "images": len(records), "patients": len({r.cluster for r in records}),
        "auc": {name: area(s[sure], typical[sure], draws[:, sure]) for name, s in scores.items()},
        "shares": {name: share(hits, among, draws) for name, (hits, among) in shares.items()},
        "readings": {r: {"images": int((readings == r).sum()), **counts_of(answers.where(readings == r))} for r in READINGS},
        "ece": {"typical and negative": reliability(p[sure], labels[sure])[1] if sure.any() else None,
                "typical and negative, accepted": reliability(p[accepted], labels[accepted])[1] if accepted.any() else None,
                "all readings": reliability(p, labels)[1]},
    }


def within_sources(answers: Answers, records: list[Record]) -> dict:
    """AUC between classes of the four-class set that come from one collection; view and age may still differ."""
    labels, sources = labels_of(records), np.array([r.source for r in records])
    result = {}
    for name, label, source in (("lung opacity against normal adults, both RSNA", OPACITY, "rsna"),
                                ("viral pneumonia against normal children, both Kermany", VIRAL, "kermany")):
        chosen = (sources == source) & np.isin(labels, (label, NORMAL))
        if len(np.unique(labels[chosen])) < 2:
            continue
        margin, positive = answers.logits[chosen, label] - answers.logits[chosen, NORMAL], labels[chosen] == label
        result[name] = {"images": int(chosen.sum()), "auc": roc_curve(margin, positive)[2],
                        "accuracy": float(((margin > 0) == positive).mean())}
    return result
