"""Figure 5: collapse on images, under the exact score of the training set or a trained network's.

For each dataset: phi_C(t) from simulated clones beside the forward pass, the histogram of the last
changes of the nearest training point along single trajectories, and the excess entropy
f^e(t)/alpha; with a network also that of the law which it generates, from its score norm.
The paper's are from trained networks, of which the mean last change is quoted; the exact score is
what such a network tends to with training, and resolves single points earlier (at larger t).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import analyze
from ..auditing.entropy import model_entropy
from ..auditing.findings import Entropy
from ..backward.clones import run_clones
from ..backward.descent import Run
from ..backward.experiment import experiment
from ..backward.outcome import Outcome, outcome
from ..backward.tracking import Tracked, track
from ..common.numerics import Z95
from ..common.parallel import Progress
from ..common.recipe import versions
from ..data.datasets import Dataset
from ..report.figures.logsnr import even_times
from ..report.figures.style import COLOURS, SIZE, STYLE
from ..report.figures.timeaxis import time_axis
from ..results import Analysis
from ..transitions.crossing import Interval
from . import sources, trained
from .sources import Source
from .tables import Reproduction, Row
from .trained import Setting

PAPER = {16: 0.325, 32: 0.627}  # mean last change, ImageNet16 and ImageNet32, trained networks
TIMES, ENTROPY_TIMES = 8, 40
PHI_C = "same_point_probability"


@dataclass(frozen=True)
class Collapse:
    """One dataset: its analysis, clones and trajectories; with a network also `half`, where its
    phi_C = 1/2, `exact`, the trajectories of the exact score, and `entropy`, of what the network
    generates."""

    name: str
    paper: float | None
    analysis: Analysis
    clones: Outcome
    tracked: Tracked
    half: Interval = (None, (None, None))
    exact: Tracked | None = None
    entropy: Entropy | None = None
    notes: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        return "exact score" if self.exact is None else "network"


def reproduce(
    datasets: list[Dataset],
    pairs: int = 256,
    steps: int = 500,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reproduction:
    """Figure 5 for image datasets, one row of panels each."""
    collapses = [_collapse(data, pairs, steps, seed, progress) for data in datasets]
    recipe = {
        "sources": [c.analysis.dataset.source for c in collapses],
        "fingerprints": [c.analysis.dataset.fingerprint for c in collapses],
        "score": "exact",
        "pairs": pairs,
        "steps": steps,
        "seed": seed,
        "versions": versions(),
    }
    return _assembled("figure-5", collapses, (), recipe)


def reproduce_trained(
    preset: str = "tiny",
    work: Path | str = "runs/trained",
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Reproduction:
    """Figure 5 with networks trained on the datasets of a preset that are on this machine, until
    they copy.

    work : keeps networks, clones and trajectories; the same call goes on where one was killed

    `sources.MissingData` if there is none of them.
    """
    setting = Setting(sources.preset(preset), Path(work), seed, device, progress)
    data, skipped = sources.read_all(setting.preset.collapse, progress)
    collapses = [_trained(*x, setting) for x in data]
    return _assembled(
        "figure-5-trained",
        collapses,
        skipped,
        {"score": "trained", **trained.recipe(setting, data)},
    )


def _assembled(
    name: str, collapses: list[Collapse], skipped: Sequence[str], recipe: Mapping[str, Any]
) -> Reproduction:
    columns: dict[str, list[float | str]] = {"dataset": []}
    for c in collapses:
        mine = c.clones.columns()
        for key, values in mine.items():
            columns.setdefault(key, []).extend(values)
        columns["dataset"] += [c.name] * len(mine["t"])
    rows = tuple(row for c in collapses for row in _rows(c))
    sentences = *(x for c in collapses for x in (_sentence(c), *c.notes)), *skipped
    return Reproduction(name, draw(collapses), columns, rows, sentences, recipe)


def _collapse(
    data: Dataset, pairs: int, steps: int, seed: int, progress: Progress | None
) -> Collapse:
    size = data.sample_shape[0] if data.is_image else 0
    name = f"{size}x{size}" if size else data.source
    analysis = analyze(data, seed=seed, progress=progress)
    setup = experiment(data, grid="log-snr", steps=steps, count=TIMES, seed=seed, progress=progress)

    def told(done: float, total: float, text: str) -> None:
        if progress:
            progress(done, total, f"{text}, {name}")

    run = Run(setup.grid, seed=seed, progress=told)
    ends = run_clones(
        setup.score, setup.times, pairs, run=run, classify=setup.classify, training=setup.training
    )
    assert setup.training is not None
    tracked = track(setup.score, setup.training, pairs, run=run, classify=setup.classify)
    return Collapse(name, PAPER.get(size), analysis, outcome(ends, setup), tracked)


def _trained(source: Source, data: Dataset, setting: Setting) -> Collapse:
    """Clones and trajectories of the network, and trajectories of the exact score beside them."""
    tell = setting.told(source.name)
    analysis = analyze(data, seed=setting.seed, device=setting.device, progress=tell)
    net = trained.network(source, data, setting)
    setup = trained.prepared(data, net, None, setting, tell, TIMES)
    training = setup.training
    assert training is not None
    same: dict[str, Any] = {"classify": setup.classify}

    def run(what: str) -> Run:
        return trained.stored_run(what, source, setup, net, "nearest", setting, data)

    pairs = source.pairs
    ends = run_clones(
        setup.score, setup.times, pairs, run=run("collapse"), training=training, **same
    )
    tracked = track(setup.score, training, pairs, run=run("tracked"), norms=True, **same)
    exact = track(training, training, pairs, run=run("exact"), **same)
    clones = outcome(ends, setup)
    low, high = clones.line.t[[0, -1]]
    shown = np.flatnonzero((setup.grid > 0.5 * low) & (setup.grid < 1.5 * high))
    every = max(1, len(shown) // ENTROPY_TIMES)
    curves = setup.forward(setup.grid[shown[::every]][::-1])
    entropy = model_entropy(tracked, setup.grid, curves, data.n)
    paper = None if source.paper is None else source.paper.last_change
    notes = tuple(f"{source.name}: {x}." for x in (source.note, *setup.notes) if x)
    half = ends.crossing(PHI_C, 0.5, setting.seed)
    return Collapse(source.name, paper, analysis, clones, tracked, half, exact, entropy, notes)


def _rows(c: Collapse) -> list[Row]:
    d = c.analysis.dataset.d
    own = "" if c.exact is None else " of the network"
    rows = [
        Row(f"mean last change{own}, {c.name}", d, *c.tracked.mean_collapse(), c.paper, None, None)
    ]
    found: list[tuple[str, Interval]] = []
    if c.exact is not None:
        mean, se = c.exact.mean_collapse()
        rows.append(
            Row(f"mean last change of the exact score, {c.name}", d, mean, se, None, None, None)
        )
        found.append(("phi_C = 1/2 of the network", c.half))
    for method in ("free-energy", "clone"):
        x = c.analysis.time("collapse", method)
        found.append((f"t_C by {method}", (x.t, (x.low, x.high))))
    for name, (t, (low, high)) in found:
        if t is not None and low is not None and high is not None:
            rows.append(Row(f"{name}, {c.name}", d, t, (high - low) / (2 * Z95), None, None, None))
    return rows


def _sentence(c: Collapse) -> str:
    z = np.abs(c.clones.z[PHI_C]).max()
    memorised = c.tracked.memorised()
    share, low, high = memorised.value, memorised.low, memorised.high
    off = ""
    if c.entropy is not None:
        off = (
            " Its entropy holds as far as its score is that of its own law: Stein's identity is "
            f"off by {np.abs(c.entropy.stein).max():.3f} a dimension at most, noise included."
        )
    return (
        f"{c.name}: phi_C of {c.clones.simulated.draws} pairs of clones of the {c.what} against "
        f"the forward pass, largest |z| {z:.1f} of {len(c.clones.simulated.t)} times; "
        f"{share:.0%} of the samples are copies ({low:.0%} to {high:.0%}).{off}"
    )


def draw(collapses: list[Collapse]) -> Figure:
    """A row for each dataset: phi_C, last changes, excess entropy."""
    with rc_context(STYLE):
        height = 0.85 * SIZE[1] * len(collapses) + 0.3
        figure = Figure(figsize=(2.35 * SIZE[0], height), layout="constrained")
        panels = figure.subplots(len(collapses), 3, squeeze=False)
        for row, c in zip(panels, collapses, strict=True):
            _clones(row[0], c)
            _changes(row[1], c)
            _entropy(row[2], c)
            row[0].set_title(f"{c.name}, n = {c.analysis.dataset.n}", loc="left", fontsize=9.5)
    return figure


def _window(c: Collapse) -> tuple[float, float]:
    line = c.clones.line.t
    return float(line[0]), float(line[-1])


def _mark(ax: Axes, c: Collapse) -> None:
    mean, _ = c.tracked.mean_collapse()
    ax.axvline(mean, color=COLOURS["point"], lw=1)
    if c.exact is not None:
        ax.axvline(c.exact.mean_collapse()[0], color=COLOURS["alt"], lw=1)
    if c.paper is not None:
        ax.axvline(c.paper, color="gray", lw=1, ls="--")


def _clones(ax: Axes, c: Collapse) -> None:
    o, name = c.clones, PHI_C
    low, high = o.intervals[name]
    value = o.simulated[name]
    ax.plot(o.line.t, o.line[name], color=COLOURS["point"], lw=1.4, label="forward pass")
    ax.errorbar(
        o.simulated.t, value, np.clip([value - low, high - value], 0, None), fmt="s", ms=4,
        color=COLOURS["point"], lw=1, label=f"clones, {c.what}",
    )  # fmt: skip
    time_axis(ax, *_window(c))
    ax.set_ylabel("$φ_C$: same training point")
    ax.legend(loc="upper left")


def _changes(ax: Axes, c: Collapse) -> None:
    low, high = _window(c)
    edges = even_times(low, high, 31)

    def counted(tracked: Tracked) -> np.ndarray:
        values = np.clip(tracked.point_time, low, high)
        return np.asarray(np.histogram(values, edges)[0] / len(values) * 100)

    ax.stairs(
        counted(c.tracked), edges, fill=True, alpha=0.55, color=COLOURS["point"], label=c.what
    )
    if c.exact is not None:
        ax.stairs(counted(c.exact), edges, color=COLOURS["alt"], lw=1.2, label="exact score")
    _mark(ax, c)
    if c.paper is not None:
        ax.plot([], [], color="gray", lw=1, ls="--", label="paper's network, mean")
    time_axis(ax, low, high)
    ax.set_ylabel("last changes, %")
    ax.legend(loc="upper left")


def _entropy(ax: Axes, c: Collapse) -> None:
    curves = c.analysis.curves
    top = 1.05
    ax.axhline(0, color="gray", lw=0.7)
    for name, colour, style, label in (
        ("excess_entropy_over_alpha", COLOURS["alt"], "-", "$f^e/α$"),
        ("loo_free_energy_over_log_n", COLOURS["class"], "--", "$F/\\log n$"),
    ):
        ax.plot(curves.t, curves[name], color=colour, ls=style, label=label)
    if (found := c.entropy) is not None:
        band = Z95 * found.se
        ax.plot(found.t, found.value, color=COLOURS["point"], label="$f^e/α$, network")
        ax.fill_between(
            found.t, found.value - band, found.value + band, color=COLOURS["point"], alpha=0.2, lw=0
        )
        top = max(top, min(2.0, float(found.value.max()) + 0.05))
    _mark(ax, c)
    time_axis(ax, *_window(c))
    ax.set_ylim(-0.6, top)
    ax.set_ylabel("excess entropy")
    ax.legend(loc="lower left")
