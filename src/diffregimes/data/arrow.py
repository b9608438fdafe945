"""Rows of Apache Arrow: parquet and Arrow files, folders of them, Hugging Face `datasets`.

A row is an image (a struct of bytes and path), a list of numbers, or a row of a table. The column
of labels is read first; then, batch by batch, the rows of the classes that were asked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..common.checks import InputError
from ..common.reading import readable
from .classes import label_name, listed
from .extras import extra
from .labelled import only_rows, rows_of_classes
from .lists import Part, Rows, column_values, is_list, number_type, read_lists
from .pictures import Opener, Pictures, read_pictures
from .request import Raw, Request
from .splits import choose
from .tables import Table, from_table

FILES = (".parquet", ".arrow", ".feather")
_BATCH = 1024  # rows
_KINDS = {
    "number": ("integer", "floating", "boolean", "decimal"),
    "text": ("string", "large_string"),
    "images": ("struct", "binary", "large_binary"),
}
_PLACES = ("", "data", "*", "data/*")  # where the files of a dataset lie in its folder


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
    found = [_opened(x) for x in files]
    for rows in found[1:]:
        _check_alike(rows, found[0])
    parts = tuple(x for rows in found for x in rows.parts)
    rows = Rows(str(path), found[0].schema, parts, tuple(files))
    return from_rows(request, rows, notes, path)


def _check_alike(one: Rows, first: Rows) -> None:
    """Raise `InputError` unless two files have the same columns, of the same kinds: numbers of
    other types would be taken for one scale of pixels."""
    if one.schema.names != first.schema.names:
        raise InputError(
            f"{one.where} has the columns {listed(one.schema.names)} and {first.where} "
            f"{listed(first.schema.names)}; expected the same in all. Give the files apart."
        )
    for mine, other in zip(one.schema, first.schema, strict=True):
        if _kind(mine.type) != _kind(other.type):
            raise InputError(
                f"the column {mine.name} is {mine.type} in {one.where} and {other.type} in "
                f"{first.where}; expected one type in all files. Cast those of one of them, or "
                "give the files apart."
            )


def _kind(kind: Any) -> object:
    """What two columns must have in common: lists the type of their numbers, others whether they
    are numbers, text or images."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if is_list(kind):
        return "list", number_type(kind)
    for words, tests in _KINDS.items():
        if any(getattr(types, f"is_{x}")(kind) for x in tests):
            return words
    return None if types.is_null(kind) else str(kind)


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
        with readable(path, kind), parquet.ParquetFile(path) as file:
            told, schema = file.metadata, file.schema_arrow

        def batches(group: int, columns: Sequence[str]) -> Iterator[Any]:
            named = f"row group {group} of {path}"
            with readable(named, kind), parquet.ParquetFile(path, metadata=told) as file:
                yield from file.iter_batches(_BATCH, [group], columns=list(columns))

        counts = [told.row_group(k).num_rows for k in range(told.num_row_groups)]
        groups = tuple(Part(n, partial(batches, k)) for k, n in enumerate(counts))
        return Rows(str(path), schema, groups)

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
    return Rows(str(path), schema, (Part(count, selected),))


def from_rows(
    request: Request, rows: Rows, notes: Sequence[str], beside: Path | None = None
) -> Raw:
    """The points of rows; paths of images that hold no bytes are those `beside` the file."""
    told = _features(rows.schema)
    pictures = [x.name for x in rows.schema if _is_image(x, told)]
    lists = [x.name for x in rows.schema if is_list(x.type)]
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
    dtype = number_type(rows.schema.field(key).type)
    taken, values, known = rows_of_classes(values, rows.count, request, dtype, class_names)
    wanted = np.arange(rows.count) if taken is None else taken
    points, there, said = read_lists(request, rows, key, wanted, dtype)
    raw = Raw(points, values, (*notes, *said), None, class_names, None, taken, (), known)
    return raw if len(there) == len(wanted) else only_rows(raw, np.searchsorted(wanted, there))


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
    names = [x for x in rows.schema.names if x not in (key, *request.beside)]
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
            np.column_stack(
                [column_values(x.column(k)).astype(np.float64) for k in range(len(names))]
            )
            for x in rows.batches(names)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(names)))

    raw = from_table(request, Table(rows.where, numeric, read, class_names))
    return replace(raw, notes=(*notes, *raw.notes))


def _pictures(rows: Rows, key: str, beside: Path | None) -> Pictures:
    """The images of a column, opened batch by batch."""
    folder = beside if beside is None or beside.is_dir() else beside.parent

    def opened(places: Sequence[int]) -> Iterator[Opener]:
        wanted, start = np.asarray(places), 0
        for part in rows.parts:
            first, last = np.searchsorted(wanted, [start, start + part.count])
            yield from _of_part(part, key, (wanted[first:last] - start).tolist(), folder)
            start += part.count

    # a column of paths alone says nothing of what the files hold
    first = next((x.column(0) for x in rows.batches([key]) if len(x)), None)
    value = None if first is None else first[0].as_py()
    inside = isinstance(value, bytes) or (isinstance(value, dict) and value.get("bytes"))
    names = tuple(f"row {k}" for k in range(rows.count))
    return Pictures(
        rows.where, names, opened, (lambda places: rows.files) if inside and rows.files else None
    )


def _of_part(part: Part, key: str, places: Sequence[int], folder: Path | None) -> Iterator[Opener]:
    """What opens the images of these rows of a part; of one that cannot be read what says so."""
    done, start = 0, 0
    try:
        for batch in part.batches([key]) if places else ():
            column = batch.column(0)
            while done < len(places) and places[done] < start + len(batch):
                value = column[places[done] - start].as_py()
                done += 1
                yield partial(_encoded, value, folder)
            start += len(batch)
    except InputError as error:
        yield from (partial(_raised, error) for _ in places[done:])


def _raised(error: InputError) -> IO[bytes]:
    raise error


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
