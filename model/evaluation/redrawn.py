"""The same radiograph, altered in 16 ways that must not change its result.

The changes have nothing to do with the patient: the gray levels that the picture uses, its bit depth, borders and burned-in
text, and how it was stored.
"""
from __future__ import annotations

import io
from typing import Callable

import numpy as np
from PIL import Image, ImageDraw

from evaluation.engine import Answers, Engine

# The model passes a change if it answers at least ANSWERED of the images, at most WRONG of the answers are wrong, and at most
# FLIPPED of the images that it answers before and after the change get another class.
ANSWERED, WRONG, FLIPPED = 0.85, 0.03, 0.01

Way = Callable[[np.ndarray], np.ndarray]  # u8 gray -> u8 or u16 gray


def _gamma(power: float) -> Way:
    return lambda gray: np.rint(255 * (gray / 255) ** power).astype(np.uint8)


def _hot_pixel(gray: np.ndarray) -> np.ndarray:
    """A quarter of the range, and one pixel of the detector stuck at white."""
    out = gray // 4
    out[len(out) // 3, out.shape[1] // 2] = 255
    return out


def _deep(bits: int) -> Way:
    """Levels of `bits` bits, as they lie in a file of 16."""
    return lambda gray: (gray.astype(np.uint32) * (2 ** bits - 1) // 255).astype(np.uint16)


def _framed(share_down: float, share_across: float, level: int) -> Way:
    """Plain borders of these shares of the sides, all around."""
    def change(gray: np.ndarray) -> np.ndarray:
        down, across = round(share_down * gray.shape[0]), round(share_across * gray.shape[1])
        return np.pad(gray, ((down, down), (across, across)), constant_values=level)
    return change


def _jpeg(gray: np.ndarray) -> np.ndarray:
    data = io.BytesIO()
    Image.fromarray(gray).save(data, "JPEG", quality=30)
    return np.asarray(Image.open(data))


def _text(gray: np.ndarray) -> np.ndarray:
    """Words in three corners, as burned in by an archive; letters about a twentieth of the height."""
    height, width = gray.shape
    times = max(1, round(height / 224))
    words = Image.new("L", (width // times, height // times))
    draw = ImageDraw.Draw(words)
    for (across, down), text in {(4, 2): "PORTABLE AP", (4, height // times - 14): "2020-04-01 07:55",
                                 (width // times - 12, 2): "L"}.items():
        draw.text((across, down), text, fill=255)
    return np.maximum(gray, np.asarray(words.resize((width, height), Image.NEAREST)))


def _half(gray: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(gray).resize((gray.shape[1] // 2, gray.shape[0] // 2), Image.BOX))


WAYS: dict[str, Way] = {
    "half of the gray range": lambda gray: gray // 2,
    "a quarter of the gray range": lambda gray: gray // 4,
    "an eighth of the gray range": lambda gray: gray // 8,
    "the upper quarter of the gray range": lambda gray: 192 + gray // 4,
    "gamma 0.45": _gamma(0.45),
    "gamma 2.2": _gamma(2.2),
    "a quarter of the gray range and one white pixel": _hot_pixel,
    "16 bits": _deep(16),
    "14 bits in a 16-bit PNG": _deep(14),
    "12 bits in a 16-bit PNG": _deep(12),
    "black borders, a quarter of each side": _framed(0.25, 0.25, 0),
    "white borders, a quarter of each side": _framed(0.25, 0.25, 255),
    "letterbox, 9:16": _framed(7 / 18, 0, 0),
    "JPEG quality 30": _jpeg,
    "burned-in text": _text,
    "half the resolution": _half,
}


def figures(plain: Answers, redrawn: Answers, labels: np.ndarray) -> dict[str, float | bool | None]:
    """What one way does, beside the same images as they were."""
    answered, both = redrawn.named >= 0, (redrawn.named >= 0) & (plain.named >= 0)
    wrong = float((redrawn.named != labels)[answered].mean()) if answered.any() else None
    flipped = float((redrawn.named != plain.named)[both].mean()) if both.any() else None
    holds = answered.mean() >= ANSWERED and (wrong or 0) <= WRONG and (flipped or 0) <= FLIPPED
    return {"answered": float(answered.mean()), "refused": float((~redrawn.accepted).mean()), "wrong": wrong,
            "flipped": flipped, "holds": bool(holds)}


def redrawn_figures(engine: Engine, images: list[np.ndarray], labels: np.ndarray) -> dict:
    """All ways on u8 images with their class labels."""
    plain = engine.classify_arrays(images)
    ways = {name: figures(plain, engine.classify_arrays(map(way, images)), labels) for name, way in WAYS.items()}
    return {"images": len(images), "unchanged": figures(plain, plain, labels), "ways": ways,
            "hold": sum(w["holds"] for w in ways.values())}
