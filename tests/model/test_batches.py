"""What the network is taught: augmented images, maps that move with them, targets and weights."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from dataset import augment
from dataset.batches import (BATCH, CLEAR_WEIGHT, IMPLIED_WEIGHT, MADE_NEGATIVES, READING_SHARES, REAL_NEGATIVES, SMOOTHING, TARGET,
                             Batch, Batches, ahead, boxes_map, image_probabilities, wanted_of)
from dataset.images import Images, Sets
from dataset.records import CLASSES, COVID, NEGATIVE, NO_CLASS, NORMAL, OPACITY, VIRAL
from quantise import Redrawn
from test_dataset import no_images, record

CHEST = BATCH - REAL_NEGATIVES - MADE_NEGATIVES
WHOLE = np.array([0.0, 0, 1, 1])


def lungs_mask(n: int) -> torch.Tensor:
    """The left half of the middle, N x 1 x 24 x 24."""
    mask = torch.zeros(n, 1, 24, 24)
    mask[..., 6:18, 4:12] = 1
    return mask


class Augmentation(unittest.TestCase):
    def test_boxes_move_with_the_image(self) -> None:
        """A box drawn as pixels lands where the target says; a map of ones tells which cells lie within the image."""
        n = 64
        image, targets = torch.zeros(n, 1, 192, 192), torch.zeros(n, 2, TARGET, TARGET)
        image[:, :, 60:120, 48:108], targets[:, 0, 15:30, 12:27], targets[:, 1] = 1, 1, 1
        with mock.patch("dataset.augment._levels", lambda x, rng: x), mock.patch("dataset.augment.WORDS", 0):
            moved, maps = augment.augment(image, targets, np.random.default_rng(1), strong=0)
        drawn = F.avg_pool2d(moved, 192 // TARGET)[:, 0] * (maps[:, 1] > 0.999)
        self.assertLess((drawn - maps[:, 0]).abs().mean(), 0.004)
        self.assertLess((drawn - maps[:, 0]).abs().max(), 0.75, "at most a part of a cell of the edge")
        areas = maps[:, 0].sum((1, 2))
        self.assertGreater(areas.max() / areas.min(), 1.5, "they do move")

    def test_augmented_images_stay_gray_levels_and_are_the_seeds(self) -> None:
        image = torch.rand(8, 1, 192, 192, generator=torch.Generator().manual_seed(0))
        results = [augment.augment(image.clone(), torch.zeros(8, 1, 4, 4), np.random.default_rng(seed), strong=1)[0] for seed in (1, 1, 2)]
        self.assertTrue(torch.equal(results[0], results[1]))
        self.assertFalse(torch.equal(results[0], results[2]))
        self.assertTrue(((results[0] >= 0) & (results[0] <= 1)).all())
        self.assertGreater((results[0] - image).abs().mean(), 0.05)

    def test_burned_in_words_are_white_on_a_darker_image(self) -> None:
        image = torch.full((32, 1, 192, 192), 0.5)
        with mock.patch("dataset.augment._levels", lambda x, rng: x), mock.patch("dataset.augment.WORDS", 1):
            written = augment.augment(image, torch.zeros(32, 1, 4, 4), np.random.default_rng(1), strong=0)[0]
        white = (written.amax((1, 2, 3)) == 1)
        self.assertGreater(white.sum(), 20)
        self.assertLess(written[white].flatten(1).median(1).values.mean(), 0.45)
        self.assertLess((written == 1).float().mean(), 0.1, "letters, not bars")

    def test_half_of_the_images_are_stored_anew(self) -> None:
        image = F.interpolate(torch.rand(64, 1, 12, 12, generator=torch.Generator().manual_seed(0)), size=192, mode="bicubic").clamp(0, 1)
        stored = augment.redraw(image.clone(), np.random.default_rng(1), 0.5)
        changed = (stored - image).abs().amax((1, 2, 3)) > 0
        self.assertTrue(20 < changed.sum() < 44)
        self.assertTrue(((stored >= 0) & (stored <= 1)).all())
        self.assertTrue(torch.equal(augment.redraw(image.clone(), np.random.default_rng(1), 0), image))

    def test_changing_the_outside_leaves_the_lungs(self) -> None:
        n = 48
        image, mask = torch.rand(n, 1, 192, 192, generator=torch.Generator().manual_seed(0)), lungs_mask(n)
        mask[0] = 0  # nobody knows where the lungs of the first one are
        changed = augment.change_outside(image.clone(), mask, np.random.default_rng(2), share=1)
        difference = (changed - image).abs()
        self.assertEqual(difference[0].max(), 0)
        self.assertEqual(difference[1:, :, 6 * 8:18 * 8, 4 * 8:12 * 8].max(), 0)
        outside = difference[1:, :, :, 15 * 8:].mean((1, 2, 3))
        self.assertGreater((outside > 0.1).float().mean(), 0.9, "all but images that are exchanged with themselves")
        self.assertTrue(torch.equal(augment.change_outside(image.clone(), mask, np.random.default_rng(2), share=0), image))

    def test_an_exchanged_outside_does_not_show_the_other_images_lungs(self) -> None:
        image, mask = torch.zeros(2, 1, 192, 192), lungs_mask(2)
        image[1, :, 48:144:2, 32:96] = 1  # stripes in the lungs of the second
        mask[0] = mask[1].flip(2)         # the first has its lungs elsewhere
        rng = mock.Mock(wraps=np.random.default_rng(0), permutation=lambda n: np.array([1, 0]), choice=lambda *_, **__: np.array([1, 1]))
        changed = augment.change_outside(image.clone(), mask, rng, share=1)
        rows = changed[0, 0, 60:132, 44:84]
        self.assertLess(rows.diff(dim=0).abs().max(), 0.2, "the stripes are blurred away")
        self.assertGreater(rows.mean(), 0.2, "but their brightness is there")

    def test_erased_lungs_say_nothing(self) -> None:
        n = 32
        board = (torch.arange(192)[:, None] + torch.arange(192)[None]).remainder(2).float().expand(n, 1, 192, 192)
        erased = augment.erase_lungs(board.clone(), lungs_mask(n), np.random.default_rng(3))
        lungs = erased[..., 6 * 8:18 * 8, 4 * 8:12 * 8]
        self.assertLess(lungs.diff(dim=3).abs().max(), 0.1)
        self.assertTrue(torch.equal(erased[..., -16:, :], board[..., -16:, :]), "the outer parts stay")
        boxed = (erased[..., 96, 150] != board[..., 96, 150]).float().mean()
        self.assertGreater(boxed, 0.2)
        self.assertLess(boxed, 0.8, "a central box in some, the lungs alone in others")

    def test_each_kind_of_other_image_is_made(self) -> None:
        image = torch.zeros(1, 192, 192)
        image[:, :64] = 0.8  # bright above
        image[:, :, :48] = 0.5
        rng = np.random.default_rng(0)
        for kind in augment.MADE_KINDS:
            made = augment.make_negatives(image[None], np.array([augment.MADE_KINDS.index(kind)]), rng)[0]
            self.assertEqual(made.shape, image.shape)
            self.assertFalse(torch.equal(made, image), kind)
            self.assertTrue(((made >= 0) & (made <= 1)).all())
        upside_down = augment.make_negatives(image[None], np.array([0]), rng)[0, 0]
        self.assertEqual((upside_down[10, 96], upside_down[-10, 96]), (0, image[0, 10, 96]))


class Targets(unittest.TestCase):
    def test_readings_are_taught_as_probabilities(self) -> None:
        def taught(label: int, reading: str) -> tuple[list[float], float]:
            wanted, weight = wanted_of(record(label, source="siim", reading=reading))
            return ((wanted - SMOOTHING / CLASSES) / (1 - SMOOTHING)).round(6).tolist(), weight

        self.assertEqual(taught(COVID, "typical"), ([0.05, 0.92, 0, 0.03], 1))
        self.assertEqual(taught(NORMAL, "negative"), ([0.92, 0.05, 0, 0.03], 1))
        for reading, share in (("indeterminate", 0.5), ("atypical", 0.25)):
            self.assertEqual(taught(OPACITY, reading), ([0, share, 0, 1 - share], 0.5))

    def test_a_label_is_taught_unless_a_radiologist_contradicts_it(self) -> None:
        wanted, weight = wanted_of(record(VIRAL))
        self.assertEqual((wanted.argmax(), wanted.sum().round(6), weight), (VIRAL, 1, 1))
        self.assertEqual(wanted_of(record(COVID, reading="typical"))[1], 1)
        for left_out in (record(COVID, reading="negative"), record(NO_CLASS)):
            self.assertEqual(wanted_of(left_out)[1], 0)

    def test_boxes_are_drawn_over_the_frame(self) -> None:
        boxed = record(boxes=((0.25, 0.5, 0.25, 0.125), (0.9, 0.9, 0.5, 0.5)))
        whole = boxes_map(boxed, WHOLE)
        expected = np.zeros((TARGET, TARGET))
        expected[24:30, 12:24] = expected[43:, 43:] = 1
        np.testing.assert_array_equal(whole, expected)
        part = boxes_map(boxed, np.array([0.25, 0.25, 0.5, 0.5]))
        self.assertEqual((part[24:36, :24].min(), part.sum()), (1, 12 * 24))
        self.assertEqual(boxes_map(record(), WHOLE).sum(), 0)

    def test_images_of_a_set_are_drawn_by_class_and_by_the_roots_of_their_sources(self) -> None:
        records = [record(label, source=source) for label, source, count in ((0, "a", 90), (0, "b", 10), (1, "a", 50))
                   for _ in range(count)]
        p = image_probabilities(records)
        self.assertAlmostEqual(p.sum(), 1)
        self.assertAlmostEqual(p[:100].sum() / p[100:].sum(), 0.35 / 0.29)
        self.assertAlmostEqual(p[:90].sum() / p[90:100].sum(), 9 ** 0.7)
        siim = [record(source="siim", reading=reading) for reading in READING_SHARES]
        np.testing.assert_allclose(image_probabilities(siim), list(READING_SHARES.values()))


def flat(levels: list[int], records: list) -> Images:
    """Images of one level each."""
    pixels = np.broadcast_to(np.array(levels, np.uint8).reshape(-1, 1, 1), (len(levels), 32, 32)).copy()
    return Images(pixels, np.tile(WHOLE, (len(levels), 1)), records)


class Drawing(unittest.TestCase):
    """Each image's level says which it is; nothing changes it but what the tests ask for."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        mask = str(Path(folder.name) / "mask.png")
        Image.fromarray(np.full((8, 8), 255, np.uint8)).save(mask)
        splits = ("train", "train", "val", "test", "train")
        classes = [record(i % 4, splits[i % 5], id=f"class-{i}", boxes=() if i % 4 == NORMAL else None,
                          mask=mask if i % 4 == NORMAL else "") for i in range(40)]
        readings = list(READING_SHARES)
        label = {"typical": COVID, "negative": NORMAL, "indeterminate": OPACITY, "atypical": OPACITY}
        siim = [record(label[readings[i % 4]], splits[i % 5], source="siim", reading=readings[i % 4],
                       boxes=() if readings[i % 4] == "negative" else ((0, 0, 0.5, 0.5),)) for i in range(40)]
        bacterial = [record(NO_CLASS, source="bacterial") for _ in range(10)]
        negatives = [record(NEGATIVE, "train" if i % 2 else "test") for i in range(8)]
        self.sets = Sets(flat([*range(40)], classes), flat([*range(50, 90)], siim), flat([*range(100, 110)], bacterial),
                         flat([*range(200, 208)], negatives))
        self.record_of = dict(enumerate(classes)) | dict(enumerate(siim, 50)) | dict(enumerate(bacterial, 100))
        self.lungs = {name: np.zeros((len(getattr(self.sets, name).split("train")), 24, 24), np.uint8)
                      for name in ("classes", "siim", "bacterial")}
        self.batches = Batches(self.sets, self.lungs, seed=1)
        self.enterContext(mock.patch("dataset.batches.augment", lambda x, targets, _rng, _strong: (x, targets)))
        self.enterContext(mock.patch("dataset.batches.ERASED", 0))

    def draw(self, count: int, mixed: float = 0) -> list[Batch]:
        with mock.patch("dataset.batches.MIXED", mixed):
            return list(self.batches.epoch(0, count))

    @staticmethod
    def levels(batch: Batch) -> list[int]:
        return (batch.images[:, 0, 0, 0] * 255).round().long().tolist()

    def test_chest_images_are_those_of_train_with_their_labels(self) -> None:
        drawn = set()
        for batch in self.draw(20):
            for level, label, wanted, weight in zip(self.levels(batch)[:CHEST], batch.labels, batch.wanted, batch.weight):
                of = self.record_of[level]
                self.assertEqual((of.split, of.label), ("train", label))
                np.testing.assert_allclose(wanted, wanted_of(of)[0], atol=1e-6)
                self.assertEqual(weight, wanted_of(of)[1])
                drawn.add(level)
        self.assertGreater(len(drawn), 40)
        self.assertTrue({"siim", "bacterial", ""} == {self.record_of[level].source for level in drawn})

    def test_every_batch_has_the_same_shapes(self) -> None:
        for batch in (*self.draw(2), *self.draw(1, mixed=1)):
            shapes = {name: tuple(value.shape) for name, value in batch._asdict().items()}
            names = ("labels", "weight", "whole", "opacities_weight", "present", "present_weight", "lungs_weight")
            per_image = dict.fromkeys(names, (BATCH,))
            self.assertEqual(shapes, {**per_image, "images": (BATCH, 1, 32, 32), "before": (BATCH, 1, 32, 32), "wanted": (BATCH, CLASSES),
                                      "opacities": (BATCH, 12, 12), "lungs": (BATCH, 24, 24)})

    def test_an_eighth_is_no_chest_image_and_teaches_only_the_gate(self) -> None:
        for batch in self.draw(5):
            self.assertEqual((batch.labels == NEGATIVE).nonzero().flatten().tolist(), [*range(CHEST, BATCH)])
            self.assertLessEqual(set(self.levels(batch)[-REAL_NEGATIVES:]), {201, 203, 205, 207}, "of train")
            for values in (batch.wanted, batch.weight, batch.opacities, batch.opacities_weight, batch.present_weight, batch.lungs_weight):
                self.assertEqual(values[CHEST:].abs().sum(), 0)
            self.assertTrue(batch.whole[CHEST:].all())

    def test_maps_are_taught_where_somebody_looked(self) -> None:
        for batch in self.draw(5):
            for i, level in enumerate(self.levels(batch)[:CHEST]):
                of = self.record_of[level]
                boxed = of.boxes is not None and len(of.boxes) > 0
                weight = 0 if of.boxes is None else 1 if boxed else CLEAR_WEIGHT
                self.assertAlmostEqual(batch.opacities_weight[i].item(), weight)
                self.assertEqual(batch.opacities[i].sum(), 36 if boxed else 0)
                self.assertEqual(batch.opacities[i, :6, :6].sum(), batch.opacities[i].sum())
                implied = of.boxes is None and of.label in (NO_CLASS, OPACITY)
                self.assertEqual(batch.present[i].item(), boxed or implied)
                self.assertAlmostEqual(batch.present_weight[i].item(), IMPLIED_WEIGHT if implied else weight)
                self.assertEqual(batch.lungs_weight[i].item(), bool(of.mask))
                self.assertEqual(batch.lungs[i].mean(), bool(of.mask))

    def test_mixed_images_teach_a_mixture_and_no_map(self) -> None:
        batch, = self.draw(1, mixed=1)
        own, = self.draw(1)
        torch.testing.assert_close(batch.wanted[:CHEST].sum(1), torch.ones(CHEST))
        self.assertFalse(batch.whole[:CHEST].any())
        for values in (batch.opacities_weight, batch.present_weight, batch.lungs_weight):
            self.assertEqual(values[:CHEST].sum(), 0)
        self.assertFalse(torch.allclose(batch.wanted, own.wanted))

    def test_a_teachers_answers_are_most_of_what_is_learned_where_a_class_is_taught(self) -> None:
        before, answers = self.batches.wanted, np.full((len(self.batches.chest), CLASSES), 0.25)
        self.batches.learn_from(answers)
        taught = self.batches.weight > 0
        np.testing.assert_allclose(self.batches.wanted[taught], 0.3 * before[taught] + 0.7 * answers[taught])
        np.testing.assert_array_equal(self.batches.wanted[~taught], before[~taught])
        self.assertFalse(taught.all())

    def test_an_image_without_lungs_is_left_open(self) -> None:
        with mock.patch("dataset.batches.ERASED", 1):
            batch, = self.draw(1, mixed=1)
        torch.testing.assert_close(batch.wanted[:CHEST], torch.full((CHEST, CLASSES), 1 / CLASSES))
        self.assertFalse(batch.whole[:CHEST].any(), "and teaches neither gate nor maps")

    def test_a_set_alone_is_enough(self) -> None:
        sets = Sets(self.sets.classes, no_images(), no_images(), no_images())
        batches = Batches(sets, {"classes": np.zeros((24, 24, 24), np.uint8)}, seed=1)
        batch = next(batches.epoch(0, 1))
        self.assertEqual((len(batch.images), (batch.labels == NEGATIVE).sum()), (BATCH, REAL_NEGATIVES + MADE_NEGATIVES))

    def test_an_epoch_is_the_seeds(self) -> None:
        first, again, other = (next(self.batches.epoch(number, 1)) for number in (3, 3, 4))
        self.assertTrue(torch.equal(first.images, again.images))
        self.assertFalse(torch.equal(first.images, other.images))

    def test_a_teacher_sees_the_images_before_they_are_stored_anew(self) -> None:
        redrawn = Redrawn(self.sets, self.lungs, seed=1)
        for plain, batch, again in zip(self.batches.epoch(0, 4), redrawn.epoch(0, 4), redrawn.epoch(0, 4)):
            self.assertTrue(torch.equal(batch.before, plain.images))
            self.assertTrue(torch.equal(batch.images, again.images))
            changed = (batch.images - batch.before).abs().amax((1, 2, 3)) > 0
            self.assertTrue(0 < changed.sum() < BATCH)

    def test_an_error_while_drawing_reaches_the_reader(self) -> None:
        self.assertRaisesRegex(KeyError, "lost", list, ahead(mock.Mock(side_effect=KeyError("lost")), 3))


if __name__ == "__main__":
    unittest.main()
