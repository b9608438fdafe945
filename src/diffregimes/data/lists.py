"""Rows of Arrow part by part, and columns of them that are lists of numbers.

A part is what can be read or not: a row group of a parquet file, or a file of Arrow. Lists become
one array in memory, or where that is more than memory is for one beside the output (`decoded`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import InputError
from . import decoded
from .request import Request


@dataclass(frozen=True)
class Part:
    """So many rows that can be read or not, and `batches(columns)`, these columns of them in record
    batches; a row group of parquet, or a file."""

    count: int
    batches: Callable[[Sequence[str]], Iterator[Any]]


@dataclass(frozen=True)
class Rows:
    """A schema, and the rows part by part; `files` that they lie in."""

    where: str
    schema: Any
    parts: tuple[Part, ...]
    files: tuple[Path, ...] = ()

    @property
    def count(self) -> int:
        return sum(x.count for x in self.parts)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        for part in self.parts:
            yield from part.batches(columns)

    def column(self, name: str) -> np.ndarray:
        """All of one column."""
        parts = [column_values(x.column(0)) for x in self.batches([name])]
        return np.concatenate(parts) if parts else np.empty(0)


def column_values(column: Any) -> np.ndarray:
    """A column as numpy has it: words as strings, whole numbers as such where none is missing."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    out = np.asarray(column.to_numpy(zero_copy_only=False))
    return out.astype(str) if out.dtype.kind == "O" and column.null_count == 0 else out


def is_list(kind: Any) -> bool:
    """Whether a type is one of lists of numbers, or of lists of these."""
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    return is_list(inner) or bool(types.is_integer(inner) or types.is_floating(inner))


def number_type(kind: Any) -> np.dtype:
    """The dtype of the numbers in nested lists."""
    kind = getattr(kind, "storage_type", kind)
    return number_type(kind.value_type) if is_list(kind) else np.dtype(kind.to_pandas_dtype())


def read_lists(
    request: Request, rows: Rows, key: str, taken: np.ndarray, dtype: np.dtype
) -> decoded.Decoded:
    """The lists of ascending rows as one array, which of the rows it has, and notes; all must have
    one shape. Rows of parts that cannot be read are left out where that was asked for."""
    failed = list[str]()
    found = partial(_lists, rows, key, skip=request.skip_unreadable, failed=failed)

    def notes() -> list[str]:
        gone = list(dict.fromkeys(failed))
        return [f"left out for they could not be read: {', '.join(gone)}"] if gone else []

    names = [f"{key} {taken.tobytes().hex()}"]
    at = decoded.place(request, (lambda: rows.files) if rows.files else None, names, "lists")
    if (known := decoded.found(at)) is not None:
        return known
    first = next((x for _, x in found(taken[:1])), np.empty((0, 0)))
    shape = (len(taken), *first.shape[1:])
    failed.clear()
    if at is not None and decoded.larger(request, shape, dtype):

        def work(after: int | None) -> decoded.Rows:
            left = taken if after is None else taken[bisect_right(taken, after) :]
            for places, values in found(left):
                yield from zip(places.tolist(), values, strict=True)

        return decoded.decoded(at, shape, dtype, work, failed, notes)
    parts = list(found(taken))
    if not parts:
        return decoded.Decoded(np.empty((0, 0)), np.empty(0, dtype=np.int64), tuple(notes()))
    there, values = (np.concatenate(x) for x in zip(*parts, strict=True))
    return decoded.Decoded(values, there, tuple(notes()))


def _lists(
    rows: Rows, key: str, taken: np.ndarray, *, skip: bool, failed: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ascending rows batch by batch: where they stand, and their lists."""
    shape, start = tuple[int, ...](), 0
    for part in rows.parts:
        at, last = start, start + part.count
        start = last
        if not np.diff(np.searchsorted(taken, [at, last]))[0]:
            continue
        try:
            for batch in part.batches([key]):
                array = _array(batch.column(0), rows.where, key)
                shape = shape or array.shape[1:]
                if array.shape[1:] != shape and len(array):
                    raise _Unlike(
                        f"the lists in the column {key} of {rows.where} have the shapes {shape} "
                        f"and {array.shape[1:]}; expected one. Pad or cut them, or name another "
                        "column by key (--key)."
                    )
                first, stop = np.searchsorted(taken, [at, at + len(array)])
                yield taken[first:stop], array[taken[first:stop] - at]
                at += len(array)
        except _Unlike:
            raise
        except InputError:
            if not skip:
                raise
            failed.append(f"rows {at} to {last - 1}")


class _Unlike(InputError):
    """Lists that make no array, which to leave out is no way out."""


def _array(column: Any, where: str, key: str) -> np.ndarray:
    column = getattr(column, "storage", column)
    array, lengths = _flat(column)
    if any(len(set(x)) > 1 for x in lengths) or column.null_count:
        raise _Unlike(
            f"the lists in the column {key} of {where} differ in length or are missing; expected "
            "one length. Pad or cut them, or name another column by key (--key)."
        )
    return array.reshape(len(column), *(x[0] for x in lengths if len(x)))


def _flat(column: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """The numbers of nested lists, and the lengths of the lists at each depth."""
    lengths = []
    while hasattr(column.type, "value_type") and is_list(column.type):
        size = getattr(column.type, "list_size", None)
        own = np.full(len(column), size) if size else np.diff(_offsets(column))
        lengths.append(own)
        column = column.flatten()
    return np.asarray(column.to_numpy(zero_copy_only=False)), lengths


def _offsets(column: Any) -> np.ndarray:
    return np.asarray(column.offsets.to_numpy())
