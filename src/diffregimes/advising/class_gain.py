"""What is told of the class, and when: where guidance may act, and which strength keeps the class.

Of the class c and the state x_t the left-out weights p' know

    H(c) - E[-log p'_a]  <=  I(c; x_t),      H(c) - E[H(p')],

both equal to it for the population's p, and apart by what p' errs where few training points decide.
With I: E|E[a|x_t, c] - E[a|x_t]|^2 = 2 dI(c; x_t)/dgamma (the mmse with and without the class), so

    E|s_c - s_u|^2 = (e^{-2t}/Delta_t^2) 2 dI(c; x_t)/dgamma:

guidance has something to add only where information on the class is being gained.
A clone from t ends in the class with the probability phi(t) = E[p_a] = E[sum p^2].
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..common.numerics import Z95
from ..process import Schedule, signal, snr, variance
from ..results import Analysis
from . import clocks
from .told import Item, Setting

GAINED = 0.05, 0.95
KEPT = 0.5, 0.9, 0.99
OWN, SURE = "own_class_probability_loo", "same_class_probability_loo"
CROSS, LEFT = "class_cross_entropy_loo", "class_entropy_loo"
GUIDANCE = "At which steps may guidance act?"
STRENGTH = "Which strength keeps the class, and which the image?"
_NO_CLASSES = (
    "The points came without labels; the two sides of their first principal component are no "
    "classes that guidance could be asked for. Give them by --labels."
)


def class_entropy(analysis: Analysis) -> float:
    """H(c) of the classes as frequent as they are, in nats."""
    share = np.array(analysis.dataset.class_counts, dtype=np.float64)
    share /= share.sum()
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def gained(analysis: Analysis) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]:
    """The share of H(c) that x_t tells: the two ends (T,), and their standard errors."""
    curves, total = analysis.curves, class_entropy(analysis)
    ends = [np.clip(1 - curves[x] / total, 0, 1) for x in (CROSS, LEFT)]
    return (ends[0], ends[1]), tuple(curves.se[x] / total for x in (CROSS, LEFT))


def is_told(analysis: Analysis) -> bool:
    """Whether x_t tells 5 % of H(c) anywhere by the lower end, which no overconfidence lifts."""
    if not analysis.dataset.labelled or CROSS not in analysis.curves.values:
        return False
    ends, errors = gained(analysis)
    return bool((ends[0] - Z95 * errors[0] > GAINED[0]).any())


def score_difference(t: np.ndarray, nats: np.ndarray) -> np.ndarray:
    """E|s_c - s_u|^2 (T,) from I(c; x_t) at times t (T,)."""
    gamma = snr(t)
    slope = PchipInterpolator(np.log(gamma[::-1]), nats[::-1]).derivative()(np.log(gamma))
    return np.asarray(signal(t) ** 2 / variance(t) ** 2 * 2 * np.maximum(slope, 0) / gamma)


def guidance(analysis: Analysis, clock: Schedule) -> Item:
    """From where 5 % to where 95 % of the information on the class is gained."""
    if not analysis.dataset.labelled:
        return Item("guidance", GUIDANCE, _NO_CLASSES, answered=False)
    if CROSS not in analysis.curves.values:
        return _older("guidance", GUIDANCE)
    ends, errors = gained(analysis)
    t = analysis.curves.t
    begin, finish = (
        clocks.crossing(f"{x:.0%} of the class", clock, t, ends, (errors[0], errors[1]), x)
        for x in GAINED
    )
    nats = np.mean(ends, axis=0) * class_entropy(analysis)
    told = {
        "t": t.tolist(), "gained_low": ends[0].tolist(), "gained_high": ends[1].tolist(),
        "score_difference": score_difference(t, nats).tolist(),
    }  # fmt: skip
    if begin.at is None or not is_told(analysis):
        why = (
            "These points do not show that a noised sample tells the class at any time: less than "
            "5 % of the information on it is seen, labels without a pattern or too few points."
        )
        return Item("guidance", GUIDANCE, why, answered=False, lists=told)
    numbers = _guider(begin, finish)
    said = (
        f"From {clocks.steps_of(begin, clock)} to {clocks.steps_of(finish, clock)}: 90 % of the "
        "information on the class is gained there, and the conditional and the unconditional score "
        "differ for no other reason."
    )
    if finish.at is None:
        said = (
            f"From {clocks.steps_of(begin, clock)} on, where 5 % of the information on the class "
            "is gained. Where 95 % of it is, these points do not show (left out of the vote, they "
            f"tell {np.mean(ends, axis=0).max():.0%} at most): no end is advised."
        )
    return Item(
        "guidance",
        GUIDANCE,
        said,
        settings=(begin, finish),
        numbers=numbers,
        lists=told,
        formula="E|s_c − s_u|² = (e^(−2t)/Δ²) · 2 dI(class; x_t)/dγ; 5 % and 95 % of H(class)",
        assumes="the classes of the labels are what the model is conditioned on, with their shares",
        unknown="whether guidance is wanted: this is where it moves the samples, and can be saved "
        "elsewhere; what a scale above one does to them is no part of the law. The ends hold what "
        "the draws and the left-out weights do not know, not another sample of training points",
    )


def _guider(begin: Setting, finish: Setting) -> dict[str, float]:
    """`start` and `stop` of diffusers' guiders, in shares of the steps from the noise."""
    out = {}
    for name, one in (("start", begin), ("stop", finish)):
        if one.at is not None and one.at.part is not None:
            out[name] = 1 - one.at.part
        elif name == "stop" and one.at is None:
            out[name] = 1.0
        elif name == "start":
            out[name] = 0.0
    return out


