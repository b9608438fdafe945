"""Near points and duplicates among the training points.

Candidates are found by a lower bound on every distance that costs 64 dimensions instead of d:
|a - b|^2 >= |P(a - b)|^2 + (|a - Pa| - |b - Pb|)^2 for any projection P.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from ..common import numerics
from ..results import Duplicate
from .cloud import Cloud
from .datasets import Dataset

NEAR = 0.1  # a distance below this share of the median nearest distance is a near-duplicate
_SCREEN = 64
_NEIGHBOURS = 3


def nearest_neighbours(cloud: Cloud, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, k) of near points, and their exact distances in data units.

    The k are nearest by the lower bound of the module's law; `matrix` is the covariance.
    """
    from sklearn.neighbors import NearestNeighbors

    rows = cloud.coordinates.cpu().numpy()
    k = min(_NEIGHBOURS, cloud.n - 1)
    screen = rows
    if rows.shape[1] > _SCREEN + 1:
        vectors = numerics.leading_eigenvectors(matrix, _SCREEN).astype(np.float32)
        inside = rows @ vectors
        total = np.einsum("ij,ij->i", rows, rows) - np.einsum("ij,ij->i", inside, inside)
        screen = np.column_stack([inside, np.sqrt(np.maximum(total, 0))])
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(screen)
    near = search.kneighbors(return_distance=False)
    exact = np.empty(near.shape)
    for part in np.array_split(np.arange(cloud.n), math.ceil(cloud.n / 1024)):
        for j in range(k):
            gap = rows[part].astype(np.float64) - rows[near[part, j]]
            exact[part, j] = np.sqrt(np.einsum("ij,ij->i", gap, gap)) * cloud.scale
    return near, exact


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
    nearest = distance.min(axis=1)
    apart = nearest[nearest > 0]
    typical = float(np.median(apart)) if len(apart) else 0.0
    pairs: dict[tuple[int, int], float] = {}
    for row, column in np.argwhere(distance < NEAR * typical):
        one, two = cloud.order[row], cloud.order[near[row, column]]
        one, two = int(group[one]), int(group[two])
        if one != two:
            pairs[min(one, two), max(one, two)] = float(distance[row, column])
    out += [named(a, b, value, "near") for (a, b), value in sorted(pairs.items())]
    return tuple(out)
