"""When each pair of classes parts: a speciation time t_S^{ab} for every two of them.

`pair-balance`: (M_ab + M_ba)/2 = 2, where the mean log-odds of the two classes balance their
fluctuation (`balance`, which says how M is had where few points decide). `pair-clone`: with p' of
the two classes alone, each counted as equally frequent, and r that of the true one,
phi_ab = E[r^2 + (1 - r)^2] = 0.775. E[r] is the same for the population, and where few points
decide as far below it as the other is above: the mean of the two is taken, the interval spans both.
Both are those of the two classes without all others: which others there are, and how many points
each has, plays no part.

Errors are those of groups of points left out in turn. Where M_ab and M_ba differ, the classes
differ by their spread. Where few points decide, too, half of what the log-sums are off by does not
cancel and they are carried to another temperature badly: the interval spans the two directions.

The pairs of ten classes part over a range of log gamma that is many times as wide as the errors.
A few draws say where it lies; the others are asked there and where `balance` asks in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..common import numerics
from ..common.readable import number
from ..data.cloud import Cloud
from ..posterior.groups import GROUPS, T95, jackknife_error
from ..posterior.left_out import Heated, HeatedLogOdds
from ..posterior.left_out import asked as asked_of
from ..process import Schedule, time_from_snr
from ..results import Pair, TransitionTime
from ..theory.gaussian_mixture import CLONE_LEVEL
from . import balance
from .balance import FAR, ONE_SIDED, Look, by_spread, carried, reaching, unbiased
from .crossing import clocked
from .speciation import OVERCONFIDENT

Straight = Callable[[np.ndarray | float], np.ndarray]

BALANCE, CLONE = "pair-balance", "pair-clone"
LEVEL = 2.0  # nats
APART = (1 + CLONE_LEVEL) / 2  # of phi: 0.775
_STEP = 0.8  # in log gamma between the places beyond those of `balance`
_FARTHEST = 8  # steps towards the data at first, and again where pairs have not parted
_TRIES = 4
_MORE = 3  # steps beyond the last pair where there are others
_ALONE = 0.9  # E[sum w'^2] from which on a few points say everything
_UNSURE = 0.2  # of where a pair parts, from a few draws
_FEW = 16  # classes for a block of the draws that say where to look


@dataclass(frozen=True)
class Asked:
    """What is asked for the pairs: at every look M_ab, and phi_ab where the weights were heated,
    too, in `plain`."""

    looks: tuple[Look, ...]

    @property
    def plain(self) -> Heated | None:
        heated = np.concatenate([x.nodes[x.calm < 1] for x in self.looks])
        if not len(heated):
            return None
        return Heated(time_from_snr(np.exp(heated)), np.ones((len(heated), 1)))

    @property
    def questions(self) -> list[Heated]:
        plain = self.plain
        return [x.question for x in self.looks] + ([plain] if plain else [])


def asking(
    cloud: Cloud, first: Look, start: float, *, blocks: int, seed: int = 0, memory_mib: int = 1024
) -> Asked:
    """Where the pairs part: `first` is what `balance` looks at around log gamma = `start`."""
    few = min(blocks, 1 + len(cloud.bounds) // _FEW)
    steps = np.arange(math.floor((_earliest(cloud) - start) / _STEP), _FARTHEST)
    every = np.empty(0)
    odds = np.empty((0, 2, (len(cloud.bounds) - 1) * (len(cloud.bounds) - 2) // 2))
    for _ in range(_TRIES):
        every = np.append(every, start + _STEP * steps)
        # as calm as the nearest place of `first`: M is between that at beta and M/beta, which it is
        # towards the noise, and half-way says where to look towards the data
        calm = first.calm[np.abs(every[-len(steps) :, None] - first.nodes).argmin(axis=1)]
        rough = Heated(time_from_snr(np.exp(every[-len(steps) :])), calm[:, None])
        (found,) = asked_of(cloud, [rough], blocks=few, seed=seed, memory_mib=memory_mib)
        whole = found.log_odds[:, 0, 0]
        there, back = (whole[:, i, j] for i, j in _both_ways(whole.shape[-1]))
        most = (there + back)[:, None] / 2 / calm[:, None, None]
        odds = np.concatenate([odds, np.append(most, most * np.sqrt(calm)[:, None, None], axis=1)])
        first_places, places = _crossings(every, odds, _log_odds(LEVEL), _log_odds)
        if np.isfinite(places).all() or found.same_point[-1, 0] > _ALONE:
            break
        steps = steps[-1] + 1 + np.arange(_FARTHEST)
    known, early = (x[np.isfinite(x)] for x in (places, first_places))
    if not len(known):
        return Asked((first,))
    # one place beyond the first and the last pair, and more where others were not seen to part
    last = known.max() + _UNSURE + (1 if len(known) == len(places) else _MORE) * _STEP
    ends = min(known.min(), early.min(initial=math.inf)) - _UNSURE - _STEP, last
    nodes = every[(every > ends[0]) & (every < ends[1])]
    nodes = nodes[np.abs(nodes - start) > 1.5 * _STEP]
    if not len(nodes):
        return Asked((first,))
    return Asked((first, balance.look(cloud, nodes, seed=seed, memory_mib=memory_mib)))


def _earliest(cloud: Cloud) -> float:
    """log gamma below which no two classes part: M <= (gamma/2) E|a - b|^2, whatever the laws."""
    sums = np.zeros(len(cloud.bounds) - 1)
    for shard, _ in cloud.shards():
        labels = shard.labels.cpu().numpy()
        sums += np.bincount(labels, shard.norms.cpu().numpy(), len(sums))
    largest = float((sums / np.diff(cloud.bounds)).max())
    return -math.log(largest * cloud.scale**2)


@dataclass(frozen=True)
class PairCurves:
    """At N places, in the order of log gamma; of pairs P, a before b.

    log_odds    (N, 1 + G + 2, P): their mean over both directions in the whole set, without each
                group, and at the low and the high end
    directions  (N, 2, P): M_ab and M_ba as they were seen, at the inverse temperature `beta` (N,)
    z           (N, P): of their mean; 0 where a few points decide at any temperature
    own, sure   (N, 1 + G, P): E[r] and phi_ab, in the weights as they are
    """

    nodes: np.ndarray
    beta: np.ndarray
    log_odds: np.ndarray
    directions: np.ndarray
    z: np.ndarray
    own: np.ndarray
    sure: np.ndarray


def curves(asked: Asked, answers: list[HeatedLogOdds]) -> PairCurves:
    """From the answers to `Asked.questions`."""
    classes = answers[0].log_odds.shape[-1]
    one, other = np.triu_indices(classes, 1)
    plain = iter(range(len(answers[-1].times)))
    rows = []
    for look, seen in zip(asked.looks, answers, strict=False):
        for k, beta in enumerate(look.calm):
            there, back = (seen.log_odds[k][..., i, j] for i, j in _both_ways(classes))
            both = (there + back) / 2
            at = carried(unbiased(both), float(beta))
            z = both[0, 0] / np.maximum(jackknife_error(both[0].T), 1e-12)
            of, j = (seen, k) if beta == 1 else (answers[-1], next(plain))
            own, sure = (
                (x[..., one, other] + x[..., other, one]) / 2
                for x in (of.own[j, 0], of.confidence[j, 0])
            )
            rows.append((
                look.nodes[k], beta, np.concatenate([at.value, at.low[:1], at.high[:1]]),
                np.array([there[0, 0], back[0, 0]]), np.where(look.restless[k], 0.0, z), own, sure,
            ))  # fmt: skip
    rows.sort(key=lambda x: x[0])
    return PairCurves(*(np.array(x) for x in zip(*rows, strict=True)))


def _both_ways(classes: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(a, b) of every pair, a before b, and (b, a)."""
    one, other = np.triu_indices(classes, 1)
    return (one, other), (other, one)


