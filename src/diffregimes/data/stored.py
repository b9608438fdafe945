"""An array in a file: its shape and dtype from the header, its rows when they are asked for.

Rows that nobody asked for are passed over, in a compressed file too: memory holds what is chosen,
whatever the size of the file. A header that asks for more bytes than there are is found out first.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..common.checks import InputError, finite_points
from ..common.memory import check_fits
from ..common.reading import readable

_BLOCK = 2**24  # bytes read at a time where all rows are gone through
WIDE = 4  # bytes of a value that take no less than a point in float32
IN_MEMORY = "an array"  # the kind of one that was read
DEFLATED = 1032  # times smaller than its data a deflated file can be, and no more


@dataclass(frozen=True)
class Stored:
    """The array of `shape` and `dtype` in `path`, a file of the kind that `kind` names.

    opened : a stream that stands at the first value
    stored : bytes that the file can hold of it at most
    fortran : whether the first axis is the fastest
    exact : whether nothing may come after the last value
    without : a column that is left out
    direct : the like, where it seeks without reading what it passes over
    budget : MiB that its rows may take as points; without one all of memory
    """

    path: Path
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    opened: Callable[[], AbstractContextManager[IO[bytes]]]
    stored: int
    fortran: bool = False
    exact: bool = False
    without: int | None = None
    direct: Callable[[], AbstractContextManager[IO[bytes]]] | None = None
    budget: int | None = None

    def __post_init__(self) -> None:
        if self.nbytes > self.stored:
            raise InputError(
                f"{self.path} cannot be read as {self.kind}: it is truncated: its header, shape "
                f"{self.shape} of {self.dtype}, asks for {self.nbytes} bytes, and it holds no more "
                f"than {max(0, self.stored)}. Copy or download it again."
            )

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

    def read(self) -> np.ndarray:
        """The whole array, where it fits into memory."""
        check_fits(self.nbytes, f"the array in {self.path}", "Give a smaller file.")
        return self.rows(np.arange(len(self))) if self.ndim else self._all()

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """The rows of these indices, which ascend."""
        if self.fortran:
            check_fits(
                self.nbytes,
                f"the array in {self.path}, whose first axis is the fastest (Fortran order),",
                "Save it by np.save(path, np.ascontiguousarray(array)): then rows can be chosen.",
            )
            return self._kept(self._all()[indices])
        with readable(self.path, self.kind), self.opened() as stream:
            return self._kept(self._picked(stream, indices))

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows, some at a time."""
        if self.fortran:
            yield self.read()
            return
        step = max(1, _BLOCK // max(1, self.nbytes // max(1, len(self))))
        with readable(self.path, self.kind), self.opened() as stream:
            for first in range(0, len(self), step):
                count = min(step, len(self) - first)
                yield self._kept(self._filled(stream, np.empty((count, *self._row), self.dtype)))
            self._check_end(stream)

    def column(self, place: int) -> np.ndarray:
        """One column of an array of two axes."""
        return np.concatenate([x[:, place] for x in self.blocks()])

    def leaving(self, column: int) -> Stored:
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

    def _all(self) -> np.ndarray:
        shape = (len(self), *self._row) if self.ndim else ()
        with readable(self.path, self.kind), self.opened() as stream:
            out = self._filled(stream, np.empty(shape[:: -1 if self.fortran else 1], self.dtype))
        return out.T if self.fortran else out

    def _picked(self, stream: IO[bytes], indices: np.ndarray) -> np.ndarray:
        out = np.empty((len(indices), *self._row), self.dtype)
        size = prod(self._row) * self.dtype.itemsize
        breaks = np.flatnonzero(np.diff(indices) != 1) + 1
        at = 0
        for run in np.split(np.arange(len(indices)), breaks):
            if not len(run):
                continue
            first, last = int(indices[run[0]]), int(indices[run[-1]])
            if first > at:
                stream.seek((first - at) * size, 1)
            self._filled(stream, out[run[0] : run[-1] + 1])
            at = last + 1
        if at == len(self):
            self._check_end(stream)
        return out

    def _filled(self, stream: IO[bytes], out: np.ndarray) -> np.ndarray:
        """`out`, contiguous, with the next bytes of the stream."""
        raw = memoryview(out.reshape(-1).view(np.uint8).data)
        got = 0
        while got < len(raw):
            more = stream.readinto(raw[got : got + _BLOCK])  # type: ignore[attr-defined]
            if not more:
                raise EOFError(f"it ends {len(raw) - got} bytes before its header says")
            got += more
        kind = out.dtype.kind
        if kind == "b" and (out.view(np.uint8) > 1).any():
            raise ValueError("it holds truth values that are neither 0 nor 1")
        if kind == "U" and (out.view(self._letters) > sys.maxunicode).any():
            raise ValueError("it holds text with letters that are none")
        return out

    @property
    def _letters(self) -> np.dtype:
        return np.dtype(np.uint32).newbyteorder(self.dtype.byteorder)

    def _check_end(self, stream: IO[bytes]) -> None:
        if self.exact and stream.read(1):
            raise ValueError(f"it is too long: it goes on after the values of shape {self.shape}")


class _Bytes(io.RawIOBase):
    """The bytes of an array in memory as a stream."""

    def __init__(self, array: np.ndarray):
        self._bytes = memoryview(array.reshape(-1).view(np.uint8).data)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, len(self._bytes))[whence]
        return self._at

    def readinto(self, out: Any) -> int:
        some = self._bytes[self._at : self._at + len(out)]
        out[: len(some)] = some
        self._at += len(some)
        return len(some)


def within(array: Any, path: Path, memory_mib: int | None) -> Any:
    """An array as a reader gave it, which may take so many MiB as points: one of narrow values that
    is in memory may stay what it is, and become points some rows at a time."""
    if memory_mib is None:
        return array
    narrow = isinstance(array, np.ndarray) and array.dtype.itemsize < WIDE
    if narrow and array.ndim > 1 and array.size and array.dtype.kind in "buif":
        array = in_memory(array, path)
    return replace(array, budget=memory_mib) if isinstance(array, Stored) else array


def in_memory(array: np.ndarray, path: Path) -> Stored:
    """An array that was read from `path` as one whose rows are reached there."""
    values = np.ascontiguousarray(array)

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        yield cast(IO[bytes], _Bytes(values))

    return Stored(path, IN_MEMORY, values.shape, values.dtype, opened, values.nbytes, direct=opened)


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
