"""Fitting a classifier: AdamW on the cross-entropy of labels, points varied a little.

Randomness belongs to the step: seed -> step -> points, shifts and noise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ..common.parallel import Progress
from ..common.rng import point_of_pair, torch_generator
from .resnet import MEDIUM, ClassNetwork

BATCH = 64
STEPS = 600  # at least, however few the points
EPOCHS, EPOCHS_LARGE = 6, 12  # at least, however many the points; of images of 32 pixels or more
RATE, DECAY, WARM = 2e-3, 0.05, 0.1  # of AdamW: peak, weight decay, share of the steps to the peak
NOISE = 0.1  # up to this many spreads are added to a point: end points are not clean


def fit(
    points: np.ndarray,
    labels: np.ndarray,
    sample_shape: tuple[int, ...],
    classes: int,
    *,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> ClassNetwork:
    """A network for points (n, d) with labels (n,) from 0 to below `classes`, all of them there.

    Classes weigh alike in the loss. Images are shifted by up to a sixteenth of their side, edges
    repeated, and never mirrored: letters and digits have a left and a right. `epochs` are passes
    over the data, without as many as they need. In eval mode.
    """
    n = len(points)
    size = min(BATCH, n)
    steps = _steps(sample_shape, n, size, epochs)
    module = _fresh(points, sample_shape, classes, seed).to(device)
    samples = torch.from_numpy(points).reshape(-1, *sample_shape).to(device)
    known = torch.from_numpy(labels)
    weight = n / (classes * torch.bincount(known, minlength=classes).float())
    loss_of = nn.CrossEntropyLoss(weight.to(device))
    optimizer = torch.optim.AdamW(module.parameters(), RATE, weight_decay=DECAY)
    noise = NOISE * float(module.spread)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _rate((step + 1) / steps)
        chosen = torch.from_numpy(point_of_pair(n, step * size, size, seed))
        given = varied(samples, chosen, torch_generator(seed, "classifier", step), noise)
        loss = loss_of(module(given), known[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step + 1, steps, "training")
    return module.eval()


def _steps(shape: tuple[int, ...], n: int, size: int, epochs: int | None) -> int:
    if epochs is not None:
        return max(1, round(epochs * n / size))
    large = len(shape) == 3 and min(shape[:2]) >= MEDIUM
    return max(STEPS, round((EPOCHS_LARGE if large else EPOCHS) * n / size))


def _rate(done: float) -> float:
    """Up in a line, down as a cosine."""
    return RATE * min(done / WARM, 0.5 * (1 + math.cos(math.pi * max(done - WARM, 0) / (1 - WARM))))


def _fresh(points: np.ndarray, shape: tuple[int, ...], count: int, seed: int) -> ClassNetwork:
    """A network with the mean and spread of the points, before training."""
    with torch.random.fork_rng(devices=[]):  # initial weights come from the global generator alone
        torch.default_generator.manual_seed(
            torch_generator(seed, "classifier weights").initial_seed()
        )
        module = ClassNetwork(shape, count)
    rows = points.reshape(-1, shape[-1])
    module.mean.copy_(torch.from_numpy(rows.mean(axis=0, dtype=np.float64)))
    square = rows.var(axis=0, dtype=np.float64).mean()
    module.spread.fill_(math.sqrt(square) or 1.0)
    return module


def varied(samples: Tensor, chosen: Tensor, draw: torch.Generator, noise: float) -> Tensor:
    """The chosen samples, images shifted by up to a sixteenth of their side, with some noise."""
    m, to = len(chosen), samples.device
    level = noise * torch.rand((m, *[1] * (samples.ndim - 1)), generator=draw)
    added = (level * torch.randn((m, *samples.shape[1:]), generator=draw)).to(to)
    if samples.ndim == 2:
        return samples[chosen.to(to)] + added
    places = []
    for side in samples.shape[1:3]:
        most = max(side // 16, int(side >= 8))
        shift = torch.randint(-most, most + 1, (m, 1), generator=draw)
        places.append((torch.arange(side) + shift).clamp(0, side - 1).to(to))  # edges repeat
    rows, columns = places
    return samples[chosen.to(to)[:, None, None], rows[:, :, None], columns[:, None, :]] + added
