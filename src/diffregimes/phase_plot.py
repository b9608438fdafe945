"""The phase diagram as a picture: t_C over n and d, and where it precedes t_S."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .theory import PhaseDiagram
from .timeaxis import COLOURS, STYLE

POWERS = (1, 2, 3, 4, 5, 7, 10, 20, 30, 50, 100, 200, 300)
LEVELS = (0.01, 0.1, 0.3, 1, 2, 3, 4, 5, 6, 8, 10)


def plot_phase_diagram(
    diagram: PhaseDiagram, marks: tuple[tuple[float, float], ...] = (), ax: Axes | None = None
) -> Axes:
    """Lines of equal t_C, the region without a generalizing regime, and `marks` (d, log n).

    Both axes are logarithmic, the second in log n, so that lines of equal alpha are straight. The
    speciation time, which depends on d alone, is the upper axis.
    """
    if ax is None:
        with rc_context(STYLE):
            made = Figure(figsize=(5.6, 4.4), layout="constrained").add_subplot()
            return plot_phase_diagram(diagram, marks, made)
    d, log_n = diagram.d, diagram.log_n
    ax.set_xscale("log")
    ax.set_yscale("log")
    known = np.isfinite(diagram.collapse).any()
    if known:
        drawn = ax.contour(
            d, log_n, diagram.collapse.T, LEVELS, colors=COLOURS["point"], linewidths=1.1
        )
        ax.clabel(drawn, fmt=lambda t: f"{t:g}", fontsize=8)
        ax.plot([], [], color=COLOURS["point"], lw=1.1, label="collapse $t_C$")
    edge = np.where(np.isfinite(diagram.boundary), diagram.boundary, np.inf)
    ax.fill_between(
        d, log_n[0], np.clip(edge, log_n[0], log_n[-1]), color=COLOURS["memorizing"], alpha=0.22,
        lw=0, label="no class before the collapse",
    )  # fmt: skip
    for dimension, value in marks:
        ax.plot([dimension], [value], "o", color=COLOURS["class"], ms=6, zorder=4)
    ax.set_xlim(d[0], d[-1])
    ax.set_ylim(log_n[0], log_n[-1])
    _label_axes(diagram, ax)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.12), ncols=2, borderaxespad=0)
    return ax


def _label_axes(diagram: PhaseDiagram, ax: Axes) -> None:
    low, high = diagram.log_n[0], diagram.log_n[-1]
    ten = math.log(10)
    ticks = [k for k in POWERS if low <= k * ten <= high]
    ax.set_yticks([k * ten for k in ticks], [f"$10^{{{k}}}$" for k in ticks])
    ax.set_yticks([], minor=True)
    ax.set_xlabel("dimension d")
    ax.set_ylabel("training points n")
    top = ax.secondary_xaxis("top")
    times = diagram.speciation
    known = np.isfinite(times) & (times > 0)
    if known.sum() < 2:
        top.set_xticks([])
        top.set_xlabel("no speciation in this range")
        return
    span = times[known]
    wanted = [t for t in np.arange(0, 60, 0.5) if span.min() <= t <= span.max()]
    wanted = wanted[:: max(1, len(wanted) // 8)]
    places = np.exp(np.interp(wanted, span, np.log(diagram.d[known])))
    top.set_xticks(places, [f"{t:g}" for t in wanted])
    top.set_xticks([], minor=True)
    top.set_xlabel("speciation $t_S$")
