"""What a monitor costs beside the training of a small U-Net, at its default interval.

    python benchmarks/monitor_cost.py [--side 16] [--seconds 200]
    python benchmarks/monitor_cost.py --data FOLDER/fashion-mnist --side 32 --points 2000 \
        --width 8 --seconds 300

A `UNet2DModel` learns digits, enlarged to so many pixels a side, or images with a border. Printed:
how many looks came, what share of the time of the training they took, and, since clocks of a busy
machine are no measure, the processor time of the same steps with and without a monitor.
docs/monitor.md has it.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import diffusers
import numpy as np
import torch

import diffregimes as dr
from diffregimes.data.groups import hold_out

BATCH, HELD_OUT, RATE = 32, 0.5, 1e-3


def unet(side: int, width: int) -> diffusers.UNet2DModel:
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=side, in_channels=1, out_channels=1, layers_per_block=1, norm_num_groups=8,
        block_out_channels=(width, 2 * width), down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2, attention_head_dim=8,
    )  # fmt: skip


def trained(
    data: dr.Dataset, held_out: dr.Dataset | None, width: int, steps: int | None, seconds: float
) -> tuple[int, float, dr.auditing.Monitor | None]:
    """So many steps, or as many as fit into the seconds: their number and processor time; with
    held-out points under a monitor."""
    side = data.sample_shape[0]
    network, plan = unet(side, width), diffusers.DDPMScheduler(clip_sample=False)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    images = torch.from_numpy(data.points).reshape(-1, 1, side, side)
    watch = None
    if held_out is not None:
        watch = dr.monitor(network, plan, data, held_out, out=tempfile.mkdtemp())
    generator = torch.Generator().manual_seed(1)
    step, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds if steps is None else step < steps:
        step += 1
        k = torch.randint(len(images), (BATCH,), generator=generator)
        t = torch.randint(1000, (BATCH,), generator=generator)
        noise = torch.randn(BATCH, 1, side, side, generator=generator)
        loss = (network(plan.add_noise(images[k], noise, t), t).sample - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watch is not None:
            watch.step(step)
    return step, time.process_time() - used, watch


def enlarged(side: int) -> dr.Dataset:
    """Digits whose pixels are squares."""
    digits = dr.load("digits", pixel_range=(-1, 1))
    large = digits.points.reshape(-1, 8, 8)
    for axis in (1, 2):
        large = np.repeat(large, side // 8, axis=axis)
    return dr.from_arrays(large[..., None], digits.labels)


def bordered(source: str, points: int, side: int) -> dr.Dataset:
    """So many of the images, the same number of each class, in a border of the darkest."""
    every = dr.load(source, pixel_range=(-1, 1))
    some = every.take(hold_out(every.labels, 1 - points / every.n)[0])
    images = some.points.reshape(-1, *some.sample_shape)
    border = (side - images.shape[1]) // 2
    wide = np.pad(images, [(0, 0), *[(border, border)] * 2, (0, 0)], constant_values=-1)
    return dr.from_arrays(wide, some.labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="a source of images; digits, enlarged, without")
    parser.add_argument("--points", type=int, default=2000, help="of --data, half held out")
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--width", type=int, default=16, help="channels of the first level")
    parser.add_argument("--seconds", type=float, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)

    whole = enlarged(options.side)
    if options.data is not None:
        whole = bordered(options.data, options.points, options.side)
    kept, out = hold_out(whole.labels, HELD_OUT)
    data, held_out = whole.take(kept), whole.take(out)
    steps, used, watch = trained(data, held_out, options.width, None, options.seconds)
    assert watch is not None
    looks, share = len(watch.rows) - 1, watch.seconds / watch.training_seconds
    each = watch.seconds / max(looks, 1)
    print(f"{options.side} pixels a side, {data.n} images, {steps} steps", flush=True)
    print(f"{looks} looks of {each:.1f} s: {share:.1%} of the training", flush=True)
    alone = trained(data, None, options.width, steps, 0)[1]
    print(f"processor time {used:.1f} s, without a monitor {alone:.1f} s: {used / alone - 1:.1%}")


if __name__ == "__main__":
    main()
