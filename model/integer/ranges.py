"""Range calibration: chooses every channel's scale by the effect of its rounding on the logits.

To first order a logit moves by the sum, over all that is rounded, of its gradient times the rounding error. Its mean
square over images is measured for each channel of each tensor at a ladder of scales; errors within an image add up with
their signs, since neighbouring pixels are rounded alike. A finer scale makes a pointwise reader's weights for that
channel larger and so the steps of all its weights coarser, which costs the squared gradient for those weights (the
diagonal of the Fisher information). The sum of both is made least.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from dataset.batches import as_batches
from dataset.records import CLASSES
from integer.fake_quant import PRODUCT_LIMIT, WEIGHT_TOP, QuantNet, largest_sum, weight_scale
from integer.reference import POINTWISE, TOP
from network.mobilenet import Outputs

LADDER = torch.arange(-11, 5) / 4  # in octaves: scales beside the one that just holds the largest value
WEAKEST = 0.02                     # a channel's first scale is at least this part of the tensor's largest
DESCENT, RATE = 300, 0.05          # steps; of the scales' logarithms


@dataclass
class Shared:
    """Tensors that share their scales: each residual with the sums it goes into."""
    tensors: list[int]
    scale: torch.Tensor  # C: one at which nothing is clamped
    zero_point: int


@dataclass
class Effects:
    """Mean squares over images of what rounding does to a logit."""
    tensors: list[torch.Tensor]  # of tensor i + 1, C x len(LADDER)
    weights: list[torch.Tensor]  # of a unit change of convolution i's weights, O x I; pointwise ones only


def groups_of(net: QuantNet) -> list[list[int]]:
    """Tensors that must share a scale."""
    groups: dict[int, list[int]] = {}
    leader: dict[int, int] = {}
    for i, step in enumerate(net.steps):
        tensor = i + 1
        leader[tensor] = leader[step.residual] if step.residual >= 0 else tensor
        groups.setdefault(leader[tensor], []).append(tensor)
    return list(groups.values())


def _random_sum(outputs: Outputs, generator: torch.Generator) -> torch.Tensor:
    """All outputs added up with random signs, so that one gradient speaks for all of them. A map's cells together count as
    much as the class logits: each by the root of a cell's share."""
    logits = outputs.logits[:, :CLASSES]
    total = torch.zeros(())
    for values in (logits - logits.mean(1, keepdim=True), outputs.lungs, outputs.opacities):
        signs = torch.randint(2, values.shape, generator=generator) * 2 - 1
        total = total + (values * signs).sum() * (CLASSES / values[0].numel()) ** 0.5
    return total


@torch.no_grad()
def first_scales(net: QuantNet, images: np.ndarray) -> list[Shared]:
    """The finest scales that clamp nothing of what the tensors hold on `images`."""
    extremes: list[tuple[torch.Tensor, torch.Tensor]] = []
    for x in as_batches(images, count=16):
        found = [(v.amin(dim=(0, 2, 3)).clamp_max(0), v.amax(dim=(0, 2, 3)).clamp_min(0)) for v in net.tensors(x)[1:]]
        extremes = [(torch.minimum(a, c), torch.maximum(b, d)) for (a, b), (c, d) in zip(extremes or found, found)]
    result = []
    for group in groups_of(net):
        low = -torch.stack([extremes[tensor - 1][0] for tensor in group]).amin(0)
        high = torch.stack([extremes[tensor - 1][1] for tensor in group]).amax(0)
        zero = round(TOP * (low.sum() / (low + high).sum().clamp_min(1e-6)).item())
        scale = torch.maximum(high / max(TOP - zero, 1), low / max(zero, 1))
        result.append(Shared(group, torch.maximum(scale, WEAKEST * scale.max()).clamp_min(1e-6), zero))
    return result


