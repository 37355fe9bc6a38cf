"""Turns the float network into the integer one: calibrates activation scales, then fine-tunes through rounding.

In the quantised network every tensor holds the integers that the engine will hold (less the zero point), and
the scales live in the effective weights: weight * gain * s_in / s_out, rounded to 8 bits per output channel.
Scales may differ between the channels of a tensor, because whatever reads the tensor takes them up: a
depthwise convolution or the head at no loss, a pointwise one at some. This is cross-layer equalisation.
"""
from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from batches import Batch, as_batches
from data import INPUT, NEGATIVE, at_input, select
from fit import Budget, Fit, Recipe, Sets, load_sets, mixed_precision, run_program, scores
from integer import BIAS_LIMIT, DEPTHWISE, INPUT_SCALE, POINTWISE, STEM, TOP, Convolution, IntegerNet, Tensor
from net import CLASSES, Net, layers
from train import GATE_WEIGHT, common_arguments

WEIGHT_TOP = 127
LIGHT = 258  # CXR_LIGHT
PRODUCT_LIMIT = 2 ** 20  # of the largest sum times its multiplier; the engine refuses 2^21
WEAKEST = 0.02       # a channel's scale is at least this part of the tensor's largest
CALIBRATION_FILMS = 256
PEAK, EMA_DECAY = 5e-5, 0.998
KEPT_CONVOLUTIONS = 9  # the stem and the first three blocks


@dataclass(frozen=True)
class Step:
    """One convolution's place in the network; tensor 0 is the input, tensor i + 1 is convolution i's output."""
    opcode: int
    stride: int
    relu: bool
    input: int
    residual: int  # tensor number, or -1


def topology(net: Net) -> list[Step]:
    """The convolutions in order of execution."""
    steps = [Step(STEM, 2, True, 0, -1)]
    for block in net.blocks:
        source = len(steps)
        if block.expand is not None:
            steps.append(Step(POINTWISE, 1, True, len(steps), -1))
        steps.append(Step(DEPTHWISE, block.depthwise.conv.stride[0], True, len(steps), -1))
        steps.append(Step(POINTWISE, 1, False, len(steps), source if block.residual else -1))
    return steps + [Step(POINTWISE, 1, True, len(steps), -1)]


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

    A pointwise channel gets a larger one where its weights would not be light (CXR_LIGHT in src/kernels.h), which costs
    little exactness and makes the engine faster; so does one that hardly depends on its inputs, so that its bias remains
    a small integer; one whose products the engine could not bound gets a smaller one, and its largest weights are clamped.
    """
    scale = weight.abs().amax(dim=(1, 2, 3)) / WEIGHT_TOP
    if weight.shape[1] > 1 and weight.shape[2] == 1:  # four weights meet: two of a step of four inputs, two of the next
        fours = weight.abs().reshape(len(weight), -1, 2, 2, 2).sum(dim=(2, 4)).amax(dim=(1, 2))
        scale = torch.maximum(scale, fours / (LIGHT - 2))  # each may be rounded up by a half
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
        return self.weight * self.gain.reshape(-1, 1, 1, 1) * ratio

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
        self.steps = topology(net)
        self.convolutions = nn.ModuleList(QuantConv(layer, step) for layer, step in zip(layers(net), self.steps))
        self.head = nn.Linear(net.head.in_features, net.head.out_features)
        self.head.load_state_dict(net.head.state_dict())
        self.register_buffer("feature_scale", torch.ones(net.head.in_features))

    def rounding(self, on: bool) -> None:
        for conv in self.convolutions:
            conv.rounding = on

    def tensors(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The input in grey levels and every convolution's output."""
        values = [x * 255]
        for conv in self.convolutions:
            residual = values[conv.step.residual] if conv.step.residual >= 0 else None
            values.append(conv(values[conv.step.input], residual))
        return values

    @torch.autocast("cpu", enabled=False)  # bfloat16 would round the rounded weights once more
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keep = {c.step.residual for c in self.convolutions}
        values: dict[int, torch.Tensor] = {0: x * 255}
        for i, conv in enumerate(self.convolutions):
            residual = values.pop(conv.step.residual) if conv.step.residual >= 0 else None
            source = values[conv.step.input]
            if conv.step.input not in keep:
                del values[conv.step.input]
            values[i + 1] = conv(source, residual)
        pooled = values[len(self.convolutions)].mean(dim=(2, 3))
        return self.head(pooled * self.feature_scale)

    def set_scale(self, tensor: int, scale: torch.Tensor, zero_point: int) -> None:
        """Sets the scale of a tensor at its producer and at all its readers."""
        self.convolutions[tensor - 1].scale_out.copy_(scale)
        self.convolutions[tensor - 1].zero_point.fill_(zero_point)
        for conv in self.convolutions:
            if conv.step.input == tensor:
                conv.scale_in.copy_(scale)
        if tensor == len(self.convolutions):
            self.feature_scale.copy_(scale)


