"""How often the times of pairs of classes are right, and how stable the trees of real data are.

    python benchmarks/pair_study.py laws [COUNT]
    python benchmarks/pair_study.py trees FOLDER [RESAMPLES]

`laws`: random mixtures of three Gaussian classes with known pair times, some where many points
compete and some where few do. Of every interval whether it holds the exact time, and z^2. A law
takes a second or two on one core.

`trees`: so many sets of 1000 points a class, drawn from 2000 a class of a folder that `load`
reads (MNIST, Fashion-MNIST), and in how many of their trees each fork of the whole recurs. A set
takes about 20 s.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

import diffregimes as dr
from diffregimes.common.tree import Tree
from diffregimes.data.cloud import prepare
from diffregimes.posterior.groups import T95
from diffregimes.posterior.left_out import asked
from diffregimes.process import linear_schedule, snr
from diffregimes.results import TransitionTime
from diffregimes.theory.gaussian_mixture import clone_separation
from diffregimes.theory.pairs import GaussianPair, pair_times
from diffregimes.transitions import balance, pairs


def law(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Points, labels, means and variance of three classes, of unequal counts and distances."""
    d = int(2 ** rng.uniform(2, 8))
    sigma = float(np.exp(rng.uniform(np.log(0.2), np.log(1.2))))
    means = rng.standard_normal((3, d)) * np.exp(rng.uniform(-0.7, 0.7, (3, 1)))
    means *= rng.uniform(2, 6) / np.linalg.norm(means, axis=1).mean()
    counts = rng.integers(150, 800, 3)
    labels = np.repeat(np.arange(3), counts)
    points = means[labels] + sigma * rng.standard_normal((len(labels), d))
    return points.astype(np.float32), labels, means, sigma**2


def laws(count: int) -> None:
    u = clone_separation(np.full(2, 0.5))
    rows: dict[tuple[str, str], list[tuple[float, bool, float]]] = {}
    missing: Counter[str] = Counter()
    for seed in range(count):
        points, labels, means, variance = law(np.random.default_rng(seed))
        cloud = prepare(points, labels)
        first = balance.look(cloud, balance.around(0.0), seed=seed)
        wanted = pairs.asking(cloud, first, 0.0, blocks=8, seed=seed)
        seen = pairs.curves(wanted, asked(cloud, wanted.questions, blocks=8, seed=seed))
        found = pairs.pair_times(seen, ("0", "1", "2"), linear_schedule())
        for pair in found.pairs:
            apart = means[int(pair.one)] - means[int(pair.other)]
            for time, scale in ((pair.balance, 1.0), (pair.clone, 1 / u)):
                exact = pair_times(GaussianPair(scale * apart, variance, variance))["balance"]
                if exact is None or time.t is None:
                    missing[
                        f"{time.method}: exact {exact is not None}, found {time.t is not None}"
                    ] += 1
                    continue
                rows.setdefault((time.method, _kind(time)), []).append(_judged(time, exact))
    for (method, kind), values in sorted(rows.items()):
        z, held, width = np.array(values).T
        print(
            f"{method}, {kind}: {len(z)} intervals, {held.mean():.3f} hold the exact time, z^2 "
            f"{np.mean(z**2):.2f} (1.15 of a jackknife), median width {np.median(width):.3f} in "
            "log gamma"
        )
    for what, times in sorted(missing.items()):
        print(f"{what}: {times}")


def _kind(time: TransitionTime) -> str:
    return "few points decide" if time.warnings else "many compete"


def _judged(time: TransitionTime, exact: float) -> tuple[float, bool, float]:
    assert time.t is not None
    low, high = (np.log(snr(max(x or 0.0, 1e-9))) for x in (time.high, time.low))
    error = (high - low) / 2 / T95
    z = float((np.log(snr(time.t)) - np.log(snr(exact))) / error)
    return z, bool(low <= np.log(snr(exact)) <= high), float(high - low)


def trees(folder: str, resamples: int) -> None:
    whole = dr.load(folder, per_class=2000)
    first = _analysed(whole)
    recurs: Counter[frozenset[int]] = Counter()
    last: Counter[str] = Counter()
    for seed in range(resamples):
        rng = np.random.default_rng(seed)
        rows = [rng.choice(np.flatnonzero(whole.labels == k), 1000, replace=False)
                for k in range(len(whole.class_names))]  # fmt: skip
        found = _analysed(whole.take(np.sort(np.concatenate(rows))), seed)
        assert found.tree is not None
        recurs.update(frozenset(found.tree.under(k)) for k in _forks(found.tree))
        final = sorted(found.pairs, key=lambda x: x.balance.t or 0.0)[:4]
        last.update(f"{x.one} / {x.other}" for x in final)
        print(seed, found.tree.newick, flush=True)
    tree = first.tree
    assert tree is not None
    print("whole", tree.newick)
    for k in _forks(tree):
        below = tree.under(k)
        names = ", ".join(tree.leaves[j] for j in below)
        fork = tree.forks[k - len(tree.leaves)]
        print(
            f"t = {fork.t:.3f} [{fork.low:.3f}, {fork.high:.3f}], recurs {fork.recurs:.2f} by its "
            f"own account and in {recurs[frozenset(below)]} of {resamples}: {names}"
        )
    print("among the last four pairs:", ", ".join(f"{x} {k}" for x, k in last.most_common(12)))


def _analysed(dataset: dr.data.Dataset, seed: int = 0) -> dr.results.Analysis:
    return dr.analyze(dataset, draws=4096, seed=seed)


def _forks(tree: Tree) -> range:
    return range(len(tree.leaves), tree.root + 1)


if __name__ == "__main__":
    if sys.argv[1] == "laws":
        laws(int(sys.argv[2]) if len(sys.argv) > 2 else 60)
    else:
        trees(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20)
