"""The rules and figures that evaluate.py's tables are made of."""
from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np

from dataset.preprocess import canonical
from dataset.records import CLASS_IDS, COVID, NORMAL, OPACITY, Record
from evaluation import contrasts, evidence, external, maps, metrics, occlusion, redrawn, report
from evaluation.engine import REFUSED, UNCERTAIN, Answers, answers_of


def line(verdict: str, probabilities: list[float], **more: object) -> dict:
    """One line of the engine's JSON."""
    return {"verdict": verdict, "classes": [{"logit": float(np.log(p)), "probability": p} for p in probabilities],
            "gate": {"score": 0.9, "accepted": verdict != REFUSED}, "warnings": [], "opacity": {"score": 0.5},
            "findings": [], "frame": {"x": 0, "y": 0, "width": 1, "height": 1}, **more}


def sure_of(verdict: str) -> dict:
    """A line whose most likely class is the verdict's, or normal."""
    p = [0.01] * 4
    p[CLASS_IDS.index(verdict) if verdict in CLASS_IDS else NORMAL] = 0.97
    return line(verdict, p)


def record(number: int, label: int, reading: str = "", boxes: tuple | None = None, patient: str = "") -> Record:
    return Record(f"{number}", f"{number}.png", label, "test", patient or f"patient {number}", "siim", "adult", reading, boxes)


class Evidence(unittest.TestCase):
    def setUp(self) -> None:
        self.lungs = np.zeros((1, 8, 8), np.float32)
        self.opacities = np.zeros((1, 4, 4), np.float32)

    def test_a_cell_is_inside_by_the_mean_of_its_lungs_cells_or_a_neighbours(self) -> None:
        self.lungs[0, 2:4, 2:4] = [[1, 1], [0, 0]]
        wanted = np.zeros((4, 4), bool)
        for row, column in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2)):
            wanted[row, column] = True
        np.testing.assert_array_equal(evidence.inside(self.lungs, 0.5)[0], wanted)
        self.assertFalse(evidence.inside(self.lungs, 0.51).any())

    def test_edges_do_not_wrap_around(self) -> None:
        self.lungs[0, :2, :2] = 1
        np.testing.assert_array_equal(np.argwhere(evidence.inside(self.lungs, 0.5)[0]), [(0, 0), (0, 1), (1, 0)])

    def test_what_lies_outside_counts_for_nothing(self) -> None:
        self.lungs[0, :2, :2] = 1
        self.opacities[0, 3, 3], self.opacities[0, 0, 1] = 0.9, 0.4
        self.assertAlmostEqual(float(evidence.largest_inside(self.lungs, self.opacities, 0.5)[0]), 0.4)
        self.assertEqual(evidence.largest_inside(0 * self.lungs, self.opacities, 0.5)[0], 0)

    def test_lungs_over_more_than_a_third_of_an_edge_are_cut(self) -> None:
        self.lungs[0, :2, 0] = 0.5
        self.assertFalse(evidence.cut_sides(self.lungs, 0.5).any())
        self.lungs[0, 2, 0] = 0.5
        np.testing.assert_array_equal(evidence.cut_sides(self.lungs, 0.5), [[False, False, True, False]])
        self.assertAlmostEqual(float(evidence.lungs_share(self.lungs, 0.5)[0]), 3 / 64)


