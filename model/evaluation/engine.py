"""Runs the C engine's command line over files or arrays and collects its results (schema cxrlens.result/2)."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.records import CLASS_IDS, CLASSES
from files import DataError, printable

UNCERTAIN, REFUSED = "uncertain", "not-a-chest-x-ray"  # verdicts that are not a class
FILES_PER_CALL = 150


class EngineError(DataError):
    """The command line did not do its work; the message is a sentence for the user."""


@dataclass
class Answers:
    """What the engine said of N inputs; inputs that it could not read have `read` False and zeros."""
    read: np.ndarray
    logits: np.ndarray         # N x CLASSES
    probabilities: np.ndarray  # N x CLASSES
    score: np.ndarray          # the gate's
    accepted: np.ndarray       # by the gate
    verdict: np.ndarray        # a class, UNCERTAIN or REFUSED
    opacity: np.ndarray        # the strongest inside the lungs
    findings: np.ndarray       # how many opacities were marked
    warnings: np.ndarray       # a frozenset of names each
    frames: np.ndarray         # N x 4: x, y, width, height of what was read, as fractions of the image
    lungs: np.ndarray          # N x 24 x 24 over the frame, or N x 0 x 0 if no maps were asked for
    opacities: np.ndarray      # N x 12 x 12, likewise

    def where(self, chosen: np.ndarray) -> "Answers":
        """The results of these inputs."""
        return Answers(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.read)

    @property
    def predicted(self) -> np.ndarray:
        """The most likely class, whatever the verdict."""
        return self.logits.argmax(1)

    @property
    def named(self) -> np.ndarray:
        """The class that the verdict names, -1 where it names none."""
        numbers = {name: i for i, name in enumerate(CLASS_IDS)}
        return np.array([numbers.get(v, -1) for v in self.verdict], np.int64)

    def warned(self, *names: str) -> np.ndarray:
        """Whether one of these warnings was given."""
        return np.array([not set(names).isdisjoint(w) for w in self.warnings], bool)

    @property
    def turned(self) -> np.ndarray:
        """Whether the engine turned or inverted the image to read it."""
        return self.warned("rotated", "inverted")

    def unread_are_wrong(self, labels: np.ndarray) -> None:
        """Puts the true class of inputs that could not be read below the others, which are 0."""
        unread = np.flatnonzero(~self.read)
        self.logits[unread, labels[unread]] = self.probabilities[unread, labels[unread]] = -1


class Engine:
    """The command line and the model it is to use."""

    def __init__(self, cli: str, model: str, jobs: int = os.cpu_count() or 1):
        if not os.access(cli, os.X_OK):
            raise EngineError(f"There is no program {cli}: build the engine first.")
        self.command = [cli, "classify", "--model", model, "--format", "json"]
        self.jobs = jobs

    def classify(self, files: list[str], maps: bool = False) -> Answers:
        """Results in the order of `files`."""
        parts = [files[i:i + FILES_PER_CALL] for i in range(0, len(files), FILES_PER_CALL)]
        with ThreadPoolExecutor(self.jobs) as pool:
            return _joined(list(pool.map(lambda part: self._call(part, maps), parts)))

    def classify_arrays(self, images: Iterable[np.ndarray], maps: bool = False) -> Answers:
        """The same for u8 or u16 arrays, through PNG files."""
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for image in images:
                files.append(str(Path(folder) / f"{len(files):06}.png"))
                Image.fromarray(image).save(files[-1], compress_level=1)
            return self.classify(files, maps)

    def _call(self, files: list[str], maps: bool) -> Answers:
        done = subprocess.run([*self.command, *(["--maps"] if maps else []), "--", *files], capture_output=True, text=True,
                              check=False)
        lines = [json.loads(line) for line in done.stdout.split("\n")[:-1]]  # names may hold other ends of lines
        if done.returncode not in (0, 1) or len(lines) != len(files):
            raise EngineError(f"The engine gave {len(lines)} results for {len(files)} files: {done.stderr.strip()}")
        for file, line in zip(files, lines):
            if "error" in line:
                print(f"the engine could not read {printable(file)}: {line['error']['message']}", file=sys.stderr)
        return answers_of(lines)


_BLANK = {"classes": [{"logit": 0.0, "probability": 0.0}] * CLASSES, "gate": {"score": 0, "accepted": False}, "warnings": [],
          "verdict": "error", "opacity": {"score": 0}, "findings": [], "frame": {"x": 0, "y": 0, "width": 1, "height": 1}}


def answers_of(lines: list[dict]) -> Answers:
    """The results of parsed lines of JSON."""
    read = np.array(["error" not in line for line in lines], bool)
    rows = [line if ok else _BLANK for line, ok in zip(lines, read)]
    warnings = np.empty(len(rows), object)
    warnings[:] = [frozenset(r["warnings"]) for r in rows]
    return Answers(read, np.array([[c["logit"] for c in r["classes"]] for r in rows], np.float32).reshape(-1, CLASSES),
                   np.array([[c["probability"] for c in r["classes"]] for r in rows]).reshape(-1, CLASSES),
                   np.array([r["gate"]["score"] for r in rows]), np.array([r["gate"]["accepted"] for r in rows], bool),
                   np.array([r["verdict"] for r in rows]), np.array([r["opacity"]["score"] for r in rows], np.float32),
                   np.array([len(r["findings"]) for r in rows], np.int64), warnings,
                   np.array([[r["frame"][k] for k in ("x", "y", "width", "height")] for r in rows]).reshape(-1, 4),
                   _maps(rows, "lungs"), _maps(rows, "opacities"))


def _maps(rows: list[dict], name: str) -> np.ndarray:
    """One map of all inputs; zeros for those without."""
    given = [r["maps"][name] if "maps" in r else None for r in rows]
    shape = next(((m["height"], m["width"]) for m in given if m), (0, 0))
    result = np.zeros((len(rows), *shape), np.float32)
    for i, values in enumerate(given):
        if values:
            result[i] = np.array(values["values"], np.float32).reshape(shape)
    return result


def _joined(parts: list[Answers]) -> Answers:
    """Parts of one run, of which one may hold nothing that could be read."""
    if not parts:
        return answers_of([])
    shapes = {name: max(getattr(p, name).shape[1:] for p in parts) for name in ("lungs", "opacities")}
    for part in parts:
        for name, shape in shapes.items():
            if getattr(part, name).shape[1:] != shape:
                setattr(part, name, np.zeros((len(part), *shape), np.float32))
    return Answers(*(np.concatenate([getattr(p, name) for p in parts]) for name in Answers.__dataclass_fields__))
