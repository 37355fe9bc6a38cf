"""Occlusion sensitivity of the found opacities (after Zeiler and Fergus, 2014): what is left of the verdict when they are
covered, beside covering as much of the lungs elsewhere; and what is left of the map when its weights are shuffled.

Computed by the integer reference, which has the engine's bits, on canonical images.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter

from dataset.images import Images
from dataset.records import CLASSES, NORMAL
from evaluation.calibration import probabilities
from evaluation.evidence import inside, largest_inside
from evaluation.maps import in_boxes
from integer.cxrm import Meta
from integer.reference import IntegerNet, sigmoid

BLUR = 14   # standard deviation of the blurred ground, in pixels of the network's input
TIMES = 3   # random places for each image


@dataclass
class Reading:
    """What the network says of N images, the gate aside."""
    disease: np.ndarray    # 1 - P(normal)
    named: np.ndarray      # class of the verdict, -1: uncertain
    lungs: np.ndarray
    opacities: np.ndarray


def read(net: IntegerNet, meta: Meta, pixels: np.ndarray) -> Reading:
    """The verdicts as the engine's rule makes them."""
    logits, lungs, opacities = net.outputs(pixels)
    p = probabilities(logits[:, :CLASSES], float(meta["calibration.scale"][0]), np.zeros(CLASSES))
    lungs, opacities, called = sigmoid(lungs), sigmoid(opacities), p.argmax(1)
    evidence = largest_inside(lungs, opacities, float(meta["lungs.threshold"][0])) >= meta["evidence.threshold"][0]
    sure = (p.max(1) >= meta["doubt.threshold"][0]) & ((called == NORMAL) | evidence)
    return Reading(1 - p[:, NORMAL], np.where(sure, called, -1), lungs, opacities)


def grown(allowed: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray | None:
    """`count` of the allowed cells, grown from a random one as long as its neighbours are allowed, then from another; None if
    there are too few."""
    if allowed.sum() < count:
        return None
    taken, edge = np.zeros_like(allowed), []
    while count:
        if not edge:
            free = np.argwhere(allowed & ~taken)
            edge = [tuple(free[rng.integers(len(free))])]
        y, x = edge.pop(rng.integers(len(edge)))
        if taken[y, x]:
            continue
        taken[y, x] = True
        count -= 1
        edge += [(v, u) for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
                 if 0 <= v < allowed.shape[0] and 0 <= u < allowed.shape[1] and allowed[v, u] and not taken[v, u]]
    return taken


def covered(image: np.ndarray, cells: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """The image with these cells taken from `ground`, with soft edges."""
    mask = F.interpolate(torch.from_numpy(cells).float()[None, None], size=image.shape, mode="bilinear", align_corners=False)
    soft = mask[0, 0].clamp(0, 1).numpy()
    return np.rint(soft * ground + (1 - soft) * image).astype(np.uint8)


def grounds_of(image: np.ndarray, lungs: np.ndarray, found: np.ndarray) -> dict[str, np.ndarray]:
    """What to cover with: the image blurred, as the page does it, and the median level of the lungs where nothing was found."""
    cells = len(found)
    side = image.shape[0] // cells
    clear = (lungs & ~found).repeat(side, 0).repeat(side, 1)
    level = float(np.median(image[clear])) if clear.any() else float(np.median(image))
    blurred = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR)), np.float32)
    return {"blurred": blurred, "level of the clear lung": np.full_like(blurred, level)}


def occlusion_figures(net: IntegerNet, meta: Meta, pixels: np.ndarray) -> dict:
    """Of the images whose verdict is a disease: what becomes of it."""
    whole, rng = read(net, meta, pixels), np.random.default_rng(0)
    chosen, changed, left_out = [], [], 0
    for i in np.flatnonzero(whole.named > NORMAL):
        lungs = inside(whole.lungs[i:i + 1], float(meta["lungs.threshold"][0]))[0]
        found = lungs & (whole.opacities[i] >= meta["opacity.threshold"][0])
        places = [grown(lungs & ~found, int(found.sum()), rng) for _ in range(TIMES)]
        if not found.any() or places[0] is None:
            left_out += 1
            continue
        chosen.append(i)
        for ground in grounds_of(pixels[i], lungs, found).values():
            changed += [covered(pixels[i], cells, ground) for cells in (found, *places)]
    result = {"diseases": int((whole.named > NORMAL).sum()), "measured": len(chosen), "left_out": left_out, "grounds": {}}
    if chosen:
        after = read(net, meta, np.stack(changed))
        names = tuple(grounds_of(pixels[0], np.ones((1, 1), bool), np.ones((1, 1), bool)))
        shape = (len(chosen), len(names), 1 + TIMES)
        fall = whole.disease[chosen][:, None, None] - after.disease.reshape(shape)
        kept = after.named.reshape(shape) == whole.named[chosen][:, None, None]
        for k, name in enumerate(names):
            result["grounds"][name] = {place: {"fall": float(fall[:, k, part].mean()), "verdict_kept": float(kept[:, k, part].mean())}
                                       for place, part in (("found", slice(0, 1)), ("random", slice(1, None)))}
    return result


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of values without ties."""
    return float(np.corrcoef(a.ravel().argsort().argsort(), b.ravel().argsort().argsort())[0, 1])


def pointing(opacities: np.ndarray, images: Images) -> float:
    """Share of the images (all boxed) whose strongest cell lies in a box."""
    hits = [in_boxes(r, f, len(values)).any(0).ravel()[values.argmax()]
            for values, r, f in zip(opacities, images.records, images.frames)]
    return float(np.mean(hits))


def shuffling_figures(net: IntegerNet, images: Images) -> dict:
    """The opacity map against itself with its last layer's weights in another order (Adebayo et al., "Sanity checks for
    saliency maps", 2018), on boxed images."""
    head = net.maps[1]
    order = np.random.default_rng(0).permutation(len(head.fine_weight))
    shuffled = replace(net, maps=[net.maps[0], replace(head, fine_weight=head.fine_weight[order])])
    own, other = (n.outputs(images.pixels)[2] for n in (net, shuffled))
    return {"images": len(images), "pointing": pointing(own, images), "pointing_shuffled": pointing(other, images),
            "rank_correlation": float(np.mean([rank_correlation(a, b) for a, b in zip(own, other)]))}
