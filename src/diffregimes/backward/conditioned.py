"""The exact law beside a conditional network: the training points of each condition alone.

A network that is told c learns p(x|c). Its exact score is that of the n_c points which have c, with
posterior weights among these; the losses of a point, its collapse and the entropy are those under
its own condition. Over all points the curves are means with the shares n_c/n:

    phi_C = sum_c (n_c/n) phi_C(c),    d f = sum_c (n_c/n) d f_c,  of log n_c at t = infinity.

A condition that one point alone has decides for this point at every t: phi_C = 1 and f = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.parallel import Progress
from ..common.rng import numpy_generator
from ..data.cloud import prepare
from ..posterior.moments import PAIRS_PER_BLOCK
from ..posterior.sweep import sweep
from ..results import Curves
from ..scores import AbstractScore, ConditionalScore, EmpiricalScore

_FEWEST = 2 * PAIRS_PER_BLOCK  # draws of the forward pass of a condition
_NAMES = ("same_point_probability", "excess_entropy_over_alpha")
_OF_CLASSES = "same_class_probability"


class PointsWithin(ConditionalScore):
    """The exact scores of points (n, d) with the conditions `codes` (n,), each of its own points.

    Of a condition that no point has nothing is known: NaN.
    """

    def __init__(
        self, points: np.ndarray, codes: np.ndarray, *, memory_mib: int = 1024, device: str = "cpu"
    ) -> None:
        self.points, self.codes = points, np.asarray(codes)
        self.n, self.d = points.shape
        self.dimension = self.d
        self.mean = torch.from_numpy(points.mean(axis=0, dtype=np.float64))
        self.rows = _places(self.codes)
        self._options: dict[str, Any] = {"memory_mib": memory_mib, "device": device}
        self._built: dict[int, EmpiricalScore] = {}

    def given(self, conditions: Tensor) -> Within:
        return Within(self, conditions)

    def of(self, code: int) -> EmpiricalScore:
        """That of one condition."""
        if code not in self._built:
            self._built[code] = EmpiricalScore(self.points[self.rows[code]], **self._options)
        return self._built[code]


class Within(AbstractScore):
    """The exact score for states of which each has the condition in `conditions` (m,)."""

    def __init__(self, points: PointsWithin, conditions: Tensor) -> None:
        self.points = points
        self.states = {k: torch.from_numpy(v) for k, v in _places(conditions.numpy()).items()}
        self.dimension = points.d

    def denoise(self, x: Tensor, t: float) -> Tensor:
        out = torch.full_like(x, math.nan)
        for code, states in self.states.items():
            if code in self.points.rows:
                mine = states.to(x.device)
                out[mine] = self.points.of(code).denoise(x[mine], t)
        return out

    def nearest_points(self, x: Tensor, t: float, count: int = 2) -> tuple[Tensor, Tensor]:
        """As `EmpiricalScore.nearest_points`, among those of the own condition; where these are
        fewer the last one again, at an infinite distance."""
        index = torch.empty(len(x), count, dtype=torch.int64, device=x.device)
        square = torch.full(index.shape, math.inf, dtype=torch.float64, device=x.device)
        for code, states in self.states.items():
            mine, rows = states.to(x.device), self.points.rows[code]
            few = min(count, len(rows))
            found, gap = self.points.of(code).nearest_points(x[mine], t, few)
            known = torch.from_numpy(rows).to(x.device)[found]
            index[mine] = torch.cat([known, known[:, -1:].expand(-1, count - few)], dim=1)
            square[mine] = torch.cat(
                [gap, torch.full_like(gap[:, :1], math.inf).expand(-1, count - few)], dim=1
            )
        return index, square


def _places(codes: np.ndarray) -> dict[int, np.ndarray]:
    """Where each of the codes is."""
    order = np.argsort(codes, kind="stable")
    found, first = np.unique(codes[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, first[1:]), strict=True))


def curves_within(
    points: PointsWithin,
    times: np.ndarray,
    draws: int,
    *,
    one: np.ndarray | None = None,
    seed: int = 0,
    device: str = "cpu",
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> Curves:
    """phi_C and the excess entropy over log n, by the forward pass of every condition; with classes
    `one` (n,) phi, too."""
    names = _NAMES if one is None else (*_NAMES, _OF_CLASSES)
    mean = {k: np.zeros(len(times)) for k in names}
    square = {k: np.zeros(len(times)) for k in names}
    classes = np.zeros(points.n, dtype=np.int64) if one is None else one
    # with noise in common the errors of the conditions would add up
    seeds = numpy_generator(seed, "conditions").integers(2**62, size=len(points.rows)).tolist()
    for done, rows in enumerate(points.rows.values()):
        share = len(rows) / points.n
        mine, entropy = points.points[rows], math.log(len(rows)) / math.log(points.n)
        of, counts = np.unique(classes[rows], return_inverse=True, return_counts=True)[1:]
        if len(rows) == 1 or (mine == mine[0]).all():
            # one point: decided; equal ones share their weights, and no entropy falls
            shares = (1 / len(rows), entropy, float(((counts / len(rows)) ** 2).sum()))
            for name, value in zip(names, shares, strict=False):
                mean[name] += share * value
            continue
        own = max(_FEWEST, math.ceil(draws * share))
        found = sweep(prepare(mine, of).to(device), times, draws=own, seed=seeds[done],
                      memory_mib=memory_mib).curves()  # fmt: skip
        for name, scale in zip(names, (1.0, entropy, 1.0), strict=False):
            mean[name] += share * scale * found[name]
            square[name] += (share * scale * found.se[name]) ** 2
        if progress:
            progress(done + 1, len(points.rows), "forward pass")
    return Curves(np.asarray(times), mean, {k: np.sqrt(v) for k, v in square.items()}, draws)
