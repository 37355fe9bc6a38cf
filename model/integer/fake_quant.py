"""The network in integers, as the engine computes it, but still to be learned: weights and values are rounded on the
way forward, and gradients pass through.

Every tensor holds the integers that the engine will hold (less the zero point), and the scales live in the effective
weights: weight * gain * s_in / s_out, rounded to 8 bits per output channel. Scales may differ between the channels of a
tensor, because whatever reads the tensor takes them up: a depthwise convolution or the head at no loss, a pointwise one
at some. This is cross-layer equalisation.
"""
from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from dataset.preprocess import INPUT
from integer.reference import (BIAS_LIMIT, DEPTHWISE, INPUT_SCALE, POINTWISE, STEM, TOP, Convolution, IntegerNet, MapHead,
                               Tensor)
from network.mobilenet import COARSE_BLOCK, FINE_BLOCK, Net, Outputs, layers

WEIGHT_TOP = 127
FITS_I16 = 258  # CXR_FITS_I16
PRODUCT_LIMIT = 2 ** 20  # of the largest sum times its multiplier; the engine refuses 2^21


@dataclass(frozen=True)
class Step:
    """One convolution's place in the network; tensor 0 is the input, tensor i + 1 is convolution i's output."""
    opcode: int
    stride: int
    relu: bool
    input: int
    residual: int  # tensor number, or -1


@dataclass(frozen=True)
class Topology:
    """The convolutions in order of execution, and the tensors that the heads read."""
    steps: list[Step]
    features: int
    lungs_fine: int
    lungs_coarse: int
    opacities: int


def topology(net: Net) -> Topology:
    """The backbone's convolutions, then those of the maps' heads, in the order of mobilenet.layers."""
    steps, ends = [Step(STEM, 2, True, 0, -1)], []
    for block in net.blocks:
        source = len(steps)
        if block.expand is not None:
            steps.append(Step(POINTWISE, 1, True, len(steps), -1))
        steps.append(Step(DEPTHWISE, block.depthwise.conv.stride[0], True, len(steps), -1))
        steps.append(Step(POINTWISE, 1, False, len(steps), source if block.residual else -1))
        ends.append(len(steps))
    steps.append(Step(POINTWISE, 1, True, len(steps), -1))
    features = len(steps)
    steps += [Step(POINTWISE, 1, True, ends[FINE_BLOCK], -1), Step(DEPTHWISE, 1, True, features + 1, -1),
              Step(POINTWISE, 1, True, ends[COARSE_BLOCK], -1), Step(POINTWISE, 1, True, ends[COARSE_BLOCK], -1)]
    return Topology(steps, features, features + 2, features + 3, features + 4)


class _RoundWeight(torch.autograd.Function):
    """Rounds to 8 bits per output channel; the gradient passes through."""

    @staticmethod
    def forward(ctx, weight: torch.Tensor, bias: torch.Tensor, input_top: int) -> torch.Tensor:
        scale = weight_scale(weight, bias, input_top)
        return rounded_weight(weight, scale) * scale

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return gradient, None, None


class _RoundActivation(torch.autograd.Function):
    """Rounds, adds the residual if any, clamps; its gradient is that of ReLU, or of the identity.

    The few values beyond the upper end pass their gradient on: a mask for them would cost more than it gives.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, residual: torch.Tensor | None, relu: bool, low: int, high: int) -> torch.Tensor:
        ctx.with_residual = residual is not None
        ctx.save_for_backward(*([x] if relu else []))
        q = x.round()
        if residual is not None:
            q.add_(residual)
        return q.clamp_(low, high)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        for x in ctx.saved_tensors:
            gradient = torch.ops.aten.threshold_backward(gradient, x, 0)
        return gradient, (gradient if ctx.with_residual else None), None, None, None


def largest_sum(weight: torch.Tensor, input_top: int) -> int:
    """What the engine takes for the largest sum of products of one output."""
    return weight[0].numel() * 128 * input_top


def weight_scale(weight: torch.Tensor, bias: torch.Tensor, input_top: int) -> torch.Tensor:
    """One scale per output channel, so that its largest weight becomes 127.

    A pointwise channel gets a larger one where its weights would not fit 16-bit sums (CXR_FITS_I16 in src/README.md), which costs
    little exactness and makes the engine faster; so does one that hardly depends on its inputs, so that its bias remains
    a small integer; one whose products the engine could not bound gets a smaller one, and its largest weights are clamped.
    """
    scale = weight.abs().amax(dim=(1, 2, 3)) / WEIGHT_TOP
    if weight.shape[1] > 1 and weight.shape[2] == 1:  # four weights meet: two of a step of four inputs, two of the next
        fours = weight.abs().reshape(len(weight), -1, 2, 2, 2).sum(dim=(2, 4)).amax(dim=(1, 2))
        scale = torch.maximum(scale, fours / (FITS_I16 - 2))  # each may be rounded up by a half
    scale = torch.maximum(scale, bias.abs() / (BIAS_LIMIT / 8)).clamp(1e-12, PRODUCT_LIMIT / largest_sum(weight, input_top))
    return scale.reshape(-1, 1, 1, 1)


def rounded_weight(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The integers."""
    return (weight / scale).round().clamp(-WEIGHT_TOP, WEIGHT_TOP)


