"""Figures of merit, what calibrate.py chooses, and the report on the data."""
from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

import places
from calibrate import LOST, NO_LUNGS, calibrate, evidence_thresholds, false_covid_threshold
from dataset.images import Images, Sets
from dataset.preprocess import INPUT
from dataset.records import COVID, NORMAL, OPACITY, PUBLISHED, READINGS
from evaluation import eda
from evaluation.calibration import (binomial_upper, cross_validated, doubt_threshold, fit_calibration, log_losses,
                                    operating_points, probabilities)
from evaluation.engine import answers_of
from evaluation.metrics import bootstrap, confusion, pr_curve, rates, reliability, risk_coverage, roc_curve
from test_dataset import no_images, record


class Figures(unittest.TestCase):
    def test_what_the_engine_could_not_read_is_wrong_whatever_it_is(self) -> None:
        for label in range(4):
            answers = answers_of([{"error": {"message": "corrupt"}}])
            answers.unread_are_wrong(np.array([label]))
            self.assertNotEqual(answers.predicted[0], label)
            self.assertNotEqual(answers.probabilities.argmax(1)[0], label)

    def test_rates_and_areas_on_small_cases(self) -> None:
        labels, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
        r = rates(confusion(labels, predicted, 2))
        np.testing.assert_allclose(r["recall"], [1 / 2, 2 / 3])
        np.testing.assert_allclose(r["precision"], [1 / 2, 2 / 3])
        scores, positive = np.array([0.9, 0.8, 0.7, 0.7]), np.array([True, False, True, False])
        self.assertAlmostEqual(roc_curve(scores, positive)[2], 0.625)  # pairs won: 1 + 0.5 + 1 + 0 of 4
        self.assertAlmostEqual(pr_curve(scores, positive)[2], 0.5 * 1 + 0.5 * 0.5)

    def test_calibration_error_of_a_known_case(self) -> None:
        p = np.array([[0.9, 0.1]] * 10)
        labels = np.array([0] * 7 + [1] * 3)
        self.assertAlmostEqual(reliability(p, labels)[1], 0.2)

    def test_intervals_are_those_of_the_binomial(self) -> None:
        labels = np.repeat(np.arange(4), (400, 300, 200, 100))
        predicted = np.where(np.arange(1000) % 10 == 0, (labels + 1) % 4, labels)
        found = bootstrap(labels, predicted, 4, PUBLISHED)
        for got, count in [(found["accuracy"], 1000), *zip(found["recall"].T, (400, 300, 200, 100))]:
            half = 1.96 * (0.9 * 0.1 / count) ** 0.5
            np.testing.assert_allclose(got, (0.9 - half, 0.9 + half), atol=half / 5)

    def test_resamples_without_a_class_say_nothing_of_it(self) -> None:
        labels = np.repeat(np.arange(4), (50, 50, 50, 1))
        found = bootstrap(labels, labels, 4, PUBLISHED)
        for name in ("recall", "f1", "macro_f1", "reweighted"):
            np.testing.assert_allclose(found[name], 1, err_msg=name)

    def test_risk_and_coverage_of_a_known_case(self) -> None:
        p = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])  # from sure to unsure: 1, 2, 3, 0
        coverage, accuracy = risk_coverage(p, np.array([0, 0, 0, 0]))
        np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(accuracy, [1, 1 / 2, 2 / 3, 3 / 4])


class Probabilities(unittest.TestCase):
    def test_a_temperature_and_biases_are_found_again(self) -> None:
        rng = np.random.default_rng(0)
        true = rng.normal(0, 1.5, (4000, 4))
        p = probabilities(true, 1, np.array([0.6, -0.2, -0.2, -0.2]))
        labels = np.array([rng.choice(4, p=row) for row in p])
        scale, bias = fit_calibration(true * 2, labels, True)
        self.assertAlmostEqual(scale, 0.5, delta=0.03)
        np.testing.assert_allclose(bias, [0.6, -0.2, -0.2, -0.2], atol=0.12)
        self.assertLess(cross_validated(true * 2, labels, True).mean(), cross_validated(true * 2, labels, False).mean())
        scaled, plain = (log_losses(probabilities(true * 2, by, bias), labels).mean() for by in (scale, 1))
        self.assertLess(scaled, plain)

    def test_no_mistakes_do_not_make_sure_without_bound(self) -> None:
        labels = np.arange(12) % 4
        scale, _ = fit_calibration(5 * np.eye(4)[labels], labels, False)
        self.assertLess(scale, 2)


