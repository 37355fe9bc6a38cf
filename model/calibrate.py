"""Calibrates the integer network on the validation split: probabilities, gate, doubt and operating points.

Everything is chosen on `val` (and on negatives set apart from training); the test split is not looked at.
"""
from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from augment import MADE_KINDS, make_negatives
from data import CACHE, CLASS_IDS, at_input, read_at_input, select
from fit import Sets, load_sets, run_program
from integer import IntegerNet
from metrics import reliability
from net import CLASSES
from quantise import load_integer

REFUSED = 0.005      # share of validation films that the gate may refuse
REFUSED_TURNED = 0.05  # the same where the engine has turned or inverted: more chances to be wrong, so stricter
RISK, CONFIDENCE = 0.03, 0.9  # of the doubt threshold: see doubt_threshold
BIAS_GAIN = 0.01     # class biases move the answers: they must take at least this part off the loss on unseen films
SENSITIVITY = SPECIFICITY = 0.95
FOLDS = 5
MADE = 40            # made negatives of each kind


def fit_calibration(logits: np.ndarray, labels: np.ndarray, with_bias: bool) -> tuple[float, np.ndarray]:
    """Temperature's inverse and class biases (their mean 0) of the least negative log likelihood."""
    x, y = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    scale = torch.zeros((), dtype=torch.double, requires_grad=True)
    bias = torch.zeros(CLASSES, dtype=torch.double, requires_grad=with_bias)
    optimiser = torch.optim.LBFGS([scale, bias] if with_bias else [scale], max_iter=200,
                                  line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        # A weak pull to the logits as they are: a class has few validation films, and of no mistake no scale is the best.
        pull = 0.5 * (scale.square() + bias.square().sum()) / len(y)
        loss = F.cross_entropy(x * scale.exp() + bias, y) + pull
        loss.backward()
        return loss

    optimiser.step(closure)
    return math.exp(scale.item()), (bias - bias.mean()).detach().numpy()


def probabilities(logits: np.ndarray, scale: float, bias: np.ndarray) -> np.ndarray:
    z = logits.astype(np.float64) * scale + bias
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def likelihood_loss(p: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(p)), labels].clip(1e-12)).mean())


def cross_validated(logits: np.ndarray, labels: np.ndarray, with_bias: bool) -> float:
    """Negative log likelihood on films that the fit did not see."""
    folds = min(FOLDS, len(labels))
    fold = np.random.default_rng(0).permutation(len(labels)) % folds
    losses = []
    for f in range(folds):
        scale, bias = fit_calibration(logits[fold != f], labels[fold != f], with_bias)
        losses.append(likelihood_loss(probabilities(logits[fold == f], scale, bias), labels[fold == f]))
    return float(np.mean(losses))


def binomial_upper(errors: int, count: int) -> float:
    """Clopper-Pearson: the largest risk under which so few errors still have probability 1 - CONFIDENCE."""
    def tail(risk: float) -> float:
        logs = [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
                + k * math.log(risk) + (count - k) * math.log1p(-risk) for k in range(errors + 1)]
        return sum(math.exp(l) for l in logs)

    low, high = 1e-9, 1 - 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > 1 - CONFIDENCE else (low, middle)
    return high


