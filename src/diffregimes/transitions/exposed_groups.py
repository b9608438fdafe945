"""Groups of points at risk: when the group of a point collapses, with all of its points.

The weight of a group is the sum of those of its points, among all groups; a group is told once, by
the point of it that is copied first of those looked at, beside the nearest of another group.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..data.cloud import Cloud, square_distances
from ..data.filecloud import FileCloud, nearest
from ..posterior.by_group import ByGroup
from ..process import snr
from ..results import Exposure
from .points import all_times, exposed, half_times, reaching

_TOGETHER = 64  # nearest points of those in a file, the own group among them


def group_times(seen: ByGroup) -> np.ndarray:
    """The collapse time of each group drawn (NaN: not in the range)."""
    return half_times(np.log(snr(seen.times)), seen.weight)


def most_exposed_groups(
    cloud: Cloud,
    seen: ByGroup,
    groups: np.ndarray,
    distance: np.ndarray,
    *,
    seed: int = 0,
    memory_mib: int = 1024,
    count: int = 12,
) -> tuple[Exposure, ...]:
    """The `count` groups with the largest collapse times, by a row in the dataset each.

    `groups` (n,) of the rows of the cloud; `distance` (n, k) from near points, of points in a file
    none. Candidates are those that collapse first of the groups drawn, and points far from others.
    """
    t = group_times(seen)
    first = seen.groups[np.argsort(-np.nan_to_num(t, nan=-1.0), kind="stable")[: 2 * count]]
    rows = np.unique(groups, return_index=True)[1][first]
    if isinstance(cloud, FileCloud):
        near, gap = _nearest_in_file(cloud, rows, groups)
        known = dict(zip(seen.groups.tolist(), t.tolist(), strict=True))
        found = [(known[g], math.nan) for g in groups[rows].tolist()]
    else:
        far = np.argsort(-distance.max(axis=1), kind="stable")[: 2 * count]
        rows = np.unique(np.concatenate([rows, far]))
        near, gap = _nearest(cloud, rows, groups)
        gamma = reaching(snr(seen.times), float(gap.max()))
        found = all_times(cloud, rows, gamma, seed, memory_mib, groups)
    told: dict[int, Exposure] = {}
    for one in exposed(cloud, rows, found, near, gap):
        told.setdefault(int(groups[cloud.row_of[one.index]]), one)
    return tuple(told.values())[:count]


def _nearest(cloud: Cloud, rows: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest point of another group of these rows, and its distance, (p, 1)."""
    near, gap = [], []
    for row in rows.tolist():
        square = square_distances(cloud.coordinates[row : row + 1], cloud.coordinates)[0]
        square[torch.from_numpy(groups == groups[row]).to(square.device)] = math.inf
        near.append(int(square.argmin()))
        gap.append(math.sqrt(float(square.min())) * cloud.scale)
    return np.array(near)[:, None], np.array(gap)[:, None]


def _nearest_in_file(
    cloud: Cloud, rows: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Likewise, where it is among the nearest `_TOGETHER`; the last of these else."""
    near, gap = nearest(cloud, rows, min(_TOGETHER, cloud.n - 1))
    other = groups[near] != groups[rows][:, None]
    other[:, -1] = True
    place = other.argmax(axis=1)[:, None]
    return np.take_along_axis(near, place, 1), np.take_along_axis(gap, place, 1)
