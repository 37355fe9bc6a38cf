"""The training loop with its callbacks, for the float network (train.py) and the quantised one (quantise.py).

Every epoch ends with a checkpoint written whole or not at all, so a kill loses at most one epoch; starting
again with the same --out resumes. The learning rate follows the *progress* from 0 to 1, and at the end of each
epoch the number left is planned anew from the measured speed, so that a budget in minutes is kept on a busy
machine; the plan is part of the checkpoint. A plan in epochs is kept as given.
"""
from __future__ import annotations

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

from augment import HARD
from batches import BATCH, Batch, Batches, as_batches
from data import (INPUT, OPACITY, PUBLISHED, DataError, Record, check_classes, file_digest, load_or_explain,
                  read_films, read_negatives, replacing, run_in_sentences)
from net import CLASSES
from origin import Origin

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184",
             "MALLOC_TOP_PAD_": "268435456", "GOMP_SPINCOUNT": "0"}
WARM_UP, WEIGHT_DECAY, CLIP = 0.06, 0.03, 5.0


@dataclass
class Recipe:
    """What differs between the two trainings."""
    peak: float                   # learning rate
    ema_decay: float
    loss: Callable[[torch.Tensor, Batch], torch.Tensor]
    evaluate: Callable[[torch.nn.Module], dict[str, float]]  # figures of the averaged network on val
    reach: float = 0.0            # of `climb`; 0: plain steps
    hard: float = HARD            # share of films that also go through what fights shortcuts
    prepare: Callable[[Batch], Batch] = lambda batch: batch  # done once to each batch


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
    history: list = field(default_factory=list)
    finished: bool = False


@dataclass
class Sets:
    """The images in memory."""
    films: np.ndarray
    records: list[Record]
    negatives: np.ndarray
    negative_records: list[Record]

    def fingerprint(self) -> str:
        """SHA-256 of which image is which class in which split; a model file has that of its training as training.data."""
        lines = sorted(f"{r.id},{r.label},{r.split}" for r in self.records + self.negative_records)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def pixels(self) -> str:
        """SHA-256 of the films themselves: others may have come under the old names."""
        return hashlib.sha256(np.ascontiguousarray(self.films)).hexdigest()


def run_program(main: Callable[[], None]) -> None:
    """Runs `main` with malloc kept from returning memory, as page faults cost a third of the time: the program starts
    again for that."""
    if any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    run_in_sentences(main)


def load_sets(data: str, cache: str, quick: bool = False) -> Sets:
    """Films of all splits and negatives; with `quick` a slice of them."""
    records, negatives = read_films(data, cache), read_negatives(data)
    if quick:
        rng = np.random.default_rng(0)
        shuffled = [records[i] for i in rng.permutation(len(records))]
        records = [r for split, count in (("train", 800), ("val", 160), ("test", 160))
                   for r in [s for s in shuffled if s.split == split][:count]]
        negatives = [negatives[i] for i in rng.permutation(len(negatives))[:150]]
    films, kept = load_or_explain(records, cache)
    check_classes(kept)
    return Sets(films, kept, *load_or_explain(negatives, cache))


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
    """AdamW; biases and normalisation are not decayed."""
    learnt = [p for p in net.parameters() if p.requires_grad]
    decayed = [p for p in learnt if p.ndim > 1]
    others = [p for p in learnt if p.ndim <= 1]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": WEIGHT_DECAY},
                              {"params": others, "weight_decay": 0.0}], lr=peak)


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
def update_average(average: torch.nn.Module, net: torch.nn.Module, step: int, longest: float) -> None:
    """Exponential moving average of weights and normalisation statistics; young averages move faster."""
    decay = min(longest, (1 + step) / (10 + step))
    for a, b in zip(average.state_dict().values(), net.state_dict().values()):
        if a.dtype.is_floating_point:
            a.lerp_(b, 1 - decay)
        else:
            a.copy_(b)


