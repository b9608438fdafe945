"""The collapse of each condition beside that of all points: a few by name, more over n_c."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...results import Analysis, Condition
from ..words import clipped
from .logsnr import position, time_at
from .style import COLOURS, INK, SIZE, STYLE, Panel, styled
from .timeaxis import Mark, marked_axis

ROWS = 14  # conditions that have a row of their own
_NAME = 22  # letters
_ROOM = 0.1  # of the axis


@styled()
def plot_given(analysis: Analysis, ax: Axes) -> None:
    """t_C of every condition with its interval, and of all points with and without conditions."""
    _draw(analysis, ax)


def given_figure(analysis: Analysis) -> Figure:
    """As tall as its rows need."""
    assert analysis.given is not None
    rows = len(analysis.given.collapse)
    tall = SIZE[1] if rows > ROWS else 1.2 + 0.24 * max(rows, 4)
    with rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0], tall), layout="constrained")
        _draw(analysis, figure.add_subplot())
    return figure


def _draw(analysis: Analysis, ax: Axes) -> None:
    given = analysis.given
    assert given is not None
    some = [x for x in given.collapse if x.time.t is not None]
    if len(given.collapse) <= ROWS:
        some.sort(key=lambda x: -(x.time.t or 0.0))
        y = np.arange(len(some), dtype=float)
        names = [clipped(f"{x.name} ({x.n})", _NAME) for x in some]
        ax.set_yticks(y, names)
        ax.set_ylim(len(some) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    else:
        y = np.array([x.n / x.count for x in some])
        ax.set_yscale("log")
        ax.set_ylabel("points of the condition")
    _dots(ax, some, y)
    marks: list[Mark] = []
    for symbol, colour, time in (
        ("$t_C$", COLOURS["point"], given.without),
        ("given", COLOURS["alt"], given.time),
    ):
        if time.t is not None:
            marks.append((symbol, colour, time.t, time.low, time.high))
    marked_axis(ax, _window(some, marks, analysis), marks)


def _dots(ax: Axes, some: Sequence[Condition], y: np.ndarray) -> None:
    for place, condition in zip(y, some, strict=True):
        time, single = condition.time, condition.count == 1
        if time.low is not None and time.high is not None:
            ax.plot([time.low, time.high], [place] * 2, color=INK, lw=1)
        assert time.t is not None
        ax.plot([time.t], [place], "o" if single else "s", color=INK, ms=4 if single else 5)


def _window(
    some: Sequence[Condition], marks: Sequence[Mark], analysis: Analysis
) -> tuple[float, float]:
    seen = [x for k in some for x in (k.time.t, k.time.low, k.time.high) if x]
    seen += [t for _, _, t, *_ in marks]
    places = np.array([float(position(x)) for x in seen or [float(analysis.curves.t[-1])]])
    room = max(_ROOM * float(np.ptp(places)), 0.15)
    return float(time_at(places.min() - room)), float(time_at(places.max() + room))


GIVEN: Panel[Analysis] = Panel(
    plot_given,
    "When is a point copied, given its condition?",
    "Collapse times of the conditions with their intervals, and of all points with and without.",
)
