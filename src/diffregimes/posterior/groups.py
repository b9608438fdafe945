"""Training points dealt out to groups, and the sums of their weights with each group left out.

Without group g of G the others are a smaller sample of the same population; the spread of the G
means is the error of a mean as one of the population (delete-a-group jackknife),

    Var = (G - 1)/G sum_g (m_(-g) - mean of them)^2.

Sums over all but a group are those of the other groups: nothing is subtracted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from ..common.rng import numpy_generator
from ..data.cloud import Cloud
from . import fused
from .moments import Stretches, exponents

GROUPS = 16
T95 = float(stdtrit(GROUPS - 1, 0.975))  # standard errors to either side that hold 95 %
LEAST = 1e-38  # of a sum in units of the largest weight: float32 knows nothing below
TILE = 2**20  # rows times points at a time: less, and calls cost more than sums
_MASK = -1e30  # exponent that takes a point out of every sum


@dataclass(frozen=True)
class Grouped:
    """A cloud whose points lie by class and by group within it: `sizes` (K, G) in that order."""

    cloud: Cloud
    sizes: np.ndarray

    @property
    def group(self) -> np.ndarray:
        """Of every row of the cloud, (n,)."""
        classes, groups = self.sizes.shape
        return np.repeat(np.tile(np.arange(groups), classes), self.sizes.ravel())

    @property
    def remaining(self) -> np.ndarray:
        """Points of each class in the whole set and without each group, (1 + G, K)."""
        whole = self.sizes.sum(axis=1)
        return np.vstack([whole, whole - self.sizes.T])


def grouped(cloud: Cloud, groups: int = GROUPS, seed: int = 0) -> Grouped:
    """Deal the points of each class out to the groups, as evenly as goes."""
    rng = numpy_generator(seed, "groups")
    counts = np.diff(cloud.bounds)
    rows = np.concatenate([a + rng.permutation(b - a) for a, b in pairwise(cloud.bounds)])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])  # where the dealing goes on
    dealt = (np.arange(groups) - first[:, None]) % groups
    sizes = counts[:, None] // groups + (dealt < counts[:, None] % groups)
    return Grouped(cloud.permuted(rows), sizes)


def dealt_as(cloud: Cloud, group: np.ndarray) -> Grouped:
    """The points in the groups (n,) that they have in the dataset."""
    labels, mine = cloud.labels.cpu().numpy(), group[cloud.order]
    rows = np.lexsort((mine, labels))
    classes = len(cloud.bounds) - 1
    sizes = np.bincount(labels * GROUPS + mine, minlength=classes * GROUPS)
    return Grouped(cloud.permuted(rows), sizes.reshape(classes, GROUPS))


def dealt_sets(count: int, seed: int) -> np.ndarray:
    """The group (S,) of so many sets of points, as many in each group."""
    return numpy_generator(seed, "groups").permutation(np.arange(count) % GROUPS)


def dealt_whole(
    cloud: Cloud, of: np.ndarray, seed: int = 0, group: np.ndarray | None = None
) -> Grouped:
    """Deal whole sets of points out to the groups: `of` (K,) is the set, 0..S - 1, that each class
    is in, and `group` (S,) that of each set, dealt by the seed without."""
    if group is None:
        group = dealt_sets(int(of.max()) + 1, seed)
    counts = np.diff(cloud.bounds)
    return Grouped(cloud, counts[:, None] * (group[of][:, None] == np.arange(GROUPS)))


def jackknife_error(values: np.ndarray) -> np.ndarray:
    """Standard error from values (..., 1 + G): of the whole set first, then without each group."""
    without = values[..., 1:]
    groups = without.shape[-1]
    return np.asarray(np.sqrt((groups - 1) * without.var(axis=-1)))


def jackknife_covariance(values: np.ndarray) -> np.ndarray:
    """Covariance (T, T) of the errors of T means, from values (T, 1 + G)."""
    groups = values.shape[-1] - 1
    return np.atleast_2d((groups - 1) * np.cov(values[:, 1:], bias=True))


class Dealt:
    """Where the weights of the points of every class and group go: what the rows of a cloud share.

    Classes of fewer points than groups leave many without any: the E sets that have some are kept,
    and `place` (G, K) says where, E for those without. `compiled`: whether numba sums.
    """

    def __init__(self, parts: Grouped, device: torch.device, draws: int):
        some = parts.sizes > 0
        sets = int(some.sum())
        place = np.full(some.shape, sets)
        place[some] = np.arange(sets)
        self.place = torch.from_numpy(np.ascontiguousarray(place.T)).to(device)
        self.lengths = parts.sizes[some]
        self.group_of_set = np.nonzero(some)[1]
        self.group = torch.from_numpy(parts.group).to(device)
        of_sets = torch.from_numpy(self.group_of_set).to(device)
        self.set_in_group = torch.nn.functional.one_hot(of_sets, GROUPS).double()  # (E, G)
        others = 1 - torch.eye(GROUPS, device=device)
        self.rest = torch.cat([torch.ones_like(others[:, :1]), others], dim=1)  # (G, 1 + G)
        self.compiled = fused.worth(parts.cloud.n, draws, sets, device)

    def of_rows(self, rows: np.ndarray) -> Dealt:
        """The same of these rows of the cloud alone, which ascend."""
        part = copy.copy(self)
        ends = np.concatenate([[0], np.cumsum(self.lengths)])
        part.lengths = np.diff(np.searchsorted(rows, ends))
        part.group = self.group[torch.from_numpy(rows)]
        return part

    @cached_property
    def stretches(self) -> Stretches:
        return Stretches(self.lengths, self.group.device)

    @cached_property
    def in_group(self) -> Tensor:
        """(n, G)."""
        return torch.nn.functional.one_hot(self.group, GROUPS).float()

    def without(self, of_group: Tensor) -> Tensor:
        """Sums over all groups, and over all but one: (..., G) -> (1 + G, ...)."""
        return (of_group @ self.rest.to(of_group.dtype)).movedim(-1, 0)


@dataclass(frozen=True)
class Weights:
    """The weights e^l of some rows in units of e^top, `top` (...): their sums over the sets that
    have points, `of_sets` (..., E), and over each group those of w log w and of w^2, (..., G)."""

    dealt: Dealt
    top: Tensor
    of_sets: Tensor
    logs: Tensor
    squares: Tensor

    def plus(self, other: Weights) -> Weights:
        """The sums over two disjoint sets of points."""
        top = torch.maximum(self.top, other.top)
        one, two = self._below(top), other._below(top)
        return Weights(self.dealt, top, *(a + b for a, b in zip(one, two, strict=True)))

    def _below(self, top: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sums in units of e^top."""
        gap = self.top - top
        unit = gap.exp()[..., None]
        of_group = self.of_sets.double() @ self.dealt.set_in_group
        logs = unit * (self.logs + gap[..., None] * of_group)
        return unit.float() * self.of_sets, logs, unit.square() * self.squares

    def by_class(self) -> Iterator[tuple[int, Tensor]]:
        """The sums over each class without each group, (..., 1 + G, k) for k classes at a time, and
        the first of these."""
        dealt, shape = self.dealt, self.of_sets.shape[:-1]
        padded = torch.cat([self.of_sets, self.of_sets.new_zeros(*shape, 1)], dim=-1)
        some = max(1, TILE // (GROUPS * math.prod(shape)))
        for first in range(0, dealt.place.shape[1], some):
            place = dealt.place[:, first : first + some]
            of_group = padded.index_select(-1, place.ravel()).reshape(*shape, *place.shape)
            yield first, dealt.rest.T @ of_group

    @cached_property
    def total(self) -> Tensor:
        """Of the whole set and without each group, (1 + G, ...)."""
        return self.dealt.without(self.of_sets.double() @ self.dealt.set_in_group).clamp_min(LEAST)

    def same_point(self) -> Tensor:
        """sum w^2 of the whole set, (...)."""
        total = self.of_sets.double().sum(-1).clamp_min(LEAST)
        return self.squares.sum(-1) / total.square()


def _both_signs(
    square: Tensor, along: Tensor, chosen: Tensor, gamma: float, beta: float = 1.0
) -> Tensor:
    """beta l for z and -z, (2, p, n), the true points taken out."""
    out = torch.empty(2, *square.shape, device=square.device)
    exponents(square, along, gamma, unit=beta, out=out[0])
    torch.add(out[0], along, alpha=-2 * beta * math.sqrt(gamma), out=out[1])
    inside = torch.nonzero(chosen >= 0).squeeze(1)
    out[:, inside, chosen[inside]] = _MASK
    return out


def weights_of(
    square: Tensor,
    along: Tensor,
    chosen: Tensor,
    gamma: np.ndarray,
    beta: np.ndarray,
    dealt: Dealt,
) -> Iterator[Weights]:
    """The weights of beta l for z and -z, (2, p), at one (gamma, beta) after the other; points mu
    are out."""
    if dealt.compiled:
        sums = fused.row_sums(
            square, along, chosen.numpy(), gamma, dealt.lengths, beta=beta, group=dealt.group_of_set
        )
        top, logs = math.log(2) * sums.top, math.log(2) * sums.logs
        for k in range(len(gamma)):
            yield Weights(dealt, top[k], sums.stretch[k], logs[k], sums.squares[k])
        return
    for g, b in zip(gamma.tolist(), beta.tolist(), strict=True):
        exponent = _both_signs(square, along, chosen, g, b)
        top = exponent.amax(-1, keepdim=True)
        below = exponent.sub_(top)
        weight = below.exp()
        of_sets = weight.new_empty(*weight.shape[:-1], len(dealt.lengths))
        dealt.stretches.sums(weight, of_sets)
        logs = (below.mul_(weight) @ dealt.in_group).double()
        squares = (weight.square_() @ dealt.in_group).double()
        yield Weights(dealt, top[..., 0].double(), of_sets, logs, squares)