@torch.no_grad()
def logits_of(net: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """Logits of plain images, in evaluation mode and in float32: bfloat16 would name one film in 250 otherwise."""
    net.eval()
    parts = [net(x.contiguous(memory_format=torch.channels_last)).numpy() for x in as_batches(images)]
    return np.concatenate(parts) if parts else np.empty((0, CLASSES + 1), np.float32)


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The least over one scale of the logits, which calibration will find."""
    x, y = torch.from_numpy(logits), torch.from_numpy(labels)
    return min(F.cross_entropy(x * scale, y).item() for scale in np.geomspace(0.5, 2, 41))


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy as it is, re-weighted to the published class shares, F1 of the hardest class, log loss, false refusals."""
    predicted = logits[:, :CLASSES].argmax(1)
    recall = np.array([(predicted[labels == c] == c).mean() for c in range(CLASSES)])
    hits = ((predicted == OPACITY) & (labels == OPACITY)).sum()
    f1 = 2 * hits / max(1, (predicted == OPACITY).sum() + (labels == OPACITY).sum())
    return {"accuracy": float((predicted == labels).mean()), "reweighted": float(recall @ PUBLISHED),
            "opacity_f1": float(f1), "log_loss": log_loss(logits[:, :CLASSES], labels),
            "refused": float((logits[:, CLASSES] < 0).mean())}


def score_of(result: dict[str, float]) -> float:
    """What checkpoints are chosen by: of a thousand films, accuracy is too coarse to tell them apart."""
    return -result["log_loss"]


def save_atomically(state: object, path: Path) -> None:
    """A full disk or a kill leaves the last good file. From memory, as torch ends the program where the disk is full."""
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
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
    epochs = [h["epoch"] for h in history]
    axes[0].plot(epochs, [float(h["loss"]) for h in history])
    axes[0].set(xlabel="epoch", ylabel="training loss")
    for key in ("accuracy", "reweighted", "opacity_f1"):
        axes[1].plot(epochs, [float(h[key]) for h in history], label=key)
    axes[1].set(xlabel="epoch", title="validation (averaged weights)")
    axes[1].legend()
    figure.tight_layout()
    figure.savefig(out / "curves.png", dpi=110)
    plt.close(figure)


class Fit:
    """One training: networks, optimiser, plan and output folder."""

    def __init__(self, net: torch.nn.Module, recipe: Recipe, budget: Budget, sets: Sets, out: str, seed: int,
                 restart: bool, origin: Origin):
        """`origin` is where the network comes from: with data and seed it tells which training a checkpoint is of."""
        self.recipe, self.budget, self.sets, self.seed = recipe, budget, sets, seed
        self.past = {"data": sets.fingerprint(), "start": origin.model, "seen": origin.seen, "teachers": len(origin.teachers)}
        digests = [file_digest(path) for path in (origin.path or os.devnull, *origin.teachers)]
        self.identity = [self.past["data"], sets.pixels(), *digests, seed, recipe.peak, recipe.reach, recipe.hard]
        self.out, self.plan = Path(out), Plan()
        self.out.mkdir(parents=True, exist_ok=True)
        self.net = net.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net)
        self.first = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.optimiser = optimiser_for(self.net, recipe.peak)
        if restart:
            (self.out / "last.pt").unlink(missing_ok=True)  # best.pt stays until another takes its place
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
        self.optimiser.load_state_dict(state["optimiser"])
        self.plan = Plan(**state["plan"])
        print(f"resuming after epoch {self.plan.epoch} (--restart to begin anew)", flush=True)

    def run(self) -> Path:
        """All epochs that are left; returns the path of the best checkpoint, which may be the start."""
        plan = self.plan
        if plan.finished:
            print(f"finished before: {self.out / 'best.pt'} (--restart to train again)", flush=True)
            return self.out / "best.pt"
        batches = Batches(self.sets.films, self.sets.records, self.sets.negatives, self.sets.negative_records, INPUT,
                          self.seed, self.recipe.hard)
        steps = self.budget.steps or batches.steps()
        self._replan(0.0 if self.budget.epochs else self._measure(batches, steps))
        print(f"{plan.left} epochs of {steps} steps", flush=True)
        if plan.epoch == 0:
            self._keep_best(self.average, score_of(self.recipe.evaluate(self.average)))
        while plan.left > 0:
            self._epoch(batches, steps)
            if plan.best_epoch and plan.epoch - plan.best_epoch >= self.budget.patience:  # the start is not waited for
                print(f"stopped early: no better validation score for {self.budget.patience} epochs", flush=True)
                plan.left = 0
        self._blend()
        plan.finished = True
        self._save()
        print(f"best validation score {plan.best:.4f} at epoch {plan.best_epoch}; {plan.seconds / 60:.1f} minutes")
        return self.out / "best.pt"

    def _keep_best(self, net: torch.nn.Module, score: float) -> None:
        """Writes the network down if none before scored better."""
        if score > self.plan.best:
            self.plan.best, self.plan.best_epoch = score, self.plan.epoch
            save_atomically({"average": net.state_dict(), "plan": asdict(self.plan), **self.past}, self.out / "best.pt")

    def _blend(self) -> None:
        """Takes the mean of the last weights and the best, or the first, where validation likes it better than either.

        The way back to the first is that of Wortsman et al., "Robust fine-tuning of zero-shot models" (2022).
        """
        last = self.average.state_dict()
        others = {"first": self.first}
        if 0 < self.plan.best_epoch < self.plan.epoch:  # or the best is the first or the last
            others["best"] = torch.load(self.out / "best.pt", map_location="cpu")["average"]
        for name, other in others.items():
            blend = copy.deepcopy(self.average)
            blend.load_state_dict({k: (v + other[k]) / 2 if v.dtype.is_floating_point else v for k, v in last.items()})
            score = score_of(self.recipe.evaluate(blend))
            print(f"mean of {name} and last: {score:.4f}", flush=True)
            self._keep_best(blend, score)

    def _replan(self, epoch_seconds: float) -> None:
        """How many epochs are left."""
        plan, budget = self.plan, self.budget
        if budget.epochs:
            plan.left = budget.epochs - plan.epoch
        elif plan.progress > 1 - 1e-6:
            plan.left = 0  # however much time is left: the rate has come down to nothing
        else:
            plan.left = max(0 if plan.epoch else 1, round((budget.minutes * 60 - plan.seconds) / epoch_seconds))

    def _measure(self, batches: Batches, steps: int) -> float:
        """Seconds of an epoch, measured on a copy of the network, so that measuring does not train."""
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
        batch = self.recipe.prepare(batch)
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
            logits = net(batch.images.contiguous(memory_format=torch.channels_last))
        loss = self.recipe.loss(logits.float(), batch)
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
                group["lr"] = learning_rate(plan.progress, self.recipe.peak)
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
        """Trains, validates, plans and writes everything down."""
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
        self._keep_best(self.average, score_of(result))
        self._save()
        write_curves(plan.history, self.out)

    def _save(self) -> None:
        save_atomically({"net": self.net.state_dict(), "average": self.average.state_dict(), "identity": self.identity,
                         "optimiser": self.optimiser.state_dict(), "plan": asdict(self.plan), **self.past},
                        self.out / "last.pt")
