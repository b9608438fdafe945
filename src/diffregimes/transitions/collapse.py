"""Collapse time t_C: when a sample falls onto one training point.

`free-energy` F = 0, where all other points weigh as much as the true one (Z_{2..n} = Z_1). One
point far out has an F of minus thousands and moves the mean at will; so the headline is
`bounded-free-energy`, E log[(Z_{2..n} + Z_1/n)/(Z_1 + Z_{2..n}/n)] = 0, the same within +-log n
and at most that: of 1 % of the points it feels 1 % of log n.
`clone`, phi_C = 1/2; `entropy`, the zero of the excess entropy, which it never reaches,
extrapolated from the side that has not collapsed; `gaussian-bound`,
(1/2) sum log(1 + gamma lambda) = log n, an upper bound on where I(a; x_t) of the population is
log n, as `entropy` has it: no data of a spectrum tell more than Gaussian ones. F of n points is
zero above that, on Gaussian data therefore above the bound (docs/theory.md 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ..common import numerics
from ..data.cloud import Cloud
from ..data.spectrum import gaussian_information, sample_snr
from ..process import Schedule
from ..results import Spectrum, TransitionTime
from .crossing import Resampled, clocked, curve_time, from_log_gamma

HEADLINE = "bounded-free-energy"
FREE, BOUNDED = "loo_free_energy_over_log_n", "bounded_free_energy_over_log_n"
EXCESS = "excess_entropy_over_alpha"
CALM = 0.003, 0.03  # phi_C - 1/n, where the entropy line is fitted
FEWEST = 3  # times of the curves before the collapse, for a line
_PLACES = 9  # between which the curve is nearly straight


def gaussian_bound_time(
    spectrum: Spectrum,
    matrix: np.ndarray,
    cloud: Cloud,
    schedule: Schedule,
    rng: np.random.Generator,
    n: int | None = None,
) -> TransitionTime:
    """Collapse of `n` points, all of the cloud without, by `gaussian-bound`, from the information
    of the population.

    That is stationary in delta of `data.spectrum`: a point moves it as it moves that of the sample
    at s. Resamples add up what each point alone does.
    """
    values = spectrum.eigenvalues
    log_n = math.log(n or cloud.n)

    def excess(log_gamma: float) -> float:
        return float(gaussian_information(spectrum, math.exp(log_gamma))[0]) - log_n

    top = math.log(spectrum.largest)
    # one eigenvalue alone reaches log n at gamma = n^2 / Lambda
    root = float(brentq(excess, -top - 60, 2 * log_n - top + 1, xtol=1e-10))
    s = float(sample_snr(spectrum, math.exp(root))[0])
    # without a point the determinant is 1 - u times what it was, u = s a.(1 + s C)^-1 a/(n - 1)
    rows = cloud.coordinates.cpu().numpy()
    inverse = np.linalg.inv(np.eye(len(values)) + s * matrix).astype(np.float32)
    form = np.einsum("ij,ij->i", rows @ inverse, rows, dtype=np.float64)
    share = -0.5 * cloud.n * np.log1p(-s * cloud.scale**2 / (cloud.n - 1) * form)
    change = numerics.resampled_sums(share - share.mean(), rng) / cloud.n
    slope = 0.5 * float((s * values / (1 + s * values)).sum())
    t, bounds = from_log_gamma(np.concatenate([[root], root - change / slope]))
    return clocked(schedule, "collapse", "gaussian-bound", t, bounds)


@dataclass(frozen=True)
class EntropyLine:
    """f^e/alpha = intercept + slope G/log n on the side that has not collapsed.

    G(gamma) is the Gaussian information of the spectrum, in which the excess entropy of Gaussian
    data is a straight line: intercept 1, slope -1. Both (1 + B,): the value and its resamples.
    """

    intercept: np.ndarray
    slope: np.ndarray

    def information(self, bound: float, log_n: float) -> np.ndarray:
        """I(a; x_t) of the population, in nats, where the Gaussian information is `bound`."""
        return np.asarray(log_n * (1 - self.intercept) - self.slope * bound)


def entropy_line(curves: Resampled, spectrum: Spectrum, n: int) -> EntropyLine | None:
    """Fit the line where 0.003 <= phi_C <= 0.03 (at least the three times next to it).

    Nearer to the collapse the finite number of points bends the curve upwards.
    """
    places = _line_places(curves, n)
    if places is None:
        return None
    known = gaussian_information(spectrum, np.exp(curves.log_gamma)) / math.log(n)
    # both between the same times of the grid: a straight line stays one
    x, *y = (np.interp(places, curves.log_gamma, row) for row in (known, *curves.both(EXCESS)))
    slope, intercept = np.polyfit(x, np.transpose(y), 1)
    return EntropyLine(intercept, slope)


def _line_places(curves: Resampled, n: int) -> np.ndarray | None:
    """log gamma that the line is fitted at, between two values of phi_C whatever the grid."""
    x = curves.log_gamma
    phi = curves.mean["same_point_probability"] - 1 / n  # phi_C never falls below 1/n
    calm = np.flatnonzero(phi <= CALM[1])
    if len(calm) < FEWEST:
        return None
    ends = [x[0], x[-1]]
    for k, level in enumerate(CALM):
        before = np.flatnonzero(phi <= level)[-1:]
        if len(before) and before[0] + 1 < len(x):
            step = slice(before[0], before[0] + 2)
            ends[k] = np.interp(level, phi[step], x[step])
    return np.linspace(min(ends[0], x[calm[-FEWEST]]), ends[1], _PLACES)


def line_ends(curves: Resampled, n: int) -> tuple[float, ...]:
    """log gamma at both ends of what the line is fitted to, none without one."""
    places = _line_places(curves, n)
    return () if places is None else (float(places[0]), float(places[-1]))


def bounded_free_energy_time(curves: Resampled, schedule: Schedule) -> TransitionTime:
    """Collapse by `bounded-free-energy`."""
    return curve_time(curves, schedule, "collapse", HEADLINE, BOUNDED, 0.0)


def free_energy_time(curves: Resampled, schedule: Schedule) -> TransitionTime:
    """Collapse by `free-energy`."""
    return curve_time(curves, schedule, "collapse", "free-energy", FREE, 0.0)


def clone_time(curves: Resampled, schedule: Schedule) -> TransitionTime:
    """Collapse by `clone`."""
    return curve_time(curves, schedule, "collapse", "clone", "same_point_probability", 0.5)


def entropy_time(
    curves: Resampled, line: EntropyLine | None, spectrum: Spectrum, schedule: Schedule, n: int
) -> TransitionTime:
    """Collapse by `entropy`: f^e = 0 where the Gaussian information is -intercept/slope."""
    if line is None:
        why = "every time studied is below the collapse: nothing to extrapolate from"
        return clocked(schedule, "collapse", "entropy", None, warnings=(why,))
    wanted = -line.intercept / line.slope
    axis = np.linspace(curves.log_gamma[0] - 2, curves.log_gamma[-1] + 5, 401)
    bound = gaussian_information(spectrum, np.exp(axis)) / math.log(n)
    places = np.interp(wanted, bound, axis, left=np.nan, right=np.nan)
    t, bounds = from_log_gamma(places)
    notes = () if t is not None else ("the line through f^e does not reach zero",)
    return clocked(schedule, "collapse", "entropy", t, bounds, notes)
