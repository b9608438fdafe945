"""Generated samples beside the training points: which are copies, and how often chance makes one.

A copy is three times nearer to one training point than to any other *different* one: equal points
and near duplicates (`data.neighbours.clusters`) count as one, and so do all points of a group and
all images of a point under the augmentations of the training. Points that cannot be copies,
held-out ones or each training point among the others, are counted by the same rule: the baseline.

Points may be looked at in features: then each comes as its features under every element of the
orbit, (m, g, F) in place of (m, d), for an encoder does not turn with the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..backward.clones import EARLIEST
from ..backward.tracking import copy_ratio, copy_share, is_copy
from ..data.neighbours import Clusters
from ..data.orbit import Orbit
from ..results import Duplicate, Share
from ..scores import EmpiricalScore
from .findings import Copies, Origin

MOST = 4096  # points of the baseline
HELD_OUT, LEFT_OUT = "held-out points", "training points against one another"
PAIRS = 2  # training points that are near to one another come together
_EXACT = 1e-4  # of the radius of near duplicates: what rounding leaves of a distance of 0
_FEW = 8  # points asked for at first; more where these are all one


@dataclass(frozen=True)
class Near:
    """Of each row (m,): the nearest training point, the element of the orbit under which it is, the
    nearest point of another cluster, and the distances to both."""

    point: np.ndarray
    element: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    second_distance: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        return copy_ratio(self.distance, self.second_distance)


@dataclass(frozen=True)
class Training:
    """Training points to be near to: their search, clusters of duplicates, and the orbit of each;
    `one` (n,) numbers the points that count as one, duplicates and groups; `same` (n,) those that
    are one whatever chance brings, where these are fewer: equal features may be chance."""

    search: EmpiricalScore
    clusters: Clusters
    orbit: Orbit
    one: np.ndarray
    same: np.ndarray | None = None

    @property
    def own(self) -> np.ndarray:
        """What is left out with a point (n,), where it is asked for among the others."""
        return self.one if self.same is None else self.same

    def near(self, x: np.ndarray, own: np.ndarray | None = None) -> Near:
        """The two nearest different points over the orbits; `own` (m,) is left out."""
        ways = [self.two(y, own) for y in seen_ways(self.orbit, x)]
        index, distance = (np.stack([way[i] for way in ways]) for i in (0, 1))  # (g, m, 2)
        rows = np.arange(len(x))
        element = distance[:, :, 0].argmin(axis=0)
        point = index[element, rows, 0]
        # each element knows its own two: one of them is not one with the nearest of all
        other = self.one[index] != self.one[point][None, :, None]
        left = np.where(other, distance, np.inf).transpose(1, 0, 2).reshape(len(x), -1)
        best = left.argmin(axis=1)
        second = index.transpose(1, 0, 2).reshape(len(x), -1)[rows, best]
        return Near(point, element, second, distance[element, rows, 0], left[rows, best])

    def two(self, x: np.ndarray, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Nearest two points that are not one (m, 2), nor the own one, and their distances."""
        index = np.zeros((len(x), 2), dtype=np.int64)
        distance = np.full((len(x), 2), np.inf)
        open_, count = np.arange(len(x)), min(_FEW, self.search.n)
        while len(open_):
            found, square = self.search.nearest_points(
                torch.from_numpy(np.ascontiguousarray(x[open_])), EARLIEST, count
            )
            points, gaps = found.cpu().numpy(), square.sqrt().cpu().numpy()
            of = self.one[points]
            if own is not None:
                gaps[self.own[points] == own[open_, None]] = np.inf
            rows = np.arange(len(open_))
            for k in range(2):
                best = gaps.argmin(axis=1)
                index[open_, k], distance[open_, k] = points[rows, best], gaps[rows, best]
                gaps[of == of[rows, best][:, None]] = np.inf
            if count == self.search.n:
                break
            open_ = open_[np.isinf(distance[open_, 1])]
            count = min(4 * count, self.search.n)
        return index, distance


def seen_ways(orbit: Orbit, x: np.ndarray) -> list[np.ndarray]:
    """Points as they are seen under every element of the orbit, moved back."""
    if x.ndim == 3:
        return [x[:, k] for k in range(x.shape[1])]
    return [orbit.back(k, x) for k in range(len(orbit))]


