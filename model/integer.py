"""The integer network: exactly the engine's arithmetic, in numpy and torch, and the truth for golden vectors.

The rule stands in src/README.md. Sums of products are integers below 2^24, so float32 convolutions give them
exactly whatever the order: |w| <= 127, q <= 127 and at most 960 inputs (the stem: 255 and 9). A bias is below
2^24 too, so adding it in float32 rounds the exact int32 accumulator once, as the rule's conversion does.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

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
class IntegerNet:
    """Tensors, convolutions in order, and the float32 head."""
    tensors: list[Tensor]
    convolutions: list[Convolution]
    head_weight: np.ndarray  # float32 [channels, outputs]
    head_bias: np.ndarray    # float32 [outputs]

    def run(self, images: np.ndarray) -> list[torch.Tensor]:
        """All tensors (N x C x H x W, float32 holding integers) for u8 images N x H x W."""
        if images.shape[1:] != (self.tensors[0].height, self.tensors[0].width):
            raise ValueError(f"films of {images.shape[1:]} for a network of {self.tensors[0].height} x {self.tensors[0].width}")
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
        means = sums * (np.float32(self.tensors[-1].scale) / np.float32(cells))
        outputs = np.repeat(self.head_bias[None], len(means), 0)
        for channel in range(means.shape[1]):
            outputs += means[:, channel, None] * self.head_weight[None, channel]
        return outputs

    @torch.no_grad()
    def logits(self, images: np.ndarray, count: int = 32) -> np.ndarray:
        """Outputs of many images."""
        parts = []
        for start in range(0, len(images), count):
            values = self.run(images[start:start + count])
            parts.append(self.head(values[-1]))
        return np.concatenate(parts) if parts else np.empty((0, len(self.head_bias)), np.float32)
