"""Clones and U-turns: what is decided at time t, measured by running the process backwards.

Clones share a trajectory from pure noise down to t and part there, with independent noise below.
phi(t) is the probability that two of them end in the same class, phi_C(t) at the same training
point. Under the exact score both follow from the forward pass: given x_t the ends are
independent draws from the posterior, phi = E[sum_c p_c^2] and phi_C = E[sum_nu w_nu^2].

U-turns start from the data instead: a training point is noised to t, and denoised. The law of
(start, end) is that of two clones, so that the same curves come out; with a network they tell
what it has learned around the data, clones what it does on its own samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from ..checks import InputError, in_range
from ..numerics import LEVEL, RESAMPLES
from ..populations import GaussianMixture
from ..process import signal, variance
from ..results import Curves
from ..rng import numpy_generator, point_of_pair
from ..scores import AbstractScore, EmpiricalScore
from ..sweep import Progress
from .descent import BLOCK, Batched, Birth, Block, descend, generators, run_blocks
from .samplers import NOISY, decreasing, sampler

# Class of the end points: states (m, d) at time t >= 0 -> class numbers (m,)
Classify = Callable[[Tensor, float], Tensor]
_EARLIEST = 1e-9  # t = 0 has no posterior over points; nearest is nearest


@dataclass(frozen=True)
class Ends:
    """Where clones ended: `classes` and `points` (pairs, T, B) for B clones that part at each of
    `times` (T,); `points` is None without training points. In a U-turn the first of B = 2 is the
    start itself."""

    times: np.ndarray
    classes: np.ndarray
    points: np.ndarray | None
    kind: str = "clones"

    def agreement(self, name: str) -> np.ndarray:
        """Share of agreeing pairs among the B clones of every draw, (pairs, T)."""
        ends = {"same_class_probability": self.classes, "same_point_probability": self.points}[name]
        if ends is None:
            raise InputError("the ends were not compared with training points.")
        two = list(combinations(range(ends.shape[2]), 2))
        return np.asarray(np.mean([ends[..., a] == ends[..., b] for a, b in two], axis=0))

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
        found = [
            binomtest(int(k), len(same)).proportion_ci(method="wilson") for k in same.sum(axis=0)
        ]
        return np.array([x.low for x in found]), np.array([x.high for x in found])

    def bootstrap(self, name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """95 % percentile interval (T,), (T,), resampling trajectories."""
        same = self.agreement(name)[:, np.argsort(self.times)]
        rng = numpy_generator(seed, "clones bootstrap")
        even = np.full(len(same), 1 / len(same))
        drawn = rng.multinomial(len(same), even, size=RESAMPLES) @ same / len(same)
        low, high = np.percentile(drawn, LEVEL, axis=0)
        return low, high


def mixture_classes(mixture: GaussianMixture) -> Classify:
    """The component of largest posterior."""

    def classify(x: Tensor, t: float) -> Tensor:
        return mixture.class_posterior(x, max(t, _EARLIEST)).argmax(1)

    return classify


def nearest_classes(training: EmpiricalScore, labels: np.ndarray) -> Classify:
    """The class of the nearest training point."""
    known = torch.as_tensor(labels)

    def classify(x: Tensor, t: float) -> Tensor:
        index, _ = training.nearest_points(x, max(t, _EARLIEST), 1)
        return known.to(index.device)[index[:, 0]]

    return classify


def run_clones(
    score: AbstractScore,
    times: Any,
    pairs: int,
    *,
    grid: Any,
    classify: Classify,
    training: EmpiricalScore | None = None,
    sampler_name: str = "bridge",
    branches: int = 2,
    dimension: int | None = None,
    seed: int = 0,
    batch: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    memory_mib: int = 1024,
    store: Path | None = None,
    recipe: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Ends:
    """`pairs` trajectories from noise at grid[0], cloned at every one of `times`.

    `grid` are the times of the sampler, decreasing; `times` are moved to the nearest of them. The
    trajectory itself is the first of the `branches` clones at every t, so that it is run once.
    `classify` gives the class of end points, `training` the points to compare them with.
    """
    steps, at = _placed(grid, times, sampler_name)
    in_range("pairs", pairs, 2, 10**9)
    in_range("branches", branches, 2, 1000)
    size = dimension or score.dimension
    if size is None:
        raise InputError("dimension is not known of this score; pass dimension=, that of a state.")
    step, fed = sampler(sampler_name), _batched(score, batch)

    def run(block: int, draws: int) -> Block:
        made = generators(seed, "clones", block)

        def start(x: Tensor | None) -> Tensor:
            noise = torch.randn(draws, size, generator=made[0], dtype=dtype)
            return noise.to(device)

        def part(x: Tensor | None) -> Tensor:
            assert x is not None
            return x[:draws].repeat(branches - 1, 1)

        births: dict[int, tuple[Birth, ...]] = {0: (start,)}
        for k in at:
            births[k] = (*births.get(k, ()), part)
        x = descend(fed, step, steps, births, made)
        return _compare(x, draws, branches, len(at), float(steps[-1]), classify, training)

    blocks = run_blocks(
        run, pairs, device=torch.device(device), memory_mib=memory_mib, store=store,
        recipe=recipe, progress=progress, text="clones",
    )  # fmt: skip
    return Ends(steps[at], blocks["classes"], blocks.get("points"))


def run_uturns(
    score: AbstractScore,
    points: Any,
    labels: np.ndarray,
    times: Any,
    draws: int,
    *,
    grid: Any,
    classify: Classify,
    training: EmpiricalScore | None = None,
    sampler_name: str = "bridge",
    seed: int = 0,
    batch: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    memory_mib: int = 1024,
    store: Path | None = None,
    recipe: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Ends:
    """`draws` data points (of `points` (n, d)), noised to each of `times` and denoised.

    The ends are compared with the class and the index of the start.
    """
    steps, at = _placed(grid, times, sampler_name)
    in_range("draws", draws, 2, 10**9)
    data = torch.as_tensor(points)
    step, fed = sampler(sampler_name), _batched(score, batch)

    def run(block: int, size: int) -> Block:
        made = generators(seed, "uturn", block)
        chosen = point_of_pair(len(data), block * BLOCK, size, seed)
        origin = data[torch.from_numpy(chosen)].to(device, dtype)

        def noised(t: float) -> Birth:
            def birth(x: Tensor | None) -> Tensor:
                z = torch.randn(origin.shape, generator=made[1], dtype=dtype).to(device)
                return float(signal(t)) * origin + math.sqrt(float(variance(t))) * z

            return birth

        x = descend(fed, step, steps, {k: (noised(float(steps[k])),) for k in at}, made)
        found = _ends(x, size, len(at), float(steps[-1]), classify, training)
        starts = {"classes": np.asarray(labels)[chosen], "points": chosen}
        return {
            k: np.stack([np.broadcast_to(starts[k][:, None], v.shape), v], axis=2)
            for k, v in found.items()
        }

    blocks = run_blocks(
        run, draws, device=torch.device(device), memory_mib=memory_mib, store=store,
        recipe=recipe, progress=progress, text="U-turns",
    )  # fmt: skip
    return Ends(steps[at], blocks["classes"], blocks.get("points"), "uturn")


def _placed(grid: Any, times: Any, name: str) -> tuple[np.ndarray, list[int]]:
    """The grid, and the places in it of the times, from noise to data, each once."""
    if name not in NOISY:
        raise InputError(
            f"sampler is {name!r}, without noise: two clones would be one. Expected one of "
            f"{', '.join(sorted(NOISY))}."
        )
    steps = decreasing(grid)
    asked = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if asked.size == 0 or not np.isfinite(asked).all():
        raise InputError("times holds no finite time at which the clones could part.")
    outside = asked[(asked > steps[0] + 1e-9) | (asked < steps[-1] - 1e-9)]
    if outside.size:
        raise InputError(
            f"times holds {outside[0]:.4g}, beyond the sampler's grid from {steps[0]:.4g} to "
            f"{steps[-1]:.4g}; clones part on the way."
        )
    places = {int(np.abs(steps[:-1] - t).argmin()) for t in asked}
    return steps, sorted(places)


def _batched(score: AbstractScore, batch: int | None) -> AbstractScore:
    if batch is None:
        return score
    in_range("batch", batch, 1, 10**9)
    return Batched(score, batch)


def _ends(
    x: Tensor, size: int, groups: int, t: float, classify: Classify, training: EmpiricalScore | None
) -> Block:
    """Classes and nearest points of the rows of x, group by group: (size, groups)."""
    classes = torch.as_tensor(classify(x, t))
    if classes.shape != (len(x),):
        raise InputError(
            f"classify gave the shape {tuple(classes.shape)} for {len(x)} end points; expected "
            "one class number for each."
        )
    out = {"classes": classes.cpu().numpy().astype(np.int64).reshape(groups, size).T}
    if training is not None:
        index = training.nearest_points(x, max(t, _EARLIEST), 1)[0][:, 0]
        out["points"] = index.cpu().numpy().reshape(groups, size).T
    return out


def _compare(
    x: Tensor,
    draws: int,
    branches: int,
    times: int,
    t: float,
    classify: Classify,
    training: EmpiricalScore | None,
) -> Block:
    """(draws, T, B): the trunk's end beside those of the branches of each time."""
    found = _ends(x, draws, 1 + times * (branches - 1), t, classify, training)
    out = {}
    for name, ends in found.items():
        trunk = np.broadcast_to(ends[:, :1, None], (draws, times, 1))
        parted = ends[:, 1:].reshape(draws, times, branches - 1)
        out[name] = np.concatenate([trunk, parted], axis=2)
    return out
