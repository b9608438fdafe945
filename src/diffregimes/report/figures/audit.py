"""Pictures of an `Audit`: every function takes `ax=None` and returns the Axes.

What the model does is drawn solid with its 95 % band, what the exact score of its training points
does beside it, dashed: this is what a model tends to that memorises. t_C marks the model's collapse
time by the method of the panel, t_C^e that of the exact score. Time runs as generation runs, from
noise to data; see `timeaxis`.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from ...auditing.entropy import AT_COLLAPSE
from ...auditing.findings import Audit, ModelTime, SamplesAudit
from ...backward.tracking import COPY
from ...common.numerics import Z95
from ...transitions.criteria import clone_level
from .backward import plot_outcome
from .style import COLOURS, INK, Panel, legend, styled
from .timeaxis import Mark, marked_axis

MODEL, EXACT = "$t_C$", "$t_C^{e}$"
ABOVE = 1.1  # clear of both marks
DASHED = (0, (4, 2.5))


def _collapse(found: Audit, method: str) -> ModelTime:
    return next(x for x in found.collapse if x.method == method)


def _marks(found: Audit, method: str) -> list[Mark]:
    """The collapse times of the model and of the exact score, where there are any."""
    at = _collapse(found, method)
    out: list[Mark] = []
    if at.t is not None:
        out.append((MODEL, COLOURS["point"], at.t, at.low, at.high))
    if at.exact is not None:
        out.append((EXACT, INK, at.exact, None, None))
    return out


def _window(found: Audit) -> tuple[float, float]:
    """One stretch of time for all panels, to be compared by eye."""
    losses, entropy, clones = found.losses.t, found.entropy.t, found.clones.line.t
    low = min(float(t[0]) for t in (losses, entropy, clones, found.returns.t))
    return low, max(float(t[-1]) for t in (losses, clones))  # above, the entropy is log n


def _band(
    ax: Axes, t: np.ndarray, value: np.ndarray, se: np.ndarray, colour: str, least: float = -np.inf
) -> None:
    low, high = (np.maximum(value + side * Z95 * se, least) for side in (-1, 1))
    ax.fill_between(t, low, high, color=colour, alpha=0.22, lw=0)


@styled()
def plot_ratios(found: SamplesAudit, ax: Axes) -> None:
    """Distance to the nearest over that to the second nearest training point; copies below 1/3."""
    copies = found.copies
    edges = np.linspace(0, 1, 31)  # 1/3 is one of them
    ax.axvspan(0, COPY, color=COLOURS["point"], alpha=0.08, lw=0)
    for ratio, share, label, colour, fill in (
        (copies.ratio, copies.share, "generated", COLOURS["point"], True),
        (copies.baseline_ratio, copies.baseline, copies.baseline_of.split(",")[0], INK, False),
    ):
        counts = np.histogram(np.clip(ratio, 0, 1), edges)[0] / len(ratio) * 100
        ax.stairs(
            counts, edges, fill=fill, color=colour, alpha=0.6 if fill else 1, lw=1.2,
            label=f"{label}: {share.in_percent()}",
        )  # fmt: skip
    ax.axvline(COPY, color=COLOURS["point"], lw=1)
    ax.annotate(
        "copies", (COPY / 2, 1), xycoords=ax.get_xaxis_transform(), xytext=(0, -3),
        textcoords="offset points", ha="center", va="top", color=COLOURS["point"],
    )  # fmt: skip
    ax.set_xticks([0, COPY, 2 / 3, 1], ["0", "1/3", "2/3", "1"])
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.14 * ax.get_ylim()[1])
    ax.set_xlabel("distance to nearest / to second nearest point")
    ax.set_ylabel("% of the samples")
    legend(ax, columns=1, above=1.02)


@styled()
def plot_losses(found: Audit, ax: Axes) -> None:
    """Denoising loss on training and on held-out points, of the model and of the exact score."""
    losses, d = found.losses, found.dataset.d
    model = np.concatenate([losses.train, losses.held_out]) / d
    model = model[np.isfinite(model) & (model > 0)]
    # below its collapse the exact score loses nothing at all on its own points
    least = 0.4 * float(model.min()) if model.size else 1e-12
    ax.set_yscale("log")
    for name, where, colour in (
        ("train", "training points", COLOURS["point"]),
        ("held_out", "held-out points", COLOURS["class"]),
    ):
        if name == "held_out" and not losses.known:
            continue
        exact = "exact" if name == "train" else "exact_held_out"
        value, se = getattr(losses, name) / d, getattr(losses, f"{name}_se") / d
        known = np.maximum(getattr(losses, exact) / d, least / 10)
        _band(ax, losses.t, value, se, colour, least / 10)
        ax.plot(losses.t, value, color=colour, label=f"model, {where}")
        ax.plot(losses.t, known, color=colour, lw=1.2, ls=DASHED, label=f"exact, {where}")
    ax.set_ylim(bottom=least)
    ax.set_ylabel("squared error per dimension")
    marked_axis(ax, _window(found), _marks(found, "loss-gap"))
    legend(ax, above=ABOVE)


@styled()
def plot_copied(found: Audit, ax: Axes) -> None:
    """Share of the exact score's gap between the two losses that the model shows, 0 to 1."""
    for level, words, side, step in ((1, "memorises", "bottom", 3), (0, "has the law", "top", -3)):
        ax.axhline(level, color="gray", lw=0.8, ls=":")
        ax.annotate(
            words, (0.01, level), xycoords=ax.get_yaxis_transform(), xytext=(0, step),
            textcoords="offset points", ha="left", va=side,
        )  # fmt: skip
    share, se = found.losses.copied()
    if np.isfinite(share).any():
        _band(ax, found.losses.t, share, se, COLOURS["alt"])
        ax.plot(found.losses.t, share, "o-", ms=3.5, color=COLOURS["alt"])
    else:
        words = "the exact score shows no gap" if found.losses.known else "no held-out points"
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center")
    ax.set_ylim(-0.3, 1.3)
    ax.set_ylabel("share of the exact score's gap")
    marked_axis(ax, _window(found), _marks(found, "loss-gap"))


