"""Which classes part first: a tree over the times at which their pairs part.

Average linkage: two branches part at the mean of t_S^{ab} over their pairs, by `pair-balance`, and
what parts last is joined first. A pair that does not part in the range counts as t = 0.

A fork is as sure as it recurs. The resamples have the covariance of the pairs' times that groups of
points left out in turn show,

    t* = t + sum_g xi_g sqrt((G - 1)/G) (t_(-g) - mean of them),    xi_g ~ N(0, 1).

More than 32 classes have too many pairs: their means are put into so many sets (k-means), and the
tree is that of the sets.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from scipy.cluster.vq import kmeans2

from ..common.rng import numpy_generator
from ..common.tree import Fork, Tree, newick, under
from ..data.cloud import Cloud
from ..posterior.groups import GROUPS, T95
from ..posterior.left_out import asked
from ..results import Pair
from . import balance
from .balance import FEWEST, MOST_CLASSES
from .criteria import Evidence
from .pairs import Times, asking, curves, pair_times

RESAMPLES = 200
METHOD = "average linkage over the times of pairs by pair-balance"
_SHOWN = 3  # classes of a set that its name holds


def classes_apart(
    evidence: Evidence, names: tuple[str, ...]
) -> tuple[tuple[Pair, ...], Tree | None]:
    """The pairs of three classes or more, and their tree."""
    e = evidence
    if len(names) < 3:
        return (), None
    if len(names) <= MOST_CLASSES:
        seen = e.left_out.pairs
        if seen is None:
            return (), None
        times = pair_times(seen, names, e.schedule)
        return times.pairs, tree_of(times, names, e.seed)
    of_class, cloud = top_sets(e.cloud, e.seed)
    members = set_names(of_class, names)
    leaves = tuple(map(shortened, members))
    if len(leaves) < 2 or balance.unfit(cloud):
        return (), None
    how: dict[str, Any] = {"seed": e.seed, "memory_mib": e.memory_mib}
    first = balance.look(cloud, balance.around(e.start), **how)
    wanted = asking(cloud, first, e.start, blocks=e.blocks, **how)
    answers = asked(cloud, wanted.questions, blocks=e.blocks, progress=e.report, **how)
    times = pair_times(curves(wanted, answers), leaves, e.schedule)
    tree = tree_of(times, leaves, e.seed)
    method = f"{METHOD}, of {len(leaves)} sets of the {len(names)} classes: k-means of their means"
    return times.pairs, replace(tree, members=members, method=method)


def tree_of(times: Times, names: tuple[str, ...], seed: int = 0) -> Tree:
    """The tree of the classes `names` (K,) and how sure each of its forks is."""
    t = times.t
    leaves, merges = len(names), _merges(t[0])
    without = t[1:-2]
    apart = math.sqrt((GROUPS - 1) / GROUPS) * (without - without.mean(axis=0))
    xi = numpy_generator(seed, "tree").standard_normal((RESAMPLES, GROUPS))
    drawn = np.maximum(t[0] + xi @ apart, 0)
    sets = [{frozenset(x) for x in _sets(leaves, _merges(row))} for row in drawn]
    forks = []
    for (one, other), below in zip(merges, _sets(leaves, merges), strict=True):
        pairs = _between(leaves, under(one, leaves, merges), under(other, leaves, merges))
        rows = t[:, pairs].mean(axis=1)
        error = T95 * math.sqrt((GROUPS - 1) * rows[1:-2].var())
        recurs = float(np.mean([frozenset(below) in x for x in sets]))
        if rows[0] == 0:
            forks.append(Fork(one, other, None, None, None, recurs))
            continue
        ends = rows[[0, -2, -1]]
        low, high = max(float(ends.min() - error), 0.0), float(ends.max() + error)
        forks.append(Fork(one, other, float(rows[0]), low, high, recurs))
    spread = sum(any("badly" in w for w in x.balance.warnings) for x in times.pairs)
    said = (
        f"of {len(times.pairs)} pairs {spread} differ by their spread, which few points show "
        "badly: they may part earlier"
    )
    at = [x.t or 0.0 for x in forks]
    text = newick(names, merges, at, [x.recurs for x in forks])
    return Tree(names, tuple(forks), text, METHOD, warnings=(said,) if spread else ())


def _merges(t: np.ndarray) -> list[tuple[int, int]]:
    """The nodes that each fork joins, from the times of pairs (P,), a before b."""
    rows = linkage(t, "average")[:, :2].astype(int)
    return [(int(a), int(b)) for a, b in rows]


def _sets(leaves: int, merges: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The leaves below each fork."""
    return [under(leaves + k, leaves, merges) for k in range(len(merges))]


def _between(leaves: int, one: tuple[int, ...], other: tuple[int, ...]) -> np.ndarray:
    """Places of the pairs with a class on either side."""
    place = np.zeros((leaves, leaves), dtype=int)
    a, b = np.triu_indices(leaves, 1)
    place[a, b] = place[b, a] = np.arange(len(a))
    return place[np.ix_(one, other)].ravel()


def top_sets(cloud: Cloud, seed: int = 0) -> tuple[np.ndarray, Cloud]:
    """Classes (K,) put into up to `MOST_CLASSES` sets, numbered by size, and the cloud with the
    sets as its classes."""
    counts = np.diff(cloud.bounds)
    means = np.zeros((len(counts), cloud.coordinates.shape[1]), dtype=np.float32)
    for shard, _ in cloud.shards():
        of = torch.zeros(means.shape, device=shard.labels.device)
        means += of.index_add_(0, shard.labels, shard.coordinates).cpu().numpy()
    means /= counts[:, None].astype(np.float32)  # in its place: they may be as large as the points
    first = numpy_generator(seed, "sets of classes").permutation(len(means))[:MOST_CLASSES]
    with warnings.catch_warnings():  # of sets that stay empty
        warnings.simplefilter("ignore")
        centres, of_class = kmeans2(means, means[first], minit="matrix")
    # those of sets too small go where they are nearest
    points = np.bincount(of_class, counts, len(centres))
    kept = np.flatnonzero(points >= FEWEST)
    square = (centres[kept] ** 2).sum(axis=1) - 2 * means @ centres[kept].T
    of_class = np.where(np.isin(of_class, kept), of_class, kept[square.argmin(axis=1)])
    _, of_class = np.unique(of_class, return_inverse=True)
    return of_class, cloud.merged(of_class)


def set_names(of_class: np.ndarray, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The classes of each set."""
    return tuple(
        tuple(names[k] for k in np.flatnonzero(of_class == s)) for s in range(of_class.max() + 1)
    )


def shortened(members: tuple[str, ...]) -> str:
    """The name of a set."""
    more = len(members) - _SHOWN
    return ", ".join(members[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
