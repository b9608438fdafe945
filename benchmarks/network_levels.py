"""Which noise levels a sampler should take: the advised ones beside those in use, on a network.

    python benchmarks/network_levels.py [--network residual] [--steps 4000] [--seeds 2]
        [--samples 1000] [--out runs/guided]

The networks of guided_samples.py on 1200 of scikit-learn's digits, asked for no class. DDIM with 5,
10, 20 and 40 levels from the same noise, as sampler_steps.py takes them of exact scores, between
the ends of the linear schedule. Of the samples

    energy   energy distance to the held-out points (energy.py), and in the lines below its
             difference to that of the advised levels
    off      root mean squared distance to where the same noise ends with 200 levels, over the
             spread of the data sqrt(tr C): what these levels err of the flow of this network

Beside them the energy distance with 200 levels, which is the network's own error, and that of the
training points. Networks in --out are not trained again. docs/advice.md has the tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import diffregimes as dr
from diffregimes.advising.image import gained
from diffregimes.backward.samplers import ddim
from diffregimes.process import schedule, sigma
from energy import Measured, common, energy
from few_digits import chosen
from guided_samples import score, trained
from sampler_steps import COUNTS, Rules, spaced

POINTS, MANY = 1200, 200


def rules(found: dr.Analysis) -> Rules:
    """Times (N,) from noise to data by the number of levels: the advised, and those in use."""
    low, high = (float(x) for x in sigma(schedule("linear").finite_times[[0, -1]]))
    ends = 2 * np.log(low), 2 * np.log(high)
    x = np.linspace(*ends, 400)
    known_at, known = gained(found)
    nats = np.interp(x, known_at, known) * np.exp(-np.maximum(x - known_at[-1], 0))

    def advised(count: int) -> np.ndarray:
        return np.array(found.advise("linear", steps=count)["steps"].lists["t"])

    return {"advised": advised, **spaced(x, nats, high, low)}


def sampled(score: Any, times: np.ndarray, noise: torch.Tensor) -> np.ndarray:
    """Samples (m, d) of DDIM at these levels, with a last one of no noise."""
    x = noise
    with torch.no_grad():
        for t, s in zip(times, [*times[1:], 0.0], strict=True):
            x = ddim(score, x, float(t), float(s), None)
    return x.numpy().astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", choices=["residual", "unet"], default="residual")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("runs/guided"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    data, held_out = chosen("digits", POINTS, 1)
    points = held_out.points.astype(np.float64)
    spread = np.sqrt(data.points.var(axis=0, dtype=np.float64).sum())
    noise = torch.randn(options.samples, data.d, generator=torch.Generator().manual_seed(0))
    none = torch.full((options.samples,), len(data.class_names))
    ways = rules(dr.analyze(data, seed=0))
    found: dict[tuple[str, int], list[tuple[Measured, float]]] = {}
    ends = []
    for seed in range(options.seeds):
        network = trained(data, options.network, options.steps, seed, options.out)
        asked = score(network, data, none)
        fine = sampled(asked, ways["log-SNR"](MANY), noise)
        ends.append(energy(fine, points))
        print(f"seed {seed}, {MANY} levels: {ends[-1]}", flush=True)
        for name, times in ways.items():
            for count in COUNTS:
                x = sampled(asked, times(count), noise)
                off = float(np.sqrt(np.square(x - fine).sum(axis=1).mean()) / spread)
                found.setdefault((name, count), []).append((energy(x, points), off))
    print(f"energy distance with {MANY} levels {common(ends)}, of the training points "
          f"{energy(data.points.astype(np.float64), points)}")  # fmt: skip
    means = {key: common([one for one, _ in each]) for key, each in found.items()}
    for name in ways:
        cells = []
        for count in COUNTS:
            off = np.mean([x for _, x in found[name, count]])
            cells.append(f"{means[name, count]}, off {off:.3f}")
        gaps = [str(means[name, count] - means["advised", count]) for count in COUNTS]
        print(f"{name:18}", "   ".join(cells))
        print(f"{'  - advised':18}", "   ".join(gaps), flush=True)


if __name__ == "__main__":
    main()
