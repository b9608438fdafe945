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
from ..data.spectrum import information_bound
from ..process import Schedule
from ..results import Spectrum, TransitionTime
from .crossing import Resampled, clocked, curve_time, from_log_gamma

HEADLINE = "bounded-free-energy"
FREE, BOUNDED = "loo_free_energy_over_log_n", "bounded_free_energy_over_log_n"


def gaussian_bound_time(
    spectrum: Spectrum,
    matrix: np.ndarray,
    cloud: Cloud,
    schedule: Schedule,
    rng: np.random.Generator,
) -> TransitionTime:
    """Collapse by `gaussian-bound`; the resampling is to first order in the covariance."""
    values = spectrum.eigenvalues
    log_n = math.log(cloud.n)

    def excess(log_gamma: float) -> float:
        return float(information_bound(values, math.exp(log_gamma))[0]) - log_n

    top = math.log(spectrum.largest)
    # one eigenvalue alone reaches log n at gamma = n^2 / Lambda
    root = float(brentq(excess, -top - 60, 2 * log_n - top + 1, xtol=1e-10))
    gamma = math.exp(root)
    # dG = (gamma/2) tr[(1 + gamma C)^-1 dC]: each point's share of it is a quadratic form
    rows = cloud.coordinates.cpu().numpy()
    inverse = np.linalg.inv(np.eye(len(values)) + gamma * matrix).astype(np.float32)
    share = 0.5 * gamma * cloud.scale**2 * np.einsum("ij,ij->i", rows @ inverse, rows)
    counts = numerics.resample_counts(cloud.n, rng)
    change = (counts @ (share - share.mean())) / cloud.n
    slope = 0.5 * float((gamma * values / (1 + gamma * values)).sum())
    t, bounds = from_log_gamma(np.concatenate([[root], root - change / slope]))
    warnings: tuple[str, ...] = ()
    if cloud.n <= len(values) + 1:
        why = (
            f"{cloud.n} points span fewer dimensions than the data have: the sample spectrum "
            "understates the information, and the bound may lie too low"
        )
        warnings = (why,)
    return clocked(schedule, "collapse", "gaussian-bound", t, bounds, warnings)


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
    """Fit the line where 0.003 <= phi_C <= 0.03 (at least the three points next to it).

    Nearer to the collapse the finite number of points bends the curve upwards.
    """
    chosen = _line_region(curves, n)
    if chosen is None:
        return None
    x = information_bound(spectrum.eigenvalues, np.exp(curves.log_gamma[chosen])) / math.log(n)
    y = curves.both("excess_entropy_over_alpha")[:, chosen]
    slope, intercept = np.polyfit(x, y.T, 1)
    return EntropyLine(intercept, slope)


def _line_region(curves: Resampled, n: int) -> np.ndarray | None:
    """The places of the grid that the line is fitted to."""
    phi = curves.mean["same_point_probability"]
    calm = np.flatnonzero(phi <= 0.03 + 1 / n)  # phi_C never falls below 1/n
    if len(calm) < 3:
        return None
    chosen = calm[(phi[calm] >= 0.003 + 1 / n)]
    return chosen if len(chosen) >= 3 else calm[-3:]


def line_place(curves: Resampled, n: int) -> float:
    """log gamma in the middle of what the line is fitted to, NaN without one."""
    chosen = _line_region(curves, n)
    return math.nan if chosen is None else float(curves.log_gamma[chosen[len(chosen) // 2]])


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
    bound = information_bound(spectrum.eigenvalues, np.exp(axis)) / math.log(n)
    places = np.interp(wanted, bound, axis, left=np.nan, right=np.nan)
    t, bounds = from_log_gamma(places)
    notes = () if t is not None else ("the line through f^e does not reach zero",)
    return clocked(schedule, "collapse", "entropy", t, bounds, notes)
