"""A network on 64 digits, watched while it learns them by heart, and audited at five lengths.

    python benchmarks/few_digits.py [--steps 6000] [--out runs/few-digits]
    python benchmarks/few_digits.py --data FOLDER/mnist --shrink 4 --points 512 --steps 24000
    python benchmarks/few_digits.py --data FOLDER/fashion-mnist --shrink 2 --points 512 \
        --steps 24000

Prints when the monitor says stop, and beside it what audits say of the averaged network after
1/16, 1/8, 1/4, 1/2 and all of the steps. Then a conjecture (effective noise): a network whose loss
on training points at gamma is that of the exact score at gamma_eff < gamma tells points apart as
the exact score does there,

    mmse_exact(gamma_eff(t)) = loss_train(t),
    phi_C of the network at t = phi_C of the exact score at gamma_eff(t),

so that its losses alone would say at which t half of its clones end on the same training point. It
is compared with its clones, and with its U-turns: noised training points are what these losses are
taken on. docs/monitor.md has the tables.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import diffregimes as dr
from diffregimes.data.groups import hold_out
from diffregimes.learned import module_score
from diffregimes.process import schedule, snr

RATE, BATCH, KEPT, LOOKS = 2e-3, 64, 0.995, 24
HELD_OUT = 2000  # of a larger set
LENGTHS = (16, 8, 4, 2, 1)
SMALL = {"samples": 256, "pairs": 128, "draws": 256, "steps": 100}


class Network(nn.Module):
    """Predicts the velocity of images (m, 1, H, W) at steps (m,) of 1000: a residual network; what
    it is `told` beside (m, width) is added to the features."""

    def __init__(self, d: int, width: int = 256, blocks: int = 3) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(d + 32, width), nn.Linear(width, d)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
            )
            for _ in range(blocks)
        )
        self.register_buffer("waves", torch.exp(torch.linspace(0, -7, 16)))

    def forward(self, x: Tensor, step: Tensor, told: Tensor | float = 0.0) -> Tensor:
        angle = step.float()[:, None] * self.waves
        h = self.first(torch.cat([x.flatten(1), angle.sin(), angle.cos()], 1)) + told
        for block in self.blocks:
            h = h + block(h)
        return self.last(h).reshape(x.shape)


def scored(network: nn.Module, data: dr.Dataset) -> Any:
    height, width, channels = data.sample_shape
    shape = channels, height, width
    return module_score(network, schedule("linear"), predicts="velocity", shape=shape)


def learned(data: dr.Dataset, held_out: dr.Dataset, steps: int, out: Path) -> dict[int, nn.Module]:
    """The averaged network at each length, by steps; the monitor is told of in `out`."""
    torch.manual_seed(0)
    network = Network(data.d)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    images = torch.from_numpy(data.points).reshape(-1, 1, *data.sample_shape[:2])
    product = torch.from_numpy(np.exp(-2 * schedule("linear").finite_times)).float()
    watch = dr.monitor(scored(average, data), None, data, held_out, every=steps // LOOKS, out=out)
    kept, said = {}, ""
    for step in range(1, steps + 1):
        a, k = images[torch.randint(len(images), (BATCH,))], torch.randint(1000, (BATCH,))
        z, share = torch.randn_like(a), product[k].reshape(-1, 1, 1, 1)
        given = share.sqrt() * a + (1 - share).sqrt() * z
        asked = share.sqrt() * z - (1 - share).sqrt() * a
        loss = (network(given, k) - asked).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
        decay = min(KEPT, (1 + step) / (10 + step))
        for x, new in zip(average.parameters(), network.parameters(), strict=True):
            x.lerp_(new.detach(), 1 - decay)
        if watch.step(step) and watch.stop != said:
            said = watch.stop
            print(f"stop after {step} steps, by {said}", flush=True)
        if step in {steps // x for x in LENGTHS}:
            kept[step] = copy.deepcopy(average)
    seconds = watch.seconds, watch.training_seconds
    print(f"looks took {seconds[0]:.1f} s beside {seconds[1]:.1f} s of training", flush=True)
    for row in watch.rows:
        shares = ", ".join(f"{x.name} {row[f'share_{x.name}']:.3f}" for x in watch.levels)
        nats = ", ".join(f"{x.name} {row[f'nats_{x.name}']:.2f}" for x in watch.levels)
        print(f"{row['step']:6.0f}: share {shares}; nats {nats}; copies {row['copies']:.0f}")
    return kept


def predicted(losses: Any, exact: dr.Analysis) -> float | None:
    """t at which the conjecture puts phi_C = 1/2, None where the losses never come so low."""
    gamma, mmse = snr(exact.curves.t), exact.curves["mmse"]
    half = np.interp(0.5, exact.curves["same_point_probability"][::-1], np.log(gamma)[::-1])
    wanted = float(np.interp(half, np.log(gamma)[::-1], mmse[::-1]))
    below = np.flatnonzero(losses.train < wanted)
    if not len(below):
        return None
    k = int(below[-1])  # losses grow with t
    if k + 1 == len(losses.t):
        return None
    part = (wanted - losses.train[k]) / (losses.train[k + 1] - losses.train[k])
    return float(np.exp(np.log(losses.t[k]) + part * np.log(losses.t[k + 1] / losses.t[k])))


def chosen(source: str, points: int, shrink: int) -> tuple[dr.Dataset, dr.Dataset]:
    """So many points, the same number of each class, and held-out ones; pixels are means of
    `shrink` by `shrink`, after a border of zeros that makes them fit."""
    whole = dr.load(source, pixel_range=(-1, 1))
    kept, out = hold_out(whole.labels, 1 - points / whole.n)
    data, held_out = whole.take(kept), whole.take(out[:: max(1, len(out) // HELD_OUT)])
    if shrink == 1:
        return data, held_out
    return smaller(data, shrink), smaller(held_out, shrink)


def smaller(data: dr.Dataset, shrink: int) -> dr.Dataset:
    side = data.sample_shape[0]
    border = -side % shrink // 2
    images = data.points.reshape(-1, side, side)
    images = np.pad(images, [(0, 0), *[(border, border)] * 2], constant_values=-1)
    small = images.reshape(len(images), -1, shrink, images.shape[2] // shrink, shrink)
    return dr.from_arrays(small.mean(axis=(2, 4))[..., None], data.labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("runs/few-digits"))
    options = parser.parse_args()

    data, held_out = chosen(options.data, options.points, options.shrink)
    exact = dr.analyze(data)
    print(f"{data.n} points of {data.d} numbers, {held_out.n} held out", flush=True)
    made = learned(data, held_out, options.steps, options.out)
    for steps, network in made.items():
        audit = dr.audit(scored(network, data), data, held_out, **SMALL)
        by = {x.method: x for x in audit.collapse}
        clone, uturn = (f"{x.t} [{x.low}, {x.high}]" for x in (by["clone"], by["u-turn"]))
        guess = predicted(audit.losses, exact)
        print(
            f"{steps:6d} steps: {audit.verdict.kind}, {audit.copies.share.in_percent()} copies; "
            f"phi_C = 1/2 at t = {clone}, exact {by['clone'].exact}, by effective noise {guess}; "
            f"half of the U-turns come back from {uturn}",
            flush=True,
        )
        print(audit.returns, flush=True)


if __name__ == "__main__":
    main()
