"""What the weights that a training starts from have seen: films of theirs may be in its test split, and flatter.

Checkpoints and model files hand it on, from training to training.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch

import cxrm
from data import file_digest

UNKNOWN = "unknown"  # in place of a fingerprint


@dataclass(frozen=True)
class Origin:
    """Where a training starts."""
    path: str = ""   # none: random numbers
    model: str = ""  # id, version and SHA-256 of the model file that the chain of trainings came by last, if any
    seen: str = ""   # fingerprints of other data that the weights have seen, with commas between


def origin_of(path: str, data: str) -> Origin:
    """Of a training that starts from the file `path`, on data of the fingerprint `data`; ImageNet has no films."""
    if path.endswith(".cxrm"):
        meta = cxrm.read(path)[1]
        model = f"{meta['model.id']} {meta['model.version']} {file_digest(path)}"
        before = meta.get("training.data", UNKNOWN), meta.get("training.seen", "")
    elif path.endswith(".pt"):
        state = torch.load(path, map_location="cpu")
        model, before = state.get("start", ""), (state.get("data", UNKNOWN), state.get("seen", ""))
    else:
        return Origin(path)
    seen = {fingerprint for text in before for fingerprint in str(text).split(",")} - {"", data}
    return Origin(path, model, ",".join(sorted(seen)))
