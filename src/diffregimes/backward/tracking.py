"""What a trajectory nears on its way: the nearest training point and the class, step by step.

The nearest of e^{-t} a_nu to x_t changes often in the noise and for the last time at the collapse
of this trajectory; the mean of these last changes is the paper's estimate of t_C. In the same way
the last change of class is its speciation. At the end the ratio of the distances to the nearest and
the second nearest point tells a copy (below 1/3) from a new sample. Nothing but the present
state is kept, and of the score, where it is asked for, two numbers a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError, in_range
from ..process import signal, variance
from ..results import Share
from ..scores import AbstractScore, ConditionalScore, EmpiricalScore
from .clones import EARLIEST, Classify, searched
from .conditioned import PointsWithin, Within
from .descent import Arrays, Block, Run, run_blocks
from .samplers import sampler

_Kept = dict[float, list[Tensor]]
COPY = 1 / 3  # nearest over second nearest distance, below which a sample is a copy


def copy_ratio(distance: np.ndarray, second_distance: np.ndarray) -> np.ndarray:
    """Distance to the nearest over that to the second nearest training point; 0 on a point."""
    return np.asarray(distance / np.maximum(second_distance, 1e-300))


def is_copy(ratio: np.ndarray) -> np.ndarray:
    """Which samples are copies, by their `copy_ratio`."""
    return np.asarray(ratio < COPY)


def copy_share(ratio: np.ndarray) -> Share:
    """Copies among samples."""
    return Share.counted(int(is_copy(ratio).sum()), len(ratio))


@dataclass(frozen=True)
class Tracked:
    """One entry for each trajectory (m,), from noise to `end_time`.

    point               row of the nearest training point at the end
    distance, ratio     |x - e^{-t} a| at the end, and over that of the second nearest point
    point_time          last t at which the nearest training point changed (collapse): that of the
                        first step with the last point, the start of the grid if there is one alone
    class_time          the same for the class (speciation), and `classes` the last ones; None where
                        there is one class alone
    states              the end points (m, d)
    noise_norm          |e|^2 (m, T) of the predicted noise e at all but the last time of the grid
    noise_state         e.(x - e^{-t} c)/sqrt(Delta_t) (m, T), c the mean of the training points;
                        both None unless asked for
    """

    point: np.ndarray
    ratio: np.ndarray
    distance: np.ndarray
    point_time: np.ndarray
    class_time: np.ndarray | None
    classes: np.ndarray
    states: np.ndarray
    end_time: float
    noise_norm: np.ndarray | None = None
    noise_state: np.ndarray | None = None

    def mean_collapse(self) -> tuple[float, float]:
        """Mean of the last changes of the nearest point, and its standard error."""
        return _mean(self.point_time)

    def mean_speciation(self) -> tuple[float, float] | None:
        """Mean of the last changes of class, and its standard error."""
        return None if self.class_time is None else _mean(self.class_time)

    def memorised(self) -> Share:
        """Copies (ratio below 1/3) among the samples."""
        return copy_share(self.ratio)


def track(
    score: AbstractScore,
    training: EmpiricalScore | PointsWithin,
    draws: int,
    *,
    run: Run,
    classify: Classify,
    norms: bool = False,
) -> Tracked:
    """`draws` trajectories from noise at the first time of the grid, followed step by step.

    norms : keep `noise_norm` and `noise_state` of the score, which a step must ask once (`scores`
        of its sampler)
    """
    in_range("draws", draws, 2, 10**9)
    asks = sampler(run.sampler).scores
    if norms and asks != 1:
        raise InputError(
            f"sampler is {run.sampler!r}, which asks the score {asks} times a step; expected one "
            "that asks once, to keep the norms of its answers."
        )
    if training.n < 2:
        raise InputError("one training point came; expected two or more to be nearest.")

    def task(block: Block) -> Arrays:
        seen = _Last(searched(training, block, block.size), classify, block.size)

        def start(x: Tensor | None) -> Tensor:
            noise = run.normal(block.trunk, block.size, training.d)
            seen.look(noise, float(run.grid[0]))
            return noise

        kept: _Kept = {}
        heard = _heard(score, training.mean, kept) if norms else score
        x = block.descend(heard, {0: (start,)}, seen.look)
        distance = seen.square.sqrt().cpu().numpy()
        return {
            "point": seen.point.numpy(),
            "ratio": copy_ratio(distance[:, 0], distance[:, 1]),
            "distance": distance[:, 0],
            "point_time": seen.point_time.numpy(),
            "class_time": seen.class_time.numpy(),
            "classes": seen.classes.numpy(),
            "states": x.cpu().numpy(),
            **(_norms(kept, run.grid[:-1]) if norms else {}),
        }

    blocks = run_blocks(
        run, "track", draws, task, rows=1, dimension=training.d, text="trajectories", norms=norms
    )
    return Tracked(**blocks, end_time=run.end)


class _Last:
    """The present nearest point and class of each trajectory, and when they last changed."""

    def __init__(self, training: EmpiricalScore | Within, classify: Classify, size: int) -> None:
        self.training, self.classify = training, classify
        self.point = torch.full((size,), -1)
        self.classes = torch.full((size,), -1)
        self.point_time = torch.empty(size, dtype=torch.float64)
        self.class_time = torch.empty(size, dtype=torch.float64)
        self.square = torch.empty(size, 2)

    def look(self, x: Tensor, t: float) -> None:
        index, self.square = self.training.nearest_points(x, max(t, EARLIEST), 2)
        point, classes = index[:, 0].cpu(), torch.as_tensor(self.classify(x, t)).cpu()
        self.point_time[point != self.point] = t
        self.class_time[classes != self.classes] = t
        self.point, self.classes = point, classes


class _Heard(AbstractScore):
    """A score of whose answers two numbers are kept for every state, time by time."""

    def __init__(self, score: AbstractScore, centre: Tensor, kept: _Kept) -> None:
        self.inner, self.centre, self.kept = score, centre, kept
        self.dimension = score.dimension

    def denoise(self, x: Tensor, t: float) -> Tensor:
        a = self.inner.denoise(x, t)
        shrink, level = float(signal(t)), math.sqrt(float(variance(t)))
        noise = (x.double() - shrink * a.double()) / level
        beside = (noise * (x.double() - shrink * self.centre.to(x.device))).sum(1) / level
        self.kept.setdefault(t, []).append(torch.stack([noise.square().sum(1), beside]).cpu())
        return a


class _Ear(ConditionalScore):
    """The same of a score that is asked under conditions."""

    def __init__(self, score: ConditionalScore, centre: Tensor, kept: _Kept) -> None:
        self.inner, self.centre, self.kept = score, centre, kept
        self.dimension = score.dimension

    def given(self, conditions: Tensor) -> AbstractScore:
        return _Heard(self.inner.given(conditions), self.centre, self.kept)


def _heard(score: AbstractScore, centre: Tensor, kept: _Kept) -> AbstractScore:
    if isinstance(score, ConditionalScore):
        return _Ear(score, centre, kept)
    return _Heard(score, centre, kept)


def _norms(kept: _Kept, times: np.ndarray) -> Arrays:
    stacked = torch.stack([torch.cat(kept[float(t)], dim=1) for t in times], dim=2).numpy()
    return {"noise_norm": stacked[0], "noise_state": stacked[1]}


def _mean(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
