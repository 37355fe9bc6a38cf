"""Draws training batches, seeded: images at fixed shares, augmented, with all their targets."""
from __future__ import annotations

import queue
import threading
from typing import Callable, Iterator, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from dataset.augment import MADE_KINDS, STRONG, augment, change_outside, erase_lungs, make_negatives
from dataset.images import Images, Sets, read_mask
from dataset.records import CLASSES, COVID, NEGATIVE, NO_CLASS, NORMAL, OPACITY, Record

BATCH = 32
REAL_NEGATIVES, MADE_NEGATIVES = 2, 2  # of each batch: the gate's counter-examples, an eighth
# Shares of the sets among chest X-rays; a set that is missing gives its share to the others.
SET_SHARES = {"classes": 0.55, "siim": 0.38, "bacterial": 0.07}
# Shares in a set. Of the classes: square root of the counts, then lung opacity raised, since it is the class most often
# missed and its images are the least easily told from another class (normal adults of the same source).
CLASS_SHARES = np.array([0.35, 0.29, 0.13, 0.23])
BOXED = 2.0  # how much oftener than its neighbours a boxed image of the classes is drawn: RSNA has only 310
READING_SHARES = {"typical": 0.42, "negative": 0.36, "indeterminate": 0.14, "atypical": 0.08}
# Class probabilities that a reading teaches, and its weight: of the last two the radiologists were not sure themselves.
# The first two are certain to nine in ten only: readers differ, and the network would memorise these few images.
READING_TARGETS = {"typical": ({COVID: 0.92, NORMAL: 0.05, OPACITY: 0.03}, 1.0),
                   "negative": ({NORMAL: 0.92, COVID: 0.05, OPACITY: 0.03}, 1.0),
                   "indeterminate": ({COVID: 0.5, OPACITY: 0.5}, 0.5), "atypical": ({COVID: 0.25, OPACITY: 0.75}, 0.5)}
SMOOTHING = 0.03
TEACHER_SHARE = 0.7  # of what the classes learn, where there is a teacher
# Share of the images that are mixed with another one ("mixup", Zhang et al. 2018), so that the network cannot memorise the few
# images of a class. Mixed images do not teach the maps.
MIXED = 0.35
MIXED_TAUGHT = 0.2  # with a teacher, whose answers are hard to memorise
ERASED = 0.04  # share of images whose lungs are erased: they teach equal probabilities for all classes
TARGET = 48    # side of the maps' targets, before they are pooled to the network's
CLEAR_WEIGHT = 0.4    # of a clear image, beside 1 of a boxed image, in what teaches the opacities
IMPLIED_WEIGHT = 0.3  # of an image whose diagnosis implies an opacity


class Batch(NamedTuple):
    images: torch.Tensor     # N x 1 x S x S in [0, 1]
    labels: torch.Tensor     # class index, NO_CLASS or NEGATIVE
    wanted: torch.Tensor     # N x CLASSES: the probabilities to learn
    weight: torch.Tensor     # N: of the class loss; 0: the class is not taught
    whole: torch.Tensor      # N: neither mixed with another image nor erased
    opacities: torch.Tensor  # N x S/16 x S/16: share of each cell within a box
    opacities_weight: torch.Tensor  # N: 0 where nobody looked
    present: torch.Tensor    # N: 1 where an opacity lies somewhere in the lungs, 0 where none does
    present_weight: torch.Tensor    # N: 0 where neither is known
    lungs: torch.Tensor      # N x S/8 x S/8: share of each cell that is lung
    lungs_weight: torch.Tensor      # N: 0 without a mask
    before: torch.Tensor     # the images before they were stored anew, if they were


def image_probabilities(records: list[Record]) -> np.ndarray:
    """Probability of drawing each image of a set: fixed shares of the classes or readings, divided within each in proportion
    to the sources' counts to the power 0.7.

    Without that power children would be rare among normal images, while every viral pneumonia is a child's.
    """
    groups = np.array([r.reading if r.source == "siim" else str(r.label) for r in records])
    sources = np.array([r.source for r in records])
    boxed = np.array([bool(r.boxes) and r.source != "siim" for r in records])
    shares_of = {**READING_SHARES, **{str(c): share for c, share in enumerate(CLASS_SHARES)}, str(NO_CLASS): 1.0}
    result = np.zeros(len(records))
    for group in np.unique(groups):
        of_group = groups == group
        names, counts = np.unique(sources[of_group], return_counts=True)
        shares = counts ** 0.7 / (counts ** 0.7).sum()
        for name, share in zip(names, shares):
            chosen = of_group & (sources == name)
            likely = np.where(boxed[chosen], BOXED, 1.0)
            result[chosen] = shares_of[str(group)] * share * likely / likely.sum()
    return result / result.sum()


