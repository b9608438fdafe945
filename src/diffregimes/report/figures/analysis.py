"""Pictures of an `Analysis`: every function takes `ax=None` and returns the Axes.

Time runs as generation runs, from noise (left, large t) to data (right, small t); see `timeaxis`.
Bands are 95 % intervals. Only the object interface of matplotlib is used, and its settings are
changed inside a context alone: drawing here leaves the user's backend and style untouched.

Where the law of the points is known its theory is drawn too, in ink: a dashed line where it has
one value, a grey band where it has two, a dotted line where it is a bound alone.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ...results import Analysis
from ...transitions.collapse import BOUNDED, FREE, HEADLINE
from ...transitions.criteria import clone_level
from .curves import PROBABILITIES, draw_curve
from .logsnr import even_times
from .style import COLOURS, INK, Panel, legend, styled
from .timeaxis import headline_axis, time_window
from .timeline import plot_regimes

EXACT, BOUND = "exact theory", "exact bound"


def _exact(analysis: Analysis, ax: Axes, name: str, scale: float = 1, label: str = EXACT) -> None:
    """The theory of a curve, times `scale`; nothing where there is none."""
    if analysis.theory is None:
        return
    t = analysis.curves.t
    low, high = analysis.theory.low.get(name), analysis.theory.high.get(name)
    if low is None or high is None:
        bound = high if low is None else low
        if bound is not None:
            ax.plot(t, scale * bound, color=INK, lw=1.1, ls=":", label=BOUND)
        return
    wide = high - low > 0.01 * np.ptp(high)
    if wide.any():
        ax.fill_between(t, scale * low, scale * high, color="gray", alpha=0.4, lw=0, label=label)
    line = np.where(wide, np.nan, scale * (low + high) / 2)
    ax.plot(t, line, color=INK, lw=1.1, ls=(0, (4, 2.5)), label=label)


@styled()
def plot_entropy(analysis: Analysis, ax: Axes) -> None:
    """Excess entropy over alpha and the leave-one-out free energy, which crosses zero at t_C."""
    found = analysis.time("collapse")
    free = FREE if found.method == "free-energy" else BOUNDED  # that of a result of before
    ax.axhline(0, color="gray", lw=0.7)
    draw_curve(
        analysis.curves, ax, "excess_entropy_over_alpha", "excess entropy f/α", COLOURS["alt"], "--"
    )
    draw_curve(analysis.curves, ax, free, "free energy F / log n", COLOURS["point"])
    _exact(analysis, ax, "excess_entropy_over_alpha")
    _exact(analysis, ax, free)
    if found.t is not None and found.method in (HEADLINE, "free-energy"):
        ax.plot([found.t], [0], "o", color=COLOURS["point"], ms=5)
    # the plain mean of F / log n falls without bound below the collapse
    ax.set_ylim(-1.02, 1.05)
    ax.set_ylabel("share of log n")
    headline_axis(analysis, ax)
    legend(ax)


@styled()
def plot_probabilities(analysis: Analysis, ax: Axes) -> None:
    """Chance that two clones split at t end in the same class, and on the same point."""
    for name, look in PROBABILITIES.items():
        if name not in analysis.curves.values:
            continue  # a result of before
        draw_curve(analysis.curves, ax, name, *look)
    _exact(analysis, ax, "same_class_probability_loo")
    _exact(analysis, ax, "same_point_probability")
    threshold = clone_level(analysis.dataset.class_counts)
    for level, colour in ((threshold, COLOURS["class"]), (0.5, COLOURS["point"])):
        ax.axhline(level, color=colour, lw=0.8, ls=":")
    ax.set_ylim(-0.02, 1.03)
    ax.set_ylabel("probability")
    headline_axis(analysis, ax)
    legend(ax)


@styled()
def plot_information(analysis: Analysis, ax: Axes) -> None:
    """What is still open about the origin of x_t: its class, and the point within the class."""
    curves = analysis.curves
    within, total = curves["within_class_entropy"], np.log(analysis.dataset.n)
    both = within + curves["class_entropy"]
    ax.fill_between(
        curves.t, within, both, color=COLOURS["class"], alpha=0.75, lw=0, label="which class"
    )
    ax.fill_between(
        curves.t, 0, within, color=COLOURS["point"], alpha=0.55, lw=0, label="which point in it"
    )
    for k, level in enumerate(analysis.levels):
        style, label = ("-", "--", ":")[k % 3], f"above: which {level.name}"
        ax.plot(curves.t, both - level.entropy, color=INK, lw=0.9, ls=style, label=label)
    ax.plot(curves.t, both, color="gray", lw=0.8)
    _exact(analysis, ax, "excess_entropy_over_alpha", total)
    _exact(analysis, ax, "within_class_entropy", label="_")
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
    headline_axis(analysis, ax)
    legend(ax)


@styled()
def plot_mmse(analysis: Analysis, ax: Axes) -> None:
    """Squared error of the best denoiser that knows the training points alone."""
    draw_curve(analysis.curves, ax, "mmse", "best denoiser of these points", COLOURS["alt"])
    _exact(analysis, ax, "mmse")
    total = float(np.sum(analysis.spectrum.eigenvalues))
    ax.axhline(total, color="gray", lw=0.8, ls=":", label="variance of the data")
    ax.set_ylim(0, 1.08 * max(total, float(np.nanmax(analysis.curves["mmse"]))))
    ax.set_ylabel("squared error")
    headline_axis(analysis, ax)
    legend(ax)


@styled()
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
    if 0 < spectrum.noise_edge < ax.get_ylim()[0]:  # one eigenvalue dwarfs all: its line shows, too
        ax.set_ylim(bottom=spectrum.noise_edge / 2)
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


@styled()
def plot_point_times(analysis: Analysis, ax: Axes) -> None:
    """Histogram of the collapse times of single training points."""
    own = analysis.point_times[np.isfinite(analysis.point_times)]
    low, high = time_window(analysis)
    edges = even_times(low, high, 49)
    if own.size:
        counts = np.histogram(np.clip(own, low, high), edges)[0] / own.size * 100
        ax.stairs(counts, edges, fill=True, color=COLOURS["point"], alpha=0.6)
    else:
        ax.text(0.5, 0.5, "no point has a time of its own", transform=ax.transAxes, ha="center")
    ax.set_ylabel("% of the points drawn")
    ax.set_ylim(bottom=0)
    headline_axis(analysis, ax)


FIGURES: dict[str, Panel[Analysis]] = {
    "regimes": Panel(
        plot_regimes,
        "From noise to data",
        "The time line: regimes as coloured stretches, t_S and t_C with intervals, four clocks.",
    ),
    "probabilities": Panel(
        plot_probabilities,
        "Do two clones agree?",
        "Chance that two clones split at t end in the same class, and on the same point.",
    ),
    "entropy": Panel(
        plot_entropy,
        "Does one training point outweigh the rest?",
        "Excess entropy over alpha and the leave-one-out free energy, which crosses zero at t_C.",
    ),
    "information": Panel(
        plot_information,
        "What is still undecided?",
        "What is still open about the origin of x_t: its class, and the point within the class.",
    ),
    "mmse": Panel(
        plot_mmse,
        "How well can these points be denoised?",
        "Squared error of the best denoiser that knows the training points alone.",
    ),
    "spectrum": Panel(
        plot_spectrum,
        "How strong is the main direction?",
        "Eigenvalues of the data covariance by rank, with the edge of structureless noise.",
    ),
    "point_times": Panel(
        plot_point_times,
        "When is each point copied?",
        "Histogram of the collapse times of single training points.",
    ),
}
