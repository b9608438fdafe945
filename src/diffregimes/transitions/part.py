"""One part of the features: where its curves cross, from few draws.

A few of them show where that is; t comes from their means at five times around it, with each of 16
groups of points left out in turn (`posterior.left_out`), which gives its error. Class weights as
sure as right give t_S by `clone-loo`; where few points decide `balance` does, as for the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
_LEAST, _MOST = 1, 40  # blocks of draws
_FEWEST = 4 * GROUPS  # points that differ, for a t_C of them that has an error
_CERTAIN = 1e-3  # the standard error of a probability that is no smaller
CONSTANT, NO_COLLAPSE, FEW = "constant", "no collapse", f"fewer than {_FEWEST} differ"
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
    """log gamma where a curve crosses its level, (1 + G,), and its `slope` there; of the class also
    the probability of the true one, `own` (1 + G,), and from the pilot where that crosses and where
    the log-odds balance, NaN where not."""

    places: np.ndarray
    slope: float
    own: np.ndarray
    own_place: float
    balance: float


class Part:
    """One of `alike` parts, with a `share` of the features and draws of its own `seed`."""

    def __init__(
        self, evidence: Evidence, group: np.ndarray, share: float, seed: int, alike: int = 1
    ):
        self.e, self.group, self.seed, self.alike = evidence, group, seed, alike
        self.blocks = min(max(math.ceil(share * evidence.blocks), _LEAST), _MOST)

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
        enough = len(first) >= min(_FEWEST, dataset.n)
        if alone and enough:
            others = prepare(points[first], np.zeros(len(first), dtype=np.int64)).to(device)
            found |= self._crossings(dealt_as(others, self.group[first]), {BOUNDED: 0.0})
        collapse = Found(why=NO_COLLAPSE if enough else FEW)
        if BOUNDED in found:
            collapse = _jackknifed(found[BOUNDED].places, HEADLINE)
        speciation = self._class(every, found.get(LOO)) if by_class else _spectral(every)
        return Seen(speciation, collapse, len(first), 2 * PAIRS_PER_BLOCK * self.blocks)

    def _crossings(self, parts: Grouped, levels: Mapping[str, float]) -> dict[str, _Crossing]:
        """Where the curves cross their levels, those that do."""
        if not levels:
            return {}
        axis, curves = _pilot(parts.cloud, self.seed, self.alike)
        nodes = {
            x: _start(axis, curves[x], y) + _STEP * np.arange(-2, 3) for x, y in levels.items()
        }
        known: dict[str, dict[float, np.ndarray]] = {name: {} for name in (*levels, OWN)}
        out = {}
        for _ in range(_TRIES):
            asking = nodes | ({OWN: nodes[LOO]} if LOO in nodes else {})
            (means,) = asked(
                parts.cloud, [Means({x: time_from_snr(np.exp(y)) for x, y in asking.items()})],
                blocks=self.blocks, seed=self.seed, memory_mib=self.e.memory_mib, parts=parts,
                alike=self.alike,
            )  # fmt: skip
            for name, at in asking.items():
                known[name] |= dict(zip(at.tolist(), means[name], strict=True))
            for name in [*nodes]:
                at, rows = _sorted(known[name])
                places = _last(at, rows.T, levels[name])
                if np.isfinite(places).all():
                    own = _read(*_sorted(known[OWN]), places) if name == LOO else places
                    odds = _last(axis, curves[_ODDS][None], 2.0)[0]
                    own_place = _last(axis, curves[OWN][None], levels[name])[0]
                    out[name] = _Crossing(
                        places, _slope(at, rows[:, 0], places[0]), own, own_place, odds
                    )
                    del nodes[name]
                    continue
                beyond = rows[-1] < levels[name] if name == LOO else rows[-1] > levels[name]
                nodes[name] = at[-1] + _STEP * np.arange(1, 6) if beyond.any() else (
                    at[0] - _STEP * np.arange(5, 0, -1))  # fmt: skip
            if not nodes:
                break
        return out

    def _class(self, parts: Grouped, loo: _Crossing | None) -> Found:
        """t_S by the weights themselves where they are as sure as right, else by `balance`."""
        e = self.e
        if loo is None:
            return Found(why=OPEN)
        error = max(float(jackknife_error(loo.own)), _CERTAIN)
        if loo.own[0] - blind_level(e.class_counts) < T95 * error:
            return Found(why=BLIND)
        gap = e.level - float(loo.own[0])
        # few draws hardly show it: the interval holds what it may be
        by_loo = _jackknifed(loo.places, "clone-loo", max(gap, 0.0) / max(loo.slope, 1e-3))
        if abs(gap) < OVERCONFIDENT * error:
            return by_loo
        known = math.isfinite(loo.own_place)
        floor = float(time_from_snr(math.exp(loo.own_place))) if known else 0.0
        if balance.unfit(parts.cloud):
            return Found(
                loo.places, (by_loo.t[0], min(by_loo.t[1], floor), by_loo.t[2]), "clone-loo"
            )
        two = len(e.class_counts) == 2 and math.isfinite(loo.balance)
        middle = (loo.places[0] + loo.own_place) / 2 if known else loo.places[0]
        time, places = balance.balanced(
            parts.cloud, loo.balance if two else float(middle), e.schedule, e.level, floor=floor,
            blocks=self.blocks, seed=self.seed, memory_mib=e.memory_mib, parts=parts,
        )  # fmt: skip
        if time.t is None or time.low is None or time.high is None:
            return Found(why=BLIND)
        return Found(places, (time.t, time.low, time.high), "balance")


def _pilot(cloud: Cloud, seed: int, alike: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """log gamma (T,) from where nothing is known to where near points are far apart, and rough
    curves there."""
    low = 0.05 / cloud.scale**2  # over the sum of all variances, not less than the largest
    axis = np.linspace(math.log(low), math.log(max(1e3 / near_square(cloud), 100 * low)), _WIDE)
    drawn = draw_block(cloud, 0, seed)
    few = Draws(drawn.points[:_PILOT], drawn.noise[:_PILOT])
    gamma = np.exp(axis)
    compiled = fused.worth(
        cloud.n, alike * 2 * _PILOT, len(cloud.bounds) - 1, cloud.coordinates.device
    )
    weights = moments(cloud, few, gamma, compiled=compiled)
    values = observables(weights, cloud, few.points, gamma, (LOO, OWN, BOUNDED, _ODDS))
    return axis, {name: x.mean(dim=(1, 2)).cpu().numpy() for name, x in values.items()}


def _last(axis: np.ndarray, rows: np.ndarray, level: float) -> np.ndarray:
    """Where each row (B, T) crosses the level at the smallest log gamma, which is the largest t;
    NaN where none does."""
    return -numerics.crossings(-axis[::-1], rows[:, ::-1], level)


def _start(axis: np.ndarray, curve: np.ndarray, level: float) -> float:
    """Where a rough curve crosses a level, or comes nearest to it."""
    place = float(_last(axis, curve[None], level)[0])
    return place if math.isfinite(place) else float(axis[np.abs(curve - level).argmin()])


def _sorted(known: Mapping[float, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The keys in order (T,), and what belongs to them (T, 1 + G)."""
    at = np.array(sorted(known))
    return at, np.array([known[x] for x in at.tolist()])


def _read(at: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Each row (T, 1 + G) at its own place (1 + G,)."""
    pairs = zip(places, rows.T, strict=True)
    return np.array([np.interp(place, at, row) for place, row in pairs])


def _slope(at: np.ndarray, curve: np.ndarray, place: float) -> float:
    """Of a curve (T,) over half a step to either side of a place."""
    before, after = np.interp([place - _STEP / 2, place + _STEP / 2], at, curve)
    return float(after - before) / _STEP


def _jackknifed(places: np.ndarray, method: str, beyond: float = 0.0) -> Found:
    """A time with the interval of its crossings in log gamma, which may lie so far `beyond`."""
    error = T95 * float(jackknife_error(places))
    ends = places[0] + np.array([0.0, -error, math.hypot(error, beyond)])
    t, high, low = time_from_snr(np.exp(ends)).tolist()
    return Found(places, (t, low, high), method)


def _spectral(parts: Grouped) -> Found:
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
