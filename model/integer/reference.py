"""The integer network: exactly the engine's arithmetic, in numpy and torch, and the truth for golden vectors.

The rule stands in src/README.md. Sums of products are integers below 2^24, so float32 convolutions give them
exactly whatever the order: |w| <= 127, q <= 127 and at most 960 inputs (the stem: 255 and 9). A bias is below
2^24 too, so adding it in float32 rounds the exact int32 accumulator once, as the rule's conversion does.
"""
from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from files import replacing

STEM, POINTWISE, DEPTHWISE = 1, 2, 3  # the file's opcodes
INPUT_SCALE = 1 / 255
TOP = 127  # largest activation
BIAS_LIMIT = 2 ** 24


@dataclass
class Tensor:
    """What the file says of a tensor; number 0 is the u8 input."""
    height: int
    width: int
    channels: int
    scale: float
    zero_point: int


@dataclass
class Convolution:
    """One integer convolution; `input`, `output` and `residual` are tensor numbers (-1: no residual)."""
    opcode: int
    input: int
    output: int
    residual: int
    kernel: int
    stride: int
    pad: int             # above and left; below and right it is what the output's size asks for
    weight: np.ndarray   # int8 [outputs, inputs or 1, kernel, kernel]
    bias: np.ndarray     # int32 [outputs], the input's zero point folded in
    multiplier: np.ndarray  # float32 [outputs]


@dataclass
class MapHead:
    """A map's last affine step: a fine tensor, and a coarse one of half its sides or -1."""
    fine: int
    coarse: int
    fine_weight: np.ndarray    # float32 [channels]
    coarse_weight: np.ndarray  # float32 [channels]; empty without a coarse tensor
    bias: np.float32

    def logits(self, tensors: list[Tensor], values: list[torch.Tensor]) -> np.ndarray:
        """N x H x W, in the order of additions that the rule fixes."""
        result = _weighted(values[self.fine], tensors[self.fine].scale, self.fine_weight, self.bias)
        if self.coarse >= 0:
            coarse = _weighted(values[self.coarse], tensors[self.coarse].scale, self.coarse_weight, np.float32(0))
            result += _doubled(_doubled(coarse).transpose(0, 2, 1)).transpose(0, 2, 1)
        return result


def _weighted(features: torch.Tensor, scale: float, weight: np.ndarray, bias: np.float32) -> np.ndarray:
    """The channels' weighted sum in each cell: float32, channel after channel."""
    values = features.contiguous().numpy()
    result = np.full((values.shape[0], *values.shape[2:]), bias, np.float32)
    for channel in range(values.shape[1]):
        result += weight[channel] * (np.float32(scale) * values[:, channel])
    return result


def _doubled(values: np.ndarray) -> np.ndarray:
    """Twice as wide by linear interpolation: three quarters of the cell, one of its neighbour; ends are repeated."""
    left = np.concatenate([values[..., :1], values[..., :-1]], -1)
    right = np.concatenate([values[..., 1:], values[..., -1:]], -1)
    own = np.float32(0.75) * values
    return np.stack([own + np.float32(0.25) * left, own + np.float32(0.25) * right], -1).reshape(*values.shape[:-1], -1)


def exact_exp(x: np.ndarray) -> np.ndarray:
    """src/base/exp.c in numpy: the same bits for every x between -700 and 700."""
    k = np.trunc(x * float.fromhex("0x1.71547652b82fep+0") + np.where(x < 0, -0.5, 0.5))
    high, low = x - k * float.fromhex("0x1.62e42feep-1"), k * float.fromhex("0x1.a39ef35793c76p-33")
    r = high - low
    lost = (high - r) - low
    p = np.full_like(r, 1.0 / 6227020800.0)
    for divisor in (479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0):
        p = p * r + 1.0 / divisor
    return np.ldexp(1.0 + (r + (lost + r * r * p)), k.astype(int))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The engine's: float64 by exact_exp, rounded to float32."""
    return (1.0 / (1.0 + exact_exp(-np.clip(logits.astype(np.float64), -700, 700)))).astype(np.float32)


@dataclass
class IntegerNet:
    """Tensors, convolutions in order, the float32 class head on tensor `features`, and the maps: lungs, opacities."""
    tensors: list[Tensor]
    convolutions: list[Convolution]
    head_weight: np.ndarray  # float32 [channels, outputs]
    head_bias: np.ndarray    # float32 [outputs]
    features: int
    maps: list[MapHead]

    def run(self, images: np.ndarray) -> list[torch.Tensor]:
        """All tensors (N x C x H x W, float32 holding integers) for u8 images N x H x W."""
        if images.shape[1:] != (self.tensors[0].height, self.tensors[0].width):
            raise ValueError(f"images of {images.shape[1:]} for a network of {self.tensors[0].height} x {self.tensors[0].width}")
        gray = torch.from_numpy(images).unsqueeze(1).float()
        values = [gray.contiguous(memory_format=torch.channels_last)]
        for conv in self.convolutions:
            values.append(self._convolve(conv, values))
        return values

    def _convolve(self, conv: Convolution, values: list[torch.Tensor]) -> torch.Tensor:
        x, out = values[conv.input], self.tensors[conv.output]
        after = (out.height - 1) * conv.stride + conv.kernel - conv.pad - x.shape[2]
        if conv.kernel > 1:
            x = F.pad(x, (conv.pad, after, conv.pad, after))
        weight = torch.from_numpy(conv.weight.astype(np.float32)).contiguous(memory_format=torch.channels_last)
        groups = len(weight) if conv.opcode == DEPTHWISE else 1
        t = F.conv2d(x, weight, stride=conv.stride, groups=groups)
        t.add_(torch.from_numpy(conv.bias.astype(np.float32)).reshape(1, -1, 1, 1))
        t.mul_(torch.from_numpy(conv.multiplier).reshape(1, -1, 1, 1))
        add = values[conv.residual] if conv.residual >= 0 else out.zero_point
        return t.clamp_(-512, 512).round_().add_(add).clamp_(0, TOP)

    def head(self, features: torch.Tensor) -> np.ndarray:
        """Outputs of the last map: integer sums, then float32 in the order the rule fixes."""
        cells = features.shape[2] * features.shape[3]
        sums = features.sum(dim=(2, 3), dtype=torch.int64).numpy().astype(np.float32)
        means = sums * (np.float32(self.tensors[self.features].scale) / np.float32(cells))
        outputs = np.repeat(self.head_bias[None], len(means), 0)
        for channel in range(means.shape[1]):
            outputs += means[:, channel, None] * self.head_weight[None, channel]
        return outputs

    @torch.no_grad()
    def outputs(self, images: np.ndarray, count: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Class logits with the gate's, and the logits of both maps, of many images."""
        parts = []
        for start in range(0, max(1, len(images)), count):
            values = self.run(images[start:start + count])
            parts.append((self.head(values[self.features]), *(m.logits(self.tensors, values) for m in self.maps)))
        return tuple(np.concatenate(each) for each in zip(*parts))


def save_integer(net: IntegerNet, path: Path) -> None:
    """Writes the network to a file, for calibrate.py and export.py."""
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps(net))


def load_integer(path: str) -> IntegerNet:
    """A network that save_integer wrote."""
    return pickle.loads(Path(path).read_bytes())
