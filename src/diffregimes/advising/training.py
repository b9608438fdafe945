"""What a training run may be told: the noise to train, and how many points it takes.

There is something to learn where information is gained: the density dI(a; x_t)/d log sigma of the
training set, whose mean and spread are what EDM calls P_mean and P_std.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from ..data.spectrum import most_information
from ..process import Schedule, flow_time, sigma, snr
from ..results import Analysis
from ..transitions.needed import information_ends
from . import clocks
from .class_gain import GAINED
from .image import gained
from .told import Item, Setting

NOISE = "At which noise levels should I train?"
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
    width = np.abs(np.diff(log_sigma))
    lists = {
        "t": np.sqrt(curves.t[1:] * curves.t[:-1]).tolist(), "density": (gain / width).tolist(),
    }  # fmt: skip
    numbers = {"P_mean": mean, "P_std": spread, "sigma_data": data}
    numbers |= _shares(analysis, clock, data)
    return Item(
        "training noise",
        NOISE,
        f"Log sigma with mean P_mean = {mean:.2f} and spread P_std = {spread:.2f}; sigma_data = "
        f"{data:.3g}. {_share_in_words(numbers)}",
        numbers=numbers,
        lists=lists,
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
    """Points that put the collapse at t_S, and at the end of what guidance adds to."""
    numbers, words = {}, []
    needed = analysis.points_needed
    if needed is not None:
        numbers["n at t_S"] = _count(needed.log_n)
        words.append(f"{_about(needed.log_n)} put the collapse at t_S: with no more than that "
                     "the class is decided among training points")  # fmt: skip
    last = _settled(guidance, f"{GAINED[1]:.0%} of the class")
    if last is not None:
        found, said = _at_the_end(analysis, last)
        numbers |= found
        words.append(said)
    elif guidance.answered:
        words.append(
            "where the class is settled lies beyond what the curves show, and with it how many put "
            "the collapse there"
        )
    if not words:
        why = "There is no t_S, and so no time above which a collapse would be too early."
        return Item("points", POINTS, why, answered=False)
    low, high = information_ends(analysis.curves, analysis.dataset.n)
    lists = {"t": analysis.curves.t.tolist(), "low": low.tolist(), "high": high.tolist()}
    numbers["n"] = float(analysis.dataset.n)
    return Item(
        "points",
        POINTS,
        f"{_capital('; '.join(words))}. The data have {analysis.dataset.n}.",
        numbers=numbers,
        lists=lists,
        formula="log n = I(a; x_t), as `points_needed` of the analysis; below the collapse "
        "I(a; x_t) in proportion to the Gaussian information, up to it",
        assumes="a model as good as the exact score of its points: networks generalize longer",
        unknown="how many make a good image: this is what keeps the class free of copying",
    )


def _settled(guidance: Item, name: str) -> float | None:
    found: list[Setting] = [x for x in guidance.settings if x.name == name and x.at is not None]
    return found[0].at.t if found and found[0].at is not None else None


def _at_the_end(analysis: Analysis, t: float) -> tuple[dict[str, float], str]:
    """Points that put the collapse at the end t of what guidance adds to: measured where the data
    have not collapsed there, else carried on from where they do, between two bounds."""
    value, least, most = beyond(analysis, t)
    name = "n where the class is settled"
    where = f"put it where the class is settled (t = {t:.2g})"
    if least == most:
        return {name: _count(value)}, f"{_about(value)} {where}"
    return (
        {name: _count(value), f"{name}, at least": _count(least), f"{name}, at most": _count(most)},
        f"more than {_about(least)} and at most {_about(most)}, about {_about(value)} if the "
        f"information grows as that of a Gaussian does, {where}, which lies beyond the collapse of "
        "these points: below t_C their curves know the points and not the law",
    )


def beyond(analysis: Analysis, t: float) -> tuple[float, float, float]:
    """I(a; x_t) in nats: an estimate, and the bounds between which it lies; three times the same
    where the curves have not collapsed.

    Towards the data it grows, from what is measured where the collapse begins, and never beyond
    that of a Gaussian with the spectrum of the data.
    """
    x, nats, first = gained(analysis)
    at = -float(np.log(snr(t)))
    value = float(np.interp(at, x, nats))
    if at >= x[first]:
        return value, value, value
    most = max(value, most_information(analysis.spectrum, float(snr(t))))
    return value, float(nats[first]), most


def _count(log_n: float) -> float:
    return math.exp(min(log_n, 700.0))


def _about(log_n: float) -> str:
    if log_n < math.log(10):
        return "fewer than ten points"
    return f"{_count(log_n):.2g} points" if log_n < 16 else f"10^{log_n / math.log(10):.1f} points"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
