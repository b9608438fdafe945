"""The phase diagram as a picture: t_C over n and d, and where it precedes t_S."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...common.readable import power_of_ten
from ...theory import PhaseDiagram
from .style import COLOURS, STYLE

# exponents of ten, those to label first first
POWERS = (1, 10, 100, 2, 5, 20, 50, 200, 3, 30, 300, 4, 7, 6, 8, 9)
_ROUND = [math.log(m) + k * math.log(10) for m in (1, 2, 5, 3, 1.5, 7) for k in range(13)]
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
    if np.isfinite(diagram.collapse).any():
        drawn = ax.contour(
            d, log_n, diagram.collapse.T, _levels(diagram.collapse), colors=COLOURS["point"],
            linewidths=1.1,
        )  # fmt: skip
        ax.clabel(drawn, fmt=lambda t: f"{t:g}", fontsize=8)
        ax.plot([], [], color=COLOURS["point"], lw=1.1, label="collapse $t_C$")
    else:
        why = "no collapse: σ = 0,\nthe points of a class coincide"
        ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center")
    edge = np.where(np.isfinite(diagram.boundary), diagram.boundary, np.inf)
    if (edge > log_n[0]).any():
        ax.fill_between(
            d, log_n[0], np.clip(edge, log_n[0], log_n[-1]), color=COLOURS["memorizing"],
            alpha=0.22, lw=0, label="no class before the collapse",
        )  # fmt: skip
    if marks:
        places = np.array(marks).T
        ax.plot(*places, "o", color=COLOURS["class"], ms=6, zorder=4, label="marked")
    ax.set_xlim(d[0], d[-1])
    ax.set_ylim(log_n[0], log_n[-1])
    _label_axes(diagram, ax)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.12), ncols=3, borderaxespad=0)
    return ax


def _levels(times: np.ndarray) -> np.ndarray:
    """Round times t_C of which at least three are reached."""
    low, high = float(np.nanmin(times)), float(np.nanmax(times))
    usual = [t for t in LEVELS if low < t < high]
    return np.asarray(usual if len(usual) > 2 else MaxNLocator(6).tick_values(low, high))


def _label_axes(diagram: PhaseDiagram, ax: Axes) -> None:
    low, high = math.log(diagram.log_n[0]), math.log(diagram.log_n[-1])
    powers = [(math.log(k * math.log(10)), f"$10^{{{k}}}$") for k in POWERS]
    found = _apart(powers, low, high)
    if len(found) < 3:  # few powers of ten: numbers between them
        found = _apart(powers + [(math.log(x), power_of_ten(x)) for x in _ROUND[1:]], low, high)
    ax.set_yticks([math.exp(x) for x, _ in found], [name for _, name in found])
    ax.set_yticks([], minor=True)
    low, high = math.log(diagram.d[0]), math.log(diagram.d[-1])
    if high - low < math.log(100):
        found = _apart([(x, f"{math.exp(x):g}") for x in _ROUND], low, high)
        ax.set_xticks([math.exp(x) for x, _ in found], [name for _, name in found])
        ax.set_xticks([], minor=True)
    ax.set_xlabel("dimension d")
    ax.set_ylabel("training points n")
    top = ax.secondary_xaxis("top")
    known = np.isfinite(diagram.speciation) & (diagram.speciation > 0)
    times = diagram.speciation[known]
    found = []
    if len(times) > 1:
        wanted = MaxNLocator(12, steps=[1, 2, 5, 10]).tick_values(times[0], times[-1])
        wanted = wanted[(wanted >= times[0]) & (wanted <= times[-1])][::-1]
        places = np.interp(wanted, times, np.log(diagram.d[known]))
        found = _apart([(x, f"{t:g}") for x, t in zip(places, wanted, strict=True)], low, high)
    top.set_xticks([math.exp(x) for x, _ in found], [name for _, name in found])
    top.set_xticks([], minor=True)
    top.set_xlabel("speciation $t_S$" if found else "no speciation in this range")


def _apart(wanted: list[tuple[float, str]], low: float, high: float) -> list[tuple[float, str]]:
    """The (place, label) between low and high that keep 6 % of the axis from those before them."""
    found: list[tuple[float, str]] = []
    slack = 1e-9 * abs(high)
    for place, name in wanted:
        free = all(abs(place - x) >= 0.06 * (high - low) for x, _ in found)
        if free and low - slack <= place <= high + slack:
            found.append((place, name))
    return found
