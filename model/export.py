"""Writes what ships: model/cxrlens.cxrm, the golden vectors, and the float network as ONNX for comparison."""
from __future__ import annotations

import argparse
import hashlib
import json
import os
import warnings
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch

from dataset.preprocess import INPUT
from dataset.records import CLASS_IDS, CLASSES, PUBLIC_FINGERPRINT
from files import file_digest, replacing, run_in_sentences
from integer import cxrm
from integer.golden import write_golden
from integer.provenance import origin_of
from integer.reference import IntegerNet, load_integer
from network.mobilenet import Outputs, load_float
from network.trainer import Origin

MODEL_ID, FIRST_VERSION = "cxrlens-mobilenetv2", "1.0.0"
LICENCE = "see model/CARD.md; research and education only, not a medical device"
PUBLIC_NOTICE = ("Trained on the COVID-19 Radiography Database (Rahman, Chowdhury et al.), the RSNA Pneumonia Detection Challenge, "
                 "SIIM-FISABIO-RSNA COVID-19 (BIMCV, RICORD), Kermany et al. and lung masks of V7 Labs (CC BY 4.0); started from "
                 "MobileNetV2 weights of google-coral/test_data (Apache-2.0).")
OTHER_NOTICE = "Trained on images that were not described."
PREPROCESS = (f"gray BT.601, plain edges cut, .5 to 99.5 percentiles stretched, frame stretched to {INPUT}x{INPUT} by antialiased "
              "bicubic a=-0.5, level/255")


def metadata(calibration: dict, version: str, notice: str, checkpoint: str, origin: Origin) -> cxrm.Meta:
    """`checkpoint` is the digest of the float network, `origin` what it has seen before."""
    past = {"training.start": origin.model, "training.seen": origin.seen}
    return {"model.id": MODEL_ID, "model.version": version, "classes": "\n".join(CLASS_IDS),
            "calibration.scale": np.full(CLASSES, calibration["scale"], np.float32),
            "calibration.bias": np.zeros(CLASSES, np.float32),
            "gate.threshold": np.array([calibration["gate"]["threshold"]], np.float32),
            "gate.righting": np.array([calibration["gate"]["righting"]], np.float32),
            "doubt.threshold": np.array([calibration["doubt"]["threshold"]], np.float32),
            "evidence.threshold": np.array([calibration["evidence"]["threshold"]], np.float32),
            "opacity.threshold": np.array([calibration["evidence"]["threshold"]], np.float32),
            "lungs.threshold": np.array([calibration["evidence"]["lungs_threshold"]], np.float32),
            "lungs.least": np.array([calibration["evidence"]["lungs_least"]], np.float32),
            "operating.sens95": np.array(calibration["operating"]["sens95"], np.float32),
            "operating.spec95": np.array(calibration["operating"]["spec95"], np.float32),
            "preprocess": PREPROCESS, "training.data": calibration["training_data"], "training.float": checkpoint,
            **{key: text for key, text in past.items() if text}, "training.date": date.today().isoformat(),
            "licence": LICENCE, "notice": notice}


def with_calibrated_bias(net: IntegerNet, calibration: dict) -> IntegerNet:
    """Moves the class biases into the head, so that the raw logits, too, rank the classes as the probabilities do."""
    bias = net.head_bias.copy()
    bias[:CLASSES] += (np.array(calibration["bias"]) / calibration["scale"]).astype(np.float32)
    return replace(net, head_bias=bias)


def training_record(folders: dict[str, Path], calibration: dict) -> dict:
    """What the runs in `folders` did, epoch by epoch, and what was chosen on the validation split."""
    runs = {}
    for name, folder in folders.items():
        last, kept = (torch.load(folder / file, map_location="cpu") for file in ("last.pt", "best.pt"))
        plan, best = last["plan"], kept["plan"]
        # The means at a run's end come after the last checkpoint: only the best one knows whether one of them was better.
        runs[name] = {"minutes": round(plan["seconds"] / 60, 1), "epochs": plan["epoch"],
                      "best_epoch": best["best_epoch"], "history": plan["history"]}
    return {"date": date.today().isoformat(), "cores": os.cpu_count(), "runs": runs, "calibration": calibration}


def write_onnx(checkpoint: str, path: Path) -> None:
    """The float network, for other runtimes: input N x 1 x INPUT x INPUT in [0, 1]; logits of classes and gate, and of both maps."""
    net = load_float(checkpoint)
    warnings.filterwarnings("ignore", module="torch.onnx")  # about shape inference of the padding; harmless
    torch.onnx.export(net, torch.zeros(1, 1, INPUT, INPUT), str(path), input_names=["image"],
                      output_names=list(Outputs._fields),
                      dynamic_axes={name: {0: "n"} for name in ("image", *Outputs._fields)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--integer", default="build/train/quantised/integer.pickle")
    parser.add_argument("--calibration", default="build/train/quantised/calibration.json")
    parser.add_argument("--checkpoint", default="build/train/best.pt", help="the float network, for ONNX")
    parser.add_argument("--out", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--golden", default="tests/golden", help="folder for the golden vectors")
    parser.add_argument("--onnx", default="build/cxrlens.onnx")
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports")), help="folder for training.json")
    parser.add_argument("--model-version")
    parser.add_argument("--notice", help="where images and first weights come from")
    args = parser.parse_args()
    version = args.model_version or FIRST_VERSION
    if not (version.isascii() and version.isprintable()):
        parser.error("the version has to be of printable ASCII, otherwise the engine refuses the model")
    calibration = json.loads(Path(args.calibration).read_text())
    if not args.model_version:
        print(f"note: without --model-version (make train MODEL_VERSION=...) the model is called {FIRST_VERSION}.")
    public = calibration["training_data"] == PUBLIC_FINGERPRINT
    net = with_calibrated_bias(load_integer(args.integer), calibration)
    data = cxrm.write(net, metadata(calibration, version, args.notice or (PUBLIC_NOTICE if public else OTHER_NOTICE),
                                    file_digest(args.checkpoint), origin_of(args.checkpoint, calibration["training_data"])))
    digest = hashlib.sha256(data).hexdigest()
    write_golden(net, digest, Path(args.golden))
    folders = {"float": Path(args.checkpoint).parent, "quantised": Path(args.integer).parent}
    Path(args.report).mkdir(parents=True, exist_ok=True)
    record = {"model": digest, **training_record({k: f for k, f in folders.items() if (f / "last.pt").exists()}, calibration)}
    (Path(args.report) / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    Path(args.onnx).parent.mkdir(parents=True, exist_ok=True)
    write_onnx(args.checkpoint, Path(args.onnx))
    with replacing(Path(args.out)) as temporary:  # last, as the next training starts from it
        temporary.write_bytes(data)
    print(f"{args.out}: {len(data)} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    run_in_sentences(main)
