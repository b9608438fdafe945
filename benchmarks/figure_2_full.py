"""The clones of figure 2 in all d dimensions, against the one that matters.

    python benchmarks/figure_2_full.py [--pairs 256] [--d 256,1024]

The paper's experiment as it stands: 1000 Euler-Maruyama steps from t = 10, clones at t = 1, 1.5,
..., 10, every state a vector of R^d. `reproduce figure-2` runs the coordinate along m alone, which
decides the class; both must agree with the exact phi. Prints seconds for so many pairs and, in
proportion, for the paper's 10 000.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from diffregimes.backward.clones import mixture_classes, run_clones
from diffregimes.backward.descent import Run
from diffregimes.backward.samplers import uniform_times
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.reproduce.figure_2 import START, STEPS, TIMES
from diffregimes.scores import MixtureScore
from diffregimes.theory import TwoGaussians, phi


def measure(law: GaussianMixture, d: int, pairs: int) -> tuple[float, float]:
    """Seconds, and the largest |z| against the exact phi."""
    run = Run(uniform_times(START, 0.0, STEPS), "euler-maruyama", dtype=torch.float32)
    started = time.perf_counter()
    ends = run_clones(MixtureScore(law), TIMES[::2], pairs, run=run, classify=mixture_classes(law))
    seconds = time.perf_counter() - started
    found = ends.curves()
    exact = phi(TwoGaussians(d), found.t)
    error = np.sqrt(np.maximum(exact * (1 - exact), 1 / pairs) / pairs)
    z = (found["same_class_probability"] - exact) / error
    return seconds, float(np.abs(z).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--d", default="256,1024")
    options = parser.parse_args()
    print(f"{'d':>6} {'run':>12} {'seconds':>9} {'for 10 000':>12} {'largest |z|':>12}")
    for d in (int(x) for x in options.d.split(",")):
        law = two_gaussians(d)
        for name, which in (("all d", law), ("along m", law.in_span())):
            seconds, z = measure(which, d, options.pairs)
            print(
                f"{d:6} {name:>12} {seconds:9.1f} {seconds * 10_000 / options.pairs:10.0f} s "
                f"{z:12.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
