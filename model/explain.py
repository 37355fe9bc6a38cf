"""Measures the class activation map on test films: where it points, and whether the answer depends on it.

The map is exact (its mean plus the bias is the logit); these figures ask whether it is also useful. They are
computed by the integer reference, which has the engine's bits.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter

import cxrm
from calibrate import probabilities
from corruptions import LUNGS
from data import CACHE, CLASS_IDS, INPUT, file_digest, read_at_input, select
from evaluate import balanced_part
from fit import load_sets, run_program
from integer import IntegerNet
from net import CLASSES

GRID = INPUT // 32     # the map's cells each way; a cell covers 32 pixels of the film
PER_STEP = GRID       # cells deleted or inserted at a time
BORDER = 0.1
BLUR = 14            # standard deviation of the ground that cells are deleted to, in pixels


def maps_of(net: IntegerNet, films: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed maps N x classes x H x W, and the outputs, batch by batch."""
    maps, outputs = [], []
    with torch.no_grad():
        for start in range(0, len(films), 32):
            features = net.run(films[start:start + 32])[-1]
            outputs.append(net.head(features))
            maps.append(np.einsum("ncyx,ck->nkyx", features.numpy() * np.float32(net.tensors[-1].scale),
                                  net.head_weight[:, :CLASSES], optimize=True))
    return np.concatenate(maps), np.concatenate(outputs)


def mass_shares(maps: np.ndarray) -> dict[str, np.ndarray]:
    """Shares of the positive evidence in three regions of the film, per map N x H x W."""
    fine = F.interpolate(torch.from_numpy(maps).unsqueeze(1), size=INPUT, mode="bilinear", align_corners=False)
    positive = fine[:, 0].clamp_min(0).numpy()
    whole = positive.sum((1, 2)).clip(1e-9)
    third, edge = INPUT // 3, round(BORDER * INPUT)
    top, bottom, left, right = (round(v * INPUT) for v in LUNGS)
    return {"border": 1 - positive[:, edge:-edge, edge:-edge].sum((1, 2)) / whole,
            "outside_lungs": 1 - positive[:, top:bottom, left:right].sum((1, 2)) / whole,
            "middle": positive[:, third:-third, third:-third].sum((1, 2)) / whole}


def blurred(film: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(film).filter(ImageFilter.GaussianBlur(BLUR)))


