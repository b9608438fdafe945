"""What the choice of n points adds to a law: bands near the collapse, and standard errors.

With i = log P(x_t|a)/P(x_t) and q = (n - 1) e^{-i}, what the other points weigh on average over
sets of points,

    log n - I  <=  E[H(w)]  <=  log n - I + E log(1 - 1/n + e^i/n)  =  E log(1 + q),

concavity of the entropy below, Jensen's inequality above. The same within the class of a, where
e^i/n becomes e^i/(n p_c), bounds H(index | class, x_t); likewise phi_C >= E[1/(1 + q)].

phi, the entropies and the mmse are the least mean loss of a guess at x_t (Brier, logarithmic,
square), so that to first order in 1/n a point moves them by its own mean loss E[loss | a], and the
choice has the variance Var_a(E[loss | a])/n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..common.rng import numpy_generator, torch_generator
from ..populations.mixture import GaussianMixture
from ..process import signal, variance

_POINTS = 2500  # with two noises each
LOO, WITHIN = "same_class_probability_loo", "within_class_entropy"
LOSSES = LOO, "class_entropy", "information", WITHIN, "mmse"


@dataclass(frozen=True)
class Chosen:
    """What n points add to the law, (T,) each: the width of the bands in nats, E[1/(1 + q)], and
    the standard error from their choice, by curve."""

    gap: np.ndarray
    gap_within: np.ndarray
    same_point: np.ndarray
    choice: dict[str, np.ndarray]


def chosen(law: GaussianMixture, t: np.ndarray, n: int, seed: int) -> Chosen:
    """Averages over points under two noises each.

    The covariance of the losses under the two noises is the variance of their mean given the
    point; z and -z serve together, which takes out what is linear in z and would drown it at
    large t. Dimensions across the span of the means, D of them, tell nothing of the class; there
    i is (D/2) log(Gamma/Delta) and half a difference of chi-squares (`information_density`).
    """
    near = law.in_span() if law.isotropic else law
    rest = law.d - near.d
    s2 = float(law.covariances[0].diagonal[0])
    losses = np.empty((len(t), len(LOSSES), 2, 2, _POINTS))  # noise, sign
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
    choice = dict(zip(LOSSES, np.sqrt(spread / n).T, strict=True))
    return Chosen(gap, gap_within, same, choice)


def _least_upper(values: np.ndarray) -> np.ndarray:
    """Mean of (T, 2, 2, m) with a standard error on top, not below 0."""
    points = values.mean(axis=(1, 2))
    error = points.std(axis=1) / math.sqrt(points.shape[1])
    return np.asarray(np.maximum(points.mean(axis=1) + error, 0))


def _losses(
    law: GaussianMixture, t: float, a: torch.Tensor, labels: torch.Tensor, z: torch.Tensor
) -> np.ndarray:
    """(5, m): what point a adds to each of `LOSSES` (the second is also -log p_c, the third i)."""
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
