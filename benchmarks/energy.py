"""Means over samples that can be compared: the energy distance to held-out points, and others.

    E = 2 E|X - Y| - E|X - X'| - E|Y - Y'|

of samples X and points Y, by pairs of different ones: 0 for one law, more for two. A mean over
pairs moves with each sample and with each point by its influence (Hájek), so that

    se^2 = sum over lists of influences of their variance/length,

and the difference of two kinds of samples that share starting noise and points has the error of the
differences of influences. That is the first order in the influences: of two equal laws they vanish,
and the error is then too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist


@dataclass(frozen=True)
class Measured:
    """A value with the influences on it, one list for each set of independent draws."""

    value: float
    parts: tuple[np.ndarray, ...]

    @property
    def se(self) -> float:
        return float(np.sqrt(sum(x.var(ddof=1) / len(x) for x in self.parts)))

    def __sub__(self, other: Measured) -> Measured:
        """Of measurements on the same draws, in the same order."""
        parts = zip(self.parts, other.parts, strict=True)
        return Measured(self.value - other.value, tuple(x - y for x, y in parts))

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.se:.3f}"


def mean(values: np.ndarray) -> Measured:
    """Of values (m,)."""
    return Measured(float(values.mean()), (np.asarray(values, dtype=np.float64),))


def average(each: list[Measured]) -> Measured:
    """Of independent measurements, of classes for one."""
    n = len(each)
    parts = tuple(x / n for one in each for x in one.parts)
    return Measured(float(np.mean([x.value for x in each])), parts)


def common(each: list[Measured]) -> Measured:
    """Average of measurements on the same draws, of networks that were given the same noise."""
    parts = tuple(np.mean(x, axis=0) for x in zip(*(one.parts for one in each), strict=True))
    return Measured(float(np.mean([x.value for x in each])), parts)


def apart(x: np.ndarray) -> Measured:
    """E|X - X'| of samples (m, d)."""
    rows = cdist(x, x).sum(axis=1) / (len(x) - 1)
    return Measured(float(rows.mean()), (2 * rows,))


def energy(x: np.ndarray, y: np.ndarray) -> Measured:
    """E of samples x (m, d) and points y (n, d)."""
    across = cdist(x, y)
    one, two = apart(x), apart(y)
    parts = (2 * across.mean(axis=1) - one.parts[0], 2 * across.mean(axis=0) - two.parts[0])
    return Measured(2 * float(across.mean()) - one.value - two.value, parts)
