"""The pass over shards: what it gathers of disjoint sets of training points, merged.

Log-sum, mean log, log-square, mean squared distance and class sums of the leave-one-out weights
merge associatively and commutatively up to rounding. Points are the outer loop and draws the inner
one: a reading of all points serves the draws of a round, `ROUND` blocks of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from ..data.cloud import Cloud
from ..data.filecloud import FileCloud
from .groups import Dealt, Grouped, Weights, weights_of
from .moments import Draws, Moments, draw_block, merge, moments, products

ROUND = 8  # blocks of draws that share a reading
_CLASSES = 1024  # times blocks: their probabilities are held at once


def rounds(cloud: Cloud, blocks: range, workers: int) -> list[range]:
    """The blocks of draws that are run together, one where points are in memory."""
    size = 1
    if isinstance(cloud, FileCloud):
        classes = len(cloud.bounds) - 1
        size = min(ROUND, -(-len(blocks) // workers), max(1, _CLASSES // classes))
    return [blocks[k : k + size] for k in range(0, len(blocks), size)]


def draw_blocks(cloud: Cloud, blocks: Sequence[int], seed: int) -> Draws:
    """The draws of several blocks."""
    drawn = [draw_block(cloud, block, seed) for block in blocks]
    return Draws(torch.cat([x.points for x in drawn]), torch.cat([x.noise for x in drawn]))


def _over(cloud: Cloud, draws: Draws) -> Iterator[tuple[Cloud, np.ndarray, Draws]]:
    """Every shard with its rows, and the draws as it sees them."""
    own = cloud.coordinates[draws.points] if draws.own is None else draws.own
    points = draws.points.cpu().numpy()
    for shard, rows in cloud.shards():
        place = np.minimum(np.searchsorted(rows, points), len(rows) - 1)
        here = torch.from_numpy(np.where(rows[place] == points, place, -1))
        yield shard, rows, replace(draws, points=here.to(draws.points.device), own=own)


def moments_over(
    cloud: Cloud, draws: Draws, gamma: np.ndarray, *, columns: int, compiled: bool
) -> Moments:
    """`moments` over all points of a cloud."""
    of_shards = (
        moments(shard, here, gamma, columns=columns, compiled=compiled, among=cloud.n)
        for shard, _, here in _over(cloud, draws)
    )
    return functools.reduce(merge, of_shards)


def weights_over(
    parts: Grouped, draws: Draws, scaled: np.ndarray, beta: np.ndarray, dealt: Dealt
) -> list[Weights]:
    """`weights_of` over all points of a cloud, at gamma in its units, with sums that belong to
    `dealt`."""
    out: list[Weights] = []
    for shard, rows, here in _over(parts.cloud, draws):
        part = dealt.of_rows(rows)
        largest = float(scaled.max()) if dealt.compiled else None
        square, along = products(shard, here, largest=largest, lengths=part.lengths)
        found = list(weights_of(square, along, here.points, scaled, beta, part))
        out = [a.plus(b) for a, b in zip(out, found, strict=True)] if out else found
    return [replace(x, dealt=dealt) for x in out]
