"""Speciation time t_S: when the class of a sample is decided.

`spectral` (1/2) log Lambda, Lambda of all features; `spectral-first-channel` the same of the first
colour channel alone, as the paper has it; `spectral-exact` (1/2) log(1 + Lambda), from
Lambda e^{-2t} = Delta_t;
`landau`, the largest t at which I - gamma Cov_t[a] has a zero eigenvalue, Cov_t under weights
e^{-gamma |a|^2 / 2}; `clone` and `clone-loo`, where the same-class probability (of the training
set, or leave-one-out: of the population) satisfies (phi - phi_inf) / (1 - phi_inf) = 0.55, which
is phi = 0.775 for two balanced classes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from ..common import numerics
from ..data.cloud import Cloud
from ..process import Schedule
from ..results import Spectrum, TransitionTime
from .crossing import Resampled, clocked, curve_time, from_log_gamma

_SUBSPACE = 16  # leading eigenvectors in which Lambda is resampled


def clone_time(curves: Resampled, schedule: Schedule, level: float) -> TransitionTime:
    """Speciation by `clone`; `level` is `criteria.clone_level` of the classes."""
    return curve_time(curves, schedule, "speciation", "clone", "same_class_probability", level)


def clone_loo_time(curves: Resampled, schedule: Schedule, level: float) -> TransitionTime:
    """Speciation by `clone-loo`, with the interval that the resamples at hand give."""
    name = "same_class_probability_loo"
    return curve_time(curves, schedule, "speciation", "clone-loo", name, level)


def resampled_largest(
    spectrum: Spectrum, matrix: np.ndarray, cloud: Cloud, rng: np.random.Generator
) -> np.ndarray:
    """Lambda of bootstrap resamples (B,), in the leading subspace.

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
    return np.asarray(np.maximum(resampled * spectrum.largest / resampled.mean(), 1e-300))


def spectral_time(spectrum: Spectrum, resampled: np.ndarray, schedule: Schedule) -> TransitionTime:
    """Speciation by `spectral`; `resampled` (B,) from `resampled_largest`."""
    warnings = _blind(spectrum)
    if spectrum.largest <= 1:
        why = (
            f"the largest eigenvalue is {spectrum.largest:.3g}, not above 1, "
            "so that (1/2) log Lambda is not positive"
        )
        return clocked(schedule, "speciation", "spectral", None, warnings=(*warnings, why))
    with np.errstate(divide="ignore"):
        bounds = numerics.interval(np.maximum(0.5 * np.log(resampled), 0))
    t = 0.5 * math.log(spectrum.largest)
    return clocked(schedule, "speciation", "spectral", t, bounds, warnings)


def first_channel_time(spectrum: Spectrum, schedule: Schedule) -> TransitionTime | None:
    """Speciation by `spectral-first-channel`; None for data without colours."""
    largest, error = spectrum.largest_first_channel, spectrum.largest_first_channel_se
    if largest is None or error is None:
        return None
    name = "spectral-first-channel"
    if largest <= 1:
        why = (
            f"the largest eigenvalue of the first channel is {largest:.3g}, not above 1, so that "
            "(1/2) log Lambda is not positive"
        )
        return clocked(schedule, "speciation", name, None, warnings=(why,))
    ends = (max(largest + sign * numerics.Z95 * error, 1.0) for sign in (-1, 1))
    low, high = (0.5 * math.log(x) for x in ends)
    return clocked(schedule, "speciation", name, 0.5 * math.log(largest), (low, high))


def spectral_exact_time(
    spectrum: Spectrum, resampled: np.ndarray, schedule: Schedule
) -> TransitionTime:
    """Speciation by `spectral-exact`; `resampled` (B,) from `resampled_largest`."""
    t = 0.5 * math.log1p(spectrum.largest)
    bounds = numerics.interval(0.5 * np.log1p(resampled))
    return clocked(schedule, "speciation", "spectral-exact", t, bounds, _blind(spectrum))


def _blind(spectrum: Spectrum) -> tuple[str, ...]:
    """The warning that Lambda is no larger than noise would show."""
    if spectrum.largest > spectrum.noise_edge:
        return ()
    return (
        f"the largest eigenvalue, {spectrum.largest:.4g}, does not stand out from the "
        f"{spectrum.noise_edge:.4g} that structureless data of this size would show",
    )


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
    places = -numerics.crossings(-axis[::-1], curve[:, ::-1], 0.0)
    to_data = 2 * math.log(cloud.scale)
    t, bounds = from_log_gamma(np.concatenate([[root], places]) - to_data)
    weights = tilted(math.exp(root))
    effective = weights.sum() ** 2 / (weights**2).sum()
    warnings: tuple[str, ...] = ()
    if effective < 50:
        warnings = (f"the tilted average rests on {effective:.0f} effective points",)
    return clocked(schedule, "speciation", "landau", t, bounds, warnings)
