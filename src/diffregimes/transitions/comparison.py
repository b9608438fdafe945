"""The exact theory of a mixture beside the analysis of points drawn from it.

While I(a; x_t) lies well below log n, many points compete for x_t and every curve is that of the
population: phi and the class entropy, I(a; x_t), the excess entropy log n - I, the mmse. Nearer to
the collapse the number of points within reach of x_t fluctuates. With i = log P(x_t|a)/P(x_t) and
q = (n - 1) e^{-i}, what the other points weigh on average over clouds,

    log n - I  <=  E[H(w)]  <=  log n - I + E log(1 - 1/n + e^i/n)  =  E log(1 + q),

concavity of the entropy below, Jensen's inequality above. The same within the class of a, where
e^i/n becomes e^i/(n p_c), bounds H(index | class, x_t); likewise F <= log(n - 1) - I and
phi_C >= E[1/(1 + q)]. So the theory of an entropy is a band, and z counts standard errors from
the band; the other curves have one value.

The standard error of z has these parts:
- the draws of the analysis, and those of the theory where it has no quadrature;
- the choice of the n points, to first order in 1/n: phi, the entropies and the mmse are the least
  mean loss of a guess at x_t (Brier, logarithmic, square), so that a point moves them by its own
  mean loss E[loss | a], and the choice has the variance Var_a(E[loss | a])/n;
- to second order: the weights of 1/phi_C points that compete for x_t have a relative variance of
  phi_C, which moves phi by about (1 - phi) phi_C, the class entropy by (K - 1) phi_C/2, the mmse
  by mmse phi_C.

z is given where the band, or the second order, is smaller than the rest; for phi and the class
entropy moreover where the classes of some draws are open, since draws do not know the error of
what they hardly ever see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import quad
from scipy.optimize import brentq

from ..common.numerics import Z95
from ..common.rng import numpy_generator, torch_generator
from ..populations.mixture import GaussianMixture
from ..process import signal, snr, time_from_snr, variance
from ..results import Comparison, Curves, ExactTime, TransitionTime

DRAWS = 20_000  # for the curves of laws that have no quadrature
_UNDECIDED = 20  # draws: (1 - phi) times their number
_POINTS = 2500  # with two noises each, for the bands and the choice of the points
LOO, FREE = "same_class_probability_loo", "loo_free_energy_over_log_n"
EXCESS, WITHIN = "excess_entropy_over_alpha", "within_class_entropy"
_LOSSES = LOO, "class_entropy", "information", WITHIN, "mmse"


def compare(
    law: GaussianMixture,
    curves: Curves,
    times: tuple[TransitionTime, ...],
    n: int,
    level: float,
    seed: int = 0,
) -> Comparison:
    """The theory of `law` on the times of `curves`, from a dataset of n of its points.

    The classes of the dataset are the components of the law. `level` is phi at speciation
    (`criteria.clone_level`).
    """
    # other draws than those a dataset of the same seed may consist of
    seed = int(numpy_generator(seed, "comparison").integers(2**62))
    known = law.population_curves(curves.t, draws=DRAWS, seed=seed)
    finite = _finite_n(law, curves.t, n, seed)
    low, high = _bands(known, finite, n)
    width = _widths(known, finite, n, law.n_components)
    own = _own_errors(known, math.log(n))
    z = _z_scores(curves, known, low, high, width, own, _choice_errors(finite, math.log(n)))
    shift = np.hypot(width[LOO], own[LOO])
    exact = (_exact_time(law, known, shift, time, n, level) for time in times)
    return Comparison(low, high, z, tuple(x for x in exact if x is not None))


By = dict[str, np.ndarray]  # (T,) by the name of a curve
ONE_VALUE = LOO, "class_entropy", "mmse"  # curves that the law gives a value, not a band


def _bands(known: Curves, finite: _FiniteN, n: int) -> tuple[By, By]:
    """Between what the mean of each curve over sets of n points lies."""
    log_n = math.log(n)
    entropy = known["class_entropy"]
    excess = log_n - known["information"]

    def of_points(nats: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(nats, 0, log_n))

    same = {LOO: known["same_class_probability"], "class_entropy": entropy, "mmse": known["mmse"]}
    top = of_points(excess + finite.gap)
    low = {
        **same,
        EXCESS: of_points(excess) / log_n,
        WITHIN: of_points(excess - entropy),
        "information": log_n - top,
        "same_point_probability": finite.same_point,
    }
    high = {
        **same,
        EXCESS: top / log_n,
        WITHIN: of_points(excess - entropy + finite.gap_within),
        "information": log_n - of_points(excess),
        FREE: (math.log(n - 1) - known["information"]) / log_n,
    }
    return low, high


def _widths(known: Curves, finite: _FiniteN, n: int, classes: int) -> By:
    """The width of the band of each curve, or the second order of the choice of the points."""
    # root mean squares of sums of K - 1 squares, whose means the module's docstring gives
    second = math.sqrt((classes + 1) / max(classes - 1, 1)) * finite.same_point
    return {
        LOO: (1 - known["same_class_probability"]) * second,
        "class_entropy": (classes - 1) / 2 * second,
        "mmse": known["mmse"] * finite.same_point,
        "information": finite.gap,
        EXCESS: finite.gap / math.log(n),
        WITHIN: finite.gap_within,
    }


def _choice_errors(finite: _FiniteN, log_n: float) -> By:
    """Standard errors from the choice of the points, of every curve that is judged."""
    return {**finite.choice, EXCESS: finite.choice["information"] / log_n}


def _own_errors(known: Curves, log_n: float) -> By:
    """Standard errors of the theory, from its draws."""
    return {
        **known.se,
        LOO: known.se["same_class_probability"],
        EXCESS: known.se["information"] / log_n,
        WITHIN: known.se["information"],  # of -I - H(class | x_t): the class entropies cancel
    }


def _z_scores(
    curves: Curves, known: Curves, low: By, high: By, width: By, own: By, choice: By
) -> By:
    """Standard errors outside the band, NaN where its width is not the smaller."""
    z = {}
    open_draws = (1 - known["same_class_probability"]) * curves.draws
    for name, chosen in choice.items():
        total = np.sqrt(curves.se[name] ** 2 + chosen**2 + own[name] ** 2)
        clear = width[name] < total
        if name in (LOO, "class_entropy"):
            clear &= open_draws >= _UNDECIDED
        if name in ONE_VALUE:
            total = np.hypot(total, width[name])
        outside = curves[name] - np.clip(curves[name], low[name], high[name])
        z[name] = np.where(clear, outside / np.maximum(total, 1e-12), np.nan)
    return z


@dataclass(frozen=True)
class _FiniteN:
    """What n points add to the law, (T,) each: the width of the bands in nats, E[1/(1 + q)], and
    the standard error from their choice, by curve."""

    gap: np.ndarray
    gap_within: np.ndarray
    same_point: np.ndarray
    choice: dict[str, np.ndarray]


def _finite_n(law: GaussianMixture, t: np.ndarray, n: int, seed: int) -> _FiniteN:
    """Averages over points under two noises each.

    The covariance of the losses under the two noises is the variance of their mean given the
    point; z and -z serve together, which takes out what is linear in z and would drown it at
    large t. Dimensions across the span of the means, D of them, tell nothing of the class; there
    i is (D/2) log(Gamma/Delta) and half a difference of chi-squares (`information_density`).
    """
    near = law.in_span() if law.isotropic else law
    rest = law.d - near.d
    s2 = float(law.covariances[0].diagonal[0])
    losses = np.empty((len(t), len(_LOSSES), 2, 2, _POINTS))  # noise, sign
    rows = max(1, 2**21 // near.d)
    seeds = numpy_generator(seed, "points").integers(2**62, size=_POINTS)
    for start in range(0, _POINTS, rows):
        part = slice(start, min(start + rows, _POINTS))
        a, labels = near.sample(part.stop - start, int(seeds[start]))
        generator = torch_generator(seed, "noise", start)
        noise = torch.randn((2, *a.shape), generator=generator, dtype=torch.float64)
        for j, time in enumerate(t):
            for k, sign in np.ndindex(2, 2):
                z = noise[k] if sign == 0 else -noise[k]
                losses[j, :, k, sign, part] = _losses(near, float(time), a, labels, z)
    centred = losses.mean(axis=3)
    centred -= centred.mean(axis=-1, keepdims=True)
    spread = (centred[:, :, 0] * centred[:, :, 1]).mean(axis=-1).clip(min=0)
    _, of_class, told, _, _ = losses.swapaxes(0, 1)
    if rest:
        kept = variance(t) / (variance(t) + s2 * np.exp(-2 * t))  # Delta/Gamma
        spread[:, 2:4] += (rest / 2 * (1 - kept) ** 2)[:, None]
        spread[:, 4] += 2 * rest * kept**4 * s2**2
        kept = kept[:, None, None, None]
        both = numpy_generator(seed, "rest").chisquare(rest, (2, *told.shape[1:]))
        told = told - rest / 2 * np.log(kept) + np.sqrt(1 - kept) / 2 * (both[0] - both[1])
    ratio = np.clip(told - math.log(n), -700, 700)
    gap, gap_within = (
        _least_upper(np.logaddexp(x, math.log1p(-1 / n))) for x in (ratio, ratio + of_class)
    )
    same = (1 / (1 + (1 - 1 / n) * np.exp(-ratio))).mean(axis=(1, 2, 3))
    choice = dict(zip(_LOSSES, np.sqrt(spread / n).T, strict=True))
    return _FiniteN(gap, gap_within, same, choice)


def _least_upper(values: np.ndarray) -> np.ndarray:
    """Mean of (T, 2, 2, m) with a standard error on top, not below 0."""
    points = values.mean(axis=(1, 2))
    error = points.std(axis=1) / math.sqrt(points.shape[1])
    return np.asarray(np.maximum(points.mean(axis=1) + error, 0))


def _losses(
    law: GaussianMixture, t: float, a: torch.Tensor, labels: torch.Tensor, z: torch.Tensor
) -> np.ndarray:
    """(5, m): what point a adds to each of `_LOSSES` (the second is also -log p_c, the third i)."""
    noise = float(variance(t))
    x = float(signal(t)) * a + math.sqrt(noise) * z
    p = law.class_posterior(x, t)
    own = p.gather(1, labels[:, None])[:, 0]
    of_class = -own.clamp(min=1e-300).log()
    given = -0.5 * (z.square().sum(1) + law.d * math.log(2 * math.pi * noise))
    told = given - law.log_prob(x, t)
    square = (a - law.denoise(x, t)).square().sum(1)
    brier = 2 * own - p.square().sum(1)
    return torch.stack([brier, of_class, told, told + of_class, square]).numpy()


def _exact_time(
    law: GaussianMixture,
    known: Curves,
    shift: np.ndarray,
    time: TransitionTime,
    n: int,
    level: float,
) -> ExactTime | None:
    """What theory says for one method; z where the interval speaks of the population.

    `shift` (T,) is by how much phi_loo may lie off for other reasons than the interval's.
    """
    key = time.transition, time.method
    off = math.inf  # how far such reasons move the time
    t: float | None
    if key[0] == "speciation" and time.method in ("clone", "clone-loo", "balance"):
        phi = known["same_class_probability"]
        t = _root(known.t, phi - level)
        if t is not None and time.method == "clone-loo":
            slope = float(np.interp(t, known.t, np.gradient(phi, known.t)))
            off = abs(float(np.interp(t, known.t, shift)) / slope)
        if time.method == "balance":
            off = 0.0
    elif key[0] == "collapse" and time.method in ("free-energy", "entropy"):
        t = _root(known.t, math.log(n) - known["information"])
    elif time.method in ("spectral", "spectral-exact"):
        top, *others = law.eigenvalues()
        extra = time.method == "spectral-exact"
        t = 0.5 * math.log(top + extra) if top + extra > 1 else None
        # the largest eigenvalue of n points lies higher, by this to first order in 1/n
        gaps = np.maximum(top - np.array(others), 1e-12 * top)
        off = 0.5 * top / (top + extra) * float(np.sum(others / gaps)) / n
    elif time.method == "gaussian-bound":
        t = _bound_time(law.eigenvalues(), math.log(n))
    else:
        return None
    z = None
    if t is not None and time.t is not None and time.low is not None and time.high is not None:
        error = (time.high - time.low) / (2 * Z95)
        if off < error:
            z = (time.t - t) / math.hypot(error, off)
    return ExactTime(*key, t, z)


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


def _bound_time(eigenvalues: np.ndarray, log_n: float) -> float:
    """t at which the Gaussian information of a spectrum is log n."""

    def excess(log_gamma: float) -> float:
        return _gaussian_information(eigenvalues, log_gamma) - log_n

    low = math.log(2 * log_n / float(eigenvalues.sum()))
    high = 2 * log_n - math.log(float(eigenvalues[0])) + 1
    return float(time_from_snr(math.exp(float(brentq(excess, low - 1e-9, high)))))


def _gaussian_information(eigenvalues: np.ndarray, log_gamma: float) -> float:
    """(1/2) integral_0^gamma sum lambda/(1 + s lambda) ds, the mmse of a Gaussian (I-MMSE).

    The log-determinant by another route than `spectrum.information_bound`, which this judges.
    """
    start = math.log(1e-8 / float(eigenvalues[0]))  # below it the mmse is the variance

    def integrand(log_s: float) -> float:
        scaled = math.exp(log_s) * eigenvalues
        return float((scaled / (1 + scaled)).sum())

    rest = quad(integrand, start, log_gamma, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
    return 0.5 * (math.exp(start) * float(eigenvalues.sum()) + float(rest))
