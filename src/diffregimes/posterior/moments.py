"""The posterior weights of the training points, streamed: every quantity is one of their averages.

For x_t = e^{-t} a_mu + sqrt(Delta_t) z the posterior weight of training point nu is
w_nu = e^{l_nu} / sum e^{l}, with, at gamma = snr(t),

    l_nu = -(gamma/2) |a_mu - a_nu|^2 + sqrt(gamma) z.(a_nu - a_mu),    l_mu = 0.

Distances and projections do not depend on t, so one pair of matrix products serves the whole
time grid, and the same z at every t makes every curve smooth in t. z and -z are both used
(antithetic), which halves the products again. What remains is one exponential for each draw,
point and time. The pass gathers moments of the weights *without* the point mu itself, the
"leave-one-out" weights; since l_mu = 0, everything with mu follows without cancellation
(`observables`).

Squared distances come from float64 products of centred data, because near-duplicates differ by
less than float32 keeps of their norms; projections and exponentials are float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..common.rng import point_of_pair, torch_generator
from ..data.cloud import COLUMNS, Cloud, square_distances
from . import fused

PAIRS_PER_BLOCK = 128  # a block is 256 draws: 128 pairs (mu, +z), (mu, -z)
FEW = 64  # stretches up to which a sum for each is faster than to add entry by entry
_MASK = -1e37  # exponent that takes a point out of the sum at any gamma, without making 0 * inf
_MOST_GAMMA = 1e30  # in units of the cloud: beyond it float32 exponents would overflow
_LOG2E = math.log2(math.e)


@dataclass(frozen=True)
class Moments:
    """Moments of the leave-one-out weights w' over points nu != mu. Float64, leading shape (...).

    log_sum      F = log sum_nu e^{l_nu}
    mean_log     E'[l]
    log_square   log sum_nu w'_nu^2
    mean_square_distance  E'|a_mu - a_nu|^2
    class_probability     (..., K), sum of w' over each class; float32 where these are many
    """

    log_sum: Tensor
    mean_log: Tensor
    log_square: Tensor
    mean_square_distance: Tensor
    class_probability: Tensor


@dataclass(frozen=True)
class Draws:
    """Pairs of draws: `points` (p,) rows of the cloud, `noise` (p, r) float32; z and -z serve.

    A point that is not in the cloud has the row -1, and its coordinates in `own` (p, r).
    """

    points: Tensor
    noise: Tensor
    own: Tensor | None = None

    def split(self, pairs: int) -> Iterator[Draws]:
        """The same draws, so many pairs at a time."""
        for start in range(0, len(self.points), pairs):
            part = slice(start, start + pairs)
            own = None if self.own is None else self.own[part]
            yield Draws(self.points[part], self.noise[part], own)


def draw_block(cloud: Cloud, block: int, seed: int) -> Draws:
    """The draws of one block; they depend on the seed and the block alone."""
    points = point_of_pair(cloud.n, block * PAIRS_PER_BLOCK, PAIRS_PER_BLOCK, seed)
    shape = PAIRS_PER_BLOCK, cloud.coordinates.shape[1]
    noise = torch.randn(shape, generator=torch_generator(seed, "noise", block))
    device = cloud.coordinates.device
    # points are shuffled in dataset order, so that labels play no part in who is drawn
    return Draws(torch.from_numpy(cloud.row_of[points]).to(device), noise.to(device))


class Stretches:
    """Sums over consecutive stretches of the last axis that have these `lengths` (S,)."""

    def __init__(self, lengths: np.ndarray, device: torch.device):
        self._ends = np.concatenate([[0], np.cumsum(lengths)]).tolist()
        self._lengths = torch.as_tensor(lengths, device=device)
        self._of = torch.repeat_interleave(self._lengths)
        self._single = bool((lengths == 1).all())

    def sums(self, values: Tensor, out: Tensor) -> Tensor:
        """From `values` (..., n) into `out` (..., S)."""
        if self._single:
            return out.copy_(values)
        if len(self._lengths) <= FEW:
            for k, (a, b) in enumerate(pairwise(self._ends)):
                torch.sum(values[..., a:b], dim=-1, out=out[..., k])
            return out
        if values.is_cpu:
            return out.zero_().index_add_(-1, self._of, values)
        # there the order in which index_add_ adds is not always the same
        lengths = self._lengths.expand(*values.shape[:-1], -1).contiguous()
        axis = values.ndim - 1
        sums = torch.segment_reduce(values, "sum", lengths=lengths, axis=axis, unsafe=True)
        return out.copy_(sums)


class _Workspace:
    """Buffers of one pass: fresh memory, not arithmetic, is what costs."""

    def __init__(self, pairs: int, columns: int, times: int, classes: int, device: torch.device):
        self.logits = torch.empty(2, pairs, columns, device=device)
        self.weights = torch.empty_like(self.logits)
        self.statistics = torch.empty(times, 4, 2, pairs, device=device)
        self.by_class = torch.empty(times, 2, pairs, classes, device=device)


def exponents(
    square: Tensor, along: Tensor, gamma: float, *, unit: float = 1.0, out: Tensor | None = None
) -> Tensor:
    """l_nu of the module's law times `unit`, from |a_mu - a_nu|^2 and `along` = z.(a_nu - a_mu)."""
    scaled = torch.mul(along, math.sqrt(gamma) * unit, out=out)
    return scaled.add_(square, alpha=-0.5 * gamma * unit)


