"""Writes the report on the data: counts, marks of radiologists, sizes, brightness, borders, near-duplicates. It shows no
image: the grid of samples goes to the cache folder only, which is not committed."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dataset.images import Sets
from dataset.kaggle import near_pairs, perceptual_hash
from dataset.preprocess import read_plain
from dataset.records import CLASS_IDS, PUBLISHED, READINGS, SPLITS, Record
from evaluation.metrics import roc_curve
from evaluation.plots import save_figure
from evaluation.report import table

BORDER = 0.05  # of each side counts as border
STATISTICS = ("brightness", "contrast", "border brightness", "border black", "detail")
SAMPLES = 8    # images of each group in the grid
LISTED = 20    # pairs of near-duplicates, at most


def groups_of(sets: Sets) -> dict[str, list[Record]]:
    """The images by what they show: the four classes, the readings of siim, the children, the rest."""
    groups = {name: [r for r in sets.classes.records if r.label == c] for c, name in enumerate(CLASS_IDS)}
    groups.update({f"siim: {reading}": [r for r in sets.siim.records if r.reading == reading] for reading in READINGS})
    groups.update({"bacterial, children": sets.bacterial.records, "not a chest X-ray": sets.negatives.records})
    return {name: records for name, records in groups.items() if records}


def count_rows(groups: dict[str, list[Record]]) -> list[list]:
    """A row for each group: its name, and its images in each split and in all."""
    return [[name, *(sum(r.split == s for r in records) for s in SPLITS), len(records)] for name, records in groups.items()]


def summary(sets: Sets) -> str:
    """Counts per group and split as plain text."""
    rows = [["", *SPLITS, "all"], *count_rows(groups_of(sets))]
    return "\n".join(f"{row[0]:<20}" + "".join(f"{cell:>8}" for cell in row[1:]) for row in rows)


def statistics(image: np.ndarray) -> tuple[float, ...]:
    """The figures named in STATISTICS: mean and spread of the levels, mean and black share of the border, detail."""
    width = round(BORDER * len(image))
    ring = np.ones(image.shape, bool)
    ring[width:-width, width:-width] = False
    border = image[ring]
    return (image.mean(), image.std(), border.mean(), (border < 10).mean(), np.abs(np.diff(image.astype(np.int16), axis=1)).mean())


def write_report(sets: Sets, folder: str, cache: str) -> None:
    """eda.md with its plots in `folder`; the grid of samples in `cache`."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    groups = groups_of(sets)
    chest = {name: records for name, records in groups.items() if records is not sets.negatives.records}
    records = [r for of_group in chest.values() for r in of_group]
    names = np.array([name for name, of_group in chest.items() for _ in of_group])
    sources = np.array([r.source for r in records])
    delivered, hashes = _read(records)
    by_path = {r.path: statistics(i) for part in (sets.classes, sets.siim, sets.bacterial)
               for r, i in zip(part.records, part.pixels)}
    canonical = np.array([by_path[r.path] for r in records])
    frames = np.concatenate([part.frames for part in (sets.classes, sets.siim, sets.bacterial)])
    _plot_counts(groups, out / "eda-counts.svg")
    _plot_statistics(delivered, names, out / "eda-statistics.svg")
    _sample_grid(sets, Path(cache) / "samples.png")
    text = ["# The data\n\nWritten by `model/prepare.py --report`. No image is shown here: a grid of samples is written to "
            "the build folder only.\n", _counts_section(groups), _marks_section(chest), _sizes_section(groups),
            _statistics_section(delivered, names, sources, frames), _shortcuts_section(delivered, canonical, names, records),
            _duplicates_section(hashes, records)]
    (out / "eda.md").write_text("\n".join(text))
    print(f"wrote {out / 'eda.md'}, and {Path(cache) / 'samples.png'} (images; not for publishing)")


