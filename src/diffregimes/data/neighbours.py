"""Near points and duplicates among the training points.

Candidates are found by a lower bound on every distance that costs 64 dimensions instead of d:
|a - b|^2 >= |P(a - b)|^2 + (|a - Pa| - |b - Pb|)^2 for any projection P.

Near duplicates of a point are the J nearest, where these lie below a tenth of the distance r to its
eighth neighbour, and of the usual distance s, and chance would not bring them. s is the median
distance to the nearest point beyond s/10, the largest such s: the plain median would be that of the
duplicates where all points have one. Where the density is even over r, in m dimensions, each of the
seven within r lies within x r with the chance x^m, independently: so many or more do with that of a
binomial law. m is that of the farther neighbours (-log x has the mean 1/m), and of all points those
count whose chance is small beside their number, where that of the points which have no duplicate is
told by the large chances (Benjamini and Hochberg 1995, Storey 2002). In one or two dimensions
points lie that near by chance, and tight clusters are no duplicates.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import bdtrc

from ..common import numerics
from ..common.checks import InputError
from ..results import Duplicate
from .cloud import COLUMNS, Cloud, prepare, square_distances
from .datasets import Dataset
from .infile import parts, raw
from .spectrum import covariance

NEAR = 0.1  # a distance below this share of the usual nearest distance is a near-duplicate
CHANCE = 0.005  # of the near duplicates, so many may be so by chance; pairs come twice
FEWEST = 4  # different points that there is something to say of
_LIKELY = 0.1
_SCREEN = 64
_NEIGHBOURS = 3
_LISTED = 8  # a point may be listed so many times, each a little changed, and all be one
_ROWS = 128  # at a time; divides COLUMNS
_TREE = 8  # dimensions up to which a tree finds neighbours faster than all pairs do


def nearest_neighbours(
    cloud: Cloud, matrix: np.ndarray, count: int = _NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, k) of near points, and their exact distances in data units.

    The k, `count` if there are so many, are nearest by the lower bound of the module's law;
    `matrix` is the covariance.
    """
    rows = cloud.coordinates.cpu().numpy()
    k = min(count, cloud.n - 1)
    screen = rows
    if rows.shape[1] > _SCREEN + 1:
        vectors = numerics.leading_eigenvectors(matrix, _SCREEN).astype(np.float32)
        inside = rows @ vectors
        total = np.einsum("ij,ij->i", rows, rows) - np.einsum("ij,ij->i", inside, inside)
        screen = np.column_stack([inside, np.sqrt(np.maximum(total, 0))])
    near = (_by_tree if screen.shape[1] <= _TREE else _by_all_pairs)(screen, k)
    exact = np.empty(near.shape)
    for part in np.array_split(np.arange(cloud.n), math.ceil(cloud.n / 1024)):
        for j in range(k):
            gap = rows[part].astype(np.float64) - rows[near[part, j]]
            exact[part, j] = np.sqrt(np.einsum("ij,ij->i", gap, gap)) * cloud.scale
    return near, exact


def _by_tree(points: np.ndarray, k: int) -> np.ndarray:
    """The rows (n, k) of the nearest others."""
    from scipy.spatial import cKDTree  # scikit-learn's takes 100 MiB to load

    seen = cKDTree(points).query(points, k + 1, workers=torch.get_num_threads())[1]
    # a point need not be its own first, nor among these at all, where others are at its place
    others = seen != np.arange(len(points))[:, None]
    others[others.all(axis=1), -1] = False
    return np.asarray(seen[others].reshape(-1, k))


def _by_all_pairs(points: np.ndarray, k: int) -> np.ndarray:
    """Likewise, from the distances of all, some at a time."""
    every, near = torch.from_numpy(points), []
    for start in range(0, len(every), _ROWS):
        rows = every[start : start + _ROWS]
        least, found = rows.new_empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.int64)
        for first in range(0, len(every), COLUMNS):
            square = square_distances(rows, every[first : first + COLUMNS])
            if first <= start < first + COLUMNS:
                square.diagonal(start - first).fill_(math.inf)
            some = square.topk(min(k, square.shape[1]), largest=False)
            found = torch.cat([found, some.indices + first], dim=1)
            least = torch.cat([least, some.values], dim=1)
            least, kept = least.topk(min(k, least.shape[1]), largest=False)
            found = found.gather(1, kept)
        near.append(found)
    return torch.cat(near).numpy()


