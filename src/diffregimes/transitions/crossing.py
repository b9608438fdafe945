"""From curves to transition times: crossings with bootstrap intervals, in every clock.

A transition time is where a mean curve crosses a level; the crossing at the largest t counts,
since generation meets it first. Which curve and which level is the business of `speciation` and
`collapse`.

Intervals are 95 % percentiles over bootstrap resamples of the training points (each with its
draws). The posterior weights are not recomputed for these; what the choice of the points does to
them is known from groups of points left out in turn (`posterior.left_out`), whose standard error
the resamples are given at the crossing, so that an interval speaks of the population. Log gamma
is the axis of every interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..common import numerics
from ..common.readable import moment
from ..posterior.groups import T95
from ..posterior.sample import Sample
from ..process import Schedule, sigma, snr, time_from_snr
from ..results import TransitionTime

Interval = tuple[float | None, tuple[float | None, float | None]]  # t and its 95 % interval
_MOST = 0.75  # of the sets without a group: so many have a crossing, or there is no error
COARSE = 1.5  # in log gamma: wider steps between times are told as a warning


@dataclass(frozen=True)
class Resampled:
    """Mean curves (T,), and of every bootstrap resample (B, T), against increasing log gamma."""

    log_gamma: np.ndarray
    mean: dict[str, np.ndarray]
    resamples: dict[str, np.ndarray]

    def both(self, name: str) -> np.ndarray:
        """The mean on top of the resamples, (1 + B, T)."""
        return np.vstack([self.mean[name], self.resamples[name]])


def resample(sample: Sample, rng: np.random.Generator) -> Resampled:
    """Bootstrap the mean curves by training point."""
    points, where = np.unique(sample.points, return_inverse=True)
    weight = np.bincount(where).astype(np.float64)
    sums = {}
    for name, values in sample.values.items():
        sums[name] = np.zeros((len(points), len(sample.times)))
        np.add.at(sums[name], where, values)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in sums}
    for counts in numerics.resample_counts(len(points), rng):
        drawn = counts.astype(np.float64)
        total = drawn @ weight
        for name, of_points in sums.items():
            parts[name].append(drawn @ of_points / total[:, None])
    mean = {name: values.mean(axis=0)[::-1] for name, values in sample.values.items()}
    resamples = {name: np.concatenate(x)[:, ::-1] for name, x in parts.items()}
    return Resampled(np.log(snr(sample.times))[::-1], mean, resamples)


def clocked(
    schedule: Schedule,
    transition: str,
    method: str,
    t: float | None,
    interval: tuple[float | None, float | None] = (None, None),
    warnings: tuple[str, ...] = (),
) -> TransitionTime:
    """A TransitionTime in every clock."""
    if t is None or not math.isfinite(t):
        return TransitionTime(transition, method, None, warnings=warnings, clock=schedule.clock)
    low, high = interval
    step = schedule.step(t)
    if step is None:
        beyond = f"{moment(t)} is noisier than the last step of schedule {schedule.name}"
        warnings = (*warnings, beyond)
    clocks = step, float(sigma(t)), float(snr(t))
    return TransitionTime(
        transition, method, float(t), low, high, *clocks, warnings, schedule.clock
    )


def from_log_gamma(places: np.ndarray) -> Interval:
    """Time and interval from crossings in log gamma: the value first, resamples behind it."""
    times = time_from_snr(np.exp(places))
    value = float(times[0]) if np.isfinite(times[0]) else None
    return value, numerics.interval(times[1:])


def curve_time(
    curves: Resampled, schedule: Schedule, transition: str, method: str, name: str, level: float
) -> TransitionTime:
    """Where a curve crosses a level; the crossing at the largest t counts, met first."""
    # crossings() takes the largest x: -log gamma increases with t
    axis = -curves.log_gamma[::-1]
    places = -numerics.crossings(axis, curves.both(name)[:, ::-1], level)
    t, bounds = from_log_gamma(places)
    notes: list[str] = []
    if t is None:
        first, last = curves.mean[name][0], curves.mean[name][-1]
        times = time_from_snr(np.exp(curves.log_gamma[[-1, 0]]))
        notes.append(
            f"{name} does not cross {level:.3g} between t = {times[0]:.3g} ({last:.3g}) and "
            f"t = {times[1]:.3g} ({first:.3g})"
        )
    else:
        gap = float(np.diff(curves.log_gamma)[_gap_of(curves, places[0])])
        if gap > COARSE:
            ends = curves.log_gamma[_gap_of(curves, places[0])] + np.array([gap, 0])
            near, far = time_from_snr(np.exp(ends))
            notes.append(
                f"interpolated between the times {near:.3g} and {far:.3g}; the interval leaves out "
                "what happens between them"
            )
        missing = float(np.isnan(places[1:]).mean())
        if missing > 0.01:
            notes.append(
                f"{missing:.0%} of the resamples do not cross; the interval leaves them out"
            )
    return clocked(schedule, transition, method, t, bounds, tuple(notes))


def mean_crossing(curves: Resampled, name: str, level: float) -> float:
    """log gamma where the mean curve crosses a level, at the largest t; NaN where it does not."""
    axis = -curves.log_gamma[::-1]
    return -float(numerics.crossings(axis, curves.mean[name][None, ::-1], level)[0])


def of_population(
    curves: Resampled, places: Mapping[str, float], errors: Mapping[str, float]
) -> Resampled:
    """The curves with resamples that have, at log gamma = `places` by name, the standard errors
    of the population (a jackknife's: normal ends are widened to those of its t law)."""
    resamples = dict(curves.resamples)
    for name, place in places.items():
        seen = resamples[name] - curves.mean[name]
        at = np.array([np.interp(place, curves.log_gamma, row) for row in seen])
        if at.std() > 0:
            factor = errors[name] * T95 / numerics.Z95 / at.std()
            resamples[name] = curves.mean[name] + factor * (seen - at.mean())
    return Resampled(curves.log_gamma, curves.mean, resamples)


def straight(
    curves: Resampled, name: str, ends: np.ndarray, covariance: np.ndarray, rng: np.random.Generator
) -> Resampled:
    """The curves with resamples of one that differ from its mean by straight lines.

    Their values at the two log gamma `ends` have the `covariance` (2, 2) of a jackknife (its t law,
    as in `of_population`): for what is fitted between the ends, whose slope counts."""
    normal = rng.multivariate_normal(np.zeros(2), covariance, len(curves.resamples[name]))
    normal *= T95 / numerics.Z95
    slope = (normal[:, 1] - normal[:, 0]) / (ends[1] - ends[0])
    moved = normal[:, :1] + slope[:, None] * (curves.log_gamma - ends[0])
    resamples = {**curves.resamples, name: curves.mean[name] + moved}
    return Resampled(curves.log_gamma, curves.mean, resamples)


def left_out_time(
    schedule: Schedule,
    transition: str,
    method: str,
    times: np.ndarray,
    rows: np.ndarray,
    level: float = 0.0,
) -> TransitionTime:
    """Where the first of `rows` (1 + G, T), at increasing `times` (T,), crosses the level, at the
    largest t; its interval is from the others, each without a group of points."""
    places = -numerics.crossings(-np.log(snr(times)), rows, level)
    if not math.isfinite(places[0]):
        why = f"it does not cross {level:.3g} between t = {times[0]:.3g} and t = {times[-1]:.3g}"
        return clocked(schedule, transition, method, None, warnings=(why,))
    known = places[1:][np.isfinite(places[1:])]
    t = float(time_from_snr(math.exp(places[0])))
    if len(known) < _MOST * (len(places) - 1):
        why = "without some of the points there is no crossing, and so there is no interval"
        return clocked(schedule, transition, method, t, warnings=(why,))
    error = T95 * math.sqrt((len(places) - 2) * known.var())
    low, high = (float(time_from_snr(math.exp(places[0] + x))) for x in (error, -error))
    return clocked(schedule, transition, method, t, (low, high))


def _gap_of(curves: Resampled, log_gamma: float) -> int:
    """The grid interval that holds log_gamma."""
    place = int(np.searchsorted(curves.log_gamma, log_gamma)) - 1
    return min(max(place, 0), len(curves.log_gamma) - 2)


def band_crossing(
    t: np.ndarray, band: np.ndarray, level: float
) -> tuple[float | None, float | None, float | None]:
    """The largest t at which a curve, the first row of `band` (3, T), crosses the level, and those
    of the two ends of its error band; None where there is none."""
    places = numerics.crossings(-np.log(snr(t)), band, level)
    best, one, two = (
        float(time_from_snr(math.exp(-x))) if math.isfinite(x) else None for x in places
    )
    if best is None or one is None or two is None:
        return best, one, two
    return best, min(one, two), max(one, two)