class QuantConv(nn.Module):
    """A convolution whose output is an integer tensor (less its zero point)."""

    def __init__(self, layer: nn.Module, step: Step):
        super().__init__()
        bn = layer.bn
        gain = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        self.step, self.input_top = step, 255 if step.opcode == STEM else TOP
        self.pad_end, self.padding, self.groups = layer.pad_end, layer.conv.padding, layer.conv.groups
        self.weight = nn.Parameter(layer.conv.weight.detach().clone())
        self.bias = nn.Parameter((bn.bias - bn.running_mean * gain).detach().clone())
        self.register_buffer("gain", gain.detach().clone())
        inputs = layer.conv.in_channels
        self.register_buffer("scale_in", torch.full((inputs,), INPUT_SCALE if step.opcode == STEM else 1.0))
        self.register_buffer("scale_out", torch.ones(len(gain)))
        self.register_buffer("zero_point", torch.zeros(()))
        self.rounding = False

    def effective_weight(self) -> torch.Tensor:
        """From integers to integers: real weight times s_in / s_out."""
        if self.groups > 1:
            ratio = (self.scale_in / self.scale_out).reshape(-1, 1, 1, 1)
        else:
            ratio = self.scale_in.reshape(1, -1, 1, 1) / self.scale_out.reshape(-1, 1, 1, 1)
        return self.real_weight() * ratio

    def real_weight(self) -> torch.Tensor:
        """With the normalisation folded in."""
        return self.weight * self.gain.reshape(-1, 1, 1, 1)

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        weight, bias = self.effective_weight(), self.bias / self.scale_out
        if self.rounding:
            weight = _RoundWeight.apply(weight, bias.detach(), self.input_top)
        if self.pad_end:
            x = F.pad(x, (0, 1, 0, 1))
        t = F.conv2d(x, weight, bias, self.step.stride, self.padding, 1, self.groups)
        if self.rounding:
            zero = int(self.zero_point)
            return _RoundActivation.apply(t, residual, self.step.relu, -zero, TOP - zero)
        t = t if residual is None else t + residual
        return F.relu(t) if self.step.relu else t


