"""How the choice of the training set moves phi_loo: the sampling error of the population's phi.

phi = integral of sum_c P_c(x)^2 / P(x) is a functional of the data law in which a point counts
twice, as the true point of x and as one of the candidates. Its derivative in the direction of a
point a of class c, the influence of a, is E[2 p_c(x) - sum p^2 | x noised from a] - phi. By Bayes'
rule an average over x noised from a is one over all x weighted by n w_a(x), so a few thousand
draws know the influence of all n points at once. What noise they leave is uncorrelated between
two halves of the draws; the covariance of the halves is the variance over points without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..common.parallel import workers
from ..common.rng import numpy_generator
from ..data.cloud import Cloud, square_distances
from ..posterior.moments import PAIRS_PER_BLOCK, draw_block, exponents
from ..process import snr
from .crossing import Resampled

BLOCKS = 8  # 2048 draws


@dataclass(frozen=True)
class Influence:
    """Variances over training points at time t: of the whole influence, and of the part a point
    has as the true point alone, E[sum p^2 | x noised from a]."""

    t: float
    whole: float
    as_true_point: float


def loo_influence(cloud: Cloud, t: float, *, seed: int = 0, memory_mib: int = 1024) -> Influence:
    """Estimate the influence of every point on phi_loo(t) from `BLOCKS` blocks of draws."""
    scaled = float(snr(t)) * cloud.scale**2
    # some 60 bytes for each row and point, for each of the workers
    rows = int(np.clip(memory_mib * 2**20 // (256 * cloud.n), 1, PAIRS_PER_BLOCK))

    def block_sums(block: int) -> np.ndarray:
        return _column_sums(cloud, block, scaled, seed, rows)

    with workers(cloud.coordinates.device, memory_mib) as pool:
        sums = np.stack(list(pool.map(block_sums, range(BLOCKS))))
    halves = np.stack([sums[::2].mean(axis=0), sums[1::2].mean(axis=0)])  # (half, kind, n)
    halves -= halves.mean(axis=2, keepdims=True)
    whole, own = (halves[0] * halves[1]).mean(axis=1).clip(min=0)
    return Influence(t, float(whole), float(own))


def _column_sums(cloud: Cloud, block: int, gamma: float, seed: int, rows: int) -> np.ndarray:
    """(2, n): n times the mean over draws of w'_nu (2 p_c - sum p^2), and of w'_nu sum p^2."""
    drawn = draw_block(cloud, block, seed)
    out = torch.zeros(2, cloud.n, dtype=torch.float64, device=cloud.coordinates.device)
    slices = list(zip(cloud.bounds, cloud.bounds[1:], strict=False))
    for start in range(0, PAIRS_PER_BLOCK, rows):
        chosen, noise = drawn.points[start : start + rows], drawn.noise[start : start + rows]
        own = cloud.coordinates[chosen]
        square = square_distances(own, cloud.coordinates)
        along = noise @ cloud.coordinates.T - (noise * own).sum(1, keepdim=True)
        for sign in (1.0, -1.0):
            logits = exponents(square, sign * along, gamma)
            logits[torch.arange(len(chosen)), chosen] = -torch.inf
            weight = torch.softmax(logits, dim=1)
            by_class = torch.stack([weight[:, a:b].sum(1) for a, b in slices], dim=1)
            same = by_class.square().sum(1)
            out[1] += same @ weight
            for c, (a, b) in enumerate(slices):
                out[0, a:b] += (2 * by_class[:, c] - same) @ weight[:, a:b]
    return (out * (cloud.n / (2 * PAIRS_PER_BLOCK))).cpu().numpy()


def of_population(curves: Resampled, influence: Influence, n: int, seed: int = 0) -> Resampled:
    """The curves with phi_loo resampled as an estimate of the population.

    What the resamples at hand owe to the choice of all n true points, `as_true_point` / n, is
    taken out, so that they keep the Monte Carlo error; a normal shift of variance `whole` / n
    comes on top, the same at every t: it holds near `influence.t`, where the curve is asked for
    its crossing.
    """
    name = "same_class_probability_loo"
    seen = curves.resamples[name] - curves.mean[name]
    at = int(np.argmin(np.abs(curves.log_gamma - np.log(snr(influence.t)))))
    spread = seen[:, at].var()
    kept = 1 - influence.as_true_point / n / spread if spread else 0.0
    shift = numpy_generator(seed, "population").standard_normal(len(seen))
    sampling = math.sqrt(influence.whole / n) * shift[:, None]
    widened = curves.mean[name] + math.sqrt(max(0.0, kept)) * seen + sampling
    return Resampled(curves.log_gamma, curves.mean, {**curves.resamples, name: widened})
