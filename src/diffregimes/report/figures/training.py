"""The figure of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_losses(rows: Sequence[dict[str, float | None]], ax: Axes | None = None) -> Axes:
    """The columns of loss.csv against the step; the memorised fraction on an axis of its own."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    from .style import COLOURS, SIZE, STYLE

    if ax is None:
        with rc_context(STYLE):
            made = Figure(figsize=(1.25 * SIZE[0], 1.1 * SIZE[1]), layout="constrained")
            return plot_losses(rows, made.add_subplot())
    step = [x["step"] for x in rows]
    lines = {
        "loss": ("batches", "lightgray"),
        "train_loss": ("training points", COLOURS["point"]),
        "held_out_loss": ("held-out points", COLOURS["class"]),
    }
    for name, (label, colour) in lines.items():
        values = [x[name] for x in rows]
        if None not in values:
            ax.plot(step, values, "o-", ms=2.5, lw=1.2, color=colour, label=label)  # type: ignore[arg-type]
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 4, 6, 8)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("step")
    ax.set_ylabel("mean square error of the prediction")
    if "memorised" in rows[0]:
        beside = ax.twinx()
        shares = [x["memorised"] for x in rows]
        beside.plot(step, shares, "k:", lw=1.2)  # type: ignore[arg-type]
        beside.set_ylim(-0.02, 1.02)
        beside.set_ylabel("memorised fraction (dotted)")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.02), ncols=3, borderaxespad=0)
    return ax