@dataclass(frozen=True)
class Times:
    """The pairs with their times, and t (1 + G + 2, P) by `pair-balance` of the whole set, without
    each group, and at both ends; 0 for what does not part in the range."""

    pairs: tuple[Pair, ...]
    t: np.ndarray


def pair_times(seen: PairCurves, names: tuple[str, ...], schedule: Schedule) -> Times:
    """Every pair by both criteria; `names` (K,) are those of the classes."""
    odds = _crossings(seen.nodes, seen.log_odds, _log_odds(LEVEL), _log_odds)
    sides = _crossings(seen.nodes, _at_one(seen), _log_odds(LEVEL), _log_odds)
    own, sure = (
        _crossings(seen.nodes, x[:, :1], _phi(APART), _phi)[0] for x in (seen.own, seen.sure)
    )
    pairs = []
    for k, (a, b) in enumerate(zip(*np.triu_indices(len(names), 1), strict=True)):
        clone, calm = _clone_time(seen, k, own[k], sure[k], schedule)
        time = _balance_time(seen, k, odds[:, k], sides[:, k], calm, schedule)
        pairs.append(Pair(names[a], names[b], reaching(time, clone, calm), clone))
    part = np.array([x.balance.t is not None for x in pairs])
    whole = np.isfinite(odds) & part
    return Times(tuple(pairs), np.where(whole, time_from_snr(np.exp(np.where(whole, odds, 0))), 0))


