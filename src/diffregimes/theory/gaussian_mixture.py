"""Two Gaussian classes +-m, |m|^2 = d mu^2, variance sigma^2: every curve of the paper, exactly.

At time t, x_t ~ N(+-m e^{-t}, Gamma I) with Gamma = Delta_t + sigma^2 e^{-2t}. The class shows in
the coordinate along m alone, a channel y = +-u + xi with unit noise and

    u^2 = |m|^2 e^{-2t} / Gamma = |m|^2 / (1/gamma + sigma^2),        gamma = snr(t),

so that phi and I(class; x_t) are one-dimensional integrals whatever d. The information on the
point itself follows by the chain rule,

    I(a; x_t) = (d/2) log(1 + gamma sigma^2) + I(class; x_t),

and the excess entropy per dimension is f = [log n - I(a; x_t)]/d (paper: alpha + (1/2) log(Delta /
Gamma), which leaves out the class, a term of order 1/d). This is the value of the population;
the mean over clouds of n points lies above it near the collapse, where the count of points within
reach of x_t fluctuates. f = 0 is the collapse time.

"n" enters as log n throughout: n = 10^300 is nothing special.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr

from ..common.checks import InputError, in_range
from ..process import Times, snr, variance
from . import class_channel

CLONE_LEVEL = 0.55  # (phi - phi_inf) / (1 - phi_inf) at speciation: phi = 0.775 if balanced
ORDERS = ("exact", "leading")


@dataclass(frozen=True)
class TwoGaussians:
    """weight N(m, sigma^2 I) + (1 - weight) N(-m, sigma^2 I) in d dimensions, |m|^2 = d mu^2."""

    d: float
    mu: float = 1.0
    sigma: float = 1.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        in_range("d", self.d, 1, 10**12, "It is the dimension.")
        in_range("mu", self.mu, 0, 1e9, "It is |m|/sqrt(d), half the distance of the classes.")
        in_range("sigma", self.sigma, 0, 1e9, "It is the standard deviation within a class.")
        if not min(self.weight, 1 - self.weight) >= 1e-9:
            raise InputError(
                f"weight is {self.weight!r}; expected the share of the class +m, from 1e-9 to "
                "1 - 1e-9."
            )

    @property
    def square_mean(self) -> float:
        """|m|^2 = d mu^2."""
        return self.d * self.mu**2

    @property
    def weights(self) -> np.ndarray:
        return np.array([self.weight, 1 - self.weight])

    @property
    def class_variance(self) -> float:
        """Variance of the class means along m, 4 pi (1 - pi) |m|^2."""
        return 4 * self.weight * (1 - self.weight) * self.square_mean


def checked_times(t: Times, name: str = "t") -> np.ndarray:
    """t as an array; raise unless every one lies in (0, 300]."""
    times = np.asarray(t, dtype=np.float64)
    if not ((times > 0) & (times <= 300)).all():
        raise InputError(
            f"{name} is {t!r}; expected Ornstein-Uhlenbeck times above 0, at most 300."
        )
    return times


def noised_variance(law: TwoGaussians, t: Times) -> np.ndarray:
    """Gamma_t = Delta_t + sigma^2 e^{-2t}, the variance of x_t within a class."""
    times = checked_times(t)
    return np.asarray(variance(times) + law.sigma**2 * np.exp(-2 * times))


def separation(law: TwoGaussians, t: Times) -> np.ndarray:
    """u = |m| e^{-t} / sqrt(Gamma_t): half the distance of the classes in units of the noise."""
    return _separation(law, np.log(snr(checked_times(t))))


def phi(law: TwoGaussians, t: Times) -> np.ndarray:
    """Probability that two clones split at t end in the same class, E[p_+^2 + p_-^2].

    The paper's (1/2) int [G(y, u)^2 + G(y, -u)^2] / [G(y, u) + G(y, -u)] dy, for any weights.
    """
    return phi_of_separation(separation(law, t), law.weights)


def phi_of_separation(u: np.ndarray | float, weights: np.ndarray) -> np.ndarray:
    """phi as a function of u alone: the scaling function on which the curves of all d fall."""
    both = class_channel.overlap(_positions(u), weights)
    return np.asarray(np.trace(both, axis1=-2, axis2=-1))


def class_entropy(law: TwoGaussians, t: Times) -> np.ndarray:
    """H(class | x_t) in nats."""
    return class_channel.entropy(_positions(separation(law, t)), law.weights)


def class_information(law: TwoGaussians, t: Times) -> np.ndarray:
    """I(class; x_t) = H(class) - H(class | x_t) in nats."""
    return np.asarray(entr(law.weights).sum() - class_entropy(law, t))


def information(law: TwoGaussians, t: Times) -> np.ndarray:
    """I(a; x_t) = (d/2) log(1 + gamma sigma^2) + I(class; x_t) in nats."""
    return information_at(law, np.log(snr(checked_times(t))))


def points_needed(law: TwoGaussians, t: Times) -> np.ndarray:
    """log n at which the collapse happens at t: I(a; x_t)."""
    return information(law, t)


def excess_entropy(law: TwoGaussians, t: Times, log_n: float, order: str = "exact") -> np.ndarray:
    """f(t) in nats per dimension, alpha = (log n)/d far above the collapse, zero at it.

    order="leading" is the paper's alpha + (1/2) log(Delta/Gamma); "exact" also holds what the
    class tells, I(class; x_t)/d. (This is not the "excess entropy" of liquid-state physics.)
    """
    _check(log_n, order)
    if order == "exact":
        return np.asarray((log_n - information(law, t)) / law.d)
    gamma = snr(checked_times(t))
    return np.asarray(log_n / law.d - 0.5 * np.log1p(gamma * law.sigma**2))


def collapse_time(law: TwoGaussians, log_n: float, order: str = "exact") -> float | None:
    """t_C, the zero of f; None for sigma = 0, whose points coincide.

    order="leading" is the paper's (1/2) log(1 + sigma^2/(n^{2/d} - 1)).
    """
    _check(log_n, order)
    if law.sigma == 0:
        return None
    # log(n^{2/d} - 1) without overflow
    power = 2 * log_n / law.d
    high = power + math.log(-math.expm1(-power)) - 2 * math.log(law.sigma)
    if order == "leading":
        return _time(high)
    # I(a; x) <= gamma tr C / 2 from below, and the leading order leaves out the class
    low = math.log(2 * log_n) - math.log(law.square_mean + law.d * law.sigma**2)

    def gap(log_gamma: float) -> float:
        return float(information_at(law, np.asarray(log_gamma))) - log_n

    slack = 1e-9 * max(1.0, abs(low), abs(high))  # beyond the rounding of log n
    return _time(float(brentq(gap, low - slack, high + slack, xtol=1e-13)))


def speciation_times(law: TwoGaussians) -> dict[str, float | None]:
    """t_S by every criterion; None where it has no positive solution.

    leading         (1/2) log(d mu^2), the paper's, where u = 1
    curvature       (1/2) log(2 d mu^2): the potential of regime I turns over at q = 0
    spectral        (1/2) log Lambda, Lambda = 4 pi (1 - pi) |m|^2 + sigma^2
    spectral-exact  (1/2) log(1 + Lambda)
    landau          I - gamma Cov_t[a] first singular, Cov_t under e^{-gamma |a|^2/2} at the mean;
                    (1/2) log(1 + |m|^2 - sigma^2) for equal weights
    clone           phi has covered 55 % of the way from chance to certainty (0.775 if balanced)
    """
    top = law.class_variance + law.sigma**2
    return {
        "leading": _half_log(law.square_mean),
        "curvature": _half_log(2 * law.square_mean),
        "spectral": _half_log(top),
        "spectral-exact": _half_log(1 + top),
        "landau": _landau_time(law),
        "clone": _clone_time(law),
    }


def clone_separation(weights: np.ndarray) -> float:
    """u at which phi has its speciation level; 0.99937 for balanced classes."""
    blind = float(weights.prod())

    def gap(u: float) -> float:  # (phi - phi_inf)/(1 - phi_inf) = 1 - E[p_+ p_-]/(pi_+ pi_-)
        both = class_channel.overlap(_positions(u), weights)
        return 1 - CLONE_LEVEL - float(both[0, 1]) / blind

    return float(brentq(gap, 0, 40))


def information_at(law: TwoGaussians, log_gamma: np.ndarray) -> np.ndarray:
    """`information` as a function of log gamma, which does not under- or overflow."""
    within = np.zeros_like(log_gamma)
    if law.sigma > 0:
        within = 0.5 * law.d * np.logaddexp(0, log_gamma + 2 * math.log(law.sigma))
    positions = _positions(_separation(law, log_gamma))
    return np.asarray(
        within + entr(law.weights).sum() - class_channel.entropy(positions, law.weights)
    )


def _separation(law: TwoGaussians, log_gamma: np.ndarray) -> np.ndarray:
    noise = np.exp(np.minimum(-log_gamma, 700)) + law.sigma**2
    return np.asarray(np.sqrt(law.square_mean / np.maximum(noise, 1e-300)))


def _positions(u: np.ndarray | float) -> np.ndarray:
    # beyond 40 the class is certain to the last digit; far beyond, squares would overflow
    u = np.minimum(u, 40.0)
    return np.stack([u, -u], axis=-1)


def _clone_time(law: TwoGaussians) -> float | None:
    if law.mu == 0:
        return None
    # u^2 = |m|^2 / (e^{2t} - 1 + sigma^2)
    return _half_log(1 - law.sigma**2 + law.square_mean / clone_separation(law.weights) ** 2)


def _landau_time(law: TwoGaussians) -> float | None:
    # the same as for clones: both depend on u^2 alone
    square = _landau_square(law.weight)
    if square is None or law.mu == 0:
        return None
    return _half_log(1 - law.sigma**2 + law.square_mean / square)


def _landau_square(weight: float) -> float | None:
    """The smallest u^2 with 4 u^2 p_+ p_- = 1, p under the tilt about the mean of the law.

    1 for balanced classes; None where the tilt empties the smaller class first.
    """
    odds, lead = abs(math.log(weight / (1 - weight))), abs(2 * weight - 1)
    if lead == 0:
        return 1.0

    def log_ratio(square: float) -> float:  # concave
        return math.log(square) - 2 * math.log(math.cosh(0.5 * odds + lead * square))

    def slope(square: float) -> float:
        return 2 * lead * square * math.tanh(0.5 * odds + lead * square) - 1

    top = float(brentq(slope, 0.5 / lead, 0.5 / lead**2))  # tanh(odds/2) = lead
    return float(brentq(log_ratio, 1.0, top)) if log_ratio(top) >= 0 else None


def _half_log(value: float) -> float | None:
    return 0.5 * math.log(value) if value > 1 else None


def _time(log_gamma: float) -> float:
    """t = (1/2) log(1 + 1/gamma)."""
    return 0.5 * float(np.logaddexp(0, -log_gamma))


def _check(log_n: float, order: str) -> None:
    if not 0 < log_n < 1e9:
        raise InputError(f"log_n is {log_n!r}; expected log n > 0, the natural logarithm of n > 1.")
    if order not in ORDERS:
        raise InputError(f"order is {order!r}; expected one of {', '.join(ORDERS)}.")
