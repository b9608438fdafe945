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

so that beta/M is concave in beta: its straight line, with the slope that was seen, is the lower end
of M(1). M/beta falls: its last value is above M(1), far above as a rule. A power law is near where
one scale of s_k decides, and too low where a direction with small s_k takes over; the upper end is
half-way between the two, in logarithms. Classes that differ by their spread
add (beta^2/4) sum_k (s_ak^2 - s_bk^2)^2 / [(Delta + beta s_ak^2)(Delta + beta s_bk^2)]; there
M/beta rises as long as Delta > beta s^2, and lies between the last value seen and its straight
line. The interval spans both.

Classes made of several clusters have log-odds that are no Gaussian's. phi of the channel is concave
in M, so that their M, a mean over clusters, lies where their phi is lower yet: t comes out too
late. Weights that had to be heated far do not see clusters, and there the interval reaches down to
where the left-out weights no longer tell the true class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..common import numerics
from ..common.parallel import Progress
from ..common.readable import number
from ..data.cloud import Cloud
from ..posterior.groups import GROUPS, T95, Grouped, jackknife_error
from ..posterior.left_out import Heated, HeatedLogOdds, heated_same_point
from ..posterior.left_out import asked as asked_of
from ..process import Schedule, time_from_snr
from ..results import TransitionTime
from ..theory import class_channel
from .crossing import clocked

MOST_CLASSES = 32  # every pair of classes is measured
FEWEST = 4  # points of a class
CALM = 0.02  # E[sum w'^2] below which many points compete
FAR = 0.3  # beta from which the log-odds are carried too far to suppose Gaussian classes
_COOLING = 0.8 ** np.arange(16)  # inverse temperatures that are tried
_STRIDE = 4
_SLOPE = 0.64  # the slope at beta is that between beta and this times it
_AROUND = np.linspace(-0.8, 0.8, 5)  # in log gamma
_TRIES = 5
_WIDEST = 3.0  # in log gamma: an end of the interval that lies beyond is told as that of the range
ONE_SIDED = 0.5  # of M: half the difference of the two directions that is told as a warning


