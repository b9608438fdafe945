"""Corrections to the print of "Dynamical Regimes of Diffusion Models", each put to the test.

    python examples/corrections.py [--draws N] [--quick] [--out FOLDER]

For every correction: the value of the printed formula, ours, and what sampling says, with its
standard error and the distance of either from it in standard errors. docs/corrections.md has the
derivations. The samplers know the model alone: points, noise, distances, the backward equation.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import ncx2

from diffregimes.common.rng import numpy_generator
from diffregimes.data.cloud import prepare
from diffregimes.posterior.sweep import sweep
from diffregimes.process import signal, variance
from diffregimes.theory import random_energy as rem
from diffregimes.theory.gaussian_mixture import TwoGaussians, excess_entropy, noised_variance
from diffregimes.theory.regimes import potential_slope, sample_q

ALPHA = 0.1
DIMENSIONS = (100, 200, 400, 800, 1600, 3200, 6400)
RESOLUTION = 2e-6  # of psi, from the table of the distribution of the energies


@dataclass(frozen=True)
class Row:
    """One line of the table; `printed` is nan where the paper gives no value."""

    what: str
    printed: float
    ours: float
    sampled: float
    error: float

    def distance(self, value: float) -> float:
        """(sampled - value) in standard errors."""
        return (self.sampled - value) / self.error


def tilted_energy(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """(i) Mean of E/d under the weights e^{-lambda E}; with |x - m e^{-t}|^2 = d Gamma, any d.

    Given x, 2 Delta E/s^2 is a noncentral chi-square with d degrees of freedom.
    """
    t, d = 0.4, 4
    of = rem.levels(t, sigma=1.0)
    noise, spread = of.noise, of.spread
    size = 1000 * draws
    for lam in (0.5, 1.0):
        chi = rng.noncentral_chisquare(d, d * of.total / spread, size)
        energy = spread / (2 * noise) * chi
        weight = np.exp(-lam * energy)
        mean = np.average(energy, weights=weight)
        error = np.sqrt(np.mean((weight * (energy - mean)) ** 2) / size) / weight.mean()
        width = noise + lam * spread
        printed = (noise**2 + 2 * noise * spread + lam * spread) / (2 * width**2)
        ours = float(rem.energy(of, lam))
        yield Row(f"(i) eps*({lam:g}), t = {t:g}", printed, ours, mean / d, error / d)


def sample_levels(
    of: rem.Levels,
    d: int,
    log_n: float,
    draws: int,
    rng: np.random.Generator,
    kept: int = 2000,
    nodes: int = 1000,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(|x_t - centre|^2/d, psi, sum w^2) of each draw of x_t, each with e^{log_n} fresh levels.

    n is as large as one likes: the k-th lowest of n levels lies where the distribution function
    is (sum of k exponentials)/n. The lowest `kept` are drawn so; the others, many, enter by their
    mean given these. The distribution function is the integral of the noncentral chi-square
    density over `nodes` cells in which log density is taken as linear.
    """
    off_centre = d * of.gap / of.total
    unit = (
        rng.noncentral_chisquare(d, off_centre, draws) if of.gap else rng.chisquare(d, size=draws)
    )
    squares = of.total * unit
    psi, participation = np.empty(draws), np.empty(draws)
    scale = of.spread / (2 * of.noise)
    for k, square in enumerate(squares):
        shift = square / of.spread
        top = scale * (d + shift + 8 * math.sqrt(2 * d + 4 * shift))
        grid = np.linspace(0.02 * top, top, nodes)
        log_density = np.maximum(ncx2.logpdf(grid / scale, d, shift) - math.log(scale), -1e6)
        log_below = np.logaddexp.accumulate(_log_cells(log_density, grid))
        log_u = np.log(np.cumsum(rng.exponential(size=kept))) - log_n
        lowest = np.interp(log_u, log_below, grid[1:])
        sums = []
        for power in (1, 2):  # log sum e^{-E} and log sum e^{-2E}
            cells = _log_cells(log_density - power * grid, grid)
            log_above = np.logaddexp.accumulate(cells[::-1])[::-1]
            rest = log_n + np.interp(lowest[-1], grid[:-1], log_above)
            sums.append(np.logaddexp(np.logaddexp.reduce(-power * lowest), rest))
        psi[k] = sums[0] / d
        participation[k] = math.exp(sums[1] - 2 * sums[0])
    return squares / d, psi, participation


