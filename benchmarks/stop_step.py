"""How long one may train: the steps at which a network begins to fit and to copy single points.

    python benchmarks/stop_step.py [--points 64 128 256 512] [--seeds 2] [--most 64000]
        [--out runs/stop-step]

The residual network of few_digits.py, half as wide, on n digits of scikit-learn's, the others held
out: batches of 64, Adam at a constant rate, a running average of the weights looked at twice in
every doubling of the steps. All runs go on side by side; each seed has other training points, and
every run its own initial weights and batches. Of each

    open    first look from which the held-out loss exceeds the training loss by 3 standard errors
            at all later ones, at the monitor's level "gap"
    share   where their gap reaches 10 % of that of the exact score of the training points
    copy 5, copy 10
            where 5 and 10 % of 256 samples are copies

the last three interpolated in log step, at their last way up. The first depends on how many points
there are to see a gap with, the others do not. Then b of tau = A n^b, by least squares over the
runs that got there by --most steps, with a 95 % interval of Student's t: it holds what differs
between runs, and how far tau is from a power of n. Looks are kept in --out: --most 0 prints the
table of those that are there. docs/advice.md has it.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch.func import functional_call, stack_module_state, vmap

import diffregimes as dr
from diffregimes.data.groups import hold_out
from diffregimes.process import schedule
from few_digits import BATCH, KEPT, RATE, Network, scored

WIDTH, BLOCKS = 128, 2
FIRST, A_DOUBLING = 50, 2  # looks
SAMPLES, STEPS, DRAWS = 256, 30, 512
APART, SHARE, COPIES = 3.0, 0.1, (0.05, 0.1)
Rows = list[dict[str, float]]


class Run:
    """Digits, half of a network that is trained on them, and what the monitor sees of it."""

    def __init__(self, n: int, seed: int, out: Path) -> None:
        whole = dr.load("digits", pixel_range=(-1, 1))
        kept, others = hold_out(whole.labels, 1 - n / whole.n, seed)
        data, held_out = whole.take(kept), whole.take(others)
        self.images = torch.from_numpy(data.points).reshape(-1, 1, *data.sample_shape[:2])
        self.network = Network(data.d, WIDTH, BLOCKS)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.name = f"{data.n}-{seed}"
        self.file = out / f"{self.name}.json"
        self.watch = dr.monitor(
            scored(self.average, data), None, data, held_out, every=10**9, samples=SAMPLES,
            steps=STEPS, draws=DRAWS, out=out / f"monitor-{self.name}",
        )  # fmt: skip

    def look(self, step: int, parameters: dict[str, torch.Tensor]) -> None:
        for name, x in self.average.named_parameters():
            x.copy_(parameters[name])
        self.watch.look(step)
        self.file.write_text(json.dumps(self.watch.rows))


def trained(runs: list[Run], most: int) -> None:
    """All networks at once, each on its own points."""
    base: Any = copy.deepcopy(runs[0].network)
    parameters, buffers = stack_module_state([x.network for x in runs])
    average = {k: x.detach().clone() for k, x in parameters.items()}
    new, old = list(parameters.values()), list(average.values())
    optimizer = torch.optim.Adam(new, RATE, fused=True)
    product = torch.from_numpy(np.exp(-2 * schedule("linear").finite_times)).float()
    answers = vmap(lambda p, b, x, k: functional_call(base, (p, b), (x, k)))
    shape, looks = (len(runs), BATCH), 0
    for step in range(1, most + 1):
        a = torch.stack([x.images[torch.randint(len(x.images), (BATCH,))] for x in runs])
        k, z = torch.randint(1000, shape), torch.randn_like(a)
        share = product[k].reshape(*shape, 1, 1, 1)
        given = share.sqrt() * a + (1 - share).sqrt() * z
        asked = share.sqrt() * z - (1 - share).sqrt() * a
        loss = (answers(parameters, buffers, given, k) - asked).square().mean() * len(runs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(old, new, 1 - min(KEPT, (1 + step) / (10 + step)))
        if step == round(FIRST * 2 ** (looks / A_DOUBLING)):
            looks += 1
            for i, run in enumerate(runs):
                run.look(step, {k: x[i] for k, x in average.items()})


def lasting(rows: Rows) -> float:
    """The step of "open", infinite where there is none."""
    below = [row["nats_gap"] < APART * row["nats_se_gap"] for row in rows]
    first = len(rows) - below[::-1].index(True) if any(below) else 0
    return rows[first]["step"] if first < len(rows) else np.inf


def crossing(steps: np.ndarray, values: np.ndarray, level: float) -> float:
    """The step of the last way up through `level`: infinite where values end below it, and the
    first where none is."""
    below = np.flatnonzero(values < level)
    if not len(below) or below[-1] == len(values) - 1:
        return np.inf if len(below) else float(steps[0])
    k = int(below[-1])
    part = (level - values[k]) / (values[k + 1] - values[k])
    return float(steps[k] * (steps[k + 1] / steps[k]) ** part)


def times(rows: Rows) -> dict[str, float]:
    """The steps of the docstring by name."""
    rows = [row for row in rows if row["step"]]
    steps, copies, share = (
        np.array([row[k] for row in rows]) for k in ("step", "copies", "share_gap")
    )
    by_copies = {f"copy {x * 100:.0f}": crossing(steps, copies / SAMPLES, x) for x in COPIES}
    return {"open": lasting(rows), "share": crossing(steps, share, SHARE), **by_copies}


def exponent(n: np.ndarray, tau: np.ndarray) -> tuple[float, float]:
    """b of tau = A n^b, and half of its 95 % interval."""
    fit = stats.linregress(np.log(n), np.log(tau))
    return float(fit.slope), float(stats.t.ppf(0.975, len(n) - 2) * fit.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--most", type=int, default=64_000)
    parser.add_argument("--out", type=Path, default=Path("runs/stop-step"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.most:
        torch.manual_seed(0)
        pairs = [(n, seed) for seed in range(options.seeds) for n in options.points]
        trained([Run(n, seed, options.out) for n, seed in pairs], options.most)
    found: dict[str, list[tuple[int, float]]] = {}
    files = {tuple(map(int, x.stem.split("-"))): x for x in options.out.glob("*.json")}
    for (count, seed), file in sorted(files.items()):
        rows = json.loads(file.read_text())
        tau = times(rows)
        told = ", ".join(f"{k} {x:.0f}" for k, x in tau.items())
        last = f"share {rows[-1]['share_gap']:.2f}, copies {rows[-1]['copies']:.0f}"
        print(f"{count:5d} points, seed {seed}: {told}; {last} at {rows[-1]['step']}")
        for k, x in tau.items():
            found.setdefault(k, []).append((count, x))
    for name, pairs in found.items():
        n, tau = np.array(pairs).T
        there = np.isfinite(tau)
        means = [f"{stats.gmean(tau[there & (n == x)]):.0f} ({x:.0f})" for x in np.unique(n[there])]
        said = f"{name}: tau {', '.join(means)}; {there.sum()} of {len(n)} runs got there"
        if there.sum() > 2 and len(set(n[there])) > 1:
            b, wide = exponent(n[there], tau[there])
            said += f"; b = {b:.2f} +- {wide:.2f}"
        print(said)


if __name__ == "__main__":
    main()
