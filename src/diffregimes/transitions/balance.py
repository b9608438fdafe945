"""Speciation by `balance`: where the mean log-odds of the classes balance their fluctuation.

For x_t from class a let D_ab = log P_a(x_t)/P_b(x_t), and M_ab = E_a[D_ab] = KL(P_a || P_b). Since
E_a[e^{-D}] = 1, a Gaussian D has the variance 2 M: mean and standard deviation balance at M = 2,
and there phi = 0.775. For more than two classes, or unequal ones, the means M_ab = (M_ab + M_ba)/2
are those of a Gaussian channel with classes at squared distances 2 M_ab, whose phi has to reach the
level of `clone-loo`; for two equal classes this is M = 2.

The estimate is that of leave-one-out weights, D_ab = log (p'_a/n_a)/(p'_b/n_b). Where few points
decide, p' is overconfident and its log-sums are off by many nats, but alike for both classes: of
the mean over both directions little is left. To be rid of the rest the weights are heated,
w' ~ e^{beta l}, to the largest beta at which many points compete, where M(beta) is that of the
population; and M(beta) is carried on to beta = 1. For Gaussian classes, with the variance s_k^2 and
the distance delta_k of the means in direction k,

    M(beta) = (beta/2) sum_k delta_k^2/(Delta + beta s_k^2),

so that beta/M is concave in beta, and log M in log beta too: a straight line of the one and of the
other, each with the slope that was seen, lie on either side. Classes that differ by their spread
add (beta^2/4) sum_k (s_ak^2 - s_bk^2)^2 / [(Delta + beta s_ak^2)(Delta + beta s_bk^2)]; there
M/beta rises as long as Delta > beta s^2, and lies between the last value seen and its straight
line. The interval spans both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..common import numerics
from ..common.parallel import Progress
from ..data.cloud import Cloud
from ..posterior.left_out import GROUPS, T95, heated_log_odds
from ..process import Schedule, time_from_snr
from ..results import TransitionTime
from ..theory import class_channel
from .crossing import clocked

MOST_CLASSES = 32  # every pair of classes is measured
FEWEST = 4  # points of a class
CALM = 0.02  # E[sum w'^2] below which many points compete
_COOLING = 0.8 ** np.arange(16)  # inverse temperatures that are tried
_SLOPE = 0.64  # the slope at beta is that between beta and this times it
_AROUND = np.linspace(-0.8, 0.8, 5)  # in log gamma
_TRIES = 4
ONE_SIDED = 0.5  # of M: half the difference of the two directions that is told as a warning


@dataclass(frozen=True)
class Carried:
    """The mean log-odds at beta = 1: the value, and the ends between which it lies. (...)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def carried(log_odds: np.ndarray, beta: float) -> Carried:
    """From M at `beta` and at 0.64 `beta`, (2, ...), to beta = 1."""
    here, before = np.maximum(log_odds, 1e-12)
    if beta == 1:
        return Carried(here, here, here)
    # M/beta ~ beta^bend near beta
    bend = np.clip(np.log(here / before) / -math.log(_SLOPE) - 1, -0.95, 1)
    last = here / beta
    power = last * beta**-bend
    middle = beta * math.sqrt(_SLOPE)
    fall = np.minimum(bend, 0)
    rate = -fall / (middle * (1 + fall))  # beta/M = const (1 + rate beta)
    below = last * (1 + rate * beta) / (1 + rate)
    above = last * (1 + bend * (1 / beta - 1))
    falls = bend < 0
    low = np.where(falls, below, last)
    high = np.where(falls, power, above)
    return Carried(np.where(falls, np.sqrt(below * power), power), low, high)


