"""Near points and duplicates among the training points.

Candidates are found by a lower bound on every distance that costs 64 dimensions instead of d:
|a - b|^2 >= |P(a - b)|^2 + (|a - Pa| - |b - Pb|)^2 for any projection P.

Near is what lies below a tenth of the usual distance s between neighbours that are no duplicates
themselves: s is the median distance to the nearest point beyond s/10, the largest such s among the
neighbours looked at. The plain median would be that of the duplicates where all points have one.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..common import numerics
from ..results import Duplicate
from .cloud import Cloud, prepare
from .datasets import Dataset
from .spectrum import covariance

NEAR = 0.1  # a distance below this share of the usual nearest distance is a near-duplicate
_SCREEN = 64
_TREE = 4
_NEIGHBOURS = 3
_LISTED = 8  # a point may be listed so many times, each a little changed, and all be one


def nearest_neighbours(
    cloud: Cloud, matrix: np.ndarray, count: int = _NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, k) of near points, and their exact distances in data units.

    The k, `count` if there are so many, are nearest by the lower bound of the module's law;
    `matrix` is the covariance.
    """
    from sklearn.neighbors import NearestNeighbors

    rows = cloud.coordinates.cpu().numpy()
    k = min(count, cloud.n - 1)
    screen = rows
    if rows.shape[1] > _SCREEN + 1:
        vectors = numerics.leading_eigenvectors(matrix, _SCREEN).astype(np.float32)
        inside = rows @ vectors
        total = np.einsum("ij,ij->i", rows, rows) - np.einsum("ij,ij->i", inside, inside)
        screen = np.column_stack([inside, np.sqrt(np.maximum(total, 0))])
    # a tree where it is faster than all n^2 distances: in a few dimensions
    method = "kd_tree" if screen.shape[1] <= _TREE else "brute"
    search = NearestNeighbors(n_neighbors=k, algorithm=method).fit(screen)
    near = search.kneighbors(return_distance=False)
    exact = np.empty(near.shape)
    for part in np.array_split(np.arange(cloud.n), math.ceil(cloud.n / 1024)):
        for j in range(k):
            gap = rows[part].astype(np.float64) - rows[near[part, j]]
            exact[part, j] = np.sqrt(np.einsum("ij,ij->i", gap, gap)) * cloud.scale
    return near, exact


def usual_distance(distance: np.ndarray) -> float:
    """s of the module's law, from the distances (n, k) of each point to near ones; 0 if all are."""
    farthest = distance.max(axis=1)
    apart = farthest[farthest > 0]
    out, before = float(np.median(apart)) if len(apart) else 0.0, math.inf
    while 0 < out < before:
        beyond = np.where(distance >= NEAR * out, distance, np.inf).min(axis=1)
        before, out = out, float(np.median(beyond[np.isfinite(beyond)]))
    return min(out, before)


@dataclass(frozen=True)
class Clusters:
    """Points that count as one: equal ones, near duplicates, and chains of these.

    of (n,)    number of the cluster of each point
    pairs      the duplicates, by index, the smaller one first
    radius     distance below which two points are near duplicates
    """

    of: np.ndarray
    pairs: tuple[Duplicate, ...]
    radius: float

    @property
    def repeated(self) -> np.ndarray:
        """Which points (n,) share their cluster with another."""
        return np.asarray(np.bincount(self.of)[self.of] > 1)

    def linked(self, one: np.ndarray, two: np.ndarray, distance: np.ndarray) -> Clusters:
        """The same with further near pairs."""
        new = tuple(
            Duplicate(int(a), int(b), float(x), "near")
            for a, b, x in zip(one, two, distance, strict=True)
        )
        representative = np.unique(self.of, return_index=True)[1][self.of]
        mine = np.arange(len(self.of))
        of = _components(len(mine), np.append(mine, one), np.append(representative, two))
        return Clusters(of, self.pairs + new, self.radius)


def clusters(points: np.ndarray) -> Clusters:
    """Clusters of duplicates among `points` (n, d), two different ones or more."""
    _, kept, of = np.unique(
        [hashlib.sha256(x).digest() for x in np.ascontiguousarray(points)],
        return_index=True, return_inverse=True,
    )  # fmt: skip
    pairs = [Duplicate(int(kept[c]), i, 0.0, "exact") for i, c in enumerate(of) if kept[c] != i]
    cloud = prepare(points[kept], np.zeros(len(kept), dtype=np.int64))
    near, distance = nearest_neighbours(cloud, covariance(cloud).numpy(), _LISTED)
    radius = NEAR * usual_distance(distance)
    row, column = np.nonzero(distance < radius)
    other, gap = near[row, column], distance[row, column]
    found = {
        (int(min(kept[a], kept[b])), int(max(kept[a], kept[b]))): float(x)
        for a, b, x in zip(row, other, gap, strict=True)
    }
    pairs += [Duplicate(a, b, x, "near") for (a, b), x in sorted(found.items())]
    return Clusters(_components(len(kept), row, other)[of], tuple(pairs), radius)


def _components(n: int, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    edges = coo_array((np.ones(len(one)), (one, two)), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def duplicates(
    dataset: Dataset, cloud: Cloud, near: np.ndarray, distance: np.ndarray
) -> tuple[Duplicate, ...]:
    """Exact duplicates (the same numbers) and pairs nearer than `NEAR` says, by their names."""

    def named(one: int, two: int, gap: float, kind: str) -> Duplicate:
        first, second = dataset.indices[[one, two]].tolist()
        return Duplicate(first, second, gap, kind, dataset.file_of(one), dataset.file_of(two))

    out: list[Duplicate] = []
    first: dict[bytes, int] = {}
    group = np.arange(dataset.n)
    for place, point in enumerate(np.ascontiguousarray(dataset.points)):
        original = first.setdefault(hashlib.sha256(point).digest(), place)
        group[place] = original
        if original != place:
            out.append(named(original, place, 0.0, "exact"))
    typical = usual_distance(distance)
    pairs: dict[tuple[int, int], float] = {}
    for row, column in np.argwhere(distance < NEAR * typical):
        one, two = cloud.order[row], cloud.order[near[row, column]]
        one, two = int(group[one]), int(group[two])
        if one != two:
            pairs[min(one, two), max(one, two)] = float(distance[row, column])
    out += [named(a, b, value, "near") for (a, b), value in sorted(pairs.items())]
    return tuple(out)