def measure(net: QuantNet, images: np.ndarray, groups: list[Shared]) -> Effects:
    """What rounding does, image by image. One gradient per image, of the logits summed with random signs, stands for all."""
    generator = torch.Generator().manual_seed(0)
    places = {tensor: group for group in groups for tensor in group.tensors}
    result = Effects([torch.zeros(len(c.gain), len(LADDER)) for c in net.convolutions],
                     [torch.zeros(c.weight.shape[:2]) for c in net.convolutions])
    for x in as_batches(images, count=16):
        values = net.tensors(x.requires_grad_())
        gradients = torch.autograd.grad(_random_sum(net.outputs_of(values), generator), values[1:])
        with torch.no_grad():
            for i, (conv, value, gradient) in enumerate(zip(net.convolutions, values[1:], gradients)):
                group = places[i + 1]
                for j, octaves in enumerate(LADDER.tolist()):
                    scale = (group.scale * 2 ** octaves).reshape(1, -1, 1, 1)
                    rounded = (value / scale).round_().clamp_(-group.zero_point, TOP - group.zero_point)
                    error = rounded.mul_(scale).sub_(value).mul_(gradient).sum(dim=(2, 3))
                    result.tensors[i][:, j] += error.square().sum(0) / len(images)
                if conv.step.opcode == POINTWISE:
                    before = gradient * (value > 0) if conv.step.relu else gradient
                    source = values[conv.step.input].flatten(2).transpose(1, 2)
                    result.weights[i] += torch.bmm(before.flatten(2), source).square().sum(0) / len(images)
    return result


def best_scales(net: QuantNet, group: Shared, effects: Effects) -> torch.Tensor:
    """The group's scales of the least effect on the logits, C."""
    of_values = torch.stack([effects.tensors[tensor - 1] for tensor in group.tensors]).sum(0)
    readers = [(c.real_weight().detach(), effects.weights[i]) for i, c in enumerate(net.convolutions)
               if c.step.input in group.tensors and c.step.opcode == POINTWISE]
    octaves = LADDER[of_values.argmin(1)]
    if not readers:  # whatever else reads a tensor takes its scales up at no loss
        return group.scale * 2 ** octaves
    octaves.requires_grad_()
    descent = torch.optim.Adam([octaves], lr=RATE / math.log(2))
    fading = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: 1 - step / DESCENT)
    for _ in range(DESCENT):
        scale = group.scale * 2 ** octaves
        cost = _between_rungs(of_values, octaves).sum()
        for weight, effect in readers:
            step = weight_scale(weight * scale.reshape(1, -1, 1, 1), torch.zeros(len(weight)), TOP).flatten()
            cost = cost + (step.square() / 12 * (effect / scale.square()).sum(1)).sum()
        descent.zero_grad()
        cost.backward()
        descent.step()
        fading.step()
    return group.scale * 2 ** octaves.detach().clamp(LADDER[0], LADDER[-1])


def _between_rungs(of_values: torch.Tensor, octaves: torch.Tensor) -> torch.Tensor:
    """What was measured on the ladder, read between its rungs."""
    at = ((octaves - LADDER[0]) / (LADDER[1] - LADDER[0])).clamp(0, len(LADDER) - 1.001)
    rung = at.detach().long()
    below, above = (of_values.gather(1, (rung + k).unsqueeze(1)).squeeze(1) for k in (0, 1))
    return below + (at - rung) * (above - below)


@torch.enable_grad()
def calibrate_scales(net: QuantNet, images: np.ndarray) -> None:
    """Sets every tensor's scales from what it holds on `images`, and turns rounding on."""
    net.rounding(False)
    groups = first_scales(net, images)
    effects = measure(net, images, groups)
    for group in groups:
        scale = best_scales(net, group, effects)
        for tensor in group.tensors:
            net.set_scale(tensor, scale, group.zero_point)
            _bound_products(net, tensor)
    net.rounding(True)


@torch.no_grad()
def _bound_products(net: QuantNet, tensor: int) -> None:
    """Coarser scales for channels that were silent during calibration, whose multipliers would be huge."""
    conv = net.convolutions[tensor - 1]
    if not conv.step.relu:
        return
    weight, bias = conv.effective_weight(), conv.bias / conv.scale_out
    multiplier = weight.abs().amax(dim=(1, 2, 3)) / WEIGHT_TOP
    excess = (multiplier * largest_sum(weight, conv.input_top) + bias.abs()) / (PRODUCT_LIMIT / 2)
    net.set_scale(tensor, conv.scale_out * excess.clamp_min(1), 0)