@dataclass(frozen=True)
class Carried:
    """The mean log-odds at beta = 1: the value, and the ends between which it lies. (...)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def carried(log_odds: np.ndarray, beta: float) -> Carried:
    """From M at `beta` and at 0.64 `beta`, (2, ...), to beta = 1."""
    here, before = np.maximum(log_odds[0], 1e-12), np.maximum(log_odds[-1], 1e-12)
    if beta == 1:
        return Carried(here, here, here)
    # M/beta ~ beta^bend near beta
    bend = np.clip(np.log(here / before) / -math.log(_SLOPE) - 1, -0.99, 1)
    last = here / beta
    power = last * beta**-bend
    middle = beta * math.sqrt(_SLOPE)
    fall = np.minimum(bend, 0)
    rate = -fall / (middle * (1 + fall))  # beta/M = const (1 + rate beta)
    below = last * (1 + rate * beta) / (1 + rate)
    above = last * (1 + bend * (1 / beta - 1))
    falls = bend < 0
    low = np.where(falls, below, last)
    high = np.where(falls, np.sqrt(power * last), above)
    return Carried(np.where(falls, np.sqrt(below * power), power), low, high)


def balance_time(
    cloud: Cloud, start: float, schedule: Schedule, level: float, **how: Any
) -> TransitionTime:
    """Speciation by `balance`; `how` as in `balanced`."""
    return balanced(cloud, start, schedule, level, **how)[0]


def balanced(
    cloud: Cloud,
    start: float,
    schedule: Schedule,
    level: float,
    *,
    blocks: int,
    floor: float | None = None,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
    first: tuple[Look, HeatedLogOdds] | None = None,
    parts: Grouped | None = None,
    alike: int = 1,
) -> tuple[TransitionTime, np.ndarray | None]:
    """Speciation by `balance`, looked for from log gamma = `start` on, and log gamma of its
    crossings in the whole set and without each group, (1 + G,), None where there is none.

    floor : the time from which on the left-out weights do not tell the true class, if known
    first : `look(cloud, start)`, if it is known already, with what was seen
    parts : the groups, dealt by the seed without
    alike : as in `left_out.asked`
    """
    why = unfit(cloud)
    if why:
        return clocked(schedule, "speciation", "balance", None, warnings=(why,)), None
    weights = np.diff(cloud.bounds) / cloud.n
    nodes, wanted = np.empty(0), around(start)
    seen: list[_Node] = []
    for _ in range(_TRIES):
        if first is None:
            at = look(cloud, wanted, seed=seed, memory_mib=memory_mib, alike=alike)
            (odds,) = asked_of(
                cloud, [at.question], blocks=blocks, seed=seed, memory_mib=memory_mib,
                progress=progress, parts=parts, alike=alike,
            )  # fmt: skip
            first = at, odds
        seen += _nodes(*first, weights, seed)
        first = None
        seen.sort(key=lambda x: x.log_gamma)
        nodes, phi = np.array([x.log_gamma for x in seen]), np.array([x.phi for x in seen])
        # the crossing at the largest t counts: crossings() takes the largest of -log gamma
        places = -numerics.crossings(-nodes[::-1], phi[::-1].T, level)
        ends = np.where(phi[-1] < level, nodes[-1], nodes[0])  # of rows that do not cross
        wide = nodes[-1] - nodes[0] > _WIDEST and math.isfinite(places[0])
        if np.isfinite(places).all() or wide:
            if not _told_apart(seen, places[0]):
                break
            places = np.where(np.isfinite(places), places, ends)
            return _timed(places, seen, schedule, floor), places[:-2]
        step = np.diff(_AROUND)[0]
        later = phi[-1].min() < level  # to larger gamma, smaller t
        wanted = _AROUND - _AROUND[0] + nodes[-1] + step if later else (
            _AROUND - _AROUND[-1] + nodes[0] - step)  # fmt: skip
    why = (
        "the log-odds of the classes do not balance within the range searched, or are no larger "
        "there than chance makes them, or rest on a few points at any temperature"
    )
    return clocked(schedule, "speciation", "balance", None, warnings=(why,)), None


def reaching(time: TransitionTime, loo: TransitionTime, calm: bool) -> TransitionTime:
    """The time with an interval that spans that of `clone-loo` too, where they lie apart.

    phi lies between the confidence of the left-out weights and their probability of the true
    class, as far as is known. Where the two are equal, `calm`, the intervals have a point in common
    unless the log-odds are no Gaussian's; elsewhere that of `clone-loo` reaches from one to the
    other, and t is one of its points.
    """
    if time.low is None or time.high is None or loo.low is None or loo.high is None:
        return time
    assert time.t is not None
    low, high = (time.low, time.high) if calm else (time.t, time.t)
    if loo.low <= high and low <= loo.high:
        return time
    why = (
        f"the weights themselves put it between {number(loo.low)} and {number(loo.high)}: the "
        "log-odds of these classes are not Gaussian, and the interval spans both"
    )
    return replace(
        time, low=min(time.low, loo.low), high=max(time.high, loo.high),
        warnings=(*time.warnings, why),
    )  # fmt: skip


@dataclass(frozen=True)
class _Node:
    """At one time: phi (1 + G + 2,) of the whole set, without each group, of the low and of the
    high end; at the inverse temperature `beta`, with M_ab (K, K) of the whole set there."""

    log_gamma: float
    phi: np.ndarray
    beta: float
    log_odds: np.ndarray
    z: float  # of the mean of M_ab over all pairs


def _told_apart(seen: list[_Node], place: float) -> bool:
    """The classes show at the crossing: without that M(1) would be noise carried far."""
    return min(seen, key=lambda x: abs(x.log_gamma - place)).z > T95


@dataclass(frozen=True)
class Look:
    """At log gamma = `nodes` (T,), each at the largest temperature that it needs, `calm` (T,);
    `restless` (T,) where a few points decide at any."""

    nodes: np.ndarray
    calm: np.ndarray
    restless: np.ndarray

    @property
    def question(self) -> Heated:
        """What is asked of the draws."""
        slopes = np.array([1.0, _SLOPE])[: 1 if (self.calm == 1).all() else 2]  # none is carried
        return Heated(time_from_snr(np.exp(self.nodes)), self.calm[:, None] * slopes)


def around(start: float) -> np.ndarray:
    """Where is looked first."""
    return np.asarray(start + _AROUND)


def look(
    cloud: Cloud, nodes: np.ndarray, *, seed: int = 0, memory_mib: int = 1024, alike: int = 1
) -> Look:
    times = time_from_snr(np.exp(nodes))
    calm = _calm(cloud, times, seed, memory_mib, alike)
    restless, calm = calm == 0, np.where(calm == 0, _COOLING[-1], calm)
    return Look(nodes, calm, restless)


def _nodes(at: Look, seen: HeatedLogOdds, weights: np.ndarray, seed: int) -> list[_Node]:
    """phi where was looked."""
    out = []
    for k, beta in enumerate(at.calm):
        odds = seen.log_odds[k]  # (B, 1 + G, K, K)
        at_one = carried(unbiased((odds + odds.swapaxes(-1, -2)) / 2), float(beta))
        rows = np.concatenate([at_one.value, at_one.low[:1], at_one.high[:1]])
        phi = class_channel.agreement(2 * rows, weights, seed)
        mean = odds[0].mean(axis=(-2, -1))
        z = float(mean[0] / max(float(jackknife_error(mean)), 1e-12))
        if at.restless[k]:
            z = 0.0  # a few points decide at any temperature: nothing is known of the law
        out.append(_Node(float(at.nodes[k]), phi, float(beta), odds[0, 0], z))
    return out


def unbiased(log_odds: np.ndarray) -> np.ndarray:
    """Without what the finite number of points adds, to first order in 1/n (jackknife); the sets
    without a group (B, 1 + G, K, K) move with the whole."""
    whole, without = log_odds[:, :1], log_odds[:, 1:]
    bias = (GROUPS - 1) * (without.mean(axis=1, keepdims=True) - whole)
    return np.asarray(log_odds - bias)


def unfit(cloud: Cloud) -> str:
    """Why the classes have no time by `balance`; empty where they do."""
    counts = np.diff(cloud.bounds)
    if len(counts) > MOST_CLASSES:
        return (
            f"{len(counts)} classes: the pairs of up to {MOST_CLASSES} are compared; choose some "
            "by --classes, or give labels of groups of them"
        )
    if counts.min() < FEWEST:
        return f"a class has {counts.min()} points; expected {FEWEST} or more in each"
    return ""


def _calm(
    cloud: Cloud, times: np.ndarray, seed: int, memory_mib: int, alike: int = 1
) -> np.ndarray:
    """The largest beta at which many points compete for x_t, at each time (T,); 0 without one, as
    where every point has a twin. All n - 1 others alike have sum w'^2 = 1/(n - 1).

    sum w'^2 falls with beta for every draw: of the `_COOLING` each fourth is tried, and then those
    between the last that is too large and the first that is not."""
    most = CALM + 1 / (cloud.n - 1)

    def first(left: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Of the `places` (L, B) among `_COOLING` the first (L,) that is calm; the end if none."""
        seen = heated_same_point(
            cloud, times[left], _COOLING[places], seed=seed, memory_mib=memory_mib, alike=alike
        )
        ends = np.column_stack([places, np.full(len(left), len(_COOLING))])
        calm = np.column_stack([seen <= most, np.full(len(left), True)])
        return np.asarray(ends[np.arange(len(left)), calm.argmax(axis=1)])

    every = np.arange(len(times))
    found = first(every, np.tile(np.arange(0, len(_COOLING), _STRIDE), (len(times), 1)))
    left = np.flatnonzero(found > 0)
    if len(left):
        between = found[left, None] + np.arange(1 - _STRIDE, 0)
        found[left] = np.minimum(found[left], first(left, between))
    return np.asarray(np.append(_COOLING, 0.0)[found])


