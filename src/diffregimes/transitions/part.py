"""One part of the features: where its curves cross, from few draws.

A few of them show where that is; t comes from their means at five times around it, with each of 16
groups of points left out in turn (`posterior.left_out`), which gives its error. Class weights as
sure as right give t_S by `clone-loo`; where few points decide `balance` does, as for the whole.

So few draws do not tell a confidence that lies a little above the probability of the true class
from one that is equal to it. The one puts t_S too late by half of what lies between them, the other
too early: `clone-loo` of a part is where the mean of the two crosses the level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..common import numerics
from ..data.cloud import Cloud, prepare
from ..data.datasets import Dataset
from ..data.neighbours import equal_rows
from ..data.spectrum import covariance
from ..posterior import fused
from ..posterior.grid import near_square
from ..posterior.groups import GROUPS, T95, Grouped, dealt_as, jackknife_error
from ..posterior.left_out import Means, asked
from ..posterior.moments import PAIRS_PER_BLOCK, Draws, draw_block, moments
from ..posterior.observables import observables
from ..process import time_from_snr
from ..results import TransitionTime
from . import balance
from .collapse import BOUNDED, HEADLINE
from .criteria import Evidence, blind_level
from .speciation import LOO, OVERCONFIDENT, OWN, of_population

_PILOT = 32  # pairs of draws that show where the curves cross,
_WIDE = 32  # at so many times
_STEP = 0.4  # between the five around it, in log gamma
_ODDS = "class_log_odds"
_TRIES = 4
_CALLS = 8  # passes of a part: of the pilot, around its crossings, of the temperature
_LEAST, _MOST = 1, 40  # blocks of draws
FEWEST = 4 * GROUPS  # points that differ, for a t_C of them that has an error
CERTAIN = 1e-3  # the standard error of a probability that is no smaller
CONSTANT, NO_COLLAPSE, FEW = "constant", "no collapse", f"fewer than {FEWEST} differ"
CLONE = "clone-loo"
BLIND, OPEN, SMALL = "no class shows", "the class stays open", "Λ is 1 or less"


@dataclass(frozen=True)
class Found:
    """A transition in one part: log gamma of it, of all points and without each group, (1 + G,),
    and t with the ends of its interval. `places` None: there is none, and `why`."""

    places: np.ndarray | None = None
    t: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    method: str = ""
    why: str = ""


@dataclass(frozen=True)
class Seen:
    """What is seen of one part."""

    speciation: Found
    collapse: Found
    distinct: int
    draws: int = 0


@dataclass(frozen=True)
class _Crossing:
    """log gamma where a curve crosses its level, (1 + G,); of the class also the probability of the
    true one there, `own` (1 + G,), where the `middle` of the two curves crosses, (1 + G,), NaN
    beyond the times asked, and from the pilot where that of the true class crosses and where the
    log-odds balance, NaN where not."""

    places: np.ndarray
    own: np.ndarray
    middle: np.ndarray
    own_place: float
    balance: float


def blocks_of(share: float, evidence: Evidence) -> int:
    """Blocks of draws for a part with a `share` of the features."""
    return min(max(math.ceil(share * evidence.blocks), _LEAST), _MOST)


class Part:
    """One of `alike` parts, with a `share` of the features and draws of its own `seed`."""

    def __init__(
        self, evidence: Evidence, group: np.ndarray, share: float, seed: int, alike: int = 1
    ):
        self.e, self.group, self.seed = evidence, group, seed
        self.alike = _CALLS * alike
        self.blocks = blocks_of(share, evidence)

    def seen(self, points: np.ndarray, dataset: Dataset, whole: TransitionTime) -> Seen:
        """Its times: t_S as that of the `whole`."""
        first, _ = equal_rows(points)
        if len(first) == 1:
            return Seen(Found(why=CONSTANT), Found(why=CONSTANT), 1)
        device = self.e.cloud.coordinates.device
        every = dealt_as(prepare(points, dataset.labels).to(device), self.group)
        by_class, alone = whole.method != "spectral", len(first) < dataset.n
        levels = {LOO: self.e.level} if by_class else {}
        found = self._crossings(every, levels if alone else {**levels, BOUNDED: 0.0})
        enough = len(first) >= min(FEWEST, dataset.n)
        if alone and enough:
            others = prepare(points[first], np.zeros(len(first), dtype=np.int64)).to(device)
            found |= self._crossings(dealt_as(others, self.group[first]), {BOUNDED: 0.0})
        collapse = Found(why=NO_COLLAPSE if enough else FEW)
        if BOUNDED in found:
            collapse = jackknifed(found[BOUNDED].places, HEADLINE)
        speciation = self._class(every, found.get(LOO)) if by_class else spectral(every)
        return Seen(speciation, collapse, len(first), 2 * PAIRS_PER_BLOCK * self.blocks)

    def _crossings(self, parts: Grouped, levels: Mapping[str, float]) -> dict[str, _Crossing]:
        """Where the curves cross their levels, those that do."""
        if not levels:
            return {}
        axis, curves = _pilot(parts.cloud, self.seed, self.alike)

        def ask(nodes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            """Of the class the probability of the true one beside it."""
            asking = dict(nodes) | ({OWN: nodes[LOO]} if LOO in nodes else {})
            (means,) = asked(
                parts.cloud, [Means({x: time_from_snr(np.exp(y)) for x, y in asking.items()})],
                blocks=self.blocks, seed=self.seed, memory_mib=self.e.memory_mib, parts=parts,
                alike=self.alike,
            )  # fmt: skip
            return {x: np.stack([means[x], means[OWN if x == LOO else x]], -1) for x in nodes}

        odds = float(last(axis, curves[_ODDS][None], 2.0)[0])
        true = float(last(axis, curves[OWN][None], self.e.level)[0])
        starts = {x: start(axis, curves[x], y) for x, y in levels.items()}
        out = {}
        for name, (at, rows, places) in searched(ask, starts, levels).items():
            middle = last(at, rows.mean(-1).T, levels[name])
            own = read(at, rows[..., 1], places)
            out[name] = _Crossing(places, own, middle, true, odds)
        return out

    def _class(self, parts: Grouped, loo: _Crossing | None) -> Found:
        """t_S by the weights themselves where they are as sure as right, else by `balance`."""
        e = self.e
        if loo is None:
            return Found(why=OPEN)
        error = max(float(jackknife_error(loo.own)), CERTAIN)
        if loo.own[0] - blind_level(e.class_counts) < T95 * error:
            return Found(why=BLIND)
        sure, parted = jackknifed(loo.places, CLONE), np.isfinite(loo.middle).all()
        middle = jackknifed(loo.middle, CLONE) if parted else sure
        if parted and abs(e.level - float(loo.own[0])) < OVERCONFIDENT * error:
            return middle
        known = math.isfinite(loo.own_place)
        floor = float(time_from_snr(math.exp(loo.own_place))) if known else 0.0
        if balance.unfit(parts.cloud):
            ends = min(middle.t[1], floor), max(middle.t[2], sure.t[0])
            return replace(middle, t=(middle.t[0], *ends))
        two = len(e.class_counts) == 2 and math.isfinite(loo.balance)
        between = (loo.places[0] + loo.own_place) / 2 if known else loo.places[0]
        time, places = balance.balanced(
            parts.cloud, loo.balance if two else float(between), e.schedule, e.level, floor=floor,
            blocks=self.blocks, seed=self.seed, memory_mib=e.memory_mib, parts=parts,
            alike=self.alike,
        )  # fmt: skip
        if time.t is None or time.low is None or time.high is None:
            return Found(why=BLIND)
        return Found(places, (time.t, time.low, time.high), "balance")


def _pilot(cloud: Cloud, seed: int, alike: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The `wide` log gamma (T,), and rough curves there."""
    axis = wide(cloud)
    drawn = draw_block(cloud, 0, seed)
    few = Draws(drawn.points[:_PILOT], drawn.noise[:_PILOT])
    gamma = np.exp(axis)
    compiled = fused.worth(
        cloud.n, alike * 2 * _PILOT, len(cloud.bounds) - 1, cloud.coordinates.device
    )
    weights = moments(cloud, few, gamma, compiled=compiled)
    values = observables(weights, cloud, few.points, gamma, (LOO, OWN, BOUNDED, _ODDS))
    return axis, {name: x.mean(dim=(1, 2)).cpu().numpy() for name, x in values.items()}


