"""Clones and U-turns: what is decided at time t, measured by running the process backwards.

Clones share a trajectory from pure noise down to t and part there, with independent noise below.
phi(t) is the probability that two of them end in the same class, phi_C(t) at the same training
point. Under the exact score both follow from the forward pass: given x_t the ends are
independent draws from the posterior, phi = E[sum_c p_c^2] and phi_C = E[sum_nu w_nu^2]. For any
score p_c and w_nu, the laws of the end given x_t, are martingales on the way to the data, so that
both curves fall with t.

U-turns start from the data instead: a training point is noised to t, and denoised. The law of
(start, end) is that of two clones, so that the same curves come out; with a network they tell
what it has learned around the data, clones what it does on its own samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from torch import Tensor

from ..common.checks import InputError, in_range
from ..common.numerics import LEVEL, RESAMPLES, crossings, resampled_sums, wilson
from ..common.rng import numpy_generator, point_of_pair
from ..populations.mixture import GaussianMixture
from ..process import signal, snr, variance
from ..results import Curves
from ..scores import AbstractScore, EmpiricalScore
from ..transitions.crossing import Interval, from_log_gamma
from .conditioned import PointsWithin, Within
from .descent import Arrays, Birth, Block, Run, run_blocks
from .samplers import noisy, sampler

# Class of the end points: states (m, d) at time t >= 0 -> class numbers (m,)
Classify = Callable[[Tensor, float], Tensor]
EARLIEST = 1e-9  # t = 0 has no posterior over points; nearest is nearest


@dataclass(frozen=True)
class Ends:
    """Where clones ended: `classes` and `points` (pairs, T, B) for B clones that part at each of
    `times` (T,); `points` is None without training points. In a U-turn the first of B = 2 is the
    start itself. `recipe` says how they were run."""

    times: np.ndarray
    classes: np.ndarray
    points: np.ndarray | None
    kind: str = "clones"
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def agreement(self, name: str) -> np.ndarray:
        """Share of agreeing pairs among the B clones of every draw, (pairs, T)."""
        ends = {"same_class_probability": self.classes, "same_point_probability": self.points}[name]
        if ends is None:
            raise InputError("the ends were not compared with training points.")
        clones = ends.shape[2]
        same = sum((ends[..., k:] == ends[..., :-k]).sum(axis=2) for k in range(1, clones))
        return np.asarray(same / math.comb(clones, 2))

    @property
    def names(self) -> tuple[str, ...]:
        point = () if self.points is None else ("same_point_probability",)
        return ("same_class_probability", *point)

    def curves(self) -> Curves:
        """phi and phi_C with standard errors over the times, increasing."""
        order = np.argsort(self.times)
        root = math.sqrt(len(self.classes))
        same = {name: self.agreement(name)[:, order] for name in self.names}
        return Curves(
            self.times[order],
            {k: v.mean(axis=0) for k, v in same.items()},
            {k: v.std(axis=0, ddof=1) / root for k, v in same.items()},
            len(self.classes),
        )

    def wilson(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """95 % Wilson interval (T,), (T,) over the times, increasing; for B = 2, yes or no."""
        same = self.agreement(name)[:, np.argsort(self.times)]
        if self.classes.shape[2] != 2:
            raise InputError("Wilson's interval is one of yes and no: two branches, not more.")
        low, high = zip(*(wilson(int(k), len(same)) for k in same.sum(axis=0)), strict=True)
        return np.array(low), np.array(high)

    def bootstrap(self, name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """95 % percentile interval (T,), (T,), resampling trajectories."""
        same = self.agreement(name)[:, np.argsort(self.times)]
        rng = numpy_generator(seed, "clones bootstrap")
        even = np.full(len(same), 1 / len(same))
        drawn = [rng.multinomial(len(same), even) @ same / len(same) for _ in range(RESAMPLES)]
        low, high = np.percentile(drawn, LEVEL, axis=0)
        return low, high

    def falling(self, name: str, seed: int = 0) -> np.ndarray:
        """The falling curve nearest to phi or phi_C (isotonic regression) over the times,
        increasing, and those of resampled pairs, (1 + R, T)."""
        same = self.agreement(name)[:, np.argsort(self.times)]
        drawn = resampled_sums(same, numpy_generator(seed, "clones crossing"))
        rows = np.vstack([same.mean(axis=0), drawn / len(same)])
        return np.stack([isotonic_regression(x, increasing=False).x for x in rows])

    def crossing(self, name: str, level: float, seed: int = 0) -> Interval:
        """The t at which that curve crosses the level, and a 95 % interval; None where it does
        not."""
        x = -np.log(snr(np.sort(self.times)))
        return from_log_gamma(-crossings(x, self.falling(name, seed), level))


def mixture_classes(mixture: GaussianMixture) -> Classify:
    """The component of largest posterior."""

    def classify(x: Tensor, t: float) -> Tensor:
        return mixture.class_posterior(x, max(t, EARLIEST)).argmax(1)

    return classify


def nearest_classes(training: EmpiricalScore, labels: np.ndarray) -> Classify:
    """The class of the nearest training point."""
    known = torch.as_tensor(labels)

    def classify(x: Tensor, t: float) -> Tensor:
        index, _ = training.nearest_points(x, max(t, EARLIEST), 1)
        return known.to(index.device)[index[:, 0]]

    return classify


def run_clones(
    score: AbstractScore,
    times: Any,
    pairs: int,
    *,
    run: Run,
    classify: Classify,
    training: EmpiricalScore | PointsWithin | None = None,
    branches: int = 2,
    dimension: int | None = None,
) -> Ends:
    """`pairs` trajectories from noise at the first time of the grid, cloned at each of `times`.

    times : on the way; moved to the nearest times of the grid
    classify : the class of end points, such as `nearest_classes` or `mixture_classes`
    training : the points to compare the ends with, for phi_C
    branches : clones at each time; the trajectory itself is the first, so that it is run once
    dimension : of a state, where the score does not know it
    """
    at = placed(run, times)
    in_range("pairs", pairs, 2, 10**9)
    in_range("branches", branches, 2, 1000)
    size = dimension or score.dimension
    if size is None:
        raise InputError("dimension is not known of this score; pass dimension=, that of a state.")

    def task(block: Block) -> Arrays:
        def start(x: Tensor | None) -> Tensor:
            return run.normal(block.trunk, block.size, size)

        def part(x: Tensor | None) -> Tensor:
            assert x is not None
            return x[: block.size].repeat(branches - 1, 1)

        births: dict[int, tuple[Birth, ...]] = {0: (start,)}
        for k in at:
            births[k] = (*births.get(k, ()), part)
        ends = _ends(run, block, block.descend(score, births), classify, training)
        return {name: _beside_trunk(end, branches) for name, end in ends.items()}

    blocks = run_blocks(
        run, "clones", pairs, task,
        rows=1 + len(at) * (branches - 1), dimension=size,
        at=at, branches=branches, compared=training is not None, text="clones",
    )  # fmt: skip
    recipe = run.told(branches=branches)
    return Ends(run.grid[at], blocks["classes"], blocks.get("points"), "clones", recipe)


def run_uturns(
    score: AbstractScore,
    points: Any,
    labels: np.ndarray,
    times: Any,
    draws: int,
    *,
    run: Run,
    classify: Classify,
    training: EmpiricalScore | None = None,
) -> Ends:
    """`draws` of `points` (n, d), each equally often, noised to each of `times` and denoised.

    The ends are compared with the class in `labels` (n,) and, where `training` holds these very
    points, with the index of the start.
    """
    at = placed(run, times)
    in_range("draws", draws, 2, 10**9)
    data, known = torch.as_tensor(points), np.asarray(labels)
    if data.ndim != 2 or known.shape != data.shape[:1]:
        raise InputError(
            f"points have the shape {tuple(data.shape)} and labels {known.shape}; expected (n, d) "
            "and (n,)."
        )
    if training is not None and training.n != len(data):
        raise InputError(
            f"training holds {training.n} points, points {len(data)}; expected the same points, or "
            "no training: a start that is none of them has no index to come back to."
        )

    def task(block: Block) -> Arrays:
        chosen = point_of_pair(len(data), block.first, block.size, run.seed)
        origin = data[torch.from_numpy(chosen)].to(run.device, run.dtype)

        def noised(t: float) -> Birth:
            def birth(x: Tensor | None) -> Tensor:
                z = run.normal(block.rest, *origin.shape)
                return float(signal(t)) * origin + math.sqrt(float(variance(t))) * z

            return birth

        births = {k: (noised(float(run.grid[k])),) for k in at}
        ends = _ends(run, block, block.descend(score, births), classify, training)
        starts = {"classes": known[chosen], "points": chosen}
        return {
            name: np.stack([np.broadcast_to(starts[name][:, None], end.shape), end], axis=2)
            for name, end in ends.items()
        }

    blocks = run_blocks(
        run, "uturn", draws, task, rows=len(at), dimension=data.shape[1],
        at=at, compared=training is not None, text="U-turns",
    )  # fmt: skip
    return Ends(run.grid[at], blocks["classes"], blocks.get("points"), "uturn", run.told())


def placed(run: Run, times: Any) -> list[int]:
    """The places of the times in the grid, from noise to data, each once."""
    if not sampler(run.sampler).noisy:
        raise InputError(
            f"sampler is {run.sampler!r}, without noise: two clones would be one. Expected one of "
            f"{', '.join(noisy())}."
        )
    grid = run.grid
    asked = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if asked.size == 0 or not np.isfinite(asked).all():
        raise InputError("times holds no finite time at which the clones could part.")
    outside = asked[(asked > grid[0] + 1e-9) | (asked < grid[-1] - 1e-9)]
    if outside.size:
        raise InputError(
            f"times holds {outside[0]:.4g}, beyond the sampler's grid from {grid[0]:.4g} to "
            f"{grid[-1]:.4g}; clones part on the way."
        )
    return sorted({int(np.abs(grid[:-1] - t).argmin()) for t in asked})


def _ends(
    run: Run,
    block: Block,
    x: Tensor,
    classify: Classify,
    training: EmpiricalScore | PointsWithin | None,
) -> Arrays:
    """Classes and nearest points of the states x, group by group: (size, groups)."""
    out: dict[str, list[Tensor]] = {"classes": []}
    rows = run.rows(x.shape[1])
    for first in range(0, len(x), rows):
        part = x[first : first + rows]
        classes = torch.as_tensor(classify(part, run.end))
        if classes.shape != (len(part),):
            raise InputError(
                f"classify gave the shape {tuple(classes.shape)} for {len(part)} end points; "
                "expected one class number for each."
            )
        out["classes"].append(classes.cpu().long())
        if training is not None:
            search = searched(training, block, len(x), slice(first, first + rows))
            index, _ = search.nearest_points(part, max(run.end, EARLIEST), 1)
            out.setdefault("points", []).append(index[:, 0].cpu())
    return {k: torch.cat(v).numpy().reshape(-1, block.size).T for k, v in out.items()}


def searched(
    training: EmpiricalScore | PointsWithin, block: Block, states: int, rows: slice = slice(None)
) -> EmpiricalScore | Within:
    """The points among which the nearest are looked for, of some rows of so many states: those of
    the own condition where there are conditions."""
    if isinstance(training, EmpiricalScore):
        return training
    conditions = block.conditions(states)
    assert conditions is not None
    return training.given(conditions[rows])


def _beside_trunk(ends: np.ndarray, branches: int) -> np.ndarray:
    """(size, 1 + T (B - 1)) -> (size, T, B): the trunk's end beside those of each time's clones."""
    parted = ends[:, 1:].reshape(len(ends), -1, branches - 1)
    trunk = np.broadcast_to(ends[:, :1, None], (*parted.shape[:2], 1))
    return np.concatenate([trunk, parted], axis=2)
