"""What the exact theory of a mixture says of each transition time, and the z-score of the estimate.

t_S is where phi of the law reaches its level, or follows from the largest eigenvalue; t_C where
the mean over sets of n points of the curve of a criterion has its level, if that is known, else
where I(a; x_t) of the law is log n.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from ..common.numerics import Z95
from ..populations.mixture import GaussianMixture
from ..process import snr, time_from_snr
from ..results import Curves, ExactTime, TransitionTime
from ..theory import gaussian_bound
from .collapse import BOUNDED, FREE

_EARLIER = 30  # how far before the first time of the curves an exact one is looked for
DRAWS = 20_000  # for the curves of laws that have no quadrature
_CLOSE = 2**27  # numbers drawn for a time of such a law, at most
# collapse times of n points: the curve that has a level there
OF_POINTS = {
    ("collapse", "bounded-free-energy"): (BOUNDED, 0.0),
    ("collapse", "free-energy"): (FREE, 0.0),
    ("collapse", "clone"): ("same_point_probability", 0.5),
}
By = dict[str, np.ndarray]  # (T,) by the name of a curve


def exact_time(
    law: GaussianMixture,
    known: Curves,
    shift: np.ndarray,
    time: TransitionTime,
    n: int,
    met: dict[str, tuple[float | None, float, float]],
) -> ExactTime | None:
    """What theory says for one method; z where the interval speaks of the population.

    `met`: where curves of the law have their levels (`crossing`).
    `shift` (T,) is by how much phi_loo may lie off for other reasons than the interval's.
    """
    key = time.transition, time.method
    off = math.inf  # how far such reasons move the time
    t: float | None
    se = 0.0
    if key[0] == "speciation" and time.method in ("clone", "clone-loo", "balance"):
        t, se, slope = met["same_class_probability"]
        if t is not None and time.method == "clone-loo":
            off = math.hypot(float(np.interp(t, known.t, shift)) / abs(slope), se)
        if time.method == "balance":
            off = se
    elif key[0] == "collapse" and time.method in ("bounded-free-energy", "free-energy", "entropy"):
        t, se, _ = met["information"]
    elif time.method in ("spectral", "spectral-exact"):
        top, *others = law.eigenvalues()
        extra = time.method == "spectral-exact"
        t = 0.5 * math.log(top + extra) if top + extra > 1 else None
        # the largest eigenvalue of n points lies higher, by this to first order in 1/n
        gaps = np.maximum(top - np.array(others), 1e-12 * top)
        off = 0.5 * top / (top + extra) * float(np.sum(others / gaps)) / n
    elif time.method == "gaussian-bound":
        t = gaussian_bound.time(law.eigenvalues(), math.log(n))
    else:
        return None
    error = _error(time)
    z = None
    if t is not None and time.t is not None and error is not None and off < error:
        z = (time.t - t) / math.hypot(error, off)
    return ExactTime(*key, t, z, se)


def _error(time: TransitionTime) -> float | None:
    if time.low is None or time.high is None:
        return None
    return (time.high - time.low) / (2 * Z95)


def crossing(
    law: GaussianMixture, known: Curves, name: str, level: float, seed: int
) -> tuple[float | None, float, float]:
    """(t, standard error, slope) where a curve of the law has a level.

    A curve that was sampled is sampled again about the crossing, with more draws.
    """
    if known[name][0] < level:  # both phi and the information rise towards the data
        earlier = np.geomspace(known.t[0] / _EARLIER, known.t[0], 24)
        known = law.population_curves(earlier, draws=DRAWS, seed=seed)
    t, curves = _root(known.t, known[name] - level), known
    if t is None:
        return None, 0.0, math.nan
    if known.draws:
        error = float(np.interp(t, known.t, known.se[name])) / abs(_slope(known.t, known[name], t))
        half = max(0.05 * t, 6 * error)
        near = np.linspace(max(t - half, t / 2), t + half, 5)
        draws = int(np.clip(_CLOSE // (law.d * law.n_components), DRAWS, 8 * DRAWS))
        closer = law.population_curves(near, draws=draws, seed=seed + 1)
        again = _root(near, closer[name] - level)
        t, curves = (again, closer) if again is not None else (t, known)
    slope = _slope(curves.t, curves[name], t)
    return t, float(np.interp(t, curves.t, curves.se[name])) / abs(slope), slope


def of_points(
    exact: ExactTime | None, time: TransitionTime, grid: np.ndarray, means: By, errors: By, own: By
) -> ExactTime | None:
    """`exact` with the crossing of the means over sets of n points in its place, if there is one.

    `errors` (T,) of those means are from the choice of the points, `own` those of the theory.
    """
    name, level = OF_POINTS.get((time.transition, time.method), (None, 0.0))
    if name is None:
        return exact
    some = np.isfinite(means[name])
    t = _root(grid[some], means[name][some] - level) if some.sum() > 3 else None
    if t is None:
        return ExactTime(time.transition, time.method, None, None)
    slope = abs(_slope(grid[some], means[name][some], t))
    chosen_error, se = (float(np.interp(t, grid, x[name])) / slope for x in (errors, own))
    error = _error(time)
    z = None
    if time.t is not None and error is not None:
        z = (time.t - t) / math.hypot(error, chosen_error, se)
    return ExactTime(time.transition, time.method, t, z, se)


def _slope(t: np.ndarray, values: np.ndarray, at: float) -> float:
    return float(np.interp(at, t, np.gradient(values, t)))


def _root(t: np.ndarray, values: np.ndarray) -> float | None:
    """The largest t at which a smooth curve changes sign, by a cubic in log gamma."""
    from scipy.interpolate import CubicSpline

    axis = -np.log(snr(t))
    change = np.flatnonzero(np.diff(np.sign(values)) != 0)
    if not len(change):
        return None
    k = int(change[-1])
    place = float(brentq(CubicSpline(axis, values), axis[k], axis[k + 1]))
    return float(time_from_snr(math.exp(-place)))
