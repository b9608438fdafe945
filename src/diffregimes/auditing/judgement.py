"""What an audit found, in words and with a confidence.

The verdict rests on the samples alone: p is the probability that one of them is a copy (nearest
over second nearest distance below 1/3) and b that of points that cannot be copies. With independent
Jeffreys priors Beta(1/2, 1/2) for both, the confidence is the posterior probability of

    memorises       p - b > 1/2
    copies some     RARE < p - b <= 1/2
    does not copy   p - b <= RARE

of the one that is most probable. Losses and entropy tell how far a model is on the way to copying;
they are stated beside the verdict and do not enter it, for neither makes a picture.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta

from ..common.numerics import Z95
from ..results import Share
from .entropy import AT_COLLAPSE
from .findings import VERDICTS, Copies, Entropy, Judgement, ModelTime
from .losses import Losses

RARE, MOST = 0.01, 0.5
UNSURE = 0.9  # confidence below which the verdict is said to be open
_NODES = 2000
_CLEAR = 3.0  # standard errors


def excess_probability(copies: Share, baseline: Share, level: float) -> float:
    """Posterior probability of p - b > level."""
    # the distribution of b as equally probable values
    even = (np.arange(_NODES) + 0.5) / _NODES
    b = beta.ppf(even, baseline.count + 0.5, baseline.of - baseline.count + 0.5)
    p = beta(copies.count + 0.5, copies.of - copies.count + 0.5)
    return float(p.sf(np.minimum(b + level, 1)).mean())


def judged(
    copies: Copies, losses: Losses, entropy: Entropy, times: tuple[ModelTime, ...], n: int
) -> Judgement:
    """The verdict, and a sentence for each piece of evidence."""
    above = [excess_probability(copies.share, copies.baseline, x) for x in (MOST, RARE)]
    probabilities = above[0], above[1] - above[0], 1 - above[1]
    best = int(np.argmax(probabilities))
    kind, confidence = VERDICTS[best], float(min(max(probabilities[best], 0.0), 1.0))
    share = copies.share
    counted = f"{share.count} of {share.of} samples are copies ({share.in_percent()})"
    headline = {
        "memorises": f"This model copies its training data: {counted}.",
        "copies some": f"This model copies some of its training data: {counted}.",
        "does not copy": f"This model does not copy: {counted}.",
    }[kind]
    if confidence < UNSURE:
        headline = f"Open: {counted}."
    sentences = (
        _sureness(kind, confidence),
        _chance(copies),
        _fit(losses, times),
        _law(entropy, times, n),
        _advice(kind, confidence, losses, times),
    )
    return Judgement(kind, confidence, headline, tuple(x for x in sentences if x))


def _sureness(kind: str, confidence: float) -> str:
    means = {
        "memorises": "more than half of what it makes are copies",
        "copies some": "between 1 % and half of what it makes are copies",
        "does not copy": "at most 1 % of what it makes are copies",
    }[kind]
    sure = f"{100 * confidence:.0f} %" if confidence < 0.995 else "more than 99 %"
    more = "" if confidence >= UNSURE else " More samples would decide."
    return f"Confidence {sure} that {means}, beyond what chance brings.{more}"


def _chance(copies: Copies) -> str:
    b = copies.baseline
    return (
        f"A copy is three times nearer to one training point than to any other; of the "
        f"{copies.baseline_of} {b.count} of {b.of} are ({b.in_percent()})."
    )


def _fit(losses: Losses, times: tuple[ModelTime, ...]) -> str:
    if not losses.known:
        return "Without held-out points it is not known whether it fits single training points."
    at = losses.separation()
    if at is None:
        worst = float(np.max(losses.gap))
        text = (
            "It denoises held-out points as well as training points at the smallest times: no sign "
            f"that it fits single points (largest gap {worst:.1f} standard errors)."
        )
    else:
        text = f"From t = {at:.2g} down it denoises training points better than held-out ones."
    near = decided(losses, times)
    if near is None:
        return text
    t, share, half = near[0], 100 * near[1], 100 * Z95 * near[2]
    digits = 0 if half > 1 else 1
    return (
        f"{text} At t = {t:.2g}, where copies would be decided, it shows {share:.{digits}f} ± "
        f"{half:.{digits}f} % (95 %) of the gap between the two that the exact score of the "
        "training points has."
    )


def decided(losses: Losses, times: tuple[ModelTime, ...]) -> tuple[float, float, float] | None:
    """`Losses.copied_near` where clones of the exact score part ways half of the time."""
    exact = {x.method: x.exact for x in times}
    t = exact["clone"] or exact["entropy"] or exact["loss-gap"]
    return None if t is None else losses.copied_near(t)


def _law(entropy: Entropy, times: tuple[ModelTime, ...], n: int) -> str:
    time = next(x for x in times if x.method == "entropy")
    if time.t is None:
        return ""
    exact = "" if time.exact is None else f" (the exact score's: {time.exact:.2g})"
    last, error = (float(x[0]) * math.log(n) for x in (entropy.value, entropy.se))
    more = last < -_CLEAR * error - AT_COLLAPSE
    return (
        f"The entropy of what it generates comes down to that of {n} single points at t = "
        f"{time.t:.2g}{exact} and ends {last:.1f} ± {Z95 * error:.1f} nats (95 %) from it: "
        f"{'its law is broader than these' if more else 'its law is not clearly broader'}."
    )


def _advice(kind: str, confidence: float, losses: Losses, times: tuple[ModelTime, ...]) -> str:
    if confidence < UNSURE:
        return ""
    if kind == "does not copy":
        if losses.separation() is None:
            return ""
        return "It has begun to fit its training points: trained for longer, it may copy."
    steps = "stop the training earlier, remove duplicates, or train on more points"
    clone = next(x for x in times if x.method == "clone")
    when = (
        "" if clone.t is None else f" Which point comes out is decided at about t = {clone.t:.2g}."
    )
    return f"To copy less, {steps}; the points below are those that came out.{when}"
