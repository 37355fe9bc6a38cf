"""The loss of the float network: classes, gate, lungs and opacities in one sum."""
from __future__ import annotations

import torch
import torch.nn.functional as F

from dataset.batches import Batch
from dataset.records import CLASSES, NEGATIVE
from network.mobilenet import Outputs

GATE_WEIGHT, LUNGS_WEIGHT, OPACITIES_WEIGHT, PRESENT_WEIGHT, POINT_WEIGHT = 0.3, 0.3, 1.5, 0.2, 0.1
POSITIVE_WEIGHT = 2.0   # of cells within a box, which are few
STRONGEST = 4           # cells by whose mean an image counts as one with an opacity
LARGEST, BEYOND_WEIGHT = 20.0, 0.01
MAPS_WARM_UP = 400      # steps until the maps' gradients reach the backbone in full


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)


def class_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the classes on chest X-rays; binary cross-entropy of the gate. A penalty
    keeps outputs within LARGEST; without it, images that are not chest X-rays drive them up without bound."""
    classes = _mean(-(batch.wanted * F.log_softmax(logits[:, :CLASSES], 1)).sum(1), batch.weight)
    gate = F.binary_cross_entropy_with_logits(logits[batch.whole, CLASSES], (batch.labels[batch.whole] != NEGATIVE).float())
    beyond = (logits.abs() - LARGEST).clamp_min(0).mean()
    return classes + GATE_WEIGHT * gate + BEYOND_WEIGHT * beyond


def lungs_loss(logits: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of each cell, plus half of 1 minus the soft Dice coefficient."""
    cells = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=(1, 2))
    p = logits.sigmoid()
    dice = 1 - (2 * (p * wanted).sum(dim=(1, 2)) + 1) / (p.sum(dim=(1, 2)) + wanted.sum(dim=(1, 2)) + 1)
    return _mean(cells + 0.5 * dice, weight)


def opacities_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Where a radiologist looked: binary cross-entropy of each cell, and the cells in the boxes must stand out from the others.
    Where at least the diagnosis tells: the strongest cells together must show an opacity, or none (multiple-instance learning)."""
    cells = F.binary_cross_entropy_with_logits(logits, batch.opacities, reduction="none",
                                               pos_weight=torch.tensor(POSITIVE_WEIGHT)).mean(dim=(1, 2))
    strongest = logits.flatten(1).topk(STRONGEST, dim=1).values.mean(1)
    present = F.binary_cross_entropy_with_logits(strongest, batch.present, reduction="none")
    shares = batch.opacities.flatten(1)
    beside = -(logits.flatten(1).softmax(1) * shares).sum(1).clamp_min(1e-6).log()
    return (_mean(cells, batch.opacities_weight) + PRESENT_WEIGHT * _mean(present, batch.present_weight)
            + POINT_WEIGHT * _mean(beside, batch.opacities_weight * (shares.amax(1) > 0.5)))


def training_loss(outputs: Outputs, batch: Batch) -> torch.Tensor:
    """The sum of all losses; the maps' logits are bounded like the classes'."""
    beyond = sum((m.abs() - LARGEST).clamp_min(0).mean() for m in (outputs.lungs, outputs.opacities))
    return (class_loss(outputs.logits.float(), batch) + LUNGS_WEIGHT * lungs_loss(outputs.lungs, batch.lungs, batch.lungs_weight)
            + OPACITIES_WEIGHT * opacities_loss(outputs.opacities, batch) + BEYOND_WEIGHT * beyond)
