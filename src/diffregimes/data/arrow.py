"""Rows of Apache Arrow: parquet and Arrow files, folders of them, Hugging Face `datasets`.

A row is an image (a struct of bytes and path), a list of numbers, or a row of a table. The column
of labels is read first; then, batch by batch, the rows of the classes that were asked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..common.checks import InputError
from ..common.reading import readable
from .classes import label_name, listed
from .extras import extra
from .labelled import rows_of_classes
from .pictures import Opener, Pictures, read_pictures
from .request import Raw, Request
from .splits import choose
from .tables import Table, from_table

FILES = (".parquet", ".arrow", ".feather")
_BATCH = 1024  # rows
_PLACES = ("", "data", "*", "data/*")  # where the files of a dataset lie in its folder


@dataclass(frozen=True)
class Rows:
    """A schema, how many rows, and `batches(columns)`, these columns of them in record batches."""

    where: str
    schema: Any
    count: int
    batches: Callable[[Sequence[str]], Iterator[Any]]

    def column(self, name: str) -> np.ndarray:
        """All of one column."""
        parts = [_values(x.column(0)) for x in self.batches([name])]
        return np.concatenate(parts) if parts else np.empty(0)


def arrow(request: Request) -> Raw:
    """Parquet or Arrow (.parquet, .arrow, .feather), a file or a folder of them, such as a dataset
    of Hugging Face: a column of images, of lists of numbers (`key` names it if there are several),
    or a table of numbers; needs the extra "parquet"."""
    path = request.path
    notes: list[str] = []
    files = [path]
    if path.is_dir():
        kept, notes = choose(
            [x.relative_to(path).as_posix() for x in data_files(path)], request.split, path
        )
        files = [path / x for x in kept]
        request = replace(request, split=None)
    parts = [_opened(x) for x in files]
    for file, part in zip(files, parts, strict=True):
        if part.schema.names != parts[0].schema.names:
            raise InputError(
                f"{file} has the columns {listed(part.schema.names)} and {files[0]} "
                f"{listed(parts[0].schema.names)}; expected the same in all. Give the files apart."
            )

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        for part in parts:
            yield from part.batches(columns)

    rows = Rows(str(path), parts[0].schema, sum(x.count for x in parts), batches)
    return from_rows(request, rows, notes, path)


def data_files(folder: Path) -> list[Path]:
    """The files of Arrow of a dataset in a folder; of values of a column (label=cat/) none."""
    for place in _PLACES:
        there = folder.glob(f"{place}/*" if place else "*")
        found = [x for x in there if x.suffix.lower() in FILES and x.stem != "metadata"]
        found = [x for x in found if x.is_file() and "=" not in x.relative_to(folder).parent.name]
        if found:
            return sorted(found)
    return []


def _opened(path: Path) -> Rows:
    """One file, its columns and rows; datasets writes streams under the name .arrow."""
    with extra("parquet", path):
        import pyarrow as pa
        from pyarrow import parquet
    kind = "an Arrow or parquet file"
    with readable(path, kind), path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PAR1"):

        def batches(columns: Sequence[str]) -> Iterator[Any]:
            with readable(path, kind), parquet.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=_BATCH, columns=list(columns))

        with readable(path, kind), parquet.ParquetFile(path) as file:
            return Rows(str(path), file.schema_arrow, file.metadata.num_rows, batches)

    def read() -> Iterator[Any]:
        with pa.memory_map(str(path)) as file:
            if magic != b"ARROW1":
                yield from pa.ipc.open_stream(file)
                return
            reader = pa.ipc.open_file(file)
            yield from (reader.get_batch(k) for k in range(reader.num_record_batches))

    def selected(columns: Sequence[str]) -> Iterator[Any]:
        with readable(path, kind):
            for batch in read():
                part = batch.select(list(columns))
                part.validate(full=True)  # offsets of damaged files lead anywhere
                yield part

    with readable(path, kind), pa.memory_map(str(path)) as file:
        opener = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
        schema, count = opener(file).schema, sum(len(x) for x in read())
    return Rows(str(path), schema, count, selected)


def from_rows(
    request: Request, rows: Rows, notes: Sequence[str], beside: Path | None = None
) -> Raw:
    """The points of rows; paths of images that hold no bytes are those `beside` the file."""
    told = _features(rows.schema)
    pictures = [x.name for x in rows.schema if _is_image(x, told)]
    lists = [x.name for x in rows.schema if _is_list(x.type)]
    key = _data_column(request, rows, pictures or lists)
    label = _label_column(request, rows, key)
    names = told.get(label or "", {}).get("names")
    class_names = tuple(names) if names else None
    if key is None:
        return _table(request, rows, class_names, notes)
    if request.split is not None:
        raise InputError(
            f"split (--split) is {request.split!r}, but {rows.where} is one part. Leave it out."
        )
    values = None if label is None else _labels(rows, label)
    if label is not None:
        notes = [*notes, f"the labels are the column {label}"]
    if request.labels_only:
        return Raw(np.empty((rows.count, 0)), values)
    if key in pictures:
        found = _pictures(rows, key, beside)
        raw = read_pictures(found, values, request, notes=notes, class_names=class_names)
        return replace(raw, files=())  # a row has a number and no file
    dtype = _number_type(rows.schema.field(key).type)
    taken, values, known = rows_of_classes(values, rows.count, request, dtype, class_names)
    points = _lists(rows, key, np.arange(rows.count) if taken is None else taken)
    return Raw(points, values, tuple(notes), class_names=class_names, indices=taken, classes=known)


def _features(schema: Any) -> dict[str, Any]:
    """What Hugging Face's `datasets` wrote of the columns, by their names."""
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = told.get("info", {}).get("features", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    usable = isinstance(features, dict)
    return {x: y for x, y in features.items() if isinstance(y, dict)} if usable else {}


def _is_image(field: Any, told: dict[str, Any]) -> bool:
    from pyarrow import types

    if types.is_struct(field.type):
        return "bytes" in [x.name for x in field.type]
    encoded = bool(types.is_binary(field.type) or types.is_large_binary(field.type))
    return encoded or bool(told.get(field.name, {}).get("_type") == "Image")


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    return _is_list(inner) or bool(types.is_integer(inner) or types.is_floating(inner))


def _number_type(kind: Any) -> np.dtype:
    """The dtype of the numbers in nested lists."""
    kind = getattr(kind, "storage_type", kind)
    return _number_type(kind.value_type) if _is_list(kind) else np.dtype(kind.to_pandas_dtype())


def _data_column(request: Request, rows: Rows, found: Sequence[str]) -> str | None:
    """The column of images or lists; None for a table of numbers."""
    if request.key is not None:
        if request.key not in found:
            raise InputError(
                f"key (--key) is {request.key!r}; expected a column of images or of lists of "
                f"numbers of {rows.where}: {listed(found) or 'there is none'}. Name one of these."
            )
        return request.key
    if len(found) > 1:
        raise InputError(
            f"{rows.where} holds several columns that could be the data ({listed(found)}); name "
            "the one to read by key (--key)."
        )
    return found[0] if found else None


def _label_column(request: Request, rows: Rows, key: str | None) -> str | None:
    """The column of labels beside images or lists; `tables` finds that of a table."""
    wanted = request.labels
    names = [x for x in rows.schema.names if x not in (key, request.group)]
    if wanted == "none":
        return None
    if key is None:
        return wanted if wanted in names else label_name(names)
    if wanted is not None:
        if wanted not in names:
            raise InputError(
                f"labels (--labels) is {wanted!r}, which is no column of {rows.where}; expected "
                f"one of {listed(names) or '(there is none)'}. Name one of these, or none."
            )
        return wanted
    told = _features(rows.schema)
    classes = [x for x in names if told.get(x, {}).get("_type") == "ClassLabel"]
    if len(classes) > 1 and label_name(classes) is None:
        raise InputError(
            f"{rows.where} holds several columns that could be labels ({listed(classes)}); name "
            'one by labels (--labels), or "none" to leave labels out.'
        )
    return label_name(classes) or (classes[0] if classes else label_name(names))


def _labels(rows: Rows, label: str) -> np.ndarray:
    from pyarrow import types

    kind = rows.schema.field(label).type
    if types.is_nested(kind):
        raise InputError(
            f"the labels of a point are several: the column {label} of {rows.where} is {kind}; "
            "expected one label for each point. Name another column, or leave labels out by "
            '"none" (--labels none).'
        )
    return rows.column(label)


def _values(column: Any) -> np.ndarray:
    """A column as numpy has it: words as strings, whole numbers as such where none is missing."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    out = np.asarray(column.to_numpy(zero_copy_only=False))
    return out.astype(str) if out.dtype.kind == "O" and column.null_count == 0 else out


def _table(
    request: Request, rows: Rows, class_names: tuple[str, ...] | None, notes: Sequence[str]
) -> Raw:
    from pyarrow import types

    def number(kind: Any) -> bool:
        known = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal
        return any(is_one(kind) for is_one in known)

    numeric = {x.name: number(x.type) for x in rows.schema if x.name != "__index_level_0__"}

    def read(names: Sequence[str]) -> np.ndarray:
        if len(names) == 1 and not numeric[names[0]]:
            return rows.column(names[0])
        parts = [
            np.column_stack([_values(x.column(k)).astype(np.float64) for k in range(len(names))])
            for x in rows.batches(names)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(names)))

    raw = from_table(request, Table(rows.where, numeric, read, class_names))
    return replace(raw, notes=(*notes, *raw.notes))


def _lists(rows: Rows, key: str, taken: np.ndarray) -> np.ndarray:
    """The lists of ascending rows as one array; all must have one shape."""
    parts: list[np.ndarray] = []
    shape, start = tuple[int, ...](), 0
    for batch in rows.batches([key]):
        first, last = np.searchsorted(taken, [start, start + len(batch)])
        column = batch.column(0)
        column = getattr(column, "storage", column)
        array, lengths = _flat(column)
        if any(len(set(x)) > 1 for x in lengths) or column.null_count:
            raise InputError(
                f"the lists in the column {key} of {rows.where} differ in length or are missing; "
                "expected one length. Pad or cut them, or name another column by key (--key)."
            )
        own = tuple(x[0] for x in lengths if len(x))
        shape = shape or own
        if own != shape:
            raise InputError(
                f"the lists in the column {key} of {rows.where} have the shapes {shape} and "
                f"{own}; expected one. Pad or cut them, or name another column by key (--key)."
            )
        parts.append(array.reshape(len(batch), *shape)[taken[first:last] - start])
        start += len(batch)
    return np.concatenate(parts) if parts else np.empty((0, 0))


def _flat(column: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """The numbers of nested lists, and the lengths of the lists at each depth."""
    lengths = []
    while hasattr(column.type, "value_type") and _is_list(column.type):
        size = getattr(column.type, "list_size", None)
        own = np.full(len(column), size) if size else np.diff(_offsets(column))
        lengths.append(own)
        column = column.flatten()
    return np.asarray(column.to_numpy(zero_copy_only=False)), lengths


def _offsets(column: Any) -> np.ndarray:
    return np.asarray(column.offsets.to_numpy())


def _pictures(rows: Rows, key: str, beside: Path | None) -> Pictures:
    """The images of a column, opened batch by batch."""
    folder = beside if beside is None or beside.is_dir() else beside.parent

    def opened(places: Sequence[int]) -> Iterator[Opener]:
        wanted, start = iter(places), 0
        place = next(wanted, None)
        for batch in rows.batches([key]):
            column = batch.column(0)
            while place is not None and place < start + len(batch):
                yield partial(_encoded, column[place - start].as_py(), folder)
                place = next(wanted, None)
            start += len(batch)

    return Pictures(rows.where, tuple(f"row {k}" for k in range(rows.count)), opened)


def _encoded(value: Any, folder: Path | None) -> IO[bytes]:
    """What an image is opened from: its bytes, or the file that its path names."""
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        if data is None and path is not None:
            return Path(folder or "", path).open("rb")
        value = data
    if not isinstance(value, bytes):
        raise ValueError(f"there is no image but {type(value).__name__}")
    return io.BytesIO(value)
