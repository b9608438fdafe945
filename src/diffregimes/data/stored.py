"""An array in a file: its shape and dtype from the header, its rows when they are asked for.

`Stored` is the one interface to points that are not in memory. A format says how some ascending
rows are read (`_fetch`), and whether without reading what lies between (`reached`): as a stream of
values (`streams`), or by blocks of rows (`blocks`). What is in neither form is decoded into one
first (`decoded`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path, PurePath
from typing import Self

import numpy as np

from ..common.checks import InputError, finite_points
from ..common.memory import check_fits
from ..common.reading import readable

_BLOCK = 2**24  # bytes read at a time where all rows are gone through
WIDE = 4  # bytes of a value that take no less than a point in float32


@dataclass(frozen=True)
class Stored(ABC):
    """The array of `shape` and `dtype` in `path`, a file, or an address, of the kind that `kind`
    names.

    without : a column that is left out
    budget : MiB that its rows may take as points; without one all of memory
    """

    path: Path | str
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    without: int | None = field(default=None, kw_only=True)
    budget: int | None = field(default=None, kw_only=True)

    @abstractmethod
    def _fetch(self, indices: np.ndarray) -> np.ndarray:
        """The rows of these indices, which ascend, as they are in the file."""

    @abstractmethod
    def reached(self) -> Self | None:
        """The same as one whose rows are read without all that lies between; None where they
        cannot be."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePath(self.path).name

    @property
    def nbytes(self) -> int:
        """Of the whole array."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def stamp(self) -> object:
        """What differs once something was written into the file."""
        # of a folder its images were read, or of an object
        return written(Path(self.path)) if Path(self.path).is_file() else None

    def read(self) -> np.ndarray:
        """The whole array, where it fits into memory."""
        check_fits(self.nbytes, f"the array in {self.path}", "Give a smaller file.")
        return self.rows(np.arange(len(self)))

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """The rows of these indices, which ascend."""
        return self._kept(self._fetch(indices))

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows, some at a time."""
        for part in self._steps():
            yield self.rows(np.arange(part.start, part.stop))

    def _steps(self) -> Iterator[slice]:
        step = max(1, _BLOCK // max(1, self.nbytes // max(1, len(self))))
        for first in range(0, len(self), step):
            yield slice(first, min(first + step, len(self)))

    def column(self, place: int) -> np.ndarray:
        """One column of an array of two axes."""
        return np.concatenate([x[:, place] for x in self.blocks()])

    def leaving(self, column: int) -> Self:
        """The same without a column."""
        n, d = self.shape
        return replace(self, shape=(n, d - 1), without=column % d)

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value, NaN where there is one."""
        ends = [(x.min(), x.max()) for x in self.blocks()]
        low, high = (np.array(x) for x in zip(*ends, strict=True))
        return low.min().item(), high.max().item()

    @property
    def _row(self) -> tuple[int, ...]:
        """The shape of a row in the file."""
        row = self.shape[1:]
        return row if self.without is None else (row[0] + 1,)

    def _kept(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.without is None else np.delete(rows, self.without, axis=1)


def written(path: Path) -> tuple[int, int]:
    """The size of a file, and when it was written."""
    with readable(path, "a file of points"):
        seen = path.stat()
    return seen.st_size, seen.st_mtime_ns


def check_room(array: np.ndarray | Stored, chosen: int, pad: int) -> None:
    """Raise where the chosen points do not fit: as they come, and as float32."""
    row = array.shape[1:]
    padded = (row[0] + 2 * pad, row[1] + 2 * pad, *row[2:]) if pad else row
    need = chosen * (prod(row) * array.dtype.itemsize + 4 * prod(padded))
    said = f" with {pad} pixels added on each side" if pad else ""
    check_fits(
        need,
        f"{chosen} points of the shape {row}{said}",
        "Take fewer points (--per-class) or a smaller --pad.",
    )


def picked(array: np.ndarray | Stored, indices: np.ndarray) -> np.ndarray:
    """The chosen rows; of an array that lies in a file no others are kept."""
    if isinstance(array, Stored):
        return array.rows(indices)
    return array if len(indices) == len(array) else array[indices]


def extremes(
    array: np.ndarray | Stored, values: np.ndarray, indices: np.ndarray, of_all: bool
) -> tuple[float, float]:
    """The smallest and the largest value, of the chosen rows or of all; raise unless finite."""
    finite = values.dtype.kind != "f"
    if not finite:
        finite_points(values, indices=indices)
    if not of_all or len(indices) == len(array):
        return values.min().item(), values.max().item()
    if isinstance(array, Stored):
        low, high = array.extremes()
        if not np.isfinite([low, high]).all():
            raise InputError(
                f"{array.path} holds NaN or infinite values outside of the chosen classes, and "
                "pixel_range (--range) stretches between the extremes of all; expected finite "
                "numbers. Repair them, or leave --range out."
            )
        return low, high
    if not finite:
        finite_points(array)
    return array.min().item(), array.max().item()
