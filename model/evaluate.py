"""Evaluates the C engine on the test split and beyond, and writes the reports.

Classes are the argmax of the four logits, whatever the gate and the doubt threshold say; what those two do is
reported apart.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import cxrm
import report
from calibrate import negatives_of
from corruptions import CORRUPTIONS, MASKS, Change
from data import (CACHE, CLASS_IDS, COVID, NORMAL, OPACITY, PUBLISHED, UNREADABLE, VIRAL, DataError, Record, file_digest,
                  read_at_input, read_image, read_rows, run_in_sentences, select)
from engine import Answers, Engine
from fit import Sets, load_sets, logits_of
from manifest import NEAR, bits_apart, perceptual_hash
from metrics import bootstrap, confusion, pr_curve, rates, reliability, risk_coverage, roc_curve
from net import CLASSES, load_float

MADE = 60      # made negatives of each kind
MISTAKES = 12  # most confident ones, to be listed
# Labels of the external sets that mean one of our classes.
EXTERNAL_LABELS = {"normal": NORMAL, "No Finding": NORMAL, "COVID-19": COVID, "viral-pneumonia": VIRAL,
                   "lung-opacity": OPACITY}


def test_figures(answers: Answers, labels: np.ndarray) -> dict:
    """Everything about the four classes on films."""
    predicted, p = answers.logits.argmax(1), answers.probabilities
    matrix = confusion(labels, predicted, CLASSES)
    r, interval = rates(matrix), bootstrap(labels, predicted, CLASSES, PUBLISHED)
    bins, ece = reliability(p, labels)
    ranked = {CLASS_IDS[c]: {"roc_auc": roc_curve(p[:, c], labels == c)[2],
                             "average_precision": pr_curve(p[:, c], labels == c)[2]} for c in range(CLASSES)}
    return {
        "films": len(labels), "accuracy": _with_interval((predicted == labels).mean(), interval["accuracy"]),
        "reweighted_accuracy": _with_interval(r["recall"] @ PUBLISHED, interval["reweighted"]),
        "macro_f1": _with_interval(r["f1"].mean(), interval["macro_f1"]),
        "classes": {CLASS_IDS[c]: {"films": int((labels == c).sum()), **ranked[CLASS_IDS[c]],
                                   **{k: _with_interval(r[k][c], interval[k][:, c]) for k in r}}
                    for c in range(CLASSES)},
        "confusion": matrix.tolist(), "ece": ece, "reliability": bins, "doubt": doubt_figures(answers, labels),
    }


def _with_interval(value: float, interval: np.ndarray) -> dict[str, float]:
    return {"value": float(value), "low": float(interval[0]), "high": float(interval[1])}


def doubt_figures(answers: Answers, labels: np.ndarray) -> dict[str, float | None]:
    """What `uncertain` does, and accuracy among the 90% of accepted films that are most confident."""
    accepted = answers.accepted
    if not accepted.any():
        return {"answered": 0.0, "accuracy_answered": None, "accuracy_at_90": None, "ece_accepted": None}
    answered = accepted & (answers.verdict != "uncertain")
    right = answers.probabilities.argmax(1) == labels
    coverage, accuracy = risk_coverage(answers.probabilities[accepted], labels[accepted])
    return {"answered": float(answered.mean()),
            "accuracy_answered": float(right[answered].mean()) if answered.any() else None,
            "accuracy_at_90": float(accuracy[np.searchsorted(coverage, 0.9)]),
            "ece_accepted": reliability(answers.probabilities[accepted], labels[accepted])[1]}


def gate_figures(engine: Engine, sets: Sets, films: Answers) -> dict:
    """Refusals of test films, and of negatives by kind; kinds the training never saw are marked."""
    trained = {sets.negative_records[i].source for i in select(sets.negative_records, "train")}
    chosen = [r for r in sets.negative_records if r.split == "test"]
    kinds = np.array([r.source for r in chosen])
    rows = {}
    if chosen:
        answers = engine.classify([r.path for r in chosen])
        for kind in np.unique(kinds):
            rows[str(kind)] = {**_refusals(answers.where(kinds == kind)), "trained_on": bool(kind in trained)}
    made, made_kinds = negatives_of(Sets(sets.films, sets.records, sets.negatives, []), "test", MADE)
    answers = engine.classify_arrays(made)
    for kind in np.unique(made_kinds):
        rows[str(kind)] = {**_refusals(answers.where(made_kinds == kind)), "trained_on": True}
    refused = _refusals(films)
    return {"films_refused": refused["refused"], "films_turned": refused["righted"], "negatives": rows}


def _refusals(answers: Answers) -> dict[str, float]:
    """Shares of what the engine could read."""
    images = int(answers.read.sum())
    return {"images": images, "unread": len(answers.read) - images,
            "refused": float((answers.read & ~answers.accepted).sum() / max(1, images)),
            "righted": float((answers.accepted & answers.turned).sum() / max(1, images))}


def robustness(engine: Engine, films: np.ndarray, labels: np.ndarray, changes: dict[str, Change]) -> dict:
    """Accuracy, mean class AUC and refusals under each change."""
    result = {}
    for name, change in changes.items():
        rng = np.random.default_rng(0)
        answers = engine.classify_arrays(np.stack([change(f, rng) for f in films]))
        areas = [roc_curve(answers.probabilities[:, c], labels == c)[2] for c in range(CLASSES)]
        recall = rates(confusion(labels, answers.logits.argmax(1), CLASSES))["recall"]
        result[name] = {"accuracy": float((answers.logits.argmax(1) == labels).mean()),
                        "reweighted_accuracy": float(recall @ PUBLISHED), "mean_auc": float(np.mean(areas)),
                        "refused": float((~answers.accepted).mean())}
    return result


def contrasts(answers: Answers, records: list[Record]) -> dict:
    """AUC between classes of one collection, which its border or scanner tells apart the least."""
    labels = np.array([r.label for r in records])
    sources = np.array([r.source for r in records])
    result = {}
    for name, label, source in (("lung opacity against normal adults, both RSNA", OPACITY, "rsna"),
                                ("viral pneumonia against normal children, both Kermany", VIRAL, "kermany")):
        chosen = (sources == source) & np.isin(labels, (label, NORMAL))
        if len(np.unique(labels[chosen])) < 2:
            continue
        margin = answers.logits[chosen, label] - answers.logits[chosen, NORMAL]
        positive = labels[chosen] == label
        result[name] = {"films": int(chosen.sum()), "auc": roc_curve(margin, positive)[2],
                        "accuracy": float(((margin > 0) == positive).mean())}
    return result


def group_figures(answers: Answers, records: list[Record]) -> dict:
    """Accuracy and refusals by age group and by source, as far as the manifest guesses them."""
    right = answers.logits.argmax(1) == np.array([r.label for r in records])
    result: dict = {}
    for field in ("age_group", "source"):
        values = np.array([getattr(r, field) for r in records])
        result[field] = {str(v): {"films": int((values == v).sum()), "accuracy": float(right[values == v].mean()),
                                  "refused": float((~answers.accepted[values == v]).mean())} for v in np.unique(values)}
    return result


def worst_mistakes(answers: Answers, records: list[Record]) -> list[dict]:
    """The most confident wrong answers."""
    predicted, confidence = answers.logits.argmax(1), answers.probabilities.max(1)
    wrong = np.flatnonzero(predicted != np.array([r.label for r in records]))
    return [{"id": records[i].id, "source": records[i].source, "truth": CLASS_IDS[records[i].label],
             "answer": CLASS_IDS[predicted[i]], "probability": float(confidence[i]), "verdict": str(answers.verdict[i])}
            for i in wrong[np.argsort(-confidence[wrong])][:MISTAKES]]


def unknown(rows: list[dict], root: str, films: np.ndarray) -> list[dict]:
    """The rows whose image looks like none of the films, which may have trained the network, and like no row before."""
    films = np.stack([perceptual_hash(film) for film in films])
    seen: set[bytes] = set()
    kept = []
    for row in rows:
        try:
            own = perceptual_hash(read_image(str(Path(root) / row["file"])))
        except UNREADABLE:
            kept.append(row)  # the engine will say so
            continue
        if bits_apart(films, own[None]).min() > NEAR and own.tobytes() not in seen:
            kept.append(row)
        seen.add(own.tobytes())
    return kept


def external_figures(engine: Engine, root: str, films: np.ndarray) -> tuple[dict, int]:
    """Each external set untouched: what the engine says of every label; and how many images were left out as known."""
    manifest = Path(root) / "external" / "manifest.csv"
    if not manifest.is_file():
        return {}, 0
    listed = rows = read_rows(manifest)
    missing = {"file", "set", "label"} - set(rows[0] if rows else ())
    if missing:
        raise DataError(f"{manifest} is empty or lacks the column {min(missing)}.")
    rows = unknown(listed, root, films)
    answers = engine.classify([str(Path(root) / r["file"]) for r in rows])
    names, labels = np.array([r["set"] for r in rows]), np.array([r["label"] for r in rows])
    result: dict = {}
    for name in np.unique(names):
        result[str(name)] = {}
        for label in np.unique(labels[names == name]):
            part = answers.where((names == name) & (labels == label))
            counts = np.bincount(part.logits.argmax(1)[part.read], minlength=CLASSES)
            row = {**_refusals(part), "argmax": dict(zip(CLASS_IDS, counts.tolist()))}
            read = max(1, row["images"])
            row["uncertain"] = float((part.verdict == "uncertain").sum() / read)
            if label in EXTERNAL_LABELS:
                row["recall"] = float(counts[EXTERNAL_LABELS[label]] / read)
            result[str(name)][str(label)] = row
    return result, len(listed) - len(rows)


def float_agreement(checkpoint: str, made_from: object, records: list[Record], answers: Answers, labels: np.ndarray) -> dict:
    """The engine against the float network it was made from, if that is at hand."""
    if not Path(checkpoint).exists() or file_digest(checkpoint) != made_from:
        print(f"{checkpoint} is not the float network that the model was made from: the two are not compared")
        return {}
    predicted = logits_of(load_float(checkpoint), read_at_input(records))[:, :CLASSES].argmax(1)
    return {"float_accuracy": float((predicted == labels).mean()),
            "agreement": float((predicted == answers.logits.argmax(1)).mean())}


def balanced_part(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` films with the classes' shares kept, seeded."""
    if count >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(0)
    parts = [rng.permutation(np.flatnonzero(labels == c))[:max(1, round(count * (labels == c).mean()))]
             for c in range(CLASSES)]
    return np.sort(np.concatenate(parts))