class Thresholds(unittest.TestCase):
    def test_the_abstention_threshold_keeps_the_risk(self) -> None:
        p = np.repeat([[0.952, 0.016, 0.016, 0.016], [0.602, 0.2, 0.1, 0.098]], 200, axis=0)
        labels = np.where(np.arange(400) % 5 == 4, 1, 0) * (np.arange(400) >= 200)  # of the unsure, a fifth is wrong
        found = doubt_threshold(p, labels)
        self.assertTrue(found["bounded"])
        self.assertAlmostEqual(found["threshold"], 0.605)
        self.assertEqual((found["coverage"], found["accuracy"]), (0.5, 1))

    def test_where_no_risk_is_bounded_nothing_is_answered(self) -> None:
        found = doubt_threshold(np.tile([1.0, 0, 0, 0], (12, 1)), np.zeros(12, int))
        self.assertEqual((found["bounded"], found["coverage"]), (False, 0))
        self.assertGreater(np.float32(found["threshold"]), np.float32(1))

    def test_of_too_few_images_no_risk_is_promised(self) -> None:
        for images, bounded in ((75, False), (76, True)):  # (1 - 3%)^76 is below 10%
            p = np.tile([0.97, 0.01, 0.01, 0.01], (images, 1))
            self.assertEqual(doubt_threshold(p, np.zeros(images, int))["bounded"], bounded)

    def test_binomial_bound(self) -> None:
        self.assertAlmostEqual(binomial_upper(0, 100), 1 - 0.1 ** (1 / 100), places=6)

    def test_operating_points_hold_for_what_is_at_and_above_them(self) -> None:
        labels = np.repeat(np.arange(4), 100)
        p = np.random.default_rng(0).dirichlet(np.ones(4), 400).astype(np.float32)
        points = operating_points(p, labels)
        for c in range(4):
            self.assertGreaterEqual((p[labels == c, c] >= np.float32(points["sens95"][c])).mean(), 0.95)
            self.assertGreaterEqual((p[labels != c, c] < np.float32(points["spec95"][c])).mean(), 0.95)

    def test_few_boxed_images_lose_their_answer_and_few_images_their_lungs(self) -> None:
        opacity, share = np.arange(1000) / 1000, np.linspace(0.1, 0.5, 1000)
        boxed = np.arange(1000) >= 500
        found = evidence_thresholds(opacity, boxed, share)
        self.assertLessEqual((opacity[boxed] < found["threshold"]).mean(), LOST)
        self.assertGreater((opacity[boxed] < found["threshold"] + 0.002).mean(), LOST)
        self.assertLessEqual((share < found["lungs_least"]).mean(), NO_LUNGS)
        self.assertEqual(evidence_thresholds(opacity, ~boxed & boxed, share)["threshold"], 0)

    def test_few_negatives_are_called_covid_with_confidence(self) -> None:
        p = np.full((100, 4), 0.01)
        p[np.arange(100), [COVID] * 50 + [NORMAL] * 50] = np.linspace(0.4, 0.9, 100)
        opacity = np.where(np.arange(100) < 10, 0, 1)  # ten of them have no opacity, so their verdict is not COVID-19 anyway
        threshold = false_covid_threshold(p, opacity, 0.5)
        called = (p.argmax(1) == COVID) & (opacity >= 0.5) & (p.max(1).astype(np.float32) >= np.float32(threshold))
        self.assertEqual(called.sum(), 4)  # of 100; with the next one it would be 5%
        self.assertEqual(false_covid_threshold(p[:0], opacity[:0], 0.5), 0)