def wanted_of(record: Record) -> tuple[np.ndarray, float]:
    """The probabilities that an image teaches, and their weight."""
    classes, weight = READING_TARGETS[record.reading] if record.source == "siim" else ({record.label: 1.0}, 1.0)
    if record.label == NO_CLASS or record.contradicts:
        return np.full(CLASSES, 1 / CLASSES), 0.0
    wanted = np.zeros(CLASSES)
    for c, share in classes.items():
        wanted[c] = share
    return (1 - SMOOTHING) * wanted + SMOOTHING / CLASSES, weight


def boxes_map(record: Record, frame: np.ndarray) -> np.ndarray:
    """The boxes over the frame, TARGET x TARGET, 0 or 1."""
    result = np.zeros((TARGET, TARGET), np.float32)
    x, y, width, height = frame
    for left, top, w, h in record.boxes or ():
        across = [int(np.clip(round((v - x) / width * TARGET), 0, TARGET)) for v in (left, left + w)]
        down = [int(np.clip(round((v - y) / height * TARGET), 0, TARGET)) for v in (top, top + h)]
        result[down[0]:down[1], across[0]:across[1]] = 1
    return result


def ahead(draw: Callable[[], Batch], count: int) -> Iterator[Batch]:
    """Draws two batches ahead in another thread, because training leaves parts of the cores idle."""
    ready: queue.Queue = queue.Queue(maxsize=2)

    def work() -> None:
        torch.set_num_threads(1)  # of this thread only
        try:
            for _ in range(count):
                ready.put(draw())
        except BaseException as error:  # re-raised by the reader, which would otherwise wait for ever
            ready.put(error)

    threading.Thread(target=work, daemon=True).start()
    for _ in range(count):
        batch = ready.get()
        if isinstance(batch, BaseException):
            raise batch
        yield batch