def pairs_together(n: int, features: int) -> int:
    """Pairs whose `products` fit into 16 MiB, or 8 where few features are soon read again; as a
    rule those before are still there."""
    entries = 2**20 if features <= FEW else 2**21
    return min(max(entries // n, 1), PAIRS_PER_BLOCK)


def products(
    cloud: Cloud,
    draws: Draws,
    part: slice = slice(None),
    *,
    largest: float | None = None,
    lengths: np.ndarray | None = None,
    square: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """|a_mu - a_nu|^2, unless given, and z.(a_nu - a_mu) of every pair and the points of `part`.

    With `largest`, a signal-to-noise ratio in units of the cloud, distances are from float32
    products where these serve up to it (`fused.distances`, which says what `lengths` are).
    """
    own = cloud.coordinates[draws.points] if draws.own is None else draws.own
    along = fused.tiled(draws.noise, cloud.coordinates[part])
    along -= (draws.noise * own).sum(1, keepdim=True)
    if square is None and largest is not None and lengths is not None:
        chosen = draws.points, own
        square = fused.distances(cloud, chosen, along, largest, lengths, part.start or 0)
    elif square is None:
        square = square_distances(own, cloud.coordinates[part])
    return square, along


def moments(
    cloud: Cloud,
    draws: Draws,
    gamma: np.ndarray,
    *,
    distances: Tensor | None = None,
    known: tuple[Tensor, Tensor] | None = None,
    columns: int = COLUMNS,
    compiled: bool = False,
    among: int | None = None,
) -> Moments:
    """Leave-one-out moments at every signal-to-noise ratio, shape (T, 2, p): time, sign, pair.

    `gamma` (T,) in the units of the data; `distances` as from `all_square_distances`, or `known` as
    from `products`. The sum over training points runs over slices of `columns` points whose moments
    are merged; `compiled` by numba (`fused.worth`). `among` is the number of all training points
    where the cloud is a part of these.
    """
    chosen, classes = draws.points, len(cloud.bounds) - 1
    # at the most all but exact duplicates are long resolved
    scaled = np.minimum(np.asarray(gamma, dtype=np.float64) * cloud.scale**2, _MOST_GAMMA)
    merged: Moments | None = None
    columns = min(columns, cloud.n)
    space = None
    if not compiled:
        space = _Workspace(len(chosen), columns, len(scaled), classes, chosen.device)
    for start in range(0, cloud.n, columns):
        part = slice(start, min(start + columns, cloud.n))
        lengths = np.diff(np.clip(cloud.bounds, start, part.stop))
        here = slice(np.flatnonzero(lengths)[0], np.flatnonzero(lengths)[-1] + 1)
        if known is not None:
            square, along = known[0][:, part], known[1][:, part]
        else:
            square, along = products(
                cloud, draws, part, largest=scaled.max() if compiled else None, lengths=lengths,
                square=None if distances is None else distances[chosen, part],
            )  # fmt: skip
        inside = (chosen >= start) & (chosen < part.stop)
        if space is None:
            own = torch.where(inside, chosen - start, -1).numpy()
            every = among or cloud.n
            sums = fused.row_sums(square, along, own, scaled, lengths[here], points=every)
            of_slice = _of_row_sums(sums, here, classes)
        else:
            rows = torch.nonzero(inside).squeeze(1)
            entries = rows * square.shape[1] + chosen[rows] - start
            space.by_class.zero_()
            by_class = space.by_class[..., here], Stretches(lengths[here], chosen.device)
            _slice_statistics(space, square, along, scaled, by_class, entries)
            of_slice = _slice_moments(space)
        merged = of_slice if merged is None else merge(merged, of_slice)
    assert merged is not None
    square_units = merged.mean_square_distance * cloud.scale**2
    return replace(merged, mean_square_distance=square_units)


def _slice_statistics(
    space: _Workspace,
    square: Tensor,
    along: Tensor,
    gamma: np.ndarray,
    by_class: tuple[Tensor, Stretches],
    own_entries: Tensor,
) -> None:
    """Unnormalised sums over one slice, in base 2 below each row's maximum (the hot loop).

    `by_class` is where the sums of the classes of the slice go, and their stretches; `own_entries`
    are the positions of the points mu in the flattened (pair, point) matrix.
    """
    width = square.shape[1]
    logits, weights = space.logits[..., :width], space.weights[..., :width]
    if width != space.logits.shape[-1]:
        logits, weights = logits.contiguous(), weights.contiguous()
    both = torch.stack([along, -along])
    sums, classes = by_class
    for k, g in enumerate(gamma):
        top, squares, logs, distance = space.statistics[k]
        exponents(square, both, g, unit=_LOG2E, out=logits)
        logits.view(2, -1).index_fill_(1, own_entries, _MASK)
        torch.amax(logits, dim=2, out=top)
        logits.sub_(top[..., None])
        torch.exp2(logits, out=weights)
        torch.linalg.vector_norm(weights, dim=2, out=squares)
        classes.sums(weights, sums[k])
        torch.sum(logits.mul_(weights), dim=2, out=logs)
        torch.sum(weights.mul_(square), dim=2, out=distance)


def _slice_moments(space: _Workspace) -> Moments:
    """The sums of one slice as moments, in natural logarithms and float64."""
    top, norm, logs, distance = space.statistics.double().unbind(1)
    return _as_moments(top, space.by_class, norm.square(), logs, distance)


def _of_row_sums(sums: fused.RowSums, here: slice, classes: int) -> Moments:
    """Likewise of the compiled ones, which know the classes of the slice alone."""
    by_class = sums.stretch
    if by_class.shape[-1] < classes:
        by_class = by_class.new_zeros(*by_class.shape[:-1], classes)
        by_class[..., here] = sums.stretch
    of_all = (x[..., 0] for x in (sums.squares, sums.logs, sums.distances))
    return _as_moments(sums.top, by_class, *of_all)


def _as_moments(
    top: Tensor, by_class: Tensor, squares: Tensor, logs: Tensor, distance: Tensor
) -> Moments:
    by_class = by_class if by_class.shape[-1] > FEW else by_class.double()
    total = by_class.sum(-1, dtype=torch.float64)
    log_sum = top / _LOG2E + total.log()
    return Moments(
        log_sum,
        (top + logs / total) / _LOG2E,
        (squares / total.square()).log(),
        distance / total,
        by_class / total[..., None].to(by_class.dtype),
    )


def merge(one: Moments, two: Moments) -> Moments:
    """Moments over the union of two disjoint sets of training points (shards, slices)."""
    log_sum = torch.logaddexp(one.log_sum, two.log_sum)
    a, b = (one.log_sum - log_sum).exp(), (two.log_sum - log_sum).exp()
    kind = one.class_probability.dtype
    return Moments(
        log_sum,
        a * one.mean_log + b * two.mean_log,
        torch.logaddexp(
            one.log_square + 2 * (one.log_sum - log_sum),
            two.log_square + 2 * (two.log_sum - log_sum),
        ),
        a * one.mean_square_distance + b * two.mean_square_distance,
        (a[..., None].to(kind) * one.class_probability).addcmul_(
            b[..., None].to(kind), two.class_probability
        ),
    )