def _log_cells(log_values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """log of the integral over each cell of a function whose logarithm is linear in it."""
    drop = np.abs(np.diff(log_values)) + 1e-12
    top = np.maximum(log_values[1:], log_values[:-1])
    return np.asarray(top + np.log((grid[1] - grid[0]) * -np.expm1(-drop) / drop))


def controlled_mean(
    values: np.ndarray, control: np.ndarray, known_mean: float
) -> tuple[float, float]:
    """Mean and standard error, without the part that is linear in a control of known mean."""
    slope = np.cov(control, values)[0, 1] / control.var(ddof=1)
    rest = values - slope * (control - known_mean)
    return float(rest.mean()), float(rest.std(ddof=2) / math.sqrt(len(values)))


def extrapolate(
    means: np.ndarray, errors: np.ndarray, dims: tuple[int, ...], order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares in 1, (log d)/d, 1/d and, for order 2, ((log d)/d)^2: (values, errors)."""
    d = np.array(dims, dtype=np.float64)
    terms = [np.ones_like(d), np.log(d) / d, 1 / d, (np.log(d) / d) ** 2][: order + 2]
    design = np.stack(terms, axis=1) / errors[:, None]
    inverse = np.linalg.inv(design.T @ design)
    return inverse @ design.T @ (means / errors), np.sqrt(np.diag(inverse))


def free_energies(draws: int, seed: int) -> Iterator[tuple[list[Row], list[str]]]:
    """(ii) psi of both classes on both sides of their condensations, as d grows at alpha fixed.

    Glass: extrapolated to d = infinity. Liquid: value at the largest d, where what is left is
    exponentially small.
    """
    for name, t, mu in (
        ("psi_+", 0.4, None),
        ("psi_+", 1.0, None),
        ("psi_-", 0.6, 1.0),
        ("psi_-", 1.5, 1.0),
    ):
        of = rem.levels(t, 1.0, mu)
        ours, glass = rem.free_energy(of, ALPHA), rem.is_glass(of, ALPHA)
        table = []
        lines = [f"{name}, t = {t:g}, {'glass' if glass else 'liquid'}: formula {ours:.5f}"]
        for d in DIMENSIONS:
            rng = numpy_generator(seed, f"{name}{t}", d)
            squares, psi, weights = sample_levels(of, d, ALPHA * d, draws, rng)
            mean, error = controlled_mean(psi, squares, of.reach)
            share = weights.mean(), weights.std(ddof=1) / math.sqrt(draws)
            table.append((mean, max(error, RESOLUTION), *share))
            lines.append(
                f"  d = {d:5d}  psi = {mean:.5f} +- {error:.5f}  (spread over x_t {psi.std():.4f})"
                f"  (psi - formula) d/log d = {(mean - ours) * d / math.log(d):7.4f}"
                f"  E sum w^2 = {share[0]:.4f} +- {share[1]:.4f}"
            )
        psi_mean, psi_error, share_mean, share_error = np.array(table).T
        side = f"{name}, t = {t:g}"
        annealed = ALPHA + float(rem.cumulant(of, 1.0))
        if not glass:
            edge = -float(rem.energy(of, 1.0))  # -1/2 for the own class
            yield [Row(f"(ii) {side}", edge, ours, psi_mean[-1], psi_error[-1])], lines
            continue
        value, error = extrapolate(psi_mean, psi_error, DIMENSIONS, order=2)
        rows = [Row(f"(ii) {side}", annealed, ours, value[0], error[0])]
        if mu is None:
            rows.append(Row(f"(ii) {side}, cases exchanged", -0.5, ours, value[0], error[0]))
        rate = -0.5 / float(rem.tilt(of, rem.lowest_energy(of, ALPHA)))
        rows.append(Row(f"     {side}: factor of (log d)/d", math.nan, rate, value[1], error[1]))
        value, error = extrapolate(share_mean, share_error, DIMENSIONS, order=1)
        share = rem.participation(of, ALPHA)
        rows.append(Row(f"     {side}: E sum w^2", math.nan, share, value[0], error[0]))
        yield rows, lines


def backward(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """(iii) and (v): the backward equation of x in d dimensions, with the exact score.

    x starts from the forward law at t = 2 and runs down to t = 0.1 in Euler-Maruyama steps.
    """
    law = TwoGaussians(d=64, mu=0.5, sigma=0.5)
    paths, d, centre = max(50, draws // 2), 64, np.full(64, 0.5)
    times = np.linspace(2.0, 0.1, 2001)
    step = times[0] - times[1]
    side = np.where(rng.random(paths) < 0.5, 1.0, -1.0)[:, None]
    start = math.sqrt(float(noised_variance(law, times[0])))
    x = side * centre * signal(times[0]) + start * rng.standard_normal((paths, d))
    q = [x @ centre / math.sqrt(d)]
    for t in times[:-1]:
        width, mean = float(noised_variance(law, t)), centre * signal(t)
        score = (np.tanh(x @ mean / width)[:, None] * mean - x) / width
        x = x + (x + 2 * score) * step + math.sqrt(2 * step) * rng.standard_normal(x.shape)
        q.append(x @ centre / math.sqrt(d))
    # second differences: free of the drift
    second = np.diff(np.array(q), n=2, axis=0)
    noise = (second**2).mean(axis=0) / (2 * step)
    across = ((x**2).sum(axis=1) - (x @ centre) ** 2 / (centre @ centre)) / (d - 1)
    printed = float(noised_variance(law, times[0]))  # of dx = score dtau + sqrt(2) dW
    for t in times[:-1]:
        printed += (2 - 2 * printed / float(noised_variance(law, t))) * step
    root = math.sqrt(paths)
    yield Row(
        "(iii) noise on q per unit time, mu = 0.5",
        2.0,
        2 * law.mu**2,
        float(noise.mean()),
        float(noise.std(ddof=1) / root),
    )
    yield Row(
        "(v) variance across m at t = 0.1, sigma = 0.5",
        printed,
        float(noised_variance(law, times[-1])),
        float(across.mean()),
        float(across.std(ddof=1) / root),
    )


def drift(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """(iv) Slope of the backward drift of q, E[(q_{t-h} - q_t) q_t]/(h E q_t^2).

    From pairs of the forward process: data noised to t - h, then on to t; no score enters.
    """
    step, size = 0.002, 1000 * draws
    for label, sigma, t in (("(iv)", 2.0, 0.2), ("     both hold:", 2.0, 3.0)):
        law = TwoGaussians(d=64, mu=0.5, sigma=sigma)
        before = sample_q(law, t - step, size, rng)
        fresh = law.mu * math.sqrt(float(variance(step))) * rng.standard_normal(size)
        q = float(signal(step)) * before + fresh
        pull = float(signal(t)) * math.sqrt(law.d)
        scale = (q**2).mean()
        printed = -(q * (q - 2 * law.mu**2 * pull * np.tanh(q * pull))).mean() / scale
        ours = -(q * potential_slope(law, q, t)).mean() / scale
        products = (before - q) * q / (step * scale)
        error = products.std(ddof=1) / math.sqrt(size)
        yield Row(
            f"{label} drift of q/q, t = {t:g}, sigma = {sigma:g}",
            printed,
            ours,
            float(products.mean()),
            float(error),
        )


def finite_size(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """(vi) f/alpha of clouds of n points, by the posterior pass."""
    d, n, t = 256, 20_000, 2.2
    law = TwoGaussians(d=d)
    values = []
    for cloud_seed in range(2):
        labels = rng.permutation(np.arange(n) % 2)
        points = 2.0 * labels[:, None] - 1 + rng.standard_normal((n, d))
        cloud = prepare(points.astype(np.float32), labels)
        found = sweep(cloud, np.array([t]), draws=2 * draws, seed=cloud_seed)
        values.append(found.values["excess_entropy_over_alpha"][:, 0])
    units = np.concatenate(values)
    leading, exact = (
        float(excess_entropy(law, t, math.log(n), order)) * d / math.log(n)
        for order in ("leading", "exact")
    )
    error = units.std(ddof=1) / math.sqrt(len(units))
    yield Row(f"(vi) f/alpha, d = {d}, t = {t:g}", leading, exact, float(units.mean()), error)


def collect(draws: int, seed: int = 0) -> tuple[list[Row], list[str]]:
    """All rows of the table, and lines on how psi depends on d."""
    rows = list(tilted_energy(draws, numpy_generator(seed, "tilted")))
    lines: list[str] = []
    for found, more in free_energies(draws, seed):
        rows += found
        lines += more
    rows += backward(draws, numpy_generator(seed, "backward"))
    rows += drift(draws, numpy_generator(seed, "drift"))
    rows += finite_size(draws, numpy_generator(seed, "finite"))
    return rows, lines


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000, help="draws of x_t for each dimension")
    parser.add_argument("--quick", action="store_true", help="60 draws: a few seconds")
    parser.add_argument("--out", type=Path, help="folder for the table as corrections.csv")
    options = parser.parse_args(argv)
    if options.draws < 20:
        parser.error(f"--draws is {options.draws}; expected at least 20 for standard errors")
    rows, lines = collect(60 if options.quick else options.draws)
    print(f"Free energies at alpha = (log n)/d = {ALPHA:g}, n up to e^{ALPHA * DIMENSIONS[-1]:g}")
    print("\n".join(lines))
    names = ("printed", "ours", "sampled", "error", "z printed", "z ours")
    print("\n" + f"{'':46}" + "".join(f"{name:>11}" for name in names))
    table = []
    for row in rows:
        distances = row.distance(row.printed), row.distance(row.ours)
        values = (row.printed, row.ours, row.sampled, row.error)
        cells = [f"{value:11.5f}" for value in values] + [f"{z:11.1f}" for z in distances]
        print(f"{row.what:46}" + "".join(cells).replace("nan", "  -"))
        table.append((row.what.strip(), *values, *distances))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with open(options.out / "corrections.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("what", *names), *table])


if __name__ == "__main__":
    main()
