"""Random changes to batches of chest X-rays; and, made from them, images that are not upright frontal chest X-rays.

The changes work against shortcut learning: borders, corner marks, contrast, sharpness and the surroundings of the lungs
reveal an image's source, and the source reveals its class. So augmentation draws, cuts and fills borders at random, erases
corners, burns in words, blurs, exchanges or erases everything outside the lungs, and varies gray levels and sharpness, in every
class alike.
"""
from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageOps

MADE_KINDS = ("upside-down", "sideways", "inverted", "crop", "noise", "blank", "shuffled")
STRONG = 0.3      # share of images with strong augmentation (covers, erasure, degradation); with more, the network underfits
OUTSIDE = 0.35  # share of images whose surroundings of the lungs are changed
WORDS = 0.15    # share of images with burned-in words
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./ ")


def augment(x: torch.Tensor, targets: torch.Tensor, rng: np.random.Generator,
            strong: float = STRONG) -> tuple[torch.Tensor, torch.Tensor]:
    """Augments a float batch N x 1 x S x S in [0, 1]; `targets` N x C x T x T, maps over the same frames, move with it."""
    theta, fill = _affine(len(x), rng)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    outside = (grid.abs() > 1).any(dim=3).unsqueeze(1)
    x = _levels(torch.where(outside & (fill >= 0), fill, moved), rng)
    targets = F.grid_sample(targets, F.affine_grid(theta, targets.shape, align_corners=False), mode="bilinear",
                            padding_mode="zeros", align_corners=False)
    return _some(_some(x, rng, strong, _strong), rng, WORDS, _words).clamp_(0, 1), targets


def redraw(x: torch.Tensor, rng: np.random.Generator, share: float) -> torch.Tensor:
    """Stores a share of a batch anew: by JPEG, with another gamma in 8 bits, or with burned-in words. None of this may change
    what is said of an image."""
    kind = rng.choice(4, len(x), p=(1 - share, share / 2, share / 4, share / 4))
    for number, change in enumerate((_jpeg, _gamma, _words), 1):
        x = _those(x, rng, kind == number, change)
    return x


