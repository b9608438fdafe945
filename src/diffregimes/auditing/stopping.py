"""When to stop a training: once it surely fits, or copies, single points.

Two questions are asked at every look. Gap: is the loss on held-out points above that on training
points, at one of the levels? For a network that knows the law alone both sets are draws of one law,
and (held_out - train)/error is Student's t; the error is that of means over points, as if both sets
had noise of their own: they share it, so it is too large and on the safe side. Copies: do more
samples look like copies than chance brings? Their number is beta-binomial, the chance being known
from a count of its own.

Looks are many, and each could give a false alarm. Half of `alpha` goes to each question, that of
the gap in equal parts to the levels, and the j-th look may spend 1/(j (j + 1)) of it, which sums to
1: however many looks there are and however they hang together, a training in which nothing is
memorised is stopped with a probability of at most `alpha`. How much less, and how late memory is
noticed, is measured in docs/monitor.md.

What this leaves open: held-out points of another law than the training points have a gap without
any memory.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import betabinom
from scipy.stats import t as student

from ..common.share import Share
from .losses import Losses

ALPHA = 0.01


def gap_probability(losses: Losses, points: int) -> float:
    """That of so large a gap at any of the levels without memory; `points` is how many different
    ones the smaller set has."""
    each = student.sf(losses.gap, points - 1)
    return min(1.0, len(each) * float(each.min()))


def copies_probability(copies: int, samples: int, baseline: Share) -> float:
    """That of so many copies among the samples by chance, known from a count with Jeffreys'
    prior."""
    chance = baseline.count + 0.5, baseline.of - baseline.count + 0.5
    return float(betabinom.sf(copies - 1, samples, *chance))


def reason_to_stop(gap: float, copies: float, look: int, alpha: float) -> str:
    """What the look-th look, counted from 1, gives reason to: "gap", "copies", "gap and copies" or
    nothing, by the two probabilities."""
    most = alpha / 2 / (look * (look + 1))
    found = [name for name, p in (("gap", gap), ("copies", copies)) if p <= most]
    return " and ".join(found)


def smaller(points: np.ndarray, others: np.ndarray, draws: int) -> int:
    """How many different points the smaller of two sets has among so many draws of each."""
    return min(len(points), len(others), draws)