def _at_one(seen: PairCurves) -> np.ndarray:
    """M of each direction at beta = 1, (N, 2, P), carried on as that of both is."""
    mean = seen.directions.mean(axis=1)
    factor = seen.log_odds[:, 0] / np.maximum(mean, 1e-12)
    return np.asarray(seen.directions * np.clip(factor, 1, 1 / seen.beta[:, None])[:, None])


def _balance_time(
    seen: PairCurves,
    k: int,
    places: np.ndarray,
    sides: np.ndarray,
    calm: bool,
    schedule: Schedule,
) -> TransitionTime:
    """From crossings in log gamma: whole set, without each group, low and high end; and of the two
    directions. `calm` where the left-out weights are as sure as they are right."""

    def none(why: str) -> TransitionTime:
        return clocked(schedule, "speciation", BALANCE, None, warnings=(why,))

    half = np.abs(seen.directions[:, 0, k] - seen.directions[:, 1, k]) / 2
    mean = np.abs(seen.directions[:, :, k].mean(axis=1))
    if not math.isfinite(places[0]):
        apart = (half > ONE_SIDED * np.maximum(mean, 1)).any()
        why = f"; {by_spread(2 * half.max())}" if apart else ""
        where = _beyond(seen.nodes, bool(seen.log_odds[0, 0, k] > LEVEL))
        return none(f"the two classes {where}{why}")
    at = int(np.abs(seen.nodes - places[0]).argmin())
    if seen.z[at, k] <= T95:
        return none(
            "the log-odds of the two classes are no larger than chance makes them, or rest on a "
            "few points at any temperature"
        )
    known = np.where(np.isfinite(places), places, seen.nodes[-1])
    t, low, high = _interval(known[:-2], known[-2:])
    warnings = []
    if seen.beta[at] < 1:
        far = ", too far to see clusters within the classes" if seen.beta[at] < FAR else ""
        warnings.append(
            f"few training points decide: their weights were heated to {seen.beta[at]:.2g} of the "
            f"inverse temperature, and the log-odds carried back{far}"
        )
    if half[at] > ONE_SIDED * mean[at]:
        why = by_spread(2 * half[at] / seen.beta[at])
        if calm and seen.beta[at] == 1:
            why = why.partition(", which")[0]
        else:
            low, high = _spanning(low, high, sides)
        warnings.append(why)
    return clocked(schedule, "speciation", BALANCE, t, (low, high), tuple(warnings))


