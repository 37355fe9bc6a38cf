"""Makes a tiny data set in Kaggle's layout: films no patient ever had, whose class is a shape."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

FOLDERS = ("Normal", "COVID", "Viral Pneumonia", "Lung_Opacity")
SIZE = 96


def film(label: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random ground, different for each film, with the class's shape on it."""
    ground = rng.uniform(40, 120, (6, 6)).astype(np.float32)
    image = np.asarray(Image.fromarray(ground).resize((SIZE, SIZE), Image.BICUBIC)).copy()
    y, x = np.mgrid[-1:1:SIZE * 1j, -1:1:SIZE * 1j]
    shape = (abs(x) < 0.25, abs(y) < 0.25, np.hypot(x, y) < 0.5, abs(x + y) < 0.3)[label]
    image[shape] += 90
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def make(root: Path, each: int = 16) -> Path:
    """The data set under `root`."""
    rng = np.random.default_rng(3)
    for label, name in enumerate(FOLDERS):
        folder = root / name / "images"
        folder.mkdir(parents=True)
        for i in range(each):
            Image.fromarray(film(label, rng)).save(folder / f"{name}-{i + 1}.png")
    return root
