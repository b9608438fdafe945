"""Transition times from curves and from the spectrum, each with its method and its interval.

Speciation t_S: `spectral` (1/2) log Lambda; `spectral-exact` (1/2) log(1 + Lambda), from
Lambda e^{-2t} = Delta_t; `landau`, the largest t at which I - gamma Cov_t[a] has a zero
eigenvalue, Cov_t under weights e^{-gamma |a|^2 / 2}; `clone` and `clone-loo`, where the
same-class probability (of the training set, or leave-one-out: of the population) satisfies
(phi - phi_inf) / (1 - phi_inf) = 0.55, which is phi = 0.775 for two balanced classes.
Collapse t_C: `free-energy` F = 0 (Z_{2..n} = Z_1); `entropy`, the zero of f^e extrapolated from
the side that has not collapsed; `clone`, phi_C = 1/2; `gaussian-bound`,
(1/2) sum log(1 + gamma lambda) = log n, an upper bound.

Intervals are 95 % percentiles over bootstrap resamples of the training points (each with its
draws); the posterior weights are not recomputed, so they speak of this training set. That of
`clone-loo` also covers how the set was drawn from its population (`of_population`). Log gamma is
the axis of every interpolation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from . import numerics
from .posterior import Cloud
from .process import Schedule, sigma, snr, time_from_snr
from .results import Spectrum, TransitionTime
from .spectrum import information_bound
from .sweep import Sample

CLONE_LEVEL = 0.55
COARSE = 1.5  # in log gamma: wider steps between times are told as a warning
_SUBSPACE = 16  # leading eigenvectors in which Lambda is resampled


@dataclass(frozen=True)
class Resampled:
    """Mean curves (T,), and of every bootstrap resample (B, T), against increasing log gamma."""

    log_gamma: np.ndarray
    mean: dict[str, np.ndarray]
    resamples: dict[str, np.ndarray]

    def both(self, name: str) -> np.ndarray:
        """The mean on top of the resamples, (1 + B, T)."""
        return np.vstack([self.mean[name], self.resamples[name]])


def resample(sample: Sample, rng: np.random.Generator) -> Resampled:
    """Bootstrap the mean curves by training point."""
    points, where = np.unique(sample.points, return_inverse=True)
    weight = np.bincount(where).astype(np.float64)
    counts = numerics.resample_counts(len(points), rng)
    mean, resamples = {}, {}
    for name, values in sample.values.items():
        sums = np.zeros((len(points), values.shape[1]))
        np.add.at(sums, where, values)
        mean[name] = values.mean(axis=0)[::-1]
        resamples[name] = numerics.resampled_means(counts, sums, weight)[:, ::-1]
    return Resampled(np.log(snr(sample.times))[::-1], mean, resamples)


def of_population(curves: Resampled, drawn: int, n: int) -> Resampled:
    """The same with phi_loo resampled as an estimate of the population; `drawn` of n points used.

    There a point counts twice: as the true point and as one of the candidates. The influence of a
    point of class c on E[sum p_c^2] is the mean over its own draws of psi = 2 p_c - sum p^2 (the
    functional derivative of the integral of sum_c P_c(x)^2 / P(x)), so the resampled psi gives
    its sampling error, scaled to all n points; what is left of the Monte Carlo error, where not
    all points were drawn, is added.
    """
    name, own = "same_class_probability_loo", "own_class_probability_loo"
    seen = curves.resamples[name] - curves.mean[name]
    psi = 2 * (curves.resamples[own] - curves.mean[own]) - seen
    share = drawn / n
    # the psi of another resample: the two parts are independent
    sampling = math.sqrt(share) * np.roll(psi, 1, axis=0)
    widened = curves.mean[name] + math.sqrt(1 - share) * seen + sampling
    return replace(curves, resamples={**curves.resamples, name: widened})


def clocked(
    schedule: Schedule,
    transition: str,
    method: str,
    t: float | None,
    interval: tuple[float | None, float | None] = (None, None),
    warnings: tuple[str, ...] = (),
) -> TransitionTime:
    """A TransitionTime in every clock."""
    if t is None or not math.isfinite(t):
        return TransitionTime(transition, method, None, warnings=warnings)
    low, high = interval
    step = schedule.step(t)
    if step is None:
        beyond = f"t = {t:.2f} is noisier than the last step of schedule {schedule.name}"
        warnings = (*warnings, beyond)
    clocks = step, float(sigma(t)), float(snr(t))
    return TransitionTime(transition, method, float(t), low, high, *clocks, warnings)


def _from_log_gamma(found: np.ndarray) -> tuple[float | None, tuple[float | None, float | None]]:
    """Time and interval from crossings in log gamma: the value first, resamples behind it."""
    times = time_from_snr(np.exp(found))
    value = float(times[0]) if np.isfinite(times[0]) else None
    return value, numerics.interval(times[1:])


def _curve_time(
    curves: Resampled, schedule: Schedule, transition: str, method: str, name: str, level: float
) -> TransitionTime:
    """Where a curve crosses a level; the crossing at the largest t counts, met first."""
    # crossings() takes the largest x: -log gamma increases with t
    axis = -curves.log_gamma[::-1]
    found = -numerics.crossings(axis, curves.both(name)[:, ::-1], level)
    t, bounds = _from_log_gamma(found)
    notes: list[str] = []
    if t is None:
        first, last = curves.mean[name][0], curves.mean[name][-1]
        times = time_from_snr(np.exp(curves.log_gamma[[-1, 0]]))
        notes.append(
            f"{name} does not cross {level:.3g} between t = {times[0]:.3g} ({last:.3g}) and "
            f"t = {times[1]:.3g} ({first:.3g})"
        )
    else:
        gap = float(np.diff(curves.log_gamma)[_gap_of(curves, found[0])])
        if gap > COARSE:
            ends = curves.log_gamma[_gap_of(curves, found[0])] + np.array([gap, 0])
            near, far = time_from_snr(np.exp(ends))
            notes.append(
                f"interpolated between the times {near:.3g} and {far:.3g}; the interval leaves out "
                "what happens between them"
            )
        missing = float(np.isnan(found[1:]).mean())
        if missing > 0.01:
            notes.append(
                f"{missing:.0%} of the resamples do not cross; the interval leaves them out"
            )
    return clocked(schedule, transition, method, t, bounds, tuple(notes))


def _gap_of(curves: Resampled, log_gamma: float) -> int:
    """The grid interval that holds log_gamma."""
    place = int(np.searchsorted(curves.log_gamma, log_gamma)) - 1
    return min(max(place, 0), len(curves.log_gamma) - 2)


def clone_level(class_counts: tuple[int, ...]) -> float:
    """phi at speciation: phi_inf + 0.55 (1 - phi_inf), phi_inf = sum of squared class shares."""
    share = np.asarray(class_counts) / sum(class_counts)
    blind = float((share**2).sum())
    return blind + CLONE_LEVEL * (1 - blind)


def clone_times(
    curves: Resampled, schedule: Schedule, class_counts: tuple[int, ...]
) -> list[TransitionTime]:
    """Speciation by `clone` and `clone-loo`."""
    level = clone_level(class_counts)
    return [
        _curve_time(curves, schedule, "speciation", "clone", "same_class_probability", level),
        _curve_time(
            curves, schedule, "speciation", "clone-loo", "same_class_probability_loo", level
        ),
    ]


def spectral_times(
    spectrum: Spectrum,
    matrix: np.ndarray,
    cloud: Cloud,
    schedule: Schedule,
    rng: np.random.Generator,
) -> list[TransitionTime]:
    """Speciation by `spectral` and `spectral-exact`, Lambda resampled in the leading subspace.

    `matrix` (r, r) is the `spectrum.covariance` of the cloud.
    """
    vectors = numerics.leading_eigenvectors(matrix, _SUBSPACE)
    scores = cloud.coordinates.cpu().numpy() @ vectors.astype(np.float32) * cloud.scale
    drawn = []
    for counts in numerics.resample_counts(cloud.n, rng, numerics.RESAMPLES // 2):
        share = counts / counts.sum()
        mean = share @ scores
        second = (scores * share[:, None]).T @ scores - np.outer(mean, mean)
        drawn.append(np.linalg.eigvalsh(second.astype(np.float64))[-1])
    resampled = np.array(drawn) * cloud.n / (cloud.n - 1)
    # repeated points inflate Lambda where n << d: take that bias off
    resampled = np.maximum(resampled * spectrum.largest / resampled.mean(), 1e-300)
    warnings: tuple[str, ...] = ()
    if spectrum.largest <= spectrum.noise_edge:
        warnings = (
            f"the largest eigenvalue, {spectrum.largest:.4g}, does not stand out from the "
            f"{spectrum.noise_edge:.4g} that structureless data of this size would show",
        )
    exact = clocked(
        schedule,
        "speciation",
        "spectral-exact",
        0.5 * math.log1p(spectrum.largest),
        numerics.interval(0.5 * np.log1p(resampled)),
        warnings,
    )
    if spectrum.largest <= 1:
        why = (
            f"the largest eigenvalue is {spectrum.largest:.3g}, not above 1, "
            "so that (1/2) log Lambda is not positive"
        )
        return [clocked(schedule, "speciation", "spectral", None, warnings=(*warnings, why)), exact]
    with np.errstate(divide="ignore"):
        bounds = numerics.interval(np.maximum(0.5 * np.log(resampled), 0))
    t = 0.5 * math.log(spectrum.largest)
    return [clocked(schedule, "speciation", "spectral", t, bounds, warnings), exact]


def landau_time(
    spectrum: Spectrum, cloud: Cloud, schedule: Schedule, rng: np.random.Generator
) -> TransitionTime:
    """Speciation by `landau`: the smallest gamma with gamma lambda_max(Cov_gamma) = 1."""
    rows = cloud.coordinates.cpu().numpy()
    half_norm = 0.5 * np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    vector: np.ndarray | None = None

    def tilted(gamma: float) -> np.ndarray:
        return np.asarray(np.exp(-gamma * (half_norm - half_norm.min())))

    def excess(log_gamma: float) -> float:
        nonlocal vector
        gamma = math.exp(log_gamma)
        weights = tilted(gamma)
        value, vector = numerics.largest_eigenvector(rows, weights / weights.sum(), vector, 1e-4)
        return gamma * value - 1

    # gamma in units of the cloud; as a rule the tilt narrows the data and the root lies above
    # 1/Lambda, but of few points in many dimensions it singles out some, which widens them
    low = math.log(0.9 * cloud.scale**2 / spectrum.largest)
    while excess(low) >= 0:
        low -= 0.2
    for _ in range(24):
        high = low + 0.2
        if excess(high) >= 0:
            break
        low = high
    else:
        why = "I - gamma Cov_t has no zero eigenvalue: the data show no symmetry breaking at x = 0"
        return clocked(schedule, "speciation", "landau", None, warnings=(why,))
    root = float(brentq(excess, low, high, xtol=3e-4))
    excess(root)
    assert vector is not None
    along = rows @ vector.astype(np.float32)
    axis = root + np.linspace(-1, 1, 17)
    counts = numerics.resample_counts(cloud.n, rng, numerics.RESAMPLES // 2)
    curve = np.empty((len(counts), len(axis)))
    for k, log_gamma in enumerate(axis):
        weights = tilted(math.exp(log_gamma))
        powers = np.stack([weights, weights * along, weights * along**2], axis=1)
        zero, one, two = (counts @ powers).T
        curve[:, k] = math.exp(log_gamma) * (two / zero - (one / zero) ** 2) - 1
    found = -numerics.crossings(-axis[::-1], curve[:, ::-1], 0.0)
    to_data = 2 * math.log(cloud.scale)
    t, bounds = _from_log_gamma(np.concatenate([[root], found]) - to_data)
    weights = tilted(math.exp(root))
    effective = weights.sum() ** 2 / (weights**2).sum()
    warnings: tuple[str, ...] = ()
    if effective < 50:
        warnings = (f"the tilted average rests on {effective:.0f} effective points",)
    return clocked(schedule, "speciation", "landau", t, bounds, warnings)


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
    t, bounds = _from_log_gamma(np.concatenate([[root], root - change / slope]))
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
    phi = curves.mean["same_point_probability"]
    calm = np.flatnonzero(phi <= 0.03 + 1 / n)  # phi_C never falls below 1/n
    if len(calm) < 3:
        return None
    chosen = calm[(phi[calm] >= 0.003 + 1 / n)]
    if len(chosen) < 3:
        chosen = calm[-3:]
    x = information_bound(spectrum.eigenvalues, np.exp(curves.log_gamma[chosen])) / math.log(n)
    y = curves.both("excess_entropy_over_alpha")[:, chosen]
    slope, intercept = np.polyfit(x, y.T, 1)
    return EntropyLine(intercept, slope)


def collapse_times(
    curves: Resampled, line: EntropyLine | None, spectrum: Spectrum, schedule: Schedule, n: int
) -> list[TransitionTime]:
    """Collapse by `free-energy`, `entropy` and `clone`."""
    free = _curve_time(
        curves, schedule, "collapse", "free-energy", "loo_free_energy_over_log_n", 0.0
    )
    clone = _curve_time(curves, schedule, "collapse", "clone", "same_point_probability", 0.5)
    if line is None:
        why = "every time studied is below the collapse: nothing to extrapolate from"
        return [free, clocked(schedule, "collapse", "entropy", None, warnings=(why,)), clone]
    # f^e = 0 where the Gaussian information is -intercept/slope
    wanted = -line.intercept / line.slope
    axis = np.linspace(curves.log_gamma[0] - 2, curves.log_gamma[-1] + 5, 401)
    bound = information_bound(spectrum.eigenvalues, np.exp(axis)) / math.log(n)
    found = np.interp(wanted, bound, axis, left=np.nan, right=np.nan)
    t, bounds = _from_log_gamma(found)
    notes = () if t is not None else ("the line through f^e does not reach zero",)
    return [free, clocked(schedule, "collapse", "entropy", t, bounds, notes), clone]
