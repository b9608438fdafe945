"""What is known of training and held-out points before a model is asked, and its samples beside it.

Points that both sets share are no held-out points, nor are those of a group that both share. Where
the rest is not of the law of the training points, chance is read from these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..data.datasets import Dataset
from ..data.neighbours import Clusters, clusters
from ..data.orbit import Orbit, orbit
from ..results import Duplicate, Flag
from ..scores import EmpiricalScore
from .copies import (
    HELD_OUT,
    Baseline,
    Training,
    found_copies,
    held_out_baseline,
    joined,
    left_out_baseline,
    orbit_clusters,
    shared_points,
)
from .findings import Copies, Entropy
from .gate import Evidence, gate, same_law
from .losses import Losses


@dataclass(frozen=True)
class Known:
    """What is known of training and held-out points before the model is asked: those held out that
    are no training points, those that are, and the points that cannot be copies; `grouped` of the
    held-out points were left out, as training points are of their groups."""

    training: Training
    held_out: Dataset | None
    shared: tuple[Duplicate, ...]
    law: Flag | None
    baseline: Baseline
    grouped: int = 0

    @property
    def others(self) -> np.ndarray | None:
        """Held-out points that chance can be read from."""
        use = self.held_out is not None and self.baseline.of == HELD_OUT
        return self.held_out.points if use and self.held_out is not None else None


def known_points(
    search: EmpiricalScore | None,
    dataset: Dataset,
    held_out: Dataset | None = None,
    augment: Sequence[str] = (),
    seed: int = 0,
) -> Known:
    """Clusters, orbits, what both sets share, and what chance brings; `search` holds the points.

    Raises `InputError` where too few different points are left of one of the sets.
    """
    assert search is not None
    by, points = orbit(augment, dataset.sample_shape), dataset.points
    twins = orbit_clusters(search, points, clusters(points), by)
    training = counted_once(search, twins, by, dataset.groups)
    if held_out is None:
        return Known(training, None, (), None, left_out_baseline(training, points))
    shared = shared_points(training, held_out.points)
    alike = _of_groups(dataset, held_out)
    kept = np.setdiff1d(np.flatnonzero(~alike), [x.other for x in shared])
    if len(kept) < 2 and len(shared) > held_out.n - 2:
        raise InputError(
            f"{len(shared)} of the {held_out.n} held-out points ({held_out.source}) are "
            "training points as well; expected points that the model was not trained on."
        )
    if len(kept) < 2:
        count = int(alike.sum())
        return Known(training, None, shared, None, left_out_baseline(training, points), count)
    held_out = held_out if len(kept) == held_out.n else held_out.take(kept)
    law = same_law(points[first_of(training.one)], held_out.points[first_of(held_out.groups)], seed)
    if law.ok:
        baseline = held_out_baseline(training, held_out.points, len(shared))
    else:
        baseline = left_out_baseline(training, points)
    return Known(training, held_out, shared, law, baseline, int(alike.sum()))


def counted_once(
    search: EmpiricalScore, twins: Clusters, by: Orbit, groups: np.ndarray | None
) -> Training:
    """Training points of which duplicates and groups (n,) count as one. Raises `InputError` where
    too few are left."""
    one, why = twins.of, "the others duplicates of these"
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        one, twins = joined(one, codes), twins.across(codes)
        why = f"by duplicates and the {codes.max() + 1} groups (--group)"
    count = len(first_of(one))
    if count < 3:
        raise InputError(
            f"the {search.n} training points are {count} different ones, {why}; expected three or "
            "more."
        )
    return Training(search, twins, by, one)


def first_of(numbers: np.ndarray | None) -> Any:
    """The first point of each number; all points without: points of one group are no two draws."""
    return slice(None) if numbers is None else np.unique(numbers, return_index=True)[1]


def _of_groups(dataset: Dataset, held_out: Dataset) -> np.ndarray:
    """Which held-out points are of a group that training points are of."""
    if dataset.groups is None or held_out.groups is None:
        return np.zeros(held_out.n, dtype=bool)
    return np.isin(held_out.groups.astype(str), dataset.groups.astype(str))


def beside(
    known: Known,
    dataset: Dataset,
    states: np.ndarray,
    losses: Losses | None = None,
    entropy: Entropy | None = None,
) -> tuple[Copies, tuple[Flag, ...]]:
    """Samples (m, d) beside the points: the copies, and what is to be said before the verdict."""
    near = known.training.near(states)
    evidence = Evidence(
        states, dataset.points, known.others, dataset.sample_shape, known.training, near,
        known.baseline, losses, entropy, len(known.shared), known.law,
    )  # fmt: skip
    return found_copies(known.training, states, near, known.baseline), gate(evidence)
