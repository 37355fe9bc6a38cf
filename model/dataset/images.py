"""Loads images as the network reads them, with their frames, from a cache on disk; and all sets of a training."""
from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dataset.augment import MADE_KINDS, make_negatives
from dataset.folder import read_bacterial, read_classes, read_negatives, read_siim
from dataset.preprocess import INPUT, canonical, read_gray
from dataset.records import Record, check_classes, select
from files import UNREADABLE, replacing

RULE = 2  # version of the preprocessing: a cache of another version is rebuilt


@dataclass
class Images:
    """N images as the network reads them."""
    pixels: np.ndarray      # u8, N x INPUT x INPUT
    frames: np.ndarray      # f64, N x 4: x, y, width, height of what is shown, as fractions of the image
    records: list[Record]

    def where(self, chosen: np.ndarray) -> "Images":
        """The images of these indices."""
        return Images(self.pixels[chosen], self.frames[chosen], [self.records[i] for i in chosen])

    def split(self, name: str) -> "Images":
        """The images of one split."""
        return self.where(select(self.records, name))

    def __len__(self) -> int:
        return len(self.records)


def _state_of(records: list[Record]) -> tuple[str, str]:
    """Digests of the files' names, and of their sizes and times."""
    names, state = hashlib.sha256(), hashlib.sha256(f"{RULE} {INPUT}".encode())
    for r in records:
        stat = os.stat(r.path) if os.access(r.path, os.R_OK) else None
        names.update(os.fsencode(f"{r.path}\n"))
        state.update(f"{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    return names.hexdigest(), state.hexdigest()


def load_images(records: list[Record], cache_dir: str) -> tuple[Images, list[str]]:
    """All images that could be read, and what was wrong with the others.

    The arrays are cached on disk, under a name made of the files' names, until one of the files changes.
    """
    names, state = _state_of(records)
    path = Path(cache_dir) / f"images-{names[:16]}.npz"
    if path.is_file():
        with np.load(path) as cached:
            if str(cached["state"]) == state:
                kept = [records[i] for i in cached["kept"]]
                return Images(cached["pixels"], cached["frames"], kept), [str(p) for p in cached["problems"]]
    pixels, frames, kept, problems = [], [], [], []
    for i, r in enumerate(records):
        try:
            gray = read_gray(r.path)
            image, frame = canonical(gray)
            pixels.append(image)
            frames.append(frame.fractions(*gray.shape))
            kept.append(i)
        except UNREADABLE as error:
            problems.append(f"{r.path}: {error}")
    array = np.stack(pixels) if pixels else np.empty((0, INPUT, INPUT), np.uint8)
    places = np.array(frames, np.float64).reshape(-1, 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, state=np.array(state), pixels=array, frames=places, kept=np.array(kept, np.int64),
                 problems=np.array(problems, str))
    return Images(array, places, [records[i] for i in kept]), problems


def load_or_explain(records: list[Record], cache_dir: str) -> Images:
    """load_images; reports every unreadable image on standard error."""
    images, problems = load_images(records, cache_dir)
    for problem in problems:
        print(f"skipped: {problem}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} of {len(records)} images could not be read and were skipped.", file=sys.stderr)
    return images


def read_mask(record: Record, frame: np.ndarray, size: int) -> np.ndarray:
    """The lungs' mask over the frame, f32 in 0..1, size x size."""
    with Image.open(record.mask) as image:
        width, height = image.size
        x, y, w, h = frame
        part = image.convert("L").resize((size, size), Image.BOX,
                                         (x * width, y * height, (x + w) * width, (y + h) * height))
        return np.asarray(part, np.float32) / 255


@dataclass
class Sets:
    """The images of a training, in memory."""
    classes: Images    # the four classes
    siim: Images       # one collection with and without pneumonia
    bacterial: Images  # children of none of the classes
    negatives: Images  # not frontal chest X-rays

    def fingerprint(self) -> str:
        """SHA-256 of ids, labels and splits. A model file holds the fingerprint of its training data as training.data."""
        records = self.classes.records + self.siim.records + self.bacterial.records + self.negatives.records
        lines = sorted(f"{r.id},{r.label},{r.split}" for r in records)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def digest(self) -> str:
        """SHA-256 of the pixels, which may change under the same names."""
        return hashlib.sha256(b"".join(hashlib.sha256(np.ascontiguousarray(part.pixels)).digest()
                                       for part in (self.classes, self.siim, self.bacterial, self.negatives))).hexdigest()


def load_sets(data: str, cache: str, quick: bool = False) -> Sets:
    """Images of all splits; with `quick` a slice of them."""
    classes, siim, bacterial, negatives = read_classes(data, cache), read_siim(data), read_bacterial(data), read_negatives(data)
    if quick:
        rng = np.random.default_rng(0)

        def some(records: list[Record], share: dict[str, int]) -> list[Record]:
            shuffled = [records[i] for i in rng.permutation(len(records))]
            return [r for split, count in share.items() for r in [s for s in shuffled if s.split == split][:count]]

        classes = some(classes, {"train": 800, "val": 160, "test": 160})
        siim, bacterial = (some(part, {"train": 240, "val": 80, "test": 80}) for part in (siim, bacterial))
        negatives = some(negatives, {"train": 120, "val": 20, "test": 20})
    images = load_or_explain(classes, cache)
    check_classes(images.records)
    return Sets(images, *(load_or_explain(part, cache) for part in (siim, bacterial, negatives)))


def negatives_of(classes: Images, negatives: Images, split: str, made_per_kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Images that are not frontal chest X-rays: those of the split, and others made from its chest X-rays; with their kinds."""
    rng = np.random.default_rng(7)
    real, chest = negatives.split(split), select(classes.records, split)
    images, kinds = [real.pixels] if len(real) else [], [r.source for r in real.records]
    for k, kind in enumerate(MADE_KINDS):
        picked = rng.choice(chest, made_per_kind)
        x = torch.from_numpy(classes.pixels[picked]).unsqueeze(1).float() / 255
        made = make_negatives(x, np.full(made_per_kind, k), rng)
        images.append((made[:, 0] * 255).round().to(torch.uint8).numpy())
        kinds += [f"made: {kind}"] * made_per_kind
    return np.concatenate(images), np.array(kinds)
