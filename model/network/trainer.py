"""The training loop with its checkpoints, for the float network (train.py) and the fake-quantised one (quantise.py).

Every epoch ends with a checkpoint written whole or not at all, so a kill loses at most one epoch; starting
again with the same --out resumes. The learning rate follows the *progress* from 0 to 1, and at the end of each
epoch the number left is planned anew from the measured speed, so that a budget in minutes is kept on a busy
machine; the plan is part of the checkpoint. A plan in epochs is kept as given.
"""
from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import io
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from dataset.batches import BATCH, Batch, Batches, as_batches
from dataset.images import Images, Sets
from dataset.records import CACHE, CLASSES, COVID, NORMAL, OPACITY, PUBLISHED, labels_of
from files import DataError, file_digest, replacing, run_in_sentences
from network.mobilenet import Outputs

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184",
             "MALLOC_TOP_PAD_": "268435456", "GOMP_SPINCOUNT": "0"}
WARM_UP, WEIGHT_DECAY, CLIP = 0.06, 0.03, 1.0
LATER = 0.45  # share of the schedule after which epochs count for the mean of the later ones
OPACITIES_SHARE = 0.25  # of the opacities' two figures in the score
NEW_RATE = 3.0  # of the maps' heads, beside 1 of the backbone


@dataclass
class Origin:
    """Where a training starts."""
    path: str = ""   # none: random numbers
    model: str = ""  # id, version and SHA-256 of the model file that the chain of trainings came by last, if any
    seen: str = ""   # fingerprints of other data that the weights have seen, with commas between


@dataclass
class Recipe:
    """What differs between the two trainings."""
    peak: float                   # learning rate
    ema_decay: float
    loss: Callable[[Outputs, Batch], torch.Tensor]
    evaluate: Callable[[torch.nn.Module], dict[str, float]]  # figures of the averaged network on val, with `score`
    reach: float = 0.0            # of `climb`; 0: plain steps
    before_step: Callable[[torch.nn.Module, int], None] = lambda net, step: None


@dataclass
class Budget:
    """Minutes, or epochs."""
    minutes: float
    epochs: int | None
    steps: int | None
    patience: int


@dataclass
class Plan:
    """Where training stands and what is left; part of the checkpoint."""
    epoch: int = 0          # epochs done
    left: int = 1           # epochs to do
    progress: float = 0.0   # 0..1 along the learning-rate schedule
    seconds: float = 0.0    # spent so far
    best: float = -math.inf
    best_epoch: int = 0
    gathered: int = 0       # epochs in the mean of the later ones
    history: list = field(default_factory=list)
    finished: bool = False


def run_program(main: Callable[[], None]) -> None:
    """Restarts the program with an allocator that does not return memory to the system, then runs `main`: page faults cost a
    third of the time."""
    if any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    run_in_sentences(main)


def common_arguments(description: str, out: str, minutes: float) -> argparse.ArgumentParser:
    """The command-line arguments of both trainings."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", required=True, help="data set folder")
    parser.add_argument("--out", default=out, help="checkpoints and curves")
    parser.add_argument("--cache", default=CACHE, help="decoded images")
    parser.add_argument("--minutes", type=float, default=minutes, help="time for all epochs")
    parser.add_argument("--epochs", type=int, help="in place of --minutes")
    parser.add_argument("--steps", type=int, help="batches in an epoch (default: one pass over the images)")
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better score before stopping")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart", action="store_true", help="ignore the checkpoint in --out")
    parser.add_argument("--quick", action="store_true", help="a slice of the data, in three minutes")
    return parser


@lru_cache(maxsize=1)
def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16; where it is emulated it takes ten times as long as float32."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512_bf16" in cpuinfo.read_text()


def mixed_precision() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bf16())


def learning_rate(progress: float, peak: float) -> float:
    """One cycle: a linear rise, then a cosine down to almost nothing."""
    if progress < WARM_UP:
        return peak * (0.05 + 0.95 * progress / WARM_UP)
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))))


def optimiser_for(net: torch.nn.Module, peak: float) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation are not decayed; the maps' heads, which start from nothing, have a rate of their own."""
    groups: dict[tuple[bool, bool], list] = {}
    for name, p in net.named_parameters():
        if p.requires_grad:
            groups.setdefault((p.ndim > 1, name.startswith(("lungs.", "opacities."))), []).append(p)
    return torch.optim.AdamW([{"params": params, "weight_decay": WEIGHT_DECAY if decayed else 0.0, "factor": NEW_RATE if new else 1.0}
                              for (decayed, new), params in groups.items()], lr=peak)


