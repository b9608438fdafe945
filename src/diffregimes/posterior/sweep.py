"""Draws times a time grid: the posterior pass repeated until the curves are known well enough.

A *unit* is one pair of draws (mu, z), (mu, -z); its observables are averaged over the pair.
Standard errors are those of independent units, sd / sqrt(units). Training points are drawn
without replacement, so this errs on the safe side for averages over the given training set, and
is the right scale for the population that the training points came from.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from torch import Tensor

from ..common.parallel import Progress, workers
from ..common.pieces import Arrays, kept
from ..data.cloud import Cloud, all_square_distances
from ..data.filecloud import FileCloud
from ..process import snr
from . import fused
from .moments import PAIRS_PER_BLOCK, Draws, moments, pairs_together, products
from .observables import PRECISION_CURVES, observables
from .sample import Gathered, Sample, Values
from .shards import draw_blocks, moments_over, rounds

FIRST_BLOCKS = 8  # blocks before the number of draws is settled
_PROBABILITIES = 2**20  # of a class, at a time, at a point of a draw: 8 MiB
_USUAL = 8192  # draws, where their number is not known before
QUEUED = 256  # blocks at a time: Ctrl-C among a million being queued can be lost


def sweep(
    cloud: Cloud,
    times: np.ndarray,
    *,
    draws: int | None = None,
    precision: float = 0.005,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
    text: str = "posterior pass",
) -> Sample:
    """Run the posterior pass at `times` (T,) until the standard errors reach `precision`.

    `draws` fixes the number of draws instead (rounded up to whole blocks of 256). The
    precision is that of the curves between 0 and 1 (`observables.PRECISION_CURVES`), the largest
    over the grid. The same seed gives the same draws for any memory budget.
    """
    total = math.ceil(draws / (2 * PAIRS_PER_BLOCK)) if draws else FIRST_BLOCKS
    # worth keeping where the draws would compute as many rows one by one
    worth = cloud.n <= total * PAIRS_PER_BLOCK and not isinstance(cloud, FileCloud)
    distances = all_square_distances(cloud, memory_mib) if worth else None
    gamma = snr(times)
    device = cloud.coordinates.device
    compiled = fused.worth(cloud.n, draws or _USUAL, len(cloud.bounds) - 1, device)
    pieces = cloud.pieces if isinstance(cloud, FileCloud) else None
    stop = threading.Event()  # an interrupted run does not wait for blocks already queued

    def run(blocks: range) -> tuple[np.ndarray, Values]:
        if stop.is_set():
            raise InterruptedError
        drawn = draw_blocks(cloud, blocks, seed)

        def units() -> Arrays:
            found = _units(cloud, drawn, gamma, distances, memory_mib, compiled)
            return np.array(list(found)), *found.values()

        names, *found = kept(pieces, ("pass", seed, blocks, gamma, compiled), units)
        values = dict(zip(names.tolist(), found, strict=True))
        return cloud.order[drawn.points.cpu().numpy()], values

    gathered, done = Gathered(cloud.n), 0
    one = 1 if isinstance(cloud, FileCloud) else None  # its shards have workers
    with workers(device, memory_mib, blocks=one) as pool:
        try:
            while done < total:
                some = range(done, min(total, done + QUEUED))
                together = rounds(cloud, some)
                for blocks, result in zip(together, pool.map(run, together), strict=True):
                    gathered.add(*result)
                    done = blocks.stop
                    if progress:
                        progress(done, total, text)
                if draws is None and done == total:
                    total = max(total, _blocks_needed(gathered, precision))
        except BaseException:
            stop.set()
            raise
    return gathered.sample(np.asarray(times))


def _units(
    cloud: Cloud,
    drawn: Draws,
    gamma: np.ndarray,
    distances: Tensor | None,
    memory_mib: int,
    compiled: bool,
) -> Values:
    """The observables of each pair (p, T), so many pairs at a time as their classes allow."""
    pairs = min(PAIRS_PER_BLOCK, _PROBABILITIES // (2 * len(gamma) * (len(cloud.bounds) - 1)))
    pairs, parts = max(pairs, 1), []
    columns = _columns(memory_mib)

    def observe(some: Draws, **how: Any) -> None:
        if isinstance(cloud, FileCloud):
            weights = moments_over(cloud, some, gamma, compiled=compiled, **how)
        else:
            weights = moments(cloud, some, gamma, compiled=compiled, **how)
        values = observables(weights, cloud, some.points, gamma)
        parts.append({k: v.mean(1).T.cpu().numpy() for k, v in values.items()})

    if isinstance(cloud, FileCloud):
        observe(drawn, columns=columns, memory_mib=memory_mib)
    elif pairs == PAIRS_PER_BLOCK:
        observe(drawn, distances=distances, columns=columns)
    else:
        # products of more pairs than that: each reads the whole cloud
        for many in drawn.split(pairs_together(cloud.n)):
            largest = float(gamma.max()) * cloud.scale**2 if compiled else None
            square, along = products(cloud, many, largest=largest, lengths=np.diff(cloud.bounds))
            for k, some in enumerate(many.split(pairs)):
                part = slice(k * pairs, (k + 1) * pairs)
                known = square[part], along[part]
                observe(some, known=known, columns=columns * PAIRS_PER_BLOCK // pairs)
    return {k: np.concatenate([x[k] for x in parts]) for k in parts[0]}


def _columns(memory_mib: int) -> int:
    """Training points at a time: about 6 kB of buffers for each, cache-sized at most."""
    return int(np.clip(memory_mib * 2**20 // 24_000, 256, 4096))


def _blocks_needed(gathered: Gathered, precision: float) -> int:
    """Blocks that bring every precision curve to its standard error, given the units so far."""
    deviations = gathered.deviations()
    worst = max(float(deviations[name].max()) for name in PRECISION_CURVES)
    return math.ceil((worst / precision) ** 2 / PAIRS_PER_BLOCK)
