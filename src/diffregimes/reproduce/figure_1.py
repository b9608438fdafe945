"""Figure 1: the three regimes, from a real run.

Trajectories of the backward process under the exact score of scikit-learn's digits 0 and 1, seen
along the difference of the class means and coloured by their final class. They wander (I), part
into two bundles at t_S (II), and in the end fall onto training points (III).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..analysis import analyze
from ..backward.clones import nearest_classes
from ..backward.descent import Run
from ..backward.samplers import log_snr_times
from ..common.numerics import Z95
from ..common.parallel import Progress
from ..common.recipe import versions
from ..data.readers import load
from ..report.figures.logsnr import even_times
from ..report.figures.style import COLOURS, SIZE, STYLE
from ..report.figures.timeaxis import time_axis
from ..results import Analysis
from ..scores import EmpiricalScore
from .tables import Reproduction, Row

START, END, STEPS = 4.0, 1e-3, 600


@dataclass(frozen=True)
class Paths:
    """Coordinates (steps + 1, m) of trajectories along the class means at `times`; `classes` (m,)
    at the end; `points` (n,) the coordinates of the training points."""

    times: np.ndarray
    coordinate: np.ndarray
    classes: np.ndarray
    points: np.ndarray
    labels: np.ndarray


def reproduce(
    trajectories: int = 60, seed: int = 0, progress: Progress | None = None
) -> Reproduction:
    """Figure 1 with so many trajectories."""
    data = load("digits", classes=["0", "1"])
    analysis = analyze(data, draws=4096, seed=seed, progress=progress)
    mean = data.points.mean(axis=0, dtype=np.float64)
    centred = data.points.astype(np.float64) - mean
    along = centred[data.labels == 1].mean(axis=0) - centred[data.labels == 0].mean(axis=0)
    along /= np.linalg.norm(along)
    score = EmpiricalScore(centred)
    times = log_snr_times(START, END, STEPS)
    run = Run(times, seed=seed, dtype=torch.float64)
    block = run.block("figure-1", 0, trajectories)
    first = run.normal(block.trunk, trajectories, data.d)
    seen = [first.numpy() @ along]

    def look(x: torch.Tensor, t: float) -> None:
        seen.append(x.numpy() @ along)

    end = block.descend(score, {0: (lambda x: first,)}, look)
    classes = nearest_classes(score, data.labels)(end, END).numpy()
    paths = Paths(times, np.array(seen), classes, centred @ along, data.labels)
    every = {"t": np.repeat(times, trajectories).tolist()}
    columns = {
        **every,
        "trajectory": np.tile(np.arange(trajectories), len(times)).tolist(),
        "coordinate": paths.coordinate.ravel().tolist(),
        "final_class": np.tile(classes, len(times)).tolist(),
    }
    rows = tuple(
        Row(f"t_{name} by {x.method}", data.d, x.t, (x.high - x.low) / (2 * Z95), None, None, None)
        for name, x in (("S", analysis.time("speciation")), ("C", analysis.time("collapse")))
        if x.t is not None and x.low is not None and x.high is not None
    )
    share = float((classes == 1).mean())
    sentences = (
        f"{trajectories} trajectories, {share:.0%} of them end in class 1; every one ends on a "
        "training point.",
    )
    recipe = {"trajectories": trajectories, "seed": seed, "steps": STEPS, "versions": versions()}
    return Reproduction("figure-1", draw(paths, analysis), columns, rows, sentences, recipe)


def draw(paths: Paths, analysis: Analysis) -> Figure:
    """Trajectories from noise (left) to data, with t_S, t_C and the three regimes."""
    t_s, t_c = analysis.time("speciation").t, analysis.time("collapse").t
    with rc_context(STYLE):
        figure = Figure(figsize=(1.9 * SIZE[0], 1.25 * SIZE[1]), layout="constrained")
        ax = figure.add_subplot()
        time_axis(ax, END, START)
        for k, colour in ((0, COLOURS["class"]), (1, COLOURS["point"])):
            mine = paths.coordinate[:, paths.classes == k]
            ax.plot(paths.times, mine, color=colour, lw=0.5, alpha=0.55)
            points = paths.points[paths.labels == k]
            ax.plot(np.full(len(points), END), points, "_", color=colour, ms=7, clip_on=False)
        marks = [("$t_S$", t_s), ("$t_C$", t_c)]
        for symbol, t in marks:
            if t is not None:
                ax.axvline(t, color="gray", lw=1.2)
                ax.annotate(
                    f"{symbol} = {t:.2f}", (t, 1), xycoords=ax.get_xaxis_transform(),
                    xytext=(0, 3), textcoords="offset points", ha="center",
                )  # fmt: skip
        if t_s is not None and t_c is not None and t_c < t_s:
            spans = (
                ("I  wandering", START, t_s),
                ("II  class decided", t_s, t_c),
                ("III  onto a training point", t_c, END),
            )
            for name, left, right in spans:
                at = even_times(right, left, 3)[1]
                ax.annotate(
                    name, (at, 0.02), xycoords=ax.get_xaxis_transform(), ha="center", va="bottom"
                )
        ax.set_ylabel("coordinate along the class means")
    return figure
