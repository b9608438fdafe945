"""The tree of classes on the time axis from noise to data: where its branches part.

A fork stands at its t, with its 95 % interval; the branches run on to the classes at the right.
Forks that recur in less than 95 % of the resamples say so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from ...common.tree import Tree
from ...results import Analysis
from ..words import clipped
from .logsnr import position, time_at
from .style import COLOURS, INK, SIZE, STYLE, Panel, styled
from .timeaxis import headline_times, marked_axis

Pictures = Mapping[int, np.ndarray]  # (H, W) or (H, W, 3) in 0..1 of nodes
SURE = 0.95
_NAME = 22  # letters of a leaf
_PICTURE = 0.32  # inches
_ROOM = 0.13  # of the axis, beyond the first and the last fork


@styled()
def plot_tree(analysis: Analysis, ax: Axes) -> None:
    """Where the branches of the tree of classes part, and what parts last."""
    _draw(analysis, ax, {})


def tree_figure(analysis: Analysis, pictures: Pictures) -> Figure:
    """The tree as tall as its leaves need, with pictures of its nodes where they are given."""
    assert analysis.tree is not None
    each = 0.37 if pictures else 0.24
    size = SIZE[0], 1.15 + each * max(len(analysis.tree.leaves), 3)
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        _draw(analysis, figure.add_subplot(), pictures)
    return figure


def _window(analysis: Analysis, tree: Tree) -> tuple[float, float]:
    """Every fork with its interval, the speciation time, and room beyond."""
    seen = [x for k in tree.forks for x in (k.t, k.high) if x]
    seen += [t for symbol, _, t, _ in headline_times(analysis) if "S" in symbol]
    places = np.array([float(position(x)) for x in seen or [float(analysis.curves.t[-1])]])
    room = max(_ROOM * float(np.ptp(places)), 0.25)  # pictures of leaves take as much again
    return float(time_at(places.min() - 2 * room)), float(time_at(places.max() + room))


def _draw(analysis: Analysis, ax: Axes, pictures: Pictures) -> None:
    tree = analysis.tree
    assert tree is not None
    low, high = _window(analysis, tree)
    leaves = len(tree.leaves)
    order = tree.under(tree.root)
    y = np.empty(tree.root + 1)
    y[list(order)] = np.arange(leaves)
    x = np.full(tree.root + 1, low)
    for k, fork in enumerate(tree.forks, leaves):
        y[k] = (y[fork.one] + y[fork.other]) / 2
        x[k] = np.clip(tree.time(k), low, high)
    for k, fork in enumerate(tree.forks, leaves):
        sure = fork.recurs >= SURE
        ends = np.array([y[fork.one], y[fork.other]])
        if fork.low is not None and fork.high is not None:
            span = np.clip([fork.high, fork.low], low, high)
            ax.fill_between(span, *ends, color=COLOURS["class"], alpha=0.14, lw=0)
        ax.plot([x[k], x[k]], ends, color=INK, lw=1.3, ls="-" if sure else (0, (3, 2)))
        for child in (fork.one, fork.other):
            ax.plot([x[k], x[child]], [y[child]] * 2, color=INK, lw=1.3)
    ax.plot([high, x[-1]], [y[-1]] * 2, color=INK, lw=1.3)
    found = [m for m in headline_times(analysis) if low <= m[2] <= high]
    marked_axis(ax, (low, high), [(s, c, t, m.low, m.high) for s, c, t, m in found])
    ax.set_ylim(leaves - 0.4, -0.6)
    ax.yaxis.tick_right()
    ax.set_yticks(range(leaves), [clipped(tree.leaves[k], _NAME) for k in order])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    shown = _placed(ax, pictures, x, y, (low, high))
    for k, fork in enumerate(tree.forks, leaves):
        if fork.recurs < SURE:
            ax.annotate(
                f"{100 * fork.recurs:.0f} %", (x[k], y[k]),
                xytext=(-(36 * _PICTURE + 2 if k in shown else 3), 2),
                textcoords="offset points", ha="right", va="bottom", fontsize=7.5,
            )  # fmt: skip


def _placed(
    ax: Axes, pictures: Pictures, x: np.ndarray, y: np.ndarray, window: tuple[float, float]
) -> set[int]:
    """Put the pictures on the leaves, and from the root on on the forks where there is room; the
    nodes that have one."""
    figure = ax.get_figure(root=True)
    if not pictures or figure is None:
        return set()
    wide, tall = 0.8 * figure.get_size_inches()[0], figure.get_size_inches()[1] - 0.9
    low, high = (float(position(t)) for t in window)
    across = (high - position(x)) / (high - low) * wide
    down = y / (y.max() + 1) * tall
    shown: list[int] = []
    leaves = (len(x) + 1) // 2
    inner = (k for k in range(len(x) - 1, leaves - 1, -1) if x[k] != window[0])
    for k in (*range(leaves), *inner):
        near = (max(abs(across[k] - across[j]), abs(down[k] - down[j])) for j in shown)
        if any(gap < 1.05 * _PICTURE for gap in near):
            continue
        shown.append(k)
        pixels = pictures[k]
        drawn = OffsetImage(
            pixels,
            zoom=72 * _PICTURE / max(pixels.shape[:2]),
            cmap="gray",
            norm=Normalize(0, 1),
            interpolation="nearest",
        )
        across_it = 1.0 if k < leaves else 0.5
        box = AnnotationBbox(
            drawn, (x[k], y[k]), frameon=False, pad=0, box_alignment=(across_it, 0.5)
        )
        ax.add_artist(box)
    return set(shown)


TREE: Panel[Analysis] = Panel(
    plot_tree,
    "Which classes part first?",
    "The tree of classes on the time axis: where its branches part, from noise to data.",
)