def _read(records: list[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Statistics and perceptual hash of each image as its source delivers it."""
    found, hashes = [], []
    for r in records:
        image = read_plain(r.path)
        found.append(statistics(image))
        hashes.append(perceptual_hash(image))
    return np.array(found), np.stack(hashes)


def _counts_section(groups: dict[str, list[Record]]) -> str:
    counts = [len(groups[name]) for name in CLASS_IDS]
    shares = [[name, f"{count / sum(counts):.1%}", f"{PUBLISHED[c]:.1%}"]
              for c, (name, count) in enumerate(zip(CLASS_IDS, counts))]
    return ("## Counts\n\n" + table(["", *SPLITS, "all"], count_rows(groups)) + "\n"
            + table(["class", "share", "share as published"], shares)
            + f"\nThe largest class has {max(counts) / min(counts):.1f} times as many images as the smallest. Training draws "
            "images by fixed shares of the classes (`model/dataset/batches.py`). Figures are also given re-weighted to the "
            "published shares.\n\n![counts](eda-counts.svg)\n")


def _marks_section(groups: dict[str, list[Record]]) -> str:
    """What radiologists marked."""
    rows = []
    for name, records in groups.items():
        boxed = [r for r in records if r.boxes]
        areas = [sum(w * h for _, _, w, h in r.boxes) for r in boxed]
        rows.append([name, len(boxed), f"{np.mean([len(r.boxes) for r in boxed]):.1f}" if boxed else "-",
                     f"{np.mean(areas):.1%}" if boxed else "-", sum(r.boxes == () for r in records),
                     sum(r.boxes is None for r in records), sum(bool(r.mask) for r in records),
                     sum(r.contradicts for r in records)])
    return ("## What radiologists marked\n\nWithout an opacity: an image whose label or reading says so. Contradicted: a "
            "COVID-19 image, so labelled by a PCR test, in which a radiologist read no pneumonia; training does not use its "
            "label.\n\n"
            + table(["", "with boxes", "boxes in one", "their area", "without an opacity", "not known", "lung masks",
                     "contradicted"], rows))


def _sizes_section(groups: dict[str, list[Record]]) -> str:
    rows = []
    for name, records in groups.items():
        sizes: Counter = Counter()
        for r in records:
            with Image.open(r.path) as image:
                sizes[f"{image.width}x{image.height} {image.format} {image.mode}"] += 1
        rows.append([name, ", ".join(f"{size}: {count}" for size, count in sizes.most_common(4))])
    return "## Sizes and formats\n\n" + table(["", "images"], rows)


def _statistics_section(stats: np.ndarray, names: np.ndarray, sources: np.ndarray, frames: np.ndarray) -> str:
    rows, areas = [], frames[:, 2] * frames[:, 3]
    for name in dict.fromkeys(names):
        for source in np.unique(sources[names == name]):
            chosen = (names == name) & (sources == source)
            rows.append([name, source, chosen.sum(),
                         *(f"{mean:.2f} ({spread:.2f})" for mean, spread in zip(stats[chosen].mean(0), stats[chosen].std(0)))])
    return ("## Brightness, borders, detail\n\nOf the images as their sources deliver them: mean (standard deviation) per group "
            f"and source; levels 0 to 255. Border: the outer {BORDER:.0%}. Detail: mean step between neighbours. Preprocessing "
            f"cuts plain edges off {(areas < 1).mean():.0%} of the images, {1 - areas.mean():.1%} of the area of all.\n\n"
            + table(["group", "source", "images", *STATISTICS], rows) + "\n![statistics](eda-statistics.svg)\n")


def _shortcuts_section(delivered: np.ndarray, canonical: np.ndarray, names: np.ndarray, records: list[Record]) -> str:
    """How well one number that has nothing to do with disease separates two groups."""
    children = np.array([r.age_group == "child" for r in records])
    normal = names == "normal"
    contrasts = {f"{name} against normal": (names == name, normal) for name in CLASS_IDS[1:]}
    contrasts["normal children against normal adults"] = normal & children, normal & ~children
    contrasts["siim: typical against siim: negative"] = names == "siim: typical", names == "siim: negative"
    contrasts["siim: negative against normal"] = names == "siim: negative", normal
    rows = [[name, kind, *(_area(column[positive], column[negative]) for column in stats.T)]
            for name, (positive, negative) in contrasts.items() if positive.any() and negative.any()
            for kind, stats in (("delivered", delivered), ("canonical", canonical))]
    return ("## Shortcuts\n\nArea under the ROC curve of a single number (0.5: no information), for images as delivered and as "
            "the network reads them. A network can use whatever is far from 0.5 without looking at a lung.\n\n"
            + table(["contrast", "images", *STATISTICS], rows))


def _area(positive: np.ndarray, negative: np.ndarray) -> str:
    area = roc_curve(np.concatenate([positive, negative]), np.arange(len(positive) + len(negative)) < len(positive))[2]
    return f"{max(area, 1 - area):.3f}"


def _duplicates_section(hashes: np.ndarray, records: list[Record]) -> str:
    pairs = near_pairs(hashes)
    straddling = [(records[a].id, records[b].id) for a, b in pairs if records[a].split != records[b].split]
    across = sum(records[a].label != records[b].label for a, b in pairs)
    clusters = Counter(r.cluster for r in records)
    text = (f"## Near-duplicates\n\nThe manifests group {len(records)} images into {len(clusters)} clusters of near-duplicates "
            f"and patients; {sum(n for n in clusters.values() if n > 1)} images share one. No cluster lies in two splits "
            f"(checked at every start). An independent perceptual hash finds {len(pairs)} near pairs, {across} of them between "
            f"labels and {len(straddling)} between splits")
    return text + (": " + "; ".join(f"{a} and {b}" for a, b in straddling[:LISTED]) if straddling else "") + ".\n"


def _plot_counts(groups: dict[str, list[Record]], path: Path) -> None:
    figure = Figure(figsize=(9, 3.6))
    axis = figure.subplots()
    rows, left = count_rows(groups), np.zeros(len(groups))
    for i, split in enumerate(SPLITS, 1):
        axis.barh([row[0] for row in rows], [row[i] for row in rows], left=left, label=split)
        left += [row[i] for row in rows]
    axis.invert_yaxis()
    axis.set_xlabel("images")
    axis.legend()
    save_figure(figure, path)


def _plot_statistics(stats: np.ndarray, names: np.ndarray, path: Path) -> None:
    figure = Figure(figsize=(3 * len(STATISTICS), 3.6))
    groups = list(dict.fromkeys(names))
    for axis, title, values in zip(figure.subplots(1, len(STATISTICS)), STATISTICS, stats.T):
        axis.boxplot([values[names == name] for name in groups], showfliers=False)
        axis.set_xticklabels(groups, rotation=60, fontsize=7, ha="right")
        axis.set_title(title)
    save_figure(figure, path)


def _sample_grid(sets: Sets, path: Path) -> None:
    """Canonical images, a row for each class."""
    rng = np.random.default_rng(0)
    labels = np.array([r.label for r in sets.classes.records])
    rows = [np.concatenate(list(sets.classes.pixels[rng.permutation(np.flatnonzero(labels == c))[:SAMPLES]]), 1)
            for c in range(len(CLASS_IDS)) if (labels == c).sum() >= SAMPLES]
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows, 0)).save(path)
