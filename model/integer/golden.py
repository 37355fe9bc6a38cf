"""Writes tests/golden: generated images (no patient's) and what the integer reference says of them."""
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.preprocess import INPUT, SIZE, canonical, read_gray
from integer.reference import IntegerNet, sigmoid


MAPS = ("lungs", "opacities")


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")


def _phantom(height: int = INPUT, width: int = INPUT) -> np.ndarray:
    """Something like a chest: a bright body, two dark lungs with ribs, a heart."""
    y, x = _grid(height, width)
    body = 190 - 60 * (x * x + 0.3 * y * y)
    lungs = np.exp(-(((abs(x) - 0.42) / 0.26) ** 4 + ((y + 0.05) / 0.62) ** 4))
    ribs = 18 * np.sin(16 * y + 5 * x * x) * lungs
    heart = 70 * np.exp(-(((x - 0.12) / 0.25) ** 2 + ((y - 0.3) / 0.3) ** 2))
    return np.clip(body - 130 * lungs + ribs + heart, 0, 255).astype(np.uint8)


def _noise(seed: int, shape: tuple[int, ...], top: int = 256) -> np.ndarray:
    """White noise, in blocks of four for smaller files."""
    small = np.random.default_rng(seed).integers(0, top, tuple(-(-s // 4) if i < 2 else s for i, s in enumerate(shape)))
    return small.repeat(4, 0).repeat(4, 1)[:shape[0], :shape[1]]


def engine_images() -> dict[str, np.ndarray]:
    """INPUT x INPUT gray: plausible, extreme and random inputs of the network. Canonical already, so that a classification
    gives the network these very pixels; but for the two of one level, which have no range to stretch."""
    y, x = _grid(INPUT, INPUT)
    ranged = {"phantom.png": _phantom(), "inverted-phantom.png": 255 - _phantom(),
              "gradient.png": np.clip(127.5 + 90 * x + 60 * y, 0, 255).astype(np.uint8),
              "noise.png": _noise(1, (INPUT, INPUT)).astype(np.uint8)}
    level = {"white.png": np.full((INPUT, INPUT), 255, np.uint8), "black.png": np.zeros((INPUT, INPUT), np.uint8)}
    return {**{name: canonical(image)[0] for name, image in ranged.items()}, **level}


def preprocess_images() -> dict[str, np.ndarray]:
    """Awkward shapes: odd, tall, wide, smaller than the input, colour, 16 bits, and the input's own size."""
    deep = (_phantom(301, 257).astype(np.uint32) * 257 + _noise(2, (301, 257), 200)).clip(0, 65535)
    colour = np.stack([_phantom(180, 333), 255 - _phantom(180, 333), _noise(3, (180, 333)).astype(np.uint8)], 2)
    return {"square-299.png": _phantom(299, 299), "tall-41x611.png": _phantom(611, 41),
            "wide-777x90.png": _noise(4, (90, 777)).astype(np.uint8), "small-64.png": _noise(5, (64, 64)).astype(np.uint8),
            "colour-333x180.png": colour, "deep-257x301.png": deep.astype(np.uint16),
            "same-224.png": _phantom(SIZE, SIZE), "least-32.png": _noise(6, (32, 32)).astype(np.uint8),
            "odd-225x223.png": _noise(7, (223, 225)).astype(np.uint8), "narrow-200x600.png": _phantom(600, 200),
            "large-1500x1201.png": _phantom(1201, 1500), "inverted-640x480.png": 255 - _phantom(480, 640),
            "deep-small-50x40.png": _noise(8, (40, 50), 65536).astype(np.uint16)}


def write_golden(net: IntegerNet, model_sha256: str, folder: Path) -> None:
    """The images, engine.txt and preprocess.txt; the formats stand in src/README.md."""
    images, expected = folder / "images", folder / "expected"
    for each in (images, expected):
        each.mkdir(parents=True, exist_ok=True)
    lines = [f"model {model_sha256}"]
    for name, image in engine_images().items():
        Image.fromarray(image).save(images / name)
        values = net.run(image[None])
        lines.append(f"image {name}")
        for index, value in enumerate(values[1:], 1):
            content = value[0].permute(1, 2, 0).contiguous().numpy().astype(np.uint8).tobytes()
            lines.append(f"tensor {index} {hashlib.sha256(content).hexdigest()}")
        bits = net.head(values[net.features])[0].astype("<f4").view("<u4")
        lines.append("outputs " + " ".join(f"{b:08x}" for b in bits))
        for name, head in zip(MAPS, net.maps):
            content = sigmoid(head.logits(net.tensors, values))[0].astype("<f4").tobytes()
            lines.append(f"map {name} {hashlib.sha256(content).hexdigest()}")
    (folder / "engine.txt").write_text("\n".join(lines) + "\n")
    for name, image in preprocess_images().items():
        Image.fromarray(image).save(images / name)
        Image.fromarray(canonical(read_gray(str(images / name)))[0]).save(expected / name)
    (folder / "preprocess.txt").write_text("".join(f"{name}\n" for name in preprocess_images()))
