"""Result objects: numbers that carry their error, their method and their warnings.

Frozen dataclasses without behaviour beyond reading and writing themselves: `to_dict` gives
plain JSON types, `from_dict` reads them back without loss, `str()` gives a line fit for a
paper. A transition that does not exist has `t = None` and a warning that says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .common import serial
from .common.competing import Augment as Augment
from .common.competing import Condition as Condition
from .common.competing import Given as Given
from .common.competing import Grouped as Grouped
from .common.curves import Curves as Curves
from .common.provenance import DatasetFacts as DatasetFacts
from .common.provenance import Headline as Headline
from .common.provenance import Recipe as Recipe
from .common.share import Share as Share
from .common.shown import Shown, advising
from .common.transition import TransitionTime as TransitionTime
from .common.tree import Fork as Fork
from .common.tree import Tree as Tree
from .common.windows import PartTimes as PartTimes
from .common.windows import Windows as Windows

FORMAT = "diffregimes.analysis/1"


@dataclass(frozen=True)
class Pair:
    """When two classes part, by `pair-balance` and by `pair-clone`."""

    one: str
    other: str
    balance: TransitionTime
    clone: TransitionTime


@dataclass(frozen=True)
class Level:
    """One level of a hierarchy of labels: its super-classes `names` (S,), that of each class
    `of_class` (K,), when it is decided, and H(super-class|x_t) on the times of the curves.

    The rest compares it with the tree of classes: the correlation of cophenetic distances, the
    super-classes that are a branch, the distance of Robinson and Foulds; None without a tree.
    """

    name: str
    names: tuple[str, ...]
    of_class: tuple[int, ...]
    time: TransitionTime
    entropy: np.ndarray
    entropy_se: np.ndarray
    cophenetic: float | None
    branches: tuple[str, ...] | None
    robinson_foulds: int | None


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the data covariance, largest first, and the edge of pure noise.

    `noise_edge` is where the largest eigenvalue of structureless data of the same n, d and
    total variance would lie; `largest_first_channel` is the paper's Lambda (table 1), None
    for data that are not images, with its standard error where these have colours. `points` and
    `features` (that vary) are behind the sample covariance, None for the spectrum of a known law.
    """

    largest: float
    largest_first_channel: float | None
    noise_edge: float
    eigenvalues: np.ndarray
    largest_first_channel_se: float | None = None
    points: int | None = None
    features: int | None = None


serial.layout(Spectrum, optional=("largest_first_channel_se", "points", "features"))


@dataclass(frozen=True)
class Exposure:
    """A training point that a memorising model would copy early: its own collapse time.

    `t` is where its posterior weight, averaged over noise, is one half; `se` its standard error.
    `index` and `nearest_index` are places in the source, `file` and `nearest_file` paths in a
    folder of images, None for other sources.
    """

    index: int
    label: int
    t: float | None
    se: float | None
    nearest_index: int
    nearest_distance: float
    file: str | None = None
    nearest_file: str | None = None


@dataclass(frozen=True)
class Duplicate:
    """Two training points that are the same (`kind` "exact") or nearly so ("near"): places in the
    source, files in a folder of images."""

    index: int
    other: int
    distance: float
    kind: str
    file: str | None = None
    other_file: str | None = None


@dataclass(frozen=True)
class Listed:
    """The points as they were listed, where some come more than once; all else in an analysis is of
    the different ones.

    n            points listed
    fingerprint  of the dataset as it came
    exact, near  points left out, equal to one that is kept or nearly so
    conflicts    points that are listed under several classes; the first one counts
    left_out     places in the source of the points left out
    collapse     t_C where each point weighs as much as it is listed, by free energy
    """

    n: int
    fingerprint: str
    exact: int
    near: int
    conflicts: int
    left_out: tuple[int, ...]
    collapse: TransitionTime


serial.layout(Exposure, optional=("file", "nearest_file"))
serial.layout(Duplicate, optional=("file", "other_file"))
CLASS_FLAG = "class-nishimori"  # it tells of the data: where it is not ok, the run is sound


@dataclass(frozen=True)
class Flag:
    """A self-check of the run: `value` against `threshold`, and what it means."""

    name: str
    ok: bool
    value: float
    threshold: float
    message: str


@dataclass(frozen=True)
class PointsNeeded:
    """How many training points would put the collapse at t: log n = I(a; x_t), in nats.

    `high` None: the data bound the time of the speciation by nothing below, and so not the points.
    """

    t: float
    log_n: float
    low: float
    high: float | None
    method: str


@dataclass(frozen=True)
class Verdict:
    """What the run says in words. `regimes` lists (name, t_from, t_to), noise first.

    `t_from` > `t_to`: generation runs t downwards; the noise end is infinity, written as None.
    """

    headline: str
    sentences: tuple[str, ...]
    regimes: tuple[tuple[str, float | None, float], ...]
    generalizes: bool | None


@dataclass(frozen=True)
class ExactTime:
    """What exact theory says of a transition by `method`: t (None: no such time), the z-score of
    the estimate where its interval can be judged, and the standard error of t itself, 0 where it
    was not sampled."""

    transition: str
    method: str
    t: float | None
    z: float | None
    se: float = 0.0


serial.layout(ExactTime, optional=("se",))


