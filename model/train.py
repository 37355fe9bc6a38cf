"""Trains the float network within a budget of minutes or of epochs."""
from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from dataset.augment import STRONG
from dataset.batches import Batches
from dataset.images import Sets, load_sets
from dataset.records import CLASSES, select
from files import DataError
from integer import cxrm
from integer.provenance import origin_of
from network import tflite
from network.losses import MAPS_WARM_UP, training_loss
from network.lungs import fit_lungs, lungs_of
from network.mobilenet import Net, load_float, load_folded
from network.trainer import Budget, Fit, Recipe, common_arguments, outputs_of, run_program, scores

PEAK, EMA_DECAY, FLAT = 1.5e-4, 0.998, 0.2
KEPT_BLOCKS = 3
SHIPPED = str(Path(__file__).with_name("cxrlens.cxrm"))


def start_file(init: str | None, out: Path, restart: bool) -> str:
    """The file to start from: `init`, else the shipped weights, else none. A new training copies the file into its folder and
    resumes from the copy, because export.py overwrites the shipped weights."""
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
        convolutions = cxrm.read_convolutions(path) if path.endswith(".cxrm") else tflite.read_convolutions(path)
        chosen = np.random.default_rng(seed).choice(select(sets.classes.records, "train"), 96)
        load_folded(net, convolutions, torch.from_numpy(sets.classes.pixels[chosen]).unsqueeze(1).float() / 255)
    if path.endswith(".cxrm"):
        cxrm.read_heads(path, net)
    if not path.endswith(".tflite"):  # the first layers know chest X-rays already and take most of the time
        for module in (net.stem, *net.blocks[:KEPT_BLOCKS]):
            module.requires_grad_(False)
    return net


@torch.no_grad()
def taught_by(checkpoints: list[str], pixels: np.ndarray) -> np.ndarray:
    """What trained networks together say of plain images and of their mirror images: the mean probability of each class."""
    seen = [outputs_of(load_float(c), x)[0][:, :CLASSES] for c in checkpoints for x in (pixels, pixels[:, :, ::-1])]
    return np.mean([torch.from_numpy(logits).softmax(1).numpy() for logits in seen], axis=0)


def open_reach(net: torch.nn.Module, step: int) -> None:
    """Lets the maps' gradients into the backbone gradually, while their new heads learn."""
    net.reach = min(1.0, step / MAPS_WARM_UP) ** 2


def train(args: argparse.Namespace) -> Path:
    """The whole run; returns the best checkpoint's path."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    for path, use in ((args.init, "start"), *((teacher, "learn") for teacher in args.teacher)):
        if path and not os.path.exists(path):
            raise DataError(f"There is no {path} to {use} from.")
    sets = load_sets(args.data, args.cache, args.quick)
    val, siim = sets.classes.split("val"), sets.siim.split("val")
    recipe = Recipe(args.peak, EMA_DECAY, training_loss, lambda net: scores(lambda x: outputs_of(net, x), val, siim),
                    args.flat, open_reach)
    if args.restart:  # it was made from weights that this training replaces
        (Path(args.out) / "quantised" / "last.pt").unlink(missing_ok=True)
    path = start_file(args.init, Path(args.out), args.restart)
    net, origin = start(path, sets, args.seed), origin_of(path, sets.fingerprint(), args.teacher)
    if origin.seen and not args.quick:
        print(f"note: {' or '.join((path, *args.teacher))} was trained on another data set or other splits. Images that it has "
              "seen may now be in val or test, and flatter their figures; an ImageNet start (--init with a .tflite) rules that out.")
    fit_lungs(net, sets, args.seed, 60 if args.quick else 500)
    lungs = {name: lungs_of(net, getattr(sets, name).split("train").pixels) for name in ("classes", "siim", "bacterial")}
    budget = Budget(args.minutes, args.epochs, args.steps, args.patience)
    batches = Batches(sets, lungs, args.seed, args.strong)
    if args.teacher:
        batches.learn_from(taught_by(args.teacher, batches.chest.pixels))
    return Fit(net, recipe, budget, sets, batches, args.out, args.seed, args.restart, origin).run()


def main() -> None:
    parser = common_arguments(__doc__, "build/train", 72)
    parser.add_argument("--init", help="what to start from: .tflite (ImageNet MobileNetV2), .cxrm or a checkpoint")
    parser.add_argument("--peak", type=float, default=PEAK, help="highest learning rate")
    parser.add_argument("--flat", type=float, default=FLAT, help="reach within which the loss shall stay low; 0: plain steps, faster")
    parser.add_argument("--strong", type=float, default=STRONG, help="share of images with strong augmentation")
    parser.add_argument("--teacher", nargs="+", default=[], metavar="CHECKPOINT",
                        help="trained networks whose mean answer to each image is most of what is learned")
    args = parser.parse_args()
    if args.quick:
        args.minutes, args.steps = 2, args.steps or 25
    train(args)


if __name__ == "__main__":
    run_program(main)
