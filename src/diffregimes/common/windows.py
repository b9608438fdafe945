"""Times of parts of the samples: windows of an image or of neighbouring features, named groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import serial


@dataclass(frozen=True)
class PartTimes:
    """One transition by `method`: `t` of each part with its 95 % interval, (P,), NaN where it has
    none; `mean` over the parts that have one, with its own, None where none has."""

    method: str
    t: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: float | None
    mean_low: float | None
    mean_high: float | None

    @property
    def known(self) -> int:
        """Parts that have a time."""
        return int(np.isfinite(self.t).sum())


@dataclass(frozen=True)
class Windows:
    """The parts of one kind: windows of one `width` in pixels or features, or named groups (None).

    rows, columns  centres of the windows, (P,), 0 the middle of the first pixel; of features
                   `columns` alone; none of groups
    names          of groups
    sizes          features of each part, (P,)
    distinct       points that differ there, or groups of them with a patch of their own, (P,)
    speciation     t_S(R), of all points
    collapse       t_C(R), of those that differ
    draws          noised samples behind a part
    notes          what a reader must know
    """

    width: int | None
    rows: np.ndarray
    columns: np.ndarray
    names: tuple[str, ...]
    sizes: np.ndarray
    distinct: np.ndarray
    speciation: PartTimes
    collapse: PartTimes
    draws: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kind of part in words: 8 × 8, 8 features, groups."""
        if self.width is None:
            return "groups"
        return f"{self.width} × {self.width}" if len(self.rows) else f"{self.width} features"

    def of(self, transition: str) -> PartTimes:
        """Those of "speciation" or "collapse"."""
        return self.speciation if transition == "speciation" else self.collapse

    def map(self, values: np.ndarray) -> np.ndarray:
        """Values of the windows (P,) as they lie: (rows, columns) of images, else (P,)."""
        return values.reshape(len(np.unique(self.rows)), -1) if len(self.rows) else values


serial.layout(Windows, optional=("notes",))
