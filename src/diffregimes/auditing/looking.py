"""One look at a network in training: its losses on both sets, and copies among a few samples.

The same noised points and the same noise serve every look, so that rows differ by what the network
has learned. What the exact score of the training points loses on them is taken once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..backward.descent import NUMBERS, Birth, Run
from ..backward.samplers import log_snr_times
from ..backward.tracking import is_copy
from ..process import snr
from ..scores import AbstractScore
from .known import Known
from .levels import Level
from .losses import BLOCK, Losses, mean_over_points, noised_losses
from .stopping import copies_probability, gap_probability, smaller

EARLIEST = 1e-3  # t of the last step but one of a sample, if points are far enough apart


@dataclass(frozen=True)
class Plan:
    """How a look is taken: noised points of each set, samples and their steps, seed, states that
    the network is given at a time."""

    draws: int
    samples: int
    steps: int
    seed: int
    batch: int | None
    memory_mib: int


@dataclass(frozen=True)
class Look:
    """What was seen: the losses at the levels, copies among the samples, and the probabilities of a
    gap and of copies so large by chance. That of the gap is NaN where the held-out points are of
    another law."""

    losses: Losses
    copies: int
    samples: int
    by_chance: tuple[float, float]

    def columns(self, levels: tuple[Level, ...]) -> dict[str, float]:
        """Numbers by name, level by level."""
        half_gamma = 0.5 * np.asarray(snr(self.losses.t))
        gap = self.losses.held_out - self.losses.train
        share, share_se = self.losses.copied()
        known = {
            "train": self.losses.train, "held_out": self.losses.held_out,
            "nats": half_gamma * gap,
            "nats_se": half_gamma * np.hypot(self.losses.train_se, self.losses.held_out_se),
            "share": share, "share_se": share_se,
        }  # fmt: skip
        out = {f"{k}_{x.name}": float(v[i]) for i, x in enumerate(levels) for k, v in known.items()}
        chance = dict(zip(("p_gap", "p_copies"), self.by_chance, strict=True))
        return {**out, "copies": self.copies, "samples": self.samples, **chance}


class Eye:
    """Looks at scores by one plan, against known points and what the exact score of the training
    points loses."""

    def __init__(
        self, known: Known, training: np.ndarray, levels: tuple[Level, ...], plan: Plan
    ) -> None:
        assert known.held_out is not None
        self.known, self.levels, self.plan = known, levels, plan
        self.sets = training, known.held_out.points
        self.t = np.array([x.t for x in levels])
        self.exact = self._means(known.training.search)
        self.trusted = known.law is None or known.law.ok
        self.power = float(training.var(axis=0, dtype=np.float64).sum())

    def look(self, score: AbstractScore) -> Look:
        losses = Losses(self.t, *self._means(score), *self.exact)
        x = self.states(score)
        copies = int(is_copy(self.known.training.near(x).ratio).sum())
        points = smaller(*self.sets, self.plan.draws)
        gap = gap_probability(losses, points) if self.trusted else math.nan
        chance = copies_probability(copies, len(x), self.known.baseline.share)
        return Look(losses, copies, len(x), (gap, chance))

    def states(self, score: AbstractScore) -> np.ndarray:
        """The samples (m, d), by the probability flow from the same noise each time."""
        plan = self.plan
        # from where the data are a thousandth of the noise, to where the noise is a hundredth of a
        # usual nearest distance
        latest = float(getattr(score, "latest", math.inf))
        start = min(latest, 0.5 * math.log(1e3 * max(1.0, self.power)))
        apart = 10 * self.known.training.clusters.radius
        end = min(EARLIEST, max(0.5e-4 * apart**2, 1e-9))
        grid = np.append(log_snr_times(start, end, plan.steps - 1), 0.0)
        run = Run(grid, sampler="ddim", seed=plan.seed, batch=plan.batch)
        d = self.sets[0].shape[1]
        out = []
        for first in range(0, plan.samples, BLOCK):
            block = run.block("monitor", first // BLOCK, min(BLOCK, plan.samples - first))
            noise = run.normal(block.trunk, block.size, d)
            out.append(block.descend(score, {0: (_born(noise),)}).numpy())
        return np.concatenate(out)

    def _means(self, score: AbstractScore) -> tuple[np.ndarray, ...]:
        """Mean losses with their errors, on training and on held-out points."""
        plan, out = self.plan, list[np.ndarray]()
        rows = plan.batch or max(1, NUMBERS // self.sets[0].shape[1])
        for points in self.sets:
            parts = [
                noised_losses(
                    (score,), points, self.t,
                    range(start, min(start + BLOCK, plan.draws)), rows, plan.seed,
                )[0]
                for start in range(0, plan.draws, BLOCK)
            ]  # fmt: skip
            out += mean_over_points(np.concatenate(parts), len(points), plan.seed)
        return tuple(out)


def _born(noise: Tensor) -> Birth:
    return lambda _: noise
