"""Pictures of an `Advice`: of each answer the curves that its numbers were read from.

Every function takes `ax=None` and returns the Axes, and draws from what advice.json holds. Noise
levels run as generation does, from noise to data; see `timeaxis`. What bounds lie on is a band.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...advising.told import Advice, Item, Setting
from ...common.numerics import Z95
from ...process import time_from_snr
from ...transitions.regimes import GENERALIZING, MEMORIZING, WANDERING
from .style import COLOURS, INK, Panel, legend, styled
from .timeaxis import Mark, marked_axis

DOTTED: Any = {"color": "gray", "lw": 0.8, "ls": ":"}
DASHED = (0, (4, 2.5))


def _array(item: Item, name: str) -> np.ndarray:
    return np.array(item.lists[name], dtype=np.float64)


def _mark(symbol: str, colour: str, one: Setting) -> list[Mark]:
    """A setting on the axis, nothing where there is none."""
    if one.at is None:
        return []
    low, high = (None if x is None else x.t for x in (one.low, one.high))
    return [(symbol, colour, one.at.t, low, high)]


def _headline(advice: Advice) -> list[Mark]:
    """t_S and t_C, which the item `validation` holds."""
    out = []
    for symbol, name, colour in (("$t_S$", "t_S", "class"), ("$t_C$", "t_C", "point")):
        for one in advice["validation"].settings:
            out += _mark(symbol, COLOURS[colour], one) if one.name == name else []
    return out


def _window(advice: Advice, t: np.ndarray) -> tuple[float, float]:
    """Times worth drawing: those of every setting, and some room, within those of a curve."""
    seen = [x.at.t for item in advice.items for x in item.settings if x.at is not None]
    if not seen:
        return float(t[0]), float(t[-1])
    return max(float(t[0]), min(seen) / 2), min(float(t[-1]), max(seen) + 0.5)


def _axis(advice: Advice, ax: Axes, t: np.ndarray, marks: list[Mark], columns: int = 2) -> None:
    marked_axis(ax, _window(advice, t), marks)
    legend(ax, columns)


def _band(
    ax: Axes, x: np.ndarray, ends: tuple[np.ndarray, np.ndarray], colour: str, label: str
) -> None:
    """Between two ends, with their middle."""
    ax.fill_between(x, *ends, color=colour, alpha=0.22, lw=0)
    ax.plot(x, (ends[0] + ends[1]) / 2, color=colour, label=label)


@styled()
def plot_guidance(advice: Advice, ax: Axes) -> None:
    """Share of the class that is told at t, with its bounds, and how far the conditional and the
    unconditional score lie apart."""
    item = advice["guidance"]
    t, apart = _array(item, "t"), _array(item, "score_difference")
    low, high = _window(advice, t)
    seen = apart[(t >= low) & (t <= high)]
    ends = _array(item, "gained_low"), _array(item, "gained_high")
    _band(ax, t, ends, COLOURS["class"], "of the class told")
    most = float(seen.max(initial=0.0)) or 1.0
    ax.plot(t, np.minimum(apart / most, 1), color=COLOURS["alt"], lw=1.3, ls="--",
            label="score difference")  # fmt: skip
    for level in (0.05, 0.95):
        ax.axhline(level, **DOTTED)
    ax.set_ylim(-0.02, 1.03)
    ax.set_ylabel("share; of its largest")
    marks = list[Mark]()
    for symbol, one in zip(("start", "stop"), item.settings, strict=False):
        marks += _mark(symbol, INK, one)
    _axis(advice, ax, t, marks)


@styled()
def plot_strength(advice: Advice, ax: Axes) -> None:
    """Chance that an image keeps its class, and comes back itself, by the strength of
    image-to-image."""
    item = advice["strength"]
    part = _array(item, "part")
    if "class_own" in item.lists:
        ends = _array(item, "class_own"), _array(item, "class_sure")
        _band(ax, part, ends, COLOURS["class"], "class kept")
        for level in (0.5, 0.9, 0.99):
            ax.axhline(level, **DOTTED)
    ax.plot(part, _array(item, "image"), color=COLOURS["point"], ls="-.", label="image back")
    for one in item.settings:
        if one.at is not None and one.at.part is not None:
            point = one.name.startswith("image")
            level = 0.01 if point else float(one.name.split()[-1].rstrip("%")) / 100
            ax.plot([one.at.part], [level], "o", ms=4, color=COLOURS["point" if point else "class"])
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.02, 1.03)
    ax.set_xlabel("strength: share of the steps that is run")
    ax.set_ylabel("probability")
    legend(ax, above=1.02)


@styled()
def plot_late_start(advice: Advice, ax: Axes) -> None:
    """KL of the noised data from the Gaussian of their mean and covariance, and what was asked."""
    item = advice["late start"]
    t = _array(item, "t")
    ends = [_array(item, f"kl_{x}") for x in ("low", "high")]
    half = Z95 * _array(item, "kl_se")
    epsilon = item.numbers.get("epsilon")
    low, high = _window(advice, t)
    inside = (t >= low) & (t <= high)
    top = np.maximum(*ends) + half
    least = (epsilon or max(float(top[inside].min(initial=1.0)), 1e-6)) / 30
    drawn = [np.maximum(x, least / 10) for x in (np.minimum(*ends) - half, top)]
    ax.set_yscale("log")
    ax.fill_between(t, *drawn, color=COLOURS["alt"], alpha=0.22, lw=0)
    middle = np.maximum((ends[0] + ends[1]) / 2, least / 10)
    ax.plot(t, middle, color=COLOURS["alt"], label="KL from the Gaussian")
    if epsilon is not None:
        ax.axhline(epsilon, color="gray", lw=0.8, ls=":", label=f"ε = {epsilon:g} nats")
    ax.set_ylim(least, 2 * float(top[inside].max(initial=1.0)))
    ax.set_ylabel("nats")
    marks = [x for one in item.settings for x in _mark("start", INK, one)]
    _axis(advice, ax, t, marks)


@styled()
def plot_noise(advice: Advice, ax: Axes) -> None:
    """Information gained for each e-fold of sigma, on the regimes; the levels advised, as ticks;
    mean and spread of log sigma."""
    item = advice["training noise"]
    t, density = _array(item, "t"), _array(item, "density")
    marks = _headline(advice)
    low, high = _window(advice, t)
    _regimes(ax, {x[0]: x[2] for x in marks}, (low, high))
    ax.fill_between(t, 0, density, color=COLOURS["alt"], alpha=0.25, lw=0)
    ax.plot(t, density, color=COLOURS["alt"], label="dI/d log σ")
    top = 1.25 * float(density.max())
    mean, spread = item.numbers["P_mean"], item.numbers["P_std"]
    ends = [float(time_from_snr(math.exp(-2 * (mean + k * spread)))) for k in (-1, 0, 1)]
    ax.plot(ends[::2], [0.92 * top] * 2, color=INK, lw=1, label="P_mean ± P_std")
    ax.plot(ends[1:2], [0.92 * top], "o", ms=4, color=INK)
    levels = np.array(advice["steps"].lists["t"])
    levels = levels[(levels >= low) & (levels <= high)]
    ax.plot(levels, np.zeros(len(levels)), "|", ms=11, color=INK, label="levels advised",
            clip_on=False)  # fmt: skip
    ax.set_ylim(0, top)
    ax.set_ylabel("nats")
    _axis(advice, ax, t, marks)


def _regimes(ax: Axes, at: dict[str, float], window: tuple[float, float]) -> None:
    """Bands of the regimes between the headline times."""
    low, high = window
    decided, copied = at.get("$t_S$"), at.get("$t_C$", 0.0)
    if decided is None:
        return
    first = max(decided, copied)  # a collapse before the class is decided leaves no second regime
    spans = (WANDERING, first, high), (GENERALIZING, copied, first), (MEMORIZING, low, copied)
    for regime, start, end in spans:
        if end > start:
            ax.axvspan(start, end, color=COLOURS[regime.kind], alpha=0.1, lw=0, zorder=0)


@styled()
def plot_gap(advice: Advice, ax: Axes) -> None:
    """By how much the exact score of the points loses more on one that was left out."""
    item = advice["validation"]
    t, gap, half = _array(item, "t"), _array(item, "gap"), Z95 * _array(item, "gap_se")
    ax.axhline(0, color="gray", lw=0.7)
    ax.fill_between(t, gap - half, gap + half, color=COLOURS["point"], alpha=0.22, lw=0)
    ax.plot(t, gap, color=COLOURS["point"], label="held-out less training loss")
    found = [x for x in item.settings if x.name == "largest gap"]
    for one in found:
        if one.at is not None:
            ax.plot([one.at.t], [np.interp(one.at.t, t, gap)], "o", ms=5, color=COLOURS["point"])
    ax.set_ylim(min(0.0, float(gap.min())) - 0.02, 1.15 * float(gap.max()) + 0.02)
    ax.set_ylabel("share of the variance")
    _axis(advice, ax, t, _headline(advice), 1)


@styled()
def plot_points(advice: Advice, ax: Axes) -> None:
    """What a noised sample tells of its origin: its log n is what puts the collapse there."""
    item = advice["points"]
    t = _array(item, "t")
    _band(ax, t, (_array(item, "low"), _array(item, "high")), COLOURS["alt"], "information")
    total = math.log(item.numbers["n"])
    ax.axhline(total, color="gray", lw=0.8, ls=":", label="log n of the data")
    ax.set_ylim(0, 1.3 * total)
    ax.set_ylabel("nats")
    marks = [x for x in _headline(advice) if x[0] == "$t_S$"]
    for one in advice["guidance"].settings:
        marks += _mark("stop", INK, one) if one.name.startswith("95%") else []
    _axis(advice, ax, t, marks)


@styled()
def plot_danger(advice: Advice, ax: Axes) -> None:
    """How much of the weight one training point holds, and how many held-out points lie within the
    shells of training points."""
    item = advice["danger zone"]
    t = _array(item, "t")
    for name, colour, style, label, level in (
        ("weight", "point", "-", "W: weight of one point", 0.8),
        ("within", "class", "--", "C: held-out in shells", 0.5),
    ):
        value, half = _array(item, name), Z95 * _array(item, f"{name}_se")
        ax.fill_between(t, value - half, value + half, color=COLOURS[colour], alpha=0.22, lw=0)
        ax.plot(t, value, color=COLOURS[colour], ls=style, label=label)
        ax.axhline(level, color=COLOURS[colour], lw=0.8, ls=":")
    both = (_array(item, "weight") >= 0.8) & (_array(item, "within") >= 0.5)
    if both.any():
        ax.axvspan(t[both].min(), t[both].max(), color=COLOURS["point"], alpha=0.12, lw=0, zorder=0)
    ax.set_ylim(-0.02, 1.03)
    ax.set_ylabel("mean; share")
    _axis(advice, ax, t, [], 1)


@styled()
def plot_length(advice: Advice, ax: Axes) -> None:
    """Held-out over training loss of the pilot, and the broken line whose bend is where the gap
    opens."""
    item = advice["training length"]
    step, gap, line = (_array(item, x) for x in ("step", "gap", "line"))
    ax.plot(step, gap, "o", ms=3, color=COLOURS["class"], label="log(held-out/training)")
    ax.plot(step[: len(line)], line, color=INK, lw=1.2, label="broken line")
    at = item.numbers.get("pilot")
    if at is not None:
        ax.axvspan(item.numbers["pilot low"], item.numbers["pilot high"], color=COLOURS["point"],
                   alpha=0.14, lw=0)  # fmt: skip
        ax.axvline(at, color=COLOURS["point"], lw=1)
    ax.set_xlim(left=0)
    ax.set_xlabel("step of the pilot")
    ax.set_ylabel("log of the ratio of the losses")
    legend(ax, above=1.02)


FIGURES: dict[str, Panel[Advice]] = {
    "guidance": Panel(
        plot_guidance,
        "guidance",
        "The share of the class that is told, between its two bounds, crosses 5 % where guidance "
        "starts and 95 % where it stops (dotted); dashed, E|s_c − s_u|², the only thing it adds.",
    ),
    "strength": Panel(
        plot_strength,
        "strength",
        "The chance that an image keeps its class, between its two bounds, with the dots where it "
        "is 50, 90 and 99 %, and that the very image comes back.",
    ),
    "late start": Panel(
        plot_late_start,
        "late start",
        "The divergence of the noised data from the Gaussian with their mean and covariance, with "
        "its bounds and error. Above the dotted line no start is as good as the noise.",
    ),
    "training noise": Panel(
        plot_noise,
        "training noise",
        "Where information is gained, per unit of log σ, on the regimes: noise (grey), class "
        "decided (blue), copying (orange). Ticks at the bottom are the levels advised.",
    ),
    "validation": Panel(
        plot_gap,
        "validation",
        "The loss of the exact score on a point that was left out, less that on its own points, as "
        "a share of the variance of the data; the dot is where it is largest.",
    ),
    "points": Panel(
        plot_points,
        "points",
        "The information of a noised sample on its origin, between its two bounds, in nats: e to "
        "its height is how many points put the collapse there. It ends at log n of the data.",
    ),
    "danger zone": Panel(
        plot_danger,
        "danger zone",
        "The weight that one training point holds and the share of held-out points within the "
        "shells of training points. The zone, shaded, is where both are above their dotted lines.",
    ),
    "training length": Panel(
        plot_length,
        "training length",
        "Losses of the pilot. The gap opens where the line bends; the band is its 95 % interval.",
    ),
}
_NEEDS = {"guidance": "t", "strength": "part", "late start": "t", "training noise": "density",
          "validation": "gap", "points": "low", "danger zone": "weight",
          "training length": "gap"}  # fmt: skip


def drawable(advice: Advice) -> list[str]:
    """Names of the figures whose curves the advice holds: one of before has fewer."""
    held = {x.name: x.lists for x in advice.items}
    return [name for name in FIGURES if _NEEDS[name] in held.get(name, {})]


def plot_advice(advice: Advice, ax: Axes | None = None) -> Axes:
    """The main figure: where information is gained, and the levels advised."""
    return FIGURES["training noise"](advice, ax)