def near_duplicates(distance: np.ndarray) -> np.ndarray:
    """Which of the neighbours (n, k) at these distances are near duplicates."""
    order = np.sort(distance, axis=1)
    farthest = order[:, -1:]
    if distance.shape[1] < 2:
        return np.zeros(distance.shape, dtype=bool)
    close = distance < NEAR * np.minimum(farthest, usual_distance(distance))
    count = close.sum(axis=1)
    some = np.flatnonzero(count)
    outermost = order[some, count[some] - 1] / farthest[some, 0]
    chance = np.ones(len(distance))
    chance[some] = bdtrc(
        count[some] - 1, distance.shape[1] - 1, outermost ** _dimension(order)
    )  # fmt: skip
    rank = np.argsort(chance, kind="stable")
    # the share of points without any; too few were found where nearly all have one
    alone = min(1.0, (1 + np.count_nonzero(chance > _LIKELY)) / (1 - _LIKELY) / len(rank))
    share = np.arange(1, len(rank) + 1) / len(rank)
    below = np.flatnonzero(chance[rank] <= CHANCE * share / alone)
    accepted = np.zeros(len(distance), dtype=bool)
    accepted[rank[: below[-1] + 1 if len(below) else 0]] = True
    return np.asarray(close & accepted[:, None])


def _dimension(order: np.ndarray) -> float:
    """m of the module's law from increasing distances (n, k), by the farther half of them."""
    inner = order.shape[1] - 1
    upper = (inner + 1) // 2
    kept = order[order[:, -1] > 0]
    # -log x are exponential waiting times of which the first `upper` are seen
    time = -np.log(np.maximum(kept[:, :-1] / kept[:, -1:], 1e-300))[:, ::-1]
    total = float((time[:, :upper].sum(axis=1) + (inner - upper) * time[:, upper - 1]).sum())
    return float(max(1.0, len(kept) * upper / max(total, 1e-300)))


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

    @property
    def kept(self) -> np.ndarray:
        """The first point of each cluster, in order."""
        return np.sort(np.unique(self.of, return_index=True)[1])

    def across(self, groups: np.ndarray) -> Clusters:
        """The same without pairs within a group (n,)."""
        pairs = tuple(x for x in self.pairs if groups[x.index] != groups[x.other])
        one, two = (np.array([getattr(x, k) for x in pairs], dtype=np.int64)
                    for k in ("index", "other"))  # fmt: skip
        return Clusters(_components(len(self.of), one, two), pairs, self.radius)

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


@dataclass(frozen=True)
class Neighbourhood:
    """Points ready for the pass, their covariance (r, r), and the rows of the nearest (n, k) of
    each with their distances."""

    cloud: Cloud
    matrix: np.ndarray
    near: np.ndarray
    distance: np.ndarray

    def sorted_by(self, labels: np.ndarray) -> Neighbourhood:
        """The same of points that have these labels (n,), where they had none."""
        rows = np.argsort(labels, kind="stable")
        cloud = replace(
            self.cloud,
            coordinates=self.cloud.coordinates[torch.from_numpy(rows)],
            labels=torch.from_numpy(labels[rows]),
            order=rows,
            bounds=(0, *np.cumsum(np.bincount(labels)).tolist()),
        )
        return Neighbourhood(cloud, self.matrix, np.argsort(rows)[self.near[rows]],
                             self.distance[rows])  # fmt: skip


def neighbourhood(points: np.ndarray, labels: np.ndarray) -> Neighbourhood:
    """Of points (n, d) that differ."""
    cloud = prepare(points, labels)
    matrix = covariance(cloud).numpy()
    return Neighbourhood(cloud, matrix, *nearest_neighbours(cloud, matrix, _LISTED))


def clusters(points: np.ndarray) -> Clusters:
    """Clusters of duplicates among `points` (n, d), two different ones or more."""
    return _clusters(points, np.zeros(len(points), dtype=np.int64))[0]


