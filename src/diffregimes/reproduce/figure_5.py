"""Figure 5: collapse on images, under the exact score of the training set.

For each dataset: phi_C(t) from simulated clones beside the forward pass, the histogram of the last
changes of the nearest training point along single trajectories, and the excess entropy
f^e(t)/alpha.
The paper's are from trained networks, of which the mean last change is quoted; the exact score is
what such a network tends to with training, and resolves single points earlier (at larger t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis import analyze, versions
from ..backward.clones import run_clones
from ..backward.descent import Run
from ..backward.experiment import experiment
from ..backward.outcome import Outcome, outcome
from ..backward.tracking import Tracked, track
from ..backward_plots import even_times, log_time_axis
from ..checks import InputError
from ..datasets import Dataset, from_arrays
from ..results import Analysis
from ..sweep import Progress
from ..timeaxis import COLOURS, SIZE, STYLE
from .tables import Reproduction, Row

PAPER = {16: 0.325, 32: 0.627}  # mean last change, ImageNet16 and ImageNet32, trained networks
TIMES = 8


@dataclass(frozen=True)
class Collapse:
    """One dataset: its analysis, clones and trajectories."""

    name: str
    paper: float | None
    analysis: Analysis
    clones: Outcome
    tracked: Tracked


def halved(dataset: Dataset) -> Dataset:
    """Images at half the size, by means over 2 x 2 pixels."""
    if not dataset.is_image or any(x % 2 for x in dataset.sample_shape[:2]):
        raise InputError(
            f"{dataset.source} has samples of the shape {dataset.sample_shape}; expected images of "
            "even height and width to take half the size of. Leave out --halved."
        )
    height, width, channels = dataset.sample_shape
    images = dataset.points.reshape(dataset.n, height // 2, 2, width // 2, 2, channels)
    return from_arrays(
        images.mean(axis=(2, 4)),
        dataset.labels,
        class_names=dataset.class_names,
        source=f"{dataset.source} at {height // 2}x{width // 2}",
    )


def reproduce(
    datasets: list[Dataset],
    pairs: int = 256,
    steps: int = 500,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reproduction:
    """Figure 5 for image datasets, one row of panels each."""
    found = [_collapse(data, pairs, steps, seed, progress) for data in datasets]
    columns: dict[str, list[float | str]] = {"dataset": []}
    for c in found:
        mine = c.clones.columns()
        for name, values in mine.items():
            columns.setdefault(name, []).extend(values)
        columns["dataset"] += [c.name] * len(mine["t"])
    rows = [row for c in found for row in _rows(c)]
    sentences = tuple(_sentence(c) for c in found)
    recipe = {
        "sources": [c.analysis.dataset["source"] for c in found],
        "fingerprints": [c.analysis.dataset["fingerprint"] for c in found],
        "score": "exact",
        "pairs": pairs,
        "steps": steps,
        "seed": seed,
        "versions": versions(),
    }
    return Reproduction("figure-5", draw(found), columns, tuple(rows), sentences, recipe)


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


def _rows(c: Collapse) -> list[Row]:
    mean, se = c.tracked.mean_collapse()
    d = c.analysis.dataset["d"]
    rows = [Row(f"mean last change, {c.name}", d, mean, se, c.paper, None, None)]
    for method in ("free-energy", "clone"):
        x = c.analysis.time("collapse", method)
        if x.t is not None and x.low is not None and x.high is not None:
            width = (x.high - x.low) / 3.92
            rows.append(Row(f"t_C by {method}, {c.name}", d, x.t, width, None, None, None))
    return rows


def _sentence(c: Collapse) -> str:
    z = np.abs(c.clones.z["same_point_probability"]).max()
    share, low, high = c.tracked.memorised()
    return (
        f"{c.name}: phi_C of {c.clones.simulated.draws} pairs of clones against the forward pass, "
        f"largest |z| {z:.1f} of {len(c.clones.simulated.t)} times; {share:.0%} of the samples are "
        f"copies ({low:.0%} to {high:.0%})."
    )


def draw(found: list[Collapse]) -> Figure:
    """A row for each dataset: phi_C, last changes, excess entropy."""
    with rc_context(STYLE):
        height = 0.85 * SIZE[1] * len(found) + 0.3
        figure = Figure(figsize=(2.35 * SIZE[0], height), layout="constrained")
        panels = figure.subplots(len(found), 3, squeeze=False)
        for row, c in zip(panels, found, strict=True):
            _clones(row[0], c)
            _changes(row[1], c)
            _entropy(row[2], c)
            row[0].set_title(f"{c.name}, n = {c.analysis.dataset['n']}", loc="left", fontsize=9.5)
    return figure


def _window(c: Collapse) -> tuple[float, float]:
    line = c.clones.line.t
    return float(line[0]), float(line[-1])


def _mark(ax: Axes, c: Collapse) -> None:
    mean, _ = c.tracked.mean_collapse()
    ax.axvline(mean, color=COLOURS["point"], lw=1)
    if c.paper is not None:
        ax.axvline(c.paper, color="gray", lw=1, ls="--")


def _clones(ax: Axes, c: Collapse) -> None:
    o, name = c.clones, "same_point_probability"
    low, high = o.intervals[name]
    value = o.simulated[name]
    ax.plot(o.line.t, o.line[name], color=COLOURS["point"], lw=1.4, label="forward pass")
    ax.errorbar(
        o.simulated.t, value, np.clip([value - low, high - value], 0, None), fmt="s", ms=4,
        color=COLOURS["point"], lw=1, label="clones",
    )  # fmt: skip
    log_time_axis(ax, *_window(c))
    ax.set_ylabel("$φ_C$: same training point")
    ax.legend(loc="upper left")


def _changes(ax: Axes, c: Collapse) -> None:
    low, high = _window(c)
    edges = even_times(low, high, 31)
    values = np.clip(c.tracked.point_time, low, high)
    ax.stairs(
        np.histogram(values, edges)[0] / len(values) * 100, edges, fill=True, alpha=0.55,
        color=COLOURS["point"], label="exact score",
    )  # fmt: skip
    _mark(ax, c)
    if c.paper is not None:
        ax.plot([], [], color="gray", lw=1, ls="--", label="paper's network, mean")
    log_time_axis(ax, low, high)
    ax.set_ylabel("last changes, %")
    ax.legend(loc="upper left")


def _entropy(ax: Axes, c: Collapse) -> None:
    curves = c.analysis.curves
    ax.axhline(0, color="gray", lw=0.7)
    for name, colour, style, label in (
        ("excess_entropy_over_alpha", COLOURS["alt"], "-", "$f^e/α$"),
        ("loo_free_energy_over_log_n", COLOURS["class"], "--", "$F/\\log n$"),
    ):
        ax.plot(curves.t, curves[name], color=colour, ls=style, label=label)
    _mark(ax, c)
    log_time_axis(ax, *_window(c))
    ax.set_ylim(-0.6, 1.05)
    ax.set_ylabel("excess entropy")
    ax.legend(loc="lower left")
