"""Figure 3: collapse of two Gaussian classes, the excess entropy f^e(t)/alpha for n = 20 000.

The empirical f^e is the entropy of the posterior weights of the n points (`sweep`), over several
clouds drawn from the law. Theory to leading order, 1 + log(Delta/Gamma)/(2 alpha), is the paper's;
the exact f also holds what the class tells, and is the value for n -> infinity at fixed x_t: the
mean over clouds of n points lies between it and it + E log(1 - 1/n + e^i/n)/log n, where
i = log P(x_t | a)/P(x_t) is the information density (concavity of the entropy below, Jensen's
inequality over the other n - 1 points above). z counts standard errors from that bracket.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..common.numerics import Z95
from ..common.parallel import Progress
from ..common.recipe import versions
from ..common.rng import numpy_generator
from ..data.cloud import prepare
from ..populations.mixture import GaussianMixture, two_gaussians
from ..posterior.sample import Sample
from ..posterior.sweep import sweep
from ..process import schedule
from ..report.figures.style import SIZE, STYLE
from ..results import Spectrum, TransitionTime
from ..theory import TwoGaussians, collapse_time, excess_entropy, information
from ..transitions.collapse import entropy_line, entropy_time, free_energy_time
from ..transitions.crossing import resample
from .figure_2 import COLOURS, MARKERS
from .tables import Reproduction, Row

POINTS = 20_000
CLOUDS = 4
# draws over all clouds, and the standard error of the paper, in units of alpha
DIMENSIONS = {256: (36_864, 0.0023), 1024: (9216, 0.0046), 4096: (4096, 0.0091)}
# in units of the paper's t_C
TIMES = np.array([0.6, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.1, 2.5])
ENTROPY, FREE = "excess_entropy_over_alpha", "loo_free_energy_over_log_n"
SAME = "same_point_probability"
ORDERS = "leading", "exact"


@dataclass(frozen=True)
class Measured:
    """f^e/alpha with its standard errors (T,) at times t, over all clouds.

    `high` is the upper end of the bracket of theory (`upper_end`); `times` are those of collapse;
    `scatter` is chi^2 a degree of freedom of the clouds' means about their common mean.
    """

    d: int
    n: int
    draws: int
    t: np.ndarray
    mean: np.ndarray
    se: np.ndarray
    high: np.ndarray
    times: tuple[TransitionTime, ...]
    scatter: float

    @property
    def law(self) -> TwoGaussians:
        return TwoGaussians(self.d)

    def theory(self, order: str, t: np.ndarray | None = None) -> np.ndarray:
        """f/alpha."""
        log_n = math.log(self.n)
        f = excess_entropy(self.law, self.t if t is None else t, log_n, order)
        return np.asarray(f * self.d / log_n)

    @property
    def z(self) -> np.ndarray:
        """Standard errors outside the bracket of theory; 0 inside."""
        inside = np.clip(self.mean, self.theory("exact"), self.high)
        # deep below the collapse hardly any draw sees another point: the error is unknown, not zero
        unseen = np.where(self.mean < 1 / self.draws, 1 / self.draws, 0.0)
        return np.asarray((self.mean - inside) / np.maximum(self.se, unseen))


def measure(
    d: int, draws: int, n: int = POINTS, seed: int = 0, progress: Progress | None = None
) -> Measured:
    """The posterior pass on CLOUDS clouds of n points."""
    law = two_gaussians(d)
    t_c = collapse_time(TwoGaussians(d), math.log(n), "leading")
    assert t_c is not None
    times = TIMES * t_c
    samples: list[Sample] = []
    for k in range(CLOUDS):

        def share(done: float, total: float, text: str, k: int = k) -> None:
            if progress:
                progress(k + done / total, CLOUDS, text)

        own = seed * 1000 + k  # noise of its own, too: shared noise would correlate the clouds
        points, labels = law.sample(n, seed=own, stratified=True)
        cloud = prepare(points.float().numpy(), labels.numpy())
        part = math.ceil(draws / CLOUDS)
        text = f"figure 3, d = {d}"
        samples.append(sweep(cloud, times, draws=part, seed=own, progress=share, text=text))
    entropies = [x.values[ENTROPY] for x in samples]
    means = np.stack([x.mean(axis=0) for x in entropies])
    errors = np.stack([x.var(axis=0, ddof=1) / len(x) for x in entropies])
    scatter = ((means - means.mean(axis=0)) ** 2 / errors).sum(axis=0) / (CLOUDS - 1)
    together = Sample(
        times,
        np.concatenate([x.points + k * n for k, x in enumerate(samples)]),
        {k: np.concatenate([x.values[k] for x in samples]) for k in (ENTROPY, FREE, SAME)},
    )
    curves = together.curves()
    found = _collapse(together, law.eigenvalues(), n, seed)
    return Measured(
        d,
        n,
        2 * sum(x.units for x in samples),
        times,
        curves[ENTROPY],
        curves.se[ENTROPY],
        upper_end(law, times, n, seed),
        found,
        float(np.median(scatter)),
    )


def upper_end(law: GaussianMixture, times: np.ndarray, n: int, seed: int) -> np.ndarray:
    """E log[1 + (n - 1) e^{-i}]/log n, above the mean of f/alpha over clouds, plus its error.

    Of two estimates with this mean the one with the smaller error: the second, with I known, far
    above the collapse; the first, where i itself cancels, below.
    """
    exact = math.log(n) - information(TwoGaussians(law.d), times)
    out = np.empty(len(times))
    for j, t in enumerate(times):
        density = law.information_density(float(t), 20_000, seed)
        plain = np.logaddexp(0, math.log(n - 1) - density)
        known = plain + density - math.log(n) + exact[j]
        best = min(plain, known, key=np.std)
        out[j] = best.mean() + best.std() / math.sqrt(len(best))
    return np.maximum(out, exact) / math.log(n)


def _collapse(
    sample: Sample, eigenvalues: np.ndarray, n: int, seed: int
) -> tuple[TransitionTime, ...]:
    """t_C by `entropy` and `free-energy`, as in `analyze`, with the spectrum of the law."""
    known = Spectrum(float(eigenvalues[0]), None, 0.0, eigenvalues)
    resampled = resample(sample, numpy_generator(seed, "figure-3 resamples"))
    line = entropy_line(resampled, known, n)
    clock = schedule("linear")
    return (
        free_energy_time(resampled, clock),
        entropy_time(resampled, line, known, clock, n),
    )


def reproduce(
    share: float = 1.0, n: int = POINTS, seed: int = 0, progress: Progress | None = None
) -> Reproduction:
    """Figure 3; `share` scales the number of draws, 1 for a third of the paper's errors."""
    curves = [
        measure(d, max(512, round(draws * share)), n, seed, progress)
        for d, (draws, _) in DIMENSIONS.items()
    ]
    names = "d", "t", "t_over_t_c", "f_over_alpha", "se", "leading", "exact", "high", "z"
    columns: dict[str, list[float]] = {name: [] for name in names}
    for c in curves:
        values = (
            np.full(len(c.t), c.d), c.t, TIMES, c.mean, c.se,
            c.theory("leading"), c.theory("exact"), c.high, c.z,
        )  # fmt: skip
        for name, column in zip(columns, values, strict=True):
            columns[name] += [int(x) if name == "d" else float(x) for x in column]
    rows = [row for c in curves for row in _rows(c)]
    recipe = {"n": n, "share": share, "clouds": CLOUDS, "seed": seed, "versions": versions()}
    bracket = (
        "Theory is the limit of many points at fixed x_t; the mean over clouds of n points lies "
        "between it and the upper edge of the shaded band, from which z counts."
    )
    sentences = (bracket, *(_sentence(c) for c in curves))
    return Reproduction("figure-3", draw(curves), columns, tuple(rows), sentences, recipe)


