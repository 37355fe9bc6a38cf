"""Finds the images of a data set, reads them, and makes the square gray arrays every other step works on.

Two layouts are read: one with `crd/manifest.csv` (splits and near-duplicate clusters given) and the COVID-19
Radiography Database as Kaggle publishes it (`COVID/images/*.png` and so on), which manifest.py prepares.
"""
from __future__ import annotations

import argparse
import csv
import hashlib
import os
import struct
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
from PIL import Image, ImageOps

SIZE = 224   # films are kept at this size for training
INPUT = 192  # the network's: reports/tried.md says why
CACHE = "build/cache"
CLASS_IDS = ("normal", "covid-19", "viral-pneumonia", "lung-opacity")
NORMAL, COVID, VIRAL, OPACITY = range(4)
# Folder names as published, with blanks written as underscores.
FOLDERS = {"Normal": NORMAL, "COVID": COVID, "Viral_Pneumonia": VIRAL, "Lung_Opacity": OPACITY}
# Class shares of the database as published, for re-weighted figures.
PUBLISHED = np.array([10192, 3616, 1345, 6012]) / 21165
SPLITS = ("train", "val", "test")
NEGATIVE = -1  # the label of an image that is no frontal chest film
# Of the published model's data and splits (fit.Sets.fingerprint): what is known of them is said of no others.
PUBLIC_FINGERPRINT = "6bea9643f5dc18e1cd4009f65f696e4c94af85caa5ac5754148509730f86eac0"
# What reading a damaged image raises.
UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)


class DataError(Exception):
    """A data set that cannot be used; the message is a sentence for the user."""


def run_in_sentences(main: Callable[[], None]) -> None:
    """Runs `main`; what is wrong with the data or the disk ends it with a sentence."""
    try:
        main()
    except DataError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"A file could not be read or written: {error}.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place once it is whole: a full disk or a kill leaves the last good one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@dataclass(frozen=True)
class Record:
    """One image: where it is, what it shows (an index of CLASS_IDS or NEGATIVE), and which split it is in."""
    id: str
    path: str
    label: int
    split: str
    cluster: str
    source: str
    age_group: str


