"""Pictures of backward runs: clone curves beside the forward ones, and generated samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...backward.outcome import Outcome
from ...backward.tracking import Tracked
from ...data.datasets import Dataset
from .logsnr import even_times
from .style import COLOURS, SIZE, STYLE
from .timeaxis import time_axis

LABELS = {
    "same_class_probability": ("same class", COLOURS["class"], "o"),
    "same_point_probability": ("same training point", COLOURS["point"], "s"),
}


def plot_outcome(found: Outcome, ax: Axes | None = None) -> Axes:
    """Simulated clones or U-turns with 95 % intervals, on the lines of the forward pass."""
    if ax is None:
        with rc_context(STYLE):
            made = Figure(figsize=(1.2 * SIZE[0], 1.15 * SIZE[1]), layout="constrained")
            return plot_outcome(found, made.add_subplot())
    t = found.simulated.t
    for name, value in found.simulated.values.items():
        label, colour, marker = LABELS[name]
        ax.plot(found.line.t, found.line[name], color=colour, lw=1.4)
        low, high = found.intervals[name]
        ax.errorbar(
            t, value, np.clip([value - low, high - value], 0, None), fmt=marker, ms=4,
            color=colour, lw=1, label=label,
        )  # fmt: skip
    ax.plot([], [], color="gray", lw=1.4, label="forward pass alone")
    time_axis(ax, float(found.line.t[0]), float(found.line.t[-1]))
    ax.set_ylim(-0.02, 1.03)
    what = "U-turn: start and end agree" if found.kind == "uturn" else "two clones agree"
    ax.set_ylabel(f"probability that {what}" if found.kind == "clones" else what)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.02), ncols=3, borderaxespad=0)
    return ax


def plot_generated(found: Tracked, dataset: Dataset, most: int = 32) -> Figure:
    """Generated samples and, beneath each, the training point nearest to it; or, for data that are
    no images, the two first principal coordinates of both."""
    if dataset.is_image:
        return _pictures(found, dataset, most)
    with rc_context(STYLE):
        figure = Figure(figsize=(1.1 * SIZE[0], 1.2 * SIZE[1]), layout="constrained")
        ax = figure.add_subplot()
        mean = dataset.points.mean(axis=0)
        _, _, axes = np.linalg.svd(dataset.points[:2000] - mean, full_matrices=False)
        plane = axes[:2].T if len(axes) > 1 else np.pad(axes.T, ((0, 0), (0, 1)))
        for points, colour, label, size in (
            (dataset.points[:4000], "gray", "training points", 4),
            (found.states, COLOURS["point"], "generated", 9),
        ):
            seen = (points - mean) @ plane
            ax.scatter(seen[:, 0], seen[:, 1], s=size, color=colour, alpha=0.6, lw=0, label=label)
        ax.set_xlabel("first principal direction")
        ax.set_ylabel("second principal direction")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.02), ncols=2, borderaxespad=0)
    return figure


def _pictures(found: Tracked, dataset: Dataset, most: int) -> Figure:
    count = min(most, len(found.states))
    columns = min(8, count)
    rows = -(-count // columns)
    low, high = float(dataset.points.min()), float(dataset.points.max())
    height, width, channels = dataset.sample_shape
    gap = max(2, height // 8)
    sheet = np.full((rows * (2 * height + 3 * gap), columns * (width + gap), channels), high)
    for k in range(count):
        top, left = (k // columns) * (2 * height + 3 * gap), (k % columns) * (width + gap)
        pair = found.states[k], dataset.points[found.point[k]]
        for i, values in enumerate(pair):
            start = top + i * (height + gap // 2)
            picture = np.asarray(values).reshape(height, width, channels)
            sheet[start : start + height, left : left + width] = picture
    shown = np.clip((sheet - low) / (high - low), 0, 1)
    with rc_context(STYLE):
        scale = 0.8 * columns / sheet.shape[1]
        figure = Figure(
            figsize=(0.8 * columns, scale * sheet.shape[0] + 0.35), layout="constrained"
        )
        ax = figure.add_subplot()
        ax.imshow(shown[..., 0] if channels == 1 else shown, cmap="gray", interpolation="nearest")
        ax.set_axis_off()
        ax.set_title("generated, and beneath each the nearest training point", fontsize=9)
    return figure


def plot_last_changes(found: Tracked, forward: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """When the nearest training point and the class changed for the last time.

    Solid lines are means; dashed, the times at which the `forward` curves cross.
    """
    if ax is None:
        with rc_context(STYLE):
            made = Figure(figsize=SIZE, layout="constrained")
            return plot_last_changes(found, forward, made.add_subplot())
    both = np.concatenate([x for x in (found.point_time, found.class_time) if x is not None])
    # a score that blurs to the end changes its mind in the last step alone, at t = 0
    low, high = (max(float(x), 1e-3) for x in (both.min(), both.max()))
    low, high = 0.7 * low, 1.2 * high
    edges = even_times(low, high, 41)
    for values, what, label, colour in (
        (found.class_time, "class", "class", COLOURS["class"]),
        (found.point_time, "point", "nearest training point", COLOURS["point"]),
    ):
        if values is None:
            continue
        counts = np.histogram(np.clip(values, low, high), edges)[0] / len(values) * 100
        ax.stairs(counts, edges, fill=True, color=colour, alpha=0.55, label=label)
        ax.axvline(values.mean(), color=colour, lw=1.2)
        if what in forward:
            ax.axvline(forward[what], color=colour, lw=1.2, ls="--")
    ax.plot([], [], color="gray", lw=1.2, ls="--", label="forward pass")
    time_axis(ax, low, high)
    ax.set_ylabel("% of trajectories")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.02), ncols=3, borderaxespad=0)
    return ax
