"""What an audit found, in words and with a confidence.

The verdict rests on the samples: p is the probability that one of them looks like a copy (nearest
over second nearest distance below 1/3), b that of points that cannot be copies. Of samples of which
a share w are copies and the others come from the law, p = w + (1 - w) b. Training points against
one another are near in pairs, and count as half as many. With independent Jeffreys
priors Beta(1/2, 1/2) for p and b, the confidence is the posterior probability of

    memorises       w > 1/2
    copies some     RARE < w <= 1/2
    does not copy   w <= RARE

of the one that is most probable; below UNSURE the verdict is open. So it is where a check of the
`gate` failed that could make it wrong: one that shows samples of another kind than the data leaves
open that nothing is copied, one that finds further copies whatever they would change. Losses and
entropy tell how far a model is on the way to copying; they are stated beside the verdict and do not
enter it, for neither makes a picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import beta

from ..common.numerics import Z95
from ..common.readable import fixed, number, sureness
from ..results import Flag, Share
from .entropy import AT_COLLAPSE
from .findings import OPEN, VERDICTS, Copies, Entropy, Judgement, ModelTime, Returns
from .losses import Losses

RARE, MOST = 0.01, 0.5
UNSURE = 0.9  # confidence below which the verdict is open
_NODES = 2000
_CLEAR = 3.0  # standard errors

# what a failed check of the gate says against a verdict
OF_ANOTHER_KIND = {
    "finite": "some of its numbers are infinite or none at all",
    "scale": "samples and data differ in scale",
    "likeness": "its samples are not like the data",
    "variety": "its samples are all alike",
    "loss": "it denoises the data as if it did not know them",
    "stein": "its score is not that of its own samples",
}
MORE_COPIES = {
    "orientation": "flipped or turned, more of them are",
    "brightness": "brightness and contrast aside, more of them are",
    "half-way": "many lie half-way to one training point",
    "chance": "how many chance would bring is not known well enough",
    "held-out-duplicates": "held-out points that are training points decide what chance is",
    "chance-duplicates": "duplicates among the training points decide what chance is",
}
REASONS = OF_ANOTHER_KIND | MORE_COPIES
MEANS = dict(
    zip(
        VERDICTS,
        (
            "more than half of what it makes are copies",
            "between 1 % and half of what it makes are copies",
            "at most 1 % of what it makes are copies",
        ),
        strict=True,
    )
)


@dataclass(frozen=True)
class Leaning:
    """What the counts alone say: the probabilities of VERDICTS."""

    probabilities: tuple[float, ...]

    @property
    def kind(self) -> str:
        return VERDICTS[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        return max(self.probabilities)


def leaning(copies: Share, baseline: Share) -> Leaning:
    above = [excess_probability(copies, baseline, x) for x in (MOST, RARE)]
    three = above[0], above[1] - above[0], 1 - above[1]
    return Leaning(tuple(min(max(x, 0.0), 1.0) for x in three))


def excess_probability(copies: Share, baseline: Share, level: float) -> float:
    """Posterior probability of w > level, which is p > b + level (1 - b)."""
    return _excess_probability(*copies.cases, *baseline.cases, level)


@lru_cache(maxsize=1024)
def _excess_probability(k: float, m: float, chance: float, of: float, level: float) -> float:
    # the distribution of b as equally probable values
    even = (np.arange(_NODES) + 0.5) / _NODES
    b = beta.ppf(even, chance + 0.5, of - chance + 0.5)
    return float(beta.sf(b + level * (1 - b), k + 0.5, m - k + 0.5).mean())


def judged(
    copies: Copies,
    losses: Losses | None,
    entropy: Entropy | None,
    times: tuple[ModelTime, ...],
    n: int,
    gate: tuple[Flag, ...] = (),
    returns: Returns | None = None,
) -> Judgement:
    """The verdict, and a sentence for each piece of evidence; samples alone have no losses, no
    entropy, no times and no U-turns."""
    lean = leaning(copies.share, copies.baseline)
    kind, against = decision(lean, gate)
    share = copies.share
    counted = f"{share.count} of {share.of} samples are copies ({share.in_percent()})"
    headline = {
        "memorises": f"This model copies its training data: {counted}.",
        "copies some": f"This model copies some of its training data: {counted}.",
        "does not copy": f"This model does not copy: {counted}.",
        OPEN: f"Open: {counted}{_but(against)}.",
    }[kind]
    sentences = (
        _sureness(lean, against),
        _chance(copies),
        _fit(losses, times, gate) if losses else "",
        _law(entropy, times, n) if entropy else "",
        _shells(returns, gate) if returns else "",
        _advice(kind, losses, times),
    )
    return Judgement(
        kind, None if kind == OPEN else lean.confidence,
        dict(zip(VERDICTS, lean.probabilities, strict=True)),
        headline, tuple(x for x in sentences if x),
    )  # fmt: skip


def judged_beside(
    share: Share,
    baseline: Share,
    baseline_of: str,
    gate: tuple[Flag, ...],
    told: str,
    what: str,
) -> Judgement:
    """The verdict of another view: `told`, so many samples `what`."""
    lean = leaning(share, baseline)
    kind, against = decision(lean, gate)
    counted = f"{told} {share.count} of {share.of} samples {what} ({share.in_percent()})"
    chance = f"{baseline.count} of {baseline.of} {baseline_of} ({baseline.in_percent()})"
    words = {"memorises": "more than half of them", "copies some": "between 1 % and half of them",
             "does not copy": "at most 1 % of them"}[lean.kind]  # fmt: skip
    sure = f"confidence {sureness(lean.confidence)} that it is {words}, beyond what chance brings"
    if against:
        sure = f"open{_but(against)}"
    elif kind == OPEN:
        sure = f"open, the counts make it {sureness(lean.confidence)} probable that it is {words}"
    return Judgement(
        kind, None if kind == OPEN else lean.confidence,
        dict(zip(VERDICTS, lean.probabilities, strict=True)),
        f"{counted}.", (f"{counted}, by chance {chance}: {sure}.",),
    )  # fmt: skip


def decision(lean: Leaning, gate: tuple[Flag, ...]) -> tuple[str, list[Flag]]:
    """`kind` of the verdict, and the failed checks that speak against it: copies that were found
    stay found."""
    names = REASONS if lean.kind == "does not copy" else MORE_COPIES
    against = [x for x in gate if not x.ok and x.name in names]
    return lean.kind if lean.confidence >= UNSURE and not against else OPEN, against


def _but(against: list[Flag]) -> str:
    return ", but " + " and ".join(REASONS[x.name] for x in against[:2]) if against else ""


def _sureness(lean: Leaning, against: list[Flag]) -> str:
    told, means = sureness(lean.confidence), MEANS[lean.kind]
    if against:
        names = ", ".join(x.name for x in against)
        return f"That {means} cannot be said beside the checks that failed: {names}."
    if lean.confidence < UNSURE:
        return f"The counts make it {told} probable that {means}. More samples would decide."
    return f"Confidence {told} that {means}, beyond what chance brings."


def _chance(copies: Copies) -> str:
    b = copies.baseline
    return (
        f"A copy is three times nearer to one training point than to any different one; of the "
        f"{copies.baseline_of} {b.count} of {b.of} are ({b.in_percent()})."
    )


def _fit(losses: Losses, times: tuple[ModelTime, ...], gate: tuple[Flag, ...]) -> str:
    if not losses.known:
        return "Without held-out points it is not known whether it fits single training points."
    if any(x.name == "held-out-law" and not x.ok for x in gate):
        return "The held-out points are of another law: their loss does not tell what it fits."
    if any(x.name == "pairing" and not x.ok for x in gate):
        return "Points and conditions do not seem to be paired as in its training."
    at = losses.separation()
    if at is None:
        worst = float(np.max(losses.gap))
        text = (
            "It denoises held-out points as well as training points at the smallest times: no sign "
            f"that it fits single points (largest gap {fixed(worst, 1)} standard errors)."
        )
    else:
        text = (
            f"From t = {number(at, 2)} down it denoises training points better than held-out ones."
        )
    near = decided(losses, times)
    if near is None:
        return text
    t, share, half = near[0], 100 * near[1], 100 * Z95 * near[2]
    digits = 0 if half > 1 else 1
    return (
        f"{text} At t = {number(t, 2)}, where copies would be decided, it shows "
        f"{fixed(share, digits)} ± {half:.{digits}f} % (95 %) of the gap between the two "
        "that the exact score of the training points has."
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
    exact = "" if time.exact is None else f" (the exact score's: {number(time.exact, 2)})"
    last, error = (float(x[0]) * math.log(n) for x in (entropy.value, entropy.se))
    more = last < -_CLEAR * error - AT_COLLAPSE
    return (
        f"The entropy of what it generates comes down to that of {n} single points at t = "
        f"{number(time.t, 2)}{exact} and ends {fixed(last, 1)} ± {Z95 * error:.1f} nats (95 %) "
        f"from it: {'its law is broader than these' if more else 'its law is not clearly broader'}."
    )


def _shells(returns: Returns, gate: tuple[Flag, ...]) -> str:
    """What came back at the middle of the times, below t_C of the exact score."""
    k, draws = len(returns.t) // 2, returns.draws
    t, count = number(returns.t[k], 2), round(returns.training[k] * draws)
    text = (
        f"Noised to t = {t} and denoised, {count} of {draws} training points come back as "
        f"themselves (under the exact score {fixed(100 * returns.exact[k], 0)} %)"
    )
    if not returns.known or any(x.name == "held-out-law" and not x.ok for x in gate):
        return f"{text}."
    return f"{text}, of held-out points {round(returns.held_out[k] * draws)} of {draws}."


def _advice(kind: str, losses: Losses | None, times: tuple[ModelTime, ...]) -> str:
    if kind == OPEN:
        return ""
    if kind == "does not copy":
        if losses is None or losses.separation() is None:
            return ""
        return "It has begun to fit its training points: trained for longer, it may copy."
    steps = "stop the training earlier, remove duplicates, or train on more points"
    clone = next((x.t for x in times if x.method == "clone"), None)
    about = f" Which point comes out is decided at about t = {number(clone, 2)}."
    when = "" if clone is None else about
    return f"To copy less, {steps}; the points below are those that came out.{when}"
