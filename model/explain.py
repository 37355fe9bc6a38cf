"""Measures what the opacity map is worth on test images: whether the verdict depends on what it found, and whether the map
depends on what it has learned."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from dataset.images import Images, load_sets
from dataset.records import CACHE, NORMAL
from evaluation import report
from evaluation.occlusion import occlusion_figures, shuffling_figures
from files import file_digest
from integer import cxrm
from network.trainer import run_program


def some(images: Images, count: int, wanted) -> Images:
    """At most `count` of the images that are wanted, seeded."""
    chosen = np.array([i for i, r in enumerate(images.records) if wanted(r)], np.int64)
    return images.where(np.sort(np.random.default_rng(0).permutation(chosen)[:count]))


def explain(args: argparse.Namespace) -> dict:
    """All figures."""
    net, meta = cxrm.read(args.model)
    sets = load_sets(args.data, args.cache)
    classes, siim = sets.classes.split("test"), sets.siim.split("test")
    parts = {"four classes": some(classes, args.images, lambda r: r.label != NORMAL and not r.contradicts),
             "SIIM": some(siim, args.images, lambda r: r.reading != "negative")}
    boxed = some(siim if len(siim) else classes, args.images, lambda r: r.boxes)
    return {"model": file_digest(args.model),
            "occlusion": {name: {"images": len(part), **occlusion_figures(net, meta, part.pixels)}
                          for name, part in parts.items() if len(part)},
            "shuffling": shuffling_figures(net, boxed) if len(boxed) else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports")))
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--images", type=int, default=150, help="of each collection")
    args = parser.parse_args()
    result = report.rounded(explain(args))
    out = Path(args.report)
    out.mkdir(parents=True, exist_ok=True)
    (out / "explain.json").write_text(json.dumps(result, indent=1) + "\n")
    text = report.explanation(result)
    (out / "explain.md").write_text(text)
    print(text)


if __name__ == "__main__":
    run_program(main)