@dataclass(frozen=True)
class Comparison:
    """Exact theory beside the curves, for points drawn from a known law.

    `low` and `high` (T,) bound each curve on the times of `Curves`: one number, or a band near the
    collapse where the mean over sets of n points is not known; a curve may have one of the two
    only. `z` (T,) counts standard errors outside, NaN where nothing can be judged (see
    `comparison`).
    """

    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]
    z: Mapping[str, np.ndarray]
    times: tuple[ExactTime, ...]

    def time(self, transition: str, method: str) -> ExactTime | None:
        same = (x for x in self.times if (x.transition, x.method) == (transition, method))
        return next(same, None)


Transition = Literal["speciation", "collapse"]
TRANSITIONS: tuple[Transition, ...] = ("speciation", "collapse")


@dataclass(frozen=True)
class Analysis(Shown):
    """Everything `analyze` found out about a dataset.

    dataset        what was analyzed: source, n, d, classes, scale, fingerprint
    recipe         how: precision, draws, seed, schedule, headline methods, versions
    verdict        headline and sentences, the regimes, whether there is a generalizing one
    spectrum       eigenvalues of the covariance, the edge of pure noise
    times          t_S and t_C by every method of `transitions.criteria.CRITERIA`, spectral,
                   spectral-first-channel, spectral-exact, landau, clone, clone-loo and balance;
                   bounded-free-energy, free-energy, entropy, clone and gaussian-bound
    curves         the observables of `posterior.observables.OBSERVABLES` over t
    points         the training points at most risk; `point_times` one time for each point drawn
    duplicates     pairs that are the same, or nearly so
    reliability    self-checks: identities that hold exactly
    points_needed  how many points would put the collapse at the speciation
    notes          what was done to the data, and how far the curves reach
    theory         exact theory beside curves and times, for points drawn from a known law
    listed         the points as they came, where some do more than once
    pairs          when each two of three or more classes part; `tree` which part first
    levels         super-classes that were given, and when they are decided; `windows` likewise
                   times of parts of the samples, by width
    given          the collapse among the points that share a condition
    grouped        groups of points that count as one: headline, points at risk and point times are
                   theirs
    augment        the collapse among the images that augmentation makes of the points
    """

    dataset: DatasetFacts
    recipe: Recipe
    verdict: Verdict
    spectrum: Spectrum
    times: tuple[TransitionTime, ...]
    curves: Curves
    points: tuple[Exposure, ...]
    point_times: np.ndarray  # one collapse time for each training point that was drawn (NaN: none)
    duplicates: tuple[Duplicate, ...]
    reliability: tuple[Flag, ...]
    points_needed: PointsNeeded | None
    notes: tuple[str, ...] = field(default=())
    theory: Comparison | None = None  # for points drawn from a mixture
    listed: Listed | None = None  # where points come more than once
    pairs: tuple[Pair, ...] = ()  # of three classes or more
    tree: Tree | None = None
    levels: tuple[Level, ...] = ()
    windows: tuple[Windows, ...] = ()
    given: Given | None = None  # where points have conditions
    grouped: Grouped | None = None  # where several points are of one group
    augment: Augment | None = None

    @property
    def clock(self) -> str:
        """What the steps of its times are: "DDPM step", "EDM step" or "flow step"."""
        return self.times[0].clock

    def time(self, transition: str, method: str | None = None) -> TransitionTime:
        """The headline time of a transition, or the one found by `method`."""
        method = method or self.recipe.headline.of(transition)
        for one in self.times:
            if one.transition == transition and one.method == method:
                return one
        known = ", ".join(x.method for x in self.times if x.transition == transition)
        raise KeyError(f"no {transition} time by method {method!r}; there are: {known or 'none'}")

    def pair(self, one: str, other: str) -> Pair:
        """That of two classes, by their names."""
        for pair in self.pairs:
            if {pair.one, pair.other} == {one, other}:
                return pair
        known = ", ".join(dict.fromkeys(x for p in self.pairs for x in (p.one, p.other)))
        raise KeyError(f"no pair of {one!r} and {other!r}; there are those of: {known or 'none'}")

    def advise(self, schedule: Any = None, **how: Any) -> Any:
        """Settings of a sampler and of a training run: `advising.advise`, which has the options."""
        return advising().advise(self, schedule, **how)

    def __repr__(self) -> str:
        head = "; ".join(str(self.time(k)) for k in TRANSITIONS)
        return f"<Analysis of {self.dataset.name}, n = {self.dataset.n}: {head}>"

    def __str__(self) -> str:
        head = [str(self.time(k)) for k in TRANSITIONS]
        return "\n".join([self.verdict.headline, *head])

    def to_dict(self) -> dict[str, Any]:
        """What results.json holds, in plain types; `from_dict` reads it back without loss."""
        return {"format": FORMAT, **serial.plain(self), "draws": self.curves.draws}

    def to_json(self) -> str:
        return serial.text(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Analysis:
        """The analysis in `data`, as `to_dict` or results.json gives it; ValueError for others."""
        if data.get("format") != FORMAT:
            raise ValueError(f"format is {data.get('format')!r}; this version reads {FORMAT!r}")
        draws = data.get("draws")
        if not isinstance(draws, int):
            raise ValueError(f"draws is {draws!r}; expected the number of noised samples")
        curves = {**(data.get("curves") or {}), "draws": draws}
        return serial.build({**data, "curves": curves}, cls, "analysis")


# a result without duplicates is written as before there was a word for them
serial.layout(
    Analysis,
    optional=("listed", "pairs", "tree", "levels", "windows", "given", "grouped", "augment"),
)
