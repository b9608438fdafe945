"""The criteria of speciation and collapse, one declaration each: names, words and functions.

A criterion turns the evidence of a run into a `TransitionTime`. To add one is to write its function
in `speciation` or `collapse` and to declare it in `CRITERIA`, behind those whose random numbers it
shall not move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..common.parallel import Progress
from ..common.rng import numpy_generator
from ..data.cloud import Cloud
from ..posterior.by_group import ByGroup, by_group
from ..posterior.groups import jackknife_covariance, jackknife_error
from ..posterior.left_out import HeatedLogOdds, Means, Question, asked
from ..posterior.sample import Sample
from ..process import Schedule, snr, time_from_snr
from ..results import Headline, Spectrum, TransitionTime
from ..theory.gaussian_mixture import CLONE_LEVEL
from . import balance, collapse, grouped, outliers, pairs, speciation
from .crossing import Resampled, mean_crossing, of_population, straight
from .shares import of_class_shares


def blind_level(class_counts: Iterable[int]) -> float:
    """phi_inf, the sum of squared class shares: phi at pure noise."""
    counts = np.asarray(list(class_counts))
    return float(((counts / counts.sum()) ** 2).sum())


def clone_level(class_counts: Iterable[int]) -> float:
    """phi at speciation, phi_inf + 0.55 (1 - phi_inf): the paper's 0.775 for two equal classes."""
    blind = blind_level(class_counts)
    return blind + CLONE_LEVEL * (1 - blind)


@dataclass(frozen=True)
class LeftOut:
    """Of sets without a group: means of the curves at their places; the log-odds where `balance`
    looks first, and those of the pairs of three classes or more, None where they have none."""

    means: dict[str, np.ndarray]
    first: tuple[balance.Look, HeatedLogOdds] | None
    pairs: pairs.PairCurves | None