def joined(*numbers: np.ndarray) -> np.ndarray:
    """What counts as one (n,) where points with one number in any of these (n,) do."""
    n = len(numbers[0])
    first = [np.unique(x, return_index=True, return_inverse=True)[1:] for x in numbers]
    other = np.concatenate([index[of] for index, of in first])
    mine = np.tile(np.arange(n), len(numbers))
    edges = coo_array((np.ones(len(mine)), (mine, other)), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


@dataclass(frozen=True)
class Baseline:
    """Points that cannot be copies, beside the training points: their distances and ratios; the
    share of them that look like copies, and that share with duplicates counted as chance."""

    near: Near
    share: Share
    with_duplicates: Share | None
    of: str


def held_out_baseline(training: Training, points: np.ndarray, shared: int = 0) -> Baseline:
    """Of held-out points; `shared` more of them are duplicates of training points."""
    near = training.near(points[:MOST])
    share = copy_share(near.ratio)
    both = Share.counted(share.count + shared, share.of + shared) if shared else None
    return Baseline(near, share, both, HELD_OUT)


def left_out_baseline(training: Training, points: np.ndarray, most: int = MOST) -> Baseline:
    """Of training points among those that are not one with them, of duplicates one.

    Two that are three times nearer to one another than to all others both look like copies: they
    come together. Duplicates are chance rather than points listed twice only where fewer than half
    have one.
    """
    # what is equal in features alone is chance
    of = training.clusters.of if training.same is None else training.same
    different = np.unique(of, return_index=True)[1]
    some = np.linspace(0, len(different) - 1, min(most, len(different))).astype(np.int64)
    mine = different[some]
    near = training.near(points[mine], training.own[mine])
    alike, times = is_copy(near.ratio), np.bincount(of)[of[mine]]
    share, again = Share.counted(int(alike.sum()), len(mine), PAIRS), times > 1
    both, listed = None, int(times.sum())
    if 0 < times[again].sum() < 0.5 * listed:
        both = Share.counted(int(times[alike | again].sum()), listed, PAIRS)
    return Baseline(near, share, both, LEFT_OUT)


def found_copies(training: Training, states: np.ndarray, near: Near, baseline: Baseline) -> Copies:
    """What an audit keeps of both."""
    elements = np.asarray(training.orbit.names)[near.element]
    return Copies(
        states, near.point, near.second, near.distance, near.second_distance, elements,
        copy_share(near.ratio), baseline.share, baseline.of, baseline.near.ratio,
    )  # fmt: skip


def orbit_clusters(search: EmpiricalScore, points: np.ndarray, of: Clusters, by: Orbit) -> Clusters:
    """Clusters with the duplicates that the orbit makes: one image is another one mirrored."""
    for way in seen_ways(by, points)[1:]:
        x = torch.from_numpy(np.ascontiguousarray(way))
        index, square = search.nearest_points(x, EARLIEST, min(2, search.n))
        gap = square.sqrt().cpu().numpy()
        one, column = np.nonzero(gap < of.radius)
        two = index.cpu().numpy()[one, column]
        new = one < two  # a pair is seen from both sides; a symmetric image from its own
        of = of.linked(one[new], two[new], gap[one, column][new])
    return of


def shared_points(training: Training, points: np.ndarray) -> tuple[Duplicate, ...]:
    """Held-out points that are training points as well: `index` of the training point, `other` of
    the held-out one."""
    near, radius = training.near(points), training.clusters.radius
    return tuple(
        Duplicate(
            int(near.point[k]), int(k), float(near.distance[k]),
            "near" if near.distance[k] > _EXACT * radius else "exact",
        )
        for k in np.flatnonzero(near.distance < radius)
    )  # fmt: skip


def origins(copies: Copies, clusters: Clusters) -> tuple[Origin, ...]:
    """Training points that came out, those that came most often first; duplicates are one."""
    came_out: dict[int, list[int]] = {}
    for k in np.argsort(copies.ratio, kind="stable"):
        if copies.copied[k]:
            came_out.setdefault(int(clusters.of[copies.point[k]]), []).append(int(k))
    order = sorted(came_out.items(), key=lambda x: (-len(x[1]), copies.ratio[x[1][0]]))
    out = []
    for cluster, places in order:
        index = int(copies.point[places[0]])
        members = np.flatnonzero(clusters.of == cluster)
        twins = tuple(int(x) for x in members if x != index)
        out.append(Origin(index, len(places), tuple(places), twins))
    return tuple(out)


def spread(points: np.ndarray) -> float:
    """Mean distance between two of the points, of 1024 at most."""
    from scipy.spatial.distance import pdist

    some = points[:: max(1, math.ceil(len(points) / 1024))].astype(np.float64)
    return float(pdist(some).mean())
