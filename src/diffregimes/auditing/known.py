"""What is known of training and held-out points before a model is asked, and its samples beside it.

Points that both sets share are no held-out points. Where the rest is not of the law of the training
points, chance is read from these alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..common.checks import InputError
from ..data.datasets import Dataset
from ..data.neighbours import clusters
from ..results import Duplicate, Flag
from ..scores import EmpiricalScore
from .copies import (
    HELD_OUT,
    Baseline,
    Training,
    found_copies,
    held_out_baseline,
    left_out_baseline,
    orbit_clusters,
    shared_points,
)
from .findings import Copies, Entropy
from .gate import Evidence, gate, same_law
from .losses import Losses
from .orbit import orbit


@dataclass(frozen=True)
class Known:
    """What is known of training and held-out points before the model is asked: those held out that
    are no training points, those that are, and the points that cannot be copies."""

    training: Training
    held_out: Dataset | None
    shared: tuple[Duplicate, ...]
    law: Flag | None
    baseline: Baseline

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
    training = Training(search, twins, by)
    representatives = np.unique(twins.of, return_index=True)[1]
    if len(representatives) < 3:
        raise InputError(
            f"the {dataset.n} training points are {len(representatives)} different ones, the "
            "others duplicates of these; expected three or more."
        )
    if held_out is None:
        return Known(training, None, (), None, left_out_baseline(training, points))
    shared = shared_points(training, held_out.points)
    if shared:
        kept = np.setdiff1d(np.arange(held_out.n), [x.other for x in shared])
        if len(kept) < 2:
            raise InputError(
                f"{len(shared)} of the {held_out.n} held-out points ({held_out.source}) are "
                "training points as well; expected points that the model was not trained on."
            )
        held_out = held_out.take(kept)
    law = same_law(points[representatives], held_out.points, seed)
    if law.ok:
        baseline = held_out_baseline(training, held_out.points, len(shared))
    else:
        baseline = left_out_baseline(training, points)
    return Known(training, held_out, shared, law, baseline)


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
