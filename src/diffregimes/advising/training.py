"""What a training run may be told: the noise to train and to look at, and how many points it takes.

There is something to learn where information is gained: the density dI(a; x_t)/d log sigma of the
training set, whose mean and spread are what EDM calls P_mean and P_std.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from ..process import Schedule, flow_time, sigma, snr
from ..results import Analysis
from ..transitions.needed import information_ends
from . import clocks
from .class_gain import GAINED
from .told import Item, Setting

NOISE = "At which noise levels should I train?"
LOOK = "At which timesteps should I validate?"
EXPERTS = "Where do a high-noise and a low-noise expert switch?"
POINTS = "How many images do I need?"
EDM = -1.2, 1.2  # P_mean and P_std of Karras et al. 2022, for a sigma_data of 0.5
_EDM_DATA = 0.5


def training_noise(analysis: Analysis, clock: Schedule) -> Item:
    """Mean and spread of log sigma where information is gained; what usual densities do."""
    curves = analysis.curves
    log_sigma = np.log(sigma(curves.t))
    gain = np.maximum(-np.diff(curves["information"]), 0)
    middle = (log_sigma[1:] + log_sigma[:-1]) / 2
    total = gain.sum()
    if not total > 0:
        why = "No information is gained in the range studied."
        return Item("training noise", NOISE, why, answered=False)
    mean = float((gain * middle).sum() / total)
    spread = math.sqrt(float((gain * (middle - mean) ** 2).sum() / total))
    d = analysis.dataset.d
    data = math.sqrt(float(analysis.spectrum.eigenvalues.sum()) / d)
    numbers = {"P_mean": mean, "P_std": spread, "sigma_data": data}
    numbers |= _shares(analysis, clock, data)
    return Item(
        "training noise",
        NOISE,
        f"Log sigma with mean P_mean = {mean:.2f} and spread P_std = {spread:.2f}; sigma_data = "
        f"{data:.3g}. {_share_in_words(numbers)}",
        numbers=numbers,
        formula="density ∝ dI(a; x_t)/d log σ; sigma_data² = tr C / d",
        assumes="what is gained from log n nats at the data to none at the noise is what there is "
        "to learn: the whole training set, collapse included",
        unknown="how hard each level is for a network; which errors show in a sample",
    )


def _shares(analysis: Analysis, clock: Schedule, data: float) -> dict[str, float]:
    """Of uniform steps, and of EDM's density for data of this size, in each regime."""
    out: dict[str, float] = {}
    steps = len(clock.times)
    for name, newest, oldest in analysis.verdict.regimes:
        first, last = (math.inf if newest is None else newest), oldest
        inside = (clock.times <= first) & (clock.times > last)
        out[f"uniform steps, {name}"] = float(inside.sum()) / steps
        ends = [
            float(ndtr((_log_sigma(x) - math.log(data / _EDM_DATA) - EDM[0]) / EDM[1]))
            for x in (first, last)
        ]
        out[f"EDM's density, {name}"] = ends[0] - ends[1]
    return out


def _log_sigma(t: float) -> float:
    return -math.inf if t <= 0 else math.inf if math.isinf(t) else float(np.log(sigma(t)))


def _share_in_words(numbers: dict[str, float]) -> str:
    found = {k: v for k, v in numbers.items() if k.startswith("uniform")}
    parts = [f"{v:.0%} in regime {k.partition(', ')[2]}" for k, v in found.items()]
    return f"Of uniform steps {', '.join(parts)}." if parts else ""


