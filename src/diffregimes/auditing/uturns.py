"""Does a training point come back? Points noised to t and denoised: is the end a copy of the start?

The end is a copy of its start where it lies three times nearer to it than to any different training
point. Under the exact score of the training points it is one of these, the start with the
probability phi_C(t), and never a point that was held out. Under the score of the law it is another
draw of what is left of the point in the noise: it is near the start for small t alone, and of
training and held-out points alike. What comes back of training points beyond held-out ones is
memory, in a shell about each that reaches as far as t.

The times are spread about t_C of the exact score, an eighth of it to somewhat above: nearer to the
data the noise leaves whole points, which come back to any model. What is not asked is whether the
model would pass by the shells on its way from noise: copies among its samples tell that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..backward.clones import Classify, Ends, run_uturns
from ..backward.descent import Run
from ..backward.experiment import Experiment
from ..backward.tracking import copy_ratio, is_copy
from ..common.numerics import Z95, crossings
from ..data.datasets import Dataset
from ..data.neighbours import clusters
from ..process import snr
from ..results import Curves
from ..scores import AbstractScore, EmpiricalScore
from ..transitions.crossing import Interval, band_crossing, from_log_gamma
from .conditions import Conditions
from .copies import Training, joined, orbit_clusters
from .findings import ModelTime, Returns
from .known import Known

TIMES, LOWEST, HIGHEST = 5, 1 / 8, 1.3  # of t_C
_FINE = 24
_SAME, _POINT = "same_class_probability", "same_point_probability"


def returns(
    score: AbstractScore,
    dataset: Dataset,
    known: Known,
    own: Conditions | None,
    setup: Experiment,
    line: Curves,
    draws: int,
    run: Run,
    store: Path | None,
) -> tuple[Returns, ModelTime]:
    """U-turns from training and from held-out points, and up to where the former come back beyond
    the latter. `line` are curves of the exact score."""
    training, held_out = known.training, known.held_out
    times = _times(line.t, _exact(setup, training, line.t, line)[0], run)

    def ends(name: str, points: np.ndarray, one: np.ndarray, classify: Classify,
             codes: np.ndarray | None) -> Ends:  # fmt: skip
        kept = None if store is None else store / name
        return run_uturns(
            score, points, one, times, draws, run=replace(run, store=kept, conditions=codes),
            classify=classify,
        )  # fmt: skip

    first = ends(
        "u-turns", dataset.points, training.one, _copied(training),
        None if own is None else own.training,
    )  # fmt: skip
    second, others = None, None if held_out is None else _counted(held_out, training, run)
    if held_out is not None and others is not None:
        second = ends(
            "u-turns-held-out", held_out.points, others.one, _found(others, training),
            None if own is None else own.held_out,
        )  # fmt: skip
    t = first.curves().t
    fine = np.union1d(t, np.geomspace(t[0], t[-1], _FINE))
    value, se = _exact(setup, training, fine)
    at = np.searchsorted(fine, t)
    found = Returns(draws, t, *_shares(first, t), *_shares(second, t), value[at], se[at])
    half, bounds = _half(first, second, run.seed)
    band = np.stack([value + x * se for x in (0, -Z95, Z95)])
    beyond = "half of the training points" if second is None else "of training points half more"
    than = "" if second is None else " than of held-out ones"
    return found, ModelTime(
        "u-turn", half, *((None, None) if half is None else bounds),
        *band_crossing(fine, band, 0.5),
        f"{beyond}, noised to it and denoised, come back as themselves{than}",
    )  # fmt: skip


def _half(first: Ends, second: Ends | None, seed: int) -> Interval:
    """The largest t at which training points come back half more often than held-out ones: near the
    data both may come back to any model."""
    excess = first.falling(_SAME, seed)
    if second is not None:
        excess = excess - second.falling(_SAME, seed + 1)  # resampled on its own
    return from_log_gamma(-crossings(-np.log(snr(first.curves().t)), excess, 0.5))


def _times(t: np.ndarray, exact: np.ndarray, run: Run) -> np.ndarray:
    """About t_C of the exact score, or the middle of `t` where it brings back half nowhere."""
    at = band_crossing(t, np.stack([exact] * 3), 0.5)[0] or math.sqrt(t[0] * t[-1])
    low, high = run.grid[-2], run.grid[0]
    return np.geomspace(max(LOWEST * at, low), min(HIGHEST * at, high), TIMES)


def _exact(
    setup: Experiment, training: Training, t: np.ndarray, line: Curves | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What comes back to the exact score, by the forward pass, and its standard error; `line` are
    its curves of single points, where they are known."""
    different, one = np.unique(training.one, return_inverse=True)
    if len(different) == len(one):  # classes of one point each would cost more
        curves = setup.forward(t) if line is None else line
        return curves[_POINT], curves.se[_POINT]
    curves = setup.forward(t, one)
    return curves[_SAME], curves.se[_SAME]


def _shares(ends: Ends | None, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What came back, with its interval; NaN where nothing was sent."""
    if ends is None:
        return (np.full(len(t), np.nan),) * 3
    return ends.curves()[_SAME], *ends.wilson(_SAME)


def _counted(held_out: Dataset, training: Training, run: Run) -> Training | None:
    """Held-out points of which duplicates and groups count as one, as training points do; None
    where they are all one point."""
    points = held_out.points
    if (points == points[0]).all():
        return None
    search = EmpiricalScore(points, memory_mib=run.memory_mib, device=run.device)
    twins = orbit_clusters(search, points, clusters(points), training.orbit)
    one = twins.of
    if held_out.groups is not None:
        one = joined(one, np.unique(held_out.groups, return_inverse=True)[1])
    return Training(search, twins, training.orbit, one)


def _copied(training: Training) -> Classify:
    """Which training point a state is a copy of, by what counts as one; -1 of none."""

    def classify(x: np.ndarray) -> np.ndarray:
        near = training.near(x)
        return np.where(is_copy(near.ratio), training.one[near.point], -1)

    return _of_arrays(classify)


def _found(others: Training, training: Training) -> Classify:
    """Likewise which held-out point, beside the training points."""

    def classify(x: np.ndarray) -> np.ndarray:
        near = others.near(x)
        ratio = copy_ratio(near.distance, training.near(x).distance)
        return np.where(is_copy(ratio), others.one[near.point], -1)

    return _of_arrays(classify)


def _of_arrays(classify: Callable[[np.ndarray], np.ndarray]) -> Classify:
    def on_device(x: Tensor, t: float) -> Tensor:
        return torch.from_numpy(classify(x.cpu().numpy()))

    return on_device
