"""The door to what numba compiles: sums over rows of points, and distances from float32 products.

Where much is to be computed on a CPU, and numba is there; `moments` has the same in torch, which
serves elsewhere. The choice hangs on the data and the draws asked for alone, so that the same call
gives the same numbers, the first time and later.

Points that are `bits` = log2 n + 44 below the reference of their stretch leave the sums: all of
them together hold less than 2^-44 = 6e-14 of a sum of weights, and 4e-12 of one of w l.

Squared distances from float32 products, of 512 features at a time and added up in float64, are off
by up to 3e-7 of |a|^2 + |b|^2, 4e-8 as a rule. At gamma up to _SURE/(|a|^2 + |b|^2) that moves no
exponent by more than 7e-5, 8e-6 as a rule. At larger ones few points are left: those within
log n + 3 nats of the largest of their class there, or nearer than it, get distances from
differences in float64, and the others hold less than 5 % of the weight where the error begins to
show, and less and less beyond.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.cloud import Cloud, square_distances

_FEWEST = 4096  # points from which loading numba (a second) is worth its while for any draws
_WORK = 2**25  # points times draws likewise
_SHORT = 24  # points of a stretch on average: fewer, and stretches cost more than points
_NEVER = 1e37  # bits
_LEAVE = 44  # bits beyond log2 n
_SURE = 400.0
_MARGIN = 4e-7  # of |a|^2 + |b|^2: what a distance may be off by
_NATS = 3.0
_SHARE = 0.08  # of distances computed again: more, and float64 products are faster
_FEATURES = 512
_TOGETHER = 1024  # points at a time: what is added up stays in the cache
_LOG2E = math.log2(math.e)


@functools.cache
def _usable() -> bool:
    """Whether what numba compiles is there: numba may be missing, refuse this numpy (ImportError),
    or find no folder to keep it in (RuntimeError)."""
    try:
        from . import compiled  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


def worth(n: int, draws: int, stretches: int, device: torch.device) -> bool:
    """Whether the compiled sums serve `draws` draws over `n` points in so many stretches."""
    much = n >= _FEWEST or n * draws >= _WORK
    return device.type == "cpu" and much and n >= _SHORT * stretches and _usable()


@dataclass(frozen=True)
class RowSums:
    """Sums over stretches S and groups of stretches G of the weights 2^l in units of 2^top.

    Leading shape (T, 2, p): time, sign, row. top (...), of w in `stretch` (..., S) float32, of w^2,
    w (l - top) and w |a_mu - a_nu|^2 in `squares`, `logs`, `distances` (..., G); float64 else.
    """

    top: Tensor
    stretch: Tensor
    squares: Tensor
    logs: Tensor
    distances: Tensor


def row_sums(
    square: Tensor,
    along: Tensor,
    own: np.ndarray,
    gamma: np.ndarray,
    lengths: np.ndarray,
    *,
    beta: np.ndarray | float = 1.0,
    group: np.ndarray | None = None,
    points: int = 0,
) -> RowSums:
    """Of beta l_nu for z and -z at every `gamma`, from |a_mu - a_nu|^2 and z.(a_nu - a_mu) (p, n).

    `own` (p,) is the place of the point mu in its row, which stays out; -1 where it is in no place.
    `lengths` (S,) are those of the stretches, `group` (S,) the group of each, all one without. With
    `points`, the number of all training points, points leave where they no longer count: for
    times of the same beta.
    """
    from .compiled import row_sums as compiled

    group = np.zeros(len(lengths), dtype=np.int64) if group is None else group
    order = np.argsort(gamma, kind="stable")
    unit = np.broadcast_to(np.asarray(beta) * _LOG2E, gamma.shape)
    shape = len(gamma), 2, len(square)
    top = np.empty(shape)
    stretch = np.empty((*shape, len(lengths)), dtype=np.float32)
    of_group = np.empty((*shape, int(group.max()) + 1, 3))
    compiled(
        square.numpy(),
        along.numpy(),
        np.ascontiguousarray(own),
        (np.sqrt(gamma) * unit)[order].astype(np.float32),
        (-0.5 * gamma * unit)[order].astype(np.float32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.ascontiguousarray(group),
        np.float32(-(math.log2(points) + _LEAVE) if points else -_NEVER),
        top,
        stretch,
        of_group,
    )
    back = torch.from_numpy(np.argsort(order, kind="stable"))
    at, rows, groups = (torch.from_numpy(x)[back] for x in (top, stretch, of_group))
    return RowSums(at, rows, *groups.unbind(-1))


def tiled(rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ columns^T of so many columns at a time that on a CPU a tile stays in the cache: a
    quarter faster than in one go."""
    if not rows.is_cpu:
        return rows @ columns.T
    out = rows.new_empty(len(rows), len(columns))
    for start in range(0, len(columns), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        out[:, part] = rows @ columns[part].T
    return out


def _rough(rows: Tensor, columns: Tensor, own: Tensor, norms: Tensor) -> Tensor:
    """|a_i - a_j|^2 (p, c) from float32 products, given the squared norms (p,) and (c,)."""
    out = rows.new_empty(len(rows), len(columns))
    for start in range(0, len(columns), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        total = own[:, None] + norms[part]
        for k in range(0, rows.shape[1], _FEATURES):
            few = slice(k, k + _FEATURES)
            total.sub_(rows[:, few] @ columns[part, few].T, alpha=2)
        out[:, part] = total.clamp_(min=0)
    return out


def distances(
    cloud: Cloud,
    chosen: tuple[Tensor, Tensor],
    along: Tensor,
    gamma: float,
    lengths: np.ndarray,
    start: int = 0,
) -> Tensor:
    """|a_mu - a_nu|^2 (p, n) that serve up to `gamma`, of the points from `start` on that `along`
    (p, n) is of; `chosen` are the rows (p,) of the points mu, -1 for none, and their coordinates.
    `lengths` (S,) are stretches whose largest terms count by themselves."""
    from .compiled import refine

    part = slice(start, start + along.shape[1])
    (places, rows), columns = chosen, cloud.coordinates[part]
    norms = rows.double().square_().sum(1)
    square = _rough(rows, columns, norms, cloud.norms[part])
    typical = norms + cloud.norms.median()
    sure = (_SURE / typical).numpy()
    if gamma <= sure.min():
        return square
    late = (sure < gamma) * _LOG2E  # base 2; 0 for rows that need no more
    done = refine(
        cloud.coordinates.numpy(),
        rows.numpy(),
        places.numpy(),
        start,
        square.numpy(),
        along.numpy(),
        (np.sqrt(sure) * late).astype(np.float32),
        (-0.5 * sure * late).astype(np.float32),
        (_MARGIN * typical).float().numpy(),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.float32(-(math.log(cloud.n) + _NATS) * _LOG2E),
        int(_SHARE * square.numel()),
    )
    return square if done >= 0 else square_distances(rows, columns)
