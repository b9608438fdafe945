"""Training points at risk: when each one collapses, and which are duplicates.

Point mu is copied once its posterior weight dominates: its own collapse time is the t at which
w_mu, averaged over noise, is one half. Far from all others means early in the generation, that is
at large t. Candidates are found by a lower bound on every distance that costs 64 dimensions
instead of d: |a - b|^2 >= |P(a - b)|^2 + (|a - Pa| - |b - Pb|)^2 for any projection P.

The weight grows with gamma: where it is one half is found by halving the grid, and no weight is
computed elsewhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..common import numerics
from ..common.parallel import workers
from ..common.rng import torch_generator
from ..data.cloud import COLUMNS, Cloud, square_distances
from ..data.datasets import Dataset
from ..data.filecloud import FileCloud, nearest
from ..posterior import fused
from ..posterior.moments import Draws, exponents
from ..posterior.sample import Sample
from ..posterior.shards import moments_over
from ..process import snr, time_from_snr
from ..results import Exposure

_PAIRS = 16  # noise pairs behind the collapse time of a listed point
_TOGETHER = 8  # points whose distances are computed in one go
_ALONE = 0.1  # gamma |a - b|^2 at which no point is told from its neighbour
_STEP, _FINE = 0.5, 0.25  # in log gamma
_MOST_GAMMA = 1e30  # in units of the cloud, where float32 ends: all is long resolved


def point_times(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Indices (p,) of the points drawn, and the collapse time of each (NaN: not in the range)."""
    points, where = np.unique(sample.points, return_inverse=True)
    weight = np.zeros((len(points), len(sample.times)))
    np.add.at(weight, where, sample.values["own_point_probability"])
    weight /= np.bincount(where)[:, None]
    return points, half_times(np.log(snr(sample.times)), weight)


