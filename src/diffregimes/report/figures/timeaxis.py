"""The time axis from noise to data, and the headline times marked on it.

It is matplotlib's with the scale of `logsnr`; t falls to the right as it does in generation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ...results import Analysis, TransitionTime
from .logsnr import LogSNR, position
from .style import COLOURS, SIZE

Mark = tuple[str, str, float, float | None, float | None]  # symbol, colour, t, low, high


def time_window(analysis: Analysis) -> tuple[float, float]:
    """(smallest, largest) t worth drawing: every transition and most of the points' own times."""
    grid = analysis.curves.t
    seen = [x for k in analysis.times for x in (k.t, k.low, k.high) if x is not None and x > 0]
    own = analysis.point_times[np.isfinite(analysis.point_times)]
    if own.size:
        seen.extend(np.quantile(own, [0.02, 0.98]).tolist())
    if not seen:
        return float(grid[0]), float(grid[-1])
    return max(float(grid[0]), min(seen) / 8), min(float(grid[-1]), max(seen) + 1.2)


def headline_times(analysis: Analysis) -> list[tuple[str, str, float, TransitionTime]]:
    """(symbol, colour, t, TransitionTime) of the headline times that exist."""
    out: list[tuple[str, str, float, TransitionTime]] = []
    for transition, symbol, colour in (
        ("speciation", "$t_S$", COLOURS["class"]),
        ("collapse", "$t_C$", COLOURS["point"]),
    ):
        found = analysis.time(transition)
        if found.t is not None:
            out.append((symbol, colour, found.t, found))
    return out


def inches(ax: Axes) -> float:
    """Width of the axes, near enough to place texts: the layout is made later."""
    figure = ax.get_figure(root=True)
    whole = SIZE[0] if figure is None else float(figure.get_size_inches()[0])
    return 0.85 * whole * ax.get_position().width / 0.775  # 0.775: a figure's only axes


def time_axis(ax: Axes, low: float, high: float) -> None:
    """Time from noise (left) to data, even in log-SNR, ticks in t."""
    ax.set_xscale(LogSNR.name)
    ax.set_xlim(high, low)
    ax.set_xlabel("noise → data · time t")


def headline_axis(analysis: Analysis, ax: Axes) -> None:
    """The time axis of an analysis, with its headline times."""
    marks = [(symbol, c, t, x.low, x.high) for symbol, c, t, x in headline_times(analysis)]
    marked_axis(ax, time_window(analysis), marks)


def marked_axis(ax: Axes, window: tuple[float, float], marks: Sequence[Mark]) -> None:
    """The time axis over `window`, and vertical lines with their symbols above the axes."""
    low, high = window
    time_axis(ax, low, high)
    ax.set_xlabel("noise → data · time t, spaced in log-SNR")
    places = [float(position(np.clip(t, low, high))) for _, _, t, *_ in marks]
    width = float(position(high) - position(low))
    # two marks side by side: their symbols step aside, the noisier one to the left
    close = len(marks) == 2 and abs(places[0] - places[1]) / width * inches(ax) < 0.24
    left = places.index(max(places)) if places else 0
    for k, (symbol, colour, t, lower, upper) in enumerate(marks):
        if lower is not None and upper is not None:
            ax.axvspan(lower, upper, color=colour, alpha=0.14, lw=0, zorder=0)
        ax.axvline(t, color=colour, lw=1, zorder=1)
        side = "right" if k == left else "left"
        ax.annotate(
            symbol,
            (float(np.clip(t, low, high)), 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2),
            textcoords="offset points",
            ha=side if close else "center",
            va="bottom",
            color=colour,
        )