def change_outside(x: torch.Tensor, lungs: torch.Tensor, rng: np.random.Generator, share: float = OUTSIDE) -> torch.Tensor:
    """In a share of the batch, blurs, erases or exchanges with another image what lies outside the lungs (`lungs`: N x 1 x T x T,
    0..1), so that it does not reveal the class. Images in which no lungs were found stay as they are."""
    n, size = len(x), x.shape[-1]
    inside = _inside(lungs, size)
    blurred = F.interpolate(F.interpolate(x, size=size // 12, mode="bilinear", antialias=True), size=size, mode="bilinear",
                            align_corners=False)
    partners = torch.from_numpy(rng.permutation(n))
    # The partner's own lungs are blurred away: only its surroundings are taken.
    theirs = inside[partners] * blurred[partners] + (1 - inside[partners]) * x[partners]
    level = _tensor(rng.random(n)).expand_as(x)
    kind = _tensor(rng.choice(3, n, p=(0.3, 0.5, 0.2)))
    ground = torch.where(kind == 0, blurred, torch.where(kind == 1, theirs, level))
    chosen = torch.from_numpy(rng.random(n) < share) & (lungs.mean(dim=(1, 2, 3)) > 0.08)
    return torch.where(chosen.reshape(-1, 1, 1, 1), inside * x + (1 - inside) * ground, x)


def erase_lungs(x: torch.Tensor, lungs: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Replaces the lungs, or a central box that holds them, by one level or a blur: nothing that is left reveals the class."""
    n, size = len(x), x.shape[-1]
    inside = _inside(lungs, size)
    box = torch.zeros_like(x)
    top, bottom, left, right = (round(v * size) for v in (0.12, 0.88, 0.10, 0.90))
    box[..., top:bottom, left:right] = 1
    where = torch.where(_tensor(rng.random(n)) < 0.5, torch.maximum(inside, box), inside)
    blurred = F.interpolate(F.interpolate(x, size=3, mode="area"), size=size, mode="bilinear", align_corners=False)
    level = torch.where(_tensor(rng.random(n)) < 0.5, x.mean(dim=(2, 3), keepdim=True), _tensor(rng.random(n)))
    ground = torch.where(_tensor(rng.random(n)) < 0.3, blurred, level.expand_as(x))
    return where * ground + (1 - where) * x


def _inside(lungs: torch.Tensor, size: int) -> torch.Tensor:
    """A soft mask at the images' size, a cell wider than the lungs."""
    wide = F.max_pool2d(lungs, 3, 1, 1)
    return F.interpolate(wide, size=size, mode="bilinear", align_corners=False).clamp(0, 1)


def _strong(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Covers, erases and degrades."""
    x = _erase(_bars(x, rng), rng)
    for share, change in ((0.20, _blur), (0.30, _resample), (0.35, _noise), (0.10, _equalise), (0.50, _jpeg)):
        x = _some(x, rng, share, change)
    return x


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).reshape(-1, 1, 1, 1)


def _some(x: torch.Tensor, rng: np.random.Generator, probability: float, change) -> torch.Tensor:
    """Applies `change` to a random part of the batch."""
    return _those(x, rng, rng.random(len(x)) < probability, change)


def _those(x: torch.Tensor, rng: np.random.Generator, which: np.ndarray, change) -> torch.Tensor:
    """Applies `change` to the images of a mask."""
    chosen = torch.from_numpy(np.flatnonzero(which))
    if len(chosen):
        x[chosen] = change(x[chosen].clamp(0, 1), rng)
    return x


def _affine(n: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotation, anisotropic scale, shift, flip, now and then a tight crop, as N x 2 x 3; and the level N x 1 x 1 x 1 that
    fills what lies outside (-1: the edge is repeated)."""
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
    mode = rng.random(n)  # half black, a quarter some gray, the rest repeated
    fill = np.where(mode < 0.5, 0, np.where(mode < 0.75, rng.random(n), -1))
    return torch.from_numpy(theta.astype(np.float32)), _tensor(fill)


def _bars(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Covers random widths at the four sides of some images, so that no border is reliable."""
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


def _words(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Burns in up to four lines of letters, most of them near an edge. White ones darken the rest, as the percentile window
    then ends at them."""
    size = x.shape[-1]
    for image in x:
        side = int(rng.uniform(0.6, 1.5) * size)  # the font has one size: the smaller the canvas, the larger the letters
        canvas = Image.new("L", (side, side))
        draw = ImageDraw.Draw(canvas)
        for _ in range(rng.integers(1, 5)):
            line = "".join(rng.choice(LETTERS, rng.integers(1, 20)))
            _, _, right, bottom = draw.textbbox((0, 0), line)
            reach = np.where(rng.random(2) < 0.8, 0.08 * rng.random(2), rng.random(2))
            at = np.where(rng.random(2) < 0.5, reach, 1 - reach) * np.maximum(side - np.array([right, bottom]), 0)
            draw.text(tuple(at), line, fill=255)
        ink = torch.from_numpy(np.asarray(canvas.resize((size, size), Image.BILINEAR), np.float32)) / 255
        level, darker = (1, rng.uniform(0.65, 1)) if rng.random() < 0.8 else (rng.random(), 1)
        image[0] = image[0] * darker * (1 - ink) + level * ink
    return x


def _levels(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gamma; contrast and brightness vary only a little, since the percentile window evens them out."""
    n = len(x)
    gamma = np.where(rng.random(n) < 0.6, np.exp(rng.uniform(math.log(0.4), math.log(2.5), n)), 1)
    x = x.clamp(0, 1).pow(_tensor(gamma))
    contrast = np.where(rng.random(n) < 0.5, rng.uniform(0.75, 1.25, n), 1)
    brightness = np.where(rng.random(n) < 0.5, rng.uniform(-0.1, 0.1, n), 0)
    mean = x.mean(dim=(2, 3), keepdim=True)
    return ((x - mean) * _tensor(contrast) + mean + _tensor(brightness)).clamp_(0, 1)


def _gamma(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    power = np.exp(rng.uniform(math.log(1.5), math.log(2.5), len(x)) * rng.choice([-1, 1], len(x)))
    return (255 * x.pow(_tensor(power))).round() / 255


def _blur(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    sigma = rng.uniform(0.5, 2.2) * x.shape[-1] / 224
    radius = max(1, int(3 * sigma))
    kernel = torch.exp(-torch.arange(-radius, radius + 1, dtype=torch.float32) ** 2 / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    x = F.pad(x, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))


def _resample(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Down and up again: resolution must reveal neither the class nor whether the image is a chest X-ray."""
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
    """Compresses, mostly at another size than the network's: the blocks of 8 pixels then have other sizes here."""
    def change(image: Image.Image) -> Image.Image:
        side, data = int(image.width * rng.uniform(0.9, 1.4)), io.BytesIO()
        image.resize((side, side), Image.BILINEAR).save(data, "JPEG", quality=int(rng.integers(12, 70)))
        return Image.open(data).resize(image.size, Image.BILINEAR)
    return _each(x, change)


def make_negatives(images: torch.Tensor, kinds: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Turns each chest X-ray (N x 1 x S x S in [0, 1]) into the kind of other image that `kinds` names by index."""
    return torch.stack([_MAKERS[MADE_KINDS[kind]](image, rng) for image, kind in zip(images, kinds)])


def _upside_down(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return image.flip(1) if rng.random() < 0.5 else image.rot90(2, (1, 2))


def _sideways(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return image.rot90(1 if rng.random() < 0.5 else 3, (1, 2))


def _inverted(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    return 1 - image


def _crop(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """At most 40% of each side: too little to judge a chest by."""
    size = image.shape[-1]
    height, width = (rng.uniform(0.15, 0.4, 2) * size).astype(int)
    top, left = rng.integers(size - height), rng.integers(size - width)
    part = image[:, top:top + height, left:left + width].unsqueeze(0)
    return F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False)[0]


def _noise_field(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """White noise, blurred noise, or 1/f noise, of any contrast."""
    size = image.shape[-1]
    field = rng.standard_normal((size, size))
    slope = rng.choice([0.0, 1.0, 1.5, 2.0, 3.0])
    if slope:
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
        frequency[0, 0] = 1 / size
        field = np.fft.irfft2(np.fft.rfft2(field) / frequency ** slope, s=(size, size))
    field = (field - field.mean()) / field.std() * rng.uniform(0.05, 0.4) + rng.uniform(0.1, 0.9)
    return torch.from_numpy(field.astype(np.float32)).unsqueeze(0).clamp(0, 1)


def _blank(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One level, a gradient, stripes or a few boxes."""
    size = image.shape[-1]
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    angle, kind = rng.uniform(0, 2 * math.pi), rng.integers(5)
    along = x * math.cos(angle) + y * math.sin(angle)
    shape = (np.zeros_like(x), along, np.sin(along * rng.uniform(3, 60)), np.hypot(x, y),
             np.maximum(abs(x) < rng.uniform(0.1, 1), abs(y) < rng.uniform(0.1, 1)) * 1.0)[kind]
    levels = rng.random() + rng.uniform(-0.6, 0.6) * shape
    return torch.from_numpy(levels.astype(np.float32)).unsqueeze(0).clamp(0, 1)


def _shuffled(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The image's tiles in another order: the gate must not accept texture alone."""
    size = image.shape[-1]
    tiles = int(rng.choice([2, 4, 8]))
    side = size // tiles
    parts = image[0, :side * tiles, :side * tiles].reshape(tiles, side, tiles, side).permute(0, 2, 1, 3)
    order = rng.permutation(tiles * tiles)
    if tiles == 2:  # a permutation of four may be the image itself
        order = np.array([3, 2, 1, 0])
    parts = parts.reshape(tiles * tiles, side, side)[torch.from_numpy(order)]
    mixed = parts.reshape(tiles, tiles, side, side).permute(0, 2, 1, 3).reshape(1, 1, side * tiles, side * tiles)
    return F.interpolate(mixed, size=(size, size), mode="nearest")[0]


_MAKERS = dict(zip(MADE_KINDS, (_upside_down, _sideways, _inverted, _crop, _noise_field, _blank, _shuffled)))
