"""The backward process of two Gaussian classes, seen along m: regimes I and II.

Generation runs dx = [x + 2 score(x, t)] dtau + sqrt(2) dW with tau = -t. For q = m.x/sqrt(d) this
closes (regime I):

    dq = -V'(q, t) dtau + mu sqrt(2) dW,
    V = (1/Gamma - 1/2) q^2 - 2 mu^2 log[ w e^z + (1 - w) e^{-z} ],    z = q e^{-t} sqrt(d)/Gamma,

with w the weight of +m; for large t, or sigma = 1, Gamma = 1 and V = q^2/2 - 2 mu^2 log cosh z, the
paper's. (The noise on q has the variance 2 mu^2 per unit time.) V has one minimum while
2 d mu^2 e^{-2t} < 1 and two after: the symmetry breaks, and each trajectory falls on one side.

Once it has (regime II), the score is that of its class alone, -(x - m e^{-t})/Gamma, and the
backward equation is linear: x_s given x_t is Gaussian with, coordinate by coordinate,

    mean      m e^{-s} + e^{-(t-s)} (Gamma_s/Gamma_t) (x_t - m e^{-t}),
    variance  Gamma_s Delta_{t-s} / Gamma_t.

The paper prints the score alone as the drift; neither that nor x + score has the marginals of the
forward process.
"""

from __future__ import annotations

import math

import numpy as np

from ..common.checks import InputError
from ..process import Times, signal, variance
from .gaussian_mixture import TwoGaussians, checked_times, noised_variance

DECIDED = 6.0  # separation u at which a trajectory no longer changes sides: e^{-u^2/2} = 1e-8


def potential(law: TwoGaussians, q: np.ndarray | float, t: Times) -> np.ndarray:
    """V(q, t) of regime I, zero at q = 0; q = m.x/sqrt(d)."""
    width = noised_variance(law, t)
    z = np.asarray(q) * signal(t) * math.sqrt(law.d) / width
    plus, minus = np.log(law.weights)
    barrier = np.logaddexp(plus + z, minus - z)
    return np.asarray((1 / width - 0.5) * np.square(q) - 2 * law.mu**2 * barrier)


def potential_slope(law: TwoGaussians, q: np.ndarray | float, t: Times) -> np.ndarray:
    """V'(q, t): minus the backward drift of q."""
    width = noised_variance(law, t)
    pull = signal(t) * math.sqrt(law.d) / width
    odds = 0.5 * math.log(law.weight / (1 - law.weight))
    tilt = np.tanh(np.asarray(q) * pull + odds)
    return np.asarray((2 / width - 1) * q - 2 * law.mu**2 * pull * tilt)


def sample_q(law: TwoGaussians, t: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """q of `size` points of the noised law at t."""
    side = np.where(rng.random(size) < law.weight, 1.0, -1.0)
    along = side * math.sqrt(law.square_mean) * float(signal(t))
    return np.asarray(
        law.mu * (along + np.sqrt(noised_variance(law, t)) * rng.standard_normal(size))
    )


def simulate(
    law: TwoGaussians, q: np.ndarray, times: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """q at times[-1] from q at times[0], times decreasing: Euler-Maruyama, weak order one.

    Steps must resolve the barrier: (t_k - t_{k+1}) u^2 well below one.
    """
    times = checked_times(times, "times")
    if times.ndim != 1 or len(times) < 2 or (np.diff(times) >= 0).any():
        raise InputError("times must be at least two, decreasing: the process runs from noise.")
    q = np.array(q, dtype=np.float64)
    for t, step in zip(times[:-1], -np.diff(times), strict=True):
        noise = law.mu * math.sqrt(2 * step) * rng.standard_normal(q.shape)
        q += noise - potential_slope(law, q, t) * step
    return q


def committed_fraction(
    law: TwoGaussians, t: float, pairs: int, steps: int, rng: np.random.Generator
) -> tuple[float, float]:
    """(fraction, standard error): how often two branches from one q(t) end in the same class.

    Each runs down to where the classes are DECIDED (or as near to the data as need be) and takes
    its class from the posterior there, so that nothing is lost by stopping. Compare `phi`.
    """
    stop = 0.5 * math.log1p(max(0.0, law.square_mean / DECIDED**2 - law.sigma**2))
    stop = min(max(stop, 1e-3), t / 2)
    start = sample_q(law, t, pairs, rng)
    grid = np.linspace(t, stop, steps + 1)
    pull = float(signal(stop) * math.sqrt(law.d) / noised_variance(law, stop))
    odds = math.log(law.weight / (1 - law.weight))
    ends = []
    for _ in range(2):
        logit = np.clip(2 * pull * simulate(law, start, grid, rng) + odds, -700, 700)
        ends.append(rng.random(pairs) < 1 / (1 + np.exp(-logit)))
    same = float((ends[0] == ends[1]).mean())
    return same, math.sqrt(max(same * (1 - same), 0.25 / pairs) / pairs)


def conditional_law(
    law: TwoGaussians, x: np.ndarray | float, t: float, s: float
) -> tuple[np.ndarray, float]:
    """(mean, variance) of x_s given x_t = x and the class +m, s < t: regime II.

    x is the coordinate along the unit vector m/|m|; across it, take a law with mu = 0.
    """
    if not 0 <= s < t:
        raise InputError(f"s is {s!r} and t is {t!r}; expected 0 <= s < t: the process runs down.")
    m = math.sqrt(law.square_mean)
    now = float(noised_variance(law, t))
    then = float(variance(s)) + law.sigma**2 * math.exp(-2 * s)
    part = math.exp(-(t - s)) * then / now
    mean = m * math.exp(-s) + part * (np.asarray(x) - m * math.exp(-t))
    return mean, then * float(variance(t - s)) / now
