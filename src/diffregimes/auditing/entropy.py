"""The entropy of what a model generates, from the norm of its own score.

Along the process dS/dt = E|grad log P_t|^2 - d for S = -E log P_t (de Bruijn), from pure noise
down. With the predicted noise e(x_t), |score|^2 = |e|^2/Delta_t, and in gamma = e^{-2t}/Delta_t the
excess entropy d f = log n + (d/2) log(2 pi e Delta_t) - S of the model's law becomes

    d f(t) = log n - (1/2) int_0^gamma(t) (d - E|e|^2) d log gamma',

taken over the model's own trajectories. For the exact score of n points it is their f^e, which
falls to 0 and stays there; below 0 the model's law holds more than n points could.

|e|^2 alone varies by sqrt(2 d), more than log n for images. Stein's identity
E[(x - e^{-t} c).score] = -d, for any fixed c, holds for the score of the very law that x comes
from; the multiple of it that lowers the variance most is added at every t. What is left of the
identity is reported: it measures how far the score is from that of the law which it generates, to
which the formula holds only as far as the two agree.
"""

from __future__ import annotations

import math

import numpy as np

from ..backward.tracking import Tracked
from ..common.checks import InputError
from ..common.numerics import Z95
from ..process import snr
from ..results import Curves
from ..transitions.crossing import band_crossing
from .findings import Entropy

# Nats. d f where F = 0 for Gaussian data of 32 to 20 000 points in 64 dimensions or more: 0.54 to
# 0.60, more in few dimensions (docs/theory.md, section 5). That the level of speciation, a share of
# the way from chance, is 0.55 too (`transitions.criteria`) is an accident: neither follows from the
# other.
AT_COLLAPSE = 0.55


def model_entropy(
    tracked: Tracked,
    grid: np.ndarray,
    exact: Curves,
    n: int,
    counts: np.ndarray | None = None,
) -> Entropy:
    """Excess entropy of the model, over log n, at the times of `exact`, which lie on the grid.

    tracked : `track(..., norms=True)` on the `grid`, decreasing
    exact : curves of the forward pass, with "excess_entropy_over_alpha"
    counts : training points of the condition of each trajectory, in the place of all n: the excess
        is that over as many; it stays in units of log n
    """
    if tracked.noise_norm is None or tracked.noise_state is None:
        raise InputError(
            "the trajectories keep no norms; expected those of track(..., norms=True)."
        )
    t = grid[:-1]
    d = tracked.states.shape[1]
    lack = d - tracked.noise_norm  # of mean gamma mmse
    stein = tracked.noise_state - d  # of mean zero, were the score that of the law
    fit = stein - stein.mean(axis=0)
    slope = (fit * lack).sum(axis=0) / np.maximum((fit**2).sum(axis=0), 1e-300)
    steadied = lack - slope * stein
    width = np.diff(np.log(snr(t)))
    steps = 0.5 * (steadied[:, 1:] + steadied[:, :-1]) * width
    # above the grid the mmse is that of its first time
    path = steadied[:, :1] + np.concatenate([0 * steps[:, :1], np.cumsum(steps, axis=1)], axis=1)
    most = 1.0 if counts is None else np.log(counts)[:, None] / math.log(n)
    values = most - path / (2 * math.log(n))
    at = [int(np.abs(t - x).argmin()) for x in exact.t]
    root = math.sqrt(len(values))
    return Entropy(
        exact.t,
        values[:, at].mean(axis=0),
        values[:, at].std(axis=0, ddof=1) / root,
        exact["excess_entropy_over_alpha"],
        exact.se["excess_entropy_over_alpha"],
        -stein[:, at].mean(axis=0) / d,
        stein[:, at].std(axis=0, ddof=1) / (root * d),
    )


def collapse(
    t: np.ndarray, value: np.ndarray, se: np.ndarray, n: int
) -> tuple[float | None, float | None, float | None]:
    """Where f/log n falls to AT_COLLAPSE nats, with a 95 % interval, which reaches down to 0 where
    it may not; None where it does not."""
    band = np.stack([value, value + Z95 * se, value - Z95 * se])
    at, low, high = band_crossing(t, band, AT_COLLAPSE / math.log(n))
    return at, 0.0 if at is not None and low is None else low, high
