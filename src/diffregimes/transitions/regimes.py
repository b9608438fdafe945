"""From transition times to words: which regimes exist, and how many points are missing.

Generation runs from noise to data: regime I (wandering) until t_S, regime II (the class is
decided, the sample is new) until t_C, regime III (memorising) to the end. Where t_C > t_S there
is no regime II: a model that fits its training set exactly copies before it has even chosen a
class. The number of points that would put t_C at a given t is exp I(a; x_t).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..common.readable import TINY, moment, number, power_of_ten, powers_of_ten
from ..posterior.observables import PRECISION_CURVES
from ..process import Schedule, sigma
from ..results import Curves, PointsNeeded, TransitionTime, Verdict


@dataclass(frozen=True)
class Regime:
    """A stretch of the generation: `kind` for colours and pages, `name` in a `Verdict`, `title` and
    `words` for a reader, `labels` for a figure, the longest first."""

    kind: str
    name: str
    title: str
    words: str
    labels: tuple[str, ...]


WANDERING = Regime(
    "noise",
    "I: wandering",
    "I · noise",
    "Nothing about the sample is decided yet.",
    ("I  noise", "I noise", "I"),
)
GENERALIZING = Regime(
    "generalizing",
    "II: generalizing",
    "II · class decided",
    "The sample has its class and is still free to be a new one.",
    ("II  class decided, sample still new", "II generalizing", "II"),
)
MEMORIZING = Regime(
    "memorizing",
    "III: memorizing",
    "III · copying",
    "The sample is pulled to one training point.",
    ("III  copying a training point", "III copying", "III"),
)
REGIMES = WANDERING, GENERALIZING, MEMORIZING
Spans = tuple[tuple[str, float | None, float], ...]  # those of a `Verdict`


def regime(name: str) -> Regime:
    """The regime of this name in a verdict."""
    for declared in REGIMES:
        if declared.name == name:
            return declared
    known = ", ".join(repr(x.name) for x in REGIMES)
    raise ValueError(f"no regime is called {name!r}; there are: {known}.")


def _spans(*ends: tuple[Regime, float]) -> Spans:
    """From noise to data: each regime with the time at which it ends."""
    starts = None, *(end for _, end in ends)
    return tuple((x.name, start, end) for start, (x, end) in zip(starts, ends, strict=False))


def verdict(
    speciation: TransitionTime,
    collapse: TransitionTime,
    needed: PointsNeeded | None,
    n: int,
    broken: tuple[str, ...] = (),
    remarks: tuple[str, ...] = (),
) -> Verdict:
    """The regimes in words, from the two headline times.

    `broken` are the self-checks that failed: with one of them the verdict is open. `remarks` are
    what else a reader of the headline must know.
    """
    said = _verdict(speciation, collapse, needed, n)
    said = replace(said, sentences=(*said.sentences[:1], *remarks, *said.sentences[1:]))
    reasons = tuple(f"A self-check of this run failed: not so that {x}." for x in broken)
    if not reasons:
        return said
    headline = f"Open, since a self-check failed. {said.headline}"
    return Verdict(headline, (*reasons, *said.sentences), said.regimes, None)


def _verdict(
    speciation: TransitionTime, collapse: TransitionTime, needed: PointsNeeded | None, n: int
) -> Verdict:
    t_s, t_c = speciation.t, collapse.t
    if t_c is None:
        return _without_collapse(t_s)
    if t_s is None:
        return _without_speciation(speciation, collapse, t_c)
    at_s, at_c = moment(t_s, speciation.sigma), moment(t_c, collapse.sigma)
    close = _overlap(speciation, collapse)
    apart = (
        f"t_S = {_three(t_s)} by {speciation.method}, t_C = {_three(t_c)} by {collapse.method}: "
        f"{'before' if t_c > t_s else 'after'} the class is decided, a model that fits its "
        "training set exactly starts to copy."
    )
    if close:
        apart += " The two intervals overlap, so the order of the two is open."
    if t_c < t_s:
        sentences, headline = (
            _class_first(close, needed, n),
            (
                f"The class is decided at {at_s}, copying starts at {at_c}: "
                "there is a generalizing regime between them."
            ),
        )
        spans = _spans((WANDERING, t_s), (GENERALIZING, t_c), (MEMORIZING, 0.0))
    else:
        sentences, headline = (
            _copying_first(needed, n),
            (
                f"There is no generalizing regime for this n = {n}: collapse ({at_c}) comes before "
                f"speciation ({at_s})."
            ),
        )
        spans = _spans((WANDERING, t_c), (MEMORIZING, 0.0))
    if close:
        headline = _about_the_same(speciation, collapse)
    sentences += [_sentence(why) for why in speciation.warnings]
    return Verdict(headline, (apart, *sentences), spans, None if close else t_c < t_s)


def _about_the_same(speciation: TransitionTime, collapse: TransitionTime) -> str:
    """The headline where the intervals overlap."""
    assert speciation.t is not None
    assert collapse.t is not None
    assert speciation.low is not None
    assert speciation.high is not None
    if abs(speciation.t - collapse.t) < 0.1 * collapse.t:
        return (
            "The class is decided and copying starts at about the same time, "
            f"{moment(speciation.t, speciation.sigma)}."
        )
    return (
        f"Open which comes first: the class is decided between {moment(speciation.low)} and "
        f"{moment(speciation.high)[4:]}, copying starts at {moment(collapse.t, collapse.sigma)}."
    )


def _without_collapse(t_s: float | None) -> Verdict:
    return Verdict(
        "The collapse lies outside the range studied.",
        (
            "No time studied lies on both sides of the collapse.",
            "Widen the times, or look for duplicates in the data.",
        ),
        () if t_s is None else _spans((WANDERING, t_s), (GENERALIZING, 0.0)),
        None,
    )


def _without_speciation(
    speciation: TransitionTime, collapse: TransitionTime, t_c: float
) -> Verdict:
    return Verdict(
        f"No speciation time by {speciation.method}. {_headline('Copying starts', collapse)}.",
        (
            *(_sentence(why) for why in speciation.warnings),
            "Other methods may give one; see the table of all times.",
        ),
        _spans((WANDERING, t_c), (MEMORIZING, 0.0)),
        None,
    )


def _class_first(close: bool, needed: PointsNeeded | None, n: int) -> list[str]:
    """What t_C < t_S means."""
    sentences = []
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
    return sentences


def _copying_first(needed: PointsNeeded | None, n: int) -> list[str]:
    """What t_C >= t_S means."""
    sentences = []
    if needed is not None:
        end = "the upper end a Gaussian bound from this sample's spectrum"
        if needed.high is None:
            end = "for nothing here bounds t_S from below"
        sentences.append(
            f"About {power_of_ten(needed.log_n)} training points would open a generalizing regime "
            f"({powers_of_ten(needed.low, needed.high)}, {end}); you have {n}. "
            f"Method: {needed.method}."
        )
    sentences.append(
        "A network of limited capacity may still generalize, because it cannot resolve the "
        "training points at these times; the data alone do not force it to."
    )
    return sentences


def _headline(name: str, when: TransitionTime) -> str:
    assert when.t is not None
    step = "" if when.ddpm_step is None else f" ({when.clock} {when.ddpm_step})"
    return f"{name} at {moment(when.t, when.sigma)}{step}"


def _three(t: float) -> str:
    return f"{t:.3f}" if t >= TINY else number(t)


def _sentence(why: str) -> str:
    """A warning on its own; t stays a small letter."""
    first = why[0] if why.startswith("t ") else why[0].upper()
    return f"{first}{why[1:]}."


def _overlap(one: TransitionTime, two: TransitionTime) -> bool:
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return False
    return one.low <= two.high and two.low <= one.high


def range_notes(curves: Curves, clock: Schedule, *headline: TransitionTime) -> tuple[str, ...]:
    """How far the curves reach, and whether the clock does."""
    first, last = curves.t[0], curves.t[-1]
    start = float(clock.times[0])
    beyond: tuple[str, ...] = ()
    if any(x.t is not None and x.t < start / 2 for x in headline):
        beyond = (
            f"the first step of schedule {clock.name}, {moment(start, float(sigma(start)))}"
            ", lies above the times found: its noise hides data of this scale (give them another "
            "by --range or --standardize)",
        )
    worst = max(float(curves.se[name].max()) for name in PRECISION_CURVES)
    return (
        f"curves from t = {first:.3g} to {last:.3g}, {len(curves.t)} times; standard errors of "
        f"those between 0 and 1 at most {worst:.4f}",
        *beyond,
    )
