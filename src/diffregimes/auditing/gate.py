"""What is checked before a verdict is spoken: is there evidence that it would be wrong?

Samples that are not of the kind of the data copy nothing and prove nothing; copies can hide from a
distance. Each check is a `results.Flag`; a failed one that could make the verdict wrong leaves it
open (`judgement.REASONS`). Copies that were found are found whatever the samples look like.

    finite       samples, losses and entropy are numbers
    scale        contrast: root mean square, over samples, of the spread of one over its features,
                 beside that of the data: within a factor 1.6
    likeness     no more than half of the samples are farther from all training points than 99 in
                 100 points of the baseline, and than 1.25 times their median; p < 1e-4
    variety      the mean distance between two samples is a tenth of that between two points or more
    loss         at gamma v = 1/2, v the variance of a feature, where shrinking x_t to the mean
                 loses 2/3 of the variance and doing nothing loses 2: below the variance
    pairing      (audits under own conditions) see `auditing.conditions`
    stein        |E[x.score]/d + 1|, the median over t, below 1/2: of its own samples' law; it is
                 1 for a score that sees no noise
    orientation  the samples flipped and turned are not copies more often: with flips and quarter
                 turns that --augment does not name, the verdict would stay
    brightness   nor are they up to brightness and contrast, x = s a + c
    half-way     fewer than a tenth lie twice nearer to one training point than to any other
    chance       with training points against one another for what chance brings, in place of
                 held-out ones, the verdict would be as sure: few held-out points know little of it
    held-out-duplicates
                 held-out points that are training points as well are left out; with them counted
                 as chance the verdict would stay
    duplicates   training points that come more than once count as one. No harm to the verdict
    held-out-law held-out and training points have one law: permutation test of the energy distance
                 on 512 of each at most, p >= 1e-4. If not, training points are the baseline
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import binom

from ..common.numerics import Z95
from ..common.readable import number
from ..common.rng import numpy_generator
from ..data.neighbours import Clusters
from ..data.orbit import widest
from ..results import Flag, Share
from ..scores import EmpiricalScore
from .copies import Baseline, Near, Training, held_out_baseline, left_out_baseline, spread
from .findings import VERDICTS, Entropy
from .judgement import MOST, RARE, UNSURE, Leaning, excess_probability, leaning
from .losses import Losses

SCALE, FAR, P_LEAST, ALIKE, LOSS, STEIN = 1.6, 1.25, 1e-4, 0.1, 1.5, 0.5
HALF_WAY, SOME, SURE = 0.5, 0.1, 0.99  # ratio, share of samples, posterior probability
_Z = 4.0  # standard errors beyond chance
_LEFT_OUT = 1024  # training points against one another, a second measure of chance
_VIEWED = 512  # points of the baseline that are looked at again in another way
_NARROW = 8  # with fewer features brightness and contrast are most of a point
_PERMUTATIONS = 9999


@dataclass(frozen=True)
class Evidence:
    """All that the checks look at; `points` and `others` are training and held-out points. Samples
    alone have no losses and no entropy."""

    states: np.ndarray
    points: np.ndarray
    others: np.ndarray | None
    shape: tuple[int, ...]
    training: Training
    near: Near
    baseline: Baseline
    losses: Losses | None
    entropy: Entropy | None
    shared: int
    law: Flag | None

    @property
    def leaning(self) -> Leaning:
        return leaning(_share(self.near.ratio), self.baseline.share)


def gate(e: Evidence) -> tuple[Flag, ...]:
    """Every check that there is something for."""
    checks = (
        _finite(e), _scale(e.states, e.points), _likeness(e), _variety(e.states, e.points),
        None if e.losses is None else _loss(e.losses, e.points),
        None if e.entropy is None else _stein(e.entropy),
        _orientation(e), _brightness(e), _half_way(e),
        _chance(e), _duplicates(e.training.clusters), _shared(e), e.law,
    )  # fmt: skip
    return tuple(x for x in checks if x is not None)


def gate_of_features(e: Evidence) -> tuple[Flag, ...]:
    """Those checks that features (m, g, F) can tell of."""
    checks = (
        _likeness(e), _variety(e.states[:, 0], e.points[:, 0]), _half_way(e), _chance(e), e.law,
    )  # fmt: skip
    return tuple(x for x in checks if x is not None)


def _share(ratio: np.ndarray, cut: float = 1 / 3) -> Share:
    return Share.counted(int((ratio < cut).sum()), len(ratio))


def _finite(e: Evidence) -> Flag:
    known = [e.states]
    known += [] if e.losses is None else [e.losses.train]
    known += [] if e.entropy is None else [e.entropy.value, e.entropy.stein]
    bad = sum(int((~np.isfinite(x)).sum()) for x in known)
    of = "its samples" if e.losses is None else "its samples, losses and entropy"
    text = f"{bad or 'no'} numbers of {of} are infinite or none at all"
    return Flag("finite", bad == 0, float(bad), 0.0, text)


def _scale(states: np.ndarray, points: np.ndarray) -> Flag | None:
    """The factor between the contrasts, from the data's variance over features and the samples'."""
    if states.shape[1] < 2:
        return None
    both = [x.astype(np.float64).var(axis=1) for x in (states, points)]
    mine, theirs = (float(x.mean()) for x in both)
    error = 0.5 * math.hypot(
        *(float(x.std(ddof=1)) / math.sqrt(len(x)) / max(float(x.mean()), 1e-300) for x in both)
    )
    factor = math.sqrt(max(mine, 1e-300) / max(theirs, 1e-300))
    apart = abs(math.log(factor))
    value = max(factor, 1 / factor)
    ends = [number(q, 2) for x in (states, points) for q in np.quantile(x, (0.01, 0.99))]
    text = (
        f"samples and data differ in contrast by a factor of {number(value, 2)} (98 % of the "
        f"values lie from {ends[0]} to {ends[1]} in samples, {ends[2]} to {ends[3]} in the data)"
    )
    ok = value <= SCALE or apart < _Z * error
    if not ok:
        text += "; give the data on the scale that it was trained on (--range), if it was trained"
    return Flag("scale", ok, value, SCALE, text)


def _likeness(e: Evidence) -> Flag:
    usual = e.baseline.near.distance
    edge = max(float(np.quantile(usual, 0.99)), FAR * float(np.median(usual)))
    far, of = int((~(e.near.distance <= edge)).sum()), len(e.near.distance)
    text = (
        f"{far} of {of} samples are farther from all training points than {e.baseline.of} are "
        f"(their median distance to the nearest is {number(np.median(usual), 3)}, of the samples "
        f"{number(np.median(e.near.distance), 3)})"
    )
    return Flag("likeness", float(binom.sf(far - 1, of, 0.5)) >= P_LEAST, far / of, 0.5, text)


def _variety(states: np.ndarray, points: np.ndarray) -> Flag:
    value = spread(states) / spread(points)
    text = f"two samples are {number(value, 2)} times as far apart as two training points"
    return Flag("variety", value >= ALIKE, value, ALIKE, text)


def _loss(losses: Losses, points: np.ndarray) -> Flag:
    total = float(points.var(axis=0, dtype=np.float64).sum())
    each = total / points.shape[1]
    gamma = np.exp(-2 * losses.t) / -np.expm1(-2 * losses.t)
    at = int(np.abs(np.log(gamma * each / 0.5)).argmin())
    value, error = losses.train[at] / total, losses.train_se[at] / total
    limit = LOSS / (1 + float(gamma[at]) * each)
    text = (
        f"at t = {number(losses.t[at], 2)} its loss on training points is {number(value, 2)} ± "
        f"{number(Z95 * error, 1)} (95 %) of the data's variance"
    )
    ok = bool(value - _Z * error <= limit)
    if not ok:
        text += ": what a model of other data, of another scale or noise schedule, or of none loses"
    return Flag("loss", ok, float(value), limit, text)


def _stein(entropy: Entropy) -> Flag:
    value = float(np.median(np.abs(entropy.stein) - _Z * entropy.stein_se))
    seen = float(np.median(np.abs(entropy.stein)))
    by = number(seen, 2)
    text = f"its score is off that of its own samples by {by} (Stein's identity; 0 is none)"
    return Flag("stein", value <= STEIN, seen, STEIN, text)


def _viewed(e: Evidence, name: str, view: Training, states: np.ndarray, points: np.ndarray,
            others: np.ndarray | None, what: str, cure: str) -> Flag:  # fmt: skip
    """The same count in another way of looking, of samples and of points that are no copies."""
    if others is None:
        usual = left_out_baseline(view, points, _VIEWED)
    else:
        usual = held_out_baseline(view, others[:_VIEWED])
    found = _share(view.near(states).ratio)
    level = RARE if e.leaning.kind == VERDICTS[2] else MOST
    other = excess_probability(found, usual.share, level) >= UNSURE
    text = (
        f"{what} {found.count} of {found.of} samples are copies ({usual.share.count} of "
        f"{usual.share.of} {usual.of})"
    )
    return Flag(name, not other, found.value, level, f"{text}{cure if other else ''}")


def _orientation(e: Evidence) -> Flag | None:
    ways = widest(e.shape)
    if len(ways) <= len(e.training.orbit) or e.leaning.kind == VERDICTS[0]:
        return None
    return _viewed(
        e, "orientation", replace(e.training, orbit=ways), e.states, e.points, e.others,
        "flipped or turned as it may be,",
        "; where it was trained on flipped or turned images, say so by --augment",
    )  # fmt: skip


def _brightness(e: Evidence) -> Flag | None:
    if e.states.shape[1] < _NARROW or e.leaning.kind == VERDICTS[0]:
        return None
    search = e.training.search
    view = replace(
        e.training,
        search=EmpiricalScore(_plain(e.points), device=search.mean.device),
    )
    others = None if e.others is None else _plain(e.others[:_VIEWED])
    return _viewed(
        e, "brightness", view, _plain(e.states), _plain(e.points), others,
        "brightness and contrast aside,",
        "; see whether the data are on the scale that it was trained on",
    )  # fmt: skip


def _plain(x: np.ndarray) -> np.ndarray:
    """Each row without its mean over the features and of norm 1; 0 where there is nothing else."""
    centred = x - x.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(norm, 1e-6 * norm.max() + 1e-300), dtype=np.float32)


def _half_way(e: Evidence) -> Flag | None:
    if e.leaning.kind != VERDICTS[2]:
        return None
    found, usual = (_share(x.ratio, HALF_WAY) for x in (e.near, e.baseline.near))
    many = excess_probability(found, usual, SOME) >= SURE
    text = (
        f"{found.count} of {found.of} samples lie twice nearer to one training point than to any "
        f"other ({usual.count} of {usual.of} {e.baseline.of})"
    )
    return Flag("half-way", not many, found.value, SOME, text)


def _duplicates(clusters: Clusters) -> Flag:
    again, different = int(clusters.repeated.sum()), len(np.unique(clusters.of))
    exact = sum(x.kind == "exact" for x in clusters.pairs)
    text = "no training point comes twice"
    if again:
        text = (
            f"{again} of {len(clusters.of)} training points are duplicates of one another ({exact} "
            f"equal and {len(clusters.pairs) - exact} nearly equal pairs): {different} different "
            "points are counted; \"same point\" of the clones is by single points"
        )  # fmt: skip
    return Flag("duplicates", again == 0, float(again), 0.0, text)


def _chance(e: Evidence) -> Flag | None:
    if e.others is None:
        return None
    usual = left_out_baseline(e.training, e.points, _LEFT_OUT).share
    mine, other = e.leaning, leaning(_share(e.near.ratio), usual)
    p = other.probabilities[VERDICTS.index(mine.kind)]
    text = (
        f"of the training points against one another {usual.count} of {usual.of} look like copies "
        f"({usual.in_percent()})"
    )
    ok = p >= UNSURE or mine.confidence < UNSURE
    if not ok:
        text += ": by this measure of chance the verdict is not sure; more held-out points tell"
    return Flag("chance", ok, p, UNSURE, text)


def _shared(e: Evidence) -> Flag | None:
    """Whether the verdict hangs on what duplicates are: listed twice, or brought by chance."""
    if e.others is None and e.baseline.with_duplicates is None:
        return None
    ok, usual = True, e.baseline.with_duplicates
    if usual is not None:
        other = leaning(_share(e.near.ratio), usual)
        ok = other.confidence < UNSURE or other.kind == e.leaning.kind
    if e.others is None:
        name, text = "chance-duplicates", "duplicates among the training points may be chance"
    else:
        name = "held-out-duplicates"
        text = f"{e.shared or 'no'} held-out points are training points as well, and left out"
    if not ok:
        text += "; with them counted as chance the verdict would be another"
    return Flag(name, ok, float(e.shared), 0.0, text)


def same_law(points: np.ndarray, others: np.ndarray, seed: int) -> Flag:
    """Permutation test of the energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|."""
    rng = numpy_generator(seed, "same law")
    some = [x[rng.permutation(len(x))[:512]].astype(np.float64) for x in (points, others)]
    both = np.concatenate(some)
    gaps = cdist(both, both)
    m, n = len(some[0]), len(some[1])
    total, rows = float(gaps.sum()), gaps.sum(axis=1)

    def energy(side: np.ndarray) -> np.ndarray:
        """Of rows of zeros and ones (B, m + n), m ones each."""
        inside = np.einsum("bi,bi->b", side @ gaps, side)
        across = side @ rows - inside
        outside = total - inside - 2 * across
        return np.asarray(2 * across / (m * n) - inside / m**2 - outside / n**2)

    first = np.zeros((1, m + n))
    first[0, :m] = 1
    seen, chance = float(energy(first)[0]), []
    for _ in range(math.ceil(_PERMUTATIONS / 1000)):
        chance.append(energy(rng.permuted(np.repeat(first, 1000, axis=0), axis=1)))
    above = int((np.concatenate(chance)[:_PERMUTATIONS] >= seen * (1 - 1e-9)).sum())
    p = (above + 1) / (_PERMUTATIONS + 1)
    text = (
        "held-out and training points have one law as far as a two-sample test tells "
        f"(p = {number(p, 2)})"
    )
    if p <= P_LEAST:
        text = (
            "held-out and training points are of different laws (two-sample test, p = "
            f"{number(p, 1)}): chance is taken from the training points alone, and a gap between "
            "the losses may be one between the laws"
        )
    return Flag("held-out-law", p > P_LEAST, p, P_LEAST, text)
