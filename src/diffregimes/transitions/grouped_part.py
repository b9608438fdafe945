"""One part of the features of points in groups, where a group counts as one.

Seen through the part, a group is copied where its patches together outweigh those of all others,
and the class is what the other groups say of it (`by_group`): t_C is `group-free-energy`, t_S
`group-clone-loo`, where the mean of its two curves crosses the level; where few groups decide the
interval spans both. Patches that are equal count once, for the first group that shows them: t_C is
that of the groups that have one left. Groups are left out whole, the same ones in every part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..data.cloud import Cloud, prepare
from ..data.datasets import Dataset
from ..data.neighbours import equal_rows
from ..posterior.by_group import by_group
from ..posterior.groups import T95, dealt_as, jackknife_error
from ..posterior.moments import PAIRS_PER_BLOCK
from ..process import time_from_snr
from ..results import TransitionTime
from .collapse import BOUNDED
from .criteria import Evidence, blind_level
from .grouped import COLLAPSE, SPECIATION
from .part import (
    BLIND,
    CERTAIN,
    CONSTANT,
    FEW,
    FEWEST,
    NO_COLLAPSE,
    OPEN,
    Found,
    Seen,
    blocks_of,
    jackknifed,
    last,
    read,
    searched,
    spectral,
    start,
    wide,
)  # fmt: skip
from .speciation import OVERCONFIDENT

_CLASS, _SURE = "class", "confidence"


class GroupedPart:
    """A part with a `share` of the features and draws of its own `seed`, of points in `groups`
    (n,), 0..S - 1, which are in the `sets` (S,)."""

    def __init__(
        self, evidence: Evidence, groups: np.ndarray, sets: np.ndarray, share: float, seed: int
    ):
        self.e, self.groups, self.sets, self.seed = evidence, groups, sets, seed
        self.blocks = blocks_of(share, evidence)

    def seen(self, points: np.ndarray, dataset: Dataset, whole: TransitionTime) -> Seen:
        """Its times: t_S as that of the `whole`."""
        first, _ = equal_rows(points)
        count, every = len(np.unique(self.groups[first])), len(self.sets)
        if len(first) == 1:
            return Seen(Found(why=CONSTANT), Found(why=CONSTANT), 1)
        device = self.e.cloud.coordinates.device
        cloud = prepare(points, dataset.labels).to(device)
        by_class, alone = whole.method != "spectral", len(first) < dataset.n
        levels = {_CLASS: self.e.level} if by_class else {}
        found = self._crossings(cloud, self.groups, levels if alone else {**levels, BOUNDED: 0.0})
        enough = count >= min(FEWEST, every)
        if alone and enough:
            others = prepare(points[first], np.zeros(len(first), dtype=np.int64)).to(device)
            found |= self._crossings(others, self.groups[first], {BOUNDED: 0.0})
        collapse = Found(why=NO_COLLAPSE if enough else FEW)
        if BOUNDED in found:
            collapse = jackknifed(found[BOUNDED][2], COLLAPSE)
        if by_class and _CLASS not in found:  # where the weights are sure, are they right?
            found |= self._crossings(cloud, self.groups, {_SURE: self.e.level})
        speciation = (
            self._class(found) if by_class else spectral(dealt_as(cloud, self.sets[self.groups]))
        )
        return Seen(speciation, collapse, count, 2 * PAIRS_PER_BLOCK * self.blocks)

    def _crossings(
        self, cloud: Cloud, groups: np.ndarray, levels: Mapping[str, float]
    ) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """As `searched` has them; of the class the mean of both probabilities, that of the true
        one, and the confidence, which without the mean comes first."""
        if not levels:
            return {}
        names, of = np.unique(groups, return_inverse=True)

        def look(log_gamma: np.ndarray, blocks: int) -> dict[str, np.ndarray]:
            seen = by_group(
                cloud, of[cloud.order], time_from_snr(np.exp(log_gamma)), blocks=blocks,
                seed=self.seed, sets=self.sets[names], memory_mib=self.e.memory_mib,
            )  # fmt: skip
            both = (seen.own + seen.confidence) / 2
            return {
                _CLASS: np.stack([both, seen.own, seen.confidence], -1),
                _SURE: np.stack([seen.confidence, seen.own], -1),
                BOUNDED: seen.bounded[..., None],
            }

        def ask(nodes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            seen = look(np.concatenate([*nodes.values()]), self.blocks)
            ends = np.cumsum([0, *map(len, nodes.values())])
            return {x: seen[x][a:b] for x, a, b in zip(nodes, ends[:-1], ends[1:], strict=True)}

        axis = wide(cloud)
        pilot = look(axis, 1)
        starts = {x: start(axis, pilot[x][:, 0, 0], y) for x, y in levels.items()}
        return searched(ask, starts, levels)

    def _class(self, found: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Found:
        """t_S by what the other groups say of the class."""
        name = _CLASS if _CLASS in found else _SURE
        if name not in found:
            return Found(why=OPEN)
        at, rows, places = found[name]
        own = read(at, rows[..., 1], places)
        error = max(float(jackknife_error(own)), CERTAIN)
        if own[0] - blind_level(self.e.class_counts) < T95 * error:
            return Found(why=BLIND)
        if name == _SURE:
            return Found(why=OPEN)
        sure = read(at, rows[..., 2], places)
        time = jackknifed(places, SPECIATION)
        apart = sure - own
        if abs(apart[0]) < OVERCONFIDENT * max(float(jackknife_error(apart)), CERTAIN):
            return time
        ends = last(at, rows[:, 0, 1:].T, self.e.level)
        t = [float(time_from_snr(math.exp(x))) if math.isfinite(x) else 0.0 for x in ends]
        return replace(time, t=(time.t[0], min(time.t[1], *t), max(time.t[2], *t)))
