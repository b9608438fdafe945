"""From transition times to words: which regimes exist, and how many points are missing.

Generation runs from noise to data: regime I (wandering) until t_S, regime II (the class is
decided, the sample is new) until t_C, regime III (memorising) to the end. Where t_C > t_S there
is no regime II: a model that fits its training set exactly copies before it has even chosen a
class. The number of points that would put t_C at a given t is exp I(a; x_t).
"""

from __future__ import annotations

import math

from ..common.readable import power_of_ten
from ..results import PointsNeeded, TransitionTime, Verdict

WANDERING = "I: wandering"
GENERALIZING = "II: generalizing"
MEMORIZING = "III: memorizing"


def _headline(name: str, when: TransitionTime) -> str:
    step = "" if when.ddpm_step is None else f" (DDPM step {when.ddpm_step})"
    return f"{name} at t = {when.t:.2f}{step}"


def verdict(
    speciation: TransitionTime, collapse: TransitionTime, needed: PointsNeeded | None, n: int
) -> Verdict:
    """The regimes in words, from the two headline times."""
    t_s, t_c = speciation.t, collapse.t
    if t_c is None:
        return Verdict(
            "The collapse lies outside the range studied.",
            (
                "No time studied lies on both sides of the collapse.",
                "Widen the times, or look for duplicates in the data.",
            ),
            () if t_s is None else ((WANDERING, None, t_s), (GENERALIZING, t_s, 0.0)),
            None,
        )
    if t_s is None:
        return Verdict(
            f"No speciation time by {speciation.method}. {_headline('Copying starts', collapse)}.",
            (
                *(f"{why[0].upper()}{why[1:]}." for why in speciation.warnings),
                "Other methods may give one; see the table of all times.",
            ),
            ((WANDERING, None, t_c), (MEMORIZING, t_c, 0.0)),
            None,
        )
    apart = (
        f"t_S = {t_s:.3f} by {speciation.method}, t_C = {t_c:.3f} by {collapse.method}: "
        f"{'before' if t_c > t_s else 'after'} the class is decided, a model that fits its "
        "training set exactly starts to copy."
    )
    close = _overlap(speciation, collapse)
    if close:
        apart += " The two intervals overlap, so the order of the two is open."
    if t_c < t_s:
        sentences = [apart]
        if not close:
            sentences += [
                "Generation decides the class at t_S, makes something new of it until t_C, and "
                "from there on, if the network resolves its training set, falls onto one training "
                "point.",
                "More training points move t_C towards the data; a network that cannot tell single "
                "points apart at t_C goes on generalizing below it.",
            ]
        if needed is not None and needed.log_n > math.log(20):
            sentences.append(
                f"With fewer than about {power_of_ten(needed.log_n)} points this window would "
                f"close (you have {n})."
            )
        return Verdict(
            f"The class is decided and copying starts at about the same time, t = {t_s:.2f}."
            if close
            else f"The class is decided at t = {t_s:.2f}, copying starts at t = {t_c:.2f}: "
            "there is a generalizing regime between them.",
            tuple(sentences),
            ((WANDERING, None, t_s), (GENERALIZING, t_s, t_c), (MEMORIZING, t_c, 0.0)),
            None if close else True,
        )
    sentences = [apart]
    if needed is not None:
        sentences.append(
            f"About {power_of_ten(needed.log_n)} training points would open a generalizing regime "
            f"({power_of_ten(needed.low)} to {power_of_ten(needed.high)}, the upper end a Gaussian "
            f"bound from this sample's spectrum); you have {n}. "
            f"Method: {needed.method}."
        )
    sentences.append(
        "A network of limited capacity may still generalize, because it cannot resolve the "
        "training points at these times; the data alone do not force it to."
    )
    return Verdict(
        f"The class is decided and copying starts at about the same time, t = {t_s:.2f}."
        if close
        else f"There is no generalizing regime for this n = {n}: collapse (t = {t_c:.2f}) comes "
        f"before speciation (t = {t_s:.2f}).",
        tuple(sentences),
        ((WANDERING, None, t_c), (MEMORIZING, t_c, 0.0)),
        None if close else False,
    )


def _overlap(one: TransitionTime, two: TransitionTime) -> bool:
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return False
    return one.low <= two.high and two.low <= one.high


def regime_kind(name: str) -> str:
    """`noise`, `generalizing` or `memorizing`, from the name of a regime in a verdict."""
    word = name.lower()
    if word.startswith("iii") or any(x in word for x in ("memor", "collapse", "copy")):
        return "memorizing"
    if word.startswith("ii") or any(x in word for x in ("general", "class", "speci")):
        return "generalizing"
    return "noise"


REGIMES = {
    "noise": ("I  noise", "I noise", "I"),
    "generalizing": ("II  class decided, sample still new", "II generalizing", "II"),
    "memorizing": ("III  copying a training point", "III copying", "III"),
}
REGIME_WORDS = {
    "noise": ("I · noise", "Nothing about the sample is decided yet."),
    "generalizing": (
        "II · class decided",
        "The sample has its class and is still free to be a new one.",
    ),
    "memorizing": ("III · copying", "The sample is pulled to one training point."),
}
