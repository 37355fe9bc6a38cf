"""From a folder of images to the engine's answer, through the commands a user would run."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "model"
CLI = Path(os.environ.get("CXRLENS", ROOT / "build" / "cxrlens"))
sys.path[:0] = [str(MODEL), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

import cxrm  # noqa: E402
import made_up  # noqa: E402
from data import INPUT, read_image  # noqa: E402
from engine import Engine  # noqa: E402
from train import PEAK  # noqa: E402


class Commands(unittest.TestCase):
    """A made-up data set and a folder for what the commands write."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.work = Path(cls.folder.name)
        cls.data = made_up.make(cls.work / "data")
        cls.cache = cls.work / "cache"

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    @classmethod
    def command(cls, step: str, *options: object, data: Path | None = None) -> list[str]:
        return [sys.executable, str(MODEL / f"{step}.py"), "--data", str(data or cls.data), "--cache",
                str(cls.cache), *map(str, options)]

    @classmethod
    def run_step(cls, step: str, *options: object, data: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(cls.command(step, *options, data=data), capture_output=True, text=True, check=False)

    @classmethod
    def succeed(cls, step: str, *options: object) -> str:
        """What a step says that is to end well."""
        return cls.succeed_alone(step, "--data", cls.data, "--cache", cls.cache, *options)

    @staticmethod
    def succeed_alone(step: str, *options: object) -> str:
        """The same for a step that reads no films."""
        done = subprocess.run([sys.executable, str(MODEL / f"{step}.py"), *map(str, options)], capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{step}: {done.stderr}")
        return done.stdout


class Pipeline(Commands):
    """The whole way once, and then what came of it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.addClassCleanup(cls.folder.cleanup)  # as after a failure here nothing is torn down
        cls.model, cls.reports = cls.work / "tiny.cxrm", cls.work / "reports"
        train, quantised = cls.work / "train", cls.work / "quantised"
        negatives = cls.data / "negatives"
        negatives.mkdir()
        rng = np.random.default_rng(5)
        rows = ["file,kind,split"]
        for i, (kind, split) in enumerate((("old", "train"),) * 4 + (("old", "test"), ("new", "test"))):
            Image.fromarray(rng.integers(0, 255, (64, 64)).astype(np.uint8)).save(negatives / f"{i}.png")
            rows.append(f"negatives/{i}.png,{kind},{split}")
        (negatives / "manifest.csv").write_text("\n".join(rows) + "\n")
        cls.said = cls.succeed("train", "--out", train, "--epochs", 2, "--steps", 2)
        cls.succeed("quantise", "--checkpoint", train / "best.pt", "--out", quantised, "--epochs", 1, "--steps", 2)
        cls.succeed("calibrate", "--integer", quantised / "integer.pickle", "--out", quantised / "calibration.json")
        cls.exported = cls.succeed_alone(
            "export", "--integer", quantised / "integer.pickle", "--calibration", quantised / "calibration.json",
            "--checkpoint", train / "best.pt", "--out", cls.model, "--golden", cls.work / "golden",
            "--onnx", cls.work / "tiny.onnx", "--report", cls.reports)

    def test_what_training_and_export_leave(self) -> None:
        self.assertIn("was trained on another data set or other splits", self.said)
        self.assertIn("note: without --model-version", self.exported)
        self.assertLess(self.model.stat().st_size, 2.6e6)
        runs = json.loads((self.reports / "training.json").read_text())["runs"]
        self.assertEqual({name: run["epochs"] for name, run in runs.items()}, {"float": 2, "quantised": 1})
        self.assertGreater((self.work / "tiny.onnx").stat().st_size, 8e6)
        shipped, meta = (cxrm.read(str(path))[1] for path in (MODEL / "cxrlens.cxrm", self.model))
        self.assertEqual(meta["training.seen"], shipped["training.data"])
        self.assertIn(str(shipped["model.version"]), str(meta["training.start"]))
        self.assertEqual(meta["notice"], "Trained on films that were not described.")

    def test_a_version_that_the_engine_would_refuse_is_told_before_anything_is_written(self) -> None:
        done = subprocess.run([sys.executable, MODEL / "export.py", "--model-version", "2.0-\u00e9", "--calibration",
                               self.work / "quantised" / "calibration.json", "--out", self.work / "none.cxrm"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, (self.work / "none.cxrm").exists()), (2, False))
        self.assertIn("printable ASCII", done.stderr)

    @unittest.skipUnless(CLI.exists(), f"{CLI} is not built")
    def test_the_engines_logits_are_the_references_bit_by_bit(self) -> None:
        files = sorted(str(p) for p in self.data.glob("*/images/*.png"))[::5]
        done = subprocess.run([CLI, "classify", "--model", self.model, "--format", "json", *files],
                              capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["file"] for line in lines], files)
        net, _ = cxrm.read(str(self.model))
        # the engine may turn a film that looks like none, the reference does not
        same = [(f, line) for f, line in zip(files, lines) if not {"rotated", "inverted"} & set(line["warnings"])]
        self.assertGreater(len(same), len(files) // 2)
        for file, line in same:
            expected = net.logits(read_image(file, INPUT)[None])[0, :4]
            got = np.array([c["logit"] for c in line["classes"]], np.float32)
            np.testing.assert_array_equal(got, expected, file)

    @unittest.skipUnless(CLI.exists(), f"{CLI} is not built")
    def test_transparency_is_laid_over_black_as_the_engine_does_and_a_name_may_hold_any_end_of_line(self) -> None:
        rng = np.random.default_rng(3)
        film = self.work / "film\u2028\x85.png"
        Image.fromarray(rng.integers(0, 256, (INPUT, INPUT, 4), np.uint8), "RGBA").save(film)
        answers = Engine(str(CLI), str(self.model)).classify([str(film)])
        if not answers.turned[0]:
            expected = cxrm.read(str(self.model))[0].logits(read_image(str(film), INPUT)[None])[0, :4]
            np.testing.assert_array_equal(answers.logits[0], expected)

    @unittest.skipUnless(CLI.exists(), f"{CLI} is not built")
    def test_reports_and_card(self) -> None:
        of_model = ("--model", self.model, "--report", self.reports)
        self.succeed("data", "--report", self.reports)
        self.succeed("evaluate", *of_model, "--cli", CLI, "--checkpoint", self.work / "train" / "best.pt",
                     "--corruption-films", 8)
        self.succeed("explain", *of_model, "--films", 8, "--slow-films", 4)
        self.succeed_alone("card", *of_model, "--out", self.work / "CARD.md")
        done = subprocess.run([sys.executable, MODEL / "card.py", "--report", self.reports, "--out", self.work / "OTHER.md"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, (self.work / "OTHER.md").exists()), (1, False))
        self.assertRegex(done.stderr, r"is of another model than .*cxrlens\.cxrm: make evaluate DATA=DIR writes it anew\.\n$")
        evaluation = json.loads((self.reports / "evaluation.json").read_text())
        self.assertEqual(evaluation["test"]["films"], sum(map(sum, evaluation["test"]["confusion"])))
        self.assertGreater(evaluation["float"]["agreement"], 0.5)
        self.assertEqual({k: g["trained_on"] for k, g in evaluation["gate"]["negatives"].items() if ":" not in k},
                         {"old": True, "new": False})
        self.assertFalse(evaluation["same_data"])  # the weights that ship have seen others
        report, card = (self.reports / "evaluation.md").read_text(), (self.work / "CARD.md").read_text()
        for text in (report, card):
            self.assertIn("The weights have learnt from other data", text)
        self.assertEqual(evaluation["test"]["doubt"]["answered"], 0)  # so few films bound no risk
        self.assertIn("| accuracy of those answers | - |", card)
        self.assertNotIn("seed project", report)
        self.assertIn("some of them of kinds that training never saw", card)
        for word in ("eda.md", "failures.md", "Kaggle", "RSNA"):
            self.assertNotIn(word, card)
        self.assertIn("## Near-duplicates", (self.reports / "eda.md").read_text())


class Resume(Commands):
    def test_a_kill_loses_at_most_one_epoch(self) -> None:
        out = self.work / "killed"
        options = ("--out", out, "--epochs", 4, "--steps", 2)
        with subprocess.Popen(self.command("train", *options), stdout=subprocess.PIPE, text=True) as process:
            said = any(line.startswith("epoch 4") for line in process.stdout)
            process.kill()
        self.assertTrue(said)
        done = torch.load(out / "last.pt")["plan"]["epoch"]
        self.assertGreaterEqual(done, 3)
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
        shutil.copy(out / "best.pt", self.work / "teacher.pt")
        for options in (("--seed", 2), ("--init", out / "best.pt"), ("--peak", 1e-4), ("--teacher", self.work / "teacher.pt")):
            done = self.run_step("train", "--out", out, "--epochs", 2, "--steps", 1, *options)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"holds a training of other data, .* --restart")
        self.assertEqual((out / "last.pt").read_bytes(), last)
        quantised = out / "quantised" / "last.pt"
        quantised.parent.mkdir()
        quantised.touch()
        self.succeed("train", "--out", out, "--epochs", 1, "--steps", 1, "--seed", 2, "--restart")
        self.assertFalse(quantised.exists(), "it was of the weights before, and would stop the next step")

    def test_a_network_learns_from_another(self) -> None:
        teacher, taught = self.work / "teaches", self.work / "taught"
        self.succeed("train", "--out", teacher, "--epochs", 1, "--steps", 1, "--reach", 0, "--hard", 0)
        self.succeed("train", "--out", taught, "--epochs", 1, "--steps", 2, "--teacher", teacher / "best.pt")
        self.assertEqual(torch.load(taught / "last.pt")["teachers"], 1)
        done = self.run_step("train", "--out", teacher, "--teacher", teacher / "best.pt")
        self.assertRegex(done.stderr, r"best\.pt cannot teach: .*, where the training writes\.\n$")


class BadInput(Commands):
    def test_an_unreadable_image_is_named_skipped_and_counted(self) -> None:
        data = made_up.make(self.work / "corrupt", each=6)
        broken = data / "COVID" / "images" / "COVID-2.png"
        broken.write_bytes(broken.read_bytes()[:200])
        for _ in range(2):  # the second finds manifest and images in the cache
            done = self.run_step("data", data=data)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count(str(broken)), 1)
            self.assertIn("1 of 24 images could not be read", done.stderr)

    def test_what_is_no_image_is_counted_and_a_name_may_be_any_bytes(self) -> None:
        data = made_up.make(self.work / "names", each=6)
        images = data / "COVID" / "images"
        (images / "notes.txt").touch()
        (images / "more").mkdir()
        shutil.move(images / "COVID-2.png", os.fsencode(images) + b"/COVID-\xff.png")
        for _ in range(2):
            done = self.run_step("data", "--report", self.work / "names-report", data=data)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"1 files in {images} are no PNG or JPEG; 1 folders were not entered.", done.stderr)

    def test_an_empty_or_missing_class_stops_with_a_sentence(self) -> None:
        data = made_up.make(self.work / "empty", each=4)
        for image in (data / "Lung_Opacity" / "images").iterdir():
            image.unlink()
        done = self.run_step("data", data=data)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^The class Lung_Opacity has no images in .*\.\n$")
        done = self.run_step("data", data=self.work / "nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^The class Normal has no folder .*\.\n$")

    def test_a_class_of_damaged_images_and_a_missing_start_stop_with_a_sentence(self) -> None:
        done = self.run_step("train", "--init", self.work / "none.tflite", "--out", self.work / "nothing")
        self.assertEqual((done.returncode, done.stderr), (1, f"There is no {self.work / 'none.tflite'} to start from.\n"))
        done = self.run_step("train", "--teacher", self.work / "none.pt", "--out", self.work / "nothing")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^.*none\.pt cannot teach: it is not there, .*\.\n$")
        data = made_up.make(self.work / "damaged", each=6)
        self.assertEqual(self.run_step("data", data=data).returncode, 0)
        for image in (data / "COVID" / "images").iterdir():
            image.write_bytes(b"x")
        done = self.run_step("train", "--out", self.work / "nothing", data=data)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\nThe class COVID has no images\.\n$")


if __name__ == "__main__":
    unittest.main()
