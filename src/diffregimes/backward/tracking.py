"""What a trajectory nears on its way: the nearest training point and the class, step by step.

The nearest of e^{-t} a_nu to x_t changes often in the noise and for the last time at the collapse
of this trajectory; the mean of these last changes is the paper's estimate of t_C. In the same way
the last change of class is its speciation. At the end the ratio of the distances to the nearest and
the second nearest point tells a copy (below 1/3) from a new sample. Nothing but the present
state is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from ..checks import InputError, in_range
from ..scores import AbstractScore, EmpiricalScore
from ..sweep import Progress
from .clones import _EARLIEST, Classify, _batched
from .descent import Block, descend, generators, run_blocks
from .samplers import decreasing, sampler

COPY = 1 / 3  # nearest over second nearest distance


@dataclass(frozen=True)
class Tracked:
    """One entry for each trajectory (m,), from noise to `end_time`.

    point, ratio        nearest training point at the end; its distance over the second nearest's
    point_time          last t at which the nearest training point changed (collapse)
    class_time          last t at which the class changed (speciation)
    states              the end points (m, d)
    """

    point: np.ndarray
    ratio: np.ndarray
    distance: np.ndarray
    point_time: np.ndarray
    class_time: np.ndarray
    classes: np.ndarray
    states: np.ndarray
    end_time: float

    def mean_collapse(self) -> tuple[float, float]:
        """Mean of the last changes of the nearest point, and its standard error."""
        return _mean(self.point_time)

    def mean_speciation(self) -> tuple[float, float]:
        """Mean of the last changes of class, and its standard error."""
        return _mean(self.class_time)

    def memorised(self) -> tuple[float, float, float]:
        """Share of copies (ratio below 1/3) with its 95 % Wilson interval."""
        copies = int((self.ratio < COPY).sum())
        found = binomtest(copies, len(self.ratio)).proportion_ci(method="wilson")
        return copies / len(self.ratio), float(found.low), float(found.high)


def track(
    score: AbstractScore,
    training: EmpiricalScore,
    draws: int,
    *,
    grid: Any,
    classify: Classify,
    sampler_name: str = "bridge",
    seed: int = 0,
    batch: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    memory_mib: int = 1024,
    store: Path | None = None,
    recipe: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Tracked:
    """`draws` trajectories from noise at grid[0] to grid[-1], followed step by step."""
    steps, step = decreasing(grid), sampler(sampler_name)
    in_range("draws", draws, 2, 10**9)
    if training.n < 2:
        raise InputError("one training point came; expected two or more to be nearest.")
    size, fed = training.d, _batched(score, batch)

    def run(block: int, count: int) -> Block:
        made = generators(seed, "track", block)
        seen = _Last(count, training, classify, float(steps[0]))

        def start(x: Tensor | None) -> Tensor:
            return torch.randn(count, size, generator=made[0], dtype=dtype).to(device)

        x = descend(fed, step, steps, {0: (start,)}, made, seen.look)
        square = seen.square.sqrt().cpu().numpy()
        return {
            "point": seen.point.cpu().numpy(),
            "ratio": square[:, 0] / np.maximum(square[:, 1], 1e-300),
            "distance": square[:, 0],
            "point_time": seen.point_time.cpu().numpy(),
            "class_time": seen.class_time.cpu().numpy(),
            "classes": seen.classes.cpu().numpy(),
            "states": x.cpu().numpy(),
        }

    blocks = run_blocks(
        run, draws, device=torch.device(device), memory_mib=memory_mib, store=store,
        recipe=recipe, progress=progress, text="trajectories",
    )  # fmt: skip
    return Tracked(**blocks, end_time=float(steps[-1]))


class _Last:
    """The present nearest point and class of each trajectory, and when they last changed."""

    def __init__(
        self, count: int, training: EmpiricalScore, classify: Classify, start: float
    ) -> None:
        self.training, self.classify = training, classify
        self.point = torch.full((count,), -1)
        self.classes = torch.full((count,), -1)
        self.point_time = torch.full((count,), start, dtype=torch.float64)
        self.class_time = self.point_time.clone()
        self.square = torch.empty(count, 2)

    def look(self, x: Tensor, t: float) -> None:
        at = max(t, _EARLIEST)
        index, self.square = self.training.nearest_points(x, at, 2)
        point, classes = index[:, 0].cpu(), torch.as_tensor(self.classify(x, t)).cpu()
        self.point_time[point != self.point] = t
        self.class_time[classes != self.classes] = t
        self.point, self.classes = point, classes


def _mean(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
