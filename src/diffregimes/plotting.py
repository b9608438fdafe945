"""Pictures of an `Analysis`: every function takes `ax=None` and returns the Axes.

Time runs as generation runs, from noise (left, large t) to data (right, small t); see `timeaxis`.
Bands are 95 % intervals. Only the object interface of matplotlib is used, and its settings are
changed inside a context alone: drawing here leaves the user's backend and style untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import process
from .results import Analysis, TransitionTime
from .timeaxis import (
    COLOURS,
    SIZE,
    STYLE,
    headline_times,
    inches,
    nice_numbers,
    position,
    regime_kind,
    spaced,
    time_at,
    time_axis,
    time_scale,
    time_window,
)
from .wording import time_text

# inches from which the time line has room for the intervals as text, not as bars alone
WIDE = 5.0
REGIMES = {
    "noise": ("I  noise", "I noise", "I"),
    "generalizing": ("II  class decided, sample still new", "II generalizing", "II"),
    "memorizing": ("III  copying a training point", "III copying", "III"),
}


class Plot(Protocol):
    """What every plotting function is: draw on `ax`, or on a new figure, and return the Axes."""

    def __call__(self, analysis: Analysis, ax: Axes | None = None) -> Axes: ...


def _styled(size: tuple[float, float] = SIZE) -> Callable[[Callable[[Analysis, Axes], None]], Plot]:
    """Give a drawing function its `ax=None`: a figure in the package's style where none is."""

    def decorate(draw: Callable[[Analysis, Axes], None]) -> Plot:
        @wraps(draw)
        def plot(analysis: Analysis, ax: Axes | None = None) -> Axes:
            if ax is not None:
                draw(analysis, ax)
                return ax
            with rc_context(STYLE):
                made = Figure(figsize=size, layout="constrained").add_subplot()
                draw(analysis, made)
            return made

        del plot.__wrapped__  # help() is to show `ax=None`
        return plot

    return decorate


def _curve(
    analysis: Analysis, ax: Axes, name: str, label: str, colour: str, style: str = "-"
) -> None:
    """A curve with its 95 % band."""
    curves = analysis.curves
    value, half = curves[name], 1.96 * curves.se[name]
    ax.fill_between(curves.t, value - half, value + half, color=colour, alpha=0.22, lw=0)
    ax.plot(curves.t, value, color=colour, ls=style, label=label)


def _legend(ax: Axes, columns: int = 2) -> None:
    # above the axes, clear of the curves and of the t_S, t_C marks
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.06),
        ncols=columns,
        handlelength=1.9,
        columnspacing=1.2,
        borderaxespad=0,
    )


@_styled()
def plot_entropy(analysis: Analysis, ax: Axes) -> None:
    """Excess entropy over alpha and the leave-one-out free energy, which crosses zero at t_C."""
    ax.axhline(0, color="gray", lw=0.7)
    _curve(analysis, ax, "excess_entropy_over_alpha", "excess entropy f/α", COLOURS["alt"], "--")
    _curve(analysis, ax, "loo_free_energy_over_log_n", "free energy F / log n", COLOURS["point"])
    found = analysis.time("collapse")
    if found.t is not None and found.method == "free-energy":
        ax.plot([found.t], [0], "o", color=COLOURS["point"], ms=5)
    # far below collapse F / log n falls without bound: only its crossing matters
    ax.set_ylim(-1.02, 1.05)
    ax.set_ylabel("share of log n")
    time_axis(analysis, ax)
    _legend(ax)


def speciation_threshold(class_counts: Iterable[int]) -> tuple[float, float]:
    """(phi_inf, threshold): phi at pure noise, sum of pi_c^2, and phi_inf + 0.55 (1 - phi_inf).

    For two balanced classes 0.5 and the paper's 0.775.
    """
    counts = np.asarray(list(class_counts), dtype=float)
    base = float(((counts / counts.sum()) ** 2).sum())
    return base, base + 0.55 * (1 - base)


@_styled()
def plot_probabilities(analysis: Analysis, ax: Axes) -> None:
    """Chance that two clones split at t end in the same class, and on the same point."""
    _curve(analysis, ax, "same_class_probability_loo", "same class, new data", COLOURS["class"])
    _curve(analysis, ax, "same_class_probability", "same class", COLOURS["class2"], "--")
    _curve(analysis, ax, "same_point_probability", "same training point", COLOURS["point"], "-.")
    _, threshold = speciation_threshold(analysis.dataset["class_counts"])
    for level, colour in ((threshold, COLOURS["class"]), (0.5, COLOURS["point"])):
        ax.axhline(level, color=colour, lw=0.8, ls=":")
    ax.set_ylim(-0.02, 1.03)
    ax.set_ylabel("probability")
    time_axis(analysis, ax)
    _legend(ax)


@_styled()
def plot_information(analysis: Analysis, ax: Axes) -> None:
    """What is still open about the origin of x_t: its class, and the point within the class."""
    curves = analysis.curves
    within, total = curves["within_class_entropy"], np.log(analysis.dataset["n"])
    both = within + curves["class_entropy"]
    ax.fill_between(
        curves.t, within, both, color=COLOURS["class"], alpha=0.75, lw=0, label="which class"
    )
    ax.fill_between(
        curves.t, 0, within, color=COLOURS["point"], alpha=0.55, lw=0, label="which point in it"
    )
    ax.plot(curves.t, both, color="gray", lw=0.8)
    ax.axhline(total, color="gray", lw=0.8, ls=":")
    ax.annotate(
        "log n",
        (0.995, total),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, -2),
        textcoords="offset points",
        ha="right",
        va="top",
    )
    ax.set_ylim(0, 1.06 * total)
    ax.set_ylabel("uncertainty (nats)")
    time_axis(analysis, ax)
    _legend(ax)


