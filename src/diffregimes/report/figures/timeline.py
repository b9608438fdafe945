"""The time line: the regimes of an `Analysis` as coloured stretches, with every clock below them.

It is drawn wide for a page or a slide, and narrow, with shorter words, for a telephone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from ... import process
from ...results import Analysis, TransitionTime
from ...transitions.regimes import regime
from ..words import time_text
from .logsnr import TIMES, ClockLocator, nice_numbers, position, time_at
from .style import COLOURS, styled
from .timeaxis import headline_times, inches, time_axis, time_window

# inches from which the time line has room for the intervals as text, not as bars alone
WIDE = 5.0
_NEAR = [0, 4, -4, 8, -8, 2, -2, 6, -6, 10, -10]
LOG_SNR = [*_NEAR, *(sign * k for k in range(12, 570, 2) for sign in (1, -1))]


def _fitting(labels: tuple[str, ...], inches: float) -> str:
    """The longest label that fits; an average letter is taken as 0.082 inches wide."""
    return next((x for x in labels if 0.082 * len(x) + 0.12 < inches), "")


@styled((10.4, 2.9))
def plot_regimes(analysis: Analysis, ax: Axes) -> None:
    """The time line: regimes as coloured stretches, t_S and t_C with intervals, four clocks."""
    time_axis(ax, *time_window(analysis))
    width = inches(ax)
    low, high = time_window(analysis)

    def place(t: float) -> float:
        """Share of the axis, 0 at the noise end."""
        return float((position(high) - position(t)) / (position(high) - position(low)))

    ax.set_axis_off()
    ax.set_ylim(0, 1)
    bottom, top = 0.54, 0.72
    marks = headline_times(analysis)
    for name, start, end in analysis.verdict.regimes:
        left, right = min(start or high, high), max(end, low)
        if right >= left:
            continue
        declared = regime(name)
        ax.fill_between([left, right], bottom, top, color=COLOURS[declared.kind], lw=0)
        # the name stands in the widest piece that no mark cuts through
        cuts = sorted({left, right, *(t for *_, t, _ in marks if right < t < left)}, reverse=True)
        left, right = max(pairwise(cuts), key=lambda x: place(x[1]) - place(x[0]))
        middle = float(time_at((position(left) + position(right)) / 2))
        text = _fitting(declared.labels, (place(right) - place(left)) * width)
        ax.text(middle, (bottom + top) / 2, text, ha="center", va="center_baseline", color="white")
    for symbol, colour, found, at, level, side in _mark_layout(analysis, ax, place):
        ax.plot([at, at], [bottom - 0.02, level], color=colour, lw=1.6)
        value, interval = time_text(found)
        text, edge = f"{symbol} = {value}", at
        if found.low is not None and found.high is not None:
            ax.plot([found.low, found.high], [level, level], color=colour, lw=4, alpha=0.6)
            if inches(ax) > WIDE:
                text += f"  ({interval})"
            # the text starts where the bar of the interval ends, right of it at small t
            edge = float(np.clip(found.low if side == "left" else found.high, low, high))
        ax.annotate(
            text,
            (edge, level),
            xytext=(6 if side == "left" else -6, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            color=colour,
        )
    _clock_rows(analysis, ax)


def _mark_layout(
    analysis: Analysis, ax: Axes, place: Callable[[float], float]
) -> list[tuple[str, str, TransitionTime, float, float, Literal["left", "right"]]]:
    """Where the two marks carry their texts, so that neither is crossed by the other's line.

    The noisier mark has its text to the left, the other one to the right; at the border, where
    the text finds no room, it changes sides and moves to the upper level.
    """
    right, left = ax.get_xlim()[::-1]
    marks = [(float(np.clip(t, right, left)), x) for *x, t, _ in headline_times(analysis)]
    found = [x for *_, x in headline_times(analysis)]
    order = sorted(range(len(marks)), key=lambda i: -marks[i][0])
    room = (2.1 if inches(ax) > WIDE else 0.95) / inches(ax)  # what a text takes, about
    out: list[tuple[str, str, TransitionTime, float, float, Literal["left", "right"]]] = []
    upper = 1  # which of the two, in order, takes the upper level
    for turn, i in enumerate(order):
        at, (symbol, colour) = marks[i]
        side: Literal["left", "right"]
        if turn == 0 and len(order) == 2:
            side = "right" if place(at) > room else "left"
            upper = 1 if side == "right" else 0
        else:
            side = "left" if 1 - place(at) > room else "right"
        out.append((symbol, colour, found[i], at, 0.94 if turn == upper else 0.80, side))
    return out


def _clock_rows(analysis: Analysis, ax: Axes) -> None:
    """The same axis in t, DDPM step, noise level and log-SNR."""
    rows = [
        ("t", ClockLocator(TIMES)),
        ("σ", ClockLocator(nice_numbers(-125, 30), lambda s: process.time_from_snr(s**-2.0))),
        ("log-SNR", ClockLocator(LOG_SNR, lambda g: time_at(-g))),
    ]
    # a schedule read from a file is named in the recipe but may be gone: only built-in ones
    if analysis.recipe.schedule in ("linear", "cosine"):
        times = process.schedule(analysis.recipe.schedule).times
        steps = [1000, 500, 200, 100, 50, 20, 10, 1, 300, 700, 400, 150, 5, 2]
        rows.insert(1, ("DDPM step", ClockLocator(steps, lambda k: times[int(k) - 1])))
    for row, (name, _) in enumerate(rows):
        y = _height(row)
        ax.axhline(y, color="gray", lw=0.6)
        ax.text(-0.012, y, name, transform=ax.transAxes, ha="right", va="center")
    drawn: list[Artist] = []

    def ticks(ax: Axes) -> None:
        while drawn:
            drawn.pop().remove()
        for row, (_, clock) in enumerate(rows):
            drawn.extend(_clock_ticks(clock, ax, _height(row)))

    ticks(ax)
    ax.callbacks.connect("xlim_changed", ticks)


def _height(row: int) -> float:
    return 0.44 - 0.125 * row


def _clock_ticks(clock: ClockLocator, ax: Axes, y: float) -> Iterator[Artist]:
    for value in clock.spaced(ax.get_xlim(), inches(ax)):
        at = float(clock.to_t(value))
        yield from ax.plot([at, at], [y, y + 0.022], color="gray", lw=0.8)
        label = f"{value:g}".replace("-", "−")
        yield ax.text(at, y - 0.012, label, ha="center", va="top", fontsize="small")
