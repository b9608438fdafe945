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

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
from .moments import PAIRS_PER_BLOCK, Moments, draw_block, exponents
from .observables import observables

GROUPS = 16
T95 = float(student.ppf(0.975, GROUPS - 1))  # standard errors to either side that hold 95 %
_LEAST = 1e-38  # of a sum in units of the largest weight: float32 knows nothing below
_MASK = -1e30  # exponent that takes a point out of every sum
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


class _Segments:
    """Sums of the weights e^l of each row over every class and group.

    In place on `exponent` (..., n), l in the order of the groups; `share` (..., K, G) is in units
    of e^top, with `top` (...) the largest l of the row.
    """

    def __init__(self, exponent: Tensor, sizes: Tensor, shape: tuple[int, ...]):
        self._lengths = sizes.expand(*exponent.shape[:-1], -1).contiguous()
        self._shape = shape
        top = exponent.amax(-1, keepdim=True)
        self._below = exponent.sub_(top)
        self.weight = self._below.exp()
        self.top = top[..., 0].double()
        self.share = self._summed(self.weight)

    def _summed(self, values: Tensor) -> Tensor:
        axis = values.ndim - 1
        sums = torch.segment_reduce(values, "sum", lengths=self._lengths, axis=axis, unsafe=True)
        return sums.double().reshape(*values.shape[:-1], *self._shape)

    def logs(self) -> Tensor:
        """sum w log w of each class and group, in the units of `share`."""
        return self._summed(self._below.mul_(self.weight))

    def squares(self) -> Tensor:
        """sum w^2; the last thing to be asked, for it takes the place of the weights."""
        return self._summed(self.weight.square_())


def _rest(groups: int, device: torch.device) -> Tensor:
    """(G, 1 + G): sums over all groups, and over all but one."""
    others = 1 - torch.eye(groups, dtype=torch.float64, device=device)
    return torch.cat([torch.ones_like(others[:, :1]), others], dim=1)


def _moments(segments: _Segments, rest: Tensor) -> Moments:
    """Of the whole set and without each group: leading shape (1 + G, 2, p). Without distances."""
    by_class = (segments.share @ rest).movedim(-1, 0)  # (1 + G, 2, p, K)
    total = by_class.sum(-1).clamp_min(_LEAST)

    def mean(of_segment: Tensor) -> Tensor:
        return (of_segment @ rest).sum(-2).movedim(-1, 0) / total

    return Moments(
        segments.top + total.log(),
        segments.top + mean(segments.logs()),
        (mean(segments.squares()) / total).clamp_min(_LEAST).log(),
        torch.full_like(total, torch.nan),
        by_class / total[..., None],
    )


def _exponent_rows(
    grouped: Grouped, block: int, seed: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rows mu (p,) of a block, |a_mu - a_nu|^2 (p, n) and z.(a_nu - a_mu) (p, n), own ones out."""
    cloud = grouped.cloud
    rows = int(np.clip(_TILE // (cloud.n + 64 * grouped.sizes.size), 1, PAIRS_PER_BLOCK))
    drawn = draw_block(cloud, block, seed)
    for start in range(0, PAIRS_PER_BLOCK, rows):
        chosen, noise = drawn.points[start : start + rows], drawn.noise[start : start + rows]
        own = cloud.coordinates[chosen]
        along = noise @ cloud.coordinates.T - (noise * own).sum(1, keepdim=True)
        yield chosen, square_distances(own, cloud.coordinates), along


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
    sizes = torch.from_numpy(parts.sizes.ravel()).to(device)
    rest = _rest(GROUPS, device)
    group = torch.from_numpy(parts.group).to(device)
    asked: dict[float, list[str]] = {}
    for name, times in places.items():
        for t in times:
            asked.setdefault(float(t), []).append(name)

    def sums(block: int) -> np.ndarray:
        out = np.zeros((sum(map(len, asked.values())), 1 + GROUPS))
        for chosen, square, along in _exponent_rows(parts, block, seed):
            kept, rows = _kept(group[chosen]), []
            for t, names in asked.items():
                gamma = float(snr(t))
                exponent = _both_signs(square, along, chosen, gamma * cloud.scale**2)
                at = _moments(_Segments(exponent, sizes, parts.sizes.shape), rest)
                # log n of the whole set serves all: it moves the means of all groups alike
                every = np.full(1 + GROUPS, gamma)
                values = observables(at, parts.cloud, chosen, every, names)
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
    sizes = torch.from_numpy(parts.sizes.ravel()).to(device)
    rest = _rest(GROUPS, device)
    left = torch.from_numpy(parts.remaining).to(device)
    group = torch.from_numpy(parts.group).to(device)
    classes = len(parts.sizes)
    labels = torch.nn.functional.one_hot(parts.cloud.labels, classes).double()

    def sums(block: int) -> tuple[np.ndarray, np.ndarray]:
        shape = beta.shape
        odds = np.zeros((*shape, 1 + GROUPS, classes, classes))
        same = np.zeros(shape)
        for chosen, square, along in _exponent_rows(parts, block, seed):
            mine = labels[chosen]  # (p, K)
            kept = _kept(group[chosen])  # (1 + G, p)
            competing = (left[:, None] - mine).clamp_min(1).log()  # (1 + G, p, K)
            for j, gamma in enumerate(snr(times)):
                scaled = float(gamma) * cloud.scale**2
                for k, b in enumerate(beta[j]):
                    exponent = _both_signs(square, along, chosen, scaled, float(b))
                    segments = _Segments(exponent, sizes, parts.sizes.shape)
                    by_class = (segments.share @ rest).clamp_min(_LEAST).movedim(-1, 0)
                    density = by_class.log().mean(1) - competing  # (1 + G, p, K)
                    apart = (density * mine).sum(-1, keepdim=True) - density
                    odds[j, k] += torch.einsum("gp,pa,gpb->gab", kept, mine, apart).cpu().numpy()
                    norm = torch.linalg.vector_norm(segments.weight, dim=-1).double()
                    participation = (norm / segments.share.sum((-2, -1))).square()
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
