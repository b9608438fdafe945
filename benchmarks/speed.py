"""How much work the posterior pass saves, in ratios from one run.

    python benchmarks/speed.py                     # 2000 random images of 32 x 32 x 3
    python benchmarks/speed.py cars.npz 1,7        # two classes of a file, 1000 of each

Compared at equal standard error of f/alpha (the largest over the grid) are the CPU times of

    ours    preparation, distances and posterior pass, all times at once
    plain   the paper's estimator in batched matrix products, fresh draws for every time
    loop    the same draw by draw

The plain forms are timed on some draws and scaled: their cost is linear in the draws and their
standard error falls as one over the root. Last, the pass, distances and all, against two float32
products (distances, projections) and one vectorised exponential (torch.exp2) for each draw, point
and time. All on one core, where CPU time is work; the pass uses more cores block by block, at the
same CPU time. What numba compiles once for every machine is compiled before the clock starts.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import diffregimes as dr
from diffregimes.data.cloud import prepare
from diffregimes.posterior.fused import worth
from diffregimes.posterior.moments import PAIRS_PER_BLOCK, draw_block, moments
from diffregimes.posterior.sample import Sample
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr
from plain import minus_log_p_batched, minus_log_p_loop

TIMES = np.geomspace(0.02, 3.0, 20)
DRAWS = 32768
CPU = torch.device("cpu")


def cpu(work: Callable[[], object], repeat: int = 1) -> float:
    """CPU seconds of the fastest of `repeat` runs."""
    best = math.inf
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def dataset() -> dr.Dataset:
    if len(sys.argv) > 2:
        return dr.load(sys.argv[1], classes=sys.argv[2].split(","), per_class=1000)
    smooth = np.random.default_rng(0).normal(size=(2000, 8, 8, 3))
    images = np.kron(smooth, np.ones((1, 4, 4, 1))).astype(np.float32)
    return dr.from_arrays(images, np.arange(2000) % 2, source="random images")


def floor(data: dr.Dataset) -> float:
    """CPU seconds of one block's two products and exponentials, and nothing else."""
    cloud = prepare(data.points, data.labels)
    noise = draw_block(cloud, 0, 0).noise
    tile = torch.rand(2, PAIRS_PER_BLOCK, min(4096, cloud.n)).neg()
    out = torch.empty_like(tile)
    product = cpu(lambda: noise @ cloud.coordinates.T, 20)
    exponential = cpu(lambda: torch.exp2(tile, out=out), 50)
    return 2 * product + exponential * len(TIMES) * cloud.n / tile.shape[2]


def main() -> None:
    torch.set_num_threads(1)
    data = dataset()
    n, d = data.n, data.d
    print(f"{data.source}: n = {n}, d = {d}, {len(TIMES)} times, {DRAWS} draws")

    cloud = prepare(data.points, data.labels)
    moments(cloud, draw_block(cloud, 0, 0), snr(TIMES), compiled=worth(n, DRAWS, 2, CPU))
    ready = cpu(lambda: prepare(data.points, data.labels))
    samples: list[Sample] = []
    total = cpu(lambda: samples.append(sweep(cloud, TIMES, draws=DRAWS)))
    curves = samples[0].curves()
    error = float(curves.se["excess_entropy_over_alpha"].max())
    ours = ready + total
    print(f"ours:  {ours:8.2f} CPU s (of which {ready:.2f} centring), standard error {error:.5f}")

    points = torch.from_numpy(data.points - data.points.mean(axis=0))
    for name, function, draws in (
        ("plain", minus_log_p_batched, 2048),
        ("loop", minus_log_p_loop, 64),
    ):
        seconds, worst = 0.0, 0.0
        for k, t in enumerate(TIMES):
            generator = torch.Generator().manual_seed(k)
            values: list[torch.Tensor] = []
            call = lambda t=t, g=generator, v=values: v.append(function(points, t, draws, g))  # noqa: E731, B023
            seconds += cpu(call) / draws
            worst = max(worst, float(values[0].std()) / math.log(n))
        spread = math.sqrt(d / 2) / math.log(n)
        # the loop's few draws estimate their spread badly: sqrt(d/2) is its known value
        needed = (min(worst, spread) / error) ** 2
        print(
            f"{name}: {seconds * needed:10.0f} CPU s for that error ({needed:.2g} draws a time, "
            f"{seconds / len(TIMES) * 1e6:.0f} us each): {seconds * needed / ours:,.0f} times ours"
        )

    blocks = DRAWS // (2 * PAIRS_PER_BLOCK)
    block = draw_block(cloud, 0, 0)
    compiled = worth(n, DRAWS, 2, CPU)
    one = cpu(lambda: moments(cloud, block, snr(TIMES), compiled=compiled), 10)
    print(
        f"pass:  {one * 1e3:.1f} CPU ms a block of {2 * PAIRS_PER_BLOCK} draws ({blocks} blocks), "
        f"{one / floor(data):.2f} times its products and exponentials"
    )


if __name__ == "__main__":
    main()
