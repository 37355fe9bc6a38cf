"""From a folder of images to the engine's answer, through the commands a user would run."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "model"
CLI = Path(os.environ.get("CXRLENS", ROOT / "build" / "cxrlens"))
sys.path[:0] = [str(MODEL), str(Path(__file__).parent)]

import numpy as np  # noqa: E402

import made_up  # noqa: E402


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

    def command(self, step: str, *options: object, data: Path | None = None) -> list[str]:
        return [sys.executable, str(MODEL / f"{step}.py"), "--data", str(data or self.data), "--cache",
                str(self.cache), *map(str, options)]

    def run_step(self, step: str, *options: object, data: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(step, *options, data=data), capture_output=True, text=True, check=False)

    def succeed(self, *command: object) -> str:
        done = self.run_step(*command)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Pipeline(Commands):
    def test_folder_to_engine(self) -> None:
        train, quantised = self.work / "train", self.work / "quantised"
        said = self.succeed("train", "--out", train, "--epochs", 2, "--steps", 2)
        self.assertIn("was trained on another data set or other splits", said)
        self.succeed("quantise", "--checkpoint", train / "best.pt", "--out", quantised, "--epochs", 1, "--steps", 2)
        self.succeed("calibrate", "--integer", quantised / "integer.pickle", "--out", quantised / "calibration.json")
        model = self.work / "tiny.cxrm"
        done = subprocess.run(
            [sys.executable, MODEL / "export.py", "--integer", quantised / "integer.pickle", "--calibration",
             quantised / "calibration.json", "--checkpoint", train / "best.pt", "--out", model,
             "--golden", self.work / "golden", "--onnx", self.work / "tiny.onnx", "--report", self.work / "reports"],
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(model.stat().st_size, 2.6e6)
        runs = json.loads((self.work / "reports" / "training.json").read_text())["runs"]
        self.assertEqual({name: run["epochs"] for name, run in runs.items()}, {"float": 2, "quantised": 1})
        self.assertGreater((self.work / "tiny.onnx").stat().st_size, 8e6)
        self.compare_with_engine(model)

    def compare_with_engine(self, model: Path) -> None:
        """The C engine's logits are the reference's, bit by bit."""
        if not CLI.exists():
            self.skipTest(f"{CLI} is not built")
        import cxrm
        from data import INPUT, read_image
        files = sorted(str(p) for p in self.data.glob("*/images/*.png"))[::9]
        done = subprocess.run([CLI, "classify", "--model", model, "--format", "json", *files],
                              capture_output=True, text=True, check=True)
        net, _ = cxrm.read(str(model))
        for file, line in zip(files, map(json.loads, done.stdout.splitlines())):
            if {"rotated", "inverted"} & set(line["warnings"]):
                continue  # the engine turned the film; the reference does not
            expected = net.logits(read_image(file, INPUT)[None])[0, :4]
            got = np.array([c["logit"] for c in line["classes"]], np.float32)
            np.testing.assert_array_equal(got, expected, file)


class Resume(Commands):
    def test_a_kill_loses_at_most_one_epoch(self) -> None:
        import torch
        out = self.work / "killed"
        options = ("--out", out, "--epochs", 4, "--steps", 2)
        process = subprocess.Popen(self.command("train", *options), stdout=subprocess.DEVNULL,
                                   start_new_session=True)
        until = time.time() + 90
        while not (out / "last.pt").exists() and time.time() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done = torch.load(out / "last.pt")["plan"]["epoch"]
        self.assertGreaterEqual(done, 1)
        output = self.succeed("train", *options)
        self.assertIn(f"resuming after epoch {done}", output)
        self.assertEqual(torch.load(out / "last.pt")["plan"]["epoch"], 4)
        self.assertEqual(len((out / "curves.csv").read_text().splitlines()), 5)
        best = (out / "best.pt").read_bytes()
        self.assertIn("finished before", self.succeed("train", *options))
        self.assertEqual((out / "best.pt").read_bytes(), best)

    def test_a_training_of_other_data_or_another_start_is_not_resumed(self) -> None:
        out = self.work / "other"
        self.succeed("train", "--out", out, "--epochs", 1, "--steps", 1)
        last = (out / "last.pt").read_bytes()
        for options in (("--seed", 2), ("--init", out / "best.pt")):
            done = self.run_step("train", "--out", out, "--epochs", 2, "--steps", 1, *options)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"holds a training of other data, .* --restart")
        self.assertEqual((out / "last.pt").read_bytes(), last)


class BadInput(Commands):
    def test_an_unreadable_image_is_named_skipped_and_counted(self) -> None:
        data = made_up.make(self.work / "corrupt", each=6)
        broken = data / "COVID" / "images" / "COVID-2.png"
        broken.write_bytes(broken.read_bytes()[:200])
        done = self.run_step("data", data=data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(str(broken), done.stderr)
        self.assertIn("1 of 24 images could not be read", done.stderr)

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
        data = made_up.make(self.work / "damaged", each=6)
        self.assertEqual(self.run_step("data", data=data).returncode, 0)
        for image in (data / "COVID" / "images").iterdir():
            size = image.stat().st_size
            image.write_bytes(b"x" * size)  # of the same size: the manifest in the cache stands
        done = self.run_step("train", "--out", self.work / "nothing", data=data)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\nThe class COVID has no images\.\n$")


if __name__ == "__main__":
    unittest.main()
