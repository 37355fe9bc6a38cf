"""Fits probabilities on held-out images and bounds their errors: temperature, abstention threshold, operating points."""
from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from dataset.records import CLASSES

# Of the abstention threshold: see doubt_threshold. A fifth of the COVID-19 images was called so by a PCR test and shows
# clear lungs: called normal, they count as errors.
RISK, CONFIDENCE = 0.03, 0.9
SENSITIVITY = SPECIFICITY = 0.95
FOLDS = 5


def fit_calibration(logits: np.ndarray, labels: np.ndarray, with_bias: bool) -> tuple[float, np.ndarray]:
    """The inverse temperature and the class biases (their mean is 0) with the least negative log likelihood."""
    x, y = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    scale = torch.zeros((), dtype=torch.double, requires_grad=True)
    bias = torch.zeros(CLASSES, dtype=torch.double, requires_grad=with_bias)
    optimiser = torch.optim.LBFGS([scale, bias] if with_bias else [scale], max_iter=200,
                                  line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        # A weak pull to scale 1 and bias 0: a class has few validation images, and a faultless fit has no minimum.
        pull = 0.5 * (scale.square() + bias.square().sum()) / len(y)
        loss = F.cross_entropy(x * scale.exp() + bias, y) + pull
        loss.backward()
        return loss

    optimiser.step(closure)
    return math.exp(scale.item()), (bias - bias.mean()).detach().numpy()


def probabilities(logits: np.ndarray, scale: float, bias: np.ndarray) -> np.ndarray:
    """Softmax of the calibrated logits."""
    z = logits.astype(np.float64) * scale + bias
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def log_losses(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log likelihood of each image."""
    return -np.log(p[np.arange(len(p)), labels].clip(1e-12))


def cross_validated(logits: np.ndarray, labels: np.ndarray, with_bias: bool) -> np.ndarray:
    """Negative log likelihood of each image, by a fit that did not see it."""
    folds = min(FOLDS, len(labels))
    fold = np.random.default_rng(0).permutation(len(labels)) % folds
    losses = np.zeros(len(labels))
    for f in range(folds):
        seen, held = fold != f, fold == f
        losses[held] = log_losses(probabilities(logits[held], *fit_calibration(logits[seen], labels[seen], with_bias)), labels[held])
    return losses


def binomial_upper(errors: int, count: int) -> float:
    """Upper Clopper-Pearson bound: the largest risk at which so few errors have probability 1 - CONFIDENCE."""
    def tail(risk: float) -> float:
        logs = [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
                + k * math.log(risk) + (count - k) * math.log1p(-risk) for k in range(errors + 1)]
        return sum(math.exp(each) for each in logs)

    low, high = 1e-9, 1 - 1e-9
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > 1 - CONFIDENCE else (low, middle)
    return high


def doubt_threshold(p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The lowest confidence to answer at, so that the risk among answers is at most RISK with CONFIDENCE.

    Thresholds are tested from strict to lax, and testing stops at the first failure (fixed-sequence testing), so the
    bound holds for the returned threshold. It holds only for images drawn like the validation images, and only
    approximately, because the same images chose the weights and fitted the temperature. If no threshold passes, the
    returned one is above 1, every verdict becomes `uncertain`, and `bounded` is false.
    """
    confidence, right = p.max(1), p.argmax(1) == labels
    # With fewer answers, not even a faultless record would prove the bound.
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
        print(f"note: on {len(p)} validation images no threshold keeps the risk of answers at {RISK:.0%}; every verdict "
              "will be `uncertain`.")
    return {"threshold": chosen, "bounded": bounded, "coverage": float(answered.mean()),
            "accuracy": float(right[answered].mean()) if answered.any() else 0.0}


def operating_points(p: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """Per class, one against the rest: the thresholds that reach SENSITIVITY, and those that reach SPECIFICITY, where a
    probability at or above the threshold counts as positive."""
    sensitive, specific = [], []
    for c in range(CLASSES):
        sensitive.append(float(np.quantile(p[labels == c, c], 1 - SENSITIVITY, method="lower")))
        highest = np.quantile(p[labels != c, c], SPECIFICITY, method="higher").astype(np.float32)
        specific.append(float(np.nextafter(highest, np.float32(2))))
    return {"sens95": sensitive, "spec95": specific}
