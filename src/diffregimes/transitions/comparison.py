"""The exact theory of a mixture beside the analysis of points drawn from it.

Far above the collapse, I(a; x_t) well below log n, many points compete for x_t and every curve is
that of the population: phi and the class entropy, I(a; x_t), the excess entropy log n - I, the
mmse. Nearer to the collapse the number of points within reach of x_t fluctuates, and the mean over
sets of n points is another: for classes that are isotropic, each with its own spread, it is known
(`theory.finite_n`) for the entropies, F and phi_C at every t. For other laws the theory of an
entropy is a band that the mean lies in (`choice`), and z counts standard errors from the band.

The standard error of z has these parts:
- the draws of the analysis, sigma^2/m for m pairs of draws, and those of the theory where it has no
  quadrature;
- the choice of the n points, to first order in 1/n (`choice`). A draw that is decided follows it no
  more: log(1 + S) moves by 1 - w_mu of what log S does, on average by 1 - phi_C;
- beside it, what the chance neighbours of each point do where few compete: n points know as much
  of it as n pairs of draws, sigma^2/n, in the share phi_C of the draws that few decide (for phi_C
  itself in all). This is no theorem: mean z^2 over sets of points is 0.4 to 1.5 with it.
- for phi and the mmse, to second order: the weights of 1/phi_C points that compete for x_t have a
  relative variance of phi_C, which moves phi by about (1 - phi) phi_C, the mmse by mmse phi_C, and
  the class entropy, where its mean is not known, by (K - 1) phi_C/2.

z is given where the band, or the second order, is smaller than the rest; for phi and the class
entropy moreover where the classes of some draws are open, and for phi_C and the excess entropy
where some draws are decided, or not: draws do not know the error of what they hardly ever see.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..common.rng import numpy_generator
from ..populations.mixture import GaussianMixture
from ..results import Comparison, Curves, TransitionTime
from ..theory import finite_n
from .choice import LOO, WITHIN, Chosen, chosen
from .collapse import BOUNDED, FREE
from .exact_times import DRAWS, By, crossing, exact_time, of_points

_SOBOL = 2048  # points of the cube for the means over sets of n points, over the classes
NEAR = 0.002, 0.98  # phi_C of times for which these means are computed
_UNDECIDED = 20  # draws: (1 - phi) times their number, and the like
SAME = "same_point_probability"
EXCESS = "excess_entropy_over_alpha"


def compare(
    law: GaussianMixture,
    curves: Curves,
    times: tuple[TransitionTime, ...],
    n: int,
    level: float,
    seed: int = 0,
) -> Comparison:
    """The theory of `law` on the times of `curves`, from a dataset of n of its points.

    The classes of the dataset are the components of the law. `level` is phi at speciation
    (`criteria.clone_level`).
    """
    # other draws than those a dataset of the same seed may consist of
    seed = int(numpy_generator(seed, "comparison").integers(2**62))
    known = law.population_curves(curves.t, draws=DRAWS, seed=seed)
    choice = chosen(law, curves.t, n, seed)
    means, own = _means(law, curves.t, choice.same_point, n, seed)
    population = _own_errors(known, math.log(n))
    own = {k: np.where(np.isnan(v), population.get(k, v), v) for k, v in own.items()}
    own = {**population, **own}
    low, high = _bands(known, choice, n)
    for side in (low, high):
        side.update({k: np.where(np.isnan(v), side.get(k, v), v) for k, v in means.items()})
    width = _widths(known, choice, n, law.n_components, means)
    more = _choice_errors(curves, choice, n, means)
    rare = _rare_errors(law, known, n, curves.draws)
    together = own | {k: np.hypot(own[k], x) for k, x in rare.items()}
    z = _z_scores(curves, known, (low, high), width, together, more)
    shift = np.hypot(width[LOO], own[LOO])
    levels = {"same_class_probability": level, "information": math.log(n)} if times else {}
    met = {name: crossing(law, known, name, at, seed) for name, at in levels.items()}
    exact = [exact_time(law, known, shift, time, n, met) for time in times]
    if means:
        pairs = zip(exact, times, strict=True)
        exact = [of_points(x, time, curves.t, means, more, own) for x, time in pairs]
    return Comparison(low, high, z, tuple(x for x in exact if x is not None))


ONE_VALUE = LOO, "class_entropy", "mmse"  # curves that the law gives a value, not a band


def _means(
    law: GaussianMixture, t: np.ndarray, same_point: np.ndarray, n: int, seed: int
) -> tuple[By, By]:
    """Means over sets of n points and their errors, by curve; none unless classes are isotropic.

    NaN away from the collapse, where `same_point` (T,) is next to 0 or 1: bands are narrow there.
    """
    spreads = np.array([float(c.diagonal[0]) for c in law.covariances]) + np.zeros(len(law.weights))
    if any(c.dimension is not None for c in law.covariances) or not (spreads > 0).all():
        return {}, {}
    near = (same_point > NEAR[0]) & (same_point < NEAR[1])
    if not near.any():
        return {}, {}
    span = ((law.means - law.mean) @ law.basis).numpy()
    classes = finite_n.Classes(law.d, span, spreads, law.weights.numpy())
    log_n, draws = math.log(n), max(64, _SOBOL // law.n_components)
    found = finite_n.means(classes, t[near], log_n, draws, seed)

    def on_the_grid(values: By) -> By:
        out = {k: np.full(len(t), np.nan) for k in values}
        for name, row in values.items():
            out[name][near] = row
        return out

    return on_the_grid(
        {
            EXCESS: found.excess / log_n,
            "information": log_n - found.excess,
            WITHIN: found.within,
            "class_entropy": found.classes,
            FREE: found.free / log_n,
            BOUNDED: found.bounded / log_n,
            SAME: found.same_point,
        }
    ), on_the_grid(
        {
            EXCESS: found.se["excess"] / log_n,
            "information": found.se["excess"],
            WITHIN: found.se["within"],
            "class_entropy": found.se["classes"],
            FREE: found.se["free"] / log_n,
            BOUNDED: found.se["bounded"] / log_n,
            SAME: found.se["same_point"],
        }
    )


def _bands(known: Curves, finite: Chosen, n: int) -> tuple[By, By]:
    """Between what the mean of each curve over sets of n points lies."""
    log_n = math.log(n)
    entropy = known["class_entropy"]
    excess = log_n - known["information"]

    def of_points(nats: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(nats, 0, log_n))

    same = {LOO: known["same_class_probability"], "class_entropy": entropy, "mmse": known["mmse"]}
    top = of_points(excess + finite.gap)
    low = {
        **same,
        EXCESS: of_points(excess) / log_n,
        WITHIN: of_points(excess - entropy),
        "information": log_n - top,
        SAME: finite.same_point,
    }
    high = {
        **same,
        EXCESS: top / log_n,
        WITHIN: of_points(excess - entropy + finite.gap_within),
        "information": log_n - of_points(excess),
        FREE: (math.log(n - 1) - known["information"]) / log_n,
    }
    return low, high


def _widths(known: Curves, finite: Chosen, n: int, classes: int, means: By) -> By:
    """The width of the band of each curve, or the second order of the choice of the points."""
    # root mean squares of sums of K - 1 squares, whose means the module's docstring gives
    second = math.sqrt((classes + 1) / max(classes - 1, 1)) * finite.same_point
    width = {
        LOO: (1 - known["same_class_probability"]) * second,
        "class_entropy": (classes - 1) / 2 * second,
        "mmse": known["mmse"] * finite.same_point,
        "information": finite.gap,
        EXCESS: finite.gap / math.log(n),
        WITHIN: finite.gap_within,
    }
    # a number has no width; what classes do to sets of points is known to first order alone
    sure = (k for k in means if k not in ("class_entropy", WITHIN))
    exact = {k: np.where(np.isnan(means[k]), width.get(k, np.inf), 0.0) for k in sure}
    return {**width, **exact}


def _rare_errors(law: GaussianMixture, known: Curves, n: int, draws: int) -> By:
    """Standard errors of what draws of open class add, where there are too few to show them.

    m of them are expected to be seen, and as many as a Poisson number are: x of all of them has the
    error x/sqrt(m), and is missing as a rule where m is below 1.
    """
    open_ = 1 - known["same_class_probability"]
    seen = draws * open_
    share = np.where(seen < _UNDECIDED, 1 / np.sqrt(np.maximum(seen, 1)), 0)
    between = float(torch.pdist(law.means).square().max())
    return {
        "mmse": share * open_ / 2 * between,  # E[sum p_a p_b |m_a - m_b|^2] / 2 at the most
        "information": share * known["class_entropy"],
        EXCESS: share * known["class_entropy"] / math.log(n),
    }


def _choice_errors(curves: Curves, finite: Chosen, n: int, means: By) -> By:
    """Standard errors from the choice of the points, of every curve that is judged."""
    first = {**finite.choice, EXCESS: finite.choice["information"] / math.log(n)}
    if not means:
        return first
    decided = np.nan_to_num(means[SAME], nan=0.0)  # beyond, first order is all
    pairs = curves.draws / 2
    out = dict(first)
    for name in (EXCESS, "information", FREE, BOUNDED, SAME):
        neighbours = curves.se[name] ** 2 * pairs / n  # sigma^2/n
        if name == SAME:
            out[name] = np.sqrt(neighbours)
        else:
            follows = 1.0 if name in (FREE, BOUNDED) else 1 - decided
            lost = follows * out.get(name, first[EXCESS])
            out[name] = np.sqrt(lost**2 + decided * neighbours)
    return out


def _own_errors(known: Curves, log_n: float) -> By:
    """Standard errors of the theory, from its draws."""
    return {
        **known.se,
        LOO: known.se["same_class_probability"],
        EXCESS: known.se["information"] / log_n,
        WITHIN: known.se["information"],  # of -I - H(class | x_t): the class entropies cancel
    }


def _z_scores(
    curves: Curves, known: Curves, band: tuple[By, By], width: By, own: By, choice: By
) -> By:
    """Standard errors outside the band, NaN where its width is not the smaller."""
    z = {}
    low, high = band
    seen = curves.draws * (1 - known["same_class_probability"])
    rare = {LOO: seen, "class_entropy": seen}
    if SAME in choice:
        decided = low[SAME]  # a lower bound where it is no number
        few = curves.draws * np.minimum(decided, 1 - decided)
        rare |= dict.fromkeys((EXCESS, "information"), curves.draws * (1 - decided)) | {SAME: few}
    for name, chosen_error in choice.items():
        total = np.sqrt(curves.se[name] ** 2 + chosen_error**2 + own[name] ** 2)
        clear = width[name] < total
        clear &= rare.get(name, np.full(len(total), np.inf)) >= _UNDECIDED
        if name in ONE_VALUE:
            total = np.hypot(total, width[name])
        outside = curves[name] - np.clip(curves[name], low[name], high[name])
        z[name] = np.where(clear, outside / np.maximum(total, 1e-12), np.nan)
    return z