@styled()
def plot_entropy(found: Audit, ax: Axes) -> None:
    """Excess entropy of the model's own law over log n, beside that of the exact score."""
    entropy, n = found.entropy, found.dataset.n
    things = "images" if len(found.dataset.sample_shape) > 1 else "points"
    ax.axhline(0, color="gray", lw=0.8)
    ax.axhline(AT_COLLAPSE / math.log(n), color="gray", lw=0.8, ls=":")
    _band(ax, entropy.t, entropy.value, entropy.se, COLOURS["point"])
    ax.plot(entropy.t, entropy.value, color=COLOURS["point"], label="model")
    _band(ax, entropy.t, entropy.exact, entropy.exact_se, "gray")
    ax.plot(entropy.t, entropy.exact, color=INK, lw=1.2, ls=DASHED, label="exact score")
    # a law of far more than n images falls far below
    lowest = float(np.min(entropy.value - Z95 * entropy.se))
    ax.set_ylim(max(-1.02, min(-0.3, 1.1 * lowest)), max(1.05, float(np.max(entropy.value))))
    ax.annotate(
        f"more than {n} {things}", (0.01, 0), xycoords=ax.get_yaxis_transform(), xytext=(0, -3),
        textcoords="offset points", ha="left", va="top",
    )  # fmt: skip
    ax.set_ylabel("share of log n")
    marked_axis(ax, _window(found), _marks(found, "entropy"))
    legend(ax, above=ABOVE)


@styled()
def plot_clones(found: Audit, ax: Axes) -> None:
    """Chance that two clones of the model end in the same class, and nearest to the same point."""
    plot_outcome(found.clones, ax)
    for line in ax.get_lines():
        if line.get_label() == "forward pass alone":
            line.set_label("exact score")
    if found.speciation is not None:
        threshold = clone_level(found.dataset.class_counts)
        ax.axhline(threshold, color=COLOURS["class"], lw=0.8, ls=":")
    ax.axhline(0.5, color=COLOURS["point"], lw=0.8, ls=":")
    decided, at = found.speciation, _collapse(found, "clone")
    marks: list[Mark] = []
    for name, colour, x in (("$t_S$", "class", decided), (MODEL, "point", at)):
        if x is not None and x.t is not None:
            marks.append((name, COLOURS[colour], x.t, x.low, x.high))
    marked_axis(ax, _window(found), marks)
    legend(ax, above=ABOVE)


@styled()
def plot_returns(found: Audit, ax: Axes) -> None:
    """Share of training and of held-out points that come back from U-turns as themselves."""
    back = found.returns
    for name, where, colour, marker in (
        ("training", "training points", COLOURS["point"], "s"),
        ("held_out", "held-out points", COLOURS["class"], "o"),
    ):
        if name == "held_out" and not back.known:
            continue
        value, low, high = (getattr(back, f"{name}{x}") for x in ("", "_low", "_high"))
        ax.errorbar(
            back.t, value, np.clip([value - low, high - value], 0, None), fmt=marker, ms=4,
            color=colour, lw=1, label=where,
        )  # fmt: skip
    ax.plot(back.t, back.exact, color=INK, lw=1.2, ls=DASHED, label="exact, training points")
    ax.set_ylim(-0.02, 1.03)
    ax.set_ylabel("share that comes back")
    marked_axis(ax, _window(found), _marks(found, "u-turn"))
    legend(ax, above=ABOVE)


# {things}: images or points
FIGURES: dict[str, Panel[Audit]] = {
    "ratios": Panel(
        plot_ratios,
        "How near is the nearest training point?",
        "Distance to the nearest over that to the second nearest training point; copies below 1/3.",
    ),
    "losses": Panel(
        plot_losses,
        "Is it better on what it was trained on?",
        "Denoising loss on training and on held-out points, of the model and of the exact score.",
    ),
    "copied": Panel(
        plot_copied,
        "How much of that gap is memory?",
        "Share of the exact score's gap between the two losses that the model shows, 0 to 1.",
    ),
    "entropy": Panel(
        plot_entropy,
        "How many {things} does its law hold?",
        "Excess entropy of the model's own law over log n, beside that of the exact score.",
    ),
    "clones": Panel(
        plot_clones,
        "When is the sample decided?",
        "Chance that two clones of the model end in the same class, and nearest to the same point.",
    ),
    "returns": Panel(
        plot_returns,
        "Does a training point come back?",
        "Share of training and of held-out points that, noised to t and denoised, are copies of "
        "themselves.",
    ),
}