class Batches:
    """The training images of all sets. `lungs` holds, for each set, the lungs as a first network outlines them, u8 N x T x T."""

    def __init__(self, sets: Sets, lungs: dict[str, np.ndarray], seed: int, strong: float = STRONG):
        parts = {name: getattr(sets, name).split("train") for name in SET_SHARES if len(getattr(sets, name))}
        self.chest = Images(np.concatenate([p.pixels for p in parts.values()]),
                            np.concatenate([p.frames for p in parts.values()]), [r for p in parts.values() for r in p.records])
        self.lungs = np.concatenate([lungs[name] for name in parts])
        self.probabilities = np.concatenate([SET_SHARES[n] * image_probabilities(p.records) for n, p in parts.items()])
        self.probabilities /= self.probabilities.sum()
        taught = [wanted_of(r) for r in self.chest.records]
        self.wanted, self.weight = np.stack([w for w, _ in taught]), np.array([w for _, w in taught])
        self.negatives = sets.negatives.split("train")
        kinds = np.array([r.source for r in self.negatives.records])
        counts = np.array([(kinds == k).sum() for k in kinds], float)
        self.negative_probabilities = counts ** -0.5 / (counts ** -0.5).sum() if len(kinds) else None
        self.seed, self.strong, self.taught = seed, strong, False
        self.real = REAL_NEGATIVES if len(kinds) else 0
        self.made = REAL_NEGATIVES + MADE_NEGATIVES - self.real

    def learn_from(self, answers: np.ndarray) -> None:
        """Has the classes learned mostly from a teacher's answers to the plain images, N x CLASSES. They do not change with what is
        done to an image, and they know which labels nobody could read from it (knowledge distillation, Hinton et al. 2015)."""
        self.taught = True
        self.wanted = np.where(self.weight[:, None] > 0, TEACHER_SHARE * answers + (1 - TEACHER_SHARE) * self.wanted, self.wanted)

    def steps(self) -> int:
        """Batches per epoch: as many draws as there are chest X-rays."""
        return max(1, len(self.chest) // (BATCH - self.real - self.made))

    def epoch(self, number: int, steps: int) -> Iterator[Batch]:
        """The batches of one epoch; the same number gives the same batches."""
        rng = np.random.default_rng([self.seed, number])
        return ahead(lambda: self._draw(rng), steps)

    def _maps(self, rows: np.ndarray) -> np.ndarray:
        """Boxes and masks, N x 2 x TARGET x TARGET."""
        result = np.zeros((len(rows), 2, TARGET, TARGET), np.float32)
        for out, row in zip(result, rows):
            record, frame = self.chest.records[row], self.chest.frames[row]
            out[0] = boxes_map(record, frame)
            if record.mask:
                out[1] = read_mask(record, frame, TARGET)
        return result

    def _draw(self, rng: np.random.Generator) -> Batch:
        rows = rng.choice(len(self.chest), BATCH - self.real, p=self.probabilities)
        chest = BATCH - self.real - self.made  # the first rows stay chest X-rays
        x = torch.from_numpy(self.chest.pixels[rows]).unsqueeze(1).float() / 255
        lungs = torch.from_numpy(self.lungs[rows]).unsqueeze(1).float() / 255
        maps = torch.from_numpy(self._maps(rows))
        x[:chest] = change_outside(x[:chest], lungs[:chest], rng)
        erased = np.flatnonzero(rng.random(chest) < ERASED)
        if len(erased):
            x[erased] = erase_lungs(x[erased], lungs[erased], rng)
        x, maps = augment(x, maps, rng, self.strong)
        x[chest:] = make_negatives(x[chest:], rng.integers(len(MADE_KINDS), size=self.made), rng)
        if self.real:
            chosen = rng.choice(len(self.negatives), self.real, p=self.negative_probabilities)
            other = torch.from_numpy(self.negatives.pixels[chosen]).unsqueeze(1).float() / 255
            x = torch.cat([x, augment(other, torch.zeros(self.real, 1, 2, 2), rng, self.strong)[0]])
        return self._labelled(x, maps[:chest], rows[:chest], erased, rng)

    def _labelled(self, x: torch.Tensor, maps: torch.Tensor, rows: np.ndarray, erased: np.ndarray,
                  rng: np.random.Generator) -> Batch:
        """Mixes some of the chest X-rays (the first rows of `x`) and adds all targets and weights."""
        n, records = len(rows), [self.chest.records[i] for i in rows]
        share = np.where(rng.random(n) < (MIXED_TAUGHT if self.taught else MIXED), rng.uniform(0.5, 1, n), 1)
        share[erased] = 1
        partners = rng.permutation(n)
        own, weight = self.wanted[rows], self.weight[rows]
        wanted = share[:, None] * own + (1 - share[:, None]) * own[partners]
        weight = weight * np.where(share < 1, weight[partners], 1)
        wanted[erased] = 1 / CLASSES
        mix = torch.from_numpy(share.astype(np.float32)).reshape(-1, 1, 1, 1)
        x[:n] = mix * x[:n] + (1 - mix) * x[:n][partners]
        whole = share == 1
        whole[erased] = False
        boxed = np.array([0.0 if r.boxes is None else 1.0 if r.boxes else CLEAR_WEIGHT for r in records])
        masked = np.array([float(bool(r.mask)) for r in records])
        implied = np.array([r.boxes is None and (r.label in (NO_CLASS, OPACITY) or r.source == "kermany") for r in records])
        present_weight = np.where(implied, IMPLIED_WEIGHT, boxed) * whole

        def padded(values: np.ndarray | torch.Tensor, fill: float = 0) -> torch.Tensor:
            values = torch.as_tensor(values)
            return torch.cat([values, torch.full((len(x) - n, *values.shape[1:]), fill, dtype=values.dtype)])

        return Batch(x, padded(np.array([r.label for r in records]), NEGATIVE), padded(wanted.astype(np.float32)),
                     padded(weight.astype(np.float32)), padded(whole, True),
                     padded(F.avg_pool2d(maps[:, 0], TARGET // 12)), padded((boxed * whole).astype(np.float32)),
                     padded((implied | (boxed == 1)).astype(np.float32)), padded(present_weight.astype(np.float32)),
                     padded(F.avg_pool2d(maps[:, 1], TARGET // 24)), padded((masked * whole).astype(np.float32)), x)


def as_batches(pixels: np.ndarray, count: int = 64) -> Iterator[torch.Tensor]:
    """Plain images (u8 N x S x S) as float batches, for evaluation."""
    for start in range(0, len(pixels), count):
        yield torch.from_numpy(np.ascontiguousarray(pixels[start:start + count])).unsqueeze(1).float() / 255
