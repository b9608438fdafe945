"""Grids of times: a wide one from the spectrum, and one that follows the curves of a pilot run."""

from __future__ import annotations

import math

import numpy as np

from ..data.cloud import Cloud, square_distances
from ..data.filecloud import FileCloud, nearest
from ..process import snr, time_from_snr
from .observables import PRECISION_CURVES
from .sample import Sample

_ROWS = 256  # points whose nearest others are looked for
_SAME = 1e-14  # of the squared norms: what float64 products leave of a distance of zero


def near_square(cloud: Cloud) -> float:
    """|a - b|^2 in data units of a point and the nearest other that is not the same: the lower
    quartile over some points."""
    rows = np.unique(np.linspace(0, cloud.n - 1, _ROWS).astype(np.int64))
    if isinstance(cloud, FileCloud):  # no two of its points are equal
        return float(np.quantile(nearest(cloud, rows, 1)[1], 0.25)) ** 2
    coordinates = cloud.coordinates
    norms = cloud.norms
    least = []
    for few in np.array_split(rows, math.ceil(len(rows) / 64)):
        square = square_distances(coordinates[few], coordinates)
        square[square <= _SAME * (norms[few][:, None] + norms)] = math.inf
        least.append(square.amin(dim=1).cpu().numpy())
    return float(np.quantile(np.concatenate(least), 0.25)) * cloud.scale**2


def pilot_times(
    eigenvalues: np.ndarray, n: int, near: float | None = None, count: int = 48
) -> np.ndarray:
    """A wide grid, even in log gamma: from where nothing is known of the index (the Gaussian
    bound on the information is 1 % of log n) to where near points are far apart.

    `near` is their squared distance (`near_square`); without it four decades have to do.
    """
    variances = eigenvalues[eigenvalues > 0]
    # information <= (1/2) sum log(1 + gamma lambda) <= gamma trace / 2
    low = 0.02 * math.log(n) / variances.sum()
    low = min(low, 0.05 / variances.max())
    # the weight of a near point is e^{-gamma near/2}, times n of them at the most
    high = max(100.0, 1e4 * low) if near is None else max(1e3 / near, 100 * low)
    grid = np.geomspace(low, high, count)
    return np.asarray(time_from_snr(grid[::-1]))


def adapt_times(pilot: Sample, count: int = 40) -> np.ndarray:
    """A grid of `count` times with equal steps in the change of the curves plus log gamma.

    The part of the range where every point is resolved (mean same-point probability above 0.999)
    is left out, for nothing changes there any more.
    """
    curves = pilot.curves()
    resolved = np.flatnonzero(curves["same_point_probability"] > 0.999)
    first = max(0, resolved[-1] - 1) if len(resolved) else 0
    log_gamma = np.log(snr(pilot.times[first:]))
    path = np.stack([curves[name][first:] for name in PRECISION_CURVES])
    free = np.clip(curves["loo_free_energy_over_log_n"][first:], -1, 1)
    change = np.abs(np.diff(np.vstack([path, free]), axis=1)).sum(axis=0)
    change = change / change.sum() + np.abs(np.diff(log_gamma)) / np.ptp(log_gamma)
    length = np.concatenate([[0], np.cumsum(change)])
    placed = np.interp(np.linspace(0, length[-1], count), length, log_gamma)
    return np.asarray(time_from_snr(np.exp(placed)))