def _clone_time(
    seen: PairCurves, k: int, own: float, sure: float, schedule: Schedule
) -> tuple[TransitionTime, bool]:
    """Likewise of phi, and whether the left-out weights are as sure as they are right, within the
    errors. `own` and `sure` hold the crossings of either; the interval reaches to both where they
    are not."""
    middle = (seen.own[..., k] + seen.sure[..., k])[:, :, None] / 2
    places = _crossings(seen.nodes, middle, _phi(APART), _phi)[:, 0]
    if not math.isfinite(places[0]):
        where = _beyond(seen.nodes, bool(middle[0, 0, 0] > APART))
        why = f"by phi = {APART} the two classes {where}"
        return clocked(schedule, "speciation", CLONE, None, warnings=(why,)), False
    known = np.where(np.isfinite(places), places, seen.nodes[-1])
    t, low, high = _interval(known, known[:1])
    gaps = (seen.sure - seen.own)[..., k]
    gap = np.array([np.interp(known[0], seen.nodes, x) for x in gaps.T])
    calm = abs(gap[0]) < OVERCONFIDENT * max(float(jackknife_error(gap)), 1e-3)
    found = clocked(schedule, "speciation", CLONE, t, (low, high))
    if calm:
        return found, True
    low, high = _spanning(low, high, np.array([own, sure]))
    why = (
        f"few training points decide: the confidence of their weights is {APART + gap[0] / 2:.3g}, "
        f"that of the true class {APART - gap[0] / 2:.3g}; the interval spans both"
    )
    return replace(found, low=low, high=high, warnings=(why,)), False


def _beyond(nodes: np.ndarray, parted: bool) -> str:
    """Of two classes that do not part within the log gamma looked at, `parted` at the first."""
    first, last = (number(float(time_from_snr(math.exp(x)))) for x in (nodes[0], nodes[-1]))
    if parted:
        return f"have parted before t = {first}, the noisiest time looked at"
    return f"do not part down to t = {last}"


def _interval(places: np.ndarray, ends: np.ndarray) -> tuple[float, float, float]:
    """t and its 95 % interval from log gamma of the whole set and without each group, and at the
    ends between which it lies."""
    error = T95 * math.sqrt((GROUPS - 1) * places[1:].var())
    low, high = min(places[0], *ends) - error, max(places[0], *ends) + error
    t, *bounds = (float(time_from_snr(math.exp(x))) for x in (places[0], high, low))
    return t, bounds[0], bounds[1]


def _spanning(low: float, high: float, places: np.ndarray) -> tuple[float, float]:
    """The interval with these log gamma inside; t = 0 where one is not found."""
    t = [float(time_from_snr(math.exp(x))) if math.isfinite(x) else 0.0 for x in places]
    return min(low, *t), max(high, *t)


def _log_odds(values: np.ndarray | float) -> np.ndarray:
    """M as it is nearly straight in log gamma."""
    return np.log(np.maximum(values, 1e-6))


def _phi(values: np.ndarray | float) -> np.ndarray:
    """phi likewise: it leaves 1/2 in proportion to gamma, and reaches 1 exponentially."""
    part = np.clip(2 * np.asarray(values) - 1, 1e-9, 1 - 1e-12)
    return np.asarray(np.log(-np.log1p(-part)))


def _crossings(
    nodes: np.ndarray, values: np.ndarray, level: np.ndarray, of: Straight
) -> np.ndarray:
    """log gamma (R, P) at which `values` (N, R, P) cross the level, at the largest t; both as
    `of` makes them straight."""
    rows = of(values).reshape(len(nodes), -1)
    # crossings() takes the largest of -log gamma
    places = -numerics.crossings(-nodes[::-1], rows[::-1].T, float(level))
    return np.asarray(places.reshape(values.shape[1:]))
