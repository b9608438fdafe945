"""How often the intervals of `analyze` hold the truth, over random laws with known answers.

    python benchmarks/interval_study.py run --laws 60 --clouds 5 --out study.jsonl
    python benchmarks/interval_study.py table study.jsonl

Laws: d 16 to 2048, n 200 to 20 000, mean norm mu~ 0.05 to 2 (|m|^2 = d mu~^2), sigma 0.3 to 4, all
log-uniform, d n at most 6e6; two to five classes at random directions; half with unequal weights
(Dirichlet), half with covariances that differ by class (a scale of its own, and a random spectrum).
In half of them the collapse comes first (log n below the information at t_S). From every law
`--clouds` sets of n points are drawn; killed, the same command goes on where it stood.

The truth: t_S by `balance` and `clone-loo`, where phi of the law reaches its level; by `spectral`
from the law's covariance; points needed, the law's information at t_S. The other criteria (`clone`,
`free-energy`, `entropy`) depend on n: there each interval is judged against the mean of the other
clouds of the law, with that mean's error.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import diffregimes as dr
from diffregimes.common.numerics import Z95
from diffregimes.data.datasets import from_arrays
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.groups import T95
from diffregimes.process import snr, time_from_snr
from diffregimes.transitions.criteria import clone_level

DRAWS = 2048
LARGEST = 6_000_000  # numbers in a set of points: larger ones take minutes each
TRUTH_DRAWS = 20_000
KNOWN = "balance", "clone-loo", "spectral"
RELATIVE = "clone", "free-energy", "entropy", "clone (collapse)"


def random_law(seed: int) -> tuple[GaussianMixture, int]:
    """A law and a number of points."""
    rng = np.random.default_rng([20_402, seed])
    d = round(math.exp(rng.uniform(math.log(16), math.log(2048))))
    n = round(math.exp(rng.uniform(math.log(200), math.log(20_000))))
    mu, sigma = (math.exp(rng.uniform(math.log(a), math.log(b))) for a, b in ((0.05, 2), (0.3, 4)))
    classes = int(rng.integers(2, 6))
    means = rng.standard_normal((classes, d))
    means *= mu * math.sqrt(d) / np.linalg.norm(means, axis=1, keepdims=True)
    if classes == 2:
        means[1] = -means[0]
    weights = rng.dirichlet(np.full(classes, 5.0)) if rng.random() < 0.5 else None
    if rng.random() < 0.5:
        return GaussianMixture(means, sigma**2, weights), n
    widths = sigma * np.exp(0.1 * rng.standard_normal(classes))
    spread = np.exp(0.5 * rng.standard_normal(d))
    each = [Covariance.diagonal_of(w**2 * spread / spread.mean()) for w in widths]
    return GaussianMixture(means, each, weights), n


def truth(law: GaussianMixture, seed: int) -> dict[str, float] | None:
    """Exact times and points needed; None where the law has no t_S from 0.02 on."""
    blind = float((law.weights**2).sum())
    level = blind + 0.55 * (1 - blind)

    grid = time_from_snr(np.exp(np.linspace(math.log(snr(0.02)), math.log(snr(6.0)), 24)))
    phi = law.population_curves(grid, draws=2000, seed=seed)["same_class_probability"]
    above = np.flatnonzero(phi >= level)
    if not len(above) or above[-1] == len(grid) - 1:
        return None
    fine = np.geomspace(0.95 * grid[above[-1]], 1.05 * grid[above[-1] + 1], 7)
    known = law.population_curves(fine, draws=TRUTH_DRAWS, seed=seed + 1)
    phi = known["same_class_probability"]
    if not phi[-1] < level < phi[0]:
        return None
    log_t = np.log(fine)
    at = float(brentq(CubicSpline(log_t, phi - level), log_t[0], log_t[-1], xtol=1e-7))
    information = float(CubicSpline(log_t, known["information"])(at))
    slope = np.gradient(phi, fine)
    se = known.se["same_class_probability"]
    error = float(np.interp(at, log_t, se) / abs(np.interp(at, log_t, slope)))
    top = float(law.eigenvalues()[0])
    return {
        "t_s": math.exp(at), "t_s_se": error, "needed": information,
        "spectral": 0.5 * math.log(top) if top > 1 else math.nan,
    }  # fmt: skip


def measured(law: GaussianMixture, n: int, seed: int) -> dict[str, object]:
    """The times of one cloud."""
    points, labels = law.sample(n, seed)
    data = from_arrays(points.numpy().astype(np.float32), labels.numpy())
    started = time.perf_counter()
    result = dr.analyze(data, draws=DRAWS, seed=seed)
    out: dict[str, object] = {"seconds": time.perf_counter() - started}
    for one in result.times:
        name = f"{one.method} (collapse)" if one.transition == "collapse" else one.method
        name = one.method if one.method in ("free-energy", "entropy") else name
        out[name] = [one.t, one.low, one.high, list(one.warnings)]
    needed = result.points_needed
    out["needed"] = needed and [needed.log_n, needed.low, needed.high]
    out["generalizes"] = result.verdict.generalizes
    out["level"] = clone_level(data.class_counts)
    return out


def run(laws: int, clouds: int, out: Path, part: str) -> None:
    done = {(x["law"], x["cloud"]) for x in map(json.loads, out.open())} if out.exists() else set()
    first, of = (int(x) for x in part.split("/"))
    counts = {True: 0, False: 0}
    index = 0
    while min(counts.values()) < laws // 2:
        law, n = random_law(index)
        index += 1
        if law.d * n > LARGEST:
            continue
        exact = truth(law, index)
        if exact is None:
            continue
        after = exact["needed"] > math.log(n)  # the collapse comes first
        if counts[after] >= laws // 2:
            continue
        counts[after] += 1
        if sum(counts.values()) % of != first:
            continue
        facts = {"d": law.d, "n": n, "classes": law.n_components, "shared": law.shared, **exact}
        for cloud in range(clouds):
            if (index, cloud) in done:
                continue
            seen = measured(law, n, 1000 * index + cloud)
            row = {"law": index, "cloud": cloud, "first": after, **facts, "seen": seen}
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(index, cloud, {k: facts[k] for k in ("d", "n", "t_s")}, seen["balance"][:3],
                  f"{seen['seconds']:.0f} s", flush=True)  # fmt: skip


def table(path: Path) -> None:
    """Coverage, mean z^2 and median half-widths, apart for the two orders of the times."""
    rows = [json.loads(x) for x in path.open()]
    print(f"{len({x['law'] for x in rows})} laws, {len(rows)} clouds")
    print(f"{'':24} {'order':>10} {'intervals':>9} {'hold':>6} {'below':>6} {'above':>6} "
          f"{'mean z2':>8} {'half-width':>10}")  # fmt: skip
    for name in (*KNOWN, "needed", *RELATIVE):
        for first in (False, True):
            _line(name, first, [x for x in rows if x["first"] == first])


def _line(name: str, first: bool, rows: list[dict]) -> None:
    judged = []
    by_law = defaultdict(list)
    for x in rows:
        seen = x["seen"].get(name)
        if seen and None not in seen[:3]:
            by_law[x["law"]].append((x, seen[:3]))
    for group in by_law.values():
        for k, (x, (t, low, high)) in enumerate(group):
            exact, error = math.nan, 0.0
            if name in ("balance", "clone-loo"):
                exact, error = x["t_s"], Z95 * x["t_s_se"]
            elif name in (*KNOWN, "needed"):
                exact = x[name]
            if name in RELATIVE:
                others = [y for j, (_, y) in enumerate(group) if j != k]
                if not others:
                    continue
                exact = float(np.mean([y[0] for y in others]))
                half = [(y[2] - y[1]) / 2 for y in others]
                error = math.sqrt(np.mean(np.square(half)) / len(others))
            if math.isfinite(exact):
                judged.append((t, low, high, exact, error))
    if not judged:
        return
    t, low, high, exact, error = np.array(judged).T
    down, up = t - np.hypot(t - low, error), t + np.hypot(high - t, error)
    below, above = exact < down, exact > up
    half = np.where(exact < t, t - down, up - t)
    z2 = ((t - exact) / half * T95) ** 2
    print(f"{name:24} {'t_C first' if first else 't_S first':>10} {len(t):9} "
          f"{1 - np.mean(below | above):6.3f} {below.mean():6.3f} {above.mean():6.3f} "
          f"{z2.mean():8.2f} {np.median((high - low) / 2):10.4f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    runs = verbs.add_parser("run")
    runs.add_argument("--laws", type=int, default=60)
    runs.add_argument("--clouds", type=int, default=5)
    runs.add_argument("--out", type=Path, default=Path("interval_study.jsonl"))
    runs.add_argument("--part", default="0/1", help="K/N: every N-th law, from the K-th on")
    verbs.add_parser("table").add_argument("path", type=Path)
    asked = parser.parse_args()
    if asked.verb == "run":
        run(asked.laws, asked.clouds, asked.out, asked.part)
    else:
        table(asked.path)


if __name__ == "__main__":
    main()
