"""Makes a tiny data set: images of no patient, two dark lungs whose class is a bright shape in them."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

FOLDERS = ("Normal", "COVID", "Viral Pneumonia", "Lung_Opacity")
READINGS = ("negative", "typical", "indeterminate", "atypical")
SIZE = 96
BOX = (0.15, 0.35, 0.25, 0.3)  # of the opacities of siim: x, y, width, height as fractions


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[-1:1:size * 1j, -1:1:size * 1j]
    return y, x


def lungs(size: int = SIZE) -> np.ndarray:
    """Two ellipses, bool."""
    y, x = _grid(size)
    return np.hypot((abs(x) - 0.45) / 0.3, y / 0.65) < 1


def image(label: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random ground, different in each image, with lungs and the class's shape on it."""
    ground = rng.uniform(40, 120, (6, 6)).astype(np.float32)
    result = np.asarray(Image.fromarray(ground).resize((SIZE, SIZE), Image.BICUBIC)).copy()
    y, x = _grid(SIZE)
    result[lungs()] -= 30
    result[(abs(x) < 0.25, abs(y) < 0.25, np.hypot(x, y) < 0.5, abs(x + y) < 0.3)[label]] += 90
    return np.clip(result + rng.normal(0, 4, result.shape), 0, 255).astype(np.uint8)


def make(root: Path, each: int = 16) -> Path:
    """The four classes under `root`, in Kaggle's layout."""
    rng = np.random.default_rng(3)
    for label, name in enumerate(FOLDERS):
        folder = root / name / "images"
        folder.mkdir(parents=True)
        for i in range(each):
            Image.fromarray(image(label, rng)).save(folder / f"{name}-{i + 1}.png")
    return root


def _write(root: Path, name: str, columns: str, rows: list[tuple]) -> None:
    with open(root / name / "manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split(","))
        writer.writerows(rows)


def make_others(root: Path) -> Path:
    """Beside the classes under `root`: siim with boxes, bacterial, lung masks, negatives, and another hospital's."""
    rng = np.random.default_rng(5)
    for name in ("siim", "bacterial", "lungs", "negatives", "external"):
        (root / name).mkdir()
    splits = ("train",) * 5 + ("val", "test")
    rows = []
    for reading in READINGS:
        for i, split in enumerate(splits):
            file = f"siim/{reading}-{i}.png"
            pixels = image(0, rng)
            boxed = reading != "negative"
            if boxed:
                left, top, width, height = (round(v * SIZE) for v in BOX)
                pixels[top:top + height, left:left + width] = 230
            Image.fromarray(pixels).save(root / file)
            rows.append((f"{reading}-{i}", file, reading, split, "", " ".join(map(str, BOX)) if boxed else ""))
    _write(root, "siim", "id,file,reading,split,patient,boxes", rows)
    children = [(f"child-{i}", f"bacterial/{i}.png", split, f"patient-{i}") for i, split in enumerate(splits)]
    for _, file, _, _ in children:
        Image.fromarray(image(2, rng)).save(root / file)
    _write(root, "bacterial", "id,file,split,patient", children)
    Image.fromarray((255 * lungs()).astype(np.uint8)).save(root / "lungs" / "mask.png")
    owners = [f"Normal-{i}" for i in range(1, 7)] + [child[0] for child in children]
    masks = [("own", owner, "lungs/mask.png", "darwin (heart included)") for owner in owners]
    _write(root, "lungs", "set,id,mask,convention", [*masks, ("hospital", "0", "lungs/mask.png", "without heart")])
    others = [("hospital", f"external/{i}.png", label, f"p{i}") for i, label in enumerate(("normal", "normal", "tuberculosis"))]
    for _, file, label, _ in others:
        Image.fromarray(image(0 if label == "normal" else 3, rng)).save(root / file)
    _write(root, "external", "set,file,label,patient", others)
    kinds = ([("old", "train")] * 4 + [("old", "test"), ("new", "test")])
    for i in range(len(kinds)):
        Image.fromarray(rng.integers(0, 255, (64, 64)).astype(np.uint8)).save(root / "negatives" / f"{i}.png")
    _write(root, "negatives", "file,kind,split", [(f"negatives/{i}.png", *kind) for i, kind in enumerate(kinds)])
    return root