class QuantNet(nn.Module):
    """The network in integers; with rounding off it computes what the float network does."""

    def __init__(self, net: Net):
        super().__init__()
        self.topology = topology(net)
        self.steps = self.topology.steps
        self.convolutions = nn.ModuleList(QuantConv(layer, step) for layer, step in zip(layers(net), self.steps))
        self.head = copy.deepcopy(net.head)
        self.to_fine, self.to_coarse = copy.deepcopy(net.lungs.to_fine), copy.deepcopy(net.lungs.to_coarse)
        self.to_map = copy.deepcopy(net.opacities.to_map)
        for i, step in enumerate(self.steps, 1):  # scales of the tensors that a head reads: it takes them up at no loss
            if i in self.read_by_heads():
                self.register_buffer(f"scale_{i}", torch.ones(len(self.convolutions[i - 1].gain)))

    def read_by_heads(self) -> tuple[int, ...]:
        """Tensors that a float head reads."""
        t = self.topology
        return t.features, t.lungs_fine, t.lungs_coarse, t.opacities

    def rounding(self, on: bool) -> None:
        """Turns rounding of weights and activations on or off."""
        for conv in self.convolutions:
            conv.rounding = on

    def tensors(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The input in gray levels and every convolution's output."""
        values = [x * 255]
        for conv in self.convolutions:
            residual = values[conv.step.residual] if conv.step.residual >= 0 else None
            values.append(conv(values[conv.step.input], residual))
        return values

    @torch.autocast("cpu", enabled=False)  # bfloat16 would round the rounded weights once more
    def forward(self, x: torch.Tensor) -> Outputs:
        last_use = {n: i for i, conv in enumerate(self.convolutions) for n in (conv.step.input, conv.step.residual)}
        values: dict[int, torch.Tensor] = {0: x * 255}
        for i, conv in enumerate(self.convolutions):
            residual = values[conv.step.residual] if conv.step.residual >= 0 else None
            values[i + 1] = conv(values[conv.step.input], residual)
            for n in (conv.step.input, conv.step.residual):
                if last_use[n] == i and n not in self.read_by_heads():
                    values.pop(n, None)
        return self.outputs_of(values)

    def outputs_of(self, values) -> Outputs:
        """From the tensors that the heads read; `values` is indexed by tensor number."""
        features, fine, coarse, opacities = (values[i] * getattr(self, f"scale_{i}").reshape(1, -1, 1, 1)
                                             for i in self.read_by_heads())
        enlarged = F.interpolate(self.to_coarse(coarse), scale_factor=2, mode="bilinear", align_corners=False)
        return Outputs(self.head(features.mean(dim=(2, 3))), (enlarged + self.to_fine(fine))[:, 0], self.to_map(opacities)[:, 0])

    def set_scale(self, tensor: int, scale: torch.Tensor, zero_point: int) -> None:
        """Sets the scale of a tensor at its producer and at all its readers."""
        self.convolutions[tensor - 1].scale_out.copy_(scale)
        self.convolutions[tensor - 1].zero_point.fill_(zero_point)
        for conv in self.convolutions:
            if conv.step.input == tensor:
                conv.scale_in.copy_(scale)
        if tensor in self.read_by_heads():
            getattr(self, f"scale_{tensor}").copy_(scale)


@torch.no_grad()
def to_integer(net: QuantNet) -> IntegerNet:
    """The integer network that the fake-quantised one stands for."""
    tensors, convolutions = [Tensor(INPUT, INPUT, 1, INPUT_SCALE, 0)], []
    for i, conv in enumerate(net.convolutions):
        step, source = conv.step, tensors[conv.step.input]
        weight = conv.effective_weight().double()
        bias = conv.bias.double() / conv.scale_out.double()
        scale = weight_scale(weight, bias, conv.input_top)
        rounded = rounded_weight(weight, scale)
        bias = (bias / scale.flatten()).round() - source.zero_point * rounded.sum(dim=(1, 2, 3))
        if bias.abs().max() >= BIAS_LIMIT:
            raise ValueError(f"the bias of convolution {i} is too large for exact accumulation")
        pad = 0 if conv.pad_end else conv.padding[0]
        convolutions.append(Convolution(
            step.opcode, step.input, i + 1, step.residual, weight.shape[2], step.stride, pad,
            rounded.to(torch.int8).numpy(), bias.to(torch.int32).numpy(),
            scale.flatten().numpy().astype(np.float32)))
        tensors.append(Tensor(source.height // step.stride, source.width // step.stride, len(weight),
                              float(np.float32(conv.scale_out.max())), int(conv.zero_point)))
    t = net.topology

    def folded(weight: torch.Tensor, tensor: int) -> np.ndarray:
        """Weights [outputs, channels] of a head, for channels with scales of their own: the file's scale of the tensor is
        their largest, the rest goes into the weights."""
        scale = getattr(net, f"scale_{tensor}")
        return np.ascontiguousarray((weight.flatten(1) * (scale / scale.max())).numpy(), np.float32)

    maps = [MapHead(t.lungs_fine, t.lungs_coarse, folded(net.to_fine.weight, t.lungs_fine)[0],
                    folded(net.to_coarse.weight, t.lungs_coarse)[0], np.float32(net.to_fine.bias.item())),
            MapHead(t.opacities, -1, folded(net.to_map.weight, t.opacities)[0], np.empty(0, np.float32),
                    np.float32(net.to_map.bias.item()))]
    return IntegerNet(tensors, convolutions, np.ascontiguousarray(folded(net.head.weight, t.features).T),
                      net.head.bias.numpy().astype(np.float32), t.features, maps)
