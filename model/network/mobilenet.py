"""The network: MobileNetV2 1.0 with plain ReLU, one gray input; five outputs and two maps from one pass.

Its shape is a contract with the C engine. Shared by training, quantisation, export and evaluation.
"""
from __future__ import annotations

import pickle
from typing import Iterable, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from dataset.records import CLASSES
from files import DataError

# (expansion, output channels, repeats, stride of the first), as in the MobileNetV2 paper.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM_CHANNELS = 32
FEATURES = 1280
OUTPUTS = CLASSES + 1  # the last output is the gate: "this is an upright frontal chest X-ray"
FINE_BLOCK, FINE_CHANNELS = 5, 32      # the last block at stride 8
COARSE_BLOCK, COARSE_CHANNELS = 12, 96  # the last block at stride 16
LUNGS_HIDDEN, OPACITIES_HIDDEN = 64, 128
BN_EPS = 1e-3


class Outputs(NamedTuple):
    """The outputs of one pass, all as logits."""
    logits: torch.Tensor     # N x OUTPUTS: normal, covid-19, viral-pneumonia, lung-opacity, gate
    lungs: torch.Tensor      # N x H/8 x W/8
    opacities: torch.Tensor  # N x H/16 x W/16


class ConvBN(nn.Module):
    """Convolution, batch normalisation and, if asked, ReLU, with TensorFlow's SAME padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        # At stride 2 on an even size SAME pads only below and to the right, which Conv2d cannot express.
        self.pad_end = stride == 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, 0 if self.pad_end else kernel // 2,
                              groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=BN_EPS, momentum=0.03)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pad_end:
            x = F.pad(x, (0, 1, 0, 1))
        if self.bn.training:
            x = self.bn(self.conv(x))
        else:  # folded, also while training with fixed statistics: the normalisation is a third of the time
            x = F.conv2d(x, *fold(self), self.conv.stride, self.conv.padding, 1, self.conv.groups)
        return F.relu(x, inplace=True) if self.relu else x


class Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise 3x3, project 1x1 (linear), and the input added where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expand = ConvBN(inputs, hidden, 1) if expansion != 1 else None
        self.depthwise = ConvBN(hidden, hidden, 3, stride, groups=hidden)
        self.project = ConvBN(hidden, outputs, 1, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.expand(x) if self.expand is not None else x
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class LungsHead(nn.Module):
    """The lungs: a map of stride 8 plus an enlarged one of stride 16."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = ConvBN(FINE_CHANNELS, LUNGS_HIDDEN, 1)
        self.depthwise = ConvBN(LUNGS_HIDDEN, LUNGS_HIDDEN, 3, groups=LUNGS_HIDDEN)
        self.coarse = ConvBN(COARSE_CHANNELS, LUNGS_HIDDEN, 1)
        self.to_fine = nn.Conv2d(LUNGS_HIDDEN, 1, 1)
        self.to_coarse = nn.Conv2d(LUNGS_HIDDEN, 1, 1, bias=False)
        for layer in (self.to_fine, self.to_coarse):
            nn.init.zeros_(layer.weight)

    def forward(self, fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        logits = self.to_coarse(self.coarse(coarse)).float()
        logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        return (logits + self.to_fine(self.depthwise(self.fine(fine))).float())[:, 0]


class OpacitiesHead(nn.Module):
    """The opacities that a radiologist would outline."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = ConvBN(COARSE_CHANNELS, OPACITIES_HIDDEN, 1)
        self.to_map = nn.Conv2d(OPACITIES_HIDDEN, 1, 1)
        nn.init.zeros_(self.to_map.weight)
        nn.init.constant_(self.to_map.bias, -3.0)  # most cells are clear

    def forward(self, coarse: torch.Tensor) -> torch.Tensor:
        return self.to_map(self.hidden(coarse))[:, 0]


class Net(nn.Module):
    """1xHxW gray in [0, 1] -> Outputs.

    With `fixed` the normalisations keep their statistics while training: a network that starts from good ones
    learns as well and trains 1.5 times as fast. `reach` scales the gradient that the maps send into the backbone: at first
    their new layers know nothing and would damage it.
    """

    def __init__(self, dropout: float = 0.2, fixed: bool = False):
        super().__init__()
        self.fixed, self.reach = fixed, 1.0
        self.stem = ConvBN(1, STEM_CHANNELS, 3, 2)
        blocks, channels = [], STEM_CHANNELS
        for expansion, outputs, repeats, stride in STAGES:
            for i in range(repeats):
                blocks.append(Block(channels, outputs, stride if i == 0 else 1, expansion))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.last = ConvBN(channels, FEATURES, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FEATURES, OUTPUTS)
        self.lungs = LungsHead()
        self.opacities = OpacitiesHead()

    def train(self, mode: bool = True) -> "Net":
        super().train(mode)
        for layer in layers(self):
            layer.bn.train(mode and not self.fixed)
        return self

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The maps that the heads read: of stride 8, of stride 16, and the last one."""
        x = self.stem(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == FINE_BLOCK:
                fine = x
            elif i == COARSE_BLOCK:
                coarse = x
        return fine, coarse, self.last(x)

    def forward(self, x: torch.Tensor) -> Outputs:
        fine, coarse, last = self.features(x)
        if torch.is_grad_enabled() and self.reach < 1:
            fine, coarse = (self.reach * m + (1 - self.reach) * m.detach() for m in (fine, coarse))
        lungs, opacities = self.lungs(fine, coarse), self.opacities(coarse)
        with torch.autocast("cpu", enabled=False):  # the head is small, and is float32 in the engine
            return Outputs(self.head(self.dropout(last.float().mean(dim=(2, 3)))), lungs.float(), opacities.float())


def branch_keys(net: Net) -> set[str]:
    """Names of the map heads' weights: networks from before 1.0 lack them."""
    return {k for k in net.state_dict() if k.startswith(("lungs.", "opacities."))}


def load_float(checkpoint: str) -> Net:
    """The averaged network of a checkpoint, for use."""
    net = Net(fixed=True)
    try:
        state = torch.load(checkpoint, map_location="cpu")["average"]
        net.load_state_dict({**{k: net.state_dict()[k] for k in branch_keys(net) - state.keys()}, **state})
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError):
        raise DataError(f"{checkpoint} is not a sound checkpoint of the float network.") from None
    return net.to(memory_format=torch.channels_last).eval()


class Folded(NamedTuple):
    """A convolution with its batch normalisation folded in."""
    weight: torch.Tensor
    bias: torch.Tensor


def layers(net: Net) -> list[ConvBN]:
    """The convolutions: 52 of the backbone in order of execution, then those of the maps' heads."""
    return [m for m in net.modules() if isinstance(m, ConvBN)]


def fold(layer: ConvBN) -> Folded:
    """Weight and bias of the plain convolution that equals `layer` in evaluation mode; gradients pass through."""
    bn = layer.bn
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return Folded(layer.conv.weight * scale.reshape(-1, 1, 1, 1), bn.bias - bn.running_mean * scale)


@torch.no_grad()
def load_folded(net: Net, folded: Iterable[Folded], images: torch.Tensor) -> None:
    """Loads folded convolutions and rebuilds a batch normalisation after each from its statistics on `images`.

    gamma = sqrt(var + eps) and beta = bias + mean make the normalisation an identity plus bias at first,
    so the network computes what the folded one did, and trains like one that always had it.
    """
    for layer, (weight, bias) in zip(layers(net), folded):
        if layer.conv.weight.shape != weight.shape:
            raise DataError(f"A layer has the shape {tuple(weight.shape)} where {tuple(layer.conv.weight.shape)} is expected.")
        layer.conv.weight.copy_(weight)
        layer.bn.bias.copy_(bias)

    def on_conv(layer: ConvBN):
        def hook(_module: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
            mean, var = output.mean(dim=(0, 2, 3)), output.var(dim=(0, 2, 3), unbiased=False)
            layer.bn.running_mean.copy_(mean)
            layer.bn.running_var.copy_(var)
            layer.bn.weight.copy_(torch.sqrt(var + layer.bn.eps))
            layer.bn.bias.add_(mean)
        return hook

    handles = [layer.conv.register_forward_hook(on_conv(layer)) for layer in layers(net)]
    for layer in layers(net):
        layer.bn.train()  # otherwise the convolution, and with it the hook, would not run
    net.features(images)
    net.train(net.training)
    for handle in handles:
        handle.remove()
