"""What a denoiser loses at every t, on points it was trained on and on points it was not.

The loss E|a - D(x_t, t)|^2 of the exact score of the training points is the mmse of these points,
E|a - E[a|x_t]|^2, the least there is on them. A network that has memorised comes near it, and loses
more on held-out points; one that generalizes loses the same on both. The largest t from which the
two losses stay apart down to the data is the network's own time of collapse, to be compared with
t_C of the exact score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..checks import InputError, in_range, increasing
from ..posterior import prepare
from ..process import signal, variance
from ..rng import point_of_pair, torch_generator
from ..scores import AbstractScore
from ..sweep import Progress, sweep

BLOCK = 256
SEPARATE = 3.0  # standard errors between the two losses


@dataclass(frozen=True)
class Losses:
    """Mean squared errors (T,) with standard errors at increasing t, in squared data units.

    `train`, `held_out` of the score asked; `exact` of the exact empirical score on `train` points.
    """

    t: np.ndarray
    train: np.ndarray
    train_se: np.ndarray
    held_out: np.ndarray
    held_out_se: np.ndarray
    exact: np.ndarray
    exact_se: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """(held_out - train) in standard errors."""
        error = np.hypot(self.train_se, self.held_out_se)
        return np.asarray((self.held_out - self.train) / np.maximum(error, 1e-300))

    def separation(self) -> float | None:
        """The largest t from which the gap exceeds SEPARATE standard errors at all smaller times;
        None where it does not."""
        apart = self.gap > SEPARATE
        together = np.flatnonzero(~apart)
        count = int(together[0]) if len(together) else len(apart)
        return float(self.t[count - 1]) if count else None


def denoising_losses(
    score: AbstractScore,
    training: np.ndarray,
    held_out: np.ndarray,
    times: Sequence[float] | np.ndarray,
    *,
    draws: int = 2048,
    seed: int = 0,
    progress: Progress | None = None,
) -> Losses:
    """Losses of `score` on `draws` noised points of each set, (n, d) arrays in its scale.

    The same noise serves at every t, and for both sets.
    """
    t = increasing("times", times)
    in_range("draws", draws, 2, 10**9)
    for name, points in (("training", training), ("held_out", held_out)):
        if points.ndim != 2 or len(points) < 2 or points.shape[1] != training.shape[1]:
            raise InputError(
                f"{name} has the shape {points.shape}; expected (n, {training.shape[-1]}) and two "
                "points or more."
            )
    found = [_losses(score, x, t, draws, seed) for x in (training, held_out)]
    sample = sweep(
        prepare(training, np.zeros(len(training), dtype=np.int64)),
        t,
        draws=draws,
        seed=seed,
        progress=progress,
    )
    exact = sample.curves()
    return Losses(t, *found[0], *found[1], exact["mmse"], exact.se["mmse"])


def _losses(
    score: AbstractScore, points: np.ndarray, t: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over draws, each point as often as any other."""
    values = np.empty((draws, len(t)))
    for start in range(0, draws, BLOCK):
        size = min(BLOCK, draws - start)
        chosen = point_of_pair(len(points), start, size, seed)
        a = torch.from_numpy(np.asarray(points[chosen], dtype=np.float32))
        generator = torch_generator(seed, "losses", start // BLOCK)
        z = torch.randn(a.shape, generator=generator)
        for k, time in enumerate(t):
            x = float(signal(time)) * a + math.sqrt(float(variance(time))) * z
            with torch.no_grad():
                error = (a - score.denoise(x, float(time))).square().sum(1)
            values[start : start + size, k] = error.double().numpy()
    # a point that comes more than once is one observation
    owner = np.concatenate(
        [point_of_pair(len(points), s, min(BLOCK, draws - s), seed) for s in range(0, draws, BLOCK)]
    )
    each, where = np.unique(owner, return_inverse=True)
    sums = np.zeros((len(each), len(t)))
    np.add.at(sums, where, values)
    means = sums / np.bincount(where)[:, None]
    return values.mean(axis=0), means.std(axis=0, ddof=1) / math.sqrt(len(each))
