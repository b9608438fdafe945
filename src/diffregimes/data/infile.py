"""Points that stay in their file: some rows at a time are read and become points by the pixel map.

Nothing of n x d floats is ever held. What looks at some points only, as the choice of the map does,
looks at `SHOWN` of them, evenly spaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, cast

import numpy as np

from ..common.checks import InputError, finite_points
from .pixels import PixelMap, Scaling, map_of, sample_shape
from .stored import WIDE, Stored
from .streams import in_memory

SHOWN = 4096
_PART = 2**25  # bytes of float32 points at a time


@dataclass(frozen=True)
class FilePoints:
    """n points (n, d), float32 as they are read: the rows `places` (n,), ascending, of an array in
    a file, by the map `pixels` and with `pad` pixels on each side. `points[rows]` is an array.
    `stamp` is that of the file when it was first read."""

    stored: Stored
    places: np.ndarray
    pixels: PixelMap
    stamp: object
    pad: int = 0

    ndim = 2
    dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), prod(sample_shape(self.stored.shape, self.pad))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Of a slice, or of indices in any order."""
        places, turn = np.unique(np.atleast_1d(self.places[rows]), return_inverse=True)
        found = self.pixels.points(self.values(places), self.pad)
        if len(turn) != len(places) or (np.diff(turn) != 1).any():
            found = found[turn]
        return found if np.ndim(rows) or isinstance(rows, slice) else found[0]

    def values(self, places: np.ndarray) -> np.ndarray:
        """What the file holds in these places, ascending."""
        found = self.stored.rows(places)
        if self.stored.stamp() != self.stamp:
            raise InputError(
                f"{self.stored.path} was changed while it was read; expected one file from the "
                "first reading to the last. Start again when nothing writes into it any more."
            )
        if found.dtype.kind == "f":
            finite_points(found, indices=places)
        return found

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise self._too_many()

    def __getattr__(self, name: str) -> Any:
        # what asks for more of an array than this is, asks for all of it
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            raise self._too_many()
        raise AttributeError(name)

    def _too_many(self) -> InputError:
        return InputError(
            f"the points in {self.stored.path} stay in their file, for they are larger than the "
            "memory budget; what was asked for needs all of them at once. Load them with a larger "
            "memory_mib (--memory-mib), or fewer of them (--per-class)."
        )

    def kept(self, rows: np.ndarray) -> FilePoints:
        """These rows alone, which ascend."""
        return replace(self, places=self.places[rows])

    def mean(self, axis: int = 0, dtype: Any = np.float64) -> np.ndarray:
        """Of each feature, (d,)."""
        total = sum(self[part].sum(axis=axis, dtype=dtype) for part in parts(self))
        return np.asarray(total / len(self))


def parts(points: np.ndarray | FilePoints, most: int | None = None) -> Iterator[slice]:
    """All rows, as many at a time as memory is for, `most` at the most: of points in memory all."""
    n, d = points.shape
    step = max(1, _PART // (4 * d)) if isinstance(points, FilePoints) else n
    step = min(step, most or step)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def raw(points: np.ndarray, part: slice) -> np.ndarray:
    """Rows that are equal where their points are; of points in a file as they are there."""
    if isinstance(points, FilePoints) and points.pixels.affine is not None:
        return points.values(points.places[part])
    return np.asarray(points[part])


def taken(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """These rows, ascending; of points in a file they stay there."""
    if isinstance(points, FilePoints):
        return cast(np.ndarray, points.kept(places))
    return np.asarray(points[places])


def evenly(n: int, count: int = SHOWN) -> np.ndarray:
    """So many of n rows, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))


def stays(array: Any, chosen: int, pad: int, of_all: bool) -> bool:
    """Whether points are left in the file, or as bytes in memory where its rows cannot be reached,
    for they would take more memory than they may."""
    if not isinstance(array, Stored) or array.budget is None:
        return False
    if array.reached() is None and (array.dtype.itemsize >= WIDE or of_all):
        return False
    return 4 * chosen * prod(sample_shape(array.shape, pad)) > array.budget * 2**20


def left_in_file(
    array: Stored,
    indices: np.ndarray,
    wanted: Scaling,
    white: int | None,
    pad: int,
    of_all: bool,
    said: list[str],
) -> FilePoints:
    """The points of these rows, ascending; the map is that of the extremes of all of them, or with
    `of_all` of the whole array, and else of some. Raises `InputError` unless they are finite."""
    if "standardized" in (wanted.integers, wanted.floats):
        raise InputError(
            f"standardize (--standardize) needs all points of {array.path} at once; expected a "
            "memory budget that holds them. Raise --memory-mib, or standardize the file."
        )
    stored = array.reached()
    if stored is None:
        held = in_memory(array.rows(indices), array.path)
        stored, indices = replace(held, budget=array.budget), np.arange(len(indices))
    nothing = PixelMap(str(array.dtype), (0.0, 1.0), None)
    found = FilePoints(stored, indices, nothing, stored.stamp())
    places = np.arange(len(stored)) if of_all else indices
    ends = []
    for part in parts(replace(found, places=places)):
        values = found.values(places[part])
        ends.append((values.min(), values.max()))
    low, high = min(x for x, _ in ends), max(x for _, x in ends)
    shown = stored.rows(indices[evenly(len(indices))])
    done = map_of(shown, (low.item(), high.item()), wanted, white, said)
    said.append(
        f"the points of {array.name or 'the array'} are read some at a time: as floats they "
        "would be larger than the memory budget"
    )
    return replace(found, pixels=done, pad=pad)
