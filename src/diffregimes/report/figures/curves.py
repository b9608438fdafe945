"""The picture of `Curves` on their own: the probabilities that carry the transitions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ...common.numerics import Z95
from ...results import Curves
from .style import COLOURS, SIZE, legend, styled
from .timeaxis import time_axis

# name: label, colour, line
PROBABILITIES = {
    "same_class_probability_loo": ("same class, new data", COLOURS["class"], "-"),
    "own_class_probability_loo": ("true class, new data", COLOURS["alt"], ":"),
    "same_class_probability": ("same class", COLOURS["class2"], "--"),
    "same_point_probability": ("same training point", COLOURS["point"], "-."),
}


def draw_curve(
    curves: Curves, ax: Axes, name: str, label: str, colour: str, style: str = "-"
) -> None:
    """A curve with its 95 % band."""
    value, half = curves[name], Z95 * curves.se[name]
    ax.fill_between(curves.t, value - half, value + half, color=colour, alpha=0.22, lw=0)
    ax.plot(curves.t, value, color=colour, ls=style, label=label)


@styled((1.2 * SIZE[0], 1.15 * SIZE[1]))
def plot_curves(curves: Curves, ax: Axes) -> None:
    """The probabilities among the curves, or all of them where there are none, with 95 % bands."""
    known = [name for name in PROBABILITIES if name in curves.values]
    for name in known:
        draw_curve(curves, ax, name, *PROBABILITIES[name])
    if known:
        ax.set_ylim(-0.02, 1.03)
        ax.set_ylabel("probability")
    else:
        for k, name in enumerate(curves.values):
            draw_curve(curves, ax, name, name, f"C{k}")
    t = np.asarray(curves.t)
    time_axis(ax, float(t[0]), float(t[-1]))
    legend(ax, above=1.02)