def doubt_threshold(p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The lowest confidence to answer at, so that the risk among answers is at most RISK with CONFIDENCE.

    Thresholds are tested from strict to lax and the walk stops at the first failure (fixed-sequence testing),
    so the bound holds for the threshold that is returned. It holds for films drawn like the validation ones, and
    for no others; and only nearly, since the same films chose the weights and fitted the temperature. Where no threshold
    passes, it is above 1: everything is left open, and `bounded` is false.
    """
    confidence, right = p.max(1), p.argmax(1) == labels
    # Of fewer, even without a mistake, nothing could be said.
    fewest = max(len(p) // 4, math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - RISK)))
    chosen, bounded = float(np.nextafter(np.float32(1), np.float32(2))), False
    for threshold in np.arange(0.99, 0.25, -0.005):
        answered = confidence >= threshold
        if answered.sum() < fewest:
            continue
        if binomial_upper(int((~right[answered]).sum()), int(answered.sum())) > RISK:
            break
        chosen, bounded = float(threshold), True
    answered = confidence >= chosen
    if not bounded:
        print(f"note: of {len(p)} validation films, no threshold keeps the risk of answers at {RISK:.0%}; all will be "
              "`uncertain`.")
    return {"threshold": chosen, "bounded": bounded, "coverage": float(answered.mean()),
            "accuracy": float(right[answered].mean()) if answered.any() else 0.0}


def operating_points(p: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """Per class, one against the rest: thresholds that reach the wanted sensitivity, and specificity, where what is at and
    above them counts as found."""
    sensitive, specific = [], []
    for c in range(CLASSES):
        sensitive.append(float(np.quantile(p[labels == c, c], 1 - SENSITIVITY, method="lower")))
        highest = np.quantile(p[labels != c, c], SPECIFICITY, method="higher").astype(np.float32)
        specific.append(float(np.nextafter(highest, np.float32(2))))
    return {"sens95": sensitive, "spec95": specific}


def negatives_of(sets: Sets, split: str, made_per_kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Real negatives of the split and ones made from its films, with their kinds."""
    rng = np.random.default_rng(7)
    chosen = select(sets.negative_records, split)
    images = [sets.negatives[chosen]] if len(chosen) else []
    kinds = [sets.negative_records[i].source for i in chosen]
    films = select(sets.records, split)
    for k, kind in enumerate(MADE_KINDS):
        picked = rng.choice(films, made_per_kind)
        x = torch.from_numpy(sets.films[picked]).unsqueeze(1).float() / 255
        made = make_negatives(x, np.full(made_per_kind, k), rng)
        images.append((made[:, 0] * 255).round().to(torch.uint8).numpy())
        kinds += [f"made: {kind}"] * made_per_kind
    return np.concatenate(images), np.array(kinds)


def calibrate(net: IntegerNet, sets: Sets) -> dict:
    """All parameters and the validation figures they were chosen by."""
    val = select(sets.records, "val")
    labels = np.array([sets.records[i].label for i in val])
    outputs = net.logits(read_at_input([sets.records[i] for i in val]))
    logits, gate = outputs[:, :CLASSES], outputs[:, CLASSES].astype(np.float64)
    losses = {with_bias: cross_validated(logits, labels, with_bias) for with_bias in (False, True)}
    with_bias = bool(losses[True] < (1 - BIAS_GAIN) * losses[False])
    scale, bias = fit_calibration(logits, labels, with_bias)
    p = probabilities(logits, scale, bias)
    negatives, kinds = negatives_of(sets, "val", MADE)
    scores = 1 / (1 + np.exp(-net.logits(at_input(negatives))[:, CLASSES].astype(np.float64)))
    film_scores = 1 / (1 + np.exp(-gate))
    threshold = float(np.quantile(film_scores, REFUSED, method="lower"))
    return {
        "training_data": sets.fingerprint(),
        "scale": scale, "bias": bias.tolist(), "with_bias": with_bias,
        "gate": {"threshold": threshold, "righting": float(np.quantile(film_scores, REFUSED_TURNED, method="lower")),
                 "films_refused": float((film_scores < threshold).mean()),
                 "negatives_refused": {k: float((scores[kinds == k] < threshold).mean()) for k in np.unique(kinds)}},
        "doubt": doubt_threshold(p, labels), "operating": operating_points(p, labels),
        "val": {"films": len(val), "accuracy": float((p.argmax(1) == labels).mean()),
                "recall": {CLASS_IDS[c]: float((p.argmax(1) == c)[labels == c].mean()) for c in range(CLASSES)},
                "ece": reliability(p, labels)[1], "log_loss": likelihood_loss(p, labels),
                "log_loss_cross_validated": {"temperature": losses[False], "temperature and bias": losses[True]},
                "accuracy_without_bias": float((logits.argmax(1) == labels).mean())},
    }


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
