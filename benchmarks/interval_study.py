"""How often the intervals of `analyze` hold the truth, over random laws with known answers.

    python benchmarks/interval_study.py run --laws 60 --clouds 5 --out study.jsonl
    python benchmarks/interval_study.py run --clusters --laws 20 --clouds 3 --out clusters.jsonl
    python benchmarks/interval_study.py table study.jsonl

Laws: d 16 to 2048, n 200 to 20 000, mean norm mu~ 0.05 to 2 (|m|^2 = d mu~^2), sigma 0.3 to 4, all
log-uniform, d n at most 6e6; two to five classes at random directions; half with unequal weights
(Dirichlet), half with covariances that differ by class (a scale of its own, and a random spectrum).
In half of them the collapse comes first (log n below the information at t_S). From every law
`--clouds` sets of n points are drawn; killed, the same command goes on where it stood. With
`--clusters` every class is two to four Gaussian clusters with a centre of their own, 0.3 to 3 times
as far from it as the class from the mean (three in ten have no class mean), so that log-odds are
not Gaussian.

The truth: t_S by the headline, `balance` and `clone-loo`, where phi of the law reaches its level;
by `spectral` from the law's covariance; points needed, the law's information at t_S. The other
criteria (`clone`, `free-energy`, `entropy`) depend on n: there each interval is judged against the
mean of the other clouds of the law, with that mean's error.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import diffregimes as dr
from diffregimes.common.numerics import Z95
from diffregimes.data.datasets import from_arrays
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.groups import T95
from diffregimes.process import signal, snr, time_from_snr, variance
from diffregimes.transitions.balance import FEWEST
from diffregimes.transitions.criteria import clone_level

DRAWS = 2048
LARGEST = 6_000_000  # numbers in a set of points: larger ones take minutes each
TRUTH_DRAWS = 20_000
PHI = "headline", "balance", "clone-loo"
KNOWN = *PHI, "spectral"
RELATIVE = ("clone", "bounded-free-energy (collapse)", "free-energy", "entropy", "clone (collapse)")


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


def clustered_law(seed: int) -> tuple[GaussianMixture, int, np.ndarray]:
    """A law of clusters, a number of points, and the class of every cluster."""
    rng = np.random.default_rng([20_402, 1, seed])
    ranges = (8, 1024), (200, 10_000), (0.05, 2), (0.3, 3), (0.3, 2)
    d, n, mu, apart, sigma = (
        math.exp(rng.uniform(math.log(a), math.log(b))) for a, b in ranges
    )  # fmt: skip
    d, n = round(d), round(n)
    classes, clusters = (int(x) for x in rng.integers(2, 5, 2))
    own = rng.standard_normal((classes, 1, d)) * (rng.random() < 0.7)
    means = mu * (own + apart * rng.standard_normal((classes, clusters, d)))
    weights = rng.dirichlet(np.full(classes * clusters, 5.0))
    law = GaussianMixture(means.reshape(-1, d), sigma**2, weights)
    return law, n, np.repeat(np.arange(classes), clusters)


def same_class(
    law: GaussianMixture, kinds: np.ndarray, times: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """phi of the law at `times`, and its standard error; `kinds` is the class of each component."""
    if len(set(kinds)) == law.n_components:
        known = law.population_curves(times, draws=draws, seed=seed)
        return known["same_class_probability"], known.se["same_class_probability"]
    points, _ = law.sample(draws, seed)
    noise = torch.randn(points.shape, generator=torch.Generator().manual_seed(seed))
    of_class = torch.from_numpy(np.eye(kinds.max() + 1)[kinds])
    phi = np.stack([
        (law.class_posterior(signal(t) * points + math.sqrt(variance(t)) * noise, t).double()
         @ of_class).square().sum(1).numpy()
        for t in times
    ])  # fmt: skip
    return phi.mean(1), phi.std(1) / math.sqrt(draws)


def truth(law: GaussianMixture, kinds: np.ndarray, seed: int) -> dict[str, float] | None:
    """Exact times and points needed; None where the law has no t_S from 0.02 on."""
    shares = np.bincount(kinds, law.weights.numpy())
    blind = float((shares**2).sum())
    level = blind + 0.55 * (1 - blind)

    grid = time_from_snr(np.exp(np.linspace(math.log(snr(0.02)), math.log(snr(6.0)), 24)))
    phi, _ = same_class(law, kinds, grid, 2000, seed)
    above = np.flatnonzero(phi >= level)
    if not len(above) or above[-1] == len(grid) - 1:
        return None
    fine = np.geomspace(0.95 * grid[above[-1]], 1.05 * grid[above[-1] + 1], 7)
    phi, se = same_class(law, kinds, fine, TRUTH_DRAWS, seed + 1)
    if not phi[-1] < level < phi[0]:
        return None
    log_t = np.log(fine)
    at = float(brentq(CubicSpline(log_t, phi - level), log_t[0], log_t[-1], xtol=1e-7))
    known = law.population_curves(fine, draws=TRUTH_DRAWS, seed=seed + 1)
    information = float(CubicSpline(log_t, known["information"])(at))
    slope = np.gradient(phi, fine)
    error = float(np.interp(at, log_t, se) / abs(np.interp(at, log_t, slope)))
    top = float(law.eigenvalues()[0])
    return {
        "t_s": math.exp(at), "t_s_se": error, "needed": information,
        "spectral": 0.5 * math.log(top) if top > 1 else math.nan,
    }  # fmt: skip


def measured(
    law: GaussianMixture, kinds: np.ndarray, n: int, seed: int
) -> dict[str, object] | None:
    """The times of one cloud; None where a class is missing or has hardly a point."""
    points, components = law.sample(n, seed)
    labels = kinds[components.numpy()]
    if np.bincount(labels, minlength=kinds.max() + 1).min() < FEWEST:
        return None
    data = from_arrays(points.numpy().astype(np.float32), labels)
    started = time.perf_counter()
    result = dr.analyze(data, draws=DRAWS, seed=seed)
    out: dict[str, object] = {"seconds": time.perf_counter() - started}
    for one in result.times:
        name = f"{one.method} (collapse)" if one.transition == "collapse" else one.method
        name = one.method if one.method in ("free-energy", "entropy") else name
        out[name] = [one.t, one.low, one.high, list(one.warnings)]
    out["headline"] = out[result.recipe.headline.speciation]
    needed = result.points_needed
    if needed:
        high = math.inf if needed.high is None else needed.high
        out["needed"] = [needed.log_n, needed.low, high]
    out["generalizes"] = result.verdict.generalizes
    out["level"] = clone_level(data.class_counts)
    return out


def run(laws: int, clouds: int, out: Path, part: str, clusters: bool) -> None:
    done = {(x["law"], x["cloud"]) for x in map(json.loads, out.open())} if out.exists() else set()
    first, of = (int(x) for x in part.split("/"))
    counts = {True: 0, False: 0}
    index = 0
    while min(counts.values()) < laws // 2:
        if clusters:
            law, n, kinds = clustered_law(index)
        else:
            law, n = random_law(index)
            kinds = np.arange(law.n_components)
        index += 1
        if law.d * n > LARGEST:
            continue
        exact = truth(law, kinds, index)
        if exact is None:
            continue
        after = exact["needed"] > math.log(n)  # the collapse comes first
        if counts[after] >= laws // 2:
            continue
        counts[after] += 1
        if sum(counts.values()) % of != first:
            continue
        facts = {"d": law.d, "n": n, "classes": int(kinds.max()) + 1, "shared": law.shared}
        for cloud in range(clouds):
            if (index, cloud) in done:
                continue
            seen = measured(law, kinds, n, 1000 * index + cloud)
            if seen is None:
                continue
            row = {"law": index, "cloud": cloud, "first": after, **facts, **exact, "seen": seen}
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(index, cloud, {k: row[k] for k in ("d", "n", "t_s")}, seen["headline"][:3],
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
            if name in PHI:
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
    runs.add_argument("--clusters", action="store_true", help="classes made of several clusters")
    runs.add_argument("--part", default="0/1", help="K/N: every N-th law, from the K-th on")
    verbs.add_parser("table").add_argument("path", type=Path)
    asked = parser.parse_args()
    if asked.verb == "run":
        run(asked.laws, asked.clouds, asked.out, asked.part, asked.clusters)
    else:
        table(asked.path)


if __name__ == "__main__":
    main()
