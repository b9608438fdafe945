"""Where in the sample: t_S(R) and t_C(R) from the same weights on a part R of the features.

The points seen through R are points like others, and have the times of any dataset. Noise hides a
part sooner than the whole: phi_R <= phi on average, and with R the whole its times are those of the
run.

Through R points may be equal, as black corners are. For the class all of them count: an equal point
of another class is what makes the class uncertain. What is copied there is a patch, whoever shows
it: t_C is that of the points that differ, each counted once, as in the whole run; k equal points
would share the weight of one, and never collapse.

Draws are as many as the share of the features that a part holds. The groups of points that are left
out in turn, for its error (`part`), are the same for every part, and show that of the mean over
parts too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..common.rng import numpy_generator
from ..common.windows import PartTimes, Windows
from ..data.datasets import Dataset
from ..data.windows import Parts
from ..posterior.groups import GROUPS, T95, dealt_sets, grouped, jackknife_error
from ..process import snr, time_from_snr
from ..results import TransitionTime
from .criteria import Evidence
from .grouped_part import GroupedPart
from .part import Found, Part, Seen


def windows_of(
    dataset: Dataset,
    parts: Sequence[Parts],
    evidence: Evidence,
    whole: tuple[TransitionTime, TransitionTime],
) -> tuple[Windows, ...]:
    """The times of the parts of the samples of `dataset`, the points of `evidence`.

    Those of the `whole`, t_S and t_C, are those of a part with all features, and their methods
    those of the parts.
    """
    group, codes = groups_of_points(evidence), evidence.groups
    sets = None if codes is None else dealt_sets(int(codes.max()) + 1, evidence.seed)
    n, counted = (dataset.n, "points") if sets is None else (len(sets), "groups of points")
    total, done, out = sum(len(x.parts) for x in parts), 0, []
    for kind in parts:
        stream = "groups" if kind.width is None else f"windows {kind.width}"
        seen = []
        for k, part in enumerate(kind.parts):
            evidence.report(done, total, "windows")
            if len(part.features) == dataset.d:
                seen.append(_as_whole(whole, evidence, n))
            else:
                own = int(numpy_generator(evidence.seed, stream, k).integers(2**62))
                points = np.ascontiguousarray(dataset.points[:, part.features])
                share = len(part.features) / dataset.d
                one = (
                    Part(evidence, group, share, own, total)
                    if codes is None or sets is None
                    else GroupedPart(evidence, codes, sets, share, own)
                )
                seen.append(one.seen(points, dataset, whole[0]))
            done += 1
        out.append(_told(kind, seen, whole, n, counted))
    evidence.report(total, total, "windows")
    return tuple(out)


def groups_of_points(evidence: Evidence) -> np.ndarray:
    """The group of each point (n,): the same for every part."""
    dealt = grouped(evidence.cloud, seed=evidence.seed)
    group = np.empty(evidence.n, dtype=np.int64)
    group[dealt.cloud.order] = dealt.group
    return group


def _as_whole(whole: tuple[TransitionTime, TransitionTime], evidence: Evidence, n: int) -> Seen:
    """A part that is the whole, of so many points or groups."""

    def found(x: TransitionTime) -> Found:
        if x.t is None:
            return Found(why="none of the whole")
        low, high = (x.t if y is None else y for y in (x.low, x.high))
        return Found(np.full(1 + GROUPS, math.log(snr(x.t))), (x.t, low, high), x.method)

    return Seen(found(whole[0]), found(whole[1]), n, 2 * evidence.sample.units)


def _told(
    kind: Parts,
    seen: Sequence[Seen],
    whole: tuple[TransitionTime, TransitionTime],
    n: int,
    counted: str,
) -> Windows:
    centres = np.array([x.centre for x in kind.parts]).reshape(len(kind.parts), -1)
    rows, columns = np.empty(0), np.empty(0)
    if kind.width is not None:
        columns, rows = centres[:, -1], centres[:, 0] if centres.shape[1] == 2 else rows
    of_class, of_points = [x.speciation for x in seen], [x.collapse for x in seen]
    return Windows(
        width=kind.width, rows=rows, columns=columns,
        names=tuple(x.name for x in kind.parts if x.name),
        sizes=np.array([float(len(x.features)) for x in kind.parts]),
        distinct=np.array([float(x.distinct) for x in seen]),
        speciation=_together(of_class, whole[0].method),
        collapse=_together(of_points, whole[1].method),
        draws=max(x.draws for x in seen),
        notes=_notes(seen, n, "groups" if kind.width is None else "windows", counted),
    )  # fmt: skip


def _together(found: Sequence[Found], method: str) -> PartTimes:
    """The times of all parts, and their mean with the error that groups of points left out show;
    what the intervals of parts are wider than that by is added to its own."""
    t, low, high = np.array([x.t for x in found]).T
    places = [x.places for x in found if x.places is not None]
    if not places:
        return PartTimes(method, t, low, high, None, None, None)
    rows = np.asarray(time_from_snr(np.exp(np.array(places))))  # (P, 1 + G)
    error = T95 * jackknife_error(np.vstack([rows, rows.mean(axis=0)]))
    ends = np.array([x.t for x in found if x.places is not None])
    middle = float(ends[:, 0].mean())
    below = np.maximum(ends[:, 0] - ends[:, 1] - error[:-1], 0).mean()
    above = np.maximum(ends[:, 2] - ends[:, 0] - error[:-1], 0).mean()
    return PartTimes(
        method, t, low, high, middle, max(middle - float(error[-1] + below), 0.0),
        middle + float(error[-1] + above),
    )  # fmt: skip


def _notes(seen: Sequence[Seen], n: int, what: str, counted: str) -> tuple[str, ...]:
    """Where parts have no time, and what t_C means where points are equal there, or groups of them
    have no patch of their own: `counted` is what counts as one."""
    out = []
    for words, found in (
        ("t_S", [x.speciation for x in seen]),
        ("t_C", [x.collapse for x in seen]),
    ):
        reasons = [x.why for x in found if x.why]
        counts = [f"{reasons.count(x)} ({x})" for x in dict.fromkeys(reasons)]
        if counts:
            out.append(f"{words} is none in {', '.join(counts)} of {len(seen)} {what}")
    equal = [x.distinct for x in seen if x.distinct < n]
    if equal:
        out.append(
            f"in {len(equal)} of {len(seen)} {what} {counted} are equal, {min(equal)} to "
            f"{max(equal)} of {n} differ: t_C is that of those that differ, t_S of all"
        )
    few = sum(x.speciation.method == "balance" for x in seen)
    if 0 < few < len(seen):
        out.append(f"few points decide the class in {few} of {len(seen)} {what}: t_S by balance")
    return tuple(out)
