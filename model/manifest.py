"""Prepares the database as Kaggle publishes it: near-duplicate clusters, seeded splits, one manifest CSV.

Films that look the same (by a perceptual hash) form a cluster, and a cluster lies in one split as a whole.
"""
from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from data import FOLDERS, UNREADABLE, DataError, read_image

SHARES = {"train": 0.80, "val": 0.08, "test": 0.12}
SEED = 1
HASH_SIDE = 64
# Of 256 bits. In the database, copies differ in fewer than 25, different films hardly ever in fewer than 40.
NEAR = 24
COLUMNS = ("id", "file", "class", "split", "cluster", "source", "age_group")


def find_images(root: str) -> dict[str, list[Path]]:
    """Image files of each class folder; a missing or empty class is an error."""
    found = {}
    for name in FOLDERS:
        folder = next((Path(root) / n / "images" for n in (name, name.replace("_", " "))
                       if (Path(root) / n / "images").is_dir()), None)
        if folder is None:
            raise DataError(f"The class {name} has no folder {name.replace('_', ' ')}/images in {root}.")
        found[name] = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
        if not found[name]:
            raise DataError(f"The class {name} has no images in {folder}.")
    return found


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """256 signs: low frequencies of the cosine transform against their median."""
    k = np.arange(HASH_SIDE)
    basis = np.cos(np.pi * (2 * k[None] + 1) * np.arange(17)[:, None] / (2 * HASH_SIDE))
    small = np.asarray(Image.fromarray(image).resize((HASH_SIDE, HASH_SIDE), Image.BOX), np.float32)
    low = (basis @ small @ basis.T).ravel()[1:257]
    return np.where(low > np.median(low), 1, -1).astype(np.float32)


def bits_apart(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In how many bits each of `hashes` [N][256] differs from each of `others`."""
    return (hashes.shape[1] - hashes @ others.T) / 2


def near_pairs(hashes: np.ndarray, near: int = NEAR) -> list[tuple[int, int]]:
    """Pairs whose hashes differ in at most `near` bits."""
    pairs = []
    for start in range(0, len(hashes), 2000):
        rows, columns = np.nonzero(bits_apart(hashes[start:start + 2000], hashes) <= near)
        pairs += [(r + start, c) for r, c in zip(rows, columns) if r + start < c]
    return pairs


def clusters_of(count: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Connected components: the number of each item's first member."""
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in pairs:
        a, b = sorted((root(a), root(b)))
        parent[b] = a
    return np.array([root(i) for i in range(count)])


def split_clusters(classes: list[str], clusters: np.ndarray) -> list[str]:
    """A split for every item: by cluster, seeded, in each class by the same shares."""
    rng = np.random.default_rng(SEED)
    split_of: dict[int, str] = {}
    for name in FOLDERS:
        own = sorted({int(c) for c, n in zip(clusters, classes) if n == name and classes[c] == name})
        rng.shuffle(own)
        test, val = (max(1, round(SHARES[s] * len(own))) for s in ("test", "val"))
        for i, cluster in enumerate(own):
            split_of[cluster] = "test" if i < test else "val" if i < test + val else "train"
    return [split_of[int(c)] for c in clusters]


def prepare(root: str, cache_dir: str) -> str:
    """Path of the manifest of a folder in Kaggle's layout; made once, then found in the cache."""
    found = find_images(root)
    files = [(name, path) for name, paths in found.items() for path in paths]
    listing = "\n".join(f"{p.relative_to(root)}:{p.stat().st_size}" for _, p in files)
    key = hashlib.sha256(listing.encode()).hexdigest()[:16]
    manifest = Path(cache_dir) / f"manifest-{key}.csv"
    if manifest.is_file():
        return str(manifest)
    kept, hashes, sizes = [], [], Counter()
    for name, path in files:
        try:
            with Image.open(path) as image:
                sizes[image.size] += 1
            hashes.append(perceptual_hash(read_image(str(path))))
            kept.append((name, path))
        except UNREADABLE as error:
            print(f"skipped: {path}: {error}", file=sys.stderr)
    if len(kept) < len(files):
        print(f"{len(files) - len(kept)} of {len(files)} images could not be read and were skipped.", file=sys.stderr)
    if len(sizes) > 1:
        print(f"sizes differ: {dict(sizes.most_common(5))}; all are stretched to the network's", file=sys.stderr)
    if not kept:
        raise DataError(f"No image in {root} could be read.")
    classes = [name for name, _ in kept]
    clusters = clusters_of(len(kept), near_pairs(np.stack(hashes)))
    splits = split_clusters(classes, clusters)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    temporary = manifest.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for (name, path), split, cluster in zip(kept, splits, clusters):
            writer.writerow((path.stem, path.relative_to(root), name, split, cluster, "unknown", "unknown"))
    os.replace(temporary, manifest)
    return str(manifest)
