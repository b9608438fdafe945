"""Speciation and collapse of points in groups: a group counts as one.

`group-free-energy`, the collapse onto a group: E log[(1 + S N)/(N + S)] = 0 for N groups, S the
weights of all other groups over that of the own one. `group-clone-loo`, the speciation: clones
agree on the class by what the other groups say of it, as `clone-loo` has it of the other points.
The probability of the true class and the sum of squares are equal for the population and apart, on
either side of it, where few groups decide: the crossing is that of their mean, and there the
interval spans both.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ..common import numerics
from ..common.checks import InputError
from ..common.readable import interval_text, number
from ..data.datasets import Dataset
from ..data.groups import checked_filled, of_points
from ..posterior.by_group import ByGroup
from ..posterior.groups import jackknife_error
from ..process import Schedule, snr, time_from_snr
from ..results import Grouped, TransitionTime, Verdict
from .crossing import left_out_time
from .speciation import OVERCONFIDENT

COLLAPSE, SPECIATION = "group-free-energy", "group-clone-loo"
FEWEST = 4  # groups


def groups_of(dataset: Dataset, groups: Any, listed: int) -> Dataset:
    """The dataset with the groups that were given, one for each of the `listed` points that it was
    made of; those that it came with where none are. Raises `InputError`."""
    if groups is not None:
        values = of_points(dataset, groups, listed, "groups")
        dataset = replace(dataset, groups=checked_filled(values, "an array", "group"))
    if dataset.groups is not None and (found := len(np.unique(dataset.groups))) < FEWEST:
        what = "all points are in one group" if found == 1 else f"there are {found} groups"
        raise InputError(
            f"{what} (--group), and a group counts as one; expected at least {FEWEST}, and many "
            "more to learn something. Give what points have in common that are one thing seen "
            "again, such as the patient."
        )
    return dataset


def codes_of(dataset: Dataset) -> np.ndarray | None:
    """The group (n,) of each point as a number, 0..S - 1; None where no two points share one."""
    if dataset.groups is None:
        return None
    names, codes = np.unique(dataset.groups, return_inverse=True)
    return None if len(names) == dataset.n else np.asarray(codes)


def grouped_of(seen: ByGroup, groups: np.ndarray) -> Grouped:
    """What results tell of `groups` (n,)."""
    sizes = np.bincount(groups)
    return Grouped(len(sizes), int(sizes.max()), *seen.entropy, *seen.same_group)


def with_groups(verdict: Verdict, found: Grouped, n: int, one_by_one: TransitionTime) -> Verdict:
    """The verdict, which is that of the groups, with how many there are."""
    value, span = interval_text(one_by_one.t, one_by_one.low, one_by_one.high)
    alone = f"{value} ({span})" if span else value
    said = (
        f"The {n} points are in {found.groups} groups, which count as one each (up to "
        f"{found.largest} points): t_S and t_C are those of groups. One point is told from all "
        f"others, those of its group as well, at t = {alone} by {one_by_one.method}."
    )
    return replace(verdict, sentences=(*verdict.sentences, said))


def collapse_time(seen: ByGroup | None, schedule: Schedule) -> TransitionTime | None:
    """Collapse by `group-free-energy`; None without groups."""
    if seen is None:
        return None
    return left_out_time(schedule, "collapse", COLLAPSE, seen.times, seen.bounded.T)


def speciation_time(
    seen: ByGroup | None, schedule: Schedule, level: float
) -> TransitionTime | None:
    """Speciation by `group-clone-loo`, where phi is `level`; None without groups."""
    if seen is None:
        return None
    both = (seen.own + seen.confidence).T / 2
    time = left_out_time(schedule, "speciation", SPECIATION, seen.times, both, level)
    if time.t is None or time.low is None or time.high is None:
        return time
    axis, place = np.log(snr(seen.times))[::-1], math.log(snr(time.t))
    gaps = np.array([np.interp(place, axis, x[::-1]) for x in (seen.confidence - seen.own).T])
    if abs(gaps[0]) < OVERCONFIDENT * max(float(jackknife_error(gaps)), 1e-3):
        return time
    ends = np.stack([seen.own[:, 0], seen.confidence[:, 0]])
    places = -numerics.crossings(-np.log(snr(seen.times)), ends, level)
    t = [float(time_from_snr(math.exp(x))) if math.isfinite(x) else 0.0 for x in places]
    why = (
        f"few groups decide: the confidence of their weights is {number(level + gaps[0] / 2)}, "
        f"that of the true class {number(level - gaps[0] / 2)}; the interval spans both"
    )
    return replace(time, low=min(time.low, *t), high=max(time.high, *t), warnings=(why,))
