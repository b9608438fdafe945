"""How often the verdict of an audit is right (docs/audit.md).

    python benchmarks/audit_verdicts.py              # 40 laws and 20 full audits, some ten minutes
    python benchmarks/audit_verdicts.py --laws 6 --audits 0

Random laws (1 to 5 Gaussian classes of unequal weight, each with a covariance of its own, d = 2 to
144), n = 32 to 1000 training points, with and without duplicates, held-out points or none. Of each,
samples whose truth is known go through the judgement of an audit as those of a model would: the
share of copies is w by construction, or, where samples lie near training points, counted in 2000
others by the plain definition. Losses and Stein's identity, which could only open more verdicts,
are left out; the full audits have them.

Right is the verdict whose range holds w. At w = 1 % and 50 %, the edges, both neighbours are right;
of samples that are not of this kind, or not on the scale of the data, only "open" is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.distance import cdist

import diffregimes as dr
from diffregimes.auditing.audit import audit
from diffregimes.auditing.findings import Entropy
from diffregimes.auditing.judgement import MOST, RARE, decision, leaning
from diffregimes.auditing.known import beside, known_points
from diffregimes.auditing.losses import Losses
from diffregimes.data.datasets import Dataset, from_arrays
from diffregimes.data.neighbours import clusters
from diffregimes.populations.covariances import Covariance
from diffregimes.process import signal, variance
from diffregimes.scores import AbstractScore, EmpiricalScore

SIZES, SAMPLES, SIDES = (32, 100, 300, 1000), (16, 128, 512), (2, 3, 4, 8, 12)
SHARES = (0.001, 0.01, 0.03, 0.1, 0.5, 0.9)
ORACLE = 2000
NONE = float("nan")  # the truth of samples of another kind


@dataclass(frozen=True)
class Law:
    """A random mixture of Gaussians; images of side x side pixels where side > 3."""

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray  # (K, d, d)

    @classmethod
    def drawn(cls, rng: np.random.Generator, d: int) -> Law:
        k = int(rng.integers(1, 6))
        means = rng.uniform(0.2, 1.5) * rng.standard_normal((k, d))
        decay = np.arange(1, d + 1) ** -rng.uniform(0, 1.0)
        turns = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(k)]
        spreads = rng.uniform(0.2, 1.0, k)
        roots = np.stack([s * q * np.sqrt(decay) for s, q in zip(spreads, turns, strict=True)])
        return cls(rng.dirichlet(np.full(k, 3.0)), means, roots)

    def sample(self, rng: np.random.Generator, m: int) -> np.ndarray:
        of = rng.choice(len(self.weights), m, p=self.weights)
        noise = rng.standard_normal((m, self.means.shape[1]))
        return self.means[of] + np.einsum("mij,mj->mi", self.roots[of], noise)


def dataset(points: np.ndarray, side: int) -> Dataset:
    shaped = points.reshape(-1, side, side) if side > 3 else points
    return from_arrays(np.asarray(shaped, dtype=np.float32), np.arange(len(points)) % 2)


def repeated(rng: np.random.Generator, points: np.ndarray, how: str) -> np.ndarray:
    """Some points listed more than once, exactly or nearly; n stays."""
    n, jitter = len(points), 1e-3 * points.std()
    half = points[: n // 2]
    if how == "all twice":
        return np.concatenate([half, half])
    if how == "all twice, nearly":
        return np.concatenate([half, half + jitter * rng.standard_normal(half.shape)])
    if how == "a tenth twice":
        return np.concatenate([points[: n - n // 10], points[: n // 10]])
    if how == "one in ten places":
        return np.concatenate([points[: n - 9], np.repeat(points[:1], 9, axis=0)])
    return points


def usual_gap(points: np.ndarray) -> float:
    """Median distance of different points to the nearest."""
    found = np.unique(points, axis=0)
    gaps = cdist(found, found)
    np.fill_diagonal(gaps, np.inf)
    gaps[gaps < 0.1 * np.median(np.sort(gaps, axis=1)[:, min(3, len(found) - 2)])] = np.inf
    return float(np.median(gaps.min(axis=1)))


def counted(points: np.ndarray, x: np.ndarray) -> float:
    """Copies in x by the definition, with duplicates as one: the slow oracle."""
    of = clusters(points.astype(np.float32)).of
    order = np.argsort(of, kind="stable")
    first = np.searchsorted(of[order], np.unique(of))
    gaps = np.minimum.reduceat(cdist(x, points[order]), first, axis=1)
    near = np.partition(gaps, 1, axis=1)[:, :2]
    return float((near[:, 0] < near[:, 1] / 3).mean())


Make = Callable[[int], np.ndarray]  # so many samples


def cases(
    rng: np.random.Generator, law: Law, points: np.ndarray, side: int
) -> Iterator[tuple[str, Make, float | None, tuple[str, ...]]]:
    """(name, samples, w, augmentations); w is None where the oracle counts, NaN for no kind."""
    n, d = points.shape
    gap, spread = usual_gap(points), points.std()

    def copies(m: int, of: int = n) -> np.ndarray:
        return points[rng.integers(0, of, m)]

    def mixed(m: int, share: float) -> np.ndarray:
        return np.where(rng.random((m, 1)) < share, copies(m), law.sample(rng, m))

    def blended(m: int, part: float) -> np.ndarray:
        return part * copies(m) + (1 - part) * copies(m)

    def near(m: int, width: float) -> np.ndarray:
        noise = rng.standard_normal((m, d)) / np.sqrt(d)
        return copies(m) + width * gap * noise

    yield "the law", lambda m: law.sample(rng, m), 0.0, ()
    yield "all points", copies, 1.0, ()
    for of in (1, max(2, n // 10), n // 2):
        yield "k of n points", lambda m, of=of: copies(m, of), 1.0, ()
    for share in SHARES:
        yield f"{100 * share:g} % copies", lambda m, w=share: mixed(m, w), share, ()
    share = float(np.exp(rng.uniform(np.log(0.002), 0)))
    yield "other shares", lambda m: mixed(m, share), share, ()
    for width in (0.1, 0.2, 0.4):
        yield "copies with noise", lambda m, w=width: near(m, w), None, ()
    for part in (0.9, 0.7):
        yield "blends of two points", lambda m, p=part: blended(m, p), None, ()
    centre = points.mean(axis=0)
    yield "blurred law", lambda m: centre + 0.85 * (law.sample(rng, m) - centre), 0.0, ()
    yield "noisy law", lambda m: law.sample(rng, m) + 0.3 * gap * rng.standard_normal(
        (m, d)) / np.sqrt(d), 0.0, ()  # fmt: skip
    if d >= 16:
        for s, c in ((0.5, 0.5), (2.0, -1.0), (1.4, 0.0), (0.7, 0.2), (127.5, 127.5)):
            yield "copies, another scale", lambda m, s=s, c=c: s * copies(m) + c, 1.0, ()
        for s, c in ((0.5, 0.5), (2.0, -1.0), (127.5, 127.5)):
            yield "law, another scale", lambda m, s=s, c=c: s * law.sample(rng, m) + c, NONE, ()
    yield "noise of std 73", lambda m: 73 * rng.standard_normal((m, d)) * spread, NONE, ()
    if side > 3:

        def turned(m: int, share: float) -> np.ndarray:
            x = copies(m).reshape(m, side, side)
            return np.where(rng.random((m, 1, 1)) < share, x[:, :, ::-1], x).reshape(m, d)

        for share in (0.5, 1.0):
            yield "mirrored copies", lambda m, w=share: turned(m, w), 1.0, ()
        yield "mirrored copies, --augment", lambda m: turned(m, 0.5), 1.0, ("mirror",)
        yield "the law, --augment", lambda m: law.sample(rng, m), 0.0, ("mirror",)


def right(kind: str, w: float) -> bool:
    """Whether a decided verdict is."""
    if np.isnan(w):
        return False
    low, high = {"memorises": (MOST, 1.0), "copies some": (RARE, MOST), "does not copy": (0, RARE)}[
        kind
    ]
    return bool(low <= w <= high)


def quiet(points: np.ndarray) -> tuple[Losses, Entropy]:
    """Losses and entropy that nothing speaks against."""
    t, total = np.array([0.1, 0.5, 1.0]), float(points.var(axis=0).sum())
    one, loss = np.full(3, 1e-3 * total), np.full(3, 0.1 * total)
    return Losses(t, *[loss, one] * 4), Entropy(t, *[np.full(3, 1e-3)] * 6)


Row = tuple[str, str, float, float, int]  # case, kind, confidence of the leaning, w, samples


def of_a_law(seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    side, n = int(rng.choice(SIDES)), int(rng.choice(SIZES))
    d = side**2 if side > 3 else side
    law = Law.drawn(rng, d)
    how = ("", "", "", "all twice", "all twice, nearly", "a tenth twice", "one in ten places")
    points = repeated(rng, law.sample(rng, n), str(rng.choice(how))).astype(np.float32)
    points = points.astype(np.float64)
    data = dataset(points, side)
    search = EmpiricalScore(data.points)
    others = law.sample(rng, int(rng.choice((16, 100, 400))))
    held = rng.choice(("none", "held-out", "held-out", "shared", "another law"))
    if held == "shared":
        others[: len(others) // 8] = points[: len(others) // 8]
    if held == "another law":
        others = 1.5 * others + points.std()
    held_out = None if held == "none" else dataset(others, side)
    known = {
        x: known_points(search, data, held_out, x) for x in ((), ("mirror",))[: 1 + (side > 3)]
    }
    losses, entropy = quiet(points)
    for name, make, w, augment in cases(rng, law, points, side):
        m = int(rng.choice(SAMPLES))
        truth = counted(points, make(ORACLE)) if w is None else w
        states = make(m).astype(np.float32)
        found, flags = beside(known[augment], data, states, losses, entropy)
        lean = leaning(found.share, found.baseline)
        yield name, decision(lean, flags)[0], lean.confidence, truth, m


class Tempered(AbstractScore):
    """The exact score of points with weights softmax(-E/T)."""

    def __init__(self, points: np.ndarray, heat: float) -> None:
        self.points = torch.from_numpy(points)
        self.heat, self.dimension = heat, points.shape[1]

    def denoise(self, x: torch.Tensor, t: float) -> torch.Tensor:
        points = self.points.to(x)
        square = torch.cdist(x, float(signal(t)) * points).square()
        return torch.softmax(-square / (2 * float(variance(t)) * self.heat), dim=1) @ points


def full(seed: int) -> Iterator[Row]:
    """Audits with backward runs and all: exact, tempered, of k of n points, of the law, scaled."""
    rng = np.random.default_rng(seed)
    law, n = Law.drawn(rng, 16), int(rng.choice((32, 100, 300)))
    data, held_out = (dataset(law.sample(rng, x), 4) for x in (n, 100))
    covariances = [Covariance.full(x @ x.T) for x in law.roots]
    exact = dr.populations.GaussianMixture(law.means, covariances, law.weights)
    points = data.points
    scores: tuple[tuple[str, AbstractScore, float], ...] = (
        ("exact score", EmpiricalScore(points), 1.0),
        ("exact score of k of n", EmpiricalScore(points[: n // 4]), 1.0),
        ("tempered, T = 1.5", Tempered(points, 1.5), 1.0),
        ("score of the law", dr.scores.MixtureScore(exact), 0.0),
        ("exact score, another scale", EmpiricalScore(points / 2 + 0.5), 1.0),
    )
    for name, score, w in scores:
        found = audit(score, data, held_out, samples=128, pairs=16, draws=64, steps=40, seed=seed)
        verdict = found.verdict
        yield name, verdict.kind, max(verdict.probabilities.values()), w, 128


def table(rows: list[Row]) -> None:
    print("| samples | cases | right | open | wrong | wrong, confidence > 99 % |")
    print("|---|---|---|---|---|---|")
    names = list(dict.fromkeys(x[0] for x in rows))
    sizes = [f"all, {m} samples" for m in sorted({x[4] for x in rows})]
    for name in [*names, *sizes, "all"]:
        mine = [x for x in rows if name in (x[0], f"all, {x[4]} samples", "all")]
        opened = sum(x[1] == "open" for x in mine)
        wrong = [x for x in mine if x[1] != "open" and not right(x[1], x[3])]
        sure = sum(x[2] > 0.99 for x in wrong)
        of = len(mine)
        shown = (f"{100 * x / of:.1f} %" for x in (of - opened - len(wrong), opened, len(wrong)))
        print(f"| {name} | {of} | {' | '.join(shown)} | {sure} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", type=int, default=40)
    parser.add_argument("--audits", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for k in range(given.laws):
        found = list(of_a_law(given.seed + k))
        rows += found
        for x in found:
            if x[1] != "open" and not right(x[1], x[3]):
                print(f"wrong at law {given.seed + k}: {x}", flush=True)
        if (k + 1) % 20 == 0 or k + 1 == given.laws:
            print(f"\n{k + 1} laws\n")
            table(rows)
    if given.audits:
        table([x for k in range(given.audits) for x in full(1000 + given.seed + k)])


if __name__ == "__main__":
    main()