def strength(analysis: Analysis, clock: Schedule) -> Item:
    """The strength at which an image keeps its class so often, and beyond which nothing of it is
    left."""
    curves = analysis.curves
    point, own_point = "same_point_probability", "own_point_probability"
    if {point, own_point, OWN, SURE} - set(curves.values):
        return _older("strength", STRENGTH)
    both = (curves[point], curves[own_point])
    errors = (curves.se[point], curves.se[own_point])
    image = clocks.crossing("image back in 1%", clock, curves.t, both, errors, 0.01)
    found: tuple[Setting, ...] = (image,)
    words = ["the classes are not known"]
    t = curves.t[curves.t <= clock.finite_times[-1]]
    part = [clock.place(float(x)) / len(clock.times) for x in t]
    told = {"part": part, "image": curves[point][: len(t)].tolist()}
    if analysis.dataset.labelled:
        share = np.array(analysis.dataset.class_counts) / analysis.dataset.n
        chance = float((share**2).sum())
        ends, se = (curves[OWN], curves[SURE]), (curves.se[OWN], curves.se[SURE])
        kept = tuple(
            clocks.crossing(f"class kept in {x:.0%}", clock, curves.t, ends, se, x) for x in KEPT
        )
        found = (*kept, image)
        told |= {"class_own": ends[0][: len(t)].tolist(), "class_sure": ends[1][: len(t)].tolist()}
        words = [_strength_of(x, y, chance) for x, y in zip(KEPT, kept, strict=True)]
    left = (
        f"From {_part(image)} on an image of the training set comes back in less than one of a "
        "hundred runs: nothing of the image itself is left."
    )
    if image.at is None:
        left = (
            "An image of the training set comes back in more than one of a hundred runs at every "
            f"strength of the range studied (one of {analysis.dataset.n} is chance)."
        )
    said = "; ".join(words)
    return Item(
        "strength",
        STRENGTH,
        f"{said[:1].upper()}{said[1:]}. {left}",
        settings=found,
        lists=told,
        formula="P(class kept) = φ_loo(t) = E[Σ p'²] = E[p'_a]; P(the very image) = φ_C(t)",
        assumes="evenly spaced steps, of which the share `strength` is done; a stochastic sampler "
        "under the exact score",
        unknown="what lies between the class and the very image; a network that memorises brings "
        "an image back from a larger strength",
    )


def _part(one: Setting) -> str:
    if one.at is None:
        return "no strength of the range studied"
    if one.at.part is None:
        return f"t = {one.at.t:.3g}, beyond the last step,"
    return f"strength {one.at.part:.2f} (t = {one.at.t:.3g})"


def _strength_of(kept: float, found: Setting, chance: float) -> str:
    if kept <= chance:
        return f"the class is kept in {kept:.0%} of the runs by chance alone"
    if found.at is None:
        return f"no strength of the range studied keeps the class in {kept:.0%} of the runs"
    return f"{_part(found)} keeps the class in {kept:.0%}"


def _older(name: str, question: str) -> Item:
    why = "The results are of an older version, without the curves for it; analyze the data again."
    return Item(name, question, why, answered=False)
