"""Turns the float network into the integer one: chooses scales, then fine-tunes through rounding."""
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F

from batches import Batch
from data import NEGATIVE, read_at_input, replacing, select
from fit import Budget, Fit, Recipe, Sets, load_sets, run_program, scores
from integer import IntegerNet
from net import CLASSES, Net, load_float
from origin import origin_of
from quantnet import QuantNet, to_integer
from scales import calibrate_scales
from train import GATE_WEIGHT, common_arguments

CALIBRATION_FILMS = 256
PEAK, EMA_DECAY = 3e-5, 0.998


def imitation(net: Net) -> Callable[[torch.Tensor, Batch], torch.Tensor]:
    """Squared distance from the float network's class logits, less their mean, which says nothing; cross-entropy with
    what it says of the gate. The labels would draw the rounded network elsewhere."""

    def loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            wanted = net(batch.images.contiguous(memory_format=torch.channels_last))
        is_film = batch.labels != NEGATIVE
        error = (logits - wanted)[is_film, :CLASSES]
        classes = (error - error.mean(1, keepdim=True)).square().mean()
        gate = F.binary_cross_entropy_with_logits(logits[:, CLASSES], wanted[:, CLASSES].sigmoid())
        return classes + GATE_WEIGHT * gate

    return loss


def quantised(net: Net, sets: Sets, seed: int) -> QuantNet:
    """The float network with calibrated scales, not yet fine-tuned."""
    result = QuantNet(net)
    chosen = np.random.default_rng(seed).permutation(select(sets.records, "train"))[:CALIBRATION_FILMS]
    calibrate_scales(result, sets.films[chosen])
    return result


def save_integer(net: IntegerNet, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps(net))


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
    labels = np.array([sets.records[i].label for i in val])
    films = read_at_input([sets.records[i] for i in val])

    def evaluate(net: torch.nn.Module) -> dict[str, float]:
        return scores(to_integer(net).logits(films), labels)

    float_net = load_float(args.checkpoint)
    net = quantised(float_net, sets, args.seed)
    print("after calibration alone:", {k: round(v, 4) for k, v in evaluate(net).items()}, flush=True)
    if args.minutes > 0:
        recipe = Recipe(PEAK, EMA_DECAY, imitation(float_net), evaluate)
        budget = Budget(args.minutes, args.epochs, args.steps, args.patience)
        origin = origin_of(args.checkpoint, sets.fingerprint())
        best = Fit(net, recipe, budget, sets, args.out, args.seed, args.restart, origin).run()
        net.load_state_dict(torch.load(best, map_location="cpu")["average"])
    save_integer(to_integer(net), out / "integer.pickle")
    print(f"wrote {out / 'integer.pickle'}")


if __name__ == "__main__":
    run_program(main)
