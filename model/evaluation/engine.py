"""Runs the C engine's command line over files or arrays and collects its answers."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data import CLASS_IDS, DataError, printable

FILES_PER_CALL = 150


class EngineError(DataError):
    """The command line did not do its work; the message is a sentence for the user."""


@dataclass
class Answers:
    """What the engine said of N inputs; inputs that it could not read have `read` False and zeros."""
    read: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray
    score: np.ndarray
    accepted: np.ndarray
    turned: np.ndarray     # righted: turned or inverted by the engine
    verdict: np.ndarray

    def where(self, chosen: np.ndarray) -> "Answers":
        return Answers(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def unread_are_wrong(self, labels: np.ndarray) -> None:
        """Puts the true class of inputs that could not be read below the others, which are 0."""
        unread = np.flatnonzero(~self.read)
        self.logits[unread, labels[unread]] = self.probabilities[unread, labels[unread]] = -1


class Engine:
    """The command line and the model it is to use."""

    def __init__(self, cli: str, model: str, jobs: int = os.cpu_count() or 1):
        if not os.access(cli, os.X_OK):
            raise EngineError(f"There is no program {cli}: build the engine first.")
        self.command = [cli, "classify", "--model", model, "--format", "json", "--"]
        self.jobs = jobs

    def classify(self, files: list[str]) -> Answers:
        """Answers in the order of `files`."""
        parts = [files[i:i + FILES_PER_CALL] for i in range(0, len(files), FILES_PER_CALL)]
        with ThreadPoolExecutor(self.jobs) as pool:
            lines = [line for part in pool.map(self._call, parts) for line in part]
        return _answers(lines)

    def classify_arrays(self, images: np.ndarray) -> Answers:
        """The same for u8 arrays, through PNG files."""
        with tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder) / f"{i:06}.png") for i in range(len(images))]
            for file, image in zip(files, images):
                Image.fromarray(image).save(file, compress_level=1)
            return self.classify(files)

    def _call(self, files: list[str]) -> list[dict]:
        done = subprocess.run(self.command + files, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.split("\n")[:-1]]  # names may hold other ends of lines
        if done.returncode not in (0, 1) or len(lines) != len(files):
            raise EngineError(f"The engine gave {len(lines)} answers for {len(files)} files: {done.stderr.strip()}")
        for file, line in zip(files, lines):
            if "error" in line:
                print(f"the engine could not read {printable(file)}: {line['error']['message']}", file=sys.stderr)
        return lines


def _answers(lines: list[dict]) -> Answers:
    blank = {"classes": [{"logit": 0.0, "probability": 0.0}] * len(CLASS_IDS), "gate": {"score": 0, "accepted": False},
             "warnings": [], "verdict": "error"}
    read = np.array(["error" not in line for line in lines], bool)
    rows = [line if ok else blank for line, ok in zip(lines, read)]
    return Answers(read, np.array([[c["logit"] for c in r["classes"]] for r in rows], np.float32).reshape(-1, 4),
                   np.array([[c["probability"] for c in r["classes"]] for r in rows]).reshape(-1, 4),
                   np.array([r["gate"]["score"] for r in rows]), np.array([r["gate"]["accepted"] for r in rows], bool),
                   np.array([bool({"rotated", "inverted"} & set(r["warnings"])) for r in rows], bool),
                   np.array([r["verdict"] for r in rows]))
