"""The criteria of speciation and collapse, one declaration each: names, words and functions.

A criterion turns the evidence of a run into a `TransitionTime`. To add one is to write its function
in `speciation` or `collapse` and to declare it in `CRITERIA`, behind those whose random numbers it
shall not move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..common.parallel import Progress
from ..data.cloud import Cloud
from ..process import Schedule
from ..results import Headline, Spectrum, TransitionTime
from ..theory.gaussian_mixture import CLONE_LEVEL
from . import collapse, speciation
from .crossing import Resampled
from .influence import loo_influence, of_population


def blind_level(class_counts: Iterable[int]) -> float:
    """phi_inf, the sum of squared class shares: phi at pure noise."""
    counts = np.asarray(list(class_counts))
    return float(((counts / counts.sum()) ** 2).sum())


def clone_level(class_counts: Iterable[int]) -> float:
    """phi at speciation, phi_inf + 0.55 (1 - phi_inf): the paper's 0.775 for two equal classes."""
    blind = blind_level(class_counts)
    return blind + CLONE_LEVEL * (1 - blind)


@dataclass(frozen=True)
class Evidence:
    """What a run knows of a dataset before its transition times, and what criteria share of it.

    `matrix` (r, r) is the covariance of the cloud and `spectrum` that of the dataset. `rng` serves
    the criteria in turn; `seed` is for draws of their own.
    """

    curves: Resampled
    spectrum: Spectrum
    matrix: np.ndarray
    cloud: Cloud
    schedule: Schedule
    class_counts: tuple[int, ...]
    rng: np.random.Generator
    seed: int
    memory_mib: int

    @property
    def n(self) -> int:
        return self.cloud.n

    @cached_property
    def level(self) -> float:
        """phi at speciation."""
        return clone_level(self.class_counts)

    @cached_property
    def line(self) -> collapse.EntropyLine | None:
        return collapse.entropy_line(self.curves, self.spectrum, self.n)

    @cached_property
    def largest(self) -> np.ndarray:
        """Resamples of Lambda, (B,)."""
        return speciation.resampled_largest(self.spectrum, self.matrix, self.cloud, self.rng)


def _clone_loo_time(e: Evidence) -> TransitionTime:
    """Speciation by `clone-loo`, with the interval of the population (`influence`)."""
    seen = speciation.clone_loo_time(e.curves, e.schedule, e.level)
    if seen.t is None:
        return seen
    moved = loo_influence(e.cloud, seen.t, seed=e.seed, memory_mib=e.memory_mib)
    curves = of_population(e.curves, moved, e.n, e.seed)
    return speciation.clone_loo_time(curves, e.schedule, e.level)


@dataclass(frozen=True)
class Criterion:
    """One way to say when a transition happens: `name` is the method of its `TransitionTime`."""

    transition: str  # "speciation" | "collapse"
    name: str
    words: str
    function: Callable[[Evidence], TransitionTime | None]  # None where it does not apply


CRITERIA = (
    Criterion(
        "speciation",
        "spectral",
        "½ log Λ, Λ the largest eigenvalue of the covariance of all features, all colours",
        lambda e: speciation.spectral_time(e.spectrum, e.largest, e.schedule),
    ),
    Criterion(
        "speciation",
        "spectral-first-channel",
        "the same of the first colour channel alone: the paper's, of pixels in [0, 1]",
        lambda e: speciation.first_channel_time(e.spectrum, e.schedule),
    ),
    Criterion(
        "speciation",
        "spectral-exact",
        "½ log(1 + Λ), the same at any noise level",
        lambda e: speciation.spectral_exact_time(e.spectrum, e.largest, e.schedule),
    ),
    Criterion(
        "speciation",
        "landau",
        "the noised density gets its second valley",
        lambda e: speciation.landau_time(e.spectrum, e.cloud, e.schedule, e.rng),
    ),
    Criterion(
        "speciation",
        "clone",
        "clones of a sample agree on the class",
        lambda e: speciation.clone_time(e.curves, e.schedule, e.level),
    ),
    Criterion(
        "speciation",
        "clone-loo",
        "the same without the sample itself: what new data would show",
        _clone_loo_time,
    ),
    Criterion(
        "collapse",
        "free-energy",
        "a training point outweighs all the others together",
        lambda e: collapse.free_energy_time(e.curves, e.schedule),
    ),
    Criterion(
        "collapse",
        "entropy",
        "the excess entropy, extended from above, reaches zero",
        lambda e: collapse.entropy_time(e.curves, e.line, e.spectrum, e.schedule, e.n),
    ),
    Criterion(
        "collapse",
        "clone",
        "clones of a sample end on the same training point, half the time",
        lambda e: collapse.clone_time(e.curves, e.schedule),
    ),
    Criterion(
        "collapse",
        "gaussian-bound",
        "upper bound from the spectrum alone",
        lambda e: collapse.gaussian_bound_time(e.spectrum, e.matrix, e.cloud, e.schedule, e.rng),
    ),
)
METHODS = {(x.transition, x.name): x.words for x in CRITERIA}


def transition_times(evidence: Evidence, report: Progress) -> tuple[TransitionTime, ...]:
    """The time by every criterion that applies, in the order of `CRITERIA`, that of the draws."""
    times = []
    for k, criterion in enumerate(CRITERIA):
        report(k, len(CRITERIA), "transition times")
        times.append(criterion.function(evidence))
    report(len(CRITERIA), len(CRITERIA), "transition times")
    return tuple(x for x in times if x is not None)


def headline(labelled: bool) -> Headline:
    """`clone-loo` needs classes that mean something; without labels the spectrum speaks."""
    return Headline("clone-loo" if labelled else "spectral", "free-energy")
