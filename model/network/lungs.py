"""A first outline of the lungs before the main training: fits the lungs head on masks and leaves the backbone unchanged."""
from __future__ import annotations

import numpy as np
import torch

from dataset.batches import as_batches
from dataset.images import Sets, read_mask
from network.losses import lungs_loss
from network.mobilenet import Net

GRID, BATCH, RATE = 24, 64, 3e-3


@torch.no_grad()
def _features(net: Net, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    net.eval()
    parts = [net.features(x.contiguous(memory_format=torch.channels_last))[:2] for x in as_batches(pixels)]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def fit_lungs(net: Net, sets: Sets, seed: int, steps: int) -> None:
    """Trains net.lungs alone on the training masks; without masks the head stays as it is."""
    pixels, wanted = [], []
    for part in (sets.classes.split("train"), sets.bacterial.split("train")):
        for image, frame, record in zip(part.pixels, part.frames, part.records):
            if record.mask:
                mask = read_mask(record, frame, GRID)
                pixels += [image, image[:, ::-1]]
                wanted += [mask, mask[:, ::-1]]
    if not pixels:
        return
    fine, coarse = _features(net, np.stack(pixels))
    targets = torch.from_numpy(np.stack(wanted).copy())
    rng = np.random.default_rng(seed)
    net.train()
    optimiser = torch.optim.Adam(net.lungs.parameters(), lr=RATE)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / steps)
        chosen = torch.from_numpy(rng.choice(len(targets), BATCH))
        loss = lungs_loss(net.lungs(fine[chosen], coarse[chosen]), targets[chosen], torch.ones(BATCH))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"lungs: loss {loss.item():.4f} on {len(targets)} masks", flush=True)


@torch.no_grad()
def lungs_of(net: Net, pixels: np.ndarray) -> np.ndarray:
    """The lungs of each image, u8 N x GRID x GRID."""
    net.eval()
    parts = [(net(x.contiguous(memory_format=torch.channels_last)).lungs.sigmoid() * 255).round().to(torch.uint8).numpy()
             for x in as_batches(pixels)]
    return np.concatenate(parts) if parts else np.empty((0, GRID, GRID), np.uint8)
