"""Reads a data set's manifests into records.

Layouts: `crd/manifest.csv` with siim/, bacterial/, lungs/ and negatives/ beside it (each optional), or the COVID-19
Radiography Database as Kaggle publishes it (`COVID/images/*.png` and so on), which kaggle.py prepares.
"""
from __future__ import annotations

import csv
import hashlib
import os
from pathlib import Path

from dataset import kaggle
from dataset.records import CACHE, FOLDERS, NEGATIVE, NO_CLASS, READINGS, SPLITS, Box, Record, check_splits
from files import DataError, printable


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV; file names in the column `file` need not be UTF-8."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:  # Excel writes a mark first
        rows = [{key: value if key == "file" or not isinstance(value, str) else printable(value)
                 for key, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        if None in row.values():
            raise DataError(f"{path} has a row that is too short: {list(row.values())}.")
    return rows


def split_of(row: dict[str, str]) -> str:
    """The split that a manifest's row names. With another name the image would silently be in no split."""
    if row["split"] not in SPLITS:
        raise DataError(f"{row['file']} has the split {row['split']!r}, which is not one of {', '.join(SPLITS)}.")
    return row["split"]


def read_boxes(text: str) -> tuple[Box, ...]:
    """Boxes of the form "x y width height;...", fractions of the image."""
    boxes = []
    for part in filter(None, text.split(";")):
        try:
            x, y, width, height = (float(v) for v in part.split())
        except ValueError:
            raise DataError(f"A box needs x, y, width and height: {part!r}.") from None
        boxes.append((x, y, width, height))
    return tuple(boxes)


def _boxes_of(row: dict[str, str], clear: bool) -> tuple[Box, ...] | None:
    """Outlined opacities. With `clear`, an image without boxes has no opacity; otherwise nobody looked."""
    return read_boxes(row.get("boxes") or "") or (() if clear else None)


def _read_masks(root: str) -> dict[str, str]:
    """Paths of lung masks by image id. Only the darwin convention, which includes the heart: a second convention would teach
    a contradictory outline."""
    manifest = Path(root) / "lungs" / "manifest.csv"
    if not manifest.is_file():
        return {}
    return {row["id"]: os.path.join(root, row["mask"]) for row in read_rows(manifest)
            if row["convention"].startswith("darwin")}


def _read(path: Path, root: str, record_of) -> list[Record]:
    """Records of a manifest, one by one; a missing column or an unknown name raises a DataError."""
    try:
        return [record_of(row, os.path.join(root, row["file"])) for row in read_rows(path)]
    except KeyError as error:
        raise DataError(f"{path} lacks a column or names an unknown class: {error}.") from None


def read_manifest(path: str, root: str) -> list[Record]:
    """Records of the four classes; the `file` column is relative to `root`."""
    masks = _read_masks(root)

    def record_of(row: dict[str, str], file: str) -> Record:
        label, reading = FOLDERS[row["class"]], row.get("reading") or ""
        clear = row["class"] == "Normal" or reading == "negative"
        return Record(row["id"], file, label, split_of(row), row["cluster"], row.get("source") or "unknown",
                      row.get("age_group") or "unknown", reading, _boxes_of(row, clear), masks.get(row["id"], ""))
    return _read(Path(path), root, record_of)


def read_classes(root: str, cache_dir: str = CACHE) -> list[Record]:
    """The four classes' records, from whichever layout `root` has."""
    given = Path(root) / "crd" / "manifest.csv"
    records = read_manifest(str(given) if given.is_file() else kaggle.prepare(root, cache_dir), root)
    check_splits(records)
    return records


def read_siim(root: str) -> list[Record]:
    """One collection with and without pneumonia, as radiologists read it (may be empty)."""
    def record_of(row: dict[str, str], file: str) -> Record:
        reading = row["reading"]
        return Record(row["id"], file, READINGS[reading], split_of(row), row["patient"] or row["id"], "siim", "adult",
                      reading, _boxes_of(row, reading == "negative"))
    manifest = Path(root) / "siim" / "manifest.csv"
    records = _read(manifest, root, record_of) if manifest.is_file() else []
    check_splits(records)
    return records


def read_bacterial(root: str) -> list[Record]:
    """Children with bacterial pneumonia: opacities and lungs, but none of the four classes (may be empty)."""
    masks = _read_masks(root)

    def record_of(row: dict[str, str], file: str) -> Record:
        return Record(row["id"], file, NO_CLASS, split_of(row), row["patient"] or row["id"], "bacterial", "child",
                      mask=masks.get(row["id"], ""))
    manifest = Path(root) / "bacterial" / "manifest.csv"
    records = _read(manifest, root, record_of) if manifest.is_file() else []
    check_splits(records)
    return records


def read_negatives(root: str) -> list[Record]:
    """Images that are not frontal chest X-rays (may be empty); a tenth of the training images becomes `val`."""
    def record_of(row: dict[str, str], file: str) -> Record:
        held = split_of(row) == "train" and int(hashlib.sha256(os.fsencode(row["file"])).hexdigest(), 16) % 10 == 0
        return Record(printable(row["file"]), file, NEGATIVE, "val" if held else row["split"], row["file"], row["kind"], "none")
    manifest = Path(root) / "negatives" / "manifest.csv"
    return _read(manifest, root, record_of) if manifest.is_file() else []