def wide(cloud: Cloud) -> np.ndarray:
    """log gamma (T,) from where nothing is known to where near points are far apart."""
    low = 0.05 / cloud.scale**2  # over the sum of all variances, not less than the largest
    return np.linspace(math.log(low), math.log(max(1e3 / near_square(cloud), 100 * low)), _WIDE)


def searched(
    ask: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    starts: Mapping[str, float],
    levels: Mapping[str, float],
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Where curves cross their levels, those that do: log gamma (T,) of where they were asked,
    what was answered (T, 1 + G, k), the first of the k the curve, and its places (1 + G,).

    `ask` takes log gamma (T,) by name and answers with rows (T, 1 + G, k)."""
    nodes = {name: x + _STEP * np.arange(-2, 3) for name, x in starts.items()}
    known: dict[str, dict[float, np.ndarray]] = {name: {} for name in nodes}
    out = {}
    for _ in range(_TRIES):
        for name, found in ask(nodes).items():
            known[name] |= dict(zip(nodes[name].tolist(), found, strict=True))
        for name in [*nodes]:
            at = np.array(sorted(known[name]))
            rows = np.array([known[name][x] for x in at.tolist()])
            places = last(at, rows[..., 0].T, levels[name])
            if np.isfinite(places).all():
                out[name] = at, rows, places
                del nodes[name]
                continue
            end, falls = rows[-1, :, 0], name == BOUNDED
            beyond = end > levels[name] if falls else end < levels[name]
            nodes[name] = at[-1] + _STEP * np.arange(1, 6) if beyond.any() else (
                at[0] - _STEP * np.arange(5, 0, -1))  # fmt: skip
        if not nodes:
            break
    return out


def last(axis: np.ndarray, rows: np.ndarray, level: float) -> np.ndarray:
    """Where each row (B, T) crosses the level at the smallest log gamma, which is the largest t;
    NaN where none does."""
    return -numerics.crossings(-axis[::-1], rows[:, ::-1], level)


def start(axis: np.ndarray, curve: np.ndarray, level: float) -> float:
    """Where a rough curve crosses a level, or comes nearest to it."""
    place = float(last(axis, curve[None], level)[0])
    return place if math.isfinite(place) else float(axis[np.abs(curve - level).argmin()])


def read(at: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Each row (T, 1 + G) at its own place (1 + G,)."""
    pairs = zip(places, rows.T, strict=True)
    return np.array([np.interp(place, at, row) for place, row in pairs])


def jackknifed(places: np.ndarray, method: str) -> Found:
    """A time with the interval of its crossings in log gamma."""
    error = T95 * float(jackknife_error(places))
    ends = places[0] + np.array([0.0, -error, error])
    t, high, low = time_from_snr(np.exp(ends)).tolist()
    return Found(places, (t, low, high), method)


def spectral(parts: Grouped) -> Found:
    """1/2 log Lambda of the population, by the eigenvector of all points for each group."""
    cloud = parts.cloud
    matrix = covariance(cloud).numpy()
    value, slope = of_population(np.linalg.eigvalsh(matrix)[::-1], cloud.n)
    vector = numerics.leading_eigenvectors(matrix, 1)[:, 0].astype(np.float32)
    along = (cloud.coordinates.cpu().numpy() @ vector).astype(np.float64) * cloud.scale
    seen = np.array([along[parts.group != g].var(ddof=1) for g in range(-1, GROUPS)])
    largest = value + slope * (seen - seen[0])
    if value <= 1:
        return Found(why=SMALL)
    places = -np.log(np.maximum(largest, 1 + 1e-9) - 1)  # log gamma at t = 1/2 log Lambda
    error = T95 * float(jackknife_error(np.log(np.maximum(largest, 1e-300)))) / 2
    t = math.log(value) / 2
    return Found(places, (t, max(t - error, 0.0), t + error), "spectral")