def by_spread(nats: float) -> str:
    """The warning where the two directions differ."""
    return (
        f"the log-odds of the two directions differ by {nats:.2g} nats: the classes differ by "
        "their spread, which few points show badly"
    )


def _timed(
    places: np.ndarray, seen: list[_Node], schedule: Schedule, floor: float | None
) -> TransitionTime:
    """The time from crossings in log gamma: whole set, without each group, low and high."""
    whole, without, (low, high) = places[0], places[1:-2], places[-2:]
    error = T95 * math.sqrt((GROUPS - 1) * without.var())
    ends = np.array([min(whole, low, high) - error, max(whole, low, high) + error])
    t, *bounds = (float(time_from_snr(math.exp(x))) for x in (whole, ends[1], ends[0]))
    at = min(seen, key=lambda x: abs(x.log_gamma - whole))
    warnings = []
    if at.beta < 1:
        warnings.append(
            f"few training points decide the class at t_S: their weights were heated to "
            f"{at.beta:.2g} of the inverse temperature, where many compete, and the log-odds "
            "carried back; the interval spans two ways to do so"
        )
        if at.beta < FAR and floor is not None:
            bounds[0] = min(bounds[0], floor)
            warnings.append(
                "carried that far they tell nothing of clusters within the classes, which make t_S "
                f"smaller: the interval reaches down to {number(floor)}, where the weights of the "
                "other points no longer tell the true class"
            )
        mean = np.abs(at.log_odds + at.log_odds.T).mean() / 2
        half = np.abs(at.log_odds - at.log_odds.T).mean() / 2
        if half > ONE_SIDED * mean:
            warnings.append(by_spread(2 * half / at.beta))
    return clocked(schedule, "speciation", "balance", t, (bounds[0], bounds[1]), tuple(warnings))
