"""Arrays that are kept by blocks of rows, one to be read after the other: zarr and HDF5.

A block that cannot be read is told by its rows; or the points in it are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Self

import numpy as np

from ..common.checks import InputError
from ..common.reading import readable
from . import stored
from .labelled import only_rows
from .request import Raw
from .stored import Stored

Span = tuple[int, int]  # the first row, and the one after the last


@dataclass(frozen=True)
class Blocks(Stored):
    """See the module.

    block : the rows of a span
    step : rows of a block
    mark : what differs once something was written
    absent : blocks that are not there, and would be read as if they held one value alone
    among : the rows that are taken, ascending; all without
    """

    block: Callable[[int, int], np.ndarray]
    step: int
    mark: Callable[[], object]
    absent: tuple[Span, ...] = ()
    among: np.ndarray | None = None

    def stamp(self) -> object:
        with readable(self.path, self.kind):
            return self.mark()

    def reached(self) -> Self | None:
        """A block is read whole: those that are no parts of the memory budget are not."""
        own = self.step * self._row_size
        return None if self.budget is not None and own > self.budget * 2**20 / 4 else self

    def only(self, rows: np.ndarray) -> Self:
        """The same of these rows alone, ascending."""
        return replace(self, shape=(len(rows), *self.shape[1:]), among=rows)

    def check(self) -> None:
        """Raise `InputError` unless all blocks are there."""
        if self.absent:
            raise InputError(_absent(self))

    def unreadable(self) -> list[Span]:
        """The blocks that are not there or cannot be read."""
        found = list(self.absent)
        for first in range(0, len(self), self._together):
            tried = self._tried(first, min(first + self._together, len(self)))
            found += [(a, b) for a, b, what in tried if isinstance(what, InputError)]
        return sorted(set(found))

    def _fetch(self, indices: np.ndarray) -> np.ndarray:
        places = indices if self.among is None else self.among[indices]
        out = np.empty((len(places), *self._row), self.dtype)
        block, group = places // self.step, places // self._together
        # blocks that lie together are read in one go, and those between are not read
        breaks = np.flatnonzero((np.diff(block) > 1) | (np.diff(group) > 0)) + 1
        for run in np.split(np.arange(len(places)), breaks) if len(places) else []:
            lowest, end = int(places[run[0]]), int(places[run[-1]]) + 1
            parts = []
            for _, _, what in self._tried(lowest, end):
                if isinstance(what, InputError):
                    raise what
                parts.append(what)
            found = parts[0] if len(parts) == 1 else np.concatenate(parts)
            out[run] = found[places[run] - lowest]
        return out

    @property
    def _row_size(self) -> int:
        return max(1, prod(self._row) * self.dtype.itemsize)

    @property
    def _together(self) -> int:
        """Rows of as many blocks as are read in one go."""
        return self.step * max(1, stored._BLOCK // (self.step * self._row_size))

    def _tried(self, first: int, last: int) -> Iterator[tuple[int, int, np.ndarray | InputError]]:
        """The rows of a span: in one piece, or where that fails block by block, what is wrong with
        each in its place."""
        what: np.ndarray | InputError
        named = f"the block of rows {first} to {last - 1} of {self.path}"
        try:
            with readable(
                named, self.kind, "it may be damaged or cut short. Copy it again, or leave its "
                "points out by skip_unreadable=True (--skip-unreadable)."
            ):  # fmt: skip
                what = self.block(first, last)
        except InputError as error:
            what = error
        if isinstance(what, InputError) and first // self.step < (last - 1) // self.step:
            ends = range((first // self.step + 1) * self.step, last, self.step)
            for a, b in zip((first, *ends), (*ends, last), strict=True):
                yield from self._tried(a, b)
        else:
            yield first, last, what


def without_damaged(raw: Raw, skip: bool) -> Raw:
    """`raw`, of whose points all blocks are there. Raises `InputError`, or with `skip` leaves out
    the points of the others."""
    array = raw.points
    if not isinstance(array, Blocks):
        return raw
    if not skip:
        array.check()
    spans = array.unreadable() if skip else []
    if not spans:
        return raw
    gone = np.concatenate([np.arange(a, b) for a, b in spans])
    rows = np.setdiff1d(np.arange(len(array)), gone)
    return only_rows(raw, rows, array.only(rows)).noting(
        f"{len(gone)} points in {len(spans)} blocks could not be read and were left out, the first "
        f"{spans[0][0]} to {spans[0][1] - 1}"
    )


def _absent(array: Blocks) -> str:
    count, (first, last) = len(array.absent), array.absent[0]
    return (
        f"{count} blocks (chunks) of {array.path} are missing or cut short, the first that of rows "
        f"{first} to {last - 1}: they would be read as the fill value, or as what happens to lie "
        "in memory; expected every block. Copy the store again, or leave their points out by "
        "skip_unreadable=True (--skip-unreadable). Points that are the fill value and nothing else "
        "are written by write_empty_chunks=True."
    )