@torch.no_grad()
def climb(parameters: list[torch.nn.Parameter], reach: float) -> list[torch.Tensor]:
    """Moves the weights to where the loss is about highest within reach, each in proportion to its size; returns them as
    they were. Gradients from there lead to flat minima, where rounding, too, costs nothing ("ASAM" of Kwon et al., 2021)."""
    before = [p.clone() for p in parameters]
    sizes = [p.abs() if p.ndim > 1 else torch.ones(()) for p in parameters]
    uphill = [s * p.grad for s, p in zip(sizes, parameters)]
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(u) for u in uphill])).clamp_min(1e-12)
    for p, s, u in zip(parameters, sizes, uphill):
        p.add_(s * u * (reach / length))
    return before


@torch.no_grad()
def approach(average: torch.nn.Module, net: torch.nn.Module, share: float) -> None:
    """Moves weights and normalisation statistics of `average` towards those of `net` by a share of the distance."""
    for a, b in zip(average.state_dict().values(), net.state_dict().values()):
        if a.dtype.is_floating_point:
            a.lerp_(b, share)
        else:
            a.copy_(b)


def update_average(average: torch.nn.Module, net: torch.nn.Module, step: int, longest: float) -> None:
    """Exponential moving average of weights and normalisation statistics; young averages move faster."""
    approach(average, net, 1 - min(longest, (1 + step) / (10 + step)))


@torch.no_grad()
def outputs_of(net: torch.nn.Module, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits and both maps of plain images, in evaluation mode and in float32: bfloat16 would change one class in 250."""
    net.eval()
    parts = [net(x.contiguous(memory_format=torch.channels_last)) for x in as_batches(pixels)]
    return tuple(np.concatenate([getattr(p, name).numpy() for p in parts]) for name in Outputs._fields)


def log_loss(logits: np.ndarray, labels: np.ndarray, scale: float) -> float:
    return F.cross_entropy(torch.from_numpy(logits) * scale, torch.from_numpy(labels)).item()


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve, by ranks; ties count by half."""
    _, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[at]
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / max(1, n * (len(scores) - n)))


def pointing(opacities: np.ndarray, images: Images) -> float:
    """Share of boxed images whose largest opacity cell has its centre in a box (the "pointing game")."""
    hits = count = 0
    cells = opacities.shape[-1]
    for values, frame, record in zip(opacities, images.frames, images.records):
        if not record.boxes:
            continue
        row, column = np.unravel_index(values.argmax(), values.shape)
        x, y = frame[0] + frame[2] * (column + 0.5) / cells, frame[1] + frame[3] * (row + 0.5) / cells
        hits += any(left <= x <= left + w and top <= y <= top + h for left, top, w, h in record.boxes)
        count += 1
    return hits / max(1, count)


