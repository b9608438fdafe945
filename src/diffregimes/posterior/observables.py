"""Observables: pure functions from the moments of the posterior weights to numbers a draw.

With F the leave-one-out free energy, the true point has weight w_mu = 1/(1 + e^F) and every
other w_nu = (1 - w_mu) w'_nu. So, writing q = 1 - w_mu,

    log sum_nu e^{l_nu} = log(1 + e^F)         H(w) = log(1 + e^F) - q E'[l]
    sum w^2 = w_mu^2 + q^2 sum w'^2            p_c = q p'_c + w_mu [c = class of mu]
    mmse = (q/2) E'|a_mu - a_nu|^2             H(w) = H(class) + H(index | class).

None of these loses digits where w_mu tends to 0 or to 1. THEORY: E[H(w)] = d f^e is the excess
entropy of the paper (per training set, not the quantity of that name in liquid-state physics
or in complexity theory), E[w_mu] = E[sum w^2] is the Nishimori identity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .moments import Moments

# Curves that lie between 0 and 1 and that the requested precision is about.
PRECISION_CURVES = (
    "excess_entropy_over_alpha",
    "same_point_probability",
    "same_class_probability",
    "same_class_probability_loo",
)


def entropy(probability: Tensor) -> Tensor:
    """-sum p log p over the last axis, in nats."""
    out: Tensor = torch.special.entr(probability).sum(-1)
    return out


def observables(found: Moments, own_class: Tensor, n: int) -> dict[str, Tensor]:
    """Every observable of each draw, of the leading shape of the moments.

    `own_class` (p,) is the class of the true point of each pair, `n` the number of training
    points. Entropies are in nats unless the name says otherwise; mmse is in squared data units.
    """
    free = found.log_sum
    own = torch.sigmoid(-free)
    other = torch.sigmoid(free)
    log_sum = torch.nn.functional.softplus(free, threshold=40.0)
    index_entropy = log_sum - other * found.mean_log
    loo = found.class_probability
    mine = torch.nn.functional.one_hot(own_class, loo.shape[-1]).to(loo.dtype)
    of_class = other[..., None] * loo + own[..., None] * mine
    class_entropy = entropy(of_class)
    same_point = own.square() + other.square() * found.log_square.exp()
    log_n = math.log(n)
    return {
        "excess_entropy_over_alpha": index_entropy / log_n,
        "excess_entropy_over_alpha_logsum": log_sum / log_n,
        "information": log_n - index_entropy,
        "same_point_probability": same_point,
        "own_point_probability": own,
        "same_class_probability": of_class.square().sum(-1),
        "same_class_probability_loo": loo.square().sum(-1),
        "loo_free_energy_over_log_n": free / log_n,
        "class_entropy": class_entropy,
        "within_class_entropy": index_entropy - class_entropy,
        "mmse": 0.5 * other * found.mean_square_distance,
        "effective_points": index_entropy.exp(),
        "effective_points_participation": 1 / same_point,
    }


CURVES = {
    "same_class_probability_loo": "same class",
    "class_entropy": "class entropy",
    "information": "information",
    "within_class_entropy": "within-class entropy",
    "mmse": "mmse",
    "excess_entropy_over_alpha": "excess entropy",
}
