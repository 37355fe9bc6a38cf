"""Writes the report on the data: counts, imbalance, sizes, brightness, borders, near-duplicates. No film is shown:
the sample grid goes to the cache folder only, which is not committed."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

from data import CLASS_IDS, COVID, NORMAL, OPACITY, PUBLISHED, SPLITS, VIRAL, Record  # noqa: E402
from manifest import near_pairs, perceptual_hash  # noqa: E402
from metrics import roc_curve  # noqa: E402
from report import save_figure, table  # noqa: E402

RING = 11  # pixels of the border that count as border: 5% of 224


def statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """Per film: mean and spread of the levels, mean and black share of the border ring, detail."""
    ring = np.ones(images.shape[1:], bool)
    ring[RING:-RING, RING:-RING] = False
    names = ("brightness", "contrast", "border brightness", "border black", "detail")
    rows = []
    for image in images:
        border = image[ring]
        rows.append((image.mean(), image.std(), border.mean(), (border < 10).mean(),
                     np.abs(np.diff(image.astype(np.int16), axis=1)).mean()))
    return dict(zip(names, np.array(rows).T))


def write_report(images: np.ndarray, records: list[Record], folder: str, cache: str) -> None:
    """eda.md with its plots in `folder`; the sample grid in `cache`."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    labels = np.array([r.label for r in records])
    sources = np.array([r.source for r in records])
    stats = statistics(images)
    _plot_counts(labels, out / "eda-counts.svg")
    _plot_statistics(stats, labels, out / "eda-statistics.svg")
    _sample_grid(images, labels, Path(cache) / "samples.png")
    text = ["# The data\n\nWritten by `model/data.py --report`. No film is shown here: a grid of samples is written to "
            "the build folder only.\n", _counts_section(records, labels), _sizes_section(records),
            _statistics_section(stats, labels, sources), _contrast_section(stats, labels, sources),
            _duplicates_section(images, records)]
    (out / "eda.md").write_text("\n".join(text))
    print(f"wrote {out / 'eda.md'}, and {Path(cache) / 'samples.png'} (films; not for publishing)")


def _counts_section(records: list[Record], labels: np.ndarray) -> str:
    rows = []
    for c, name in enumerate(CLASS_IDS):
        splits = [sum(r.label == c and r.split == s for r in records) for s in SPLITS]
        rows.append([name, *splits, sum(splits), f"{(labels == c).mean():.1%}", f"{PUBLISHED[c]:.1%}"])
    counts = np.bincount(labels, minlength=len(CLASS_IDS))
    return ("## Counts\n\n" + table(["class", *SPLITS, "all", "share", "share as published"], rows)
            + f"\nThe largest class has {counts.max() / counts.min():.1f} times as many films as the smallest. "
            "Training draws films by fixed class shares (`model/batches.py`), and figures are also given re-weighted "
            "to the published shares.\n\n![counts](eda-counts.svg)\n")


def _sizes_section(records: list[Record]) -> str:
    sizes: dict[int, Counter] = {c: Counter() for c in range(len(CLASS_IDS))}
    for r in records:
        with Image.open(r.path) as image:
            sizes[r.label][f"{image.width}x{image.height} {image.format} {image.mode}"] += 1
    rows = [[CLASS_IDS[c], ", ".join(f"{size}: {count}" for size, count in counts.most_common(4))]
            for c, counts in sizes.items()]
    return "## Sizes and formats\n\n" + table(["class", "images"], rows)


def _statistics_section(stats: dict[str, np.ndarray], labels: np.ndarray, sources: np.ndarray) -> str:
    rows = []
    for c, name in enumerate(CLASS_IDS):
        for source in np.unique(sources[labels == c]):
            chosen = (labels == c) & (sources == source)
            rows.append([name, source, chosen.sum(),
                         *(f"{v[chosen].mean():.2f} ({v[chosen].std():.2f})" for v in stats.values())])
    return ("## Brightness, borders, detail\n\nMean (standard deviation) per class and source; levels 0 to 255. Border: "
            "the outer 5%. Detail: mean step between neighbours.\n\n" + table(["class", "source", "films", *stats], rows)
            + "\n![statistics](eda-statistics.svg)\n")


def _contrast_section(stats: dict[str, np.ndarray], labels: np.ndarray, sources: np.ndarray) -> str:
    """How far one number that has nothing to do with disease tells classes apart."""
    rows = []
    for name, label in (("covid-19", COVID), ("viral-pneumonia", VIRAL), ("lung-opacity", OPACITY)):
        chosen = np.isin(labels, (label, NORMAL))
        rows.append([f"{name} against normal", *(_area(v[chosen], labels[chosen] == label) for v in stats.values())])
    normal = labels == NORMAL
    children = sources == "kermany"
    if (normal & children).any():
        rows.append(["normal children against normal adults",
                     *(_area(v[normal], children[normal]) for v in stats.values())])
    return ("## Shortcuts\n\nArea under the ROC curve of a single number (0.5: says nothing). Whatever is far from 0.5 is "
            "something a network can use without looking at a lung.\n\n" + table(["contrast", *stats], rows))


def _area(values: np.ndarray, positive: np.ndarray) -> str:
    area = roc_curve(values, positive)[2]
    return f"{max(area, 1 - area):.3f}"


def _duplicates_section(images: np.ndarray, records: list[Record]) -> str:
    pairs = near_pairs(np.stack([perceptual_hash(i) for i in images]))
    straddling = [(records[a].id, records[b].id) for a, b in pairs if records[a].split != records[b].split]
    across = sum(records[a].label != records[b].label for a, b in pairs)
    clusters = Counter(r.cluster for r in records)
    text = (f"## Near-duplicates\n\nThe manifest has {len(clusters)} clusters for {len(records)} films; "
            f"{sum(n for n in clusters.values() if n > 1)} films share one. No cluster lies in two splits (checked at "
            f"every start). An independent perceptual hash finds {len(pairs)} near pairs, {across} of them between "
            f"classes and {len(straddling)} between splits")
    return text + (": " + "; ".join(f"{a} and {b}" for a, b in straddling[:20]) if straddling else "") + ".\n"


def _plot_counts(labels: np.ndarray, path: Path) -> None:
    figure, (bar, pie) = plt.subplots(1, 2, figsize=(9, 3.6))
    counts = np.bincount(labels, minlength=len(CLASS_IDS))
    bar.bar(CLASS_IDS, counts)
    bar.tick_params(axis="x", rotation=20)
    bar.set_ylabel("films")
    pie.pie(counts, labels=CLASS_IDS, autopct="%1.1f%%")
    save_figure(figure, path)


def _plot_statistics(stats: dict[str, np.ndarray], labels: np.ndarray, path: Path) -> None:
    figure, axes = plt.subplots(1, len(stats), figsize=(3 * len(stats), 3.2))
    for axis, (name, values) in zip(axes, stats.items()):
        axis.boxplot([values[labels == c] for c in range(len(CLASS_IDS))], showfliers=False)
        axis.set_xticklabels(CLASS_IDS, rotation=30, fontsize=7)
        axis.set_title(name)
    save_figure(figure, path)


def _sample_grid(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [np.concatenate(list(images[rng.permutation(np.flatnonzero(labels == c))[:8]]), 1)
            for c in range(len(CLASS_IDS)) if (labels == c).sum() >= 8]
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows, 0)).save(path)