def half_times(log_gamma: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Times at which each row of weight (p, T), increasing in gamma, is one half."""
    places = numerics.crossings(-log_gamma, weight, 0.5)
    return np.asarray(time_from_snr(np.exp(-places)))


def reaching(gamma: np.ndarray, farthest: float) -> np.ndarray:
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


def _own_weight(
    cloud: Cloud, row: int, square: Tensor, noise: Tensor, together: Tensor | None = None
) -> Callable[[float], np.ndarray]:
    """w_mu (pairs,) of a point at any gamma, the mean over z and -z of each noise (pairs, r), from
    its squared distances (n,); the weight of all rows `together` (m,) where they count as one."""
    own = cloud.coordinates[row]
    along = noise @ cloud.coordinates.T
    along -= (noise @ own)[:, None]
    square[row], along[:, row] = 0, 0  # so that w_mu is one over the sum
    parts = list(zip(torch.split(square, COLUMNS), torch.split(along, COLUMNS, 1), strict=True))

    inside = None if together is None else (square[together], along[:, together])

    def weight(gamma: float) -> np.ndarray:
        scaled = min(gamma * cloud.scale**2, _MOST_GAMMA)
        sums = [
            numerics.log2_sum(exponents(a, sign * b, scaled, unit=math.log2(math.e)))
            for sign in (1, -1)
            for a, b in parts
        ]
        total = numerics.log2_sum(torch.stack(sums).view(2, len(parts), -1).movedim(1, -1))
        if inside is not None:
            a, b = inside
            every = [exponents(a, sign * b, scaled, unit=math.log2(math.e)) for sign in (1, -1)]
            total -= numerics.log2_sum(torch.stack(every))
        return np.asarray(total.neg().exp2().mean(0).double().cpu())

    return weight


def _last(holds: Callable[[int], bool], count: int) -> int:
    """The last of 0..count - 1 that holds, where all up to it do; 0 where none does."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _own_time(weight: Callable[[float], np.ndarray], gamma: np.ndarray) -> tuple[float, float]:
    """The time at which the mean of `weight` (pairs,) over its pairs is one half, and its error by
    the jackknife over these; NaN where it is not, at gamma (T,), decreasing."""

    @functools.cache
    def means(k: int) -> np.ndarray:
        """Of all pairs, and without each."""
        pairs = weight(float(gamma[k]))
        return np.append(pairs.mean(), (pairs.sum() - pairs) / (len(pairs) - 1))

    count = len(gamma)
    first = _last(lambda k: bool(means(k).min() >= 0.5), count)
    last = _last(lambda k: bool(means(k).max() >= 0.5), count)
    # the interpolation asks for one more on both sides
    around = range(max(first - 1, 0), min(last + 3, count))
    t, *left_out = half_times(np.log(gamma[around]), np.stack([means(k) for k in around], axis=1))
    return float(t), math.sqrt((_PAIRS - 1) * np.var(left_out))


def all_times(
    cloud: Cloud,
    rows: np.ndarray,
    gamma: np.ndarray,
    seed: int,
    memory_mib: int,
    groups: np.ndarray | None = None,
) -> list[tuple[float, float]]:
    """`_own_time` of these rows of the cloud, of their groups where all rows (n,) have some."""
    device = cloud.coordinates.device

    def times(some: np.ndarray) -> list[tuple[float, float]]:
        # of several at a time, for each float64 product takes a pass over all points
        squares = square_distances(cloud.coordinates[torch.from_numpy(some)], cloud.coordinates)
        out = []
        for row, square in zip(some.tolist(), squares, strict=True):
            noise = _noise(cloud, row, seed).to(device)
            same = None
            if groups is not None:
                same = torch.from_numpy(np.flatnonzero(groups == groups[row])).to(device)
            out.append(_own_time(_own_weight(cloud, row, square, noise, same), gamma))
        return out

    with workers(device, memory_mib) as pool:
        parts = np.array_split(rows, math.ceil(len(rows) / _TOGETHER))
        return [x for found in pool.map(times, parts) for x in found]


def own_times(
    cloud: Cloud, rows: np.ndarray, *, seed: int = 0, memory_mib: int = 1024
) -> np.ndarray:
    """The own collapse time (p,) of these rows of a cloud of different points; NaN: none."""
    some = cloud.coordinates[torch.from_numpy(rows)]
    square = square_distances(some, cloud.coordinates).double()
    square[torch.arange(len(rows)), torch.from_numpy(rows)] = math.inf
    nearest = square.min(dim=1).values.cpu().numpy() * cloud.scale**2
    nearest = nearest[nearest > 0]  # a twin is never told apart
    # from where the nearest neighbours are told apart to where no point is
    high, low = 60 * math.log(cloud.n + 1) / float(nearest.min()), _ALONE / float(nearest.max())
    gamma = np.geomspace(high, low, 2 + math.ceil(math.log(high / low) / _FINE))
    return np.array([t for t, _ in all_times(cloud, rows, gamma, seed, memory_mib)])


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
    far = np.argsort(-distance.min(axis=1), kind="stable")[: 2 * count]
    rows = np.unique(np.concatenate([far, _drawn(cloud, sample, 2 * count)]))
    gamma = reaching(snr(sample.times), float(distance.min(axis=1).max()))
    found = all_times(cloud, rows, gamma, seed, memory_mib)
    return exposed(cloud, rows, found, near[rows], distance[rows])[:count]


def most_exposed_in_file(
    cloud: FileCloud, sample: Sample, *, seed: int = 0, memory_mib: int = 1024, count: int = 12
) -> tuple[Exposure, ...]:
    """The same among the points drawn that collapse first: the neighbours of all are not known."""
    rows = np.sort(_drawn(cloud, sample, 2 * count))
    near, distance = nearest(cloud, rows, 1)
    gamma = reaching(snr(sample.times), float(distance.max()))
    noise = torch.cat([_noise(cloud, row, seed) for row in rows.tolist()])
    draws = Draws(torch.from_numpy(np.repeat(rows, _PAIRS)), noise.to(cloud.coordinates.device))
    classes, device = len(cloud.bounds) - 1, cloud.coordinates.device
    compiled = fused.worth(cloud.n, 2 * len(noise), classes, device)
    seen = moments_over(
        cloud, draws, gamma, columns=COLUMNS, compiled=compiled, memory_mib=memory_mib
    )
    weight = seen.log_sum.neg().sigmoid().mean(1).cpu().numpy()  # (T, rows x pairs)
    of_rows = weight.reshape(len(gamma), len(rows), _PAIRS).swapaxes(0, 1)
    found = [_own_time(functools.partial(_known, gamma, x), gamma) for x in of_rows]
    return exposed(cloud, rows, found, near, distance)[:count]


def _known(gamma: np.ndarray, weight: np.ndarray, at: float) -> np.ndarray:
    """The row of `weight` (T, pairs) that belongs to one of `gamma` (T,)."""
    return np.asarray(weight[int(np.argmin(np.abs(gamma - at)))])


def _drawn(cloud: Cloud, sample: Sample, count: int) -> np.ndarray:
    """Rows of the points drawn that collapse first."""
    points, times = point_times(sample)
    first = np.argsort(-np.nan_to_num(times, nan=-1.0), kind="stable")[:count]
    return np.asarray(cloud.row_of[points[first]])


def _noise(cloud: Cloud, row: int, seed: int) -> Tensor:
    """Of a point (pairs, r): it hangs on the point alone, not on who else is a candidate."""
    generator = torch_generator(seed, "exposure", int(cloud.order[row]))
    return torch.randn(_PAIRS, cloud.coordinates.shape[1], generator=generator)


def exposed(
    cloud: Cloud,
    rows: np.ndarray,
    found: list[tuple[float, float]],
    near: np.ndarray,
    distance: np.ndarray,
) -> tuple[Exposure, ...]:
    """Rows with their own times and errors, and near points (p, k) at their distances."""
    out = []
    for k, (row, (t, error)) in enumerate(zip(rows.tolist(), found, strict=True)):
        se = error if math.isfinite(error) else None
        index = int(cloud.order[row])
        label = int(cloud.labels[row])
        best = int(np.argmin(distance[k]))
        other = int(cloud.order[near[k, best]])
        seen = float(distance[k, best])
        out.append(Exposure(index, label, t if math.isfinite(t) else None, se, other, seen))
    out.sort(key=lambda x: (-(x.t or 0.0), x.index))
    return tuple(out)
