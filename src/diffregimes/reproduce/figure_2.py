"""Figure 2: speciation of two Gaussian classes, phi(t) for d = 256 ... 16384.

phi(t) is the probability that two clones which part at t end in the same class. Given x_t the two
are independent draws from the class posterior p, so phi = E[sum_c p_c^2] over noised samples; each
of the 10 000 samples stands for a pair of clones and counts with its probability to agree. The
posterior depends on x_t along m alone. Beside it the paper's own way: as many trajectories run
backwards with 1000 Euler-Maruyama steps from t = 10, cloned at t = 1, 1.5, ..., 10; along m again,
for across it the classes do not differ. Theory: `theory.gaussian_mixture.phi`, by quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import chi2

from ..backward.clones import mixture_classes, run_clones
from ..backward.descent import Run
from ..backward.samplers import uniform_times
from ..common import numerics
from ..common.numerics import Z95
from ..common.parallel import Progress
from ..common.recipe import versions
from ..common.rng import numpy_generator, torch_generator
from ..populations.mixture import two_gaussians
from ..process import signal, variance
from ..report.figures.style import SIZE, STYLE
from ..results import Curves
from ..scores import MixtureScore
from ..theory import TwoGaussians, phi, speciation_times
from ..theory.gaussian_mixture import phi_of_separation
from ..transitions.scaling import Crossing, ScaledCurve, crossing
from .tables import Reproduction, Row, compared

DIMENSIONS = (256, 1024, 4096, 16384)
TIMES = np.arange(1, 10.01, 0.25)  # the paper's are every other
START, STEPS = 10.0, 1000  # of the simulated clones
LEVEL = 0.775
SIMULATED = "simulated", "simulated_se", "simulated_z"
COLOURS = ("#56b4e9", "#0072b2", "#9a5fb5", "#d55e00")
MARKERS = "osD^"


@dataclass(frozen=True)
class Measured:
    """phi (T,) and its standard errors for dimension d over times t (T,), t_S = (1/2) log d.

    `simulated` are the clones run backwards, at every other time."""

    d: int
    t: np.ndarray
    phi: np.ndarray
    se: np.ndarray
    simulated: Curves

    @property
    def t_s(self) -> float:
        return 0.5 * math.log(self.d)

    @property
    def theory(self) -> np.ndarray:
        return phi(TwoGaussians(self.d), self.t)


def simulate(d: int, pairs: int, seed: int, progress: Progress | None = None) -> Curves:
    """phi at the times of the paper from clones run backwards, with its binomial standard error."""
    line = two_gaussians(d).in_span()
    run = Run(
        uniform_times(START, 0.0, STEPS), "euler-maruyama", seed, dtype=torch.float64,
        progress=progress,
    )  # fmt: skip
    ends = run_clones(
        MixtureScore(line), TIMES[::2], pairs, run=run, classify=mixture_classes(line)
    )
    curves = ends.curves()
    name = "same_class_probability"
    return Curves(curves.t, curves.values, {name: np.maximum(curves.se[name], 0.5 / pairs)}, pairs)


def measure(d: int, pairs: int, seed: int, progress: Progress | None = None) -> Measured:
    """phi of the mixture at the times of the figure and at t_S, from `pairs` samples at each."""
    line = two_gaussians(d).in_span()
    times = np.unique(np.append(TIMES, 0.5 * math.log(d)))
    mean, se = np.empty(len(times)), np.empty(len(times))
    for k, t in enumerate(times):
        # every time has samples of its own: errors of different points are independent
        points, _ = line.sample(pairs, seed=seed * 10**6 + d * 100 + k)
        noise = torch.randn(
            pairs, 1, generator=torch_generator(seed, f"figure-2 {d}", k), dtype=torch.float64
        )
        x = float(signal(t)) * points + math.sqrt(float(variance(t))) * noise
        agree = line.class_posterior(x, float(t)).square().sum(1)
        mean[k] = float(agree.mean())
        # one sample that did not show up, with clones that agree by chance alone
        se[k] = math.hypot(float(agree.std()) / math.sqrt(pairs), 0.5 / pairs)
    return Measured(d, times, mean, se, simulate(d, pairs, seed, progress))


def reproduce(pairs: int = 10_000, seed: int = 0, progress: Progress | None = None) -> Reproduction:
    """Figure 2 from `pairs` pairs of clones at each time and dimension."""
    curves = []
    for k, d in enumerate(DIMENSIONS):

        def share(done: float, total: float, text: str, k: int = k) -> None:
            if progress:
                progress(k + done / total, len(DIMENSIONS), "figure 2")

        curves.append(measure(d, pairs, seed, share))
    rng = numpy_generator(seed, "figure-2 resamples")
    met = crossing([ScaledCurve(c.d, c.t / c.t_s, c.phi, c.se) for c in curves], rng)
    rows = [*_rows(curves, rng), *_crossing_rows(met)]
    names = "d", "t", "t_over_t_s", "phi", "se", "theory", "z"
    columns: dict[str, list[float | None]] = {name: [] for name in (*names, *SIMULATED)}
    inner: list[float] = []
    worst = 0.0
    for c in curves:
        exact = c.theory
        z = (c.phi - exact) / c.se
        # further out few rare samples carry the mean, and z is not normal
        inner += z[(exact > 0.51) & (exact < 0.99)].tolist()
        values = np.full(len(z), c.d), c.t, c.t / c.t_s, c.phi, c.se, exact, z
        for name, column in zip(names, values, strict=True):
            columns[name] += [int(x) if name == "d" else float(x) for x in column]
        run = c.simulated
        phi_run, se_run = run["same_class_probability"], run.se["same_class_probability"]
        z_run = (phi_run - phi(TwoGaussians(c.d), run.t)) / se_run
        worst = max(worst, float(np.abs(z_run).max()))
        place = {float(t): k for k, t in enumerate(run.t)}
        for name, column in zip(SIMULATED, (phi_run, se_run, z_run), strict=True):
            at = (place.get(float(t)) for t in c.t)
            columns[name] += [None if k is None else float(column[k]) for k in at]
    square = float(np.square(inner).sum())
    sentences = (
        f"{len(inner)} points with phi from 0.51 to 0.99 against the integral: "
        f"chi^2 = {square:.1f}, p = {chi2.sf(square, len(inner)):.2f}.",
        "Leading order and exact theory coincide here: Gamma = 1 for sigma = 1.",
        f"Simulated clones: {pairs} pairs at {len(TIMES[::2])} times for each d, largest |z| "
        f"{worst:.1f}.",
        f"The curves of all d cross at t/t_S = {met.x:.4f} [{met.x_low:.4f}, {met.x_high:.4f}], "
        f"phi = {met.phi:.4f} [{met.phi_low:.4f}, {met.phi_high:.4f}] (95 %).",
    )
    recipe = {"pairs": pairs, "seed": seed, "mu": 1.0, "sigma": 1.0, "versions": versions()}
    figure = draw(curves, met)
    return Reproduction("figure-2", figure, columns, tuple(rows), sentences, recipe)


def _rows(curves: list[Measured], rng: np.random.Generator) -> list[Row]:
    rows = []
    for c in curves:
        law = TwoGaussians(c.d)
        at = int(np.flatnonzero(c.t == c.t_s)[0])
        exact = float(phi(law, c.t_s))
        rows.append(compared("phi at t_S", c.d, c.phi[at], c.se[at], LEVEL, exact))
        drawn = c.phi + c.se * rng.standard_normal((numerics.RESAMPLES, len(c.t)))
        times = numerics.crossings(c.t, np.vstack([c.phi, drawn]), LEVEL)
        known = speciation_times(law)["clone"]
        assert known is not None
        value, se = float(times[0]), float(np.nanstd(times[1:]))
        rows.append(compared("t where phi = 0.775", c.d, value, se, c.t_s, known))
        run, name = c.simulated, "same_class_probability"
        drawn = run[name] + run.se[name] * rng.standard_normal((numerics.RESAMPLES, len(run.t)))
        times = numerics.crossings(run.t, np.vstack([run[name], drawn]), LEVEL)
        value, se = float(times[0]), float(np.nanstd(times[1:]))
        rows.append(compared("the same, simulated clones", c.d, value, se, c.t_s, known))
    return rows


def _crossing_rows(met: Crossing) -> list[Row]:
    exact = float(phi_of_separation(1.0, np.array([0.5, 0.5])))
    wide, high = (met.x_high - met.x_low) / (2 * Z95), (met.phi_high - met.phi_low) / (2 * Z95)
    return [
        compared("t/t_S where the curves cross", None, met.x, wide, 1.0, 1.0),
        compared("phi where the curves cross", None, met.phi, high, LEVEL, exact),
    ]


def draw(curves: list[Measured], met: Crossing) -> Figure:
    """Three panels: phi against t, t/t_S (the curves cross) and t - t_S (they fall on one)."""
    with rc_context(STYLE):
        figure = Figure(figsize=(2.3 * SIZE[0], SIZE[1]), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        _panel(panels[0], curves, lambda t, c: t, "time t")
        _panel(panels[1], curves, lambda t, c: t / c.t_s, "$t / t_S$,  $t_S = ½ \\log d$")
        _panel(panels[2], curves, lambda t, c: t - c.t_s, "$t - t_S$")
        panels[0].set_ylabel("φ: clones end in the same class")
        panels[0].set_xlim(1, 10)
        panels[1].set_xlim(0.2, 2)
        panels[2].set_xlim(-2.5, 3.5)
        panels[1].plot([met.x], [met.phi], "o", ms=13, mfc="none", mec="gray", zorder=5)
        panels[1].annotate(
            f"φ = {met.phi:.3f}\nt/t$_S$ = {met.x:.3f}", (met.x, met.phi), xytext=(14, 6),
            textcoords="offset points",
        )  # fmt: skip
        panels[0].plot([], [], color="gray", lw=1.2, label="theory")
        panels[0].plot([], [], "o", ms=6, mfc="none", mew=0.7, color="gray", label="simulated")
        panels[0].legend(loc="upper right", handlelength=1.4)
    return figure


def _panel(
    ax: Axes,
    curves: list[Measured],
    place: Callable[[np.ndarray, Measured], np.ndarray],
    label: str,
) -> None:
    fine = np.linspace(0.5, 10.5, 401)
    for c, colour, marker in zip(curves, COLOURS, MARKERS, strict=False):
        ax.plot(place(fine, c), phi(TwoGaussians(c.d), fine), color=colour, lw=1.2)
        ax.errorbar(
            place(c.t, c), c.phi, Z95 * c.se, fmt=marker, ms=3.4, color=colour, lw=0.9,
            label=f"d = {c.d}",
        )  # fmt: skip
        run = c.simulated
        ax.plot(
            place(run.t, c), run["same_class_probability"], marker, ms=6, mfc="none", mew=0.7,
            color=colour,
        )  # fmt: skip
    ax.axhline(LEVEL, color="gray", lw=0.8, ls=":")
    ax.set_xlabel(label)
    ax.set_ylim(0.48, 1.02)
