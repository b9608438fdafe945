"""Collapse given a condition: the competitors of a point are those that share its condition.

With n_c points of condition c a point has n_c - 1 rivals: collapse is at log n_c in place of log n,
earlier in the generation, and a condition of its own, n_c = 1, names a point: it is copied at any t
at which the condition is obeyed. The criterion is that of the headline (`collapse`), in nats,

    E log[(1 + n_c S)/(n_c + S)] = 0,   S the weights of the n_c - 1 others over that of the point,

so that conditions count by their points, and those of one point, with log n_c = 0, for nothing.
With one rival log S < 0 in the mean at any t: of n_c = 2 a point outweighs the other throughout.

Intervals are those of points left out in groups, as of the population of each condition; the
conditions, and how many points each has, are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.readable import count, interval_text
from ..data.datasets import Dataset
from ..data.groups import LABEL, checked_filled, given_label, of_points
from ..data.neighbours import Clusters
from ..posterior.groups import GROUPS
from ..posterior.sample import Sample
from ..posterior.within import BINS, Pack, Within, packs, within
from ..process import Schedule, snr
from ..results import Condition, Given, TransitionTime, Verdict
from .collapse import HEADLINE
from .criteria import Evidence
from .crossing import clocked, left_out_time
from .points import half_times, point_times


def conditions_of(dataset: Dataset, given: Any, memory_mib: int, listed: int) -> Dataset:
    """The dataset with the condition of each point: the values that were given, one for each of the
    `listed` points that it was made of, or LABEL; those that it came with where nothing is. Raises
    `InputError`."""
    if isinstance(given, str) and given == LABEL:
        dataset = replace(dataset, given=given_label(dataset))
    elif given is not None:
        values = of_points(dataset, given, listed, "given")
        dataset = replace(dataset, given=checked_filled(values, "an array", "given"))
    if dataset.given is not None and dataset.in_file:
        counts = np.unique(dataset.given, return_counts=True)[1]
        if len(counts) > 1 and 4 * counts.max() * dataset.d > memory_mib * 2**20:
            raise InputError(
                f"a condition (--given) has {counts.max()} points, which as floats are larger than "
                "the memory budget; expected conditions whose points it holds. Raise memory_mib "
                "(--memory-mib), or take fewer points of a class (--per-class)."
            )
    return dataset


def torn_points(dataset: Dataset, found: Clusters) -> int:
    """Points left out for equal ones that have another condition."""
    given = dataset.given
    if given is None:
        return 0
    return len({x.other for x in found.pairs if given[x.index] != given[x.other]})


def given_of(
    values: np.ndarray,
    indices: np.ndarray,
    evidence: Evidence,
    sample: Sample,
    time: TransitionTime,
    torn: int = 0,
) -> Given:
    """Of the condition (n,) of every point, which has the place in `indices` (n,); `time` is the
    headline without conditions, and stands where there is one condition alone."""
    names, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    alone = tuple(indices[counts[codes] == 1].tolist())
    if len(names) == 1:
        curves = sample.curves()
        name = "excess_entropy_over_alpha"
        only = (Condition(str(names[0]), 1, len(values), time),)
        own = point_times(sample)[1]
        return Given(1, alone, time, time, only, curves[name], curves.se[name], own, torn)
    found = list(_measured(codes[evidence.cloud.order], evidence, sample.times))
    every = [(len(pack.rows), seen) for pack, seen in found]
    nats = float((counts * np.log(counts)).sum())
    entropy = sum((m * x.entropy[0] for m, x in every), np.zeros(len(sample.times)))
    square = sum(((m * x.entropy[1]) ** 2 for m, x in every), np.zeros(len(sample.times)))
    log_gamma = np.log(snr(sample.times))
    own_times = [half_times(log_gamma, x.own) for _, x in every]
    conditions = tuple(_conditions(found, names.astype(str).tolist(), sample.times, evidence))
    whole = _time([x for _, x in every], [m for m, _ in every], sample.times, evidence.schedule)
    return Given(
        len(names), alone, whole, time, conditions, entropy / max(nats, 1e-300),
        np.sqrt(square) / max(nats, 1e-300), np.concatenate([np.empty(0), *own_times]), torn,
    )  # fmt: skip


def _measured(codes: np.ndarray, e: Evidence, times: np.ndarray) -> Iterator[tuple[Pack, Within]]:
    every = list(packs(codes))
    for k, pack in enumerate(every):
        e.report(k, len(every), "collapse given the condition")
        yield (
            pack,
            within(e.cloud, pack, times, blocks=e.blocks, seed=e.seed, memory_mib=e.memory_mib),
        )
    e.report(1, 1, "collapse given the condition")


def _conditions(
    found: Sequence[tuple[Pack, Within]], names: Sequence[str], times: np.ndarray, e: Evidence
) -> Iterator[Condition]:
    """Those of many points, the largest first, then those of few by their number."""
    many = [x for x in found if x[0].alone]
    for pack, seen in sorted(many, key=lambda x: (-len(x[0].rows), x[0].codes)):
        time = _time([seen], [1], times, e.schedule)
        yield Condition(names[pack.codes[0]], 1, len(pack.rows), time)
    for low, high in [*pairwise(BINS)][::-1]:
        some = [x for x in found if not x[0].alone and low <= np.bincount(x[0].of)[0] < high]
        if some:
            time = _time([x for _, x in some], [len(x.rows) for x, _ in some], times, e.schedule)
            if low == 2 and time.t is None:
                why = "with one rival a point outweighs it at every t"
                time = replace(time, warnings=(why,))
            if sum(len(x.codes) for x, _ in some) < GROUPS:
                time = _unsure(time)
            name = f"of {low} points" if high == low + 1 else f"of {low} to {high - 1} points"
            total, points = sum(len(x.codes) for x, _ in some), sum(len(x.rows) for x, _ in some)
            yield Condition(name, total, points, time)


def _time(
    seen: Sequence[Within], weights: Sequence[float], times: np.ndarray, schedule: Schedule
) -> TransitionTime:
    """Where the mean of the bounded free energies, each with its weight, is 0."""
    if not seen:
        why = "no two points share a condition: each is named by its own"
        return clocked(schedule, "collapse", HEADLINE, None, warnings=(why,))
    # a set without a group has lost that share of the points of each
    share = [m * x.units / max(float(x.units[0]), 1.0) for m, x in zip(weights, seen, strict=True)]
    total = np.sum(share, axis=0)
    rows = np.sum([s * x.bounded for s, x in zip(share, seen, strict=True)], axis=0)
    rows /= np.where(total > 0, total, 1)
    if (total <= 0).any():  # all of it is left out at once
        rows[:, 1:] = rows[:, :1]
        return _unsure(left_out_time(schedule, "collapse", HEADLINE, times, rows.T))
    return left_out_time(schedule, "collapse", HEADLINE, times, rows.T)


def _unsure(time: TransitionTime) -> TransitionTime:
    """Without an interval: conditions of few points are left out whole, and these are too few."""
    if time.t is None:
        return time
    why = f"fewer than {GROUPS} conditions of few points: how sure this is, is not known"
    return replace(time, low=None, high=None, warnings=(*time.warnings, why))


def with_given(verdict: Verdict, given: Given, n: int) -> Verdict:
    """The verdict with what the conditions change, and at its head where they name most points."""
    if given.conditions == 1:
        return verdict
    said, named, time = [], len(given.alone), given.time
    at_once = "copied at any t at which the condition is obeyed"
    if named:
        who = f"{count(named)} of {count(n)} points share their"
        who = "1 point shares its" if named == 1 else who
        said.append(f"{who} condition with no other: named by it alone, {at_once}.")
    if named < n:
        value, span = interval_text(time.t, time.low, time.high)
        where = f"t_C is {value}" + (f" ({span})" if span else "")
        where = where if time.t is not None else f"there is no t_C ({time.warnings[0]})"
        whose = "the others" if named else "all points"
        said.append(f"Against the points of its own condition alone {where} for {whose}.")
    if given.torn:
        said.append(f"{given.torn} points are listed under several conditions; the first counts.")
    sentences = (*verdict.sentences, *said)
    if named <= n / 2:
        return replace(verdict, sentences=sentences)
    share = "every point" if named == n else f"{named / n:.0%} of the points"
    headline = f"{verdict.headline} Given its condition {share} is named, and {at_once}."
    return replace(verdict, headline=headline, sentences=sentences)
