"""How the criteria of the collapse stand points far out, over random laws with exact answers.

    python benchmarks/collapse_study.py run --laws 40 --out collapse.jsonl
    python benchmarks/collapse_study.py table collapse.jsonl

Laws: two Gaussian classes +-m of equal spread, d 2 to 500, n 200 to 5000, mean norm mu~ 0.05 to 2
(|m|^2 = d mu~^2), sigma 0.3 to 4, all log-uniform. From every law n points are drawn, as they are,
with one of them thirty times as far out, and with 1 % of them so. The truth is where the mean of
each curve over sets of n points has its level (`theory.finite_n`); that of `free-energy` stands
beside it for all three.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from diffregimes.common.rng import numpy_generator
from diffregimes.data.cloud import prepare
from diffregimes.data.spectrum import covariance
from diffregimes.posterior.grid import adapt_times, near_square, pilot_times
from diffregimes.posterior.groups import T95, jackknife_error
from diffregimes.posterior.left_out import left_out_means
from diffregimes.posterior.sweep import sweep
from diffregimes.process import linear_schedule, snr, time_from_snr
from diffregimes.theory import TwoGaussians, collapse_time, finite_n
from diffregimes.transitions import collapse
from diffregimes.transitions.crossing import mean_crossing, of_population, resample

DRAWS = 4096
CRITERIA = {
    "bounded-free-energy": (collapse.bounded_free_energy_time, collapse.BOUNDED, 0.0, "bounded"),
    "free-energy": (collapse.free_energy_time, collapse.FREE, 0.0, "free"),
    "clone": (collapse.clone_time, "same_point_probability", 0.5, "same_point"),
}
SPOILT = "as drawn", "one far out", "1 % far out"


def random_law(seed: int) -> tuple[TwoGaussians, int]:
    """A law and a number of points."""
    rng = np.random.default_rng([31_400, seed])
    ends = (2, 500), (200, 5000), (0.05, 2), (0.3, 4)
    d, n, mu, sigma = (math.exp(rng.uniform(math.log(a), math.log(b))) for a, b in ends)
    return TwoGaussians(round(d), mu, sigma), round(n)


def truth(law: TwoGaussians, n: int) -> dict[str, float]:
    """t_C of n points by each criterion."""
    log_n = math.log(n)
    axis = math.log(snr(collapse_time(law, log_n))) + np.linspace(-3.5, 3.5, 43)
    times = np.asarray(time_from_snr(np.exp(axis)))
    found = finite_n.means(law, times, log_n, draws=1024)
    out = {}
    for name, (_, _, level, field) in CRITERIA.items():
        values = getattr(found, field) - level
        k = int(np.flatnonzero(np.diff(np.sign(values)))[0])
        near = slice(max(k - 3, 0), k + 5)
        spline = CubicSpline(axis[near], values[near])
        out[name] = float(time_from_snr(math.exp(brentq(spline, axis[k], axis[k + 1]))))
    return out


def measured(points: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, list[float | None]]:
    """t_C and its interval by each criterion, as `analyze` has them."""
    cloud = prepare(points.astype(np.float32), labels)
    eigenvalues = np.linalg.eigvalsh(covariance(cloud).numpy())[::-1]
    wide = pilot_times(eigenvalues, cloud.n, near_square(cloud))
    grid = adapt_times(sweep(cloud, wide, draws=1024, seed=seed))
    seen = resample(sweep(cloud, grid, draws=DRAWS, seed=seed), numpy_generator(seed, "bootstrap"))
    places = {x[1]: mean_crossing(seen, x[1], x[2]) for x in CRITERIA.values()}
    places = {name: x for name, x in places.items() if math.isfinite(x)}
    times = time_from_snr(np.exp(np.array(list(places.values()))))
    means = left_out_means(cloud, times, blocks=DRAWS // 256, seed=seed)
    errors = {name: float(jackknife_error(means[name])[k]) for k, name in enumerate(places)}
    curves, clock = of_population(seen, places, errors), linear_schedule()
    found = {name: x[0](curves, clock) for name, x in CRITERIA.items()}
    return {name: [x.t, x.low, x.high] for name, x in found.items()}


def run(laws: int, out: Path) -> None:
    done = {json.loads(x)["law"] for x in out.open()} if out.exists() else set()
    for index in range(laws):
        if index in done:
            continue
        law, n = random_law(index)
        exact = truth(law, n)
        rng = np.random.default_rng([31_401, index])
        labels = np.arange(n) % 2
        m = np.zeros(law.d)
        m[0] = math.sqrt(law.square_mean)
        drawn = law.sigma * rng.standard_normal((n, law.d)) + np.where(labels[:, None], m, -m)
        row = {"law": index, "d": law.d, "n": n, "exact": exact}
        for name, count in zip(SPOILT, (0, 1, math.ceil(n / 100)), strict=True):
            points = drawn.copy()
            points[rng.permutation(n)[:count]] *= 30
            row[name] = measured(points, labels, index)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(index, law.d, n, exact, row["1 % far out"], flush=True)


def table(path: Path) -> None:
    """Coverage, mean z^2, half-width and bias in units of t, by criterion and kind of spoiling."""
    rows = [json.loads(x) for x in path.open()]
    print(f"{len(rows)} laws")
    print(f"{'':22} {'':12} {'hold':>6} {'mean z2':>9} {'half-width':>10} {'shift':>8} {'to F':>8}")
    for method in CRITERIA:
        for kind in SPOILT:
            some = [(x, x[kind][method]) for x in rows if None not in x[kind][method]]
            t, low, high = np.array([x for _, x in some]).T
            exact = np.array([x["exact"][method] for x, _ in some])
            plain = np.array([x["exact"]["free-energy"] for x, _ in some])
            half = np.where(exact < t, t - low, high - t)
            z2 = ((t - exact) / half * T95) ** 2
            print(f"{method:22} {kind:12} {np.mean((low <= exact) & (exact <= high)):6.2f} "
                  f"{z2.mean():9.2f} {np.median((high - low) / 2 / t):10.4f} "
                  f"{np.median(np.abs(t / exact - 1)):8.4f} "
                  f"{np.median(np.abs(t / plain - 1)):8.4f}  of {len(some)}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    runs = verbs.add_parser("run")
    runs.add_argument("--laws", type=int, default=40)
    runs.add_argument("--out", type=Path, default=Path("collapse_study.jsonl"))
    verbs.add_parser("table").add_argument("path", type=Path)
    asked = parser.parse_args()
    if asked.verb == "run":
        run(asked.laws, asked.out)
    else:
        table(asked.path)


if __name__ == "__main__":
    main()