@dataclass(frozen=True)
class Evidence:
    """What a run knows of a dataset before its transition times, and what criteria share of it.

    `matrix` (r, r) is the covariance of the cloud and `spectrum` that of the dataset; `bulk` the
    same of the points that do not lie far out. `rng` serves
    the criteria in turn; `seed` is for draws of their own, `blocks` of them at most.
    """

    sample: Sample
    seen: Resampled
    spectrum: Spectrum
    matrix: np.ndarray
    cloud: Cloud
    bulk: outliers.Bulk
    schedule: Schedule
    class_counts: tuple[int, ...]
    rng: np.random.Generator
    seed: int
    memory_mib: int
    blocks: int
    report: Progress
    groups: np.ndarray | None = None  # (n,) in the order of the dataset

    @property
    def n(self) -> int:
        return self.cloud.n

    @cached_property
    def level(self) -> float:
        """phi at speciation."""
        return clone_level(self.class_counts)

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """log gamma of where criteria ask for the errors of a curve, (1,); of the excess entropy
        the ends of its line, (2,)."""
        levels = {
            "same_class_probability": self.level,
            LOO: self.level,
            OWN: self.level,
            collapse.FREE: 0.0,
            collapse.BOUNDED: 0.0,
            "same_point_probability": 0.5,
        }
        places = {name: mean_crossing(self.seen, name, x) for name, x in levels.items()}
        out = {name: np.array([x]) for name, x in places.items() if math.isfinite(x)}
        ends = collapse.line_ends(self.seen, self.n)
        return out | ({collapse.EXCESS: np.array(ends)} if ends else {})

    @cached_property
    def left_out(self) -> LeftOut:
        """All of it comes from the same draws, whose products take longest."""
        times = {name: time_from_snr(np.exp(x)) for name, x in self._places.items()}
        how: dict[str, Any] = {"seed": self.seed, "memory_mib": self.memory_mib}
        of_curves: list[Question[Any]] = [Means(times)] if times else []
        asked_first: list[Question[Any]] = []
        of_pairs = first = None
        if not balance.unfit(self.cloud):
            first = balance.look(self.cloud, balance.around(self.start), **how)
            asked_first = [first.question]
            if len(self.class_counts) > 2:
                of_pairs = pairs.asking(self.cloud, first, self.start, blocks=self.blocks, **how)
                asked_first = [*of_pairs.questions]
        if not of_curves + asked_first:
            return LeftOut({}, None, None)
        answers = asked(
            self.cloud, of_curves + asked_first, blocks=self.blocks, progress=self.report, **how
        )
        means, odds = (answers[0] if times else {}), answers[len(of_curves) :]
        return LeftOut(
            means,
            None if first is None else (first, odds[0]),
            None if of_pairs is None else pairs.curves(of_pairs, odds),
        )

    @cached_property
    def curves(self) -> Resampled:
        """The curves, their resamples as wide as the population's errors where criteria ask."""
        means, places = self.left_out.means, dict(self._places)
        if not places:
            return self.seen
        ends = places.pop(collapse.EXCESS, None)
        errors = {
            name: math.hypot(float(jackknife_error(means[name])[0]), self._by_shares(name, place))
            for name, place in places.items()
        }
        at = {name: float(place[0]) for name, place in places.items()}
        curves = of_population(self.seen, at, errors)
        if ends is None:
            return curves
        covariance = jackknife_covariance(means[collapse.EXCESS])
        covariance += of_class_shares(self.sample, self.cloud, collapse.EXCESS, ends)
        rng = numpy_generator(self.seed, "entropy line")
        return straight(curves, collapse.EXCESS, ends, covariance, rng)

    def _by_shares(self, name: str, log_gamma: np.ndarray) -> float:
        """Standard error that the chance of the class counts adds; the level of phi moves along
        with them."""
        if name in (LOO, OWN, "same_class_probability"):
            return 0.0
        return math.sqrt(of_class_shares(self.sample, self.cloud, name, log_gamma)[0, 0])

    @cached_property
    def line(self) -> collapse.EntropyLine | None:
        return collapse.entropy_line(self.curves, self.bulk.spectrum, self.n)

    @cached_property
    def largest(self) -> speciation.Largest:
        """Lambda of the population and its resamples."""
        return speciation.largest(self.bulk.spectrum, self.bulk.matrix, self.bulk.cloud, self.rng)

    @cached_property
    def by_group(self) -> ByGroup | None:
        """The posterior over groups, where some have several points."""
        if self.groups is None:
            return None
        return by_group(
            self.cloud, self.groups[self.cloud.order], self.sample.times, blocks=self.blocks,
            seed=self.seed, memory_mib=self.memory_mib, progress=self.report, text="groups",
        )  # fmt: skip

    @cached_property
    def loo(self) -> TransitionTime:
        """The time by `clone-loo`."""
        return speciation.clone_loo_time(self.curves, self.schedule, self.level)

    @property
    def calm(self) -> bool:
        """Many points compete at the speciation: the left-out weights are as sure as right."""
        t = self.loo.t
        return t is not None and not speciation.overconfidence(self.curves, math.log(snr(t)))

    @cached_property
    def start(self) -> float:
        """log gamma of where the log-odds of the classes are looked at first: the middle of the
        curves where nothing says where."""
        middle = float(np.median(self.seen.log_gamma))
        if len(self.class_counts) == 2:
            # balanced classes part where the mean log-odds are 2
            place = mean_crossing(self.seen, "class_log_odds", 2.0)
            return place if math.isfinite(place) else middle
        places = [mean_crossing(self.seen, name, self.level) for name in (LOO, OWN)]
        known = [x for x in places if math.isfinite(x)]
        return float(np.mean(known)) if known else middle


def _balance_time(e: Evidence) -> TransitionTime:
    """Speciation by `balance`."""
    time = balance.balance_time(
        e.cloud, e.start, e.schedule, e.level, floor=e.loo.low or 0.0, blocks=e.blocks,
        seed=e.seed, memory_mib=e.memory_mib, progress=e.report, first=e.left_out.first,
    )  # fmt: skip
    return balance.reaching(time, e.loo, e.calm)


@dataclass(frozen=True)
class Criterion:
    """One way to say when a transition happens: `name` is the method of its `TransitionTime`;
    `of_bulk` if points far out take no part in it."""

    transition: str  # "speciation" | "collapse"
    name: str
    words: str
    function: Callable[[Evidence], TransitionTime | None]  # None where it does not apply
    of_bulk: bool = False


