"""Training points at risk: when each one collapses, and which are duplicates.

Point mu is copied once its posterior weight dominates: its own collapse time is the t at which
w_mu, averaged over noise, is one half. Far from all others means early in the generation, that is
at large t. Candidates are found by a lower bound on every distance that costs 64 dimensions
instead of d: |a - b|^2 >= |P(a - b)|^2 + (|a - Pa| - |b - Pb|)^2 for any projection P.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from ..common import numerics
from ..common.parallel import workers
from ..common.rng import torch_generator
from ..data.cloud import Cloud
from ..data.datasets import Dataset
from ..posterior import fused
from ..posterior.moments import PAIRS_PER_BLOCK, Draws, moments
from ..posterior.sweep import Sample
from ..process import snr, time_from_snr
from ..results import Exposure

_PAIRS = 16  # noise pairs behind the collapse time of a listed point
_ALONE = 0.1  # gamma |a - b|^2 at which no point is told from its neighbour
_STEP = 0.5  # in log gamma


def point_times(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Indices (p,) of the points drawn, and the collapse time of each (NaN: not in the range)."""
    points, where = np.unique(sample.points, return_inverse=True)
    weight = np.zeros((len(points), len(sample.times)))
    np.add.at(weight, where, sample.values["own_point_probability"])
    weight /= np.bincount(where)[:, None]
    return points, _half(np.log(snr(sample.times)), weight)


def _half(log_gamma: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Times at which each row of weight (p, T), increasing in gamma, is one half."""
    places = numerics.crossings(-log_gamma, weight, 0.5)
    return np.asarray(time_from_snr(np.exp(-places)))


def _reaching(gamma: np.ndarray, farthest: float) -> np.ndarray:
    """gamma (T,), decreasing, and on to where the loneliest point has not collapsed yet."""
    if gamma[-1] * farthest**2 <= _ALONE:  # of 0, too, where every point has a twin
        return gamma
    least = _ALONE / farthest**2
    steps = math.ceil(math.log(gamma[-1] / least) / _STEP)
    return np.concatenate([gamma, np.geomspace(gamma[-1], least, steps + 1)[1:]])


def named(exposed: tuple[Exposure, ...], dataset: Dataset) -> tuple[Exposure, ...]:
    """The points of `most_exposed` by their names, in place of their rows in the dataset."""
    return tuple(
        replace(
            x,
            index=int(dataset.indices[x.index]),
            nearest_index=int(dataset.indices[x.nearest_index]),
            file=dataset.file_of(x.index),
            nearest_file=dataset.file_of(x.nearest_index),
        )
        for x in exposed
    )


def most_exposed(
    cloud: Cloud,
    sample: Sample,
    near: np.ndarray,
    distance: np.ndarray,
    *,
    seed: int = 0,
    memory_mib: int = 1024,
    count: int = 12,
) -> tuple[Exposure, ...]:
    """The `count` points with the largest collapse times, largest first, by row in the dataset.

    Candidates are the points farthest from their neighbours and those that collapse first
    among the points drawn; each gets `_PAIRS` noise pairs of its own.
    """
    points, times = point_times(sample)
    drawn = points[np.argsort(-np.nan_to_num(times, nan=-1.0), kind="stable")[: 2 * count]]
    far = np.argsort(-distance.min(axis=1), kind="stable")[: 2 * count]
    rows = np.unique(np.concatenate([far, cloud.row_of[drawn]]))
    gamma = _reaching(snr(sample.times), float(distance.min(axis=1).max()))
    shape = _PAIRS, cloud.coordinates.shape[1]
    device = cloud.coordinates.device
    whole = replace(cloud, bounds=(0, cloud.n))  # the classes play no part
    compiled = fused.worth(cloud.n, len(rows) * 2 * _PAIRS, 1, device)

    def own_weights(some: np.ndarray) -> np.ndarray:
        """w_mu (candidates, pairs, T) of a few candidates."""
        # a point's noise hangs on the point alone, not on who else is a candidate
        generators = [torch_generator(seed, "exposure", int(i)) for i in cloud.order[some]]
        noise = torch.cat([torch.randn(shape, generator=g) for g in generators])
        chosen = torch.from_numpy(some.repeat(_PAIRS))
        draws = Draws(chosen.to(device), noise.to(device))
        free = moments(whole, draws, gamma, compiled=compiled).log_sum
        weight = torch.sigmoid(-free).mean(1)
        return weight.T.reshape(len(some), _PAIRS, -1).cpu().numpy()

    with workers(device, memory_mib) as pool:
        together = PAIRS_PER_BLOCK // _PAIRS
        batches = np.array_split(rows, math.ceil(len(rows) / together))
        weights = np.concatenate(list(pool.map(own_weights, batches)))
    log_gamma = np.log(gamma)
    out = []
    for row, pairs in zip(rows.tolist(), weights, strict=True):
        mean = pairs.mean(axis=0)
        t = float(_half(log_gamma, mean[None])[0])
        # jackknife over the noise pairs
        left_out = _half(log_gamma, (mean * _PAIRS - pairs) / (_PAIRS - 1))
        se = math.sqrt((_PAIRS - 1) * left_out.var()) if np.isfinite(left_out).all() else None
        index = int(cloud.order[row])
        label = int(cloud.labels[row])
        best = int(np.argmin(distance[row]))
        other = int(cloud.order[near[row, best]])
        seen = float(distance[row, best])
        out.append(Exposure(index, label, t if math.isfinite(t) else None, se, other, seen))
    out.sort(key=lambda x: (-(x.t or 0.0), x.index))
    return tuple(out[:count])