@_styled()
def plot_mmse(analysis: Analysis, ax: Axes) -> None:
    """Squared error of the best denoiser that knows the training points alone."""
    _curve(analysis, ax, "mmse", "best denoiser of these points", COLOURS["alt"])
    total = float(np.sum(analysis.spectrum.eigenvalues))
    ax.axhline(total, color="gray", lw=0.8, ls=":", label="variance of the data")
    ax.set_ylim(0, 1.08 * max(total, float(np.nanmax(analysis.curves["mmse"]))))
    ax.set_ylabel("squared error")
    time_axis(analysis, ax)
    _legend(ax)


@_styled()
def plot_spectrum(analysis: Analysis, ax: Axes) -> None:
    """Eigenvalues of the data covariance by rank, with the edge of structureless noise."""
    spectrum = analysis.spectrum
    values = np.asarray(spectrum.eigenvalues)
    values = values[values > 1e-6 * spectrum.largest]
    rank = np.arange(1, len(values) + 1)
    if len(rank) > 300:  # no more than the eye can tell apart on a logarithmic axis
        rank = np.unique(np.geomspace(1, len(rank), 300).round().astype(int))
        values = values[rank - 1]
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.plot(rank, values, color=COLOURS["class"], lw=1.4)
    ax.plot(rank[:40], values[:40], ".", color=COLOURS["class"], ms=5)
    ax.plot([1], [spectrum.largest], "o", color=COLOURS["point"], ms=6.5, zorder=3)
    ax.annotate(
        f"Λ = {spectrum.largest:.4g}",
        (1, spectrum.largest),
        xytext=(2, 7),
        textcoords="offset points",
    )
    ax.set_ylim(top=4 * max(spectrum.largest, spectrum.noise_edge))
    ax.axhline(spectrum.noise_edge, color="gray", lw=1, ls="--")
    ax.annotate(
        "edge of pure noise",
        (0.995, spectrum.noise_edge),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
    )
    ax.set_xlabel("rank")
    ax.set_ylabel("eigenvalue of the covariance")


@_styled()
def plot_point_times(analysis: Analysis, ax: Axes) -> None:
    """Histogram of the collapse times of single training points."""
    own = analysis.point_times[np.isfinite(analysis.point_times)]
    low, high = time_window(analysis)
    edges = time_at(np.linspace(float(position(low)), float(position(high)), 49))
    if own.size:
        counts = np.histogram(np.clip(own, low, high), edges)[0] / own.size * 100
        ax.stairs(counts, edges, fill=True, color=COLOURS["point"], alpha=0.6)
    else:
        ax.text(0.5, 0.5, "no point has a time of its own", transform=ax.transAxes, ha="center")
    ax.set_ylabel("% of the points drawn")
    ax.set_ylim(bottom=0)
    time_axis(analysis, ax)


def _fitting(labels: tuple[str, ...], inches: float) -> str:
    """The longest label that fits; an average letter is taken as 0.082 inches wide."""
    return next((x for x in labels if 0.082 * len(x) + 0.12 < inches), "")


@_styled((10.4, 2.9))
def plot_regimes(analysis: Analysis, ax: Axes) -> None:
    """The time line: regimes as coloured stretches, t_S and t_C with intervals, four clocks."""
    time_scale(analysis, ax)
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
        kind = regime_kind(name)
        ax.fill_between([left, right], bottom, top, color=COLOURS[kind], lw=0)
        # the name stands in the widest piece that no mark cuts through
        cuts = sorted({left, right, *(t for *_, t, _ in marks if right < t < left)}, reverse=True)
        left, right = max(pairwise(cuts), key=lambda x: place(x[1]) - place(x[0]))
        middle = float(time_at((position(left) + position(right)) / 2))
        text = _fitting(REGIMES[kind], (place(right) - place(left)) * width)
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
    rows: list[tuple[str, list[float], Callable[[Any], Any]]] = [
        ("t", [*nice_numbers(-4, 0), 4.0, 6.0, 8.0], lambda t: t),
        ("σ", nice_numbers(-3, 3), lambda s: process.time_from_snr(1 / s**2)),
        ("log-SNR", [0.0, 4, -4, 8, -8, 2, -2, 6, -6, 10, -10], lambda g: time_at(-g)),
    ]
    # a schedule read from a file is named in the recipe but may be gone: only built-in ones
    if analysis.recipe.get("schedule") in ("linear", "cosine"):
        times = process.schedule(analysis.recipe["schedule"]).times
        steps = [1000, 500, 200, 100, 50, 20, 10, 1, 300, 700, 400, 150, 5, 2]
        rows.insert(1, ("DDPM step", [float(x) for x in steps], lambda k: times[int(k) - 1]))
    for row, (name, candidates, to_t) in enumerate(rows):
        y = 0.44 - 0.125 * row
        ax.axhline(y, color="gray", lw=0.6)
        ax.text(-0.012, y, name, transform=ax.transAxes, ha="right", va="center")
        for value in spaced(candidates, to_t, ax, 0.46):
            at = float(to_t(value))
            ax.plot([at, at], [y, y + 0.022], color="gray", lw=0.8)
            label = f"{value:g}".replace("-", "−")
            ax.text(at, y - 0.012, label, ha="center", va="top", fontsize="small")


FIGURES: dict[str, Plot] = {
    "regimes": plot_regimes,
    "probabilities": plot_probabilities,
    "entropy": plot_entropy,
    "information": plot_information,
    "mmse": plot_mmse,
    "spectrum": plot_spectrum,
    "point_times": plot_point_times,
}
