"""What is kept of the draws: a row of observables for each, or, of very many, for several.

The first draws are kept one by one. Once these are whole rounds over the n training points, and
more than `ROWS` or n, every further draw is added to that of an earlier round which started from
the same point, so that a row is the mean over several draws of one point, and memory does not grow
any more. The standard errors of the curves stay those of single draws, whose squares are summed
beside (Chan, Golub and LeVeque 1983).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..results import Curves

ROWS = 2**15  # of 5 kB at 40 times

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Observables of every unit: `values[name]` (units, T) at `times` (T,), and `points` (units,),
    the training point (dataset index) each unit started from.

    Where units were `merged`, a row of `values` is the mean over several of one point; it holds
    their number and the standard deviations (T,) of single ones.
    """

    times: np.ndarray
    points: np.ndarray
    values: Values
    merged: tuple[int, Values] | None = None

    @property
    def units(self) -> int:
        return self.merged[0] if self.merged else len(self.points)

    def curves(self) -> Curves:
        """Mean and standard error of every observable."""
        root = math.sqrt(self.units)
        spread = self.merged[1] if self.merged else _deviations(self.values)
        return Curves(
            self.times,
            {k: v.mean(axis=0) for k, v in self.values.items()},
            {k: v / root for k, v in spread.items()},
            2 * self.units,
        )


def _deviations(values: Values) -> Values:
    return {k: v.std(axis=0, ddof=1) for k, v in values.items()}


class Gathered:
    """The units that a sweep over `n` points brings, block by block, in their order."""

    def __init__(self, n: int):
        self._n = n
        self._rows = n * max(1, ROWS // n)
        self._first: list[tuple[np.ndarray, Values]] = []
        self._whole: Sample | None = None  # of the first rows: mean values, to be added to
        self._counts = np.ones(self._rows)
        self._row_of = np.empty((0, n), dtype=np.int64)  # in each round
        self._moments: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # sums of squares about means
        self.units = 0

    def add(self, points: np.ndarray, values: Values) -> None:
        """Of the next units: their points (p,) and their observables (p, T)."""
        before, self.units = self.units, self.units + len(points)
        self._count(before, values)
        alone = min(max(self._rows - before, 0), len(points))
        if alone:
            self._first.append((points[:alone], {k: v[:alone] for k, v in values.items()}))
        if alone < len(points):
            rest = {k: v[alone:] for k, v in values.items()}
            self._merge(np.arange(before + alone, self.units), points[alone:], rest)

    def _count(self, before: int, values: Values) -> None:
        for name, value in values.items():
            mean = value.mean(axis=0)
            square = ((value - mean) ** 2).sum(axis=0)
            if before:
                mean_before, square_before = self._moments[name]
                gap, share = mean - mean_before, len(value) / self.units
                mean = mean_before + share * gap
                square += square_before + before * share * gap**2
            self._moments[name] = mean, square

    def _merge(self, numbers: np.ndarray, points: np.ndarray, values: Values) -> None:
        if self._whole is None:
            self._whole = self._joined(np.empty(0))
            rounds = self._whole.points.reshape(-1, self._n)
            self._row_of = np.argsort(rounds, axis=1)
        place = numbers // self._n % len(self._row_of)
        rows = place * self._n + self._row_of[place, points]
        np.add.at(self._counts, rows, 1)
        for name, sums in self._whole.values.items():
            np.add.at(sums, rows, values[name])

    def deviations(self) -> Values:
        """Standard deviations (T,) of single units."""
        return {k: np.sqrt(square / (self.units - 1)) for k, (_, square) in self._moments.items()}

    def _joined(self, times: np.ndarray) -> Sample:
        values = {k: np.concatenate([x[1][k] for x in self._first]) for k in self._first[0][1]}
        points = np.concatenate([x[0] for x in self._first])
        self._first.clear()
        return Sample(times, points, values)

    def sample(self, times: np.ndarray) -> Sample:
        """All of them, at `times` (T,); to be asked once."""
        if self._whole is None:
            return self._joined(times)
        for sums in self._whole.values.values():
            sums /= self._counts[:, None]
        return Sample(
            times, self._whole.points, self._whole.values, (self.units, self.deviations())
        )
