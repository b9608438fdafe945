"""Numbers and remarks as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from .. import process
from ..common.readable import count, interval_text, number
from ..populations.mixture import GaussianMixture
from ..posterior.observables import CURVES
from ..results import (
    Analysis,
    Augment,
    Comparison,
    Condition,
    Given,
    Level,
    Pair,
    PointsNeeded,
    TransitionTime,
    Tree,
)

LARGEST_Z = 3.5  # of some hundred correlated values, chance hardly exceeds it


def symbols(text: str) -> Markup:
    """`text`, escaped, with t_S and t_C set as symbols."""
    out = str(escape(text))
    for letter in "SC":
        out = out.replace(f"t_{letter}", f"<i>t</i><sub>{letter}</sub>")
    return Markup(out)


def time_text(time: TransitionTime) -> tuple[str, str]:
    """t and its interval, "low to high"; ("none", "") where there is no transition."""
    return interval_text(time.t, time.low, time.high)


def _log_snr(t: float) -> str:
    return f"{float(np.log(process.snr(t))):.2f}".replace("-", "−")


def clocks(time: TransitionTime, schedule: str) -> dict[str, str]:
    """A time and its interval in every clock, as text.

    The ends of the interval get a step for the built-in schedules alone: one read from a
    file may be gone by now.
    """
    value, span = time_text(time)
    out = {"t": value, "t_span": span, "step": "–", "sigma": "–", "log_snr": "–"}
    out |= {"step_span": "", "sigma_span": "", "log_snr_span": ""}
    if time.t is None:
        return out
    out["step"] = "beyond the last" if time.ddpm_step is None else str(time.ddpm_step)
    out["sigma"], out["log_snr"] = number(time.sigma), _log_snr(time.t)
    if time.low is None or time.high is None or time.low <= 0:
        return out
    low, high = time.low, time.high
    out["sigma_span"] = f"{number(process.sigma(low))} to {number(process.sigma(high))}"
    out["log_snr_span"] = f"{_log_snr(high)} to {_log_snr(low)}"
    if schedule in ("linear", "cosine"):
        steps = [process.schedule(schedule).step(x) for x in (low, high)]
        if None not in steps:
            out["step_span"] = f"{steps[0]} to {steps[1]}"
    return out


def shape_in_words(shape: tuple[int, ...], d: int) -> str:
    return (
        f"{' × '.join(map(str, shape))} = {d} dimensions" if len(shape) > 1 else f"{d} dimensions"
    )


def scale_in_words(scale: tuple[float, float] | None, standardized: bool = False) -> Markup:
    """What the times hold for: the clock measures noise against the scale of the data."""
    if standardized:
        return Markup(
            "These times hold for standardized features, each minus its mean and over its standard "
            "deviation: a model that sees them in their own units has other times."
        )
    if scale is None:
        return Markup(
            "These times hold for the numbers as they came. The clock measures noise against the "
            "spread of the data: a model that sees them rescaled has other times."
        )
    low, high = (f"{float(x):g}".replace("-", "−") for x in scale)
    words = Markup("These times hold for data scaled to [{}, {}].").format(low, high)
    if [float(x) for x in scale] == [0.0, 1.0]:
        return words + Markup(
            " A model trained on [−1, 1] needs <code class=nowrap>--range=-1,1</code>: the scale "
            "moves every time."
        )
    return words + Markup(
        " A model trained on another scale needs its own <code class=nowrap>--range</code>: the "
        "scale moves every time."
    )


def power(log_n: float) -> Markup:
    """A number of points from its logarithm in nats: two digits, from a million on as 10^x."""
    if log_n < np.log(1e6):
        return Markup(count(float(f"{np.exp(log_n):.2g}")))
    return Markup("10<sup>{:.1f}</sup>").format(log_n / np.log(10))


def needed_in_words(needed: PointsNeeded, analysis: Analysis) -> Markup:
    """How many points put the collapse at `needed.t`, and what that means for this dataset."""
    words = Markup(
        "With about <b>n = {}</b> points ({} {}) collapse would come at <i>t</i> = {:.3g}; "
        "this dataset has {}. More points make collapse later."
    ).format(
        power(needed.log_n),
        power(needed.low),
        Markup("or more" if needed.high is None else f"to {power(needed.high)}"),
        needed.t,
        count(analysis.dataset.n),
    )
    if analysis.verdict.generalizes is None:
        return words
    if analysis.verdict.generalizes:
        return words + Markup(" With fewer than that the generalizing regime would close.")
    return words + Markup(" With more than that a generalizing regime opens.")


def judged(theory: Comparison) -> list[tuple[str, np.ndarray]]:
    """Every curve that theory judges, in words, with its z-scores; none where it has no value."""
    return [(CURVES.get(name, name), z[np.isfinite(z)]) for name, z in theory.z.items()]


def farthest(theory: Comparison) -> tuple[str, float]:
    """The curve that lies farthest from its theory, in words, and its |z|; ("", 0) for none."""
    worst = [(name, float(np.abs(z).max())) for name, z in judged(theory) if len(z)]
    return max(worst, key=lambda x: x[1], default=("", 0.0))


def law_in_words(law: GaussianMixture | None) -> str:
    """The law that the points were drawn from."""
    if law is None:
        return "a known law"
    words = f"a mixture of {law.n_components} Gaussian classes in {law.d} dimensions: weights "
    words += ", ".join(f"{x:.3g}" for x in law.weights.tolist())
    if law.isotropic:
        words += f"; standard deviation {float(law.covariances[0].diagonal[0]) ** 0.5:.3g}"
    if law.n_components == 2:
        words += f"; means {float((law.means[0] - law.means[1]).norm()):.3g} apart"
    return words


def theory_in_words(theory: Comparison) -> str:
    """Whether the curves and times agree with exact theory."""
    total = sum(len(z) for _, z in judged(theory))
    if not total:
        return "At no time of the curves do enough points compete for theory to judge them."
    name, largest = farthest(theory)
    said = f"|z| is at most {largest:.1f} in {total} values of the curves ({name})"
    times = [(abs(x.z), x.method) for x in theory.times if x.z is not None]
    if times:
        worst, method = max(times)
        said += f" and {worst:.1f} in {len(times)} times ({method})"
        largest = max(largest, worst)
    if largest < LARGEST_Z:
        return f"The analysis agrees with the theory: {said}."
    return f"The analysis does not agree with the theory: {said}, more than chance explains."


def clipped(text: str, most: int) -> str:
    """A name in so many letters at most."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def branch_in_words(tree: Tree, node: int, most: int = 6) -> str:
    """The classes under a node of the tree of classes, the first of them where there are many."""
    names = [clipped(tree.leaves[k], 24) for k in tree.under(node)]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def told_forks(tree: Tree, most: int) -> list[int | None]:
    """The forks to be told, as generation meets them: the first and the last ones, and None between
    them where some are left out."""
    every: list[int | None] = list(range(len(tree.forks) - 1, -1, -1))
    if len(every) <= most:
        return every
    return [*every[: (most + 1) // 2], None, *every[-(most // 2) :]]


def told_pairs(pairs: Sequence[Pair], most: int) -> list[Pair | None]:
    """Likewise of the pairs, by `pair-balance`; those that do not part come last."""
    every = sorted(pairs, key=lambda x: x.balance.t or 0.0, reverse=True)
    if len(every) <= most:
        return [*every]
    return [*every[: (most + 1) // 2], None, *every[-(most // 2) :]]


def told_conditions(given: Given, most: int) -> list[Condition | None]:
    """Likewise of the conditions: those that are copied first, which have a time or none at all."""
    every = sorted(given.collapse, key=lambda x: -(x.time.t or float("inf")))
    if len(every) <= most:
        return [*every]
    return [*every[: (most + 1) // 2], None, *every[-(most // 2) :]]


def condition_row(condition: Condition) -> tuple[str, str, str, str]:
    """Its name, how many points it has, t_C and its interval."""
    name = clipped(condition.name, 24)
    if condition.count > 1:
        name = f"{condition.count} {name}"
    return (name, count(condition.n), *time_text(condition.time))


def moved_in_words(found: Augment) -> str:
    """How far augmentation moves the collapse."""
    with_it, without = (time_text(x)[0] for x in (found.time, found.without))
    said = f"{', '.join(found.words)}: {count(found.members)} different images"
    said += f", t_C = {with_it} in place of {without}"
    if found.moved is None or found.low is None or found.high is None:
        return said
    moved = (f"{x:+.3g}".replace("-", "−") for x in (found.moved, found.low, found.high))
    return said + ", moved by {} ({} to {})".format(*moved)


def level_in_words(level: Level) -> str:
    """When the super-classes of a level are decided, and how the tree of classes agrees."""
    t, span = time_text(level.time)
    said = f"{level.name}, {len(level.names)} super-classes: t_S = {t}"
    said += f" ({span}) by {level.time.method}" if span else f" by {level.time.method}"
    if level.branches is None:
        return said
    several = {x for k, x in enumerate(level.names) if level.of_class.count(k) > 1}
    seen = len(several & set(level.branches))
    said += f"; {seen} of the {len(several)} with several classes are a branch of the tree"
    if level.cophenetic is not None:
        said += f", cophenetic correlation {level.cophenetic:.2f}"
    return f"{said}, Robinson-Foulds distance {level.robinson_foulds}"


def part_rows(analysis: Analysis) -> list[tuple[str, ...]]:
    """Of each width, each group and the whole: what it is, parts, t_S and t_C with intervals."""
    rows: list[tuple[str, ...]] = []
    for windows in analysis.windows:
        both = windows.speciation, windows.collapse
        if windows.width is not None:
            means = (interval_text(x.mean, x.mean_low, x.mean_high) for x in both)
            count_of = str(len(windows.sizes))
            rows.append((windows.name, count_of, *(x for mean in means for x in mean)))
            continue
        for k, name in enumerate(windows.names):
            ends = ([float(y[k]) for y in (x.t, x.low, x.high)] for x in both)
            times = (interval_text(*(None if np.isnan(y) else y for y in x)) for x in ends)
            size = f"{windows.sizes[k]:.0f} features"
            rows.append((clipped(name, 24), size, *(x for time in times for x in time)))
    whole = (time_text(analysis.time(x)) for x in ("speciation", "collapse"))
    return [*rows, ("whole", "1", *(x for time in whole for x in time))]
