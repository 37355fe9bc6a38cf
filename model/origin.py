"""What the weights that a training starts from have seen: films of theirs may be in its test split, and flatter.

Checkpoints and model files hand it on, from training to training.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

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
    teachers: tuple[str, ...] = ()


def origin_of(path: str, data: str, teachers: Sequence[str] = ()) -> Origin:
    """Of a training that starts from the file `path`, on data of the fingerprint `data`; what its teachers have seen, it
    learns of."""
    pasts = [_past_of(each) for each in (path, *teachers)]
    seen = {fingerprint for _, text in pasts for fingerprint in text.split(",")} - {"", data}
    return Origin(path, pasts[0][0], ",".join(sorted(seen)), tuple(teachers))


def _past_of(path: str) -> tuple[str, str]:
    """Model file that the weights come from, and all data that they have seen; ImageNet has no films."""
    if path.endswith(".cxrm"):
        meta = cxrm.read(path)[1]
        return (f"{meta['model.id']} {meta['model.version']} {file_digest(path)}",
                f"{meta.get('training.data', UNKNOWN)},{meta.get('training.seen', '')}")
    if path.endswith(".pt"):
        state = torch.load(path, map_location="cpu")
        return state.get("start", ""), f"{state.get('data', UNKNOWN)},{state.get('seen', '')}"
    return "", ""
