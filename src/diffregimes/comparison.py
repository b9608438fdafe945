"""The exact theory of a mixture beside the analysis of points drawn from it.

While I(a; x_t) lies well below log n, many points compete for x_t and every curve is that of the
population: phi and the class entropy, I(a; x_t), the excess entropy log n - I, the mmse. Nearer to
the collapse the number of points within reach of x_t fluctuates. With i = log P(x_t|a)/P(x_t) and
q = (n - 1) e^{-i}, what the other points weigh on average over clouds,

    log n - I  <=  E[H(w)]  <=  log n - I + E log(1 - 1/n + e^i/n)  =  E log(1 + q),

concavity of the entropy below, Jensen's inequality above; likewise F <= log(n - 1) - I and
phi_C >= E[1/(1 + q)]. So the theory is a band, and z counts standard errors from the band. z is
given where the band is narrower than half a standard error: there theory has but one value.

The standard error of z covers the draws and the choice of the n points: phi, the entropies and the
mmse are the least mean loss of a guess at x_t (Brier, logarithmic, square), so that a point moves
them by its own mean loss, E[loss | a], and the choice of n points has the variance
Var_a(E[loss | a])/n.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import brentq

from .populations import GaussianMixture
from .process import signal, snr, time_from_snr, variance
from .results import Comparison, Curves, ExactTime, TransitionTime
from .spectrum import information_bound

DRAWS = 20_000  # of the information density, for the bands
_PAIRS = 4000  # points with two noises each, for the choice of the points
LOO, FREE = "same_class_probability_loo", "loo_free_energy_over_log_n"


def compare(
    law: GaussianMixture,
    curves: Curves,
    times: tuple[TransitionTime, ...],
    n: int,
    level: float,
    seed: int = 0,
) -> Comparison:
    """The theory of `law` on the times of `curves`, from a dataset of n of its points.

    `level` is phi at speciation (`speciation.clone_level`).
    """
    t, log_n = curves.t, math.log(n)
    known = law.population_curves(t, draws=DRAWS, seed=seed)
    excess = log_n - known["information"]
    gap, same = _finite_n(law, t, n, seed)
    low = {
        LOO: known["same_class_probability"],
        "class_entropy": known["class_entropy"],
        "mmse": known["mmse"],
        "excess_entropy_over_alpha": np.maximum(excess, 0) / log_n,
        "within_class_entropy": np.maximum(excess - known["class_entropy"], 0),
        "information": np.minimum(log_n - excess - gap, log_n),
        "same_point_probability": same,
    }
    high = {
        **low,
        "excess_entropy_over_alpha": np.maximum(excess + gap, 0) / log_n,
        "within_class_entropy": np.maximum(excess + gap - known["class_entropy"], 0),
        "information": np.minimum(log_n - excess, log_n),
        FREE: (math.log(n - 1) - known["information"]) / log_n,
    }
    # the band of the entropy against its error tells how far is far above the collapse
    clear = gap < 0.5 * curves.se["excess_entropy_over_alpha"] * log_n
    sampling = np.array([_choice_of_points(law, float(x), n, seed) for x in t])
    choice = dict(zip((LOO, "class_entropy", "information", "mmse"), sampling.T, strict=True))
    choice["excess_entropy_over_alpha"] = choice["information"] / log_n
    choice["within_class_entropy"] = choice["information"]
    z = {}
    for name, error in choice.items():
        total = np.sqrt(curves.se[name] ** 2 + error**2 + known_error(known, name, log_n) ** 2)
        inside = np.clip(curves[name], low[name], high[name])
        score = (curves[name] - inside) / np.maximum(total, 1e-12)
        z[name] = np.where(clear, score, np.nan)
    exact = tuple(_exact_time(law, known, found, n, level) for found in times)
    return Comparison(low, high, z, tuple(x for x in exact if x is not None))


def known_error(known: Curves, name: str, log_n: float) -> np.ndarray:
    """Standard error of the theory itself, where it was sampled."""
    source = {LOO: "same_class_probability", "within_class_entropy": "information"}.get(name, name)
    if name == "excess_entropy_over_alpha":
        return np.asarray(known.se["information"] / log_n)
    return np.asarray(known.se[source])


def _finite_n(
    law: GaussianMixture, t: np.ndarray, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """E log(1 - 1/n + e^i/n) in nats (with a standard error on top), and E[1/(1 + q)]."""
    gap, same = np.empty(len(t)), np.empty(len(t))
    for k, time in enumerate(t):
        ratio = law.information_density(float(time), DRAWS, seed) - math.log(n)
        values = np.logaddexp(ratio, math.log1p(-1 / n))
        gap[k] = max(0.0, values.mean() + values.std() / math.sqrt(DRAWS))
        same[k] = (1 / (1 + (1 - 1 / n) * np.exp(-np.clip(ratio, -700, 700)))).mean()
    return gap, same


def _choice_of_points(
    law: GaussianMixture, t: float, n: int, seed: int
) -> tuple[float, float, float, float]:
    """Standard error, from the choice of n points, of phi, class entropy, information and mmse.

    The covariance of the losses under two noises of one point is the variance of their mean given
    the point. Dimensions across the span of the means add to the last two alone.
    """
    near = law.in_span() if law.isotropic else law
    a, labels = near.sample(_PAIRS, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    noise = float(variance(t))
    losses = []
    for _ in range(2):
        z = torch.randn(a.shape, generator=generator, dtype=torch.float64)
        x = float(signal(t)) * a + math.sqrt(noise) * z
        p = near.class_posterior(x, t)
        own = p.gather(1, labels[:, None])[:, 0]
        given = -0.5 * (z.square().sum(1) + near.d * math.log(2 * math.pi * noise))
        error = (a - near.denoise(x, t)).square().sum(1)
        told = given - near.log_prob(x, t)
        losses.append(
            torch.stack([2 * own - p.square().sum(1), -own.clamp(min=1e-300).log(), told, error])
        )
    one, two = (x - x.mean(1, keepdim=True) for x in losses)
    spread = (one * two).mean(1).clamp(min=0).numpy()
    rest = law.d - near.d
    if rest:
        value = float(law.covariances[0].diagonal[0])
        kept = noise / (noise + value * math.exp(-2 * t))  # Delta/Gamma
        spread += [0, 0, rest / 2 * (1 - kept) ** 2, 2 * rest * kept**4 * value**2]
    brier, log_loss, information, square = np.sqrt(spread / n)
    return float(brier), float(log_loss), float(information), float(square)


def _exact_time(
    law: GaussianMixture, known: Curves, found: TransitionTime, n: int, level: float
) -> ExactTime | None:
    """What theory says for one method; z where the interval speaks of the population."""
    key = found.transition, found.method
    if key[0] == "speciation" and found.method in ("clone", "clone-loo"):
        t = _root(known.t, known["same_class_probability"] - level)
    elif key[0] == "collapse" and found.method in ("free-energy", "entropy"):
        t = _root(known.t, math.log(n) - known["information"])
    elif found.method in ("spectral", "spectral-exact"):
        top = float(law.eigenvalues()[0]) + (found.method == "spectral-exact")
        t = 0.5 * math.log(top) if top > 1 else None
    elif found.method == "gaussian-bound":
        t = _bound_time(law.eigenvalues(), math.log(n))
    else:
        return None
    z = None
    speaks = found.method in ("clone-loo", "spectral", "spectral-exact")
    if speaks and None not in (t, found.t, found.low, found.high):
        assert t is not None
        assert found.t is not None
        assert found.low is not None
        assert found.high is not None
        z = (found.t - t) / max((found.high - found.low) / 3.92, 1e-12)
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
    def excess(log_gamma: float) -> float:
        return float(information_bound(eigenvalues, math.exp(log_gamma))[0]) - log_n

    low = math.log(2 * log_n / float(eigenvalues.sum()))
    high = 2 * log_n - math.log(float(eigenvalues[0])) + 1
    return float(time_from_snr(math.exp(float(brentq(excess, low - 1e-9, high)))))
