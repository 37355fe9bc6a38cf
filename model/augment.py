"""Random changes to whole batches of films, and images that are not upright frontal films made from films.

They are chosen against shortcuts: borders, corner marks, contrast and sharpness tell a film's source, which
tells its class; so borders are drawn, cut and filled at random, corners erased, and everything that a source
does to grey levels or sharpness is varied for every class alike.
"""
from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

MADE_KINDS = ("upside-down", "sideways", "inverted", "crop", "noise", "blank", "shuffled")


HARD = 0.3  # share of films that also go through what fights shortcuts; for all of them, the network underfits


def augment(x: torch.Tensor, rng: np.random.Generator, hard: float = HARD) -> tuple[torch.Tensor, torch.Tensor]:
    """Augments a float batch N x 1 x S x S in [0, 1]: for a network in training, and without what fights shortcuts, for
    its teachers."""
    plain = _levels(_geometry(x, rng), rng)
    return _some(plain.clone(), rng, hard, _hard).clamp_(0, 1), plain


def _hard(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Covers, erases and degrades."""
    x = _erase(_bars(x, rng), rng)
    for share, change in ((0.20, _blur), (0.30, _resample), (0.35, _noise), (0.10, _equalise), (0.18, _jpeg)):
        x = _some(x, rng, share, change)
    return x


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).reshape(-1, 1, 1, 1)


def _some(x: torch.Tensor, rng: np.random.Generator, probability: float, change) -> torch.Tensor:
    """Applies `change` to a random part of the batch."""
    chosen = torch.from_numpy(np.flatnonzero(rng.random(len(x)) < probability))
    if len(chosen):
        x[chosen] = change(x[chosen].clamp(0, 1), rng)
    return x


def _geometry(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Rotation, anisotropic scale, shift, flip; now and then a tight crop; what lies outside is filled at random."""
    n = len(x)
    angle = rng.uniform(-10, 10, n) * math.pi / 180
    scale_x, scale_y = rng.uniform(0.9, 1.12, (2, n))  # below 1 magnifies
    tight = rng.random(n) < 0.1
    zoom = np.where(tight, rng.uniform(0.72, 0.95, n), 1)
    reach = np.where(tight, 0.16, 0.07)
    shift_x, shift_y = rng.uniform(-1, 1, (2, n)) * reach
    flip = np.where(rng.random(n) < 0.5, -1, 1)
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.stack([np.stack([flip * zoom * scale_x * cos, -zoom * scale_y * sin, shift_x], 1),
                      np.stack([flip * zoom * scale_x * sin, zoom * scale_y * cos, shift_y], 1)], 1)
    grid = F.affine_grid(torch.from_numpy(theta.astype(np.float32)), x.shape, align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    outside = (grid.abs() > 1).any(dim=3).unsqueeze(1)
    mode = rng.random(n)  # half black, a quarter some grey, the rest replicated
    fill = _tensor(np.where(mode < 0.5, 0, rng.random(n)))
    return torch.where(outside & (_tensor(mode) < 0.75), fill, x)


def _bars(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Covers random widths at the four sides of some films: no border may be trusted."""
    n, size = len(x), x.shape[-1]
    widths = rng.uniform(0, 0.12, (4, n)) * (rng.random((4, n)) < 0.6) * (rng.random(n) < 0.5)
    at = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    row, column = at.reshape(1, 1, -1, 1), at.reshape(1, 1, 1, -1)
    top, bottom, left, right = (_tensor(w) for w in widths)
    covered = (row < top) | (row > 1 - bottom) | (column < left) | (column > 1 - right)
    level = _tensor(np.where(rng.random(n) < 0.6, 0, rng.random(n)))
    return torch.where(covered, level, x)


def _erase(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Fills a few rectangles near the corners (markers, letters) and, seldom, one anywhere."""
    size = x.shape[-1]
    for i in np.flatnonzero(rng.random(len(x)) < 0.6):
        for _ in range(rng.integers(1, 4)):
            height, width = (rng.uniform(0.04, 0.2, 2) * size).astype(int)
            near = 1.0 if rng.random() < 0.15 else 0.12
            top, left = (rng.random(2) * near * (size - np.array([height, width]))).astype(int)
            top = size - height - top if rng.random() < 0.5 else top
            left = size - width - left if rng.random() < 0.5 else left
            x[i, 0, top:top + height, left:left + width] = float(rng.random()) if rng.random() < 0.7 else 0.0
    return x


def _levels(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gamma, contrast and brightness."""
    n = len(x)
    gamma = np.where(rng.random(n) < 0.5, np.exp(rng.uniform(math.log(0.6), math.log(1.6), n)), 1)
    x = x.clamp(0, 1).pow(_tensor(gamma))
    contrast = np.where(rng.random(n) < 0.5, rng.uniform(0.65, 1.35, n), 1)
    brightness = np.where(rng.random(n) < 0.5, rng.uniform(-0.12, 0.12, n), 0)
    mean = x.mean(dim=(2, 3), keepdim=True)
    return ((x - mean) * _tensor(contrast) + mean + _tensor(brightness)).clamp_(0, 1)


def _blur(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    sigma = rng.uniform(0.5, 2.2) * x.shape[-1] / 224
    radius = max(1, int(3 * sigma))
    kernel = torch.exp(-torch.arange(-radius, radius + 1, dtype=torch.float32) ** 2 / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    x = F.pad(x, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))


def _resample(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Down and up again: the resolution must not tell the class, nor a film from other things."""
    size = x.shape[-1]
    small = F.interpolate(x, size=int(rng.uniform(56, 150) / 224 * size), mode="bilinear", antialias=True)
    return F.interpolate(small, size=size, mode=("bilinear", "bicubic")[rng.integers(2)], align_corners=False)


def _noise(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    sigma = _tensor(np.exp(rng.uniform(math.log(0.008), math.log(0.1), len(x))))
    return x + sigma * torch.from_numpy(rng.standard_normal(x.shape, np.float32))


def _each(x: torch.Tensor, change) -> torch.Tensor:
    """Applies `change` to each image as an 8-bit PIL image."""
    arrays = (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    changed = np.stack([np.asarray(change(Image.fromarray(a[0]))) for a in arrays])
    return torch.from_numpy(changed).unsqueeze(1).float() / 255


def _equalise(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return _each(x, ImageOps.equalize)


def _jpeg(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    def change(image: Image.Image) -> Image.Image:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=int(rng.integers(12, 80)))
        return Image.open(data)
    return _each(x, change)


def make_negatives(films: torch.Tensor, kinds: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Turns each film (N x 1 x S x S in [0, 1]) into the kind of non-film that `kinds` names by index."""
    return torch.stack([_MAKERS[MADE_KINDS[kind]](film, rng) for film, kind in zip(films, kinds)])


def _upside_down(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return film.flip(1) if rng.random() < 0.5 else film.rot90(2, (1, 2))


def _sideways(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return film.rot90(1 if rng.random() < 0.5 else 3, (1, 2))


def _inverted(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return 1 - film


def _crop(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """At most 40% of each side: too little to judge a chest by."""
    size = film.shape[-1]
    height, width = (rng.uniform(0.15, 0.4, 2) * size).astype(int)
    top, left = rng.integers(size - height), rng.integers(size - width)
    part = film[:, top:top + height, left:left + width].unsqueeze(0)
    return F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False)[0]


def _noise_field(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """White noise, blurred noise, or 1/f noise, of any contrast."""
    size = film.shape[-1]
    field = rng.standard_normal((size, size))
    slope = rng.choice([0.0, 1.0, 1.5, 2.0, 3.0])
    if slope:
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
        frequency[0, 0] = 1 / size
        field = np.fft.irfft2(np.fft.rfft2(field) / frequency ** slope, s=(size, size))
    field = (field - field.mean()) / field.std() * rng.uniform(0.05, 0.4) + rng.uniform(0.1, 0.9)
    return torch.from_numpy(field.astype(np.float32)).unsqueeze(0).clamp(0, 1)


def _blank(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One level, a gradient, stripes or a few boxes."""
    size = film.shape[-1]
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    angle, kind = rng.uniform(0, 2 * math.pi), rng.integers(5)
    along = x * math.cos(angle) + y * math.sin(angle)
    shape = (np.zeros_like(x), along, np.sin(along * rng.uniform(3, 60)), np.hypot(x, y),
             np.maximum(abs(x) < rng.uniform(0.1, 1), abs(y) < rng.uniform(0.1, 1)) * 1.0)[kind]
    image = rng.random() + rng.uniform(-0.6, 0.6) * shape
    return torch.from_numpy(image.astype(np.float32)).unsqueeze(0).clamp(0, 1)


def _shuffled(film: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The film's tiles in another order, so that its texture alone does not pass."""
    size = film.shape[-1]
    tiles = int(rng.choice([2, 4, 8]))
    side = size // tiles
    parts = film[0, :side * tiles, :side * tiles].reshape(tiles, side, tiles, side).permute(0, 2, 1, 3)
    order = rng.permutation(tiles * tiles)
    if tiles == 2:  # a permutation of four may be the film itself
        order = np.array([3, 2, 1, 0])
    parts = parts.reshape(tiles * tiles, side, side)[torch.from_numpy(order)]
    mixed = parts.reshape(tiles, tiles, side, side).permute(0, 2, 1, 3).reshape(1, 1, side * tiles, side * tiles)
    return F.interpolate(mixed, size=(size, size), mode="nearest")[0]


_MAKERS = dict(zip(MADE_KINDS, (_upside_down, _sideways, _inverted, _crop, _noise_field, _blank, _shuffled)))