def validation(analysis: Analysis, clock: Schedule) -> Item:
    """The levels at which a loss says something of the class, of copying, and of both."""
    found = tuple(
        clocks.of_time(f"t_{x[0].upper()}", analysis.time(x), clock)
        for x in ("speciation", "collapse")
    )
    known = [x for x in found if x.at is not None]
    if not known:
        return Item(
            "validation", LOOK, "Neither t_S nor t_C is in the range studied.", answered=False
        )
    says = {
        "t_S": "the loss around it says whether classes are learned",
        "t_C": "the loss there and below, beside that of held-out points, whether the model copies",
    }
    words = [f"{x.name} at {clocks.steps_of(x, clock)}: {says[x.name]}" for x in known]
    return Item(
        "validation",
        LOOK,
        f"{'. '.join(words)}.",
        settings=found,
        formula="the headline t_S and t_C of the analysis",
        assumes="one loss at one level tells more than the mean over all, in which the levels that "
        "say nothing of either make the noise",
        unknown="the level of the largest gap between training and held-out points: it takes "
        "held-out points (diffregimes audit has it)",
    )


def experts(analysis: Analysis, clock: Schedule) -> Item:
    """t_S on the clock of the schedule: above it classes are decided, below images are made."""
    time = analysis.time("speciation")
    found = clocks.of_time("switch", time, clock)
    if found.at is None:
        why = "There is no t_S in the range studied: nothing is decided at one time."
        return Item("experts", EXPERTS, why, answered=False)
    numbers = {"flow_time": float(flow_time(found.at.t))}
    if found.at.part is not None:
        numbers["boundary_ratio"] = found.at.part
    collapse = analysis.time("collapse").t
    late = ""
    if collapse is not None and collapse > found.at.t:
        late = f" The collapse comes before it (t_C = {collapse:.3g}): such points are too few."
    return Item(
        "experts",
        EXPERTS,
        f"At t_S, {clocks.steps_of(found, clock)}, flow time {found.at.flow_time:.3g}: above it "
        f"the class is being decided, below it no more.{late}",
        settings=(found,),
        numbers=numbers,
        formula="t_S; boundary_ratio = step / steps of the schedule, its shift included",
        assumes="the classes of the labels (or of the leading direction) are what the first expert "
        "is for",
        unknown="whether two experts help at all with these data",
    )


def points(analysis: Analysis, clock: Schedule, guidance: Item) -> Item:
    """Points that put the collapse at t_S, and at both ends of what guidance adds to."""
    numbers, words = {}, []
    needed = analysis.points_needed
    if needed is not None:
        numbers["n at t_S"] = _count(needed.log_n)
        words.append(f"{_about(needed.log_n)} put the collapse at t_S: with no more than that "
                     "the class is decided among training points")  # fmt: skip
    last = _settled(guidance, f"{GAINED[1]:.0%} of the class")
    nats = None if last is None else _information(analysis, last)
    if last is not None and nats is not None:
        numbers["n where the class is settled"] = _count(nats)
        words.append(f"{_about(nats)} put it where the class is settled (t = {last:.2g})")
    if not words:
        why = "There is no t_S, and so no time above which a collapse would be too early."
        return Item("points", POINTS, why, answered=False)
    return Item(
        "points",
        POINTS,
        f"{'; '.join(words)}. The data have {analysis.dataset.n}.",
        numbers=numbers,
        formula="log n = I(a; x_t), as `points_needed` of the analysis",
        assumes="a model as good as the exact score of its points: networks generalize longer",
        unknown="how many make a good image: this is what keeps the class free of copying",
    )


def _settled(guidance: Item, name: str) -> float | None:
    found: list[Setting] = [x for x in guidance.settings if x.name == name and x.at is not None]
    return found[0].at.t if found and found[0].at is not None else None


def _information(analysis: Analysis, t: float) -> float | None:
    """I(a; x_t) in nats, None where the curves have collapsed."""
    curves = analysis.curves
    x = np.log(snr(curves.t))[::-1]
    at = float(np.log(snr(t)))
    if np.interp(at, x, curves["same_point_probability"][::-1]) > 0.1:
        return None
    middle = np.mean(information_ends(curves, analysis.dataset.n), axis=0)
    return float(np.interp(at, x, middle[::-1]))


def _count(log_n: float) -> float:
    return math.exp(min(log_n, 700.0))


def _about(log_n: float) -> str:
    if log_n < math.log(10):
        return "fewer than ten points"
    return f"{_count(log_n):.2g} points" if log_n < 16 else f"10^{log_n / math.log(10):.1f} points"
