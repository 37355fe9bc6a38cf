"""Draws synthetic chest X-rays from a statistical model of some images: an active appearance model.

The images are bent onto their common shape; principal components of the bent images and of the bends give a Gaussian
over images. A drawn image is a random point of it, in shape nearer to the mean than the images lie.
"""
from __future__ import annotations

from typing import Iterator

import numpy as np
import torch
import torch.nn.functional as F

KNOTS = 10                 # per side of the grid that bends an image
STAGES = ((28, 40, 0.03), (56, 30, 0.012))  # registration: side of the images, steps, learning rate
STIFFNESS, ANCHOR = 6.0, 0.3
LOOKS, SHAPES = 150, 60    # principal components of the bent images, of the bends
LOOK_SPREAD, SHAPE_SPREAD = 1.0, 0.6  # of the images' own standard deviation
ONE_IMAGE = 0.07           # a component that owes more than this to one image would show that image's marks: it is left out
CROP = 0.92                # the middle of a drawn image is kept: bends pull nothing into its edges


def plain_grid(side: int, zoom: float = 1.0) -> torch.Tensor:
    """1 x side x side x 2 coordinates from -1 to 1."""
    return F.affine_grid(zoom * torch.eye(2, 3)[None], (1, 1, side, side), align_corners=False)


def dense(bends: torch.Tensor, side: int) -> torch.Tensor:
    """N x 2 x KNOTS x KNOTS shifts as N x 2 x side x side."""
    return F.interpolate(bends, size=(side, side), mode="bicubic", align_corners=True)


def bent(images: torch.Tensor, shifts: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """images(p + shift(p)) for N x C x S x S images and N x 2 x S x S shifts."""
    return F.grid_sample(images, grid + shifts.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def blurred(images: torch.Tensor) -> torch.Tensor:
    """The mean of 17 x 17 pixels."""
    return F.avg_pool2d(F.pad(images, (8,) * 4, mode="replicate"), 17, 1)


def with_edges(images: torch.Tensor) -> torch.Tensor:
    """The images and, as a second channel, their local contrast, so that ribs count beside bright and dark."""
    local = images - blurred(images)
    return torch.cat([images, 0.5 * local / (blurred(local * local).sqrt() + 0.03)], 1)


def register(images: torch.Tensor) -> torch.Tensor:
    """Bends, N x 2 x KNOTS x KNOTS with mean 0, that bring N x 1 x S x S images onto their common mean."""
    bends = torch.zeros(len(images), 2, KNOTS, KNOTS, requires_grad=True)
    for side, steps, rate in STAGES:
        small, grid = with_edges(F.interpolate(images, size=(side, side), mode="area")), plain_grid(side)
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
        keep = keep[(values[keep] > 0) & (vectors[:, keep].square().amax(0) < ONE_IMAGE)]
        self.deviations = values[keep].sqrt()
        self.components = (vectors[:, keep].T @ x) / (self.deviations * len(x) ** 0.5).unsqueeze(1)

    def draw(self, count: int, spread: float, generator: torch.Generator) -> torch.Tensor:
        """Random vectors, count x D, at most two deviations from the mean along each component."""
        at = torch.randn(count, len(self.deviations), generator=generator).clamp(-2, 2)
        return self.mean + (at * spread * self.deviations) @ self.components


def draw(images: np.ndarray, count: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """count x S x S, u8, from the model fitted to `images` (N x S x S, u8); as often as asked."""
    x, side = torch.from_numpy(images).float().unsqueeze(1) / 255, images.shape[1]
    bends = register(x)
    looks = Gaussian(bent(x, dense(bends, side), plain_grid(side)).flatten(1), LOOKS)
    shapes = Gaussian(bends.flatten(1), SHAPES)
    middle = plain_grid(side, CROP)
    while True:
        drawn = looks.draw(count, LOOK_SPREAD, generator).reshape(count, 1, side, side)
        there = dense(shapes.draw(count, SHAPE_SPREAD, generator).reshape(count, 2, KNOTS, KNOTS), side)
        back = -there
        for _ in range(8):  # the way back from a bend: back(p) = -there(p + back(p))
            back = -bent(there, back, plain_grid(side))
        back = F.grid_sample(back, middle.expand(count, -1, -1, -1), align_corners=False)
        yield (bent(drawn, back, middle)[:, 0].clamp(0, 1) * 255).round().byte().numpy()
