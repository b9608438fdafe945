"""How often a monitor stops a training without a reason, and how late with one.

    python benchmarks/monitor_study.py [--runs 300] [--seed 0]

Trainings are made up of scores that are known. Each has training and held-out points of its own
from one of three laws; at every one of 15 looks the network is

    law        the score of the law, its parameters off by as much as they would be after so many
               looks of learning: nothing is memorised
    sudden     that until look 5, then the exact score of the training points
    slow       that until look 5, then a share s of the exact score's denoiser and 1 - s of the
               law's, s growing evenly to 1 at look 15
    k of n     that until look 5, then the score of a law that has k of the n training points as
               single points, each of weight 1/n, and is right otherwise

Printed: the share of trainings stopped, by which question, and the median delay in looks after look
5; for `law` the share stopped at three levels alpha. docs/monitor.md holds the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from diffregimes.auditing.copies import held_out_baseline
from diffregimes.auditing.known import known_points
from diffregimes.auditing.levels import Level
from diffregimes.auditing.looking import Eye, Plan
from diffregimes.auditing.stopping import ALPHA, reason_to_stop
from diffregimes.data.datasets import from_arrays
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import time_from_snr
from diffregimes.scores import AbstractScore, EmpiricalScore, MixtureScore

LOOKS, ONSET = 15, 5
KINDS = ("law", "sudden", "slow", "2 of n", "10 % of n", "50 % of n")
ALPHAS = (0.01, 0.05, 0.2)


class Seen(NamedTuple):
    """Of one look: the two probabilities, and the share of the exact score's gap at t_C."""

    gap: float
    copies: float
    share: float


class Blend(AbstractScore):
    """(1 - s) D_one + s D_two."""

    def __init__(self, one: AbstractScore, two: AbstractScore, s: float) -> None:
        self.one, self.two, self.s, self.dimension = one, two, s, one.dimension

    def denoise(self, x: torch.Tensor, t: float) -> torch.Tensor:
        return (1 - self.s) * self.one.denoise(x, t) + self.s * self.two.denoise(x, t)


@dataclass(frozen=True)
class Law:
    """Two classes at +-m, |m|^2 = d mu^2, of unit variance; n training and `others` held-out
    points."""

    d: int
    mu: float
    n: int
    others: int


LAWS = (Law(8, 1.0, 60, 60), Law(16, 0.5, 120, 40), Law(32, 1.0, 40, 200))


def training(law: Law, kind: str, seed: int) -> Iterator[Seen]:
    """The looks of one made-up training."""
    rng = np.random.default_rng([seed, law.d, KINDS.index(kind)])
    means = law.mu * np.ones((2, law.d)) * [[1], [-1]]
    truth = GaussianMixture(means, 1.0)
    points, others = (
        (means[rng.integers(2, size=n)] + rng.standard_normal((n, law.d))).astype(np.float32)
        for n in (law.n, law.others)
    )
    search = EmpiricalScore(points)
    alone = known_points(search, from_arrays(points))  # both sets are of one law: it is not asked
    chance = held_out_baseline(alone.training, others)
    known = replace(alone, held_out=from_arrays(others), baseline=chance)
    # where information on n points is complete, a third of it, and none, by the Gaussian bound
    gamma = law.n ** (2 / law.d) - 1
    times = [float(time_from_snr(x * gamma)) for x in (3, 1, 0.2)]
    levels = tuple(Level(f"level {k}", t) for k, t in enumerate(times))
    eye = Eye(known, points, levels, Plan(128, 32, 15, seed, None, 64))
    for look in range(1, LOOKS + 1):
        # parameters of a network that has learned for so long
        off = 0.3 / look * rng.standard_normal((2, law.d))
        close = GaussianMixture(means + off, float(np.exp(0.2 / look * rng.standard_normal())))
        score = _score(kind, look, close, truth, points, search)
        seen = eye.look(score)
        share = float(seen.losses.copied()[0][1])
        yield Seen(*seen.by_chance, share)


def _score(
    kind: str,
    look: int,
    close: GaussianMixture,
    truth: GaussianMixture,
    points: np.ndarray,
    exact: EmpiricalScore,
) -> AbstractScore:
    if look <= ONSET or kind == "law":
        return MixtureScore(close)
    if kind == "sudden":
        return exact
    if kind == "slow":
        return Blend(MixtureScore(close), exact, (look - ONSET) / (LOOKS - ONSET))
    n, (number, *rest) = len(points), kind.split()
    k = round(n * int(number) / 100) if rest[0] == "%" else int(number)
    means = np.concatenate([truth.means.numpy(), points[:k]])
    weights = np.array([(1 - k / n) / 2] * 2 + [1 / n] * k)
    return MixtureScore(GaussianMixture(means, [1.0, 1.0, *[1e-4] * k], weights))


def stopped(looks: list[Seen], alpha: float) -> tuple[int, str] | None:
    """The first look that is a reason to stop, and the reason."""
    for k, seen in enumerate(looks, 1):
        reason = reason_to_stop(seen.gap, seen.copies, k, alpha)
        if reason:
            return k, reason
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300, help="of `law`; a quarter of each other")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kind in KINDS:
        runs = options.runs if kind == "law" else options.runs // 4
        made = [list(training(LAWS[k % len(LAWS)], kind, options.seed + k)) for k in range(runs)]
        if kind == "law":
            for alpha in ALPHAS:
                count = sum(stopped(x, alpha) is not None for x in made)
                print(f"law: {count} of {runs} stopped at alpha = {alpha}", flush=True)
            for name in ("gap", "copies"):
                low = np.array([getattr(x[-1], name) for x in made])
                print(f"law: p of {name} below 0.1 at the last look in {(low < 0.1).mean():.3f}")
            continue
        found = [stopped(x, ALPHA) for x in made]
        late = [(x, looks) for x, looks in zip(found, made, strict=True) if x and x[0] > ONSET]
        delay = np.median([x[0] - ONSET for x, _ in late]) if late else float("nan")
        share = np.median([looks[x[0] - 1].share for x, looks in late]) if late else float("nan")
        why = {r: sum(x[1] == r for x, _ in late) for r in ("gap", "copies", "gap and copies")}
        early = sum(1 for x in found if x and x[0] <= ONSET)
        told = f"{len(late)} of {runs} stopped, {early} before, by {why}"
        print(f"{kind}: {told}, delay {delay:g} looks, share {share:.2f}", flush=True)


if __name__ == "__main__":
    main()
