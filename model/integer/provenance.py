"""What the weights that a training starts from have seen: images of theirs may be in its test split, and flatter.

Checkpoints and model files hand it on, from training to training.
"""
from __future__ import annotations

from typing import Sequence

import torch

from files import file_digest
from integer import cxrm
from network.trainer import Origin

UNKNOWN = "unknown"  # in place of a fingerprint
# Data whose training images are all training images of today's splits: the images of 0.9.0, before validation and test
# images with a near-duplicate or a patient in `train` moved there. None moved the other way.
CONTAINED = {"6bea9643f5dc18e1cd4009f65f696e4c94af85caa5ac5754148509730f86eac0"}


def origin_of(path: str, data: str, teachers: Sequence[str] = ()) -> Origin:
    """Of a training that starts from the file `path` and learns from the networks `teachers`, on data of the fingerprint `data`."""
    model, text = _past_of(path)
    texts = [text, *(_past_of(teacher)[1] for teacher in teachers)]
    seen = set(",".join(texts).split(",")) - {"", data} - CONTAINED
    return Origin(path, model, ",".join(sorted(seen)))


def _past_of(path: str) -> tuple[str, str]:
    """Model file that the weights come from, and all data that they have seen; ImageNet has no chest X-rays."""
    if path.endswith(".cxrm"):
        meta = cxrm.read(path)[1]
        return (f"{meta['model.id']} {meta['model.version']} {file_digest(path)}",
                f"{meta.get('training.data', UNKNOWN)},{meta.get('training.seen', '')}")
    if path.endswith(".pt"):
        state = torch.load(path, map_location="cpu")
        return state.get("start", ""), f"{state.get('data', UNKNOWN)},{state.get('seen', '')}"
    return "", ""
