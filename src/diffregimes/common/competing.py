"""Collapse among others than all points one by one: groups, conditions, augmented images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .transition import TransitionTime


@dataclass(frozen=True)
class Grouped:
    """Points in groups that count as one: `groups` of them, the largest with `largest` points.

    On the times of the curves, with standard errors: `entropy`, H(group|x_t) over the log of their
    number, and `same_group`, the sum of their squared weights.
    """

    groups: int
    largest: int
    entropy: np.ndarray
    entropy_se: np.ndarray
    same_group: np.ndarray
    same_group_se: np.ndarray


@dataclass(frozen=True)
class Condition:
    """The collapse of one condition, or of the `count` together that have few points: `n` points in
    all."""

    name: str
    count: int
    n: int
    time: TransitionTime


@dataclass(frozen=True)
class Given:
    """The collapse where a point competes with those alone that share its condition.

    conditions     how many there are
    alone          places in the source of the points that share theirs with no other: the condition
                   names them, and they are copied at any t
    time           t_C of all points, each among those of its condition; `without` among all others
    collapse       of each condition, and of those of few points together
    entropy        H(index|x_t, condition) over the mean log n_c, on the times of the curves
    point_times    one collapse time for each point drawn of those that are not alone (NaN: none)
    torn           points listed under several conditions, of which the first counts
    """

    conditions: int
    alone: tuple[int, ...]
    time: TransitionTime
    without: TransitionTime
    collapse: tuple[Condition, ...]
    entropy: np.ndarray
    entropy_se: np.ndarray
    point_times: np.ndarray
    torn: int = 0


@dataclass(frozen=True)
class Augment:
    """The collapse among all images that augmentation by `words` makes of the points.

    elements   of the set of changes, the one that changes nothing included; `members` different
               images come out
    time       t_C among these; `without` that of the points alone, by the same draws
    moved      by how much t is larger with augmentation, and its 95 % interval `low`, `high`
    t          times of `entropy`, H(image|x_t) over the log of `members`, and of `same_member`, the
               sum of the squared weights, with their standard errors
    """

    words: tuple[str, ...]
    elements: int
    members: int
    time: TransitionTime
    without: TransitionTime
    moved: float | None
    low: float | None
    high: float | None
    t: np.ndarray
    entropy: np.ndarray
    entropy_se: np.ndarray
    same_member: np.ndarray
    same_member_se: np.ndarray
