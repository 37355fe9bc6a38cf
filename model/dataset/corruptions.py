"""Changes to images that test what the network looks at (masks) and how robust it is (12 corruptions, 5 strengths)."""
from __future__ import annotations

import io
from typing import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Gray = np.ndarray  # u8, square
Change = Callable[[Gray, np.random.Generator], Gray]


def _pil(change: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda gray, rng: np.asarray(change(Image.fromarray(gray)))


def _box(gray: Gray, top: float, bottom: float, left: float, right: float) -> tuple[slice, slice]:
    n = len(gray)
    return slice(round(top * n), round(bottom * n)), slice(round(left * n), round(right * n))


LUNGS = (0.12, 0.88, 0.10, 0.90)  # a crude central box that holds the lungs of most images


def border_masked(gray: Gray, rng: np.random.Generator) -> Gray:
    out, inner = np.zeros_like(gray), _box(gray, 0.1, 0.9, 0.1, 0.9)
    out[inner] = gray[inner]
    return out


def corners_erased(gray: Gray, rng: np.random.Generator) -> Gray:
    out = gray.copy()
    for top in (0.0, 0.82):
        for left in (0.0, 0.78):
            out[_box(gray, top, top + 0.18, left, left + 0.22)] = 0
    return out


def lungs_removed(gray: Gray, rng: np.random.Generator) -> Gray:
    out = gray.copy()
    out[_box(gray, *LUNGS)] = int(gray.mean())
    return out


def lungs_only(gray: Gray, rng: np.random.Generator) -> Gray:
    out, box = np.zeros_like(gray), _box(gray, *LUNGS)
    out[box] = gray[box]
    return out


def _clip(values: np.ndarray) -> Gray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _noise(sigma: float) -> Change:
    return lambda gray, rng: _clip(gray + 255 * sigma * rng.standard_normal(gray.shape))


def _speckle(sigma: float) -> Change:
    return lambda gray, rng: _clip(gray * (1 + sigma * rng.standard_normal(gray.shape)))


def _gamma(power: float) -> Change:
    return lambda gray, rng: _clip(255 * (gray / 255) ** power)


def _resample(side: int) -> Change:
    return _pil(lambda im: im.resize((side, side), Image.BOX).resize(im.size, Image.BICUBIC))


def _jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality)
        return Image.open(data)
    return _pil(change)


def _rotate(degrees: float) -> Change:
    def change(gray: Gray, rng: np.random.Generator) -> Gray:
        angle = degrees if rng.random() < 0.5 else -degrees
        return np.asarray(Image.fromarray(gray).rotate(angle, Image.BILINEAR))
    return change


def _occlude(side: float) -> Change:
    def change(gray: Gray, rng: np.random.Generator) -> Gray:
        out, n = gray.copy(), len(gray)
        for _ in range(3):
            size = round(side * n)
            top, left = rng.integers(0, n - size, 2)
            out[top:top + size, left:left + size] = rng.integers(256)
        return out
    return change


LUNGS_REMOVED = "lungs' box removed"  # the card says what is left then
MASKS: dict[str, Change] = {
    "full image": lambda gray, rng: gray,
    "border masked (outer 10%)": border_masked,
    "corners and markers erased": corners_erased,
    "lungs' box only": lungs_only,
    LUNGS_REMOVED: lungs_removed,
    "histogram equalised": _pil(ImageOps.equalize),
    "mirrored": _pil(ImageOps.mirror),
}

CORRUPTIONS: dict[str, list[Change]] = {
    "gaussian noise": [_noise(s) for s in (0.02, 0.04, 0.06, 0.09, 0.13)],
    "speckle noise": [_speckle(s) for s in (0.06, 0.12, 0.18, 0.25, 0.35)],
    "blur": [_pil(lambda im, r=r: im.filter(ImageFilter.GaussianBlur(r))) for r in (0.6, 1.0, 1.5, 2.2, 3.0)],
    "box blur": [_pil(lambda im, r=r: im.filter(ImageFilter.BoxBlur(r))) for r in (0.7, 1.2, 1.8, 2.6, 3.5)],
    "down- and up-sampling": [_resample(s) for s in (160, 112, 80, 64, 48)],
    "JPEG": [_jpeg(q) for q in (50, 30, 20, 12, 7)],
    "gamma, darker": [_gamma(g) for g in (1.2, 1.4, 1.6, 1.9, 2.3)],
    "gamma, brighter": [_gamma(g) for g in (0.85, 0.72, 0.6, 0.5, 0.4)],
    "lower contrast": [_pil(lambda im, c=c: ImageEnhance.Contrast(im).enhance(c)) for c in (0.8, 0.65, 0.5, 0.38, 0.28)],
    "higher contrast": [_pil(lambda im, c=c: ImageEnhance.Contrast(im).enhance(c)) for c in (1.2, 1.4, 1.6, 1.9, 2.3)],
    "rotation": [_rotate(d) for d in (3, 6, 9, 13, 18)],
    "occlusion": [_occlude(s) for s in (0.06, 0.09, 0.12, 0.16, 0.2)],
}
