"""Copies in features: what an encoder takes for the same image is one, shifted, cropped or not.

The law is that of whole samples, nearest over second nearest different point beside points that
cannot be copies, with distances between features. What counts as one in pixels does here, and what
has nearly equal features does as well. Held-out points that are near to a training point in
features stay part of what chance brings: only equal pixels make them training points. So do
training points that are equal in features alone, where these are the measure of chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..data.datasets import Dataset
from ..data.neighbours import clusters
from ..data.orbit import Orbit, orbit
from ..results import Flag
from ..scores import EmpiricalScore
from .copies import (
    Baseline,
    Training,
    found_copies,
    held_out_baseline,
    joined,
    left_out_baseline,
    orbit_clusters,
    shared_points,
)
from .encoders import Encoder, FeatureArrays, checked, comparable, encoded, metric
from .gate import Evidence, gate_of_features, same_law
from .judgement import judged_beside
from .known import Known, first_of
from .naming import named
from .views import InFeatures


@dataclass(frozen=True)
class Space:
    """Training points in features, before there are samples: those as they are compared (n, g, F),
    what brings others there, and what counts as one."""

    features: Encoder | FeatureArrays
    train: np.ndarray
    compared: Callable[[np.ndarray], np.ndarray]
    training: Training

    @property
    def direction(self) -> bool:
        return isinstance(self.features, FeatureArrays) or self.features.direction


def space_of(
    features: Encoder | FeatureArrays,
    known: Known,
    dataset: Dataset,
    *,
    memory_mib: int,
    **how: Any,
) -> Space:
    """The data in features. `how` is that of `encoders.encoded`. Raises `InputError` for features
    that are none, or tell nothing apart."""
    if isinstance(features, Encoder):
        by, direction = known.training.orbit, features.direction
        raw = _under(by, features, dataset, dataset.points, "the data", **how)
    else:
        by, direction = orbit((), (1,)), True
        raw = checked(features.training, dataset.n, features.name, "the data")[:, None]
    compared = comparable(raw, direction)
    train = compared(raw)
    different = len(np.unique(train[:, 0], axis=0))
    if different >= 3:
        search = EmpiricalScore(train[:, 0], memory_mib=memory_mib, device=how.get("device", "cpu"))
        twins = orbit_clusters(search, train, clusters(train[:, 0]), by)
        one = joined(twins.of, known.training.one)
        different = int(one.max()) + 1
    if different < 3:
        raise InputError(
            f"the features {features.name} of the {dataset.n} training points are {different} "
            "different ones; expected three or more: they tell nothing apart. Take others."
        )
    if dataset.groups is not None:
        twins = twins.across(np.unique(dataset.groups, return_inverse=True)[1])
    return Space(features, train, compared, Training(search, twins, by, one, known.training.one))


def in_features(
    space: Space,
    known: Known,
    dataset: Dataset,
    held_out: Dataset | None,
    states: np.ndarray,
    *,
    seed: int = 0,
    **how: Any,
) -> InFeatures:
    """Samples `states` (m, d) beside the points of an audit; `held_out` are those that were given,
    of which `known` has what is left. `how` is that of `encoders.encoded`."""
    others = known.held_out if known.others is not None else None
    features, training = space.features, space.training
    if isinstance(features, Encoder):
        rest = None if others is None else others.points
        taken = [
            None if x is None else _under(training.orbit, features, dataset, x, of, **how)
            for of, x in (("the samples", states), ("the held-out points", rest))
        ]
    else:
        taken = _given(features, held_out, others, len(states), space.train.shape[2])
    mine, out = (None if x is None else space.compared(x) for x in taken)
    assert mine is not None
    baseline, law = _chance(training, space.train, out, others, seed)
    near = training.near(mine)
    shared = () if out is None else shared_points(training, out)
    flags = gate_of_features(
        Evidence(mine, space.train, out if law is not None and law.ok else None, (), training, near,
                 baseline, None, None, len(shared), law)
    )  # fmt: skip
    copies = found_copies(training, mine[:, 0], near, baseline)
    return InFeatures(
        of=features.name, dimension=mine.shape[2], distance=metric(space.direction), gate=flags,
        **named(copies, training.clusters, shared, dataset, others),
        verdict=judged_beside(copies.share, baseline.share, baseline.of, flags,
                              f"In the features {features.name}", "are copies"),
    )  # fmt: skip


def _under(
    by: Orbit, encoder: Encoder, dataset: Dataset, points: np.ndarray, of: str, **how: Any
) -> np.ndarray:
    """Features (m, g, F) of points moved back by every element of the orbit."""
    ways = [by.back(k, points) for k in range(len(by))]
    return np.stack([encoded(encoder, dataset, x, of, **how) for x in ways], axis=1)


def _given(
    arrays: FeatureArrays,
    held_out: Dataset | None,
    others: Dataset | None,
    count: int,
    width: int,
) -> list[np.ndarray | None]:
    """Features (m, 1, F) that were taken already, of the samples and the held-out points left."""
    mine = checked(arrays.samples, count, arrays.name, "the samples", width)
    if (held_out is None) != (arrays.held_out is None):
        raise InputError(
            f"the features {arrays.name} are {'without' if held_out else 'with'} those of held-out "
            f"points, and the audit is {'with' if held_out else 'without'} such points; expected "
            "both or none."
        )
    out = None
    if held_out is not None:
        out = checked(arrays.held_out, held_out.n, arrays.name, "the held-out points", width)
        rows = [] if others is None else [held_out.place_of(int(k)) for k in others.indices]
        out = out[np.array(rows, dtype=np.int64)] if rows else None
    return [None if x is None else x[:, None] for x in (mine, out)]


def _chance(
    training: Training, train: np.ndarray, out: np.ndarray | None, others: Dataset | None, seed: int
) -> tuple[Baseline, Flag | None]:
    """What brings copies by chance, and whether held-out points are of the law of the data."""
    if out is None or others is None:
        return left_out_baseline(training, train), None
    some = train[first_of(training.one)], out[first_of(others.groups)]
    law = same_law(some[0][:, 0], some[1][:, 0], seed)
    return (held_out_baseline if law.ok else left_out_baseline)(
        training, out if law.ok else train
    ), law