def read_films(root: str, cache_dir: str = CACHE) -> list[Record]:
    """The four classes' records, from whichever layout `root` has."""
    given = Path(root) / "crd" / "manifest.csv"
    if given.is_file():
        records = read_manifest(str(given), root)
    else:
        import manifest  # it imports this module
        records = read_manifest(manifest.prepare(root, cache_dir), root)
    check_splits(records)
    return records


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV; names of files in it, in the column `file`, may be no UTF-8."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:  # Excel puts a mark before it
        rows = [{key: value if key == "file" or not isinstance(value, str) else printable(value)
                 for key, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        if None in row.values():
            raise DataError(f"{path} has a row that is too short: {list(row.values())}.")
    return rows


def split_of(row: dict[str, str]) -> str:
    """The split that a manifest's row names: a film of another would be in none."""
    if row["split"] not in SPLITS:
        raise DataError(f"{row['file']} is of the split {row['split']!r}, which is none of {', '.join(SPLITS)}.")
    return row["split"]


def printable(name: str) -> str:
    """A file's name as text that any report can hold."""
    return os.fsencode(name).decode(errors="backslashreplace")


def read_manifest(path: str, root: str) -> list[Record]:
    """Records of a manifest CSV whose `file` column is relative to `root`."""
    rows = read_rows(path)
    try:
        return [Record(r["id"], os.path.join(root, r["file"]), FOLDERS[r["class"]], split_of(r), r["cluster"],
                       r.get("source") or "unknown", r.get("age_group") or "unknown") for r in rows]
    except KeyError as error:
        raise DataError(f"{path} lacks a column or names an unknown class: {error}.") from None


def check_classes(records: list[Record]) -> None:
    """Every class must have images, and images to train and to test with."""
    for name, label in FOLDERS.items():
        if not any(r.label == label for r in records):
            raise DataError(f"The class {name} has no images.")
        for split in SPLITS:
            if not any(r.label == label and r.split == split for r in records):
                raise DataError(f"The class {name} has no images in the split {split}.")


def check_splits(records: list[Record]) -> None:
    """Near-duplicates must not straddle splits, or the figures would flatter."""
    split_of: dict[str, str] = {}
    for r in records:
        if split_of.setdefault(r.cluster, r.split) != r.split:
            raise DataError(f"Near-duplicates of {r.id} are in both {split_of[r.cluster]} and {r.split}.")


def read_negatives(root: str) -> list[Record]:
    """Images that are not frontal chest films (may be none); a tenth of the training ones is kept for choices."""
    manifest = Path(root) / "negatives" / "manifest.csv"
    if not manifest.is_file():
        return []
    records = []
    for r in read_rows(manifest):
        try:
            held = split_of(r) == "train" and int(hashlib.sha256(os.fsencode(r["file"])).hexdigest(), 16) % 10 == 0
            records.append(Record(printable(r["file"]), os.path.join(root, r["file"]), NEGATIVE,
                                  "val" if held else r["split"], r["file"], r["kind"], "none"))
        except KeyError as error:
            raise DataError(f"{manifest} lacks the column {error}.") from None
    return records


def to_gray(image: Image.Image) -> np.ndarray:
    """Gray levels as the engine sees them: integer BT.601, alpha laid over black, u8 or u16."""
    if image.mode.startswith("I"):
        gray, key = np.asarray(image).astype(np.uint16), image.info.get("transparency")
        return gray if key is None else np.where(gray == key, np.uint16(0), gray)
    has_alpha = "A" in image.mode or "transparency" in image.info
    if image.mode == "L" and not has_alpha:
        return np.asarray(image)
    red, green, blue, alpha = np.moveaxis(np.asarray(image.convert("RGBA")).astype(np.int32), 2, 0)
    gray = (77 * red + 150 * green + 29 * blue + 128) >> 8
    return ((gray * alpha + 127) // 255).astype(np.uint8)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=64)
def _axis_weights(samples: int, size: int) -> np.ndarray:
    """The resize of one axis as a matrix of Q14 integers (held in float64, which multiplies them exactly)."""
    matrix = np.zeros((size, samples))
    scale = samples / size
    stretch = max(scale, 1.0)
    for i in range(size):
        centre = (i + 0.5) * scale
        first = max(0, int(centre - 2 * stretch + 0.5))
        last = min(samples, int(centre + 2 * stretch + 0.5))
        weights = _cubic((np.arange(first, last) - centre + 0.5) / stretch)
        rounded = np.floor(16384 * (weights / weights.sum()) + 0.5)
        rounded[rounded.argmax()] += 16384 - rounded.sum()
        matrix[i, first:last] = rounded
    return matrix


def resize(gray: np.ndarray, size: int = SIZE) -> np.ndarray:
    """The engine's antialiased bicubic, stretched to size x size u8; the rule stands in src/README.md."""
    if gray.dtype == np.uint8 and gray.shape == (size, size):
        return gray  # what the rule gives, without the multiplications
    wide = gray.astype(np.int64)
    q7 = wide * 128 if gray.dtype == np.uint8 else (32640 * wide + 32767) // 65535
    height, width = gray.shape
    rows = (_axis_weights(height, size) @ q7.astype(np.float64)).astype(np.int64)
    rows = np.clip((rows + 8192) >> 14, 0, 32640)
    columns = (rows.astype(np.float64) @ _axis_weights(width, size).T).astype(np.int64)
    return np.clip((columns + (1 << 20)) >> 21, 0, 255).astype(np.uint8)


def at_input(images: np.ndarray) -> np.ndarray:
    """Films of any size as the engine gives them to the network: N x INPUT x INPUT, by its own resize."""
    return np.stack([resize(i, INPUT) for i in images]) if len(images) else np.empty((0, INPUT, INPUT), np.uint8)


def read_at_input(records: list[Record]) -> np.ndarray:
    """Films read anew as the engine reads them, at once to INPUT: what the cache holds of larger ones was made SIZE first."""
    return np.stack([read_image(r.path, INPUT) for r in records])


def read_image(path: str, size: int = SIZE) -> np.ndarray:
    """An image file as a square u8 film."""
    with Image.open(path) as image:
        if image.format == "PNG" and not image.mode.startswith("I") and str(image.tile[0][3]).endswith(";16B"):
            raise ValueError("colours or transparency of 16 bits, of which half would be lost: store it as gray")
        return resize(to_gray(ImageOps.exif_transpose(image)), size)


def load_images(records: list[Record], cache_dir: str) -> tuple[np.ndarray, list[Record], list[str]]:
    """All images as one N x 224 x 224 array, the records that could be read, and what was wrong with the others.

    The array is cached on disk, under a name made of the files' names, until one of them changes.
    """
    names, state = hashlib.sha256(), hashlib.sha256()
    for r in records:
        stat = os.stat(r.path) if os.access(r.path, os.R_OK) else None
        names.update(os.fsencode(f"{r.path}\n"))
        state.update(f"{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    path = Path(cache_dir) / f"images-{names.hexdigest()[:16]}.npz"
    if path.is_file():
        with np.load(path) as cached:
            if str(cached["state"]) == state.hexdigest():
                return cached["images"], [records[i] for i in cached["kept"]], [str(p) for p in cached["problems"]]
    images, kept, problems = [], [], []
    for i, r in enumerate(records):
        try:
            images.append(read_image(r.path))
            kept.append(i)
        except UNREADABLE as error:
            problems.append(f"{r.path}: {error}")
    array = np.stack(images) if images else np.empty((0, SIZE, SIZE), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, state=np.array(state.hexdigest()), images=array, kept=np.array(kept, np.int64), problems=np.array(problems, str))
    return array, [records[i] for i in kept], problems


def load_or_explain(records: list[Record], cache_dir: str) -> tuple[np.ndarray, list[Record]]:
    """load_images, with every unreadable image named on standard error and counted."""
    images, kept, problems = load_images(records, cache_dir)
    for problem in problems:
        print(f"skipped: {problem}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} of {len(records)} images could not be read and were skipped.", file=sys.stderr)
    return images, kept


def select(records: list[Record], split: str) -> np.ndarray:
    """Indices of the records of one split."""
    return np.array([i for i, r in enumerate(records) if r.split == split], np.int64)


def summary(records: list[Record]) -> str:
    """Counts per class and split."""
    lines = [f"{'class':<18}" + "".join(f"{s:>8}" for s in SPLITS)]
    for label, name in enumerate(CLASS_IDS):
        counts = [sum(r.label == label and r.split == s for r in records) for s in SPLITS]
        lines.append(f"{name:<18}" + "".join(f"{c:>8}" for c in counts))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks a data set, builds manifest and splits, writes the EDA report.")
    parser.add_argument("--data", required=True, help="data set folder")
    parser.add_argument("--report", help="folder for eda.md and its plots")
    parser.add_argument("--cache", default=CACHE, help="manifest, decoded images, sample grid")
    args = parser.parse_args()
    records = read_films(args.data, args.cache)
    images, kept = load_or_explain(records, args.cache)
    check_classes(kept)
    print(summary(kept))
    if args.report:
        import eda  # it imports this module
        eda.write_report(images, kept, args.report, args.cache)


if __name__ == "__main__":
    import data  # the module that the others import, so that its errors are of one class
    data.run_in_sentences(data.main)