def class_figures(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy as it is, re-weighted to the published class shares, F1 of the hardest class, false refusals."""
    predicted = logits[:, :CLASSES].argmax(1)
    recall = np.array([(predicted[labels == c] == c).mean() for c in range(CLASSES)])
    hits = ((predicted == OPACITY) & (labels == OPACITY)).sum()
    f1 = 2 * hits / max(1, (predicted == OPACITY).sum() + (labels == OPACITY).sum())
    return {"accuracy": float((predicted == labels).mean()), "reweighted": float(recall @ PUBLISHED),
            "opacity_f1": float(f1), "refused": float((logits[:, CLASSES] < 0).mean())}


def scores(net: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]], classes: Images, siim: Images) -> dict[str, float]:
    """Figures on validation images of both collections. `score`, which checkpoints are chosen by, is the mean of both
    collections' negative log loss at the one scale of the logits that suits them best: accuracy is too coarse to tell
    checkpoints apart, and one collection alone would be won by knowing the source. What the opacities lack of a perfect area
    under the curve and of perfect pointing is taken off."""
    kept = np.array([i for i, r in enumerate(classes.records) if not r.contradicts])
    clear = np.array([i for i, r in enumerate(siim.records) if r.reading in ("typical", "negative")], np.int64)
    logits, _, _ = net(classes.pixels[kept])
    labels = labels_of(classes.records)[kept]
    result = class_figures(logits, labels)
    if not len(clear):
        return {**result, "score": -min(log_loss(logits[:, :CLASSES], labels, s) for s in np.geomspace(0.5, 2, 41))}
    other, _, opacities = net(siim.pixels)
    truth = labels_of(siim.records)[clear]
    losses = [(log_loss(logits[:, :CLASSES], labels, s), log_loss(other[clear, :CLASSES], truth, s))
              for s in np.geomspace(0.5, 2, 41)]
    own, theirs = min(losses, key=sum)
    p = F.softmax(torch.from_numpy(other[clear, :CLASSES]), 1).numpy()
    boxed = np.array([bool(r.boxes) for r in siim.records])
    clean = np.array([r.boxes == () for r in siim.records])
    largest = opacities.max((1, 2))
    found, pointed = auc(largest[boxed | clean], boxed[boxed | clean]), pointing(opacities, siim)
    return {**result, "log_loss": own, "siim_log_loss": theirs, "contrast_auc": auc(1 - p[:, NORMAL], truth == COVID),
            "negative_covid": float((p.argmax(1) == COVID)[truth == NORMAL].mean()),
            "typical_covid": float((p.argmax(1) == COVID)[truth == COVID].mean()),
            "opacity_auc": found, "pointing": pointed,
            "score": -(own + theirs) / 2 - OPACITIES_SHARE * (2 - found - pointed)}


def save_atomically(state: object, path: Path) -> None:
    """Replaces the file only when the new one is complete. Serialises to memory first: on a full disk torch ends the program."""
    content = io.BytesIO()
    torch.save(state, content)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def write_curves(history: list[dict], out: Path) -> None:
    """curves.csv and curves.png."""
    with replacing(out / "curves.csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots(1, 2)
    epochs = [h["epoch"] for h in history]
    axes[0].plot(epochs, [float(h["loss"]) for h in history])
    axes[0].set(xlabel="epoch", ylabel="training loss")
    for key in [k for k in ("accuracy", "reweighted", "opacity_f1", "contrast_auc", "pointing") if k in history[0]]:
        axes[1].plot(epochs, [float(h[key]) for h in history], label=key)
    axes[1].set(xlabel="epoch", title="validation (averaged weights)")
    axes[1].legend()
    figure.tight_layout()
    figure.savefig(out / "curves.png", dpi=110)


class Fit:
    """One training: networks, optimiser, plan and output folder."""

    def __init__(self, net: torch.nn.Module, recipe: Recipe, budget: Budget, sets: Sets, batches: Batches, out: str, seed: int,
                 restart: bool, origin: Origin):
        """`origin` is where the network comes from: with data and seed it tells which training a checkpoint is of."""
        self.recipe, self.budget, self.batches, self.seed = recipe, budget, batches, seed
        self.past = {"data": sets.fingerprint(), "start": origin.model, "seen": origin.seen}
        self.identity = [self.past["data"], sets.digest(), file_digest(origin.path or os.devnull), seed, recipe.peak,
                         recipe.reach, batches.strong, hashlib.sha256(batches.wanted.tobytes()).hexdigest()]
        self.out, self.plan = Path(out), Plan()
        self.out.mkdir(parents=True, exist_ok=True)
        self.net = net.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net)
        self.first = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.later = copy.deepcopy(self.net)
        self.optimiser = optimiser_for(self.net, recipe.peak)
        if restart:
            (self.out / "last.pt").unlink(missing_ok=True)  # best.pt stays until a better one replaces it
        self._resume()

    def _resume(self) -> None:
        if not (self.out / "last.pt").exists():
            return
        state = torch.load(self.out / "last.pt", map_location="cpu")
        if state.get("identity") != self.identity:
            raise DataError(f"{self.out} holds a training of other data, another start or other settings: --restart (make "
                            "train RESTART=1) begins anew there, --out names another folder.")
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.later.load_state_dict(state["later"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.plan = Plan(**state["plan"])
        print(f"resuming after epoch {self.plan.epoch} (--restart to begin anew)", flush=True)

    def run(self) -> Path:
        """All epochs that are left; returns the path of the best checkpoint, which may be the start."""
        plan = self.plan
        if plan.finished:
            print(f"finished before: {self.out / 'best.pt'} (--restart to train again)", flush=True)
            return self.out / "best.pt"
        batches = self.batches
        steps = self.budget.steps or batches.steps()
        self._replan(0.0 if self.budget.epochs else self._measure(batches, steps))
        print(f"{plan.left} epochs of {steps} steps", flush=True)
        if plan.epoch == 0:
            self._keep_best(self.average, self.recipe.evaluate(self.average)["score"])
        while plan.left > 0:
            self._epoch(batches, steps)
            if plan.best_epoch and plan.epoch - plan.best_epoch >= self.budget.patience:  # not counted from the untrained start
                print(f"stopped early: no better validation score for {self.budget.patience} epochs", flush=True)
                plan.left = 0
        self._blend()
        plan.finished = True
        self._save()
        print(f"best validation score {plan.best:.4f} at epoch {plan.best_epoch}; {plan.seconds / 60:.1f} minutes")
        return self.out / "best.pt"

    def _keep_best(self, net: torch.nn.Module, score: float) -> None:
        """Saves the network if its score is the best so far."""
        if score > self.plan.best:
            self.plan.best, self.plan.best_epoch = score, self.plan.epoch
            self._save_network(net, "best.pt")

    def _save_network(self, net: torch.nn.Module, name: str) -> None:
        save_atomically({"average": net.state_dict(), "plan": asdict(self.plan), **self.past}, self.out / name)

    def _gather(self) -> None:
        """Adds the weights to the mean of the later epochs. They lie around a minimum that none of them reaches (Izmailov et al.,
        "Averaging weights leads to wider optima and better generalization", 2018)."""
        if self.plan.progress < LATER:
            return
        self.plan.gathered += 1
        approach(self.later, self.average, 1 / self.plan.gathered)

    def _blend(self) -> None:
        """Averages the last weights with the best and with the first, and keeps an average that scores better, or the mean of the
        later epochs if that does. later.pt has that mean in any case.

        Averaging with the first is from Wortsman et al., "Robust fine-tuning of zero-shot models" (2022).
        """
        if self.plan.gathered:
            score = self.recipe.evaluate(self.later)["score"]
            print(f"mean of the last {self.plan.gathered} epochs: {score:.4f}", flush=True)
            self._keep_best(self.later, score)
            self._save_network(self.later, "later.pt")
        last = self.average.state_dict()
        others = {"first": self.first}
        if 0 < self.plan.best_epoch < self.plan.epoch:  # otherwise the best is the first or the last
            others["best"] = torch.load(self.out / "best.pt", map_location="cpu")["average"]
        for name, other in others.items():
            blend = copy.deepcopy(self.average)
            blend.load_state_dict({k: (v + other[k]) / 2 if v.dtype.is_floating_point else v for k, v in last.items()})
            score = self.recipe.evaluate(blend)["score"]
            print(f"mean of {name} and last: {score:.4f}", flush=True)
            self._keep_best(blend, score)

    def _replan(self, epoch_seconds: float) -> None:
        """How many epochs are left."""
        plan, budget = self.plan, self.budget
        if budget.epochs:
            plan.left = budget.epochs - plan.epoch
        elif plan.progress > 1 - 1e-6:
            plan.left = 0  # even with time left: the learning rate has reached its end
        else:
            plan.left = max(0 if plan.epoch else 1, round((budget.minutes * 60 - plan.seconds) / epoch_seconds))

    def _measure(self, batches: Batches, steps: int) -> float:
        """Seconds per epoch, measured on a copy of the network, so that the measurement does not train it."""
        trial, count, skipped = copy.deepcopy(self.net), 10, 3
        optimiser, began = optimiser_for(trial, self.recipe.peak), 0.0
        for i, batch in enumerate(batches.epoch(10 ** 6, count)):
            if i == skipped:
                began = time.time()
            self._step(trial, optimiser, batch)
        return (time.time() - began) / (count - skipped) * steps * 1.05  # and the validation

    def _step(self, net: torch.nn.Module, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
        """Returns the loss before the step."""
        learnt = [p for p in net.parameters() if p.requires_grad]
        if not self.recipe.reach:
            loss = self._backward(net, optimiser, batch)
        else:
            loss = self._backward(net, optimiser, Batch(*(part[::2] for part in batch)))  # half shows the way well enough
            before = climb(learnt, self.recipe.reach)
            self._backward(net, optimiser, batch)
            with torch.no_grad():
                for p, value in zip(learnt, before):
                    p.copy_(value)
        torch.nn.utils.clip_grad_norm_(learnt, CLIP)
        optimiser.step()
        return loss

    def _backward(self, net: torch.nn.Module, optimiser: torch.optim.Optimizer, batch: Batch) -> float:
        """Fills in the gradients; returns the loss."""
        with mixed_precision():
            outputs = net(batch.images.contiguous(memory_format=torch.channels_last))
        loss = self.recipe.loss(outputs, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        return loss.item()

    def _train(self, batches: Batches, steps: int) -> float:
        """One pass; advances the plan's progress; returns the mean loss."""
        plan, began, total = self.plan, time.time(), 0.0
        self.net.train()
        advance = (1 - plan.progress) / (plan.left * steps)
        for i, batch in enumerate(batches.epoch(plan.epoch, steps), 1):
            for group in self.optimiser.param_groups:
                group["lr"] = group["factor"] * learning_rate(plan.progress, self.recipe.peak)
            self.recipe.before_step(self.net, plan.epoch * steps + i)
            total += self._step(self.net, self.optimiser, batch)
            update_average(self.average, self.net, plan.epoch * steps + i, self.recipe.ema_decay)
            plan.progress += advance
            if i % 25 == 0 or i == steps:
                each = (time.time() - began) / i
                rest = each * (steps - i + (plan.left - 1) * steps)
                print(f"epoch {plan.epoch + 1}  {i}/{steps}  loss {total / i:.4f}  {BATCH / each:.0f} img/s  "
                      f"ends in {rest / 60:.1f} min", flush=True)
        return total / steps

    def _epoch(self, batches: Batches, steps: int) -> None:
        """Trains, validates, plans the rest and saves the checkpoints."""
        plan, began = self.plan, time.time()
        loss = self._train(batches, steps)
        result = self.recipe.evaluate(self.average)
        plan.epoch += 1
        seconds = time.time() - began
        plan.seconds += seconds
        row = {"epoch": plan.epoch, "rate": f"{learning_rate(plan.progress, self.recipe.peak):.2e}",
               "loss": f"{loss:.4f}", **{k: f"{v:.4f}" for k, v in result.items()}, "seconds": f"{seconds:.0f}"}
        plan.history.append(row)
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
        self._replan(seconds)
        self._gather()
        self._keep_best(self.average, result["score"])
        self._save()
        write_curves(plan.history, self.out)

    def _save(self) -> None:
        save_atomically({"net": self.net.state_dict(), "average": self.average.state_dict(),
                         "later": self.later.state_dict(), "identity": self.identity,
                         "optimiser": self.optimiser.state_dict(), "plan": asdict(self.plan), **self.past},
                        self.out / "last.pt")
