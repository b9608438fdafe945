"""Table 1: the datasets, their largest eigenvalue, and their speciation times.

t_S = (1/2) log Lambda is the paper's. Beside it the t at which phi falls to 0.775 in clones of a
trained network, the same in the forward pass over the training points alone (leave-one-out), and
where it does in the paper's own networks.

t/t_S is a ratio of Ornstein-Uhlenbeck times in the columns `_time_ratio`, and of steps of the
linear DDPM schedule, the paper's clock, in `_step_ratio`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..common.numerics import Z95
from ..common.parallel import Progress
from ..report.figures.style import COLOURS, INK, SIZE, STYLE
from ..transitions.crossing import Interval
from . import sources, trained
from .tables import Reproduction, Row
from .trained import Setting, Speciation, over_step_s, over_t_s

REDUCED = "reduced: not the paper's images or size"
NONE: Interval = (None, (None, None))


def reproduce(
    preset: str = "tiny",
    work: Path | str = "runs/trained",
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Reproduction:
    """Table 1 for the datasets of a preset that are on this machine; networks and clones are those
    of figure 4, kept in `work`. `sources.MissingData` if there is no dataset."""
    setting = Setting(sources.preset(preset), Path(work), seed, device, progress)
    return listed(*trained.speciations(setting))


def listed(
    cases: Sequence[Speciation], skipped: Sequence[str], known: dict[str, object]
) -> Reproduction:
    """The table, in rows for the terminal and with a line a dataset as CSV."""
    columns: dict[str, list[Any]] = {}
    for c in cases:
        for name, value in _line(c).items():
            columns.setdefault(name, []).append(value)
    rows = [row for c in cases for row in _rows(c)]
    reduced = [c.source.name for c in cases if c.source.paper is None]
    sentences = [x for c in cases for x in c.notes]
    if reduced:
        sentences.insert(0, f"{', '.join(reduced)}: {REDUCED}, so that none stands beside them.")
    return Reproduction("table-1", draw(cases), columns, tuple(rows), (*sentences, *skipped), known)


def _line(c: Speciation) -> dict[str, Any]:
    facts, paper = c.analysis.dataset, c.source.paper
    theirs = paper.crossing if paper else NONE
    crossings = {"simulated": (c.crossing, c.t_s)}
    for name, method in (("forward_loo", "clone-loo"), ("balance", "balance")):
        crossings[name] = c.forward.get(method, NONE), c.t_s
    crossings["paper_crossing"] = theirs, 0.5 * math.log(paper.largest) if paper else 1.0
    return {
        "dataset": c.source.name,
        "n": facts.n,
        "d": facts.d,
        "lambda": c.largest,
        "lambda_se": c.largest_se,
        "t_s": c.t_s,
        "t_s_se": c.t_s_se,
        **{k: x for name, found in crossings.items() for k, x in _columns(name, *found).items()},
        "paper_n": paper and paper.n,
        "paper_d": paper and paper.d,
        "paper_lambda": paper and paper.largest,
        "paper_t_s": paper and paper.t_s,
        "note": "" if paper else REDUCED,
    }


def _columns(name: str, crossing: Interval, t_s: float) -> dict[str, float | None]:
    """A crossing with its interval, and over t_S in both clocks."""
    t, (low, high) = crossing
    ratios = over_t_s(crossing, t_s)[0], over_step_s(crossing, t_s)[0]
    names = name, f"{name}_low", f"{name}_high", f"{name}_time_ratio", f"{name}_step_ratio"
    return dict(zip(names, (t, low, high, *ratios), strict=True))


def _rows(c: Speciation) -> list[Row]:
    facts, paper, name = c.analysis.dataset, c.source.paper, c.source.name
    d = facts.d

    def beside(what: str, ours: float, se: float, theirs: float | None) -> Row:
        z = None if theirs is None or se == 0 else (ours - theirs) / se
        return Row(f"{what}, {name}", d, ours, se, theirs, None, z)

    rows = [
        beside("n", facts.n, 0.0, paper.n if paper else None),
        beside("Lambda", c.largest, c.largest_se, paper.largest if paper else None),
        beside("t_S = (1/2) log Lambda", c.t_s, c.t_s_se, paper.t_s if paper else None),
    ]
    theirs, spread = (None, 0.0) if paper is None else (paper.crossing[0], _se(paper.crossing))
    found = {"of clones": c.crossing, **{f"by {k}, no network": x for k, x in c.forward.items()}}
    for what, crossing in found.items():
        t, se = crossing[0], _se(crossing)
        if t is not None and se:
            words = f"t at phi = {c.level:.3f} {what}, {name}"
            z = None if theirs is None else (t - theirs) / math.hypot(se, spread)
            rows.append(Row(words, d, t, se, theirs, None, z))
    return rows


def _se(crossing: Interval) -> float:
    """The standard error behind a 95 % interval, 0 where there is none."""
    low, high = crossing[1]
    return 0.0 if low is None or high is None else (high - low) / (2 * Z95)


def draw(cases: Sequence[Speciation]) -> Figure:
    """A line a dataset: t_S, and where phi crosses its level, each with its 95 % interval."""
    clones, forward = COLOURS["class"], COLOURS["alt"]
    with rc_context(STYLE):
        size = 1.25 * SIZE[0], 0.55 * len(cases) + 1.3
        figure = Figure(figsize=size, layout="constrained")
        ax = figure.add_subplot()
        for k, c in enumerate(cases):
            spread = Z95 * c.t_s_se
            _mark(ax, k - 0.2, (c.t_s, (c.t_s - spread, c.t_s + spread)), "|", INK)
            _mark(ax, k, c.crossing, "o", clones)
            _mark(ax, k + 0.2, c.forward["clone-loo"], "D", forward)
            if c.source.paper is not None:
                ax.plot(c.source.paper.t_s, k - 0.2, "x", color="gray")
                _mark(ax, k + 0.1, c.source.paper.crossing, "s", "gray")
        for label, marker, colour in (
            ("$t_S = ½ \\log Λ$", "|", INK),
            ("φ by clones of a network", "o", clones),
            ("φ by the forward pass", "D", forward),
        ):
            ax.plot([], [], marker, color=colour, label=label)
        if any(c.source.paper is not None for c in cases):
            ax.plot([], [], "x", color="gray", label="$t_S$, paper")
            ax.plot([], [], "s", color="gray", label="φ by clones of the paper's networks")
        ax.set_yticks(range(len(cases)), [c.source.name for c in cases])
        ax.set_ylim(len(cases) - 0.5, -0.5)
        ax.set_xlim(left=0)
        ax.set_xlabel("time t of speciation")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderaxespad=0)
    return figure


def _mark(ax: Axes, place: float, interval: Interval, marker: str, colour: str) -> None:
    t, (low, high) = interval
    if t is None:
        return
    ax.plot(t, place, marker, ms=6 if marker != "|" else 10, color=colour)
    if low is not None and high is not None:
        ax.plot([low, high], [place, place], color=colour, lw=1)
