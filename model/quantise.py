"""Turns the float network into the integer one: chooses scales, then fine-tunes through rounding."""
from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from dataset.augment import redraw
from dataset.batches import Batch, Batches
from dataset.images import Sets, load_sets
from dataset.records import CLASSES, NEGATIVE
from integer.fake_quant import QuantNet, to_integer
from integer.provenance import origin_of
from integer.ranges import calibrate_scales
from integer.reference import save_integer
from network.losses import GATE_WEIGHT
from network.lungs import lungs_of
from network.mobilenet import Net, Outputs, load_float
from network.trainer import Budget, Fit, Recipe, common_arguments, run_program, scores

CALIBRATION_IMAGES = 256
PEAK, EMA_DECAY = 5e-5, 0.998
MAPS_WEIGHT = 0.1
REDRAWN = 0.5  # share of the images that are stored anew; what the float network says of the image before is learned


class Redrawn(Batches):
    """Batches for which an answer must not depend on how an image was stored."""

    def epoch(self, number: int, steps: int) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, number, 1])
        for batch in super().epoch(number, steps):
            yield batch._replace(images=redraw(batch.images.clone(), rng, REDRAWN), before=batch.images)


def distillation(net: Net) -> Callable[[Outputs, Batch], torch.Tensor]:
    """Knowledge distillation from the float network, which sees the images before they are stored anew: squared error of the
    centred class logits and of the maps' logits, and cross-entropy with its gate. Labels would pull the rounded network away
    from the float one."""

    def loss(outputs: Outputs, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            wanted = net(batch.before.contiguous(memory_format=torch.channels_last))
        chest = batch.labels != NEGATIVE
        error = (outputs.logits - wanted.logits)[chest, :CLASSES]
        classes = (error - error.mean(1, keepdim=True)).square().mean()
        gate = F.binary_cross_entropy_with_logits(outputs.logits[:, CLASSES], wanted.logits[:, CLASSES].sigmoid())
        maps = sum((a - b)[chest].square().mean() for a, b in zip(outputs[1:], wanted[1:]))
        return classes + GATE_WEIGHT * gate + MAPS_WEIGHT * maps

    return loss


def quantised(net: Net, sets: Sets, seed: int) -> QuantNet:
    """The float network with calibrated scales, not yet fine-tuned."""
    result = QuantNet(net)
    rng = np.random.default_rng(seed)
    parts = [part.split("train").pixels for part in (sets.classes, sets.siim) if len(part)]
    calibrate_scales(result, np.concatenate([p[rng.permutation(len(p))[:CALIBRATION_IMAGES // len(parts)]] for p in parts]))
    return result


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
    val, siim = sets.classes.split("val"), sets.siim.split("val")

    def evaluate(net: torch.nn.Module) -> dict[str, float]:
        return scores(to_integer(net).outputs, val, siim)

    float_net = load_float(args.checkpoint)
    net = quantised(float_net, sets, args.seed)
    print("after calibration alone:", {k: round(v, 4) for k, v in evaluate(net).items()}, flush=True)
    if args.minutes > 0:
        lungs = {name: lungs_of(float_net, getattr(sets, name).split("train").pixels) for name in ("classes", "siim", "bacterial")}
        recipe = Recipe(PEAK, EMA_DECAY, distillation(float_net), evaluate)
        budget = Budget(args.minutes, args.epochs, args.steps, args.patience)
        origin = origin_of(args.checkpoint, sets.fingerprint())
        best = Fit(net, recipe, budget, sets, Redrawn(sets, lungs, args.seed), args.out, args.seed, args.restart, origin).run()
        net.load_state_dict(torch.load(best, map_location="cpu")["average"])
    save_integer(to_integer(net), out / "integer.pickle")
    print(f"wrote {out / 'integer.pickle'}")


if __name__ == "__main__":
    run_program(main)
