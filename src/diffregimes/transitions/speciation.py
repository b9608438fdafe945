"""Speciation time t_S: when the class of a sample is decided.

`spectral` (1/2) log Lambda, Lambda of all features; `spectral-first-channel` the same of the first
colour channel alone, as the paper has it; `spectral-exact` (1/2) log(1 + Lambda), from
Lambda e^{-2t} = Delta_t;
`landau`, the largest t at which I - gamma Cov_t[a] has a zero eigenvalue, Cov_t under weights
e^{-gamma |a|^2 / 2}; `clone` and `clone-loo`, where the same-class probability (of the training
set, or leave-one-out: of the population) satisfies (phi - phi_inf) / (1 - phi_inf) = 0.55, which
is phi = 0.775 for two balanced classes; `balance`, of the mean log-odds, in a module of its own.

The largest eigenvalue of n points lies above that of their population. Lambda is the latter's: with
the sample's eigenvalues lambda_1 > lambda_2 > ... the estimate

    1/Lambda = mean over j > 1 of 1/(lambda_1 - lambda_j),

j over the n - 1 eigenvalues of the Gram matrix, is consistent for an eigenvalue that stands out,
however large d/n (Bai and Ding 2012).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ..common import numerics
from ..data.cloud import Cloud
from ..process import Schedule, snr
from ..results import Spectrum, TransitionTime
from .crossing import Resampled, clocked, curve_time, from_log_gamma

LOO, OWN = "same_class_probability_loo", "own_class_probability_loo"
OVERCONFIDENT = 2.0  # standard errors of the gap between the two
_SUBSPACE = 16  # leading eigenvectors in which Lambda is resampled


def clone_time(curves: Resampled, schedule: Schedule, level: float) -> TransitionTime:
    """Speciation by `clone`; `level` is `criteria.clone_level` of the classes."""
    return curve_time(curves, schedule, "speciation", "clone", "same_class_probability", level)


def clone_loo_time(curves: Resampled, schedule: Schedule, level: float) -> TransitionTime:
    """Speciation by `clone-loo`.

    Where few neighbours decide, the leave-one-out weights are overconfident: their confidence,
    E[sum p'^2], lies above E[p'] of the true class, which it equals for the population. The
    interval then reaches to where the latter crosses the level.
    """
    time = curve_time(curves, schedule, "speciation", "clone-loo", LOO, level)
    if time.t is None or time.low is None or time.high is None:
        return time
    gap = overconfidence(curves, float(np.log(snr(time.t))))
    if not gap:
        return time
    other = curve_time(curves, schedule, "speciation", "clone-loo", OWN, level)
    low = min(time.low, 0.0 if other.low is None else other.low)
    high = max(time.high, time.high if other.high is None else other.high)
    why = (
        "few training points decide the class here: the confidence of their weights is "
        f"{level:.3g}, that of the true class {level - gap:.3g}; the interval spans both"
    )
    return clocked(schedule, "speciation", "clone-loo", time.t, (low, high), (*time.warnings, why))


def overconfidence(curves: Resampled, log_gamma: float) -> float:
    """How far the confidence of the leave-one-out weights lies above their probability of the true
    class; 0 within two standard errors."""
    apart = curves.both(LOO) - curves.both(OWN)
    gaps = np.array([np.interp(log_gamma, curves.log_gamma, row) for row in apart])
    clear = abs(gaps[0]) >= OVERCONFIDENT * max(float(gaps[1:].std()), 1e-3)
    return float(gaps[0]) if clear else 0.0


@dataclass(frozen=True)
class Largest:
    """Lambda of the population: `value`, and resamples of the estimate (B,)."""

    value: float
    resamples: np.ndarray


def of_population(eigenvalues: np.ndarray, n: int) -> tuple[float, float]:
    """Lambda of the population from the eigenvalues (r,) of n points, largest first, and its
    derivative by the sample's largest."""
    others = np.zeros(max(n - 1, 2))
    known = eigenvalues[: len(others)]
    others[: len(known)] = known
    # equal ones of a law lie so far apart in a sample; those of a lattice do not
    gaps = 1 / np.maximum(others[0] - others[1:], others[0] / math.sqrt(n))
    value = 1 / gaps.mean()
    return float(value), float(value**2 * (gaps**2).mean())


