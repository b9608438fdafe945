"""The danger zone: noise levels at which new points are drawn onto training points.

At t the exact score of the training points takes a state x_t to E[a|x_t] = sum w_nu a_nu. Two
things decide whether it makes a copy of it:

    W(t) = E max_nu w_nu(x_t)   over noised training points: how much of the weight one point holds
    C(t) = P(x_t within a shell)    over noised held-out points: how many lie where training
                                    points, noised, lie themselves.

A shell is the ball about e^{-t} a_nu in which 95 % of the states noised from a_nu lie,
|x_t - e^{-t} a_nu|^2 <= Delta_t q, q the 95 % point of chi^2 in d dimensions. At large t the shells
overlap and hold everything, C near 1, and none of them weighs much, W near 0; at small t they are
small and apart, W near 1, and what is new lies outside of all of them, C near 0. Both ends are calm
("Two calm ends", arXiv 2602.17846). Where W >= 0.8 and C >= 1/2 a new point lies within the shell
of a single training point as a rule, and the exact score takes it there: a network that learned it
less well there copies less. In units of the noise a shell is thick, 2.3 sqrt(d), against the 2 log
n nats that tell n points apart: the zone is one of many dimensions, and there is none where
held-out points are far from the training points.

For a held-out point at the distance delta from a training point, |x_t - e^{-t} a|^2/Delta_t is a
noncentral chi^2 in d dimensions with noncentrality gamma delta^2. W, C and their errors are means
over points, each noised by z and -z; the same z at all t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from ..common.checks import InputError
from ..common.numerics import Z95
from ..common.rng import numpy_generator
from ..data.alike import analyzed_points, check_alike
from ..data.datasets import Dataset
from ..process import Schedule, snr, time_from_snr
from ..results import Analysis
from . import clocks
from .told import Item, Level, Setting

DANGER = "Where must I not undertrain, and where rather?"
HELD, MOST, WITHIN = 0.8, 0.5, 0.95  # of W, of C, and of the states of a point in its shell
POINTS, TIMES = 512, 48  # of each set at most, and of the grid
_SAME = 1e-12  # of its square length: a point is no nearer to another one by rounding
NO_HELD_OUT = (
    "It takes points that are not trained on: --held-out PATH beside the data, or "
    "advise(dataset=..., held_out=...)."
)


@dataclass(frozen=True)
class Shells:
    """W and C of the module's law at increasing t (T,), with standard errors over points; `shared`
    held-out points were training points, and left out."""

    t: np.ndarray
    weight: np.ndarray
    weight_se: np.ndarray
    within: np.ndarray
    within_se: np.ndarray
    shared: int = 0


def shells(
    training: np.ndarray,
    held_out: np.ndarray,
    times: np.ndarray,
    *,
    points: int = POINTS,
    seed: int = 0,
    memory_mib: int = 1024,
) -> Shells:
    """W over `points` training points (n, d) and C over as many held-out ones (m, d).

    Raises `InputError` where fewer than two held-out points are no training points.
    """
    mean = training.mean(axis=0, dtype=np.float64)
    gamma, limit = snr(times), float(chdtri(training.shape[1], 1 - WITHIN))
    rows = max(1, memory_mib * 2**20 // (64 * len(training)))
    rng = numpy_generator(seed, "shells")
    whole, means = training - mean, []
    for own, of in (whole, _weights), (held_out - mean, _within):
        chosen = rng.permutation(len(own))[:points]
        noise = rng.standard_normal((len(chosen), own.shape[1]))
        parts = range(0, len(chosen), rows)
        found = [
            of(own[chosen[k : k + rows]], noise[k : k + rows], whole, gamma, limit) for k in parts
        ]
        means.append(np.concatenate(found))
    known = ~np.isnan(means[1][:, 0])
    if known.sum() < 2:
        raise InputError(
            f"{int(known.sum())} of {len(known)} held-out points are no training points; expected "
            "two or more points that are not trained on."
        )
    (weight, weight_se), (within, within_se) = (_mean(x) for x in (means[0], means[1][known]))
    return Shells(times, weight, weight_se, within, within_se, int((~known).sum()))


def _mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over points (k, T), and the standard error."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def _products(
    own: np.ndarray, noise: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """|a - a_nu|^2 and z.(a - a_nu), (k, n)."""
    square = (own**2).sum(1)[:, None] + (points**2).sum(1) - 2 * own @ points.T
    return np.maximum(square, 0), (noise * own).sum(1)[:, None] - noise @ points.T


def _weights(
    own: np.ndarray, noise: np.ndarray, points: np.ndarray, gamma: np.ndarray, _: float
) -> np.ndarray:
    """max w (k, T) of states noised from training points, mean over both signs of the noise."""
    square, along = _products(own, noise, points)
    out = np.zeros((len(own), len(gamma)))
    for k, g in enumerate(gamma):
        for sign in (1, -1):
            exponent = -0.5 * g * square - sign * np.sqrt(g) * along
            exponent -= exponent.max(axis=1, keepdims=True)
            out[:, k] += 0.5 / np.exp(exponent, out=exponent).sum(axis=1)
    return out


def _within(
    own: np.ndarray, noise: np.ndarray, points: np.ndarray, gamma: np.ndarray, limit: float
) -> np.ndarray:
    """1 where a state noised from a held-out point lies within a shell (k, T), mean over both
    signs; NaN for held-out points that are training points."""
    square, along = _products(own, noise, points)
    long = (noise**2).sum(axis=1)
    out = np.zeros((len(own), len(gamma)))
    for k, g in enumerate(gamma):
        for sign in (1, -1):
            nearest = (g * square + 2 * sign * np.sqrt(g) * along).min(axis=1)
            out[:, k] += 0.5 * (nearest + long <= limit)
    out[square.min(axis=1) <= _SAME * (own**2).sum(axis=1)] = np.nan
    return out


def danger(
    analysis: Analysis,
    clock: Schedule,
    dataset: Dataset | None,
    held_out: Dataset | None,
    *,
    memory_mib: int = 1024,
) -> Item:
    """The levels where W >= 0.8 and C >= 1/2; unanswered without held-out points."""
    if held_out is None:
        return Item("danger zone", DANGER, NO_HELD_OUT, answered=False)
    if dataset is None:
        raise InputError(
            "held-out points came without the data, which an analysis does not hold; give both: "
            "advise(dataset=..., held_out=...)."
        )
    own = analyzed_points(analysis, dataset)
    check_alike(own, held_out)
    first, last = np.log(snr(analysis.curves.t[[0, -1]])).tolist()
    times = time_from_snr(np.exp(np.linspace(first, last, TIMES)))
    found = shells(
        own.points[:], held_out.points[:], times, seed=analysis.recipe.seed, memory_mib=memory_mib
    )
    return told(found, clock)


def told(found: Shells, clock: Schedule) -> Item:
    """What W and C say."""
    zeros = np.zeros_like(found.t)
    top = clocks.crossing(
        f"W = {HELD:g}", clock, found.t, (found.weight,) * 2, (found.weight_se, zeros), HELD
    )
    outside = 1 - found.within  # falls with t, as W does
    bottom = clocks.crossing(
        f"C = {MOST:g}", clock, found.t, (outside,) * 2, (found.within_se, zeros), 1 - MOST
    )
    lists = {k: getattr(found, k).tolist() for k in ("t", "weight", "within")}
    lists |= {f"{k}_se": getattr(found, f"{k}_se").tolist() for k in ("weight", "within")}
    both = np.minimum(found.weight / HELD, found.within / MOST)
    said, answered = _said(found, top, bottom, clock)
    if found.shared:
        said += f" {found.shared} of the held-out points drawn are training points: left out."
    return Item(
        "danger zone",
        DANGER,
        said,
        answered=answered,
        settings=(bottom, top),
        numbers={"both, of what is asked": float(both.max())},
        lists=lists,
        formula=f"W = E max w ≥ {HELD:g} on noised training points and C = P(|x_t − e^(−t) a|² ≤ "
        f"Δ χ²_d({WITHIN:.0%}) for a training point a) ≥ {MOST:g} on noised held-out points",
        assumes="the held-out points are of the law of the training points",
        unknown="how much less a network copies that is undertrained there, and what it costs its "
        "samples",
    )


def _said(found: Shells, top: Setting, bottom: Setting, clock: Schedule) -> tuple[str, bool]:
    """The answer, and whether it is one."""
    if top.at is None:
        return (
            f"There is no such level: W is {found.weight.max():.2f} at most, no training point "
            "holds most of the weight at any level studied.",
            True,
        )
    reached = found.within[found.t <= top.at.t]
    if bottom.at is None and reached.size and reached.min() >= MOST:
        return (
            f"From {clocks.steps_of(top, clock)} down to the data: most held-out points lie within "
            "the shells of training points at any level. They are near copies of them: held-out "
            "points that are apart would tell more.",
            True,
        )
    at = float(np.interp(top.at.t, found.t, found.within))
    se = float(np.interp(top.at.t, found.t, found.within_se))
    # C at the level where W falls below, by the errors of both
    ends = [found.within + k * Z95 * found.within_se for k in (-1, 1)]
    low = float(np.interp(_end(top.low, top.at.t), found.t, ends[0]))
    high = float(np.interp(_end(top.high, top.at.t), found.t, ends[1]))
    if high < MOST:
        return (
            f"There is no such level: where one training point holds {HELD:.0%} of the weight, "
            f"from {clocks.steps_of(top, clock)} on, {at:.0%} ± {Z95 * se:.0%} of the held-out "
            "points lie within a shell of a training point, and fewer below. Nothing new is drawn "
            "onto a single point.",
            True,
        )
    if low < MOST:
        return (
            f"It cannot be told: where W falls below {HELD:g}, at {clocks.steps_of(top, clock)}, C "
            f"is {at:.2f}, and the errors of the two leave open whether it is above {MOST:g}. More "
            "held-out points may tell.",
            False,
        )
    first = "the data" if bottom.at is None else clocks.steps_of(bottom, clock)
    return (
        f"Rather undertrain from {clocks.steps_of(top, clock)} to {first}: there one training "
        f"point holds {HELD:.0%} of the weight and more, and most held-out points, noised, lie "
        "within the shells of training points, so that the exact score of the points takes what is "
        "new to one of them. Levels outside may be trained in full.",
        True,
    )


def _end(level: Level | None, otherwise: float) -> float:
    """t of an end of an interval, where there is one."""
    return otherwise if level is None else level.t