class Calibrate(unittest.TestCase):
    """Levels of flat images say which image a stand-in for the network has been given."""

    def setUp(self) -> None:
        self.asked: list[np.ndarray] = []
        splits = ("train", "val", "test")
        classes = self.part([record(i % 4, splits[i // 4 % 3], boxes=((0, 0, 1, 1),) if i % 4 == OPACITY else None) for i in range(60)], 0)
        readings = list(READINGS)
        siim = self.part([record(READINGS[readings[i % 4]], splits[i // 4 % 3], source="siim", reading=readings[i % 4])
                          for i in range(60)], 100)
        contradicted = self.part([record(COVID, "val", reading="negative")], 250)
        classes = Images(np.concatenate([classes.pixels, contradicted.pixels]), np.zeros((61, 4)), classes.records + contradicted.records)
        self.sets = Sets(classes, siim, no_images(), no_images())

    @staticmethod
    def part(records: list, first: int) -> Images:
        levels = np.arange(first, first + len(records), dtype=np.uint8).reshape(-1, 1, 1)
        return Images(np.broadcast_to(levels, (len(records), INPUT, INPUT)).copy(), np.zeros((len(records), 4)), records)

    def outputs(self, pixels: np.ndarray, *_: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Right about every level, sure of the gate, lungs everywhere, opacities wherever there is a disease."""
        levels = pixels[:, 0, 0].astype(int)
        self.asked.append(levels)
        classes = np.array([READINGS[list(READINGS)[v % 4]] if v >= 100 else v % 4 for v in levels])
        logits = np.concatenate([3 * np.eye(4)[classes], np.full((len(levels), 1), 5)], 1).astype(np.float32)
        opacities = np.where(classes == NORMAL, -4.0, 4.0).reshape(-1, 1, 1) * np.ones((1, 12, 12))
        return logits, np.full((len(levels), 24, 24), 4.0), opacities

    def test_it_sees_images_of_val_only_and_none_that_contradict_their_label(self) -> None:
        net = mock.Mock()
        net.outputs.side_effect = self.outputs
        result = calibrate(net, self.sets)
        val = {int(i.pixels[k, 0, 0]) for i in (self.sets.classes, self.sets.siim) for k, r in enumerate(i.records) if r.split == "val"}
        sure = {v for v in val if v < 100 or (v < 160 and list(READINGS)[v % 4] in ("typical", "negative"))}
        self.assertEqual(set(self.asked[0].tolist()), sure)
        self.assertEqual((result["val"]["crd"]["images"], result["val"]["siim"]["images"]), (20, 10))
        self.assertEqual((result["val"]["crd"]["accuracy"], result["val"]["siim"]["accuracy"]), (1, 1))
        self.assertEqual(result["evidence"]["boxed_images"], 5)
        self.assertEqual(result["training_data"], self.sets.fingerprint())


class DataReport(unittest.TestCase):
    def test_statistics_of_a_known_image(self) -> None:
        image = np.zeros((100, 100), np.uint8)
        image[5:95, 5:95] = np.tile([100, 140], (90, 45))
        brightness, contrast, border, black, detail = eda.statistics(image)
        self.assertAlmostEqual(brightness, 0.81 * 120)
        self.assertAlmostEqual(contrast, image.std())
        self.assertEqual((border, black), (0, 1))
        self.assertAlmostEqual(detail, (89 * 40 + 100 + 140) * 90 / (99 * 100))

    def test_groups_and_their_counts(self) -> None:
        classes = Images(np.zeros((5, 2, 2)), np.zeros((5, 4)), [record(i % 4, "val" if i == 4 else "train") for i in range(5)])
        siim = Images(np.zeros((1, 2, 2)), np.zeros((1, 4)), [record(COVID, "test", reading="typical")])
        sets = Sets(classes, siim, no_images(), no_images())
        rows = eda.count_rows(eda.groups_of(sets))
        self.assertEqual(rows, [["normal", 1, 1, 0, 2], ["covid-19", 1, 0, 0, 1], ["viral-pneumonia", 1, 0, 0, 1],
                                ["lung-opacity", 1, 0, 0, 1], ["siim: typical", 0, 0, 1, 1]])
        self.assertRegex(eda.summary(sets), r"(?m)^normal +1 +1 +0 +2$")


class Shipped(unittest.TestCase):
    def test_the_card_is_what_its_program_writes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            card = Path(folder) / "CARD.md"
            subprocess.run([sys.executable, str(places.MODEL / "card.py"), "--out", str(card)], check=True, capture_output=True)
            self.assertEqual(card.read_text(), (places.MODEL / "CARD.md").read_text())


if __name__ == "__main__":
    unittest.main()
