"""The look of the figures, and their time axis from noise to data.

The axis is spaced evenly in log-SNR, log(e^{-2t} / (1 - e^{-2t})): linear in t where noise
dominates and logarithmic in t near the data, so that both transitions have room. Its data
coordinates and tick labels are t, falling to the right as it does in generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...process import snr
from ...results import Analysis, TransitionTime
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


def position(t: Any) -> Any:
    """-log SNR, the coordinate of the axis; t <= 0 is drawn at the data end."""
    return np.log(np.expm1(2 * np.clip(np.asarray(t, dtype=float), 1e-9, 300)))


def time_at(place: Any) -> Any:
    """t at a coordinate of the axis, the inverse of `position`."""
    return 0.5 * np.log1p(np.exp(np.clip(np.asarray(place, dtype=float), -600, 600)))


def inches(ax: Axes) -> float:
    """Width of the axes, near enough to space labels: the layout is made later."""
    figure = ax.get_figure(root=True)
    whole = SIZE[0] if figure is None else float(figure.get_size_inches()[0])
    return 0.85 * whole * ax.get_position().width / 0.775  # 0.775: a figure's only axes


def spaced(candidates: Iterable[float], to_t: Callable[[Any], Any], ax: Axes, gap: float) -> Any:
    """Those candidates, in order of preference, whose labels keep `gap` inches apart."""
    # the right limit is the smaller t
    left, right = (float(position(t)) for t in ax.get_xlim())
    width = inches(ax)
    kept: list[tuple[float, float]] = []
    for value in candidates:
        place = (float(position(to_t(value))) - left) / (right - left) * width
        if 0 <= place <= width and all(abs(place - other) >= gap for other, _ in kept):
            kept.append((place, value))
    return [value for _, value in sorted(kept)]


def nice_numbers(low: int, high: int) -> list[float]:
    return [float(f"{m}e{k}") for m in (1, 2, 5, 3) for k in sorted(range(low, high + 1), key=abs)]


def time_scale(ax: Axes, low: float, high: float) -> None:
    ax.set_xscale("function", functions=(position, time_at))
    ax.set_xlim(high, low)


def time_axis(analysis: Analysis, ax: Axes) -> None:
    marks = [(symbol, c, t, x.low, x.high) for symbol, c, t, x in headline_times(analysis)]
    marked_axis(ax, time_window(analysis), marks)


def marked_axis(ax: Axes, window: tuple[float, float], marks: Sequence[Mark]) -> None:
    """The time axis over `window`, and vertical lines with their symbols above the axes."""
    low, high = window
    time_scale(ax, low, high)
    ticks = spaced([*nice_numbers(-4, 0), 4.0, 6.0, 8.0], lambda t: t, ax, 0.42)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)
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


def log_time_axis(ax: Axes, low: float, high: float) -> None:
    """Time from noise (left) to data, even in log-SNR, ticks in t."""
    ax.set_xscale("function", functions=(position, time_at))
    ax.set_xlim(high, low)
    span = np.log(snr(np.array([high, low])))
    wanted = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10]
    ticks: list[float] = []
    for t in wanted:
        far = all(abs(np.log(snr(t)) - np.log(snr(x))) > np.diff(span)[0] / 12 for x in ticks)
        if low <= t <= high and far:
            ticks.append(t)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("noise → data · time t")


def even_times(low: float, high: float, count: int) -> np.ndarray:
    """`count` times from low to high, even on the axis."""
    return np.asarray(time_at(np.linspace(float(position(low)), float(position(high)), count)))