def replaced(film: np.ndarray, ground: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """`film` with the given cells taken from `ground`."""
    mask = np.zeros(GRID * GRID, bool)
    mask[cells] = True
    side = INPUT // GRID
    return np.where(mask.reshape(GRID, GRID).repeat(side, 0).repeat(side, 1), ground, film)


def curve(net: IntegerNet, meta: cxrm.Meta, film: np.ndarray, order: np.ndarray, label: int, insert: bool) -> float:
    """Mean probability of `label` while cells are deleted from the film (or inserted into its blur) in order."""
    ground = blurred(film)
    start, end = (ground, film) if insert else (film, ground)
    steps = np.stack([replaced(start, end, order[:n]) for n in range(0, GRID * GRID + 1, PER_STEP)])
    p = probabilities(net.logits(steps)[:, :CLASSES], float(meta["calibration.scale"][0]), np.zeros(CLASSES))
    return float(p[:, label].mean())


def faithfulness(net: IntegerNet, meta: cxrm.Meta, films: np.ndarray, maps: np.ndarray, labels: np.ndarray) -> dict:
    """Deletion (lower is better) and insertion (higher is better) against random and centre-first orders."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:GRID, :GRID] - (GRID - 1) / 2
    centre = np.argsort(np.hypot(y, x).ravel(), kind="stable")
    totals: dict[str, list] = {}
    for film, own, label in zip(films, maps, labels):
        orders = {"map": np.argsort(-own[label].ravel()), "random": rng.permutation(GRID * GRID), "centre first": centre}
        for name, order in orders.items():
            for way in ("deletion", "insertion"):
                totals.setdefault(f"{way}, {name}", []).append(curve(net, meta, film, order, label, way == "insertion"))
    return {name: float(np.mean(values)) for name, values in totals.items()}


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def occlusion_agreement(net: IntegerNet, films: np.ndarray, maps: np.ndarray, labels: np.ndarray) -> float:
    """Mean rank correlation of the map with the logit's fall when each cell is blurred away."""
    result = []
    for film, own, label in zip(films, maps, labels):
        ground = blurred(film)
        changed = np.stack([film] + [replaced(film, ground, np.array([c])) for c in range(GRID * GRID)])
        logits = net.logits(changed)[:, label]
        result.append(rank_correlation(own[label].ravel(), logits[0] - logits[1:]))
    return float(np.mean(result))


def explain(args: argparse.Namespace) -> dict:
    net, meta = cxrm.read(args.model)
    sets = load_sets(args.data, args.cache)
    test = select(sets.records, "test")
    labels = np.array([sets.records[i].label for i in test])
    part = balanced_part(labels, args.films)
    films = read_at_input([sets.records[i] for i in test[part]])
    maps, outputs = maps_of(net, films)
    predicted = outputs[:, :CLASSES].argmax(1)
    own = maps[np.arange(len(maps)), predicted]
    shares = mass_shares(own)
    few = balanced_part(labels[part], args.slow_films)
    shuffled = net.head_weight[np.random.default_rng(0).permutation(len(net.head_weight))]
    random_maps, _ = maps_of(IntegerNet(net.tensors, net.convolutions, shuffled, net.head_bias), films[few])
    means = maps.mean((2, 3)) + net.head_bias[:CLASSES]
    return {
        "model": file_digest(args.model), "films": len(films), "largest_gap_of_map_mean_and_logit": float(np.abs(means - outputs[:, :CLASSES]).max()),
        "shares": {region: {CLASS_IDS[c]: float(share[predicted == c].mean()) for c in np.unique(predicted)}
                   for region, share in shares.items()},
        "area_share": {"border": 1 - (1 - 2 * BORDER) ** 2,
                       "outside_lungs": 1 - (LUNGS[1] - LUNGS[0]) * (LUNGS[3] - LUNGS[2]), "middle": 1 / 9},
        "slow_films": len(few), "curves": faithfulness(net, meta, films[few], maps[few], predicted[few]),
        "occlusion_rank_correlation": occlusion_agreement(net, films[few], maps[few], predicted[few]),
        "rank_correlation_after_shuffling_the_head": float(np.mean([
            rank_correlation(maps[i, predicted[i]].ravel(), random_maps[j, predicted[i]].ravel())
            for j, i in enumerate(few)])),
    }


def after_shuffling(result: dict) -> str:
    """How much of the map is left without the class's own weights, in words: where much is, it is no map of the class."""
    value = result["rank_correlation_after_shuffling_the_head"]
    if value < 0.5:
        return f"With the head's weights shuffled, the map's rank correlation with itself falls to {value:.3f}."
    return (f"With the head's weights shuffled, the map's rank correlation with itself stays at {value:.3f},\nso the map hardly "
            "depends on the class's weights.")


def markdown(result: dict) -> str:
    shares = result["shares"]
    rows = "".join(f"| {name} | " + " | ".join(f"{shares[region][name]:.3f}" for region in shares) + " |\n"
                   for name in shares["border"])
    area, curves = result["area_share"], result["curves"]
    table = "".join(f"| {order} | {curves[f'deletion, {order}']:.3f} | {curves[f'insertion, {order}']:.3f} |\n"
                    for order in ("map", "random", "centre first"))
    return f"""# The activation map, measured

Written by `model/explain.py` on {result['films']} test films ({result['slow_films']} for the curves), for the class
that the network chose. The map's mean plus the bias differs from the logit by at most
{result['largest_gap_of_map_mean_and_logit']:.1e}.

## Where the positive evidence lies

| class chosen | in the outer tenth | outside the lungs' box | in the middle ninth |
|---|---|---|---|
{rows}| (evenly spread) | {area['border']:.3f} | {area['outside_lungs']:.3f} | {area['middle']:.3f} |

## Does the answer depend on it?

Mean probability of the chosen class while the film's {GRID * GRID} cells are blurred away (deletion: lower is better) or put
back (insertion: higher is better), in the map's order and in two others.

| order | deletion | insertion |
|---|---|---|
{table}
Rank correlation with the logit's fall under occlusion of each cell: {result['occlusion_rank_correlation']:.3f}.
{after_shuffling(result)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default=str(Path(__file__).with_name("cxrlens.cxrm")))
    parser.add_argument("--report", default=str(Path(__file__).with_name("reports")))
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--films", type=int, default=400, help="for the shares")
    parser.add_argument("--slow-films", type=int, default=60, help="for curves and occlusion")
    args = parser.parse_args()
    result = explain(args)
    out = Path(args.report)
    out.mkdir(parents=True, exist_ok=True)
    (out / "explain.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "explain.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    run_program(main)
