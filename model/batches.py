"""Draws training batches: which films, which negatives, at which size, and their labels. Seeded."""
from __future__ import annotations

import queue
import threading
from typing import Callable, Iterator, NamedTuple

import numpy as np
import torch
from PIL import Image

from augment import HARD, MADE_KINDS, augment, make_negatives
from data import INPUT, NEGATIVE, Record, select
from net import CLASSES

BATCH = 32
REAL_NEGATIVES, MADE_NEGATIVES = 2, 2  # of each batch: the gate's counter-examples, an eighth
# Shares in a batch. Square root of the class counts, then lung opacity raised: it is the class most often
# missed and its films are the least easily told from another class (normal adults of the same source).
CLASS_SHARES = np.array([0.40, 0.24, 0.13, 0.23])
# Share of the films that another one is laid over, against learning the few films of a class by heart: "mixup" of Zhang
# et al. (2018).
MIXED = 0.5


class Batch(NamedTuple):
    images: torch.Tensor  # N x 1 x S x S in [0, 1]
    plain: torch.Tensor   # the same, without what covers and degrades
    labels: torch.Tensor  # class index, or NEGATIVE
    wanted: torch.Tensor  # N x CLASSES: the probabilities to learn; two classes where another film is laid over
    single: torch.Tensor  # whether no other film is laid over


def film_probabilities(records: list[Record], indices: np.ndarray) -> np.ndarray:
    """Chance of each film: fixed class shares, and within a class the sources' counts to the power 0.7.

    Without the second, children are rare among normals while every viral pneumonia is a child's.
    """
    labels = np.array([records[i].label for i in indices])
    sources = np.array([records[i].source for i in indices])
    result = np.zeros(len(indices))
    for label in np.unique(labels):
        of_class = labels == label
        names, counts = np.unique(sources[of_class], return_counts=True)
        shares = counts ** 0.7 / (counts ** 0.7).sum()
        for name, count, share in zip(names, counts, shares):
            result[of_class & (sources == name)] = CLASS_SHARES[label] * share / count
    return result / result.sum()


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """The cached images at another size."""
    if size == images.shape[1]:
        return images
    return np.stack([np.asarray(Image.fromarray(i).resize((size, size), Image.BICUBIC)) for i in images])


def ahead(draw: Callable[[], Batch], count: int) -> Iterator[Batch]:
    """Draws in a thread of its own, two batches ahead: the network leaves parts of the cores idle."""
    ready: queue.Queue = queue.Queue(maxsize=2)

    def work() -> None:
        torch.set_num_threads(1)  # of this thread only
        try:
            for _ in range(count):
                ready.put(draw())
        except BaseException as error:  # handed on, or the reader would wait for ever
            ready.put(error)

    threading.Thread(target=work, daemon=True).start()
    for _ in range(count):
        batch = ready.get()
        if isinstance(batch, BaseException):
            raise batch
        yield batch


class Batches:
    """The training set at one image size."""

    def __init__(self, films: np.ndarray, film_records: list[Record], negatives: np.ndarray,
                 negative_records: list[Record], size: int, seed: int, hard: float = HARD):
        self.train = select(film_records, "train")
        self.labels = np.array([r.label for r in film_records])
        self.probabilities = film_probabilities(film_records, self.train)
        self.films = resized(films[self.train], size)
        chosen = select(negative_records, "train")
        self.negatives = resized(negatives[chosen], size) if len(chosen) else np.empty((0, size, size), np.uint8)
        kinds = np.array([negative_records[i].source for i in chosen])
        counts = np.array([(kinds == k).sum() for k in kinds], float)
        self.negative_probabilities = counts ** -0.5 / (counts ** -0.5).sum() if len(chosen) else None
        self.size, self.seed, self.hard = size, seed, hard
        self.real = REAL_NEGATIVES if len(chosen) else 0
        self.made = REAL_NEGATIVES + MADE_NEGATIVES - self.real

    def steps(self) -> int:
        """Batches in which as many films are drawn as there are."""
        return max(1, len(self.train) // (BATCH - self.real - self.made))

    def epoch(self, number: int, steps: int) -> Iterator[Batch]:
        """The batches of one epoch; the same number gives the same ones."""
        rng = np.random.default_rng([self.seed, self.size, number])
        return ahead(lambda: self._draw(rng), steps)

    def _draw(self, rng: np.random.Generator) -> Batch:
        wanted = BATCH - self.real
        rows = rng.choice(len(self.train), wanted, p=self.probabilities)
        images = self.films[rows]
        if self.real:
            negatives = rng.choice(len(self.negatives), self.real, p=self.negative_probabilities)
            images = np.concatenate([images, self.negatives[negatives]])
        x, plain = augment(torch.from_numpy(images).unsqueeze(1).float() / 255, rng, self.hard)
        made, films = slice(wanted - self.made, wanted), wanted - self.made
        x[made] = make_negatives(x[made], rng.integers(len(MADE_KINDS), size=self.made), rng)
        labels = np.full(BATCH, NEGATIVE)
        labels[:films] = self.labels[self.train[rows[:films]]]
        partners = rng.permutation(films)
        share = np.where(rng.random(films) < MIXED, rng.uniform(0.5, 1, films), 1)
        targets, single = np.zeros((BATCH, CLASSES), np.float32), np.ones(BATCH, bool)
        own = np.eye(CLASSES)[labels[:films]]
        targets[:films] = share[:, None] * own + (1 - share[:, None]) * own[partners]
        single[:films] = share == 1
        weight = torch.from_numpy(share.astype(np.float32)).reshape(-1, 1, 1, 1)
        for images in (x, plain):
            images[:films] = weight * images[:films] + (1 - weight) * images[:films][partners]
        return Batch(x, plain, *(torch.from_numpy(a) for a in (labels, targets, single)))


def as_batches(images: np.ndarray, count: int = 64) -> Iterator[torch.Tensor]:
    """Plain images as float batches, for evaluation."""
    for start in range(0, len(images), count):
        part = np.ascontiguousarray(resized(images[start:start + count], INPUT))
        yield torch.from_numpy(part).unsqueeze(1).float() / 255
