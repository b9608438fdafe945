"""When two Gaussian classes part, exactly, whatever their covariances; and four in two levels.

For x_t from class a let D = log P_a(x_t)/P_b(x_t). With G = 1 + gamma C of each class, the distance
delta = sqrt(gamma) (m_a - m_b), both in units of the noise, and the eigenvalues 1 + x_k of
G_b^{-1/2} G_a G_b^{-1/2}, delta_k along their vectors, mean and variance of D are

    M_ab = 1/2 sum_k [x_k - log(1 + x_k) + delta_k^2],
    S_ab^2 = sum_k [x_k^2/2 + (1 + x_k) delta_k^2],

and the classes part where they balance: M_ab = S_ab, one time for each direction, or, as data show
it, (M_ab + M_ba)/2 = 2. For equal covariances all three are M = 2: equal isotropic ones have
u = |m_a - m_b|/2 e^{-t}/sqrt(Gamma_t) = 1. Equal means and covariances c_a, c_b times 1 have

    t_S -> (1/4) log d + (1/2) log(|c_a - c_b|/(2 sqrt 2)),

which no eigenvalue of the covariance shows. The largest t counts, at which generation arrives
first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq

from ..common.checks import InputError, in_range
from ..process import Times, snr
from .gaussian_mixture import checked_times, clone_separation

LEVEL = 2.0  # nats: M where the two directions balance
_STEP = 0.2  # in log gamma
_FAR = 80.0  # in log gamma: how far towards the data it is looked
_SMALL = 1e-3  # x from which x - log(1 + x) keeps its digits


@dataclass(frozen=True, eq=False)
class GaussianPair:
    """N(m_a, C_a) and N(m_b, C_b): `apart` (d,) is m_a - m_b, `one` and `other` are C_a and C_b, a
    number for isotropic ones, (d,) for diagonal ones, or (d, d)."""

    apart: np.ndarray
    one: np.ndarray | float
    other: np.ndarray | float

    def __post_init__(self) -> None:
        apart = np.atleast_1d(np.asarray(self.apart, dtype=np.float64))
        object.__setattr__(self, "apart", apart)
        for name in ("one", "other"):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, given)
            d = len(apart)
            if apart.ndim != 1 or given.shape not in ((), (d,), (d, d)):
                raise InputError(
                    f"{name} has the shape {given.shape} beside means of {apart.shape}; expected a "
                    f"number, ({d},) or ({d}, {d})."
                )
            least = np.linalg.eigvalsh(given)[0] if given.ndim == 2 else given.min()
            if not np.isfinite(given).all() or least < -1e-9 * max(np.abs(given).max(), 1e-300):
                raise InputError(f"{name} is no covariance: its least eigenvalue is {least:.3g}.")
        if not np.isfinite(apart).all():
            raise InputError("apart holds NaN or infinite values; expected m_a - m_b.")


def log_odds(pair: GaussianPair, t: Times) -> np.ndarray:
    """M_ab and M_ba at t, (2, ...)."""
    return _over(t, lambda gamma: _moments(pair, gamma)[:, 0])


def fluctuation(pair: GaussianPair, t: Times) -> np.ndarray:
    """S_ab and S_ba at t, (2, ...)."""
    return _over(t, lambda gamma: _moments(pair, gamma)[:, 1])


def pair_times(pair: GaussianPair) -> dict[str, float | None]:
    """t_S^{ab}: of `one` (M_ab = S_ab), of `other` (M_ba = S_ba), the `later` of them in t, where
    generation has it first, and by `balance`, (M_ab + M_ba)/2 = 2; None where they never part."""

    def direction(k: int) -> float | None:
        return _first(pair, lambda m: float(np.log(m[k, 0] / m[k, 1])))

    one, other = direction(0), direction(1)
    known = [x for x in (one, other) if x is not None]
    balance = _first(pair, lambda m: math.log(m[:, 0].mean() / LEVEL))
    return {
        "one": one,
        "other": other,
        "later": max(known) if known else None,
        "balance": balance,
    }


def _over(t: Times, of: Callable[[float], np.ndarray]) -> np.ndarray:
    gamma = snr(checked_times(t))
    found = [of(float(x)) for x in np.ravel(gamma)]
    return np.moveaxis(np.array(found).reshape(*np.shape(gamma), 2), -1, 0)


def _moments(pair: GaussianPair, gamma: float) -> np.ndarray:
    """M and S of both directions, (2, 2)."""
    one, other = np.asarray(pair.one), np.asarray(pair.other)
    ways = (one, other), (other, one)
    return np.array([_one_way(pair.apart, own, rival, gamma) for own, rival in ways])


def _one_way(
    apart: np.ndarray, own: np.ndarray, other: np.ndarray, gamma: float
) -> tuple[float, float]:
    if own.ndim == 2 or other.ndim == 2:
        a, b = (x if x.ndim == 2 else np.diag(np.broadcast_to(x, len(apart))) for x in (own, other))
        x, vectors = eigh(gamma * (a - b), np.eye(len(a)) + gamma * b)
        square = gamma * (vectors.T @ apart) ** 2
    else:
        noised = 1 + gamma * other
        x = np.broadcast_to(gamma * (own - other) / noised, apart.shape)
        square = gamma * apart**2 / noised
    x = np.maximum(x, -1 + 1e-15)
    small = np.abs(x) < _SMALL
    series = x**2 / 2 - x**3 / 3 + x**4 / 4 - x**5 / 5
    gap = np.where(small, series, x - np.log1p(x))
    return 0.5 * float((gap + square).sum()), math.sqrt((x**2 / 2 + (1 + x) * square).sum())


def _first(pair: GaussianPair, of: Callable[[np.ndarray], float]) -> float | None:
    """The largest t at which `of` the moments reaches zero; it is negative in noise."""
    top = [np.abs(x).sum() if np.ndim(x) == 2 else np.max(x) for x in (pair.one, pair.other)]
    size = len(pair.apart) * float(max(*top)) + float((pair.apart**2).sum())
    if size == 0 or _moments(pair, 1 / size)[0, 0] == 0:
        return None  # one and the same law

    def value(log_gamma: float) -> float:
        return of(_moments(pair, math.exp(log_gamma)))

    place = -math.log(size) - 4  # M is below 0.01 there
    for _ in range(int(_FAR / _STEP)):
        if value(place + _STEP) >= 0:
            root = float(brentq(value, place, place + _STEP, xtol=1e-12))
            return 0.5 * float(np.logaddexp(0, -root))
        place += _STEP
    return None


@dataclass(frozen=True)
class FourClasses:
    """Means +-mu_first on a share of the d coordinates and +-mu_rest on the others, the four signs
    equally frequent, variance sigma^2: two choices that are made apart from each other.

    The classes that differ in choice i alone part where kappa_i Lambda_i(t) = 1, kappa_i the share
    of its coordinates and Lambda_i = d mu_i^2 e^{-2t}/Gamma_t.
    """

    d: int
    mu_first: float
    mu_rest: float
    share: float = 0.5
    sigma: float = 1.0

    def __post_init__(self) -> None:
        in_range("d", self.d, 2, 10**7, "It is the dimension.")
        in_range("share", self.share, 0, 1, "It is the share of the first coordinates.")
        for name in ("mu_first", "mu_rest", "sigma"):
            in_range(name, getattr(self, name), 0, 1e9)

    @property
    def first(self) -> int:
        """Coordinates of the first choice."""
        return round(self.share * self.d)

    def means(self) -> np.ndarray:
        """(4, d): ++, +-, -+, --."""
        out = np.empty((4, self.d))
        out[:, : self.first] = self.mu_first * np.array([1, 1, -1, -1])[:, None]
        out[:, self.first :] = self.mu_rest * np.array([1, -1, 1, -1])[:, None]
        return out

    def times(self, method: str = "pair-balance") -> tuple[float | None, float | None]:
        """t_S of two classes that differ in the first choice alone, and in the other alone: by
        `pair-balance` u = 1, by `pair-clone` u = 0.9994, where phi is 0.775."""
        u = 1.0 if method == "pair-balance" else clone_separation(np.full(2, 0.5))
        squares = self.first * self.mu_first**2, (self.d - self.first) * self.mu_rest**2
        # u^2 = square / (e^{2t} - 1 + sigma^2)
        values = [1 - self.sigma**2 + x / u**2 for x in squares]
        one, other = (0.5 * math.log(x) if x > 1 else None for x in values)
        return one, other
