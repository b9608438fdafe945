"""The pass over shards: what it gathers of disjoint sets of training points, merged.

Log-sum, mean log, log-square, mean squared distance and class sums of the leave-one-out weights
merge associatively and commutatively up to rounding. Points are the outer loop and draws the inner
one: a reading of all points serves the draws of a round, `ROUND` blocks of them. Workers take one
shard each, and what they bring is merged in the order of the file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from ..common.parallel import workers
from ..data.cloud import Cloud
from ..data.filecloud import FileCloud
from . import cluster
from .groups import Dealt, Grouped, Weights, weights_of
from .moments import Draws, Moments, draw_block, merge, moments, products

ROUND = 8  # blocks of draws that share a reading
_CLASSES = 1024  # times blocks: their probabilities are held at once
_SHARD_MIB = 128  # that a worker holds of its shard, beside its buffers
_Found = TypeVar("_Found")


def rounds(cloud: Cloud, blocks: range) -> list[range]:
    """The blocks of draws that are run together, one where points are in memory."""
    size = 1
    if isinstance(cloud, FileCloud):
        size = min(ROUND, max(1, _CLASSES // (len(cloud.bounds) - 1)))
    return [blocks[k : k + size] for k in range(0, len(blocks), size)]


def draw_blocks(cloud: Cloud, blocks: Sequence[int], seed: int) -> Draws:
    """The draws of several blocks."""
    drawn = [draw_block(cloud, block, seed) for block in blocks]
    return Draws(torch.cat([x.points for x in drawn]), torch.cat([x.noise for x in drawn]))


def _reduced(
    cloud: FileCloud,
    draws: Draws,
    memory_mib: int,
    work: Callable[[Cloud, np.ndarray, Draws], _Found],
    both: Callable[[_Found, _Found], _Found],
) -> _Found:
    """What `work` makes of every shard, its rows, and the draws as it sees them, merged by `both`:
    in their order by the threads here, or in a tree by the workers of the cloud's cluster."""
    client, cloud = cloud.client, cloud.alone()
    own = cloud.coordinates[draws.points]
    points = draws.points.cpu().numpy()

    def run(part: slice) -> _Found:
        shard, rows = cloud.shard(part)
        place = np.minimum(np.searchsorted(rows, points), len(rows) - 1)
        here = torch.from_numpy(np.where(rows[place] == points, place, -1))
        return work(shard, rows, replace(draws, points=here.to(draws.points.device), own=own))

    if client is not None:
        return cluster.reduced(client, run, both, cloud.parts)
    with workers(cloud.coordinates.device, memory_mib, _SHARD_MIB) as pool:
        return functools.reduce(both, pool.map(run, cloud.parts))


def moments_over(
    cloud: FileCloud,
    draws: Draws,
    gamma: np.ndarray,
    *,
    columns: int,
    compiled: bool,
    memory_mib: int,
) -> Moments:
    """`moments` over all points of a cloud."""
    n = cloud.n

    def of_shard(shard: Cloud, _: np.ndarray, here: Draws) -> Moments:
        return moments(shard, here, gamma, columns=columns, compiled=compiled, among=n)

    return _reduced(cloud, draws, memory_mib, of_shard, merge)


def weights_over(
    parts: Grouped,
    draws: Draws,
    scaled: np.ndarray,
    beta: np.ndarray,
    dealt: Dealt,
    memory_mib: int,
) -> list[Weights]:
    """`weights_of` over all points of a cloud, at gamma in its units, with sums that belong to
    `dealt`."""
    assert isinstance(parts.cloud, FileCloud)
    largest = float(scaled.max()) if dealt.compiled else None

    def of_shard(shard: Cloud, rows: np.ndarray, here: Draws) -> list[Weights]:
        part = dealt.of_rows(rows)
        square, along = products(shard, here, largest=largest, lengths=part.lengths)
        return list(weights_of(square, along, here.points, scaled, beta, part))

    def both(one: list[Weights], two: list[Weights]) -> list[Weights]:
        return [a.plus(b) for a, b in zip(one, two, strict=True)]

    found = _reduced(parts.cloud, draws, memory_mib, of_shard, both)
    return [replace(x, dealt=dealt) for x in found]
