"""The engine's evidence rule in numpy: which opacities lie inside the lungs, and whether the lungs are whole.

The rule stands in src/README.md. Maps are values 0..1 over the frame: lungs N x 24 x 24, opacities N x 12 x 12.
"""
from __future__ import annotations

import numpy as np

CUT = 3  # lungs are cut off where more than one in so many cells of a side's outermost line are lung


def inside(lungs: np.ndarray, threshold: float) -> np.ndarray:
    """Which cells of the opacities' grid count as inside the lungs: those whose four lungs cells, or whose upper, lower,
    left or right neighbour's, have a mean at or above the threshold. Bool, half the sides of `lungs`."""
    values = lungs.astype(np.float32)
    rows = values[:, :, ::2] + values[:, :, 1::2]  # in float32 and in this order, as the engine adds them up
    means = (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)
    lung = np.pad(means >= np.float32(threshold), ((0, 0), (1, 1), (1, 1)))
    return lung[:, 1:-1, 1:-1] | lung[:, :-2, 1:-1] | lung[:, 2:, 1:-1] | lung[:, 1:-1, :-2] | lung[:, 1:-1, 2:]


def largest_inside(lungs: np.ndarray, opacities: np.ndarray, threshold: float) -> np.ndarray:
    """The strongest opacity inside the lungs of each image, 0 where there are no lungs."""
    return np.where(inside(lungs, threshold), opacities, 0).max((1, 2))


def lungs_share(lungs: np.ndarray, threshold: float) -> np.ndarray:
    """The share of each frame that is lung."""
    return (lungs >= np.float32(threshold)).mean((1, 2))


def cut_sides(lungs: np.ndarray, threshold: float) -> np.ndarray:
    """Whether the lungs run over the frame's upper, lower, left and right edge, N x 4."""
    lung = lungs >= np.float32(threshold)
    lines = np.stack([lung[:, 0], lung[:, -1], lung[:, :, 0], lung[:, :, -1]], 1)
    return CUT * lines.sum(2) > lines.shape[2]
