"""The posterior weights of the points that share a condition, and of these alone.

A model that is asked for a condition c draws from the points of c: given x_t and c the weight of nu
is e^{l_nu} over the sum of e^l over the n_c points of c. Nothing else changes, so that a condition
is a cloud of its own. The pass costs n n_c in place of n^2.

Conditions of few points are many, and are asked together: a `Pack` of them is one cloud, of whose
weights each draw sees those of its own condition. Where a condition has twice as many points as
there are groups of the jackknife (`left_out`), these are dealt out to the groups; a condition of
fewer is left out whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.numerics import bounded, softplus
from ..common.pieces import Arrays
from ..common.rng import numpy_generator
from ..data.cloud import Cloud
from ..process import snr
from .groups import GROUPS, LEAST, Grouped, Weights, dealt_whole
from .left_out import asked, left_out_moments

MANY = 2 * GROUPS  # points of a condition that stands alone
BINS = 2, 3, 4, 8, 16, MANY  # of the others: those of a pack have the same of these at the least
_TOGETHER = 256  # points of a pack
_FEWEST = 2  # blocks of draws


@dataclass(frozen=True)
class Pack:
    """One condition of `MANY` points or more, or several of fewer: rows (m,) of the cloud, and
    which of the conditions `codes` each of them has."""

    codes: tuple[int, ...]
    rows: np.ndarray
    of: np.ndarray

    @property
    def alone(self) -> bool:
        return len(self.codes) == 1 and len(self.rows) >= MANY


def packs(conditions: np.ndarray) -> Iterator[Pack]:
    """Of the condition (n,) of every row, a number: all conditions but those of one point."""
    order = np.argsort(conditions, kind="stable")
    codes, first, counts = np.unique(conditions[order], return_index=True, return_counts=True)
    for code, start, count in zip(codes, first, counts, strict=True):
        if count >= MANY:
            yield Pack((int(code),), order[start : start + count], np.zeros(count, dtype=np.int64))
    for low, high in pairwise(BINS):
        some = np.flatnonzero((counts >= low) & (counts < high))
        together = max(1, _TOGETHER // (high - 1))
        for few in (some[k : k + together] for k in range(0, len(some), together)):
            rows = np.concatenate([order[first[k] : first[k] + counts[k]] for k in few])
            of = np.repeat(np.arange(len(few)), counts[few])
            yield Pack(tuple(codes[few].tolist()), rows, of)


@dataclass(frozen=True)
class Within:
    """Of a pack, at times (T,): means of the bounded free energy in nats (T, 1 + G), of the whole
    set and without each group, from so many `units` (1 + G,); the mean of H(index|x, c) in nats
    and its standard error, (2, T); and w of the true point (p, T) of the `rows` (p,) drawn."""

    bounded: np.ndarray
    units: np.ndarray
    entropy: np.ndarray
    rows: np.ndarray
    own: np.ndarray


class _Asked:
    """The question of `left_out.asked` that a `Within` answers."""

    arrays = 4

    def __init__(self, times: np.ndarray, of: np.ndarray | None):
        self.key = "within", np.asarray(times), of
        self.gamma = snr(times)
        self.beta = np.ones(len(self.gamma))
        self._of = None if of is None else torch.from_numpy(of)

    def sums(self, parts: Grouped) -> Arrays:
        times, n = len(self.gamma), parts.cloud.n
        return (
            np.zeros((times, 1 + GROUPS)),
            np.zeros((2, times)),
            np.zeros((n, times)),
            np.zeros(n),
        )

    def add(
        self, sums: Arrays, parts: Grouped, chosen: Tensor, kept: Tensor,
        weights: Iterable[Weights],
    ) -> None:  # fmt: skip
        free, entropies, own, drawn = sums
        rows = chosen.cpu().numpy()
        np.add.at(drawn, rows, 1)
        for k, each in enumerate(weights):
            log_sum, mean_log, log_n = self._of_own(each, chosen)
            free[k] += (bounded(log_sum, log_n).mean(1) * kept).sum(-1).cpu().numpy()
            whole = log_sum[0]
            entropy = (softplus(whole) - whole.sigmoid() * mean_log).mean(0)
            entropies[:, k] += [float(entropy.sum()), float(entropy.square().sum())]
            np.add.at(own[:, k], rows, whole.neg().sigmoid().mean(0).cpu().numpy())

    def _of_own(self, each: Weights, chosen: Tensor) -> tuple[Tensor, Tensor, float | Tensor]:
        """log sum (1 or 1 + G, 2, p) and mean log (2, p) of the weights of the own condition, and
        log n_c."""
        if self._of is None:
            at = left_out_moments(each)
            return at.log_sum, at.mean_log[0], float(np.log(len(each.dealt.group)))
        of = self._of.to(chosen.device)
        same = of[chosen][:, None] == of
        weight = each.of_sets.double() * same  # a set is a point
        total = weight.sum(-1).clamp_min(LEAST)
        mean_log = each.top + torch.special.xlogy(weight, weight).sum(-1) / total
        return (each.top + total.log())[None], mean_log, same.sum(-1).double().log()

    def answer(self, sums: Arrays, units: np.ndarray) -> Within:
        free, entropies, own, drawn = sums
        counts, total = units.sum(axis=1), float(drawn.sum())
        mean = entropies[0] / total
        error = np.sqrt(np.maximum(entropies[1] / total - mean**2, 0) / max(total - 1, 1))
        rows = np.flatnonzero(drawn)
        own = own[rows] / drawn[rows, None]
        return Within(
            free / np.maximum(counts, 1), counts, np.stack([mean, error]), rows, own
        )  # fmt: skip


def within(
    cloud: Cloud, pack: Pack, times: np.ndarray, *, blocks: int, seed: int = 0, **how: Any
) -> Within:
    """The answer for a pack, from its share of `blocks` blocks of draws of all points; `how` as in
    `left_out.asked`. Conditions have draws of their own, whatever others there are."""
    seed = int(numpy_generator(seed, "condition", pack.codes[0]).integers(2**62))
    coordinates = cloud.coordinates[torch.from_numpy(pack.rows)]
    m, order = len(pack.rows), cloud.order[pack.rows]
    # of several every point is a class, so that the weights stay apart
    labels = torch.zeros(m, dtype=torch.int64) if pack.alone else torch.arange(m)
    ends = (0, m) if pack.alone else tuple(range(m + 1))
    own = Cloud(coordinates, labels.to(coordinates.device), order, ends, cloud.scale, cloud.d)
    question = _Asked(times, None if pack.alone else pack.of)
    parts = None if pack.alone else dealt_whole(own, pack.of, seed)
    share = max(_FEWEST, round(blocks * m / cloud.n))
    (found,) = asked(own, [question], blocks=share, seed=seed, parts=parts, **how)
    assert isinstance(found, Within)
    return found