def largest(
    spectrum: Spectrum, matrix: np.ndarray, cloud: Cloud, rng: np.random.Generator
) -> Largest:
    """Lambda and its bootstrap resamples, in the leading subspace.

    `matrix` (r, r) is the `spectrum.covariance` of the cloud.
    """
    vectors = numerics.leading_eigenvectors(matrix, _SUBSPACE)
    scores = cloud.coordinates.cpu().numpy() @ vectors.astype(np.float32)  # their ratios count
    drawn = []
    rounds = numerics.resample_counts(cloud.n, rng, numerics.RESAMPLES // 2)
    for counts in itertools.chain.from_iterable(rounds):
        share = counts / counts.sum()
        mean = share @ scores
        second = (scores * share[:, None]).T @ scores - np.outer(mean, mean)
        drawn.append(np.linalg.eigvalsh(second.astype(np.float64))[-1])
    resampled = np.array(drawn)
    # repeated points inflate Lambda where n << d: only the spread is theirs
    spread = spectrum.largest * (resampled / resampled.mean() - 1)
    value, slope = of_population(spectrum.eigenvalues, cloud.n)
    return Largest(value, np.maximum(value + slope * spread, 1e-300))


def spectral_time(spectrum: Spectrum, largest: Largest, schedule: Schedule) -> TransitionTime:
    """Speciation by `spectral`."""
    warnings = _blind(spectrum)
    if largest.value <= 1:
        why = (
            f"the largest eigenvalue is {largest.value:.3g}, not above 1, "
            "so that (1/2) log Lambda is not positive"
        )
        return clocked(schedule, "speciation", "spectral", None, warnings=(*warnings, why))
    with np.errstate(divide="ignore"):
        bounds = [0.5 * math.log(max(x, 1.0)) for x in _ends(spectrum, largest)]
    t = 0.5 * math.log(largest.value)
    return clocked(schedule, "speciation", "spectral", t, (bounds[0], bounds[1]), warnings)


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


def spectral_exact_time(spectrum: Spectrum, largest: Largest, schedule: Schedule) -> TransitionTime:
    """Speciation by `spectral-exact`."""
    t = 0.5 * math.log1p(largest.value)
    low, high = (0.5 * math.log1p(x) for x in _ends(spectrum, largest))
    return clocked(schedule, "speciation", "spectral-exact", t, (low, high), _blind(spectrum))


def _ends(spectrum: Spectrum, largest: Largest) -> tuple[float, float]:
    """The 95 % interval of Lambda; between the mean eigenvalue and the sample's largest where that
    does not stand out from noise."""
    low, high = numerics.interval(largest.resamples)
    assert low is not None
    assert high is not None
    if _blind(spectrum):
        positive = spectrum.eigenvalues[spectrum.eigenvalues > 0]
        return min(low, float(positive.mean())), max(high, spectrum.largest)
    return low, high


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
    known: dict[float, float] = {}  # asked again, a value near zero has the sign that it had

    def tilted(gamma: float) -> np.ndarray:
        return np.asarray(np.exp(-gamma * (half_norm - half_norm.min())))

    def excess(log_gamma: float) -> float:
        nonlocal vector
        if log_gamma in known:
            return known[log_gamma]
        gamma = math.exp(log_gamma)
        weights = tilted(gamma)
        value, vector = numerics.largest_eigenvector(rows, weights / weights.sum(), vector, 1e-4)
        known[log_gamma] = gamma * value - 1
        return known[log_gamma]

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
    known.clear()
    excess(root)
    assert vector is not None
    along = rows @ vector.astype(np.float32)
    axis = root + np.linspace(-1, 1, 17)
    weights = np.stack([tilted(math.exp(x)) for x in axis], axis=1)
    powers = weights[:, None] * np.stack([along**0, along, along**2], axis=1)[..., None]
    sums = numerics.resampled_sums(powers, rng, numerics.RESAMPLES // 2)
    zero, one, two = np.moveaxis(sums, 1, 0)
    curve = np.exp(axis) * (two / zero - (one / zero) ** 2) - 1
    places = -numerics.crossings(-axis[::-1], curve[:, ::-1], 0.0)
    to_data = 2 * math.log(cloud.scale)
    t, bounds = from_log_gamma(np.concatenate([[root], places]) - to_data)
    weights = tilted(math.exp(root))
    effective = weights.sum() ** 2 / (weights**2).sum()
    warnings: tuple[str, ...] = ()
    if effective < 50:
        warnings = (f"the tilted average rests on {effective:.0f} effective points",)
    return clocked(schedule, "speciation", "landau", t, bounds, warnings)
