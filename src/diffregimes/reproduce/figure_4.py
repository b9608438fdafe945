"""Figure 4: speciation on images, phi(t) against t/t_S, by trained networks and classifiers.

phi(t) is the share of pairs of clones, parted at t, that end in the same class. The paper's finding
is that phi falls to 0.775 near t_S = (1/2) log Lambda on every dataset. Beside it the curve that
needs no network: the leave-one-out class probability of the training points themselves.

The axis here is a ratio of Ornstein-Uhlenbeck times; the paper's is one of DDPM steps, which lies
nearer to 1 (steps go with sqrt(t) at first). The table and the numbers have both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..common.numerics import Z95
from ..common.parallel import Progress
from ..common.readable import fixed
from ..report.figures.style import SIZE, STYLE
from . import sources, trained
from .tables import Reproduction, Row
from .trained import PHI, Setting, Speciation, over_step_s, over_t_s

LOO = f"{PHI}_loo"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#9a5fb5", "#e69f00")
MARKERS = "osD^v"


def reproduce(
    preset: str = "tiny",
    work: Path | str = "runs/trained",
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Reproduction:
    """Figure 4 on the datasets of a preset that are on this machine.

    work : keeps networks, classifiers and clones; the same call goes on where one was killed

    `sources.MissingData` if there is none of them.
    """
    setting = Setting(sources.preset(preset), Path(work), seed, device, progress)
    return drawn(*trained.speciations(setting))


def drawn(
    cases: Sequence[Speciation], skipped: Sequence[str], known: dict[str, object]
) -> Reproduction:
    """The figure, its rows and its numbers."""
    names = (
        "dataset", "t", "t_over_t_s", "step_over_step_s", "phi", "se", "low", "high", "forward",
        "forward_loo", "z_loo",
    )  # fmt: skip
    columns: dict[str, list[object]] = {name: [] for name in names}
    for c in cases:
        t, curves = c.simulated.t, c.analysis.curves
        lines = (np.interp(t, curves.t, curves[name]) for name in (PHI, LOO))
        steps = np.array([over_step_s((x, (None, None)), c.t_s)[0] for x in t.tolist()])
        values = (
            t,
            t / c.t_s,
            steps,
            c.simulated[PHI],
            c.simulated.se[PHI],
            c.low,
            c.high,
            *lines,
            _z(c),
        )
        columns["dataset"] += [c.source.name] * len(t)
        for name, column in zip(names[1:], values, strict=True):
            columns[name] += column.tolist()
    rows = [row for c in cases for row in _rows(c)]
    sentences = [x for c in cases for x in _sentences(c)]
    return Reproduction(
        "figure-4", draw(cases), columns, tuple(rows), (*sentences, *skipped), known
    )


def _z(c: Speciation) -> np.ndarray:
    """phi of the clones less the leave-one-out curve, in standard errors (T,), as they would be if
    that curve were right. One trajectory serves at all times: the z of a network go together."""
    t, curves = c.simulated.t, c.analysis.curves
    expected = np.interp(t, curves.t, curves[LOO]).clip(0, 1)
    chance = np.sqrt(expected * (1 - expected) / c.simulated.draws)
    error = np.hypot(chance, np.interp(t, curves.t, curves.se[LOO]))
    return np.asarray((c.simulated[PHI] - expected) / np.maximum(error, 1e-12))


def _rows(c: Speciation) -> list[Row]:
    """Where phi crosses its level, in both clocks, beside the paper's own networks."""
    rows, paper = [], c.source.paper
    found = {"of clones": c.crossing, **{f"by {k}, no network": x for k, x in c.forward.items()}}
    for words, ratio in (("t/t_S", over_t_s), ("DDPM step over that of t_S", over_step_s)):
        theirs = None if paper is None else ratio(paper.crossing, 0.5 * math.log(paper.largest))[0]
        for what, crossing in found.items():
            value, (low, high) = ratio(crossing, c.t_s)
            if value is not None and low is not None and high is not None:
                name = f"{words} at phi = {c.level:.3f} {what}, {c.source.name}"
                width = (high - low) / (2 * Z95)
                rows.append(Row(name, c.analysis.dataset.d, value, width, theirs, None, None))
    return rows


def _sentences(c: Speciation) -> list[str]:
    facts = c.analysis.dataset
    text = (
        f"{c.source.name}: n = {facts.n}, d = {facts.d}, Lambda = {c.largest:.3f}, t_S = "
        f"{c.t_s:.3f}; {c.simulated.draws} pairs of clones"
    )
    (t, _), (forward, _) = c.crossing, c.forward["clone-loo"]
    if t is None:
        phi = c.simulated[PHI]
        text += f": phi goes from {phi[0]:.2f} to {phi[-1]:.2f} and does not cross {c.level:.3f}"
    elif forward is not None:
        text += f" cross {c.level:.3f} at t = {t:.3f}, the forward pass alone at {forward:.3f}"
    z = _z(c)
    beside = (
        f"{c.source.name}: phi of the clones less that of the forward pass (leave-one-out) is "
        f"{fixed(z.min(), 1)} to {fixed(z.max(), 1)} standard errors over {len(z)} times."
    )
    return [text + ".", beside, *c.notes]


def draw(cases: Sequence[Speciation]) -> Figure:
    """Points of the clones with 95 % intervals, lines of the forward pass, on t/t_S."""
    with rc_context(STYLE):
        figure = Figure(figsize=(1.5 * SIZE[0], 1.2 * SIZE[1]), layout="constrained")
        ax = figure.add_subplot()
        ax.axhline(cases[0].level, color="gray", lw=0.8)
        ax.axvline(1, color="gray", lw=0.8)
        for c, colour, marker in zip(cases, COLOURS, MARKERS, strict=False):
            curves, phi = c.analysis.curves, c.simulated[PHI]
            ax.plot(curves.t / c.t_s, curves[LOO], color=colour, lw=1.3)
            ax.errorbar(
                c.simulated.t / c.t_s, phi, np.clip([phi - c.low, c.high - phi], 0, None),
                fmt=marker, ms=4.5, color=colour, lw=1, label=c.source.name,
            )  # fmt: skip
        ax.plot([], [], color="gray", lw=1.3, label="forward pass, no network")
        ax.annotate(
            f"φ = {cases[0].level:.3f}", (1, cases[0].level), xycoords=("axes fraction", "data"),
            xytext=(0, 3), textcoords="offset points", ha="right",
        )  # fmt: skip
        far = max(float(c.simulated.t[-1]) / c.t_s for c in cases)
        ax.set_xlim(0, 1.05 * far)
        ax.set_ylim(0.4, 1.03)
        ax.set_xlabel("$t / t_S$,  $t_S = ½ \\log Λ$,  Ornstein–Uhlenbeck time")
        ax.set_ylabel("φ: clones end in the same class")
        ax.legend(loc="upper right")
    return figure
