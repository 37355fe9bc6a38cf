"""Makes synthetic films that may be shown and shipped: no patient's, two per class, for page, tests and README.

Per class, training films are bent onto their common shape; principal components of the bent films and of the bends
give a Gaussian over films (an active appearance model). A sample is a random point of it, in shape nearer to the mean
than films lie, with SYNTHETIC written into it. Kept are samples that are farther from every training film than a
quarter of the films are from their own nearest neighbour, those first whose class the engine is surest of: so they
say nothing about its accuracy.
"""
from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from data import CACHE, CLASS_IDS, SIZE, run_in_sentences, select
from engine import Engine
from fit import load_sets

FILMS = 320                # of each class, to fit on
KNOTS = 10                 # per side of the grid that bends a film
STAGES = ((28, 40, 0.03), (56, 30, 0.012))  # registration: side of the films, steps, learning rate
STIFFNESS, ANCHOR = 6.0, 0.3
LOOKS, SHAPES = 150, 60    # principal components of the bent films, of the bends
LOOK_SPREAD, SHAPE_SPREAD = 1.0, 0.6  # of the films' own standard deviation
ONE_FILM = 0.07            # a component that owes more to a single film would show that film's marks: left out
CROP = 0.92                # the middle of a sample is kept: bends pull nothing into its edges
TRIES, ROUNDS = 48, 24      # samples drawn at a time, and at most how often
PER_CLASS = 2
GRID = 56                  # distances are between films of this size: what the eye tells apart, not the grain
NOTE = "Synthetic: drawn from a statistical model of chest films; not a patient."


def plain_grid(side: int, zoom: float = 1.0) -> torch.Tensor:
    """1 x side x side x 2 coordinates from -1 to 1."""
    return F.affine_grid(zoom * torch.eye(2, 3)[None], (1, 1, side, side), align_corners=False)


def dense(bends: torch.Tensor, side: int) -> torch.Tensor:
    """N x 2 x KNOTS x KNOTS shifts as N x 2 x side x side."""
    return F.interpolate(bends, size=(side, side), mode="bicubic", align_corners=True)


