"""Means over draws with each of G groups of points left out in turn, and under heated weights.

Every group holds the same share of every class. Without group g the others are a smaller sample of
the same population: neither its points nor the draws that start from them take part. The spread
of the G means is the error of a mean as one of the population (delete-a-group jackknife),

    Var = (G - 1)/G sum_g (m_(-g) - mean of them)^2,

with both parts that a point plays, as the true point of x and as one of the candidates, and with
the noise of the draws.

Heated weights are w' ~ e^{beta l}, beta <= 1. The log-odds between classes a and b,

    D_ab = log [1/n_a sum_{nu in a} e^{beta l_nu}] - log [1/n_b sum_{nu in b} e^{beta l_nu}]

for x noised from a point of a, which itself is left out and not counted, have as their mean
M_ab(beta) what the population has there, as long as many points compete at that beta.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from ..common.parallel import Progress, workers
from ..common.rng import numpy_generator
from ..data.cloud import Cloud, square_distances
from ..process import snr
from .moments import PAIRS_PER_BLOCK, Moments, Stretches, draw_block, exponents
from .observables import ClassWeights, class_weights, observables

GROUPS = 16
T95 = float(student.ppf(0.975, GROUPS - 1))  # standard errors to either side that hold 95 %
_LEAST = 1e-38  # of a sum in units of the largest weight: float32 knows nothing below
_MASK = -1e30  # exponent that takes a point out of every sum
_PRODUCTS = 2**22  # rows times points whose products are held: 32 MiB
_TILE = 2**20  # rows times points at a time: less, and calls cost more than sums


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
    moved = Cloud(
        cloud.coordinates[rows], cloud.labels[rows], cloud.order[rows],
        cloud.bounds, cloud.scale, cloud.d,
    )  # fmt: skip
    return Grouped(moved, sizes)


def jackknife_error(values: np.ndarray) -> np.ndarray:
    """Standard error from values (..., 1 + G): of the whole set first, then without each group."""
    without = values[..., 1:]
    groups = without.shape[-1]
    return np.asarray(np.sqrt((groups - 1) * without.var(axis=-1)))


def jackknife_covariance(values: np.ndarray) -> np.ndarray:
    """Covariance (T, T) of the errors of T means, from values (T, 1 + G)."""
    groups = values.shape[-1] - 1
    return np.atleast_2d((groups - 1) * np.cov(values[:, 1:], bias=True))


class _Dealt:
    """Where the weights of the points of every class and group go: what the rows of a cloud share.

    Classes of fewer points than groups leave many without any: the E sets that have some are kept,
    and `place` (G, K) says where, E for those without.
    """

    def __init__(self, parts: Grouped, device: torch.device):
        sizes = parts.sizes.ravel()
        some = np.flatnonzero(sizes)
        place = np.full(sizes.shape, len(some))
        place[some] = np.arange(len(some))
        place = np.ascontiguousarray(place.reshape(parts.sizes.shape).T)
        self.place = torch.from_numpy(place).to(device)
        self.stretches = Stretches(sizes[some], device)
        self.single = len(some) == parts.cloud.n
        self.sets = len(some)
        group = torch.from_numpy(parts.group).to(device)
        self.group = group
        self.in_group = torch.nn.functional.one_hot(group, GROUPS).float()  # (n, G)
        others = 1 - torch.eye(GROUPS, device=device)
        self.rest = torch.cat([torch.ones_like(others[:, :1]), others], dim=1)  # (G, 1 + G)

    def without(self, of_group: Tensor) -> Tensor:
        """Sums over all groups, and over all but one: (..., G) -> (..., 1 + G)."""
        return of_group @ self.rest.to(of_group.dtype)


class _Weights:
    """The weights e^l of each row, in units of e^top, with `top` (...) the largest l of the row.

    In place on `exponent` (..., n), l in the order of the groups.
    """

    def __init__(self, exponent: Tensor, dealt: _Dealt):
        self._dealt = dealt
        top = exponent.amax(-1, keepdim=True)
        self._below = exponent.sub_(top)
        self.weight = self._below.exp()
        self.top = top[..., 0].double()

    def by_class(self) -> Iterator[tuple[int, Tensor]]:
        """The sums over each class without each group, (..., 1 + G, k) for k classes at a time, and
        the first of these."""
        dealt, (*shape, _) = self._dealt, self.weight.shape
        padded = self.weight.new_zeros(*shape, dealt.sets + 1)
        if dealt.single:
            padded[..., :-1] = self.weight
        else:
            dealt.stretches.sums(self.weight, padded[..., :-1])
        some = max(1, _TILE // (GROUPS * math.prod(shape)))
        for first in range(0, dealt.place.shape[1], some):
            place = dealt.place[:, first : first + some]
            of_group = padded.index_select(-1, place.ravel()).reshape(*shape, *place.shape)
            yield first, dealt.rest.T @ of_group

    @cached_property
    def total(self) -> Tensor:
        """Of the whole set and without each group, (1 + G, ...), as are the others."""
        return self._summed(self.weight).clamp_min(_LEAST)

    def logs_and_squares(self) -> tuple[Tensor, Tensor]:
        """sum w log w and sum w^2, in the units of the weights; to be asked once."""
        logs = self._summed(self._below.mul_(self.weight))
        return logs, self._summed(torch.mul(self.weight, self.weight, out=self._below))

    def _summed(self, values: Tensor) -> Tensor:
        return self._dealt.without((values @ self._dealt.in_group).double()).movedim(-1, 0)


def _moments(weights: _Weights) -> Moments:
    """Of the whole set and without each group: leading shape (1 + G, 2, p). Without distances and
    the probabilities of the classes, of which `_classes` knows the sums."""
    total = weights.total
    logs, squares = weights.logs_and_squares()
    return Moments(
        weights.top + total.log(),
        weights.top + logs / total,
        (squares / total).div_(total).clamp_min(_LEAST).log(),
        torch.full_like(total, torch.nan),
        total.new_empty(0),
    )


def _classes(weights: _Weights, own_class: Tensor) -> ClassWeights:
    """Likewise the sums over the classes."""
    of_all = weights.total.movedim(0, -1)[..., None].float()
    out = None
    for first, sums in weights.by_class():  # (2, p, 1 + G, k)
        probability = sums.div_(of_all)
        held = (own_class >= first) & (own_class < first + probability.shape[-1])
        index = torch.where(held, own_class - first, 0)[:, None, None]
        own = probability.gather(-1, index.expand(*probability.shape[:-1], 1))[..., 0]
        part = class_weights(probability, own * held[:, None])
        out = part if out is None else out.plus(part)
    assert out is not None
    return ClassWeights(*(x.movedim(-1, 0) for x in vars(out).values()))


def _exponent_rows(
    grouped: Grouped, block: int, seed: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rows mu (p,) of a block, |a_mu - a_nu|^2 (p, n) and z.(a_nu - a_mu) (p, n), own ones out."""
    cloud = grouped.cloud
    # products of more rows than the exponentials take: each reads the whole cloud
    together = int(np.clip(_PRODUCTS // cloud.n, 1, PAIRS_PER_BLOCK))
    rows = int(np.clip(_TILE // cloud.n, 1, together))
    for some in draw_block(cloud, block, seed).split(together):
        own = cloud.coordinates[some.points]
        along = some.noise @ cloud.coordinates.T
        along -= (some.noise * own).sum(1, keepdim=True)
        square = square_distances(own, cloud.coordinates)
        for start in range(0, len(square), rows):
            part = slice(start, start + rows)
            yield some.points[part], square[part], along[part]


def _both_signs(
    square: Tensor, along: Tensor, chosen: Tensor, gamma: float, beta: float = 1.0
) -> Tensor:
    """beta l for z and -z, (2, p, n), the true points taken out."""
    out = torch.empty(2, *square.shape, device=square.device)
    exponents(square, along, gamma, unit=beta, out=out[0])
    torch.add(out[0], along, alpha=-2 * beta * math.sqrt(gamma), out=out[1])
    out[:, torch.arange(len(chosen), device=chosen.device), chosen] = _MASK
    return out


def left_out_means(
    cloud: Cloud,
    places: Mapping[str, np.ndarray],
    *,
    blocks: int,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """The means of observables, in the whole set and without each group.

    Values (T, 1 + G) by the names in `places`, of `observables.OBSERVABLES` but the mmse, each at
    its own times (T,), from `blocks` blocks of draws. A weight 87 nats below the largest of its row
    counts as none.
    """
    parts = grouped(cloud, seed=seed)
    device = cloud.coordinates.device
    dealt = _Dealt(parts, device)
    asked: dict[float, list[str]] = {}
    for name, times in places.items():
        for t in times:
            asked.setdefault(float(t), []).append(name)

    def sums(block: int) -> np.ndarray:
        out = np.zeros((sum(map(len, asked.values())), 1 + GROUPS))
        for chosen, square, along in _exponent_rows(parts, block, seed):
            kept, rows = _kept(dealt.group[chosen]), []
            for t, names in asked.items():
                gamma = float(snr(t))
                exponent = _both_signs(square, along, chosen, gamma * cloud.scale**2)
                weights = _Weights(exponent, dealt)
                at = _moments(weights)
                classes = functools.partial(_classes, weights, parts.cloud.labels[chosen])
                # log n of the whole set serves all: it moves the means of all groups alike
                every = np.full(1 + GROUPS, gamma)
                values = observables(at, parts.cloud, chosen, every, names, classes)
                rows += [(values[x].mean(1) * kept).sum(-1) for x in names]
            out += torch.stack(rows).cpu().numpy()
        return out

    total = np.sum(list(_mapped(sums, blocks, device, memory_mib, progress)), axis=0)
    order = [(name, t) for t, names in asked.items() for name in names]
    means = dict(zip(order, total / _units(parts, blocks, seed).sum(axis=1), strict=True))
    return {x: np.array([means[x, float(t)] for t in times]) for x, times in places.items()}


@dataclass(frozen=True)
class HeatedLogOdds:
    """`log_odds` (T, B, 1 + G, K, K): M_ab at inverse temperatures `beta` (T, B), of the whole set
    and without each group; `same_point` (T, B): E[sum w'^2], one over the points that compete."""

    times: np.ndarray
    beta: np.ndarray
    log_odds: np.ndarray
    same_point: np.ndarray


def heated_log_odds(
    cloud: Cloud,
    times: np.ndarray,
    beta: np.ndarray,
    *,
    blocks: int,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> HeatedLogOdds:
    """M_ab(beta) at `times` (T,), each at its own `beta` (T, B), from `blocks` blocks of draws."""
    parts = grouped(cloud, seed=seed)
    device = cloud.coordinates.device
    dealt = _Dealt(parts, device)
    left = torch.from_numpy(parts.remaining).to(device)
    classes = len(parts.sizes)
    labels = torch.nn.functional.one_hot(parts.cloud.labels, classes).double()

    def sums(block: int) -> tuple[np.ndarray, np.ndarray]:
        shape = beta.shape
        odds = np.zeros((*shape, 1 + GROUPS, classes, classes))
        same = np.zeros(shape)
        for chosen, square, along in _exponent_rows(parts, block, seed):
            mine = labels[chosen]  # (p, K)
            kept = _kept(dealt.group[chosen])  # (1 + G, p)
            competing = (left[:, None] - mine).clamp_min(1).log()  # (1 + G, p, K)
            for j, gamma in enumerate(snr(times)):
                scaled = float(gamma) * cloud.scale**2
                for k, b in enumerate(beta[j]):
                    exponent = _both_signs(square, along, chosen, scaled, float(b))
                    weights = _Weights(exponent, dealt)
                    sums = torch.cat([x for _, x in weights.by_class()], dim=-1).double()
                    by_class = sums.clamp_min(_LEAST).movedim(-2, 0)
                    density = by_class.log().mean(1) - competing  # (1 + G, p, K)
                    apart = (density * mine).sum(-1, keepdim=True) - density
                    odds[j, k] += torch.einsum("gp,pa,gpb->gab", kept, mine, apart).cpu().numpy()
                    norm = torch.linalg.vector_norm(weights.weight, dim=-1).double()
                    participation = (norm / sums[..., 0, :].sum(-1)).square()
                    same[j, k] += float(participation.mean(0).sum())
        return odds, same

    done = list(_mapped(sums, blocks, device, memory_mib, progress))
    units = _units(parts, blocks, seed)  # (1 + G, K)
    odds = np.sum([x[0] for x in done], axis=0) / np.maximum(units, 1)[..., None]
    same = np.sum([x[1] for x in done], axis=0) / (blocks * PAIRS_PER_BLOCK)
    return HeatedLogOdds(np.asarray(times), np.asarray(beta), odds, same)


def _kept(group: Tensor) -> Tensor:
    """(1 + G, p): 1 where the set holds the point of the draw."""
    left_out = torch.nn.functional.one_hot(group, GROUPS).double().T
    return torch.cat([torch.ones_like(left_out[:1]), 1 - left_out])


def _units(parts: Grouped, blocks: int, seed: int) -> np.ndarray:
    """Draws of each class whose point is in each set, (1 + G, K), counted in pairs."""
    points = [draw_block(parts.cloud, b, seed).points.cpu().numpy() for b in range(blocks)]
    drawn = np.concatenate(points)
    counts = np.zeros(parts.sizes.shape[::-1])
    np.add.at(counts, (parts.group[drawn], parts.cloud.labels.cpu().numpy()[drawn]), 1)
    whole = counts.sum(axis=0)
    return np.vstack([whole, whole - counts])


_Done = TypeVar("_Done")


def _mapped(
    work: Callable[[int], _Done],
    blocks: int,
    device: torch.device,
    memory_mib: int,
    progress: Progress | None,
) -> Iterator[_Done]:
    with workers(device, memory_mib) as pool:
        for k, done in enumerate(pool.map(work, range(blocks))):
            if progress:
                progress(k + 1, blocks, "errors of the population")
            yield done
