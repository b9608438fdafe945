"""Arrays as a stream of their values: .npy, .npz, IDX, safetensors, and what is in memory.

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
from typing import IO, Any, Self, cast

import numpy as np

from ..common.checks import InputError
from ..common.memory import check_fits
from ..common.reading import readable
from .stored import WIDE, Stored

_READ = 2**24  # bytes at a time
IN_MEMORY = "an array"  # the kind of one that was read
DEFLATED = 1032  # times smaller than its data a deflated file can be, and no more


@dataclass(frozen=True)
class Streamed(Stored):
    """See the module.

    opened : a stream that stands at the first value
    stored : bytes that the file can hold of it at most
    fortran : whether the first axis is the fastest
    exact : whether nothing may come after the last value
    direct : the like, where it seeks without reading what it passes over
    """

    opened: Callable[[], AbstractContextManager[IO[bytes]]]
    stored: int
    fortran: bool = False
    exact: bool = False
    direct: Callable[[], AbstractContextManager[IO[bytes]]] | None = None

    def __post_init__(self) -> None:
        if self.nbytes > self.stored:
            raise InputError(
                f"{self.path} cannot be read as {self.kind}: it is truncated: its header, shape "
                f"{self.shape} of {self.dtype}, asks for {self.nbytes} bytes, and it holds no more "
                f"than {max(0, self.stored)}. Copy or download it again."
            )

    def reached(self) -> Self | None:
        return None if self.direct is None else replace(self, opened=self.direct)

    def read(self) -> np.ndarray:
        return super().read() if self.ndim else self._all()

    def blocks(self) -> Iterator[np.ndarray]:
        if self.fortran:
            yield self.read()
            return
        with readable(self.path, self.kind), self.opened() as stream:
            for part in self._steps():
                count = part.stop - part.start
                yield self._kept(self._filled(stream, np.empty((count, *self._row), self.dtype)))
            self._check_end(stream)

    def _fetch(self, indices: np.ndarray) -> np.ndarray:
        if self.fortran:
            check_fits(
                self.nbytes,
                f"the array in {self.path}, whose first axis is the fastest (Fortran order),",
                "Save it by np.save(path, np.ascontiguousarray(array)): then rows can be chosen.",
            )
            return np.asarray(self._all()[indices])
        with readable(self.path, self.kind), self.opened() as stream:
            return self._picked(stream, indices)

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
            more = stream.readinto(raw[got : got + _READ])  # type: ignore[attr-defined]
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


def in_memory(array: np.ndarray, path: Path | str) -> Stored:
    """An array that was read from `path` as one whose rows are reached there."""
    values = np.ascontiguousarray(array)

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        yield cast(IO[bytes], _Bytes(values))

    return Streamed(
        path, IN_MEMORY, values.shape, values.dtype, opened, values.nbytes, direct=opened
    )
