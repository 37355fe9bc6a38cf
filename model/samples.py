"""Makes synthetic chest X-rays, two per class, that show no patient and may be published: for page, tests and README.

dataset/synthetic.py draws them from canonical training images of each class, with SYNTHETIC written into each. An
image is kept if it is farther from every training image than a quarter of the training images are from their own nearest
neighbour. Preferred are images whose class the engine names and, for a disease, in which it marks a finding, by descending
probability: so the samples show how the page works and say nothing about the engine's accuracy.
"""
from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
from PIL import Image, ImageDraw

from dataset.images import Images, load_sets
from dataset.preprocess import INPUT, SIZE, canonical, read_gray
from dataset.records import CACHE, CLASS_IDS, NORMAL
from dataset.synthetic import draw
from evaluation.engine import Answers, Engine
from files import run_in_sentences

FITTED = 320                # images of each class to fit on
TRIES, ROUNDS = 48, 24      # images drawn at a time, and at most how often
PER_CLASS = 2
GRID = 48                   # distances are between images of this side: what the eye tells apart, not the grain
NOTE = "Synthetic: drawn from a statistical model of chest X-rays; not a patient."


def labelled(image: np.ndarray) -> np.ndarray:
    """With SYNTHETIC written into its lower left corner."""
    result = Image.fromarray(image)
    for shift, gray in ((1, 0), (0, 255)):  # with a shadow, to be read on any ground
        ImageDraw.Draw(result).text((5 + shift, len(image) - 14 + shift), "SYNTHETIC", fill=gray)
    return np.asarray(result)


def save(image: np.ndarray, path: Path) -> str:
    """Writes a JPEG; returns its path."""
    Image.fromarray(image).save(path, quality=88, optimize=True, comment=NOTE)
    return str(path)


def thumbnails(images: np.ndarray) -> torch.Tensor:
    """Small images, each with mean 0 and deviation 1, as rows; from N x INPUT x INPUT."""
    side = INPUT // GRID
    small = torch.from_numpy(images.astype(np.float32)).reshape(len(images), GRID, side, GRID, side).mean((2, 4)).flatten(1)
    small = small - small.mean(1, keepdim=True)
    return small / small.std(1, keepdim=True).clamp_min(1e-6)


def nearest(rows: torch.Tensor, others: torch.Tensor, skip_self: bool = False) -> torch.Tensor:
    """Root mean square distance of each row to the nearest of the others."""
    distance = torch.cdist(rows, others) / rows.shape[1] ** 0.5
    if skip_self:
        distance.fill_diagonal_(float("inf"))
    return distance.min(1).values


def shows(answers: Answers, label: int) -> np.ndarray:
    """Whether the engine gives each image the class, with a finding if the class is a disease and without one if not."""
    return (answers.named == label) & ((answers.findings > 0) == (label != NORMAL))


def choose(engine: Engine, draws: Iterator[np.ndarray], rounds: int, label: int, known: torch.Tensor,
           close: float) -> list[tuple[np.ndarray, float]]:
    """The best PER_CLASS of what is drawn, each with its distance to `known`; fewer where less is far enough away."""
    good, drawn, shown = [], 0, 0
    while shown < PER_CLASS and drawn < TRIES * rounds:
        images = [labelled(image) for image in next(draws)]
        drawn += len(images)
        with tempfile.TemporaryDirectory() as folder:
            answers = engine.classify([save(image, Path(folder) / f"{i}.jpg") for i, image in enumerate(images)])
        away = nearest(thumbnails(np.stack([canonical(image)[0] for image in images])), known).numpy()
        showing = shows(answers, label)
        for i in np.flatnonzero(answers.accepted & ~answers.turned & (away >= close)):
            good.append((bool(showing[i]), answers.probabilities[i, label], float(away[i]), images[i]))
            shown += good[-1][0]
    print(f"{CLASS_IDS[label]}: of {drawn} drawn, {len(good)} are far enough from every image, {shown} of them show the class",
          flush=True)
    best = sorted(good, key=lambda g: g[:2], reverse=True)[:PER_CLASS]
    return [(image, distance) for _, _, distance, image in best]


def fitted_on(train: Images, label: int, rng: np.random.Generator) -> np.ndarray:
    """Canonical images of a class at the size that is shown."""
    own = [r for r in train.records if r.label == label and not r.contradicts]
    return np.stack([canonical(read_gray(own[i].path), SIZE)[0] for i in rng.permutation(len(own))[:FITTED]])


def make(args: argparse.Namespace) -> dict:
    """Writes the samples; returns how they compare with the training images."""
    train = load_sets(args.data, args.cache).classes.split("train")
    known = thumbnails(train.pixels)
    rng, generator = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    some = known[torch.from_numpy(rng.choice(len(known), min(1500, len(known)), replace=False))]
    apart = nearest(some, some, skip_self=True)
    close = float(apart.quantile(0.25))
    engine, out = Engine(args.cli, args.model), Path(args.out)
    report: dict = {"images_apart": {"median": round(float(apart.median()), 3), "lower_quarter": round(close, 3)}, "samples": {}}
    out.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(CLASS_IDS):
        draws = draw(fitted_on(train, label, rng), TRIES, generator)
        chosen = choose(engine, draws, 1 if args.quick else ROUNDS, label, known, close)
        for number, (image, distance) in enumerate(chosen, 1):
            file = f"synthetic-{name}-{number}.jpg"
            save(image, out / file)
            report["samples"][file] = {"nearest_image": round(distance, 3)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--cli", default="build/cxrlens")
    parser.add_argument("--model", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--out", default=str(Path(__file__).parent.with_name("web") / "samples"))
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports") / "samples.json"))
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one draw of each class")
    args = parser.parse_args()
    Path(args.report).write_text(json.dumps(make(args), indent=1) + "\n")


if __name__ == "__main__":
    run_in_sentences(main)
