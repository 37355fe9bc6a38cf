"""Trains the float network within a budget of minutes or of epochs."""
from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import cxrm
import tflite
from augment import HARD
from batches import Batch, as_batches
from data import CACHE, NEGATIVE, DataError, select
from fit import Budget, Fit, Recipe, Sets, load_sets, logits_of, mixed_precision, run_program, scores
from net import CLASSES, Net, load_float, load_folded
from origin import origin_of

PEAK, EMA_DECAY, REACH = 3e-4, 0.998, 0.2
GATE_WEIGHT = 0.3
LARGEST, BEYOND_WEIGHT = 20.0, 0.01
KEPT_BLOCKS = 3
TAUGHT = 0.8  # weight of the teachers' answers; the rest is the labels'
SHIPPED = str(Path(__file__).with_name("cxrlens.cxrm"))


def loss_of(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the classes on films; binary cross-entropy of the gate on all that is not two films at once. Outputs
    beyond LARGEST are pulled back: what is no film drives them to hundreds, from where a few hundred steps made a hundred
    million, and now and then a film went along."""
    is_film, single = batch.labels != NEGATIVE, batch.single
    gate = F.binary_cross_entropy_with_logits(logits[single, CLASSES], is_film[single].float())
    beyond = (logits.abs() - LARGEST).clamp_min(0).mean()
    return F.cross_entropy(logits[is_film, :CLASSES], batch.wanted[is_film]) + GATE_WEIGHT * gate + BEYOND_WEIGHT * beyond


class Teachers:
    """Trained networks whose mean answer is learned beside the labels. They see what the network in training sees, two films
    at once among it ("function matching" of Beyer et al., 2022), but before anything is covered or degraded."""

    def __init__(self, paths: list[str]):
        self.nets = [load_float(path) for path in paths]

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Batch:
        if not self.nets:
            return batch
        is_film = batch.labels != NEGATIVE
        films = batch.plain[is_film].contiguous(memory_format=torch.channels_last)
        with mixed_precision():
            logits = torch.stack([net(films)[:, :CLASSES].float() for net in self.nets]).mean(0)
        wanted = batch.wanted.clone()
        wanted[is_film] = TAUGHT * logits.softmax(1) + (1 - TAUGHT) * wanted[is_film]
        return batch._replace(wanted=wanted)


def start_file(init: str | None, out: Path, restart: bool) -> str:
    """The file to start from: `init`, else the weights that ship, else none. A new training takes a copy of it into its
    folder, by which it is resumed: export puts the new model in the place of the one it started from."""
    copies = list(out.glob("start.*"))
    if (out / "last.pt").exists() and not restart:
        return init or (str(copies[0]) if copies else "")
    path = init or (SHIPPED if os.path.exists(SHIPPED) else "")
    content = Path(path).read_bytes() if path else b""
    for copy in copies:
        copy.unlink()
    if not path:
        return ""
    out.mkdir(parents=True, exist_ok=True)
    copy = out / f"start{Path(path).suffix}"
    copy.write_bytes(content)
    return str(copy)


def start(path: str, sets: Sets, seed: int) -> Net:
    """A new network, from the file `path` or, without one, from random numbers."""
    if not path:
        print("starting from random weights: pass --init for a pretrained start")
        return Net()
    if path.endswith(".pt"):
        net = load_float(path).train()
    else:
        net = Net(fixed=True)
        module = cxrm if path.endswith(".cxrm") else tflite
        chosen = np.random.default_rng(seed).choice(select(sets.records, "train"), 96)
        load_folded(net, module.read_convolutions(path), next(as_batches(sets.films[chosen], count=96)))
    if path.endswith(".cxrm"):
        with torch.no_grad():
            for parameter, value in zip((net.head.weight, net.head.bias), cxrm.read_head(path)):
                parameter.copy_(value)
    if not path.endswith(".tflite"):  # its first layers know films already, and they are where most of the time goes
        for module in (net.stem, *net.blocks[:KEPT_BLOCKS]):
            module.requires_grad_(False)
    return net


def train(args: argparse.Namespace) -> Path:
    """The whole run; returns the best checkpoint's path."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.init and not os.path.exists(args.init):
        raise DataError(f"There is no {args.init} to start from.")
    for path in args.teacher:
        if not os.path.exists(path) or not path.endswith(".pt") or Path(path).resolve().parent == Path(args.out).resolve():
            raise DataError(f"{path} cannot teach: it is not there, no checkpoint (.pt), or in {args.out}, where the training "
                            "writes.")
    sets = load_sets(args.data, args.cache, args.quick)
    val = select(sets.records, "val")
    labels = np.array([sets.records[i].label for i in val])
    recipe = Recipe(args.peak, EMA_DECAY, loss_of, lambda net: scores(logits_of(net, sets.films[val]), labels), args.reach,
                    args.hard, Teachers(args.teacher))
    if args.restart:  # its weights are no longer those that were quantised
        (Path(args.out) / "quantised" / "last.pt").unlink(missing_ok=True)
    path = start_file(args.init, Path(args.out), args.restart)
    net, origin = start(path, sets, args.seed), origin_of(path, sets.fingerprint(), args.teacher)
    if origin.seen and not args.quick:
        print(f"note: {' or '.join([path, *args.teacher])} was trained on another data set or other splits. Films that it has "
              "seen may now be in val or test, and flatter their figures; an ImageNet start (--init with a .tflite) without "
              "teachers rules that out.")
    budget = Budget(args.minutes, args.epochs, args.steps, args.patience)
    return Fit(net, recipe, budget, sets, args.out, args.seed, args.restart, origin).run()


def common_arguments(description: str, out: str, minutes: float) -> argparse.ArgumentParser:
    """What both trainings take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", required=True, help="data set folder")
    parser.add_argument("--out", default=out, help="checkpoints and curves")
    parser.add_argument("--cache", default=CACHE, help="decoded images")
    parser.add_argument("--minutes", type=float, default=minutes, help="time for all epochs")
    parser.add_argument("--epochs", type=int, help="in place of --minutes")
    parser.add_argument("--steps", type=int, help="batches in an epoch (default: one pass over the films)")
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better score before stopping")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart", action="store_true", help="ignore the checkpoint in --out")
    parser.add_argument("--quick", action="store_true", help="a slice of the data, in three minutes")
    return parser


def main() -> None:
    parser = common_arguments(__doc__, "build/train", 72)
    parser.add_argument("--init", help="what to start from: .tflite (ImageNet MobileNetV2), .cxrm or a checkpoint")
    parser.add_argument("--teacher", action="append", default=[], help="a checkpoint whose answers are learned beside the "
                        "labels; given more than once, their mean")
    parser.add_argument("--peak", type=float, default=PEAK, help="highest learning rate")
    parser.add_argument("--reach", type=float, default=REACH, help="how far uphill each gradient is taken; 0: plain steps")
    parser.add_argument("--hard", type=float, default=HARD, help="share of films that are covered, erased and degraded")
    args = parser.parse_args()
    if args.quick:
        args.minutes, args.steps = 2, args.steps or 25
    train(args)


if __name__ == "__main__":
    run_program(main)
