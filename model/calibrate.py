"""Calibrates the integer network on the validation split: probabilities, gate, evidence, abstention and operating points.

Everything is chosen on `val` of both collections (and on negatives set apart from training); no step looks at the test
split but evaluate.py.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from dataset.images import Images, Sets, load_sets, negatives_of
from dataset.records import CACHE, CLASS_IDS, CLASSES, COVID, NORMAL, labels_of
from evaluation.calibration import cross_validated, doubt_threshold, fit_calibration, log_losses, operating_points, probabilities
from evaluation.evidence import largest_inside, lungs_share
from evaluation.metrics import reliability
from integer.reference import IntegerNet, load_integer, sigmoid
from network.trainer import run_program

REFUSED = 0.004        # share of validation images that the gate may refuse
REFUSED_TURNED = 0.05  # the same where the engine has turned or inverted: more chances to be wrong, so stricter
MADE = 40              # made negatives of each kind
LUNG = 0.5             # a cell at and above it is lung
LOST = 0.05            # share of boxed images that may become `uncertain` for lack of an opacity
NO_LUNGS = 0.002       # share of validation images that may get the warning that the lungs were hardly found
FALSE_COVID = 0.05     # share of SIIM's negatives on val, few as they are, that may be called COVID-19 with confidence


def evidence_thresholds(opacity: np.ndarray, boxed: np.ndarray, share: np.ndarray) -> dict[str, float]:
    """The least opacity for a verdict that names a disease, and the least share of lungs in a frame."""
    found = opacity[boxed]
    return {"threshold": float(np.quantile(found, LOST, method="lower")) if len(found) else 0.0,
            "lungs_threshold": LUNG, "lungs_least": float(np.quantile(share, NO_LUNGS, method="lower")),
            "boxed_images": int(boxed.sum())}


def false_covid_threshold(p: np.ndarray, opacity: np.ndarray, evidence: float) -> float:
    """The lowest confidence at which at most FALSE_COVID of the negatives (rows of `p`) are called COVID-19."""
    if not len(p):
        return 0.0
    called = np.where((p.argmax(1) == COVID) & (opacity >= evidence), p.max(1), 0)
    return float(np.nextafter(np.quantile(called, 1 - FALSE_COVID, method="higher").astype(np.float32), np.float32(2)))


def gate_figures(net: IntegerNet, sets: Sets, scores: np.ndarray) -> dict:
    """The gate's thresholds by the validation images' scores, and what it refuses."""
    negatives, kinds = negatives_of(sets.classes, sets.negatives, "val", MADE)
    other = sigmoid(net.outputs(negatives)[0][:, CLASSES])
    threshold = float(np.quantile(scores, REFUSED, method="lower"))
    return {"threshold": threshold, "righting": float(np.quantile(scores, REFUSED_TURNED, method="lower")),
            "images_refused": float((scores < threshold).mean()),
            "negatives_refused": {k: float((other[kinds == k] < threshold).mean()) for k in np.unique(kinds)}}


def taught(images: Images) -> Images:
    """Images whose class is visible: without COVID-19 images (by PCR) with clear lungs, and of SIIM only typical and negative."""
    return images.where(np.array([i for i, r in enumerate(images.records)
                                  if not r.contradicts and (r.source != "siim" or r.reading in ("typical", "negative"))], np.int64))


def calibrate(net: IntegerNet, sets: Sets) -> dict:
    """All parameters and the validation figures they were chosen by."""
    classes, siim = taught(sets.classes.split("val")), taught(sets.siim.split("val"))
    labels = np.concatenate([labels_of(classes.records), labels_of(siim.records)])
    records, is_siim = classes.records + siim.records, np.arange(len(labels)) >= len(classes)
    outputs, lungs, opacities = net.outputs(np.concatenate([classes.pixels, siim.pixels]))
    lungs, opacities, logits = sigmoid(lungs), sigmoid(opacities), outputs[:, :CLASSES]
    parts = {name: chosen for name, chosen in (("crd", ~is_siim), ("siim", is_siim)) if chosen.any()}
    losses = {with_bias: {name: float(cross_validated(logits, labels, with_bias)[chosen].mean()) for name, chosen in parts.items()}
              for with_bias in (False, True)}
    # Class biases change which class leads: kept only where the loss on unseen images falls in each collection.
    with_bias = all(losses[True][name] < losses[False][name] for name in parts)
    scale, bias = fit_calibration(logits, labels, with_bias)
    p = probabilities(logits, scale, bias)
    opacity = largest_inside(lungs, opacities, LUNG)
    evidence = evidence_thresholds(opacity, np.array([bool(r.boxes) for r in records]), lungs_share(lungs, LUNG))
    vetoed = (p.argmax(1) != NORMAL) & (opacity < evidence["threshold"])
    negative = is_siim & (labels == NORMAL)
    doubt = doubt_threshold(p[~vetoed & ~is_siim], labels[~vetoed & ~is_siim])
    doubt["for_risk"] = doubt["threshold"]
    doubt["for_false_covid"] = false_covid_threshold(p[negative], opacity[negative], evidence["threshold"])
    doubt["threshold"] = max(doubt["for_risk"], doubt["for_false_covid"])
    answered = ~vetoed & (p.max(1) >= doubt["threshold"])
    return {
        "training_data": sets.fingerprint(), "scale": scale, "bias": bias.tolist(), "with_bias": with_bias,
        "gate": gate_figures(net, sets, sigmoid(outputs[:, CLASSES])), "evidence": evidence, "doubt": doubt,
        "operating": operating_points(p[~is_siim], labels[~is_siim]),
        "val": {name: part_figures(p[chosen], labels[chosen], answered[chosen], vetoed[chosen]) for name, chosen in parts.items()},
        "log_loss_cross_validated": {"temperature": losses[False], "temperature and bias": losses[True]},
    }


def part_figures(p: np.ndarray, labels: np.ndarray, answered: np.ndarray, vetoed: np.ndarray) -> dict:
    """Figures on one collection; `vetoed` images lack an opacity for their disease."""
    called = p.argmax(1)
    return {"images": len(labels), "accuracy": float((called == labels).mean()),
            "recall": {CLASS_IDS[c]: float((called == c)[labels == c].mean()) for c in np.unique(labels)},
            "ece": reliability(p, labels)[1], "log_loss": float(log_losses(p, labels).mean()), "answered": float(answered.mean()),
            "accuracy_answered": float((called == labels)[answered].mean()) if answered.any() else None,
            "lost_for_want_of_opacity": {CLASS_IDS[c]: float((vetoed & (called == c))[labels == c].mean()) for c in np.unique(labels)},
            "confident_covid": {CLASS_IDS[c]: float((answered & (called == COVID))[labels == c].mean()) for c in np.unique(labels)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--integer", default="build/train/quantised/integer.pickle")
    parser.add_argument("--out", default="build/train/quantised/calibration.json")
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--quick", action="store_true", help="the slice that train.py --quick uses")
    args = parser.parse_args()
    result = calibrate(load_integer(args.integer), load_sets(args.data, args.cache, args.quick))
    Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    run_program(main)