def bent(images: torch.Tensor, shifts: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """images(p + shift(p)) for N x C x S x S images and N x 2 x S x S shifts."""
    return F.grid_sample(images, grid + shifts.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def with_edges(films: torch.Tensor) -> torch.Tensor:
    """The films and, as a second channel, what is local in them, so that ribs count beside bright and dark."""
    blur = lambda x: F.avg_pool2d(F.pad(x, (8,) * 4, mode="replicate"), 17, 1)
    local = films - blur(films)
    return torch.cat([films, 0.5 * local / (blur(local * local).sqrt() + 0.03)], 1)


def register(films: torch.Tensor) -> torch.Tensor:
    """Bends, N x 2 x KNOTS x KNOTS with mean 0, that bring N x 1 x S x S films onto their common mean."""
    bends = torch.zeros(len(films), 2, KNOTS, KNOTS, requires_grad=True)
    for side, steps, rate in STAGES:
        small, grid = with_edges(F.interpolate(films, size=(side, side), mode="area")), plain_grid(side)
        optimiser = torch.optim.Adam([bends], rate)
        for step in range(steps):
            now = bent(small, dense(bends, side), grid)
            if step % 10 == 0:
                mean = now.detach().mean(0, keepdim=True)
            roughness = bends.diff(dim=3).square().mean() + bends.diff(dim=2).square().mean()
            loss = (now - mean).square().mean() + STIFFNESS * roughness + ANCHOR * bends.square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                bends -= bends.mean(0, keepdim=True)
    return bends.detach()


class Gaussian:
    """Mean and principal components of vectors, N x D."""

    def __init__(self, x: torch.Tensor, components: int):
        self.mean = x.mean(0)
        x = x - self.mean
        values, vectors = torch.linalg.eigh(x @ x.T / len(x))
        keep = torch.argsort(values, descending=True)[:components]
        keep = keep[(values[keep] > 0) & (vectors[:, keep].square().amax(0) < ONE_FILM)]
        self.deviations = values[keep].sqrt()
        self.components = (vectors[:, keep].T @ x) / (self.deviations * len(x) ** 0.5).unsqueeze(1)

    def draw(self, count: int, spread: float, generator: torch.Generator) -> torch.Tensor:
        at = torch.randn(count, len(self.deviations), generator=generator).clamp(-2, 2)
        return self.mean + (at * spread * self.deviations) @ self.components


def draw_films(films: np.ndarray, count: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """count x SIZE x SIZE, u8, from the model fitted to `films`; as often as asked."""
    x = torch.from_numpy(films).float().unsqueeze(1) / 255
    bends = register(x)
    looks = Gaussian(bent(x, dense(bends, SIZE), plain_grid(SIZE)).flatten(1), LOOKS)
    shapes = Gaussian(bends.flatten(1), SHAPES)
    middle = plain_grid(SIZE, CROP)
    while True:
        drawn = looks.draw(count, LOOK_SPREAD, generator).reshape(count, 1, SIZE, SIZE)
        there = dense(shapes.draw(count, SHAPE_SPREAD, generator).reshape(count, 2, KNOTS, KNOTS), SIZE)
        back = -there
        for _ in range(8):  # the way back from a bend: back(p) = -there(p + back(p))
            back = -bent(there, back, plain_grid(SIZE))
        back = F.grid_sample(back, middle.expand(count, -1, -1, -1), align_corners=False)
        out = bent(drawn, back, middle)
        yield np.stack([labelled(film) for film in (out[:, 0].clamp(0, 1) * 255).round().byte().numpy()])


def labelled(film: np.ndarray) -> np.ndarray:
    image = Image.fromarray(film)
    for shift, gray in ((1, 0), (0, 255)):  # with a shadow, to be read on any ground
        ImageDraw.Draw(image).text((5 + shift, SIZE - 14 + shift), "SYNTHETIC", fill=gray)
    return np.asarray(image)


def save(film: np.ndarray, path: Path) -> str:
    Image.fromarray(film).save(path, quality=88, optimize=True, comment=NOTE)
    return str(path)


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
    some = everything[torch.from_numpy(rng.choice(len(everything), min(1500, len(everything)), replace=False))]
    apart = nearest(some, some, skip_self=True)
    usual, close = float(apart.median()), float(apart.quantile(0.25))
    engine, out = Engine(args.cli, args.model), Path(args.out)
    report: dict = {"films_apart": {"median": round(usual, 3), "lower_quarter": round(close, 3)}, "samples": {}}
    out.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(CLASS_IDS):
        own = rng.permutation(train[labels == label])[:FILMS]
        draws, good, drawn, named = draw_films(sets.films[own], TRIES, generator), [], 0, 0
        while named < PER_CLASS and drawn < TRIES * ROUNDS:
            films = next(draws)
            drawn += len(films)
            with tempfile.TemporaryDirectory() as folder:
                answers = engine.classify([save(film, Path(folder) / f"{i}.jpg") for i, film in enumerate(films)])
            away = nearest(thumbnails(films), everything).numpy()
            for i in np.flatnonzero(answers.accepted & ~answers.turned & (away >= close)):
                good.append((answers.verdict[i] == name, answers.probabilities[i, label], away[i], films[i]))
                named += bool(good[-1][0])
        print(f"{name}: of {drawn}, {len(good)} good, {named} of them given the class; films among each other {usual:.3f}",
              flush=True)
        for number, (_, _, distance, film) in enumerate(sorted(good, key=lambda g: g[:2], reverse=True)[:PER_CLASS], 1):
            file = f"synthetic-{name}-{number}.jpg"
            save(film, out / file)
            report["samples"][file] = {"nearest_film": round(float(distance), 3)}
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
    args = parser.parse_args()
    Path(args.report).write_text(json.dumps(make(args), indent=1) + "\n")


if __name__ == "__main__":
    run_in_sentences(main)
