"""Finite-size scaling of phi: speciation as a critical phenomenon.

phi depends on d and t through u = |m| e^{-t}/sqrt(Gamma) alone, so that the curves of all d fall on
one when drawn against t - (1/2) log(d mu^2) (Gamma -> 1). Against t/t_S, t_S = (1/2) log(d mu^2),
they steepen with d instead and cross where u = 1, at phi = 0.7752: below t_S the class is decided,
above it is open, the more sharply the larger d. `crossing` locates that point from measured
curves, without the theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline, PPoly

from ..common.checks import InputError
from ..common.numerics import LEVEL, RESAMPLES


@dataclass(frozen=True)
class ScaledCurve:
    """phi with its standard errors over x = t/t_S (increasing), for one dimension d."""

    d: float
    x: np.ndarray
    phi: np.ndarray
    se: np.ndarray


@dataclass(frozen=True)
class Crossing:
    """Where curves cross: x = t/t_S and phi, each with a 95 % interval."""

    x: float
    x_low: float
    x_high: float
    phi: float
    phi_low: float
    phi_high: float


def crossing(curves: Sequence[ScaledCurve], rng: np.random.Generator) -> Crossing:
    """The point x at which the curves differ least, and their mean there.

    Curves are interpolated by cubic splines; the intervals are percentiles of RESAMPLES curves
    with normal errors of the given standard errors, taken as independent between times.
    """
    if len(curves) < 2:
        raise InputError(f"{len(curves)} curve(s) came; expected two or more to cross.")
    low, high = max(c.x[0] for c in curves), min(c.x[-1] for c in curves)
    if not low < high:
        raise InputError("the curves share no range of t/t_S; choose times around t_S for each d.")
    lengths = [len(c.phi) for c in curves]
    noise = rng.standard_normal((RESAMPLES, sum(lengths)))
    noise = np.vstack([np.zeros(sum(lengths)), noise])  # the first are the curves as they are
    parts = np.split(noise, np.cumsum(lengths)[:-1], axis=1)
    drawn = [c.phi + c.se * z for c, z in zip(curves, parts, strict=True)]
    splines = [CubicSpline(c.x, v, axis=1) for c, v in zip(curves, drawn, strict=True)]
    crossings = [
        _least_spread([PPoly.construct_fast(s.c[..., k], s.x) for s in splines], low, high)
        for k in range(1 + RESAMPLES)
    ]
    (x_low, phi_low), (x_high, phi_high) = np.percentile(crossings[1:], LEVEL, axis=0).tolist()
    return Crossing(crossings[0][0], x_low, x_high, crossings[0][1], phi_low, phi_high)


def _least_spread(splines: list[PPoly], low: float, high: float) -> tuple[float, float]:
    for zoom in range(4):
        x = np.linspace(low, high, 65)
        heights = np.array([s(x) for s in splines])
        mean, spread = heights.mean(axis=0), heights.var(axis=0)
        if zoom == 0:  # the curves also agree where all are 0.5 or 1: look between
            spread = np.where((mean > 0.6) & (mean < 0.95), spread, np.inf)
            if np.isinf(spread).all():
                raise InputError("no time has phi between 0.6 and 0.95; choose times around t_S.")
        k = int(spread.argmin())
        low, high = x[max(k - 1, 0)], x[min(k + 1, 64)]
    return float(x[k]), float(mean[k])