def _clusters(
    points: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None
) -> tuple[Clusters, Neighbourhood]:
    """The clusters, near ones of one label each and of several `groups` (n,), and the neighbours of
    all that are not equal."""
    groups = np.arange(len(points)) if groups is None else groups
    first, of = equal_rows(points)
    pairs = [Duplicate(int(first[c]), i, 0.0, "exact") for i, c in enumerate(of) if first[c] != i]
    if len(first) < len(points):  # else a copy of all
        points, labels, groups = points[first], labels[first], groups[first]
    seen = neighbourhood(points, labels)
    own = seen.cloud.order  # which of `first` a row is
    row, column = np.nonzero(near_duplicates(seen.distance))
    other, gap = seen.near[row, column], seen.distance[row, column]
    same = labels[own[row]] == labels[own[other]]
    same &= groups[own[row]] != groups[own[other]]
    one, two, gap = own[row[same]], own[other[same]], gap[same]
    found = {
        (int(min(first[a], first[b])), int(max(first[a], first[b]))): float(x)
        for a, b, x in zip(one, two, gap, strict=True)
    }
    pairs += [Duplicate(a, b, x, "near") for (a, b), x in sorted(found.items())]
    radius = NEAR * usual_distance(seen.distance)
    return Clusters(_components(len(first), one, two)[of], tuple(pairs), radius), seen


def equal_rows(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first rows of those that are equal, in order, and which of them each row (n,) is."""
    # 0.0 and -0.0 are the same
    digests = [
        hashlib.sha256(x + x.dtype.type(0)).digest()
        for part in parts(points)
        for x in np.ascontiguousarray(raw(points, part))
    ]
    _, first, of = np.unique(digests, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[of]


def equal(points: np.ndarray) -> Clusters:
    """Clusters of equal points alone."""
    first, of = equal_rows(points)
    again = np.delete(np.arange(len(of)), first)
    pairs = tuple(Duplicate(int(first[of[i]]), int(i), 0.0, "exact") for i in again)
    return Clusters(of, pairs, 0.0)


def different(dataset: Dataset) -> tuple[Dataset, Clusters, Neighbourhood]:
    """The different points of a dataset, the first of each cluster; the clusters; and their
    neighbourhood.

    Equal points are one, whatever their classes; near duplicates are so within a class, and not
    within a group, where they are no news. Raises `InputError` where too few are left.
    """
    labels = dataset.labels if dataset.labelled else np.zeros_like(dataset.labels)
    found, seen = _clusters(dataset.points, labels, dataset.groups)
    kept = found.kept
    if len(kept) < FEWEST:
        raise InputError(
            f"{dataset.n} points came, of which {len(kept)} differ; expected at least {FEWEST} "
            "different ones, and many more to learn something. Check that the right array was "
            "read and that its values were not cut off or rounded."
        )
    if len(kept) == dataset.n:
        own = dataset
    else:
        own = dataset.take(kept)
        if not dataset.labelled:
            own = own.split()
        _check_classes(dataset, own)
    if len(kept) < seen.cloud.n:
        seen = neighbourhood(own.points, own.labels)
    elif not dataset.labelled:
        seen = seen.sorted_by(own.labels)
    return own, found, seen


def named(pairs: tuple[Duplicate, ...], dataset: Dataset) -> tuple[Duplicate, ...]:
    """Pairs of rows by their names in the source."""
    return tuple(
        replace(
            x,
            index=int(dataset.indices[x.index]),
            other=int(dataset.indices[x.other]),
            file=dataset.file_of(x.index),
            other_file=dataset.file_of(x.other),
        )
        for x in pairs
    )


def _check_classes(listed: Dataset, own: Dataset) -> None:
    for name, before, after in zip(
        own.class_names, listed.class_counts, own.class_counts, strict=True
    ):
        if not after:
            raise InputError(
                f"all {before} points of class {name} are also listed under another class; "
                "expected points with one class each. Check the labels, or give each point one."
            )


def _components(n: int, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    edges = coo_array((np.ones(len(one)), (one, two)), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)
