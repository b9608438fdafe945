"""Means over sets of n points: E[H(w)], E[F], phi_C of Gaussian classes, near the collapse too.

Given x_t = x the other n - 1 points have independent energies E_nu = |x - e^{-t} a_nu|^2/(2 Delta)
(`random_energy`), and beside the true point, E_mu = |z|^2/2, they weigh S = sum e^{E_mu - E_nu}.
For Gaussian classes of covariances sigma_k^2 I, with s_k^2 = sigma_k^2 e^{-2t}, their law is known
by

    M(lambda) = E e^{-lambda E} = sum_k pi_k (1 + lambda s_k^2/Delta)^{-d/2}
                                  exp[-(lambda/2) |x - e^{-t} m_k|^2 / (Delta + lambda s_k^2)],

and the Laplace transform of the sum is that of one level to the power n - 1. It gives every mean:

    Pi(s) = E exp(-s sum_nu e^{-E_nu}) = [1 - q(s)]^{n-1},   q(s) = E[1 - exp(-s e^{-E})]
    E log sum_nu e^{-E_nu} = integral (e^{-s} - Pi(s)) ds/s
    E[log(1 + S)]          = integral e^{-s} [1 - Pi(s e^{E_mu})] ds/s     (E[H(w)] = E[log(1 + S)])
    E[1/(1 + S)]           = integral e^{-s} Pi(s e^{E_mu}) ds             (phi_C = E[w_mu])

and, with E_mu moved by log n to either side, E log[(1 + n S)/(n + S)], the bounded free energy.

q is a Mellin integral over 1 - e^{-y} = -(1/2 pi i) int Gamma(-lambda) y^lambda dlambda on a line
Re lambda = c between 0 and 1:

    q(s) = -(1/2 pi i) int Gamma(-lambda) s^lambda M(lambda) dlambda.

c is the tilt at which the lowest of n levels lie (below 1 in the glass), so that the integrand
hardly oscillates where n q(s) = 1 whatever n; the trapezoid rule then converges geometrically, in
lambda as in log s. What is left is the average over x and E_mu, a few Gaussian numbers and
chi-squares whatever d, taken over Sobol points.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv, loggamma, ndtri

from ..common.checks import InputError, in_range
from ..common.rng import sobol
from ..process import Times, signal, variance
from .gaussian_mixture import TwoGaussians, checked_times

_SETS = 8  # independent ones: the error of the average over x
_CUT = 20.0  # sums end, and steps are chosen, where terms are e^{-20} of the largest
_MOST = 4000  # nodes of the Mellin integral; beyond, levels lie some 50 nats apart
_STEP = 0.5  # in log s
_FEW = 1.5  # log of so few levels that any line will do
_SURE = 16.0  # n q at which Pi = e^{-16} is zero


@dataclass(frozen=True)
class Classes:
    """sum_k weights[k] N(means[k], variances[k] I) in d dimensions; `means` (K, r) in a span."""

    d: int
    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        in_range("d", self.d, self.means.shape[1], 10**9, "It is the dimension.")
        if not (self.variances > 0).all():
            raise InputError(
                f"variances are {self.variances.tolist()}; expected numbers above 0: points of a "
                "class of none coincide."
            )

    @property
    def symmetric(self) -> bool:
        """Two classes that are mirror images of one another: one speaks for both."""
        same = (len(set(x.tolist())) == 1 for x in (self.variances, self.weights))
        return len(self.weights) == 2 and all(same)

    @classmethod
    def two(cls, law: TwoGaussians) -> Classes:
        """The law +-m."""
        m = math.sqrt(law.square_mean)
        s2 = law.sigma**2
        return cls(int(law.d), np.array([[m], [-m]]), np.array([s2, s2]), law.weights)


@dataclass(frozen=True)
class FiniteN:
    """Means over sets of n independent points, (T,) in nats, and their standard errors.

    excess      E[H(w)] = E[H(index | x_t)]
    within      E[H(index | class, x_t)]
    classes     E[H(class | x_t)], their difference
    free        F = E[log sum_{nu != mu} e^{l_nu}]
    same_point  phi_C = E[w_mu] = E[sum w^2]
    bounded     E log[(1 + n S)/(n + S)], S = e^F of a draw

    NaN where one point has decided everything: levels more than some 50 nats apart. The errors are
    those of `_SETS` sets, so that z follows Student's t of as many less one degrees; far below the
    collapse, where H(w) and 1 - phi_C are less than some 1e-4 and rest on rare x, sets without
    these tell too small a mean and too small an error.
    """

    t: np.ndarray
    log_n: float
    excess: np.ndarray
    within: np.ndarray
    classes: np.ndarray
    free: np.ndarray
    same_point: np.ndarray
    bounded: np.ndarray
    se: dict[str, np.ndarray]


def means(
    law: Classes | TwoGaussians,
    t: Times,
    log_n: float,
    draws: int = 512,
    seed: int = 0,
) -> FiniteN:
    """The means for n = e^{log_n} points, n of 2 or more; `draws` Sobol points of each class."""
    classes = Classes.two(law) if isinstance(law, TwoGaussians) else law
    times = np.atleast_1d(checked_times(t))
    in_range("log_n", log_n, math.log(2) - 1e-12, 1e6, "It is the logarithm of the points.")
    in_range("draws", draws, 2 * _SETS, 10**7)
    numbers = _Numbers.sobol(classes.d, classes.means.shape[1], draws, seed)
    found = np.array([_means(classes, float(time), log_n, numbers) for time in times])
    names = "excess", "within", "classes", "free", "same_point", "bounded"
    values = dict(zip(names, found[:, :, 0].T, strict=True))
    return FiniteN(times, log_n, **values, se=dict(zip(names, found[:, :, 1].T, strict=True)))


@dataclass(frozen=True)
class _Numbers:
    """What x and z are made of: `data` and `noise` (M, r) in the span of the means; across it the
    length of z, (M,), and the data along z and, a chi-square, across it."""

    data: np.ndarray
    noise: np.ndarray
    length: np.ndarray
    along: np.ndarray
    across: np.ndarray

    @classmethod
    def sobol(cls, d: int, r: int, draws: int, seed: int) -> _Numbers:
        """`_SETS` independent sets, one behind the other; the same at every time."""
        m = 2 ** max(1, round(math.log2(draws / _SETS)))
        cube = np.concatenate([sobol(2 * r + 3, m, seed, "finite n", k) for k in range(_SETS)])
        normal = ndtri(cube)

        def chi_square(column: int, of: int) -> np.ndarray:
            if of <= 0:
                return np.zeros(len(cube))
            return np.asarray(2 * gammaincinv(of / 2, cube[:, column]))

        rest = d - r
        along = normal[:, 2 * r + 2] if rest else np.zeros(len(cube))
        length = np.sqrt(chi_square(2 * r, rest))
        return cls(
            normal[:, :r], normal[:, r : 2 * r], length, along, chi_square(2 * r + 1, rest - 1)
        )


def _means(law: Classes, t: float, log_n: float, numbers: _Numbers) -> np.ndarray:
    """(6, 2): the means at t and their standard errors."""
    noise, shrink = float(variance(t)), float(signal(t))
    spreads = law.variances * shrink**2
    own = (np.square(numbers.noise).sum(axis=1) + numbers.length**2) / 2
    parts = []
    for k, spread in enumerate(spreads[: 1 if law.symmetric else None]):
        s, root = math.sqrt(spread), math.sqrt(noise)
        near = shrink * law.means[k] + s * numbers.data + root * numbers.noise
        far = (s * numbers.along + root * numbers.length) ** 2 + spread * numbers.across
        squares = np.square(near[:, None] - shrink * law.means).sum(axis=-1) + far[:, None]
        every = _Levels(law.d, noise, spreads, law.weights, squares)
        mine = slice(k, k + 1)
        class_ = _Levels(law.d, noise, spreads[mine], law.weights[mine], squares[:, mine])
        excess, free, same, bounded = _averages(every, own, log_n)
        within = _averages(class_, own, log_n)[0]
        values = np.stack([excess, within, excess - within, free, same, bounded])
        gaps = shrink**2 * np.square(law.means[k] - law.means).sum(axis=1)
        known = np.concatenate([[law.d / 2], gaps + law.d * (noise + spread)])
        parts.append(_controlled(values, np.column_stack([own, squares]) - known))
    by_set = np.array(parts).reshape(len(parts), 6, _SETS, -1).mean(axis=-1)
    sets = np.tensordot([1.0] if law.symmetric else law.weights, by_set, 1)
    return np.stack([sets.mean(axis=1), sets.std(axis=1, ddof=1) / math.sqrt(_SETS)], axis=-1)


def _controlled(values: np.ndarray, of_mean_zero: np.ndarray) -> np.ndarray:
    """`values` (6, M) without what is linear in (M, R) numbers whose mean is known to be zero."""
    centred = of_mean_zero - of_mean_zero.mean(axis=0)
    slopes = np.linalg.lstsq(centred, values.T, rcond=1e-10)[0]
    return np.asarray(values - (of_mean_zero @ slopes).T)


@dataclass(frozen=True)
class _Levels:
    """The law of the energies around M points x: `squares` (M, K) are |x - e^{-t} m_k|^2."""

    d: int
    noise: float
    spreads: np.ndarray
    weights: np.ndarray
    squares: np.ndarray

    def _factors(self, lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q, K) each: the k-th term of M(lambda) is e^{one + squares_k other}."""
        width = self.noise + lam[:, None] * self.spreads
        one = np.log(self.weights) - self.d / 2 * np.log(width / self.noise)
        return one, -lam[:, None] / 2 / width

    def log_moment(self, lam: np.ndarray) -> np.ndarray:
        """log M, (M, Q), for real lambda."""
        one, other = self._factors(lam)
        terms = [a + x[:, None] * b for a, b, x in zip(one.T, other.T, self.squares.T, strict=True)]
        return np.asarray(functools.reduce(np.logaddexp, terms))

    def moment(
        self, lam: np.ndarray, beside: np.ndarray, turning: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """e^{beside + i turning} M, (M, Q), for complex lambda, as real and imaginary part:
        numpy has no fast exponential of a complex number."""
        one, other = self._factors(lam)
        real, imaginary = np.zeros((2, *turning.shape))
        for a, b, x in zip(one.T, other.T, self.squares[..., None].swapaxes(0, 1), strict=True):
            size = np.exp(a.real + x * b.real + beside)
            angle = a.imag + x * b.imag + turning
            real += size * np.cos(angle)
            imaginary += size * np.sin(angle)
        return real, imaginary

    def tail(self, c: float) -> float:
        """Im lambda at which the integrand is e^{-_CUT} of what it is at c, or less."""
        width = self.noise + c * self.spreads
        # Re[lambda/(Delta + lambda s^2)] grows along the line by pull x^2/(1 + x^2), x = tau s^2/w
        pull = self.squares.min(axis=0) / 2 * self.noise / (self.spreads * width)

        def depth(log_tau: float) -> float:
            tau = math.exp(log_tau)
            square = (tau * self.spreads / width) ** 2
            lost = self.d / 4 * np.log1p(square) + pull * square / (1 + square)
            return float(lost.min()) + math.pi / 2 * tau - _CUT

        return math.exp(brentq(depth, -60.0, 4.0))


def _averages(levels: _Levels, own: np.ndarray, log_n: float) -> tuple[np.ndarray, ...]:
    """E[log(1 + S)], E[log S], E[1/(1 + S)] and E log[(1 + n S)/(n + S)] given x and the own
    energy, (M,) each."""
    found = _survival(levels, log_n)
    if found is None:
        return (np.full(len(own), np.nan),) * 4
    origin, y, kept = found
    free = own - origin - y[0] - _STEP * (kept.sum(axis=1) - kept[:, 0] / 2) - np.euler_gamma
    excess, same = _against(own, origin, y, kept)
    more, less = (_against(own + sign * log_n, origin, y, kept)[0] for sign in (1, -1))
    return excess, free, same, more - less - log_n


def _against(
    own: np.ndarray, origin: np.ndarray, y: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """E[log(1 + S)] and E[1/(1 + S)] where the true point has the energy `own` (M,)."""
    # to the right Pi is 0; go on until e^{-s} is
    more = np.arange(1, 1 + max(0, math.ceil(((own - origin).max() + 4 - y[-1]) / _STEP)))
    s = np.exp(np.minimum(np.concatenate([y, y[-1] + _STEP * more]) + (origin - own)[:, None], 50))
    weight = np.exp(-s)
    gone = 1 - np.pad(kept, ((0, 0), (0, len(more))))
    excess = _STEP * (weight * gone).sum(axis=1)
    return excess, 1 - _STEP * (s * weight * gone).sum(axis=1)


def _survival(levels: _Levels, log_n: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """log s_0 (M,), y (Y,) and Pi(s_0 e^y), (M, Y); None where the integral has too many nodes.

    n M(c) s_0^c = 1, and n q(s_0 e^y) <= (n M s_0^l) e^{l y} for 0 <= l <= 1: this bounds where
    n q begins and where n q e^{-cy}, which the trapezoid rule repeats with period 2 pi/h, ends.
    """
    c = _line(levels, log_n)
    below, above = c * np.linspace(0, 0.9, 10), c + (1 - c) * np.linspace(0.1, 1, 10)
    origin = -(log_n + levels.log_moment(np.array([c]))) / c  # (M, 1)
    left, right = (log_n + levels.log_moment(x) + x * origin for x in (above, below))
    begin = float(((-_CUT - left) / above).max(axis=1).min())
    first = float(((-_CUT - left) / (above - c)).max(axis=1).min())
    end = float(((_CUT + right) / (c - below)).min(axis=1).max())
    h = 2 * math.pi / (end - min(begin, first))
    most = levels.tail(c)
    if most / h > _MOST:
        return None
    tau = h * np.arange(math.ceil(most / h) + 1)
    lam = c + 1j * tau
    gamma = loggamma(-lam)
    real, imaginary = levels.moment(lam, gamma.real + log_n + c * origin, gamma.imag + tau * origin)
    real[:, 0], imaginary[:, 0] = real[:, 0] / 2, imaginary[:, 0] / 2
    y = np.arange(begin, end + _STEP, _STEP)
    turn = tau[:, None] * y
    many = -h / math.pi * np.exp(c * y) * (real @ np.cos(turn) - imaginary @ np.sin(turn))
    many = np.maximum.accumulate(many.clip(min=0), axis=1)
    last = int(np.argmax((many > _SURE).all(axis=0))) or len(y)
    return origin[:, 0], y[:last], _power(many[:, :last], log_n)


def _power(many: np.ndarray, log_n: float) -> np.ndarray:
    """[1 - q]^{n - 1} from n q."""
    if log_n > 30:
        return np.asarray(np.exp(-many))
    n = math.exp(log_n)
    return np.asarray(np.exp((n - 1) * np.log1p(-np.minimum(many / n, 1 - 1e-15))))


def _line(levels: _Levels, log_n: float) -> float:
    """c: the tilt of the lowest of n levels about the typical x, kept off the pole at 1."""
    log_n = max(log_n, _FEW - math.log(levels.weights.sum()))  # of a rare class there may be none
    tilts = np.geomspace(1e-4, 1 - min(0.3, 3 / log_n), 60)
    depth = (log_n + levels.log_moment(tilts).mean(axis=0)) / tilts
    return float(tilts[np.argmin(depth)])
