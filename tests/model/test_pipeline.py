"""From a folder of images to a model, its reports and its samples, through the commands that a user would run."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import made_up
import numpy as np
import torch
from PIL import Image
from places import CLI, MODEL, SHIPPED

from dataset.preprocess import INPUT, canonical, read_gray
from evaluation.engine import Answers, Engine
from integer import cxrm
from integer.reference import sigmoid
from train import PEAK

NEEDS_ENGINE = unittest.skipUnless(CLI.exists(), f"{CLI} is not built")


class Commands(unittest.TestCase):
    """A made-up data set and a folder for what the commands write."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.work = Path(folder.name)
        cls.data = made_up.make(cls.work / "data")
        cls.cache = cls.work / "cache"

    @classmethod
    def command(cls, step: str, *options: object, data: Path | None = None) -> list[str]:
        return [sys.executable, str(MODEL / f"{step}.py"), "--data", str(data or cls.data), "--cache",
                str(cls.cache), *map(str, options)]

    @classmethod
    def run_step(cls, step: str, *options: object, data: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(cls.command(step, *options, data=data), capture_output=True, text=True, check=False)

    @classmethod
    def succeed(cls, step: str, *options: object) -> str:
        """What a step prints that must end well."""
        return cls.succeed_alone(step, "--data", cls.data, "--cache", cls.cache, *options)

    @staticmethod
    def succeed_alone(step: str, *options: object) -> str:
        """The same for a step that reads no images."""
        done = subprocess.run([sys.executable, str(MODEL / f"{step}.py"), *map(str, options)], capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{step}: {done.stderr}")
        return done.stdout


class Pipeline(Commands):
    """All steps once, and then what came of them."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        made_up.make_others(cls.data)
        cls.model, cls.reports = cls.work / "tiny.cxrm", cls.work / "reports"
        train, quantised = cls.work / "train", cls.work / "quantised"
        cls.counted = cls.succeed("prepare", "--report", cls.reports)
        cls.trained = cls.succeed("train", "--out", train, "--epochs", 2, "--steps", 2, "--quick")
        cls.succeed("quantise", "--checkpoint", train / "best.pt", "--out", quantised, "--epochs", 1, "--steps", 2, "--quick")
        cls.succeed("calibrate", "--integer", quantised / "integer.pickle", "--out", quantised / "calibration.json")
        cls.exported = cls.succeed_alone(
            "export", "--integer", quantised / "integer.pickle", "--calibration", quantised / "calibration.json",
            "--checkpoint", train / "best.pt", "--out", cls.model, "--golden", cls.work / "golden",
            "--onnx", cls.work / "tiny.onnx", "--report", cls.reports)
        if CLI.exists():
            cls.engine = Engine(str(CLI), str(cls.model))

    def test_data_is_counted_and_described(self) -> None:
        self.assertRegex(self.counted, r"(?m)^siim: typical +5 +1 +1 +7$")
        report = (self.reports / "eda.md").read_text()
        self.assertIn("| siim: typical | 7 | 1.0 | 7.5% | 0 | 0 | 0 | 0 |", report)
        self.assertIn("## Near-duplicates", report)
        self.assertIn("| bacterial, children |", report)

    def test_what_training_and_export_leave(self) -> None:
        self.assertRegex(self.trained, r"(?m)^lungs: loss 0\.\d+ on \d+ masks$")
        self.assertIn("note: without --model-version", self.exported)
        self.assertLess(self.model.stat().st_size, 2.6e6)
        runs = json.loads((self.reports / "training.json").read_text())["runs"]
        self.assertEqual({name: run["epochs"] for name, run in runs.items()}, {"float": 2, "quantised": 1})
        self.assertIn("contrast_auc", runs["quantised"]["history"][0])
        self.assertGreater((self.work / "tiny.onnx").stat().st_size, 8e6)
        shipped, meta = (cxrm.read(str(path))[1] for path in (SHIPPED, self.model))
        self.assertIn(str(shipped["model.version"]), str(meta["training.start"]))
        self.assertEqual(meta["notice"], "Trained on images that were not described.")
        for key in ("evidence.threshold", "opacity.threshold", "lungs.threshold", "lungs.least"):
            self.assertTrue(0 <= meta[key][0] <= 1, key)

    def test_a_version_that_the_engine_would_refuse_is_told_before_anything_is_written(self) -> None:
        done = subprocess.run([sys.executable, MODEL / "export.py", "--model-version", "2.0-\u00e9", "--calibration",
                               self.work / "quantised" / "calibration.json", "--out", self.work / "none.cxrm"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, (self.work / "none.cxrm").exists()), (2, False))
        self.assertIn("printable ASCII", done.stderr)

    def check(self, answers: Answers, files: list[str]) -> int:
        """Holds logits, maps and frames of files that the engine did not turn to the reference; returns how many."""
        net, _ = cxrm.read(str(self.model))
        compared = np.flatnonzero(~answers.turned)
        for i in compared:
            gray = read_gray(files[i])
            image, frame = canonical(gray)
            logits, lungs, opacities = net.outputs(image[None])
            np.testing.assert_array_equal(answers.logits[i], logits[0, :4], files[i])
            np.testing.assert_allclose(answers.frames[i], frame.fractions(*gray.shape), atol=1e-6)
            for found, expected in ((answers.lungs, lungs), (answers.opacities, opacities)):
                np.testing.assert_array_equal(found[i], sigmoid(expected)[0], files[i])
        return len(compared)

    @NEEDS_ENGINE
    def test_the_engine_gives_the_references_bits(self) -> None:
        files = sorted(str(p) for p in self.data.glob("*/images/*.png"))[::8]
        framed = self.work / "framed.png"  # with plain edges, in 16 bits
        image = np.asarray(Image.open(files[0])).astype(np.uint16) * 31
        Image.fromarray(np.pad(image, ((40, 8), (0, 21)), constant_values=900)).save(framed)
        files.append(str(framed))
        self.assertGreater(self.check(self.engine.classify(files, maps=True), files), len(files) // 2)

    @NEEDS_ENGINE
    def test_transparency_is_laid_over_black_as_the_engine_does_and_a_name_may_hold_any_end_of_line(self) -> None:
        rng = np.random.default_rng(3)
        image = str(self.work / "image\u2028\x85.png")
        Image.fromarray(rng.integers(0, 256, (INPUT, INPUT, 4), np.uint8), "RGBA").save(image)
        self.check(self.engine.classify([image], maps=True), [image])

    @NEEDS_ENGINE
    def test_reports_and_card(self) -> None:
        of_model = ("--model", self.model, "--report", self.reports)
        self.succeed("evaluate", *of_model, "--cli", CLI, "--checkpoint", self.work / "train" / "best.pt",
                     "--corruption-images", 8, "--redrawn-images", 8)
        self.succeed("explain", *of_model, "--images", 4)
        self.succeed_alone("card", *of_model, "--out", self.work / "CARD.md")
        done = subprocess.run([sys.executable, MODEL / "card.py", "--report", self.reports, "--out", self.work / "OTHER.md"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, (self.work / "OTHER.md").exists()), (1, False))
        self.assertRegex(done.stderr, r"belongs to another model than .*cxrlens\.cxrm\. make evaluate DATA=DIR writes a new one\.\n$")
        evaluation = json.loads((self.reports / "evaluation.json").read_text())
        self.assertEqual(evaluation["test"]["images"], sum(map(sum, evaluation["test"]["confusion"])))
        # Shares of the test images. Four steps of training make no network that rounding could not turn.
        self.assertEqual(set(evaluation["float"]), {"float_accuracy", "agreement"})
        self.assertEqual({round(share * evaluation["test"]["images"], 3) % 1 for share in evaluation["float"].values()}, {0})
        self.assertEqual({k: g["trained_on"] for k, g in evaluation["gate"]["negatives"].items() if ":" not in k},
                         {"old": True, "new": False})
        self.assertEqual(set(evaluation["siim"]["readings"]), set(made_up.READINGS))
        self.assertEqual(len(evaluation["redrawn"]["ways"]), 16)
        self.assertEqual(evaluation["maps"]["opacities"]["SIIM"]["boxed"], 3)
        self.assertEqual(evaluation["external"]["hospital"]["tuberculosis"]["images"], 1)
        report, card = (self.reports / "evaluation.md").read_text(), (self.work / "CARD.md").read_text()
        if not evaluation["same_data"]:  # the weights that ship have seen other images
            for text in (report, card):
                self.assertIn("The weights have learnt from other data", text)
        for word in ("Kaggle", "RSNA"):
            self.assertNotIn(word, card)

    @NEEDS_ENGINE
    def test_samples_are_drawn(self) -> None:
        out = self.work / "samples"
        self.succeed("samples", "--cli", CLI, "--model", self.model, "--out", out, "--report", self.reports / "samples.json", "--quick")
        samples = json.loads((self.reports / "samples.json").read_text())["samples"]
        self.assertEqual(set(samples), {path.name for path in out.iterdir()})
        for name in samples:
            with Image.open(out / name) as image:
                self.assertEqual((image.size, image.mode), ((224, 224), "L"))
                self.assertIn(b"not a patient", image.info["comment"])


class Resume(Commands):
    def test_a_kill_loses_at_most_one_epoch(self) -> None:
        out = self.work / "killed"
        options = ("--out", out, "--epochs", 4, "--steps", 1)
        with subprocess.Popen(self.command("train", *options), stdout=subprocess.PIPE, text=True) as process:
            said = any(line.startswith("epoch 3") for line in process.stdout)
            process.kill()
        self.assertTrue(said)
        done = torch.load(out / "last.pt")["plan"]["epoch"]
        self.assertGreaterEqual(done, 2)
        output = self.succeed("train", *options)
        self.assertIn(f"resuming after epoch {done}", output)
        self.assertEqual(torch.load(out / "last.pt")["plan"]["epoch"], 4)
        self.assertEqual(len((out / "curves.csv").read_text().splitlines()), 5)
        best = (out / "best.pt").read_bytes()
        self.assertIn("finished before", self.succeed("train", *options))
        self.assertEqual((out / "best.pt").read_bytes(), best)

    def test_a_budget_in_minutes_comes_to_an_end(self) -> None:
        out = self.work / "minutes"
        self.succeed("train", "--out", out, "--minutes", 0.05, "--steps", 2)
        plan = torch.load(out / "last.pt")["plan"]
        self.assertTrue(plan["finished"])
        # once the rate has come down no epoch follows; a slow machine runs out of time before
        self.assertLessEqual(sum(float(row["rate"]) < PEAK / 500 for row in plan["history"]), 1)

    def test_a_training_of_other_data_or_another_start_is_not_resumed(self) -> None:
        out = self.work / "other"
        self.succeed("train", "--out", out, "--epochs", 1, "--steps", 1)
        last = (out / "last.pt").read_bytes()
        for options in (("--seed", 2), ("--init", out / "best.pt"), ("--peak", 1e-4), ("--teacher", out / "best.pt")):
            done = self.run_step("train", "--out", out, "--epochs", 2, "--steps", 1, *options)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"holds a training of other data, .* --restart")
        self.assertEqual((out / "last.pt").read_bytes(), last)
        quantised = out / "quantised" / "last.pt"
        quantised.parent.mkdir()
        quantised.touch()
        self.succeed("train", "--out", out, "--epochs", 1, "--steps", 1, "--seed", 2, "--restart")
        self.assertFalse(quantised.exists(), "it was of the weights before, and would stop the next step")


class BadInput(Commands):
    def test_an_unreadable_image_is_named_skipped_and_counted(self) -> None:
        data = made_up.make(self.work / "corrupt", each=6)
        broken = data / "COVID" / "images" / "COVID-2.png"
        broken.write_bytes(broken.read_bytes()[:200])
        for _ in range(2):  # the second finds manifest and images in the cache
            done = self.run_step("prepare", data=data)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count(str(broken)), 1)
            self.assertIn("1 of 24 images could not be read", done.stderr)

    def test_a_file_that_is_not_an_image_is_counted_and_a_name_may_be_any_bytes(self) -> None:
        data = made_up.make(self.work / "names", each=6)
        images = data / "COVID" / "images"
        (images / "notes.txt").touch()
        (images / "more").mkdir()
        shutil.move(images / "COVID-2.png", os.fsencode(images) + b"/COVID-\xff.png")
        for _ in range(2):
            done = self.run_step("prepare", "--report", self.work / "names-report", data=data)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"Skipped in {images}: 1 files that are not PNG or JPEG, 1 folders.", done.stderr)

    def test_an_empty_or_missing_class_stops_with_a_sentence(self) -> None:
        data = made_up.make(self.work / "empty", each=4)
        for image in (data / "Lung_Opacity" / "images").iterdir():
            image.unlink()
        done = self.run_step("prepare", data=data)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^The class Lung_Opacity has no images in .*\.\n$")
        done = self.run_step("prepare", data=self.work / "nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^The class Normal has no folder .*\.\n$")

    def test_a_class_of_damaged_images_and_a_missing_start_stop_with_a_sentence(self) -> None:
        done = self.run_step("train", "--init", self.work / "none.tflite", "--out", self.work / "nothing")
        self.assertEqual((done.returncode, done.stderr), (1, f"There is no {self.work / 'none.tflite'} to start from.\n"))
        data = made_up.make(self.work / "damaged", each=6)
        self.assertEqual(self.run_step("prepare", data=data).returncode, 0)
        for image in (data / "COVID" / "images").iterdir():
            image.write_bytes(b"x")
        done = self.run_step("train", "--out", self.work / "nothing", data=data)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\nThe class COVID has no images\.\n$")


if __name__ == "__main__":
    unittest.main()
