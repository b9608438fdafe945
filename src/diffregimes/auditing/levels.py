"""The three noise levels at which a training is watched, from its data alone.

    speciation   t_S, where the class is decided
    gap          where a network that copies gains most over one that knows mean and covariance:
                 the largest sum_k lambda_k/(1 + gamma lambda_k) - mmse(gamma), the losses of the
                 best linear denoiser and of the exact score of the training points
    collapse     t_C, where the exact score of the training points settles on one of them

The gap of the exact score itself has no largest value: towards the data its loss on held-out points
stays at their distance from the nearest training point. A network does not go there with it, for
with little noise what it is given tells it the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..analysis import analyze
from ..common.checks import InputError
from ..common.parallel import Progress
from ..data.datasets import Dataset, from_arrays
from ..process import snr
from ..results import Analysis

PRECISION = 0.02  # of the curves: a level is a place to look at


@dataclass(frozen=True)
class Level:
    """A noise level to look at: its name, and t."""

    name: str
    t: float


def levels(
    dataset: Dataset,
    earliest: float,
    latest: float,
    *,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> tuple[Level, ...]:
    """Those of the module's law, at increasing t, brought into the times that a network knows; a
    transition that does not exist has none."""
    if len(dataset.class_names) < 2:  # the sides of its first principal component decide
        dataset = from_arrays(dataset.points.reshape(dataset.n, *dataset.sample_shape))
    found = analyze(
        dataset, precision=PRECISION, seed=seed, memory_mib=memory_mib, progress=progress
    )
    times = {
        "speciation": found.time("speciation").t,
        "gap": widest_gap(found),
        "collapse": found.time("collapse").t,
    }
    inside = {k: min(max(t, earliest), latest) for k, t in times.items() if t is not None}
    if not inside:
        raise InputError("no noise level of these data is worth a look; expected several points.")
    return tuple(Level(k, t) for k, t in sorted(inside.items(), key=lambda x: x[1]))


def widest_gap(found: Analysis) -> float:
    """t of the "gap" of the module's law."""
    gamma, power = snr(found.curves.t), found.spectrum.eigenvalues
    linear = np.array([(power / (1 + x * power)).sum() for x in np.asarray(gamma)])
    return float(found.curves.t[np.argmax(linear - found.curves["mmse"])])
