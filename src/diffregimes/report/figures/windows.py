"""Where in the sample: t_S and t_C of windows over the mean image, and against their size.

One colour is one time in all maps of a transition; a window without a time shows the mean alone.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ...common.readable import number
from ...results import Analysis, PartTimes, Windows
from ..words import clipped
from .style import COLOURS, SIZE, STYLE, Panel, legend, styled

KINDS = ("speciation", "$t_S$", COLOURS["class"]), ("collapse", "$t_C$", COLOURS["point"])
_COVER = 0.8  # of a map over the mean image
_PALE = 0.7  # how far to white the mean goes where no window has a time
_PIXELS = 256  # of a map, at least: browsers smooth what they enlarge
_NAME = 22  # letters of a group


def map_windows(analysis: Analysis) -> list[Windows]:
    """Those of images."""
    return [x for x in analysis.windows if len(x.rows)]


def maps_figure(analysis: Analysis, mean: np.ndarray | None) -> Figure:
    """The maps, a column for each width, over the `mean` image in 0..1 (H, W) or (H, W, 3)."""
    shown = map_windows(analysis)
    shape = analysis.dataset.sample_shape[:2]
    wide = min(max(1.7 * len(shown) + 1.0, 3.2), 9.0)
    tall = 2 * (wide - 0.9) / len(shown) * shape[0] / shape[1] + 0.5
    with rc_context(STYLE):
        figure = Figure(figsize=(wide, tall), layout="constrained")
        grid = figure.subplots(2, len(shown), squeeze=False)
        for row, (kind, symbol, _) in zip(grid, KINDS, strict=True):
            norm = _norm([x.of(kind) for x in shown])
            for ax, windows in zip(row, shown, strict=True):
                pixels = _pixels(windows, windows.of(kind), norm, mean, shape)
                # equal maps would have one id
                drawn = ax.imshow(pixels, interpolation="none", extent=(0, shape[1], shape[0], 0))
                drawn.set_gid(f"{kind}-{windows.width}")
                ax.set_axis_off()
            row[0].text(-0.06, 0.5, symbol, transform=row[0].transAxes, ha="right", va="center")
            if norm is not None:
                _bar(figure, norm, row)
        for ax, windows in zip(grid[0], shown, strict=True):
            ax.set_title(windows.name, fontsize=9.5)
    return figure


def _norm(found: list[PartTimes]) -> LogNorm | None:
    """The common scale of colours; None where no window has a time."""
    values = np.concatenate([x.t[x.t > 0] for x in found])
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    return LogNorm(low / 1.02, high * 1.02)


def _pixels(
    windows: Windows,
    found: PartTimes,
    norm: LogNorm | None,
    mean: np.ndarray | None,
    shape: tuple[int, ...],
) -> np.ndarray:
    """A map in colours: every pixel has that of the window whose centre is nearest."""
    times = windows.map(found.t)
    if norm is None:
        times = np.full_like(times, np.nan)
    nearest = [
        np.abs(np.arange(n)[:, None] - np.unique(x)).argmin(axis=1)
        for n, x in zip(shape, (windows.rows, windows.columns), strict=True)
    ]
    times = times[np.ix_(*nearest)]
    under = np.full((*shape, 3), 0.5) if mean is None else _fitted(mean, shape)
    scaled = times if norm is None else norm(times)
    colours = np.asarray(matplotlib.colormaps["viridis"](scaled))
    known = np.isfinite(times)[..., None]
    covered = _COVER * colours[..., :3] + (1 - _COVER) * under
    pixels = np.where(known, covered, _PALE + (1 - _PALE) * under)
    larger = max(1, -(-_PIXELS // max(shape)))
    return np.asarray(pixels.repeat(larger, axis=0).repeat(larger, axis=1))


def _fitted(mean: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """In grey, with the pixels of the samples where a picture has more or fewer of them."""
    grey = mean if mean.ndim == 2 else mean.mean(axis=2)
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape, grey.shape, strict=True))
    return np.repeat(grey[np.ix_(rows, columns)][..., None], 3, axis=2)


def _bar(figure: Figure, norm: LogNorm, row: np.ndarray) -> None:
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=list(row), pad=0.02, aspect=14)
    low, high = float(norm.vmin or 1), float(norm.vmax or 1)
    steps = (1, 2, 5) if high < 60 * low else (1,)
    round_ones = [x * 10.0**k for k in range(-9, 4) for x in steps]
    ticks = [x for x in round_ones if low <= x <= high]
    bar.set_ticks(ticks if len(ticks) > 1 else [low * 1.02, high / 1.02])
    bar.ax.yaxis.set_major_formatter(FuncFormatter(_plain))
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def _plain(value: float, _: object = None) -> str:
    return number(value, 2 if value < 0.1 else 3).rstrip("0").rstrip(".")


@styled()
def plot_sizes(analysis: Analysis, ax: Axes) -> None:
    """t_S and t_C against the width of windows, means over their places, the whole at the end."""
    shown = [x for x in analysis.windows if x.width is not None]
    shape = analysis.dataset.sample_shape
    side = math.sqrt(shape[0] * shape[1]) if len(shape) == 3 else float(shape[0])
    for kind, symbol, colour in KINDS:
        means = [(x.width, x.of(kind)) for x in shown]
        rows: list[tuple[Any, ...]] = [
            (w, x.mean, x.mean_low, x.mean_high) for w, x in means if x.mean is not None
        ]
        whole = analysis.time(kind)
        if whole.t is not None:
            rows.append((side, whole.t, whole.low or whole.t, whole.high or whole.t))
        if not rows:
            continue
        p, t, low, high = np.array(rows, dtype=float).T
        ends = np.maximum([t - low, high - t], 0)
        style: dict[str, Any] = {
            "color": colour,
            "marker": "o",
            "ms": 4,
            "lw": 1.6,
            "elinewidth": 1,
        }
        ax.errorbar(p, t, ends, label=f"{symbol}, mean over places", **style)
    widths = sorted({*(float(x.width or 0) for x in shown), side})
    ax.set_xscale("log")
    ax.set_xticks(widths, [f"{x:g}" for x in widths[:-1]] + ["whole"])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set_xlabel("width of the window" + (" in pixels" if len(shape) == 3 else ", features"))
    ax.set_ylabel("t")
    legend(ax)


def groups_figure(analysis: Analysis) -> Figure:
    """t_S and t_C of each group of features, and of the whole."""
    (groups,) = (x for x in analysis.windows if x.width is None)
    names = [clipped(x, _NAME) for x in groups.names]
    with rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0], 1.5 + 0.28 * len(names)), layout="constrained")
        ax = figure.add_subplot()
        for down, (kind, symbol, colour) in zip((-0.13, 0.13), KINDS, strict=True):
            found, whole = groups.of(kind), analysis.time(kind)
            last = np.array([whole.t, whole.low, whole.high], dtype=float)  # NaN for None
            t, low, high = np.column_stack([[found.t, found.low, found.high], last])
            ax.errorbar(
                t, np.arange(len(t)) + down, xerr=np.maximum([t - low, high - t], 0), label=symbol,
                color=colour, fmt="o", ms=4, elinewidth=1.2,
            )  # fmt: skip
        ax.set_yticks(range(len(names) + 1), [*names, "whole"])
        ax.set_ylim(len(names) + 0.5, -0.5)
        ax.set_xlim(left=0)
        ax.set_xlabel("t")
        legend(ax, above=1.02)
    return figure


def lines_figure(analysis: Analysis) -> Figure:
    """t_S and t_C of windows of neighbouring features against their place."""
    shown = [x for x in analysis.windows if x.width is not None]
    with rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0], 1.4 * SIZE[1]), layout="constrained")
        for ax, (kind, symbol, colour) in zip(figure.subplots(2, sharex=True), KINDS, strict=True):
            for k, windows in enumerate(shown):
                found = windows.of(kind)
                ends = np.maximum([found.t - found.low, found.high - found.t], 0)
                style: dict[str, Any] = {
                    "color": colour,
                    "ls": ("-", "--", ":", "-.")[k % 4],
                    "lw": 1.3,
                }
                ax.errorbar(
                    windows.columns, found.t, ends, elinewidth=0.8, label=windows.name, **style
                )
            ax.set_ylabel(symbol, rotation=0, labelpad=10)
            ax.set_ylim(bottom=0)
        ax.set_xlabel("centre of the window (feature)")
        legend(figure.axes[0])
    return figure


SIZES: Panel[Analysis] = Panel(
    plot_sizes,
    "How large a part is copied?",
    "t_S and t_C of windows against their width, from a few pixels to the whole.",
)
