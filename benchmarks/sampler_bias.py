"""How far each sampler is from the process it steps through (docs/samplers.md).

    python benchmarks/sampler_bias.py             # some ten minutes on one core
    python benchmarks/sampler_bias.py --quick     # few pairs: shows the tables, no small bias

Three laws, from the last time of the linear DDPM schedule down to 0:

    one Gaussian     every step is affine, so mean and variance are carried along exactly
    two Gaussians    phi along the axis between them, without sampling: the probability u(x) to end
                     in the first class goes back over the steps, the law of x_t goes forward
    digits 0 and 1   clones under the exact empirical score against the forward pass
"""

from __future__ import annotations

import argparse
import math
from itertools import pairwise

import numpy as np
import torch
from scipy.sparse import csr_array

import diffregimes as dr
from diffregimes.backward.clones import nearest_classes, run_clones
from diffregimes.backward.descent import Run
from diffregimes.backward.samplers import SAMPLERS, ddpm_times, noisy, uniform_times
from diffregimes.data.cloud import prepare
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.posterior.sweep import sweep
from diffregimes.process import linear_schedule, signal, variance
from diffregimes.scores import AbstractScore, EmpiricalScore, MixtureScore
from diffregimes.theory.gaussian_mixture import TwoGaussians, phi

SCHEDULE = linear_schedule()
TIMES = (0.03, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


def grid(name: str, steps: int) -> np.ndarray:
    """The paper's scheme is known for even steps; the others belong to the schedule."""
    if name == "euler-maruyama":
        return uniform_times(float(SCHEDULE.times[-1]), 0.0, steps)
    return ddpm_times(SCHEDULE, steps)


def affine(name: str, score: AbstractScore, t: float, s: float) -> tuple[float, float, float]:
    """x -> shift + slope x + spread z, read off three points."""
    x = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
    z = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    shift, one, noise = SAMPLERS[name].step(score, x, t, s, z)[:, 0].tolist()
    return shift, one - shift, noise - shift


def gaussian(name: str, times: np.ndarray, spread: float) -> float:
    """Relative error of the variance at times[-1], data N(0, spread), start N(0, 1)."""
    score = MixtureScore(GaussianMixture([[0.0]], spread))
    square = 1.0
    for t, s in pairwise(times.tolist()):
        _, slope, noise = affine(name, score, t, s)
        square = slope**2 * square + noise**2
    end = float(times[-1])
    return square / float(spread * signal(2 * end) + variance(end)) - 1


def transition(name: str, score: AbstractScore, x: np.ndarray, t: float, s: float) -> csr_array:
    """(N, N) on the points x: row i integrates a function over where x_i goes, by Gauss-Hermite
    nodes and cubic interpolation between four points."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    weights = weights / weights.sum()
    z = torch.from_numpy(np.tile(nodes, len(x)))[:, None]
    at = torch.from_numpy(np.repeat(x, len(nodes)))[:, None]
    place = (SAMPLERS[name].step(score, at, t, s, z)[:, 0].numpy() - x[0]) / (x[1] - x[0])
    first = np.clip(np.floor(place).astype(int) - 1, 0, len(x) - 4)
    u = np.clip(place - first, 0, 3)
    lagrange = (
        -(u - 1) * (u - 2) * (u - 3) / 6,
        u * (u - 2) * (u - 3) / 2,
        -u * (u - 1) * (u - 3) / 2,
        u * (u - 1) * (u - 2) / 6,
    )
    rows = np.repeat(np.arange(len(x)), len(nodes))
    shares = np.tile(weights, len(x))
    found = [csr_array((shares * w, (rows, first + k)), (len(x),) * 2) for k, w in
             enumerate(lagrange)]  # fmt: skip
    return sum(found[1:], found[0])


def two_classes(
    name: str, times: np.ndarray, law: TwoGaussians, at: list[int], points: int
) -> list[float]:
    """phi of clones that part at times[k], k in `at`, without sampling error."""
    mixture = two_gaussians(int(law.d), law.mu, law.sigma, law.weight).in_span()
    score, reach = MixtureScore(mixture), 7 + math.sqrt(law.d) * law.mu
    x = np.linspace(-reach, reach, points)
    steps = [transition(name, score, x, t, s) for t, s in pairwise(times.tolist())]
    first = mixture.class_posterior(torch.from_numpy(x)[:, None], max(times[-1], 1e-9))
    ends, u = {}, first[:, 0].numpy()
    for k in range(len(steps) - 1, -1, -1):
        u = steps[k] @ u
        ends[k] = u
    law_of_x, out = np.exp(-(x**2) / 2), []
    law_of_x /= law_of_x.sum()
    for k, step in enumerate(steps):
        if k in at:
            out.append(float(law_of_x @ (ends[k] ** 2 + (1 - ends[k]) ** 2)))
        law_of_x = law_of_x @ step
    return out


def gaussian_table() -> None:
    print("one Gaussian of variance v: relative error of the variance of the samples, in percent")
    print(f"{'sampler':16}{'steps':>6}" + "".join(f"{f'v = {v:g}':>10}" for v in (1 / 16, 1, 4)))
    for name in SAMPLERS:
        for steps in (1000, 250):
            row = [gaussian(name, grid(name, steps), v) for v in (1 / 16, 1, 4)]
            print(f"{name:16}{steps:6}" + "".join(f"{100 * e:10.2f}" for e in row))


def mixture_table(points: int) -> None:
    law = TwoGaussians(64, 0.5, 1.0)
    print("\ntwo Gaussians, |m| = 4, variance 1: bias of phi")
    for steps in (1000, 250):
        for name in sorted(noisy()):
            times = grid(name, steps)
            at = sorted({int(np.abs(times - t).argmin()) for t in (0.3, 0.8, 1.2, 1.6, 2.0, 2.5)})
            exact = phi(law, times[at])
            bias = np.array(two_classes(name, times, law, at, points)) - exact
            shown = " ".join(f"t={times[k]:.2f} {e:.3f} {b:+.5f}"
                             for k, e, b in zip(at, exact, bias, strict=True))  # fmt: skip
            print(f"{name:16}{steps:6}  {shown}")


def digits_table(pairs: int) -> None:
    data = dr.load("digits", classes=["0", "1"])
    score, cloud = EmpiricalScore(data.points), prepare(data.points, data.labels)
    print(f"\ndigits 0 and 1, {pairs} trajectories, 4 clones each: clones - forward pass (se)")
    for steps in (1000, 250):
        for name in ("bridge", "ddpm", "euler-maruyama"):
            ends = run_clones(
                score, TIMES, pairs, run=Run(grid(name, steps), sampler=name), training=score,
                branches=4, classify=nearest_classes(score, data.labels),
            ).curves()  # fmt: skip
            exact = sweep(cloud, ends.t, draws=64 * pairs).curves()
            for key, short in (
                ("same_point_probability", "phi_C"),
                ("same_class_probability", "phi"),
            ):
                bias = ends[key] - exact[key]
                error = np.hypot(ends.se[key], exact.se[key])
                shown = "  ".join(
                    f"t={t:.2f} {e:.3f} {b:+.4f}({s:.4f})"
                    for t, e, b, s in zip(ends.t, exact[key], bias, error, strict=True)
                )
                print(f"{name:16}{steps:6} {short:6} {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few pairs, coarse quadrature")
    quick = parser.parse_args().quick
    gaussian_table()
    mixture_table(401 if quick else 801)
    digits_table(256 if quick else 4096)


if __name__ == "__main__":
    main()