CRITERIA = (
    Criterion(
        "speciation",
        "spectral",
        "½ log Λ, Λ the largest eigenvalue of the covariance of all features, all colours",
        lambda e: speciation.spectral_time(e.bulk.spectrum, e.largest, e.schedule),
        of_bulk=True,
    ),
    Criterion(
        "speciation",
        "spectral-first-channel",
        "the same of the first colour channel alone: the paper's, of pixels in [0, 1]",
        lambda e: speciation.first_channel_time(e.bulk.spectrum, e.schedule),
        of_bulk=True,
    ),
    Criterion(
        "speciation",
        "spectral-exact",
        "½ log(1 + Λ), the same at any noise level",
        lambda e: speciation.spectral_exact_time(e.bulk.spectrum, e.largest, e.schedule),
        of_bulk=True,
    ),
    Criterion(
        "speciation",
        "landau",
        "the noised density gets its second valley",
        lambda e: speciation.landau_time(e.bulk.spectrum, e.bulk.cloud, e.schedule, e.rng),
        of_bulk=True,
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
        lambda e: e.loo,
    ),
    Criterion(
        "speciation",
        "balance",
        "the mean log-odds of the classes balance their fluctuation",
        _balance_time,
    ),
    Criterion(
        "speciation",
        grouped.SPECIATION,
        "clones agree on the class by what the other groups of points say of it",
        lambda e: grouped.speciation_time(e.by_group, e.schedule, e.level),
    ),
    Criterion(
        "collapse",
        "bounded-free-energy",
        "a training point outweighs all the others together; each counts n-fold at the most",
        lambda e: collapse.bounded_free_energy_time(e.curves, e.schedule),
    ),
    Criterion(
        "collapse",
        "free-energy",
        "the same in the plain mean, which a few points far out decide",
        lambda e: collapse.free_energy_time(e.curves, e.schedule),
    ),
    Criterion(
        "collapse",
        "entropy",
        "the excess entropy, extended from above, reaches zero",
        lambda e: collapse.entropy_time(e.curves, e.line, e.bulk.spectrum, e.schedule, e.n),
        of_bulk=True,
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
        "upper bound on the entropy criterion: the most that data of this spectrum tell is log n",
        lambda e: collapse.gaussian_bound_time(
            e.bulk.spectrum, e.bulk.matrix, e.bulk.cloud, e.schedule, e.rng, e.n - len(e.bulk.far)
        ),
        of_bulk=True,
    ),
    Criterion(
        "collapse",
        grouped.COLLAPSE,
        "a group of points outweighs all the other groups together",
        lambda e: grouped.collapse_time(e.by_group, e.schedule),
    ),
)
LOO, OWN = speciation.LOO, speciation.OWN
METHODS = {(x.transition, x.name): x.words for x in CRITERIA}


def transition_times(evidence: Evidence, report: Progress) -> tuple[TransitionTime, ...]:
    """The time by every criterion that applies, in the order of `CRITERIA`, that of the draws."""
    times = []
    for k, criterion in enumerate(CRITERIA):
        report(k, len(CRITERIA), "transition times")
        time = criterion.function(evidence)
        if time is not None and criterion.of_bulk:
            time = replace(time, warnings=(*time.warnings, *evidence.bulk.warnings))
        times.append(time)
    report(len(CRITERIA), len(CRITERIA), "transition times")
    return tuple(x for x in times if x is not None)


def headline(labelled: bool, evidence: Evidence) -> Headline:
    """Without labels the spectrum speaks.

    `clone-loo` supposes nothing of the law, and holds while many points compete: where its weights
    are as sure of the class as they are right. `balance` supposes Gaussian log-odds, and holds
    where few points decide, too; it compares up to 32 classes of 4 points or more.
    """
    copied = collapse.HEADLINE if evidence.groups is None else grouped.COLLAPSE
    if not labelled:
        return Headline("spectral", copied)
    if evidence.groups is not None:
        return Headline(grouped.SPECIATION, copied)
    trusted = evidence.calm or bool(balance.unfit(evidence.cloud))
    return Headline("clone-loo" if trusted else "balance", copied)
