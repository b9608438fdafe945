"""What may be a copy: the whole sample as it is, the sample in features, a part of it.

Each view counts by the same law, nearest over second nearest different training point beside points
that cannot be copies, and has a verdict of its own. Behind them, of training points that came out,
how early each is decided and how often it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..backward.tracking import copy_ratio, is_copy
from ..common import serial
from ..results import Duplicate, Flag, Share

VERDICTS = ("memorises", "copies some", "does not copy")
IN_FEATURES, IN_PARTS = BESIDES = ("copies in features", "copies parts")
OPEN = "open"


@dataclass(frozen=True)
class Copies:
    """Generated samples beside the training points, and points that cannot be copies beside both.

    states (m, d)               the samples, in the scale of the data
    point, second (m,)          nearest training point, and the nearest that is no duplicate of it,
                                by index in the source
    distance, second_distance   to them, the least over the orbits of the augmentations
    moved (m,)                  what was done to the nearest point: "as it is", "mirror", ...
    share                       of samples with distance < second_distance/3
    baseline                    the same share of held-out points, or of training points among the
                                others (`baseline_of`: "held-out points" or "training points against
                                one another"): how often chance alone brings two points so near
    baseline_ratio              distance/second_distance of these
    files                       of these points, by index, where they come from a folder
    """

    states: np.ndarray
    point: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    second_distance: np.ndarray
    moved: np.ndarray
    share: Share
    baseline: Share
    baseline_of: str
    baseline_ratio: np.ndarray
    files: Mapping[int, str] = field(default_factory=dict)

    @property
    def ratio(self) -> np.ndarray:
        return copy_ratio(self.distance, self.second_distance)

    @property
    def copied(self) -> np.ndarray:
        """Which samples (m,) are copies."""
        return is_copy(self.ratio)


@dataclass(frozen=True)
class Origin:
    """A training point that came out, by its index in the source and its `file` in a folder:
    `copies` of it among the samples, `samples` their places in `Copies.states`, nearest first;
    `twins` are its duplicates, of which the same is true; `group` is its own, if it has one."""

    index: int
    copies: int
    samples: tuple[int, ...]
    twins: tuple[int, ...] = ()
    file: str | None = None
    group: str | None = None


serial.layout(Origin, optional=("file", "group"))


@dataclass(frozen=True)
class OfCondition:
    """What was found of one condition: its training points `n`, copies among the samples that were
    asked for it, `elsewhere` of them of points of other conditions, and mean squared errors at `t`
    on its training points and held-out points, with those of its exact score; None where not
    known."""

    name: str
    n: int
    copies: Share | None
    elsewhere: int
    t: float
    train: float | None
    train_se: float | None
    exact: float | None
    exact_se: float | None
    held_out: float | None
    held_out_se: float | None


@dataclass(frozen=True)
class Judgement:
    """`kind` is one of VERDICTS, of BESIDES or "open", `confidence` its posterior probability given
    the samples (None where open); `probabilities` are those of VERDICTS, by whole samples alone."""

    kind: str
    confidence: float | None
    probabilities: Mapping[str, float]
    headline: str
    sentences: tuple[str, ...]

    @property
    def open(self) -> bool:
        return self.kind == OPEN


def counted(copies: Copies) -> dict[str, Any]:
    """Copies and chance as results.json has them."""
    share, chance = copies.share, copies.baseline
    return {
        "memorised": {"share": share.value, **asdict(share)},
        "baseline": {"share": chance.value, **asdict(chance), "points": copies.baseline_of},
    }


def rows_of(copies: Copies) -> dict[str, Sequence[Any]]:
    """One row a sample: the points that it is near to."""
    files = {
        f"{name}_file": [copies.files.get(int(k), "") for k in points]
        for name, points in (("nearest", copies.point), ("second", copies.second))
    }
    return {
        "nearest_point": copies.point.tolist(),
        "second_point": copies.second.tolist(),
        **(files if copies.files else {}),
        "distance": copies.distance.tolist(),
        "second_distance": copies.second_distance.tolist(),
        "ratio": copies.ratio.tolist(),
        "moved": copies.moved.tolist(),
        "copy": copies.copied.astype(int).tolist(),
    }


@dataclass(frozen=True)
class InFeatures:
    """Copies in the space of an encoder's features.

    of, dimension, distance
                what the features are, how many, and how two are compared
    copies      as of whole samples; `states` are the features of these
    origins, gate, duplicates, shared
                as in `findings.SamplesAudit`, in features; shared points stay part of the chance
    """

    of: str
    dimension: int
    distance: str
    copies: Copies
    origins: tuple[Origin, ...]
    gate: tuple[Flag, ...]
    duplicates: tuple[Duplicate, ...]
    shared: tuple[Duplicate, ...]
    verdict: Judgement

    def told(self) -> dict[str, Any]:
        """As results.json has it."""
        return {
            "of": self.of, "dimension": self.dimension, "distance": self.distance,
            "verdict": serial.plain(self.verdict), "gate": [asdict(x) for x in self.gate],
            **counted(self.copies), "origins": serial.plain(self.origins),
            "duplicates": {
                "training": serial.plain(self.duplicates), "held_out": serial.plain(self.shared),
            },
        }  # fmt: skip


@dataclass(frozen=True)
class InParts:
    """The largest part of each sample that is one training point's, seen through windows.

    window, step    pixels of a side of a window, and from one to the next
    share (m,)      of what tells images apart in a sample, how much that part is; 0 where none
    point (m,)      whose it is, by index in the source; -1 where there is none
    mask (m, H, W)  where it is
    found, baseline of the samples that hold a part, and of points that cannot (`baseline_of`)
    """

    window: int
    step: int
    share: np.ndarray
    point: np.ndarray
    mask: np.ndarray
    found: Share
    baseline: Share
    baseline_of: str
    gate: tuple[Flag, ...]
    verdict: Judgement

    @property
    def copied(self) -> np.ndarray:
        """Which samples (m,) hold a part."""
        return self.point >= 0

    def told(self) -> dict[str, Any]:
        """As results.json has it."""
        usual = float(np.median(self.share[self.copied])) if self.copied.any() else None
        return {
            "window": self.window, "step": self.step, "verdict": serial.plain(self.verdict),
            "gate": [asdict(x) for x in self.gate],
            "found": {"share": self.found.value, **asdict(self.found), "usual_part": usual},
            "baseline": {
                "share": self.baseline.value, **asdict(self.baseline), "points": self.baseline_of,
            },
        }  # fmt: skip


@dataclass(frozen=True)
class OwnTimes:
    """Whether the training points that collapse first came out most often: Spearman's rank
    correlation of the two with its 95 % interval, None where `message` says why it is not known.

    index, t, copies (p,)   points, the own collapse time of each, how often it came out
    """

    spearman: float | None
    low: float | None
    high: float | None
    message: str
    index: np.ndarray
    t: np.ndarray
    copies: np.ndarray

    def told(self) -> dict[str, Any]:
        """As results.json has it."""
        return {
            "spearman": self.spearman, "low": self.low, "high": self.high, "message": self.message,
            "points": self.index.tolist(), "t": serial.listed(self.t),
            "copies": self.copies.tolist(),
        }  # fmt: skip
