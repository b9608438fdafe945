"""How much augmentation moves the collapse: log(n |G|) in place of log n.

E log[(1 + N S)/(N + S)] = 0 among the N different images that training can see, and among the n
points alone by the same draws, so that the two differ by less than either is uncertain. A copy is
then one of the N: of its own mirror image a point is told later than from all other points.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from ..common import numerics
from ..common.readable import count, interval_text
from ..data.augmented import Orbits
from ..data.datasets import Dataset
from ..data.spectrum import gaussian_information
from ..posterior.groups import GROUPS, T95
from ..posterior.orbits import augmented
from ..process import snr, time_from_snr
from ..results import Augment, Spectrum, TransitionTime, Verdict
from .collapse import HEADLINE
from .criteria import Evidence
from .crossing import left_out_time

_TIMES = 14
_AROUND = 0.7  # in log gamma beyond where the two are looked for
_WORK = 3  # times the draws of the errors of the population, over the members of an orbit
_FEWEST = 8  # blocks


def augment_of(own: Dataset, by: Orbits, evidence: Evidence, alone: TransitionTime) -> Augment:
    """The collapse of the points `own` with and without augmentation; `alone` is t_C without."""
    e = evidence
    times = _times(alone, e.spectrum, math.log(by.members / own.n), e.sample.times)
    blocks = min(e.blocks, max(_FEWEST, _WORK * e.blocks // len(by.places)))
    seen = augmented(
        own.points, by, times, blocks=blocks, seed=e.seed, memory_mib=e.memory_mib,
        device=e.cloud.coordinates.device, progress=e.report,
    )  # fmt: skip
    time, without = (
        left_out_time(e.schedule, "collapse", HEADLINE, times, rows.T)
        for rows in (seen.bounded, seen.without)
    )
    same, same_se = seen.same_member
    log_n = math.log(by.members)
    return Augment(
        by.words, len(by.places), by.members, time, without,
        *_moved(times, seen.bounded, seen.without), times, seen.entropy[0] / log_n,
        seen.entropy[1] / log_n, same, same_se,
    )  # fmt: skip


def _times(alone: TransitionTime, spectrum: Spectrum, more: float, every: np.ndarray) -> np.ndarray:
    """Around the collapse without augmentation, and on towards the data to where Gaussian data tell
    so much `more`, in nats, and half as much again; `every` time where there is none."""
    if alone.t is None:
        return every
    start = math.log(snr(alone.t))
    known = float(gaussian_information(spectrum, math.exp(start))[0])

    def missing(log_gamma: float) -> float:
        return float(gaussian_information(spectrum, math.exp(log_gamma))[0]) - known - 1.5 * more

    end = float(brentq(missing, start - 1e-9, start + 60)) if more > 0 else start
    log_gamma = np.linspace(start - _AROUND, end + _AROUND, _TIMES)
    return np.asarray(time_from_snr(np.exp(log_gamma[::-1])))


def _moved(
    times: np.ndarray, with_it: np.ndarray, without: np.ndarray
) -> tuple[float | None, float | None, float | None]:
    """t_C with less that without augmentation, and its 95 % interval."""
    axis = -np.log(snr(times))
    places = [-numerics.crossings(axis, rows.T, 0.0) for rows in (with_it, without)]
    gaps = np.subtract(*(time_from_snr(np.exp(x)) for x in places))
    if not np.isfinite(gaps).all():
        return (float(gaps[0]) if math.isfinite(gaps[0]) else None), None, None
    error = T95 * math.sqrt((GROUPS - 1) * gaps[1:].var())
    return float(gaps[0]), float(gaps[0] - error), float(gaps[0] + error)


def with_augment(verdict: Verdict, found: Augment, n: int) -> Verdict:
    """The verdict with how much augmentation moves the collapse."""
    words = ", ".join(found.words)
    said = f"With {words} training sees {count(found.members)} different images of the {count(n)}"
    value, span = interval_text(found.time.t, found.time.low, found.time.high)
    if found.time.t is None or found.moved is None:
        said += ", and there is no t_C in the range studied."
    else:
        by = f"{found.moved:+.3g}".replace("-", "−")
        if found.low is not None and found.high is not None:
            low, high = (f"{x:+.3g}".replace("-", "−") for x in (found.low, found.high))
            by += f", {low} to {high}"
        said += f": t_C is {value}{f' ({span})' if span else ''}, moved by {by}."
    return replace(verdict, sentences=(*verdict.sentences, said))
