"""Makes synthetic films that may be shown and shipped: no patient's, one or two per class, for page, tests and README.

Per class, the principal components of the training films give a Gaussian over films; a sample is a random point of it,
drawn nearer to the mean than films lie. Kept are samples that the engine accepts and gives their class to (so they
say nothing about its accuracy), and that are at least as far from every training film as films of different patients
are from each other.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from data import CLASS_IDS, SIZE, DataError, select
from engine import Engine, EngineError
from fit import load_sets

FILMS = 700        # of each class, to fit on
COMPONENTS = 80
SPREAD = 0.75      # of the films' own standard deviation
TRIES = 48
PER_CLASS = 2
GRID = 56          # distances are between films of this size: what the eye tells apart, not the grain


class FilmSpace:
    """Mean and principal components of one class's films."""

    def __init__(self, films: np.ndarray):
        x = torch.from_numpy(films.reshape(len(films), -1).astype(np.float32))
        self.mean = x.mean(0)
        x = x - self.mean
        values, vectors = torch.linalg.eigh(x @ x.T / len(x))
        keep = torch.argsort(values, descending=True)[:COMPONENTS]
        self.deviations = values[keep].clamp_min(0).sqrt()
        self.components = (vectors[:, keep].T @ x) / (self.deviations * len(x) ** 0.5).unsqueeze(1)

    def draw(self, count: int, generator: torch.Generator) -> np.ndarray:
        """count x SIZE x SIZE, u8."""
        at = torch.randn(count, len(self.deviations), generator=generator) * SPREAD * self.deviations
        films = (self.mean + at @ self.components).clamp(0, 255).round().to(torch.uint8)
        return films.reshape(count, SIZE, SIZE).numpy()


def thumbnails(films: np.ndarray) -> torch.Tensor:
    """Small films, each with mean 0 and deviation 1, as rows."""
    side = SIZE // GRID
    small = torch.from_numpy(films.astype(np.float32)).reshape(len(films), GRID, side, GRID, side).mean((2, 4)).flatten(1)
    small = small - small.mean(1, keepdim=True)
    return small / small.std(1, keepdim=True).clamp_min(1e-6)


def nearest(rows: torch.Tensor, others: torch.Tensor, skip_self: bool = False) -> torch.Tensor:
    """Root mean square distance of each row to the nearest of the others."""
    distance = torch.cdist(rows, others) / rows.shape[1] ** 0.5
    if skip_self:
        distance.fill_diagonal_(float("inf"))
    return distance.min(1).values


def make(args: argparse.Namespace) -> dict:
    """Writes the samples; returns how they compare with the films."""
    sets = load_sets(args.data, args.cache)
    train = select(sets.records, "train")
    labels = np.array([sets.records[i].label for i in train])
    everything = thumbnails(sets.films[train])
    rng, generator = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    some = everything[torch.from_numpy(rng.choice(len(everything), 1500, replace=False))]
    usual = float(nearest(some, some, skip_self=True).median())
    engine, out, report = Engine(args.cli, args.model), Path(args.out), {"films_apart": usual, "samples": {}}
    out.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(CLASS_IDS):
        own = rng.permutation(train[labels == label])[:FILMS]
        drawn = FilmSpace(sets.films[own]).draw(TRIES, generator)
        answers, away = engine.classify_arrays(drawn), nearest(thumbnails(drawn), everything)
        good = np.flatnonzero(answers.accepted & ~answers.turned & (answers.logits.argmax(1) == label)
                              & (away >= 0.8 * usual).numpy())
        print(f"{name}: {len(good)} of {TRIES} kept; distance to the nearest film {float(away.median()):.3f}, "
              f"films among each other {usual:.3f}")
        best = good[np.argsort(-answers.probabilities[good, label], kind="stable")][:PER_CLASS]
        for number, i in enumerate(best, 1):
            text = PngImagePlugin.PngInfo()
            text.add_text("Comment", "Synthetic: drawn from a statistical model of chest films; not a patient.")
            Image.fromarray(drawn[i]).save(out / f"synthetic-{name}-{number}.png", optimize=True, pnginfo=text)
            report["samples"][f"synthetic-{name}-{number}.png"] = {"nearest_film": round(float(away[i]), 3)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--cli", default="build/cxrlens")
    parser.add_argument("--model", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--out", default=str(Path(__file__).parent.with_name("web") / "samples"))
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports") / "samples.json"))
    parser.add_argument("--cache", default="build/cache")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    Path(args.report).write_text(json.dumps(make(args), indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (DataError, EngineError) as error:
        sys.exit(str(error))
