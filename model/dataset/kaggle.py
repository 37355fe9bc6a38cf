"""Prepares the database as Kaggle publishes it: near-duplicate clusters, splits, one manifest CSV.

Images with nearly the same perceptual hash form a cluster, and a whole cluster goes into one split.
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

from dataset.preprocess import read_plain
from dataset.records import FOLDERS
from files import UNREADABLE, DataError, replacing

TEST, VAL = 12, 8  # of a hundred clusters; the others train
HASH_SIDE = 64
# Of 256 bits. In the database, copies differ in fewer than 25 bits, different images hardly ever in fewer than 40.
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
        entries = sorted(folder.iterdir())
        files = [p for p in entries if p.is_file()]
        found[name] = [p for p in files if p.suffix.lower() in (".png", ".jpg", ".jpeg")]
        if not found[name]:
            raise DataError(f"The class {name} has no images in {folder}.")
        others, folders = len(files) - len(found[name]), sum(p.is_dir() for p in entries)
        if others or folders:
            print(f"Skipped in {folder}: {others} files that are not PNG or JPEG, {folders} folders.", file=sys.stderr)
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


def near_pairs(hashes: np.ndarray) -> list[tuple[int, int]]:
    """Pairs whose hashes differ in at most NEAR bits."""
    pairs = []
    for start in range(0, len(hashes), 2000):
        rows, columns = np.nonzero(bits_apart(hashes[start:start + 2000], hashes) <= NEAR)
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


def split_clusters(classes: list[str], clusters: np.ndarray, paths: list[str]) -> list[str]:
    """A split for every item, by the hash of its cluster's first path.

    Images that are added later leave the others in their splits, with two exceptions: an image that joins a cluster as its
    first member, or joins two clusters, may move them; and an image that only filled an empty split may go back. If a class
    has no cluster in a split, the split gets the cluster with the least hash from the class's largest split.
    """
    split_of: dict[int, str] = {}
    for name in FOLDERS:
        splits: dict[str, list[tuple[int, int]]] = {"test": [], "val": [], "train": []}
        for cluster in {int(c) for c in clusters if classes[c] == name}:
            number = int(hashlib.sha256(os.fsencode(paths[cluster])).hexdigest(), 16)
            share = number % 100
            splits["test" if share < TEST else "val" if share < TEST + VAL else "train"].append((number, cluster))
        for members in splits.values():
            largest = max(splits.values(), key=len)
            if not members and len(largest) > 1:
                members.append(min(largest))
                largest.remove(members[0])
        split_of.update({cluster: split for split, members in splits.items() for _, cluster in members})
    return [split_of[int(c)] for c in clusters]


def prepare(root: str, cache_dir: str) -> str:
    """Path of the manifest of a folder in Kaggle's layout, which is written to the cache once.

    The manifest keeps unreadable files, each as its own cluster, so that loading the images reports them.
    """
    found = find_images(root)
    files = [(name, path) for name, paths in found.items() for path in paths]
    stats = [path.stat() for _, path in files]
    listing = "\n".join(f"{p.relative_to(root)}:{s.st_size}:{s.st_mtime_ns}:{os.access(p, os.R_OK)}" for (_, p), s in zip(files, stats))
    key = hashlib.sha256(os.fsencode(listing)).hexdigest()[:16]
    manifest = Path(cache_dir) / f"manifest-{key}.csv"
    if manifest.is_file():
        return str(manifest)
    kept, unread, hashes, sizes = [], [], [], Counter()
    for name, path in files:
        try:
            with Image.open(path) as image:
                sizes[image.size] += 1
            hashes.append(perceptual_hash(read_plain(str(path))))
            kept.append((name, path.relative_to(root).as_posix()))
        except UNREADABLE:
            unread.append((name, path.relative_to(root).as_posix()))
    if len(sizes) > 1:
        print(f"sizes differ: {dict(sizes.most_common(5))}; all are stretched to the network's", file=sys.stderr)
    if not kept:
        raise DataError(f"No image in {root} could be read.")
    classes, paths = [name for name, _ in kept], [path for _, path in kept]
    clusters = clusters_of(len(kept), near_pairs(np.stack(hashes)))
    rows = [*zip(kept, split_clusters(classes, clusters, paths), (paths[c] for c in clusters)),
            *((file, "train", file[1]) for file in unread)]
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with replacing(manifest) as temporary, open(temporary, "w", newline="", encoding="utf-8",
                                                errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for (name, path), split, cluster in rows:
            writer.writerow((Path(path).stem, path, name, split, cluster, "unknown", "unknown"))
    return str(manifest)