def balance_time(
    cloud: Cloud,
    start: float,
    schedule: Schedule,
    level: float,
    *,
    blocks: int,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> TransitionTime:
    """Speciation by `balance`, looked for from log gamma = `start` on."""
    why = _unfit(cloud)
    if why:
        return clocked(schedule, "speciation", "balance", None, warnings=(why,))
    weights = np.diff(cloud.bounds) / cloud.n
    for _ in range(_TRIES):
        nodes = start + _AROUND
        times = time_from_snr(np.exp(nodes))
        beta = _calm(cloud, float(times[len(times) // 2]), seed, memory_mib)
        seen = heated_log_odds(
            cloud, times, beta * np.array([1.0, _SLOPE])[: 1 if beta == 1 else 2],
            blocks=blocks, seed=seed, memory_mib=memory_mib, progress=progress,
        )  # fmt: skip
        odds = np.moveaxis(seen.log_odds, 1, 0)  # (B, T, 1 + G, K, K)
        both = _unbiased((odds + odds.swapaxes(-1, -2)) / 2)
        at_one = carried(both if beta < 1 else np.repeat(both, 2, axis=0), beta)
        phi = np.concatenate(
            [class_channel.agreement(2 * x, weights, seed)
             for x in (at_one.value, at_one.low[:, :1], at_one.high[:, :1])], axis=1,
        )  # fmt: skip
        places = numerics.crossings(nodes, phi.T, level)
        if np.isfinite(places).all():
            return _timed(places, seen.beta, odds, nodes, schedule)
        start = _nearer(nodes, phi[:, 0], places[0], level)
    why = "the log-odds of the classes do not balance within the range searched"
    return clocked(schedule, "speciation", "balance", None, warnings=(why,))


def _unbiased(log_odds: np.ndarray) -> np.ndarray:
    """Without what the finite number of points adds, to first order in 1/n (jackknife); the sets
    without a group (B, T, 1 + G, K, K) move with the whole."""
    whole, without = log_odds[:, :, :1], log_odds[:, :, 1:]
    bias = (GROUPS - 1) * (without.mean(axis=2, keepdims=True) - whole)
    return np.asarray(log_odds - bias)


def _nearer(nodes: np.ndarray, phi: np.ndarray, place: float, level: float) -> float:
    """Where to look next: around the crossing, or towards it."""
    if math.isfinite(place):
        return float(place)
    return float(nodes[-1] if phi[-1] < level else nodes[0])


def _unfit(cloud: Cloud) -> str:
    counts = np.diff(cloud.bounds)
    if len(counts) > MOST_CLASSES:
        return f"{len(counts)} classes: the pairs of up to {MOST_CLASSES} are compared"
    if counts.min() < FEWEST:
        return f"a class has {counts.min()} points; expected {FEWEST} or more in each"
    return ""


def _calm(cloud: Cloud, t: float, seed: int, memory_mib: int) -> float:
    """The largest beta at which many points compete for x_t."""
    for few in np.array_split(_COOLING, 4):
        seen = heated_log_odds(
            cloud, np.array([t]), few, blocks=1, seed=seed, memory_mib=memory_mib
        )
        calm = np.flatnonzero(seen.same_point[0] <= CALM)
        if len(calm):
            return float(few[calm[0]])
    return float(_COOLING[-1])


def _timed(
    places: np.ndarray, beta: np.ndarray, odds: np.ndarray, nodes: np.ndarray, schedule: Schedule
) -> TransitionTime:
    """The time from crossings in log gamma: whole set, without each group, low and high."""
    whole, without, (low, high) = places[0], places[1:-2], places[-2:]
    error = T95 * math.sqrt((GROUPS - 1) * without.var())
    ends = np.array([min(whole, low, high) - error, max(whole, low, high) + error])
    t, *bounds = (float(time_from_snr(math.exp(x))) for x in (whole, ends[1], ends[0]))
    warnings = []
    if beta[0] < 1:
        warnings.append(
            f"few training points decide the class at t_S: their weights were heated to "
            f"{beta[0]:.2g} of the inverse temperature, where many compete, and the log-odds "
            "carried back; the interval spans two ways to do so"
        )
        at = int(np.argmin(np.abs(nodes - whole)))
        one = odds[0, at, 0]
        mean, half = np.abs(one + one.T).mean() / 2, np.abs(one - one.T).mean() / 2
        if half > ONE_SIDED * mean:
            warnings.append(
                f"the log-odds of the two directions differ by {2 * half / beta[0]:.2g} nats: the "
                "classes differ by their spread, which few points show badly"
            )
    return clocked(schedule, "speciation", "balance", t, (bounds[0], bounds[1]), tuple(warnings))