class Results(unittest.TestCase):
    def test_lines_of_the_engine_become_arrays(self) -> None:
        lungs = {"width": 2, "height": 2, "values": [0, 1, 0.5, 0]}
        opacities = {"width": 1, "height": 1, "values": [0.25]}
        answers = answers_of([line("covid-19", [0.1, 0.7, 0.1, 0.1], warnings=["rotated"], maps={"lungs": lungs, "opacities": opacities},
                                   frame={"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.6}),
                              {"error": {"message": "No."}}, sure_of(UNCERTAIN)])
        self.assertEqual(answers.named.tolist(), [COVID, -1, -1])
        self.assertEqual(answers.read.tolist(), [True, False, True])
        self.assertEqual(answers.turned.tolist(), [True, False, False])
        np.testing.assert_allclose(answers.frames[0], (0.1, 0.2, 0.5, 0.6))
        np.testing.assert_allclose(answers.lungs[0], [[0, 1], [0.5, 0]])
        self.assertEqual((answers.lungs.shape, answers.opacities.shape), ((3, 2, 2), (3, 1, 1)))
        answers.unread_are_wrong(np.array([COVID, NORMAL, NORMAL]))
        self.assertNotEqual(answers.predicted[1], NORMAL)


class Figures(unittest.TestCase):
    def test_images_of_one_patient_come_together_in_a_resample(self) -> None:
        draws = metrics.patients_drawn(["a", "b", "a", "c"])
        np.testing.assert_array_equal(draws[:, 0], draws[:, 2])
        self.assertGreater(np.abs(draws[:, 0] - draws[:, 1]).max(), 0)
        np.testing.assert_array_equal(draws[:, 0] + draws[:, 1] + draws[:, 3], 3)

    def test_an_area_counts_pairs_and_ties_by_half(self) -> None:
        scores, positive = np.array([3.0, 1, 2, 1]), np.array([True, True, False, False])
        found = metrics.area(scores, positive, metrics.patients_drawn(list("abcd")))
        self.assertAlmostEqual(found["value"], (1 + 1 + 0 + 0.5) / 4)
        self.assertAlmostEqual(found["value"], metrics.roc_curve(scores, positive)[2])
        self.assertLessEqual(found["low"], found["value"])
        self.assertGreaterEqual(found["high"], found["value"])
        self.assertIsNone(metrics.area(scores, np.ones(4, bool), np.ones((1, 4))))

    def test_one_patient_with_many_images_widens_the_interval(self) -> None:
        hits, among = np.arange(100) < 50, np.ones(100, bool)
        alone = metrics.share(hits, among, metrics.patients_drawn(np.arange(100)))
        few = metrics.share(hits, among, metrics.patients_drawn(np.arange(100) // 25))
        self.assertEqual((alone["value"], few["value"], alone["images"]), (0.5, 0.5, 100))
        self.assertGreater(few["high"] - few["low"], 2 * (alone["high"] - alone["low"]))
        self.assertIsNone(metrics.share(hits, ~among, np.ones((1, 100))))

    def test_dice_is_twice_the_overlap_over_both(self) -> None:
        a, b = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
        a[0, 0], b[0, 0, 0] = True, True
        np.testing.assert_allclose(metrics.dice(a, b), [2 / 3, 1])

    def test_sensitivity_at_the_allowed_false_marks(self) -> None:
        found = np.array([0.9, 0.5, 0.3, -np.inf])
        false = np.array([0.8, 0.4, 0.2])  # in four clear images: two marks are allowed, the third is at .2
        self.assertEqual(metrics.free_response(found, false, 4, 0.5), (0.75, 0.2))
        self.assertEqual(metrics.free_response(found, false, 2, 0.5), (0.5, 0.4))


class Contrast(unittest.TestCase):
    def test_readings_and_confident_errors(self) -> None:
        readings = ("typical", "typical", "negative", "negative", "atypical")
        answers = answers_of([sure_of(v) for v in ("covid-19", UNCERTAIN, "normal", "covid-19", "lung-opacity")])
        records = [record(i, COVID, r) for i, r in enumerate(readings)]
        result = contrasts.within_siim(answers, np.array([0.9, 0.6, 0.1, 0.7, 0.8]), records)
        self.assertEqual(result["shares"]["negative, called covid-19"]["value"], 0.5)
        self.assertEqual(result["shares"]["typical, called covid-19"]["value"], 0.5)
        self.assertEqual(result["shares"]["typical, called a disease"]["images"], 2)
        self.assertEqual(result["auc"]["largest opacity"]["value"], 0.75)
        self.assertEqual(result["readings"]["atypical"]["verdicts"]["lung-opacity"], 1)
        self.assertEqual(result["readings"]["typical"]["argmax"], {"normal": 1, "covid-19": 1, "viral-pneumonia": 0, "lung-opacity": 0})

    def test_normals_of_other_hospitals_called_a_disease(self) -> None:
        answers = answers_of([sure_of(v) for v in ("normal", "lung-opacity", UNCERTAIN, REFUSED)])
        row = external.label_figures(answers, "normal", list("abcd"))
        self.assertEqual((row["called_a_disease"]["value"], row["uncertain"], row["refused"], row["recall"]), (0.25, 0.25, 0.25, 0.75))
        self.assertNotIn("called_a_disease", external.label_figures(answers, "tuberculosis", list("abcd")))


class Redrawn(unittest.TestCase):
    def setUp(self) -> None:
        y, x = np.mgrid[-1:1:224j, -1:1:224j]
        lungs = np.exp(-(((abs(x) - 0.42) / 0.26) ** 4 + ((y + 0.05) / 0.62) ** 4))
        self.image = np.clip(190 - 60 * (x * x + 0.3 * y * y) - 130 * lungs + 25 * np.sin(23 * x * y), 0, 255).astype(np.uint8)

    def test_there_are_sixteen_and_each_shows_the_same_radiograph(self) -> None:
        self.assertEqual(len(redrawn.WAYS), 16)
        plain = canonical(self.image)[0].astype(float)
        for name, way in redrawn.WAYS.items():
            changed = way(self.image.copy())
            self.assertIn(changed.dtype, (np.uint8, np.uint16), name)
            self.assertFalse(changed.shape == self.image.shape and np.array_equal(changed, self.image), name)
            again = canonical(changed)[0].astype(float)
            self.assertGreater(np.corrcoef(plain.ravel(), again.ravel())[0, 1], 0.8 if name == "burned-in text" else 0.94, name)

    def test_a_way_holds_by_its_three_bars(self) -> None:
        labels = np.array([NORMAL] * 100)
        plain = answers_of([sure_of("normal")] * 100)
        for verdicts, wanted in ((["normal"] * 85 + [UNCERTAIN] * 15, True), (["normal"] * 84 + [UNCERTAIN] * 16, False),
                                 (["normal"] * 99 + ["covid-19"], True), (["normal"] * 98 + ["covid-19"] * 2, False)):
            result = redrawn.figures(plain, answers_of([sure_of(v) for v in verdicts]), labels)
            self.assertEqual(result["holds"], wanted, verdicts[-2:])
        open_ones = answers_of([sure_of(UNCERTAIN)] * 2 + [sure_of("normal")] * 98)
        result = redrawn.figures(open_ones, answers_of([sure_of("covid-19")] * 2 + [sure_of("normal")] * 98), labels)
        self.assertEqual((result["flipped"], result["wrong"]), (0, 0.02))


class Maps(unittest.TestCase):
    def answers(self, opacities: np.ndarray) -> Answers:
        lungs = np.ones((len(opacities), 8, 8), np.float32)
        answers = answers_of([sure_of("covid-19")] * len(opacities))
        answers.lungs, answers.opacities = lungs, opacities.astype(np.float32)
        return answers

    def test_boxes_are_found_over_the_frame(self) -> None:
        boxes = ((0.5, 0.5, 0.25, 0.25),)
        whole = maps.in_boxes(record(0, COVID, boxes=boxes), np.array([0, 0, 1, 1.0]), 4)
        np.testing.assert_array_equal(np.argwhere(whole[0]), [(2, 2)])
        part = maps.in_boxes(record(0, COVID, boxes=boxes), np.array([0.5, 0.5, 0.5, 0.5]), 4)
        np.testing.assert_array_equal(np.argwhere(part[0]), [(0, 0), (0, 1), (1, 0), (1, 1)])

    def test_pointing_sensitivity_and_area(self) -> None:
        opacities = np.full((4, 4, 4), 0.01)
        opacities[0, 2, 2], opacities[1, 0, 0] = 0.9, 0.8  # the first lies in its box, the second beside it
        opacities[1, 2, 2] = 0.5                           # which is a second mark, and in the box
        opacities[2, 3, 3] = 0.6                           # in a clear image
        box = ((0.5, 0.5, 0.25, 0.25),)
        records = [record(0, COVID, boxes=box), record(1, COVID, boxes=box), record(2, NORMAL, boxes=()), record(3, NORMAL, boxes=()),
                   record(4, OPACITY, boxes=None)]
        result = maps.opacity_figures(self.answers(np.concatenate([opacities, np.ones((1, 4, 4))])), records, 0.5)
        self.assertEqual((result["boxed"], result["clear"], result["boxes"]), (2, 2, 2))
        self.assertEqual(result["pointing"]["value"], 0.5)
        self.assertEqual(result["auc"]["value"], 1)
        self.assertEqual(result["sensitivity at half a false mark"], 1)  # one mark among two clear images is allowed
        self.assertIsNone(maps.opacity_figures(self.answers(opacities[:2]), records[:2], 0.5))

    def test_marks_are_local_maxima_inside(self) -> None:
        opacities = np.zeros((1, 4, 4))
        opacities[0, 0, 0], opacities[0, 0, 1], opacities[0, 3, 3] = 0.9, 0.8, 0.7
        allowed = np.ones((1, 4, 4), bool)
        marks = maps.marks_of(opacities, allowed)[0]
        self.assertEqual((marks[0, 0], marks[0, 1], marks[3, 3]), (True, False, True))
        allowed[0, 3, 3] = False
        self.assertFalse(maps.marks_of(opacities, allowed)[0, 3, 3])

    def test_a_map_over_the_frame_lies_there_in_the_image(self) -> None:
        values = np.array([[1.0, 0], [0, 0]])
        image = maps.over_image(values, np.array([0.5, 0, 0.5, 1]), side=8)
        self.assertEqual(image[:, :4].max(), 0)
        self.assertEqual((image[0, 4], image[1, 4]), (1, 1))
        self.assertAlmostEqual(image[3, 4], 0.625)  # between the centres of both rows, at 1/4 and 3/4
        np.testing.assert_allclose(maps.over_image(np.ones((3, 3)), np.array([0, 0, 1, 1.0]), side=8), 1)


class Occlusion(unittest.TestCase):
    def test_places_are_grown_where_they_may(self) -> None:
        rng, allowed = np.random.default_rng(0), np.zeros((6, 6), bool)
        allowed[1:4, 1:5] = True
        for count in (1, 5, 12):
            taken = occlusion.grown(allowed, count, rng)
            self.assertEqual(int(taken.sum()), count)
            self.assertFalse((taken & ~allowed).any())
        self.assertIsNone(occlusion.grown(allowed, 13, rng))

    def test_only_the_covered_cells_change(self) -> None:
        image, cells = np.full((24, 24), 100, np.uint8), np.zeros((4, 4), bool)
        cells[1, 1] = True
        out = occlusion.covered(image, cells, np.full((24, 24), 200.0))
        self.assertEqual((out[0, 0], out[20, 20]), (100, 100))
        self.assertGreater(out[9, 9], 180)


class Reports(unittest.TestCase):
    def test_figures_of_an_earlier_version_stand_beside_only_if_of_the_same_images(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / report.BASELINE).write_text(json.dumps({"data": "x", "version": "0.9.0"}))
            self.assertEqual(report.baseline_of({"data": "y"}, Path(folder)), {})
            self.assertEqual(report.baseline_of({"data": "x"}, Path(folder))["version"], "0.9.0")
        rows = [("accuracy", report.percent, ("test", "accuracy"))]
        self.assertIn("| accuracy | 90.0% | - |", report.beside(rows, {"test": {"accuracy": 0.9}}, {"version": "0.9.0"}))


if __name__ == "__main__":
    unittest.main()
