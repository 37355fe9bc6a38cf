"""The engine's preprocessing in Python, bit for bit: decode to gray, cut plain edges, stretch the levels, resize.

The rule stands in src/README.md ("Preprocessing"); tests/golden holds both sides to it.
"""
from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

SIZE = 224   # side of whole images for perceptual hashes and statistics
INPUT = 192  # side of the network's input: reports/tried.md says why
WHITE = 32640  # 255 in Q7
LEAST_SIDE, ROUNDS = 32, 4
LEAST_RANGE = {np.dtype(np.uint8): 12, np.dtype(np.uint16): 48}  # of gray levels: limits how far noise is enlarged


class Frame(NamedTuple):
    """The part of an image that the network reads, in pixels."""
    x: int
    y: int
    width: int
    height: int

    def fractions(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The frame as fractions of an image of that size."""
        return self.x / width, self.y / height, self.width / width, self.height / height


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


def percentile_ends(gray: np.ndarray) -> tuple[int, int]:
    """The .5 and 99.5 percentiles: the least value v with more than a 200th of the pixels <= v, and the largest with more >= v."""
    counts = np.bincount(gray.ravel())
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])
    return int(np.argmax(200 * below > gray.size)), int(len(counts) - 1 - np.argmax(200 * above > gray.size))


def _plain(lines: np.ndarray, spread: int) -> np.ndarray:
    """Whether each line (row of `lines`) has a standard deviation below a 50th of `spread`."""
    wide, n = lines.astype(np.int64), lines.shape[1]
    variance = n * (wide * wide).sum(1) - wide.sum(1) ** 2
    return variance < (spread * spread * n * n + 2499) // 2500


def _ends(plain: np.ndarray, most: int) -> tuple[int, int]:
    """How many plain lines to cut at the start and at the end, together at most `most`."""
    first = min(int(np.argmin(plain)) if not plain.all() else len(plain), most)
    last = min(int(np.argmin(plain[::-1])) if not plain.all() else len(plain), most - first)
    return first, last


def frame_of(gray: np.ndarray) -> Frame:
    """The part that is left when plain edges are cut off; at least a quarter of each side remains."""
    low, high = percentile_ends(gray)
    height, width = gray.shape
    least_height, least_width = (max(LEAST_SIDE, (side + 3) // 4) for side in (height, width))
    x, y = 0, 0
    for _ in range(ROUNDS):
        before = (height, width)
        first, last = _ends(_plain(gray[y:y + height, x:x + width], high - low), max(0, height - least_height))
        y, height = y + first, height - first - last
        first, last = _ends(_plain(gray[y:y + height, x:x + width].T, high - low), max(0, width - least_width))
        x, width = x + first, width - first - last
        if (height, width) == before:
            break
    return Frame(x, y, width, height)


def stretched(gray: np.ndarray) -> np.ndarray:
    """Levels between the percentile ends over the whole scale: u8 as u8, u16 as Q7 (int64, 0..32640)."""
    low, high = percentile_ends(gray)
    top = 255 if gray.dtype == np.uint8 else WHITE
    span = max(high - low, LEAST_RANGE[gray.dtype])
    wide = np.maximum(gray.astype(np.int64) - low, 0)
    result = np.minimum((wide * (2 * top) + span) // (2 * span), top)
    return result.astype(np.uint8) if gray.dtype == np.uint8 else result


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=256)
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


def resize(levels: np.ndarray, size: int) -> np.ndarray:
    """The engine's antialiased bicubic of u8 or Q7 levels, to size x size u8."""
    if levels.dtype == np.uint8 and levels.shape == (size, size):
        return levels  # a shortcut: the rule gives the same
    q7 = levels.astype(np.int64) * 128 if levels.dtype == np.uint8 else levels
    height, width = levels.shape
    rows = (_axis_weights(height, size) @ q7.astype(np.float64)).astype(np.int64)
    rows = np.clip((rows + 8192) >> 14, 0, WHITE)
    columns = (rows.astype(np.float64) @ _axis_weights(width, size).T).astype(np.int64)
    return np.clip((columns + (1 << 20)) >> 21, 0, 255).astype(np.uint8)


def canonical(gray: np.ndarray, size: int = INPUT) -> tuple[np.ndarray, Frame]:
    """What the network reads of a gray image: size x size u8, and the frame that it shows."""
    frame = frame_of(gray)
    part = gray[frame.y:frame.y + frame.height, frame.x:frame.x + frame.width]
    return resize(stretched(part), size), frame


def read_gray(path: str) -> np.ndarray:
    """An image file as upright gray, u8 or u16."""
    with Image.open(path) as image:
        if image.format == "PNG" and not image.mode.startswith("I") and str(image.tile[0][3]).endswith(";16B"):
            raise ValueError("colours or transparency of 16 bits, of which half would be lost: store it as gray")
        return to_gray(ImageOps.exif_transpose(image))


def read_plain(path: str, size: int = SIZE) -> np.ndarray:
    """The whole image, resized, with unchanged gray levels: for perceptual hashes and statistics."""
    gray = read_gray(path)
    return resize(gray if gray.dtype == np.uint8 else (WHITE * gray.astype(np.int64) + 32767) // 65535, size)