def _sentence(c: Measured) -> str:
    paper = DIMENSIONS[c.d][1]
    above = c.theory("exact") >= 0
    return (
        f"d = {c.d}: largest standard error {c.se.max():.5f} of alpha, {c.se.max() / paper:.2f} "
        f"times the paper's {paper}; largest |z| above the collapse {np.abs(c.z[above]).max():.1f};"
        f" scatter of the {CLOUDS} clouds {c.scatter:.2f} (about 1 expected)."
    )


def _rows(c: Measured) -> list[Row]:
    rows = []
    for j, x in enumerate(TIMES):
        if x >= 1:
            # rounded: the first is 0 at t_C, not -1e-16
            leading, exact = (round(float(c.theory(k)[j]), 12) + 0.0 for k in ORDERS)
            name = f"f/alpha at {x:g} t_C"
            rows.append(
                Row(name, c.d, float(c.mean[j]), float(c.se[j]), leading, exact, float(c.z[j]))
            )
    orders = [collapse_time(c.law, math.log(c.n), k) for k in ORDERS]
    for time in c.times:
        if time.t is None or time.low is None or time.high is None:
            continue
        se = (time.high - time.low) / (2 * Z95)
        name = f"t_C by {time.method}"
        rows.append(Row(name, c.d, time.t, se, orders[0], orders[1], None))
    return rows


def draw(curves: list[Measured]) -> Figure:
    """f/alpha against t, and against t/t_C around the collapse: points, and both theory orders."""
    with rc_context(STYLE):
        figure = Figure(figsize=(2.1 * SIZE[0], 1.05 * SIZE[1]), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for c, colour, marker in zip(curves, COLOURS[1:], MARKERS, strict=False):
            unit = c.t[0] / TIMES[0]
            fine = np.linspace(0.55, 2.6, 401) * unit
            for ax, scale in ((left, 1.0), (right, unit)):
                ax.plot(fine / scale, c.theory("exact", fine), color=colour, lw=1.4)
                ax.plot(fine / scale, c.theory("leading", fine), color=colour, lw=1.1, ls="--")
                low = np.maximum(c.theory("exact"), 0)
                ax.fill_between(c.t / scale, low, c.high, color=colour, alpha=0.18, lw=0)
                ax.errorbar(
                    c.t / scale, c.mean, Z95 * c.se, fmt=marker, ms=3.6, color=colour, lw=0.9,
                    label=f"d = {c.d}",
                )  # fmt: skip
        for ax in (left, right):
            ax.axhline(0, color="gray", lw=0.7)
            ax.set_ylim(-0.12, 1.04)
        left.set_xlabel("time t")
        right.set_xlabel("$t / t_C$,  $t_C = ½ \\log[1 + σ^2/(n^{2/d} - 1)]$")
        left.set_ylabel("excess entropy f / α")
        right.set_xlim(0.55, 2.15)
        left.plot([], [], color="gray", lw=1.4, label="theory, exact")
        left.plot([], [], color="gray", lw=1.1, ls="--", label="leading order")
        count = f"{curves[0].n:,}".replace(",", " ")
        left.fill_between([], [], color="gray", alpha=0.18, lw=0, label=f"exact, n = {count}")
        left.legend(loc="lower right", handlelength=1.8)
    return figure
