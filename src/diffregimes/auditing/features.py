"""Copies in features: what an encoder takes for the same image is one, shifted, cropped or not.

The law is that of whole samples, nearest over second nearest different point beside points that
cannot be copies, with distances between features. What counts as one in pixels does here, and what
has nearly equal features does as well. Held-out points that are near to a training point in
features stay part of what chance brings: only equal pixels make them training points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.parallel import Progress
from ..data.datasets import Dataset
from ..data.neighbours import clusters
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
from .orbit import Orbit, orbit
from .views import InFeatures


def in_features(
    features: Encoder | FeatureArrays,
    known: Known,
    dataset: Dataset,
    held_out: Dataset | None,
    states: np.ndarray,
    *,
    seed: int = 0,
    batch: int | None = None,
    device: str = "cpu",
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> InFeatures:
    """Samples `states` (m, d) beside the points of an audit; `held_out` are those that were given,
    of which `known` has what is left. Raises `InputError` for features that are none."""
    others = known.held_out if known.others is not None else None
    if isinstance(features, Encoder):
        by, direction = known.training.orbit, features.direction
        sets = (("the data", dataset.points), ("the samples", states),
                ("the held-out points", None if others is None else others.points))  # fmt: skip
        taken = [
            None if x is None else _under(by, features, dataset, x, of, batch=batch,
                                          device=device, progress=progress)
            for of, x in sets
        ]  # fmt: skip
    else:
        by, direction = orbit((), (1,)), True
        taken = _given(features, dataset, held_out, others, len(states))
    assert taken[0] is not None
    train, (mine, out) = comparable(taken[0], taken[1:], direction)
    assert mine is not None
    return _beside(features.name, direction, by, known, dataset, held_out, others,
                   (train, mine, out), seed, device, memory_mib)  # fmt: skip


def _under(
    by: Orbit, encoder: Encoder, dataset: Dataset, points: np.ndarray, of: str, **how: Any
) -> np.ndarray:
    """Features (m, g, F) of points moved back by every element of the orbit."""
    ways = [by.back(k, points) for k in range(len(by))]
    return np.stack([encoded(encoder, dataset, x, of, **how) for x in ways], axis=1)


def _given(
    arrays: FeatureArrays,
    dataset: Dataset,
    held_out: Dataset | None,
    others: Dataset | None,
    count: int,
) -> list[np.ndarray | None]:
    """Features (m, 1, F) that were taken already, of the held-out points that are left."""
    train = checked(arrays.training, dataset.n, arrays.name, "the data")
    width = train.shape[1]
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
    return [None if x is None else x[:, None] for x in (train, mine, out)]


def _beside(
    name: str,
    direction: bool,
    by: Orbit,
    known: Known,
    dataset: Dataset,
    held_out: Dataset | None,
    others: Dataset | None,
    seen: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    seed: int,
    device: str,
    memory_mib: int,
) -> InFeatures:
    """What features (m, g, F) of the data, the samples and the held-out points tell."""
    train, mine, out = seen
    training = _training(name, by, known, dataset, train, device, memory_mib)
    baseline, law = _chance(training, train, out, others, seed)
    near = training.near(mine)
    shared = () if out is None else shared_points(training, out)
    flags = gate_of_features(
        Evidence(mine, train, out if law is None or law.ok else None, (), training, near, baseline,
                 None, None, len(shared), law)
    )  # fmt: skip
    copies = found_copies(training, mine, near, baseline)
    told = f"In the features {name}"
    return InFeatures(
        of=name, dimension=train.shape[2], distance=metric(direction), gate=flags,
        **named(copies, training.clusters, shared, dataset, others or held_out),
        verdict=judged_beside(copies.share, baseline.share, baseline.of, flags, told,
                              "are copies"),
    )  # fmt: skip


def _training(
    name: str, by: Orbit, known: Known, dataset: Dataset, train: np.ndarray, device: str,
    memory_mib: int,
) -> Training:  # fmt: skip
    different = len(np.unique(train[:, 0], axis=0))
    if different >= 3:
        search = EmpiricalScore(train[:, 0], memory_mib=memory_mib, device=device)
        twins = orbit_clusters(search, train, clusters(train[:, 0]), by)
        one = joined(twins.of, known.training.one)
        different = int(one.max()) + 1
    if different < 3:
        raise InputError(
            f"the features {name} of the {dataset.n} training points are {different} different "
            "ones; expected three or more: they tell nothing apart. Take features of another kind."
        )
    if dataset.groups is not None:
        twins = twins.across(np.unique(dataset.groups, return_inverse=True)[1])
    return Training(search, twins, by, one)


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