def groups_of(steps: list[Step]) -> list[list[int]]:
    """Tensors that must share a scale: each residual with the sum it goes into."""
    groups: dict[int, list[int]] = {}
    leader: dict[int, int] = {}
    for i, step in enumerate(steps):
        tensor = i + 1
        leader[tensor] = leader[step.residual] if step.residual >= 0 else tensor
        groups.setdefault(leader[tensor], []).append(tensor)
    return list(groups.values())


def best_range(values: torch.Tensor) -> tuple[float, int]:
    """Scale and zero point with the least squared error of 7-bit rounding."""
    low, high = min(0.0, values.min().item()), max(values.max().item(), 1e-6)
    best = (float("inf"), 1.0, 0)
    for share in np.linspace(0.2, 1, 41):
        scale = share * (high - low) / TOP
        zero = round(-share * low / scale)
        rounded = ((values / scale).round() + zero).clamp(0, TOP)
        error = ((rounded - zero) * scale - values).square().mean().item()
        best = min(best, (error, scale, zero))
    return best[1], best[2]


@torch.no_grad()
def calibrate_scales(net: QuantNet, images: np.ndarray) -> None:
    """Chooses every tensor's scale from what it holds on `images`."""
    generator = torch.Generator().manual_seed(0)
    count = len(net.convolutions) + 1
    peaks: list[torch.Tensor] = [torch.zeros(1)] * count
    samples: list[list[torch.Tensor]] = [[] for _ in range(count)]
    net.rounding(False)
    for x in as_batches(images, count=16):
        for i, value in enumerate(net.tensors(x)):
            peak = value.abs().amax(dim=(0, 2, 3))
            peaks[i] = torch.maximum(peaks[i], peak) if samples[i] else peak
            pixels = value.permute(0, 2, 3, 1).reshape(-1, value.shape[1])
            rows = torch.randint(len(pixels), (max(8, 100000 // value.shape[1]),), generator=generator)
            samples[i].append(pixels[rows])
    for group in groups_of(net.steps):
        values = torch.cat([row for tensor in group for row in samples[tensor]])
        peak = torch.stack([peaks[tensor] for tensor in group]).amax(0)
        shape = _channel_shape(net, group, values, peak)
        scale, zero = best_range(values / shape)
        for tensor in group:
            net.set_scale(tensor, scale * shape, zero)
            _bound_products(net, tensor)
    net.rounding(True)


def _bound_products(net: QuantNet, tensor: int) -> None:
    """Coarser scales for channels that were silent during calibration, whose multipliers would be huge."""
    conv = net.convolutions[tensor - 1]
    if not conv.step.relu:
        return
    weight, bias = conv.effective_weight(), conv.bias / conv.scale_out
    multiplier = weight.abs().amax(dim=(1, 2, 3)) / WEIGHT_TOP
    excess = (multiplier * largest_sum(weight, conv.input_top) + bias.abs()) / (PRODUCT_LIMIT / 2)
    net.set_scale(tensor, conv.scale_out * excess.clamp_min(1), 0)


def best_tops(values: torch.Tensor, peak: torch.Tensor) -> torch.Tensor:
    """For each channel (column) the upper end with the least squared error of 7-bit rounding, at most its peak."""
    best, tops = torch.full_like(peak, float("inf")), peak
    for share in np.linspace(0.2, 1, 33):
        scale = (share * peak / TOP).clamp_min(1e-9)
        error = ((values / scale).round().clamp(0, TOP) * scale - values).square().mean(0)
        tops = torch.where(error < best, share * peak, tops)
        best = torch.minimum(best, error)
    return tops


def _channel_shape(net: QuantNet, group: list[int], values: torch.Tensor, peak: torch.Tensor) -> torch.Tensor:
    """Relative scales of the channels of a group's tensors.

    Where the reader takes them up at no loss, each channel has its own best one. A pointwise reader rounds its
    weights, so there a channel's scale is a mean between what suits its values and what suits those weights.
    """
    relu = net.steps[group[0] - 1].relu
    readers = [c for c in net.convolutions if c.step.input in group]
    tops = best_tops(values, peak).clamp_min(1e-6) if relu else values.square().mean(0).sqrt().clamp_min(1e-6)
    if not readers or readers[0].step.opcode != POINTWISE:
        return (tops / tops.max()).clamp_min(WEAKEST)
    weights = [(c.weight * c.gain.reshape(-1, 1, 1, 1)).flatten(2).transpose(0, 1).flatten(1) for c in readers]
    if relu:
        reach, spread, weakest = torch.stack([w.abs().amax(1) for w in weights]).amax(0), 8, WEAKEST * 2
    else:
        reach, spread, weakest = torch.stack([w.square().mean(1).sqrt() for w in weights]).amax(0), 4, WEAKEST * 5
    shape = (tops / reach.clamp_min(1e-6)).sqrt()
    shape = torch.minimum(shape, spread * shape.median())
    return (shape / shape.max()).clamp_min(weakest)


@torch.no_grad()
def to_integer(net: QuantNet, size: int = INPUT) -> IntegerNet:
    """The integer network that the quantised one imitates."""
    tensors, convolutions = [Tensor(size, size, 1, INPUT_SCALE, 0)], []
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
    # The last map's channels have scales of their own: the file's scale is their largest, the rest is in the head.
    relative = (net.feature_scale / net.feature_scale.max()).numpy()
    head = net.head.weight.numpy().T * relative[:, None]
    return IntegerNet(tensors, convolutions, np.ascontiguousarray(head, np.float32),
                      net.head.bias.numpy().astype(np.float32))


def imitation(net: Net) -> Callable[[torch.Tensor, Batch], torch.Tensor]:
    """Squared distance from the float network's class logits, less their mean, which says nothing; cross-entropy with
    what it says of the gate. The labels would draw the rounded network elsewhere."""
    net = net.to(memory_format=torch.channels_last)

    def loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        with torch.no_grad(), mixed_precision():
            wanted = net(batch.images.contiguous(memory_format=torch.channels_last)).float()
        is_film = batch.labels != NEGATIVE
        error = (logits - wanted)[is_film, :CLASSES]
        classes = (error - error.mean(1, keepdim=True)).square().mean()
        gate = F.binary_cross_entropy_with_logits(logits[:, CLASSES], wanted[:, CLASSES].sigmoid())
        return classes + GATE_WEIGHT * gate

    return loss


def quantised(net: Net, sets: Sets, seed: int) -> QuantNet:
    """The float network with calibrated scales, not yet fine-tuned."""
    result = QuantNet(net)
    # What the first layers lose by rounding the later ones make good; at full size they are half of the time.
    for conv in result.convolutions[:KEPT_CONVOLUTIONS]:
        conv.requires_grad_(False)
    chosen = np.random.default_rng(seed).permutation(select(sets.records, "train"))[:CALIBRATION_FILMS]
    calibrate_scales(result, sets.films[chosen])
    return result


def save_integer(net: IntegerNet, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(pickle.dumps(net))
    temporary.replace(path)


def load_integer(path: str) -> IntegerNet:
    return pickle.loads(Path(path).read_bytes())


def main() -> None:
    parser = common_arguments(__doc__.split("\n")[0], "build/train/quantised", 20)
    parser.add_argument("--checkpoint", default="build/train/best.pt", help="the float network")
    args = parser.parse_args()
    if args.quick:
        args.minutes, args.steps = 1, args.steps or 20
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    sets = load_sets(args.data, args.cache, args.quick)
    val = select(sets.records, "val")
    labels, films = np.array([sets.records[i].label for i in val]), at_input(sets.films[val])

    def evaluate(net: torch.nn.Module) -> dict[str, float]:
        return scores(to_integer(net).logits(films), labels)

    float_net = Net()
    float_net.load_state_dict(torch.load(args.checkpoint, map_location="cpu")["average"])
    float_net.eval()
    net = quantised(float_net, sets, args.seed)
    print("after calibration alone:", {k: round(v, 4) for k, v in evaluate(net).items()}, flush=True)
    if args.minutes > 0:
        recipe = Recipe(PEAK, EMA_DECAY, imitation(float_net), evaluate)
        budget = Budget(args.minutes, args.epochs, args.steps, args.patience)
        best = Fit(net, recipe, budget, sets, args.out, args.seed, args.restart).run()
        net.load_state_dict(torch.load(best, map_location="cpu")["average"])
    save_integer(to_integer(net), out / "integer.pickle")
    print(f"wrote {out / 'integer.pickle'}")


if __name__ == "__main__":
    run_program(main)