def evaluate(args: argparse.Namespace) -> dict:
    """All figures; the plots need the answers too."""
    engine = Engine(args.cli, args.model)
    sets = load_sets(args.data, args.cache)
    test = select(sets.records, "test")
    records = [sets.records[i] for i in test]
    labels = np.array([r.label for r in records])
    films = sets.films[test]
    meta = cxrm.read(args.model)[1]
    fingerprint = sets.fingerprint()
    same_data = meta.get("training.data") == fingerprint and not meta.get("training.seen")
    answers = engine.classify([r.path for r in records])
    if not answers.read.all():
        print(f"the engine could not read {(~answers.read).sum()} test films; they count as wrong", file=sys.stderr)
        answers.unread_are_wrong(labels)
    result = {"model": file_digest(args.model), "data": fingerprint, "same_data": same_data,
              "test": test_figures(answers, labels),
              "float": float_agreement(args.checkpoint, meta.get("training.float"), records, answers, labels),
              "gate": gate_figures(engine, sets, answers), "contrasts": contrasts(answers, records),
              "groups": group_figures(answers, records), "mistakes": worst_mistakes(answers, records)}
    result["external"], result["external_left_out"] = external_figures(engine, args.data, sets.films)
    print(json.dumps({k: result["test"][k] for k in ("accuracy", "reweighted_accuracy", "ece")}), flush=True)
    result["masks"] = robustness(engine, films, labels, MASKS)
    part = balanced_part(labels, args.corruption_films)
    result["corruption_films"] = len(part)
    result["corruptions"] = {name: robustness(engine, films[part], labels[part],
                                              {str(i + 1): change for i, change in enumerate(strengths)})
                             for name, strengths in CORRUPTIONS.items()}
    report.write(result, answers, labels, Path(args.report))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--cli", default="build/cxrlens", help="the engine's program")
    parser.add_argument("--model", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--checkpoint", default="build/train/best.pt", help="the float network, if at hand")
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports")))
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--corruption-films", type=int, default=240, help="test films for the 60 corruptions")
    evaluate(parser.parse_args())


if __name__ == "__main__":
    run_in_sentences(main)
