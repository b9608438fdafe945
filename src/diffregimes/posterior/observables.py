"""Observables: pure functions from the moments of the posterior weights to numbers a draw.

With F the leave-one-out free energy, the true point has weight w_mu = 1/(1 + e^F) and every
other w_nu = (1 - w_mu) w'_nu. So, writing q = 1 - w_mu,

    log sum_nu e^{l_nu} = log(1 + e^F)         H(w) = log(1 + e^F) - q E'[l]
    sum w^2 = w_mu^2 + q^2 sum w'^2            p_c = q p'_c + w_mu [c = class of mu]
    mmse = (q/2) E'|a_mu - a_nu|^2             H(w) = H(class) + H(index | class).

What the other points' own best denoiser loses on the point mu is the slope of F, since log(n - 1) -
F is how far, in nats, their law lies from that of a_mu noised (I-MMSE of a mismatched law, Verdu
2010):

    E|a_mu - E'[a]|^2 = -2 dE[F]/dgamma = E[E'|a_mu - a_nu|^2/2 - E'[l]/gamma].

None of these loses digits where w_mu tends to 0 or to 1. What is needed of the K classes are four
sums over p' (`ClassWeights`), in which those with w_mu are, a being the class of mu,

    sum p^2 = q^2 sum p'^2 + 2 q w_mu p'_a + w_mu^2
    H(class) = q H(p') - q log q + eta(q p'_a + w_mu) - eta(q p'_a),   eta(x) = -x log x.

THEORY: E[H(w)] = d f^e is the excess
entropy of the paper (per training set, not the quantity of that name in liquid-state physics
or in complexity theory), E[w_mu] = E[sum w^2] is the Nishimori identity.

To add an observable is to add its declaration to `OBSERVABLES`: the pass, the curves, results.json
and curves.csv follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..common.numerics import bounded, softplus
from ..data.cloud import Cloud
from .class_weights import LEAST, ClassWeights, class_weights
from .moments import Moments


@dataclass(frozen=True)
class Context:
    """The weights of a block of draws, and what several observables share, computed once.

    `moments` have the leading shape (T, 2, p): time, sign, pair; `of_classes` gives what belongs to
    them. `gamma` (T, 1, 1) is the signal-to-noise ratio in data units, `own_class` (p,) the class
    of the true point of each pair, `class_sizes` (K,) the training points of each class, `d` the
    number of features.
    """

    moments: Moments
    of_classes: Callable[[], ClassWeights]
    own_class: Tensor
    gamma: Tensor
    class_sizes: Tensor
    d: int

    @property
    def n(self) -> int:
        """Training points."""
        return int(self.class_sizes.sum())

    @cached_property
    def log_n(self) -> float:
        return math.log(self.n)

    @cached_property
    def classes(self) -> ClassWeights:
        return self.of_classes()

    @cached_property
    def own(self) -> Tensor:
        """w_mu."""
        return torch.sigmoid(-self.moments.log_sum)

    @cached_property
    def other(self) -> Tensor:
        """q = 1 - w_mu."""
        return torch.sigmoid(self.moments.log_sum)

    @cached_property
    def log_sum(self) -> Tensor:
        """log sum_nu e^{l_nu}, the true point included."""
        return softplus(self.moments.log_sum)

    @cached_property
    def bounded_free_energy(self) -> Tensor:
        """log[(1 + n S)/(n + S)], S = e^F: F itself within +-log n, and never beyond."""
        return bounded(self.moments.log_sum, self.log_n)

    @cached_property
    def index_entropy(self) -> Tensor:
        """H(w), nats."""
        return self.log_sum - self.other * self.moments.mean_log

    @cached_property
    def same_class(self) -> Tensor:
        """sum p^2."""
        mine = self.other * self.classes.own
        return self.other.square() * self.classes.square + (2 * mine + self.own) * self.own

    @cached_property
    def class_entropy(self) -> Tensor:
        """H(class given x), nats."""
        entr = torch.special.entr
        mine = self.other * self.classes.own
        others = self.other * self.classes.entropy + entr(self.other) - entr(mine)
        out: Tensor = (others + entr(mine + self.own)).clamp_min(0)
        return out

    @cached_property
    def log_odds(self) -> Tensor:
        """log p'_a/p'_b per point of the classes, mean over b, for the true class a."""
        classes, sizes = len(self.class_sizes), self.class_sizes.double()
        mine = sizes[self.own_class]
        competing = (mine - 1).clamp_min(1).log()
        own = self.classes.own.clamp_min(LEAST).log() - competing
        every = self.classes.log - (sizes.log().sum() - mine.log() + competing)
        return (classes * own - every) / max(classes - 1, 1)

    @cached_property
    def same_point(self) -> Tensor:
        """sum w^2."""
        return self.own.square() + self.other.square() * self.moments.log_square.exp()


@dataclass(frozen=True)
class Observable:
    """One quantity of every draw; its mean over draws is a curve of `Curves` called `name`.

    `words` are for a reader; `unit` is empty for a pure number; `bounded` ones lie between 0 and 1,
    and those that are `precise` are brought to the standard error that a run asks for. `formula`
    is what docs/results.md shows; `function` gives the leading shape of the moments.
    """

    name: str
    words: str
    unit: str
    bounded: bool
    formula: str
    function: Callable[[Context], Tensor]
    precise: bool = False


OBSERVABLES = (
    Observable(
        "excess_entropy_over_alpha",
        "excess entropy",
        "",
        True,
        "E[H(w)] / log n",
        lambda c: c.index_entropy / c.log_n,
        precise=True,
    ),
    Observable(
        "excess_entropy_over_alpha_logsum",
        "excess entropy by its second route",
        "",
        False,
        "E[log Σ e^ℓ] / log n, the same by another route",
        lambda c: c.log_sum / c.log_n,
    ),
    Observable(
        "information",
        "information",
        "nats",
        False,
        "log n − E[H(w)]",
        lambda c: c.log_n - c.index_entropy,
    ),
    Observable(
        "same_point_probability",
        "same point",
        "",
        True,
        "φ_C = E[Σ w²]",
        lambda c: c.same_point,
        precise=True,
    ),
    Observable(
        "own_point_probability",
        "weight of the true point",
        "",
        True,
        "E[w_μ], equal to φ_C (Nishimori)",
        lambda c: c.own,
    ),
    Observable(
        "same_class_probability",
        "same class, training set",
        "",
        True,
        "φ = E[Σ p²]",
        lambda c: c.same_class,
        precise=True,
    ),
    Observable(
        "same_class_probability_loo",
        "same class",
        "",
        True,
        "φ_loo = E[Σ p'²]",
        lambda c: c.classes.square,
        precise=True,
    ),
    Observable(
        "own_class_probability_loo",
        "true class",
        "",
        True,
        "E[p'_a] of the true class a, equal to φ_loo for the population (Nishimori)",
        lambda c: c.classes.own,
    ),
    Observable(
        "class_log_odds",
        "log-odds of the class",
        "nats",
        False,
        "E[log (p'_a/n_a) / (p'_b/n_b)] of the true class a against another b",
        lambda c: c.log_odds,
    ),
    Observable(
        "loo_free_energy_over_log_n",
        "free energy",
        "",
        False,
        "E[log Σ_{ν≠μ} e^ℓ] / log n, positive above the collapse",
        lambda c: c.moments.log_sum / c.log_n,
    ),
    Observable(
        "bounded_free_energy_over_log_n",
        "bounded free energy",
        "",
        False,
        "E[log((1 + n S)/(n + S))] / log n, S = Σ_{ν≠μ} e^ℓ: F, but at most ±log n in a draw",
        lambda c: c.bounded_free_energy / c.log_n,
    ),
    Observable(
        "class_entropy",
        "class entropy",
        "nats",
        False,
        "E[H(class given x)]",
        lambda c: c.class_entropy,
    ),
    Observable(
        "class_entropy_loo",
        "class entropy, left out",
        "nats",
        False,
        "E[−Σ p' log p'], H(class given x) for the population",
        lambda c: c.classes.entropy,
    ),
    Observable(
        "class_cross_entropy_loo",
        "surprise at the true class, left out",
        "nats",
        False,
        "E[−log p'_a], H(class given x) for the population, and above it by what p' errs",
        lambda c: -c.classes.own.clamp_min(LEAST).log(),
    ),
    Observable(
        "within_class_entropy",
        "within-class entropy",
        "nats",
        False,
        "E[H(index given class and x)]",
        lambda c: c.index_entropy - c.class_entropy,
    ),
    Observable(
        "mmse",
        "mmse",
        "squared data units",
        False,
        "E[Σ w |a_μ − a_ν|²] / 2",
        lambda c: 0.5 * c.other * c.moments.mean_square_distance,
    ),
    Observable(
        "mmse_loo",
        "error on a point left out",
        "squared data units",
        False,
        "E|a_μ − Σ w' a_ν|² = E[½ Σ w' |a_μ − a_ν|² − Σ w' ℓ/γ]",
        lambda c: 0.5 * c.moments.mean_square_distance - c.moments.mean_log / c.gamma,
    ),
    Observable(
        "effective_points",
        "effective points",
        "points",
        False,
        "E[e^H(w)]",
        lambda c: c.index_entropy.exp(),
    ),
    Observable(
        "effective_points_participation",
        "effective points by participation",
        "points",
        False,
        "E[1/Σ w²]",
        lambda c: 1 / c.same_point,
    ),
)

# curves between 0 and 1 that the requested precision is about
PRECISION_CURVES = tuple(x.name for x in OBSERVABLES if x.precise)
CURVES = {x.name: x.words for x in OBSERVABLES}


def observables(
    moments: Moments,
    cloud: Cloud,
    points: Tensor,
    gamma: np.ndarray,
    names: Collection[str] | None = None,
    classes: Callable[[], ClassWeights] | None = None,
) -> dict[str, Tensor]:
    """Every observable of each draw, or those of `names`, in the leading shape (T, 2, p) of the
    moments.

    `points` (p,) are the rows of the cloud that the pairs start from, `gamma` (T,) the
    signal-to-noise ratios; `classes` gives what belongs to the moments where these do not
    hold the probabilities.
    """
    own_class = cloud.labels[points]

    def of_moments() -> ClassWeights:
        probability = moments.class_probability
        index = own_class[:, None].expand(*probability.shape[:-1], 1)
        return class_weights(probability, probability.gather(-1, index)[..., 0])

    ratios = torch.as_tensor(gamma, dtype=torch.float64, device=moments.log_sum.device)
    sizes = torch.as_tensor(np.diff(cloud.bounds), device=moments.log_sum.device)
    context = Context(
        moments, classes or of_moments, own_class, ratios[:, None, None], sizes, cloud.d
    )
    wanted = (x for x in OBSERVABLES if names is None or x.name in names)
    return {x.name: x.function(context) for x in wanted}
