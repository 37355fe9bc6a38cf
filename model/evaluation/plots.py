"""Plots of an evaluation, as SVG."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dataset.records import CLASS_IDS
from evaluation.metrics import pr_curve, risk_coverage, roc_curve


def plot_confusion(matrix: np.ndarray, path: Path) -> None:
    figure = Figure(figsize=(5, 4.4))
    axis = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(matrix.shape):
        axis.text(j, i, matrix[i, j], ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")
    axis.set_xticks(range(len(CLASS_IDS)), CLASS_IDS, rotation=20)
    axis.set_yticks(range(len(CLASS_IDS)), CLASS_IDS)
    axis.set(xlabel="engine", ylabel="truth")
    save_figure(figure, path)


def plot_curves(p: np.ndarray, labels: np.ndarray, path: Path) -> None:
    figure = Figure(figsize=(10, 4.2))
    roc, pr = figure.subplots(1, 2)
    for c, name in enumerate(CLASS_IDS):
        fpr, tpr, area = roc_curve(p[:, c], labels == c)
        roc.plot(fpr, tpr, label=f"{name}: {area:.4f}")
        recall, precision, area = pr_curve(p[:, c], labels == c)
        pr.plot(recall, precision, label=f"{name}: {area:.4f}")
    roc.set(xlabel="false-positive rate", ylabel="true-positive rate", title="ROC")
    pr.set(xlabel="recall", ylabel="precision", title="precision and recall")
    roc.legend()
    pr.legend()
    save_figure(figure, path)


def plot_calibration(bins: list[dict], p: np.ndarray, labels: np.ndarray, path: Path) -> None:
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    left.scatter([b["confidence"] for b in bins], [b["accuracy"] for b in bins],
                 s=[8 + 120 * b["count"] / len(p) for b in bins])
    left.set(xlabel="confidence", ylabel="accuracy", title="reliability (area: share of images)")
    coverage, accuracy = risk_coverage(p, labels)
    right.plot(coverage, accuracy)
    right.set(xlabel="coverage", ylabel="accuracy", title="risk and coverage", ylim=(min(0.95, accuracy[-1] - 0.01), 1.001))
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Without the date, so that the same figures give the same file."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
