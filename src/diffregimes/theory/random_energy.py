"""The Random Energy Model behind the collapse: which training points carry the weight of x_t.

Around x_t every other point has an energy E_nu = |x_t - e^{-t} a_nu|^2 / (2 Delta) = d eps, and the
weights are e^{-E}. Given x_t the a_nu ~ N(+-m, sigma^2 I) are independent, so the energies are:
a Random Energy Model with e^{alpha d} levels, alpha = (log n)/d. For typical x_t of a class,
|x_t - m e^{-t}|^2 = d Gamma, and with s^2 = sigma^2 e^{-2t}, B = Gamma + M,

    g(lambda) = (1/d) log E e^{-lambda E}
              = (1/2) log[Delta/(Delta + lambda s^2)] - (lambda/2) B/(Delta + lambda s^2),

M = 0 for points of the same class and M = 4 |m|^2 e^{-2t}/d for those of the other. Cramer: there
are e^{d [alpha - f(eps)]} levels at eps, f(eps) = max_lambda [-lambda eps - g(lambda)], reached at
lambda*(eps), the inverse of eps*(lambda) = -g'(lambda).

In r = lambda s^2/(Delta + lambda s^2), which runs from 0 to 1, all of it is elementary:

    eps = [ (s^2/Delta)(1 - r) + (B/Delta)(1 - r)^2 ] / 2,
    f   = [ (B/s^2) r^2 - r - log(1 - r) ] / 2,

f grows with r, so each alpha has one lowest level eps_min, f(eps_min) = alpha.

The free energy psi = lim (1/d) log sum_{nu >= 2} e^{-E_nu} is decided at lambda = 1: levels at
eps*(1) exist while alpha > f(eps*(1)) ("liquid", large t), and then psi = alpha + g(1); else the
sum is carried by its lowest levels ("glass") and psi = -eps_min, below -eps*(1), the value at the
edge. For the own class f(eps*(1)) = (1/2) log(Gamma/Delta), so the condensation is the collapse
time of `gaussian_mixture`; there psi = -1/2, minus the energy of the true point, and below it
psi < -1/2. (The paper prints the two cases the other way round, -1/2 for the condensed one, and
lambda s^2 for the last lambda s^4 in eps*; see docs/corrections.md.) At finite d the glass lies
lower by (log d)/(2 lambda* d), lambda* at eps_min; the liquid differs by exponentially little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from ..common.checks import InputError, in_range
from ..process import variance

Reals = float | np.ndarray


@dataclass(frozen=True)
class Levels:
    """The law of the energies: noise Delta, spread s^2 = sigma^2 e^{-2t}, gap M (see above)."""

    noise: float
    spread: float
    gap: float = 0.0

    def __post_init__(self) -> None:
        in_range("noise", self.noise, 1e-300, 1, "It is Delta_t = 1 - e^{-2t}.")
        in_range("spread", self.spread, 1e-300, 1e18, "It is sigma^2 e^{-2t}, above 0.")
        in_range("gap", self.gap, 0, 1e19, "It is M = 4 |m|^2 e^{-2t}/d.")

    @property
    def total(self) -> float:
        """Gamma = Delta + s^2."""
        return self.noise + self.spread

    @property
    def reach(self) -> float:
        """B = Gamma + M, the mean squared distance of x_t from the centre of the levels, over d."""
        return self.total + self.gap


def levels(t: float, sigma: float, mu: float | None = None) -> Levels:
    """Energies of the own class at t (mu=None), or of the other class with M = 4 mu^2 e^{-2t}."""
    in_range("t", t, 1e-12, 300, "It is an Ornstein-Uhlenbeck time.")
    _check_law(sigma, mu)
    shrunk = math.exp(-2 * t)
    gap = 0.0 if mu is None else 4 * mu**2 * shrunk
    return Levels(float(variance(t)), sigma**2 * shrunk, gap)


def cumulant(of: Levels, lam: Reals) -> np.ndarray:
    """g(lambda) = (1/d) log E e^{-lambda E}; lambda > -Delta/s^2."""
    width = _width(of, lam)
    lam = np.asarray(lam, dtype=np.float64)
    return np.asarray(-0.5 * np.log1p(lam * of.spread / of.noise) - 0.5 * lam * of.reach / width)


def energy(of: Levels, lam: Reals) -> np.ndarray:
    """eps*(lambda) = -g'(lambda) = [s^2/w + B Delta/w^2]/2, w = Delta + lambda s^2.

    Own class: [Delta^2 + 2 Delta s^2 + lambda s^4]/(2 w^2), which is 1/2 at lambda = 1.
    """
    width = _width(of, lam)
    return np.asarray(0.5 * (of.spread / width + of.reach * of.noise / width**2))


def tilt(of: Levels, eps: Reals) -> np.ndarray:
    """lambda*(eps), the inverse of `energy`, for eps > 0: a quadratic equation in w."""
    eps = np.asarray(eps, dtype=np.float64)
    if not (eps > 0).all():
        raise InputError(f"eps is {eps!r}; expected energies above 0.")
    root = np.sqrt(of.spread**2 + 8 * eps * of.reach * of.noise)
    return np.asarray(((of.spread + root) / (4 * eps) - of.noise) / of.spread)


def rate(of: Levels, eps: Reals) -> np.ndarray:
    """f(eps) = -lambda* eps - g(lambda*) >= 0, zero at the typical energy eps*(0)."""
    lam = tilt(of, eps)
    return np.asarray(-lam * np.asarray(eps) - cumulant(of, lam))


def lowest_energy(of: Levels, alpha: float) -> float:
    """eps_min: f(eps_min) = alpha, on the side of low energies (lambda* > 0)."""
    kept = math.exp(-_depth(of, alpha))
    return 0.5 * kept * (of.spread + of.reach * kept) / of.noise


def critical_alpha(of: Levels) -> float:
    """f(eps*(1)): the levels that carry the annealed sum exist while alpha is larger.

    (1/2) log(Gamma/Delta) for the own class, plus M s^2/(2 Gamma^2) for the other.
    """
    at_one = math.log1p(of.spread / of.noise)
    return 0.5 * at_one + 0.5 * of.gap * of.spread / of.total**2


def is_glass(of: Levels, alpha: float) -> bool:
    """Whether few levels carry the sum, alpha < f(eps*(1))."""
    _check_alpha(alpha)
    return alpha < critical_alpha(of)


def free_energy(of: Levels, alpha: float) -> float:
    """psi = lim (1/d) log sum_{nu>=2} e^{-E_nu} over e^{alpha d} levels, on either side."""
    if is_glass(of, alpha):
        return -lowest_energy(of, alpha)
    return alpha + float(cumulant(of, 1.0))


def participation(of: Levels, alpha: float) -> float:
    """E sum_nu w_nu^2 of the normalised weights of levels 2..n: 1 - lambda*(eps_min) in the glass.

    Near eps_min the levels are a Poisson process of intensity e^{lambda* d (eps - eps_min)}, whose
    normalised weights have this moment (Poisson-Dirichlet). Zero in the liquid.
    """
    if not is_glass(of, alpha):
        return 0.0
    return 1 - of.noise / of.spread * math.expm1(_depth(of, alpha))


def condensation_time(alpha: float, sigma: float, mu: float | None = None) -> float:
    """t_cond: alpha = f(eps*(1)), liquid above it. Own class: the collapse time of the paper."""
    _check_alpha(alpha)
    _check_law(sigma, mu)

    def gap(log_gamma: float) -> float:
        # s^2/Delta = gamma sigma^2, s^2/Gamma and M/Gamma follow
        part = 1 / (1 + math.exp(min(-log_gamma - 2 * math.log(sigma), 700)))
        more = 0.0 if mu is None else 2 * (mu / sigma) ** 2 * part**2
        return 0.5 * float(np.logaddexp(0, log_gamma + 2 * math.log(sigma))) + more - alpha

    power = 2 * alpha
    high = power + math.log(-math.expm1(-power)) - 2 * math.log(sigma)
    # (1/2) log(1 + x) + 2 (mu/sigma)^2 x^2 <= x/2 + 2 (mu/sigma)^2 x for x = gamma sigma^2 < 1
    slope = 0.5 + 2 * ((mu or 0.0) / sigma) ** 2
    low = min(math.log(alpha / slope) - 2 * math.log(sigma), high)
    place = float(brentq(gap, low - 1, high + 1e-9, xtol=1e-13)) if mu else high
    return 0.5 * float(np.logaddexp(0, -place))


def _depth(of: Levels, alpha: float) -> float:
    """v = -log(1 - r) >= 0 at eps_min: [(B/s^2)(1 - e^{-v})^2 - (1 - e^{-v}) + v]/2 = alpha.

    In log v, since v may be as small as sqrt(alpha): from above, v - 1/4 <= 2 alpha <= (B/s^2 +
    1/2) v^2.
    """
    _check_alpha(alpha)
    ratio = of.reach / of.spread

    def gap(log_v: float) -> float:
        v = math.exp(log_v)
        r = -math.expm1(-v)
        # v - r without a difference of nearly equal numbers
        rest = v - r if v > 1e-2 else v**2 * (1 / 2 - v * (1 / 6 - v * (1 / 24 - v / 120)))
        return 0.5 * (ratio * r**2 + rest) - alpha

    low, high = 0.5 * math.log(2 * alpha / (ratio + 0.5)), math.log(2 * alpha + 0.25)
    return math.exp(float(brentq(gap, low - 1e-6, high + 1e-6, xtol=1e-14)))


def _width(of: Levels, lam: Reals) -> np.ndarray:
    """w = Delta + lambda s^2; raise unless positive: E e^{-lambda E} exists."""
    width = np.asarray(of.noise + np.asarray(lam, dtype=np.float64) * of.spread)
    if not (width > 0).all():
        raise InputError(f"lam is {lam!r}; expected above -Delta/s^2 = {-of.noise / of.spread:g}.")
    return width


def _check_law(sigma: float, mu: float | None) -> None:
    if not 0 < sigma <= 1e9:
        raise InputError(
            f"sigma is {sigma!r}; expected a positive number up to 1e9: levels must differ."
        )
    if mu is not None:
        in_range("mu", mu, 0, 1e9, "It is |m|/sqrt(d), half the distance of the classes.")


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1e6:
        raise InputError(f"alpha is {alpha!r}; expected (log n)/d, a positive number.")
