"""Arrays and labels from single files: .npy, .npz, IDX, and lists of labels in .txt and .csv.

Files are data, never programs: an array that needs pickle is refused, since unpickling runs code.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ..common.checks import InputError, MissingFile
from ..common.memory import check_fits
from ..common.reading import check_regular, readable
from .classes import listed
from .matfiles import mat_array, mat_headers
from .streams import DEFLATED, Streamed
from .unread import POINTER, converting, pull

IDX_NAME = re.compile(r"idx\d-ubyte(\.gz)?$")
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_HEADERS = (np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0)
Headers = dict[str, tuple[tuple[int, ...], np.dtype]]  # shape and dtype, by key
_MOST_HEADER = 2**16 + 12  # bytes: a header of the first version has no more
_LOCAL = 30  # bytes of the head of a member in a zip file, before its name
_MOST_CELL = 1000  # characters of a label
_LABEL_FILES = "a .csv, .tsv, .txt, .npy, .npz, .mat or IDX file"


def stored_npy(path: Path) -> Streamed:
    """The array in an .npy file. Raises `InputError`."""
    kind = "an .npy file"
    size = check_regular(path, kind).st_size
    with readable(path, kind), path.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"
        file.seek(0)
        header = None if zipped else _header(file)
    if header is None:
        raise InputError(f"{path} is an .npz archive under the name .npy. Rename it to .npz.")
    _check_plain(path, header.dtype)

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with path.open("rb") as file:
            file.seek(header.start)
            yield file

    fortran, room = header.fortran, size - header.start
    direct = None if fortran else opened
    return Streamed(path, kind, header.shape, header.dtype, opened, room, fortran, direct=direct)


def npz_headers(path: Path) -> Headers:
    """Shape and dtype of every array in an .npz, by key, without reading them."""
    check_regular(path, "an .npz file")
    with readable(path, "an .npz file"):
        zipped = zipfile.is_zipfile(path)
    if not zipped:
        raise InputError(
            f"{path} is not an .npz archive (a zip file of arrays), or was cut short; expected "
            "what np.savez writes. Save, copy or download it again."
        )
    headers = {}
    with readable(path, "an .npz file"), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as member:
                    header = _header(member)
                headers[name.removesuffix(".npy")] = header.shape, header.dtype
    return headers


def stored_npz(path: Path, key: str) -> Streamed:
    """One array of an .npz. Raises `InputError`."""
    kind, name = "an .npz file", f"{key}.npy"
    size = check_regular(path, kind).st_size
    with readable(path, kind), zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        with archive.open(info) as member:
            header = _header(member)
    _check_plain(path, header.dtype)
    room = info.file_size - header.start
    if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        most = DEFLATED if info.compress_type == zipfile.ZIP_DEFLATED else 1
        room = min(room, most * size)

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(info) as member:
            member.read(header.start)
            yield member

    @contextmanager
    def direct() -> Iterator[IO[bytes]]:
        with path.open("rb") as file:
            file.seek(info.header_offset + _LOCAL - 4)
            names = struct.unpack("<HH", file.read(4))  # lengths: the archive's own may differ
            file.seek(sum(names) + header.start, 1)
            yield file

    plain = info.compress_type == zipfile.ZIP_STORED and not header.fortran
    return Streamed(
        path, kind, header.shape, header.dtype, opened, room, header.fortran,
        direct=direct if plain else None,
    )  # fmt: skip


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    start: int  # of the values


def _header(file: IO[bytes]) -> _Header:
    """What stands at the head of an .npy file; nothing of it is read but its header."""
    head = io.BytesIO(file.read(_MOST_HEADER))
    version = np.lib.format.read_magic(head)
    # Later versions are for huge or structured headers and read alike.
    shape, fortran, dtype = _HEADERS[0 if version == (1, 0) else 1](head)
    if any(isinstance(x, bool) or not 0 <= x < 2**48 for x in shape):
        raise ValueError(f"its shape is {shape}")
    return _Header(tuple(shape), fortran, dtype, head.tell())


def _check_plain(path: Path, dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise InputError(
            f"{path} needs pickle, which can run code and is never loaded; expected arrays of "
            "a plain dtype. Save it again as one, for example "
            "np.savez(path, images=np.stack(images).astype(np.uint8), labels=labels)."
        )


def stored_idx(path: Path) -> Streamed:
    """The array in an IDX file, gzipped or not. Raises `InputError`."""
    kind = "an IDX file"
    size = check_regular(path, kind).st_size
    with readable(path, kind):
        with path.open("rb") as start_of:  # by content: gzipped files come under either name
            zipped = start_of.read(2) == b"\x1f\x8b"
        opener: Any = gzip.open if zipped else open
        with opener(path, "rb") as file:
            head = file.read(4)
            head += file.read(4 * head[3]) if len(head) == 4 else b""
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or head[3] == 0:
        raise InputError(
            f"{path} is not an IDX file: it starts with the bytes {head[:4].hex(' ') or '(none)'}; "
            "expected 00 00, a type (08 for bytes) and the number of axes. Download it again, or "
            "save the data as .npz."
        )
    dtype, start = np.dtype(_IDX_TYPES[head[2]]), 4 + 4 * head[3]
    if len(head) < start:
        raise InputError(
            f"{path} is truncated: its header alone has {start} bytes, the file {len(head)}. Copy "
            "or download it again."
        )
    shape = tuple(int(x) for x in np.frombuffer(head, ">u4", count=head[3], offset=4))

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with opener(path, "rb") as file:
            file.read(start)
            yield file

    room = DEFLATED * size if zipped else size - start
    return Streamed(
        path, kind, shape, dtype, opened, room, exact=True, direct=None if zipped else opened
    )


def split_column(spec: str) -> tuple[Path, str | None]:
    """ "file.csv:column" as (path, column); the column is None where none is named."""
    head, colon, tail = spec.rpartition(":")
    with readable(spec, "the name of a file", "check the spelling."):
        path = Path(spec).expanduser()
        if path.exists() or not colon or not head:
            return path, None
        return Path(head).expanduser(), tail


def labels_in_order(spec: str, n: int) -> np.ndarray:
    """Labels for n points, in their order, from the file `spec` ("file.csv:column" for one column,
    "file.npz:key" for one array).

    A header line in a file of one column is recognised by the one line too many. Raises
    `InputError`; the length is for the caller to check.
    """
    path, column = split_column(spec)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise MissingFile(
            f"labels (--labels) is {spec!r}, but there is no such file; expected {_LABEL_FILES} "
            "with one label for each point. Correct the path."
        )
    if suffix in (".npz", ".mat"):
        return _vector(path, column)
    if column is not None and suffix not in (".csv", ".tsv"):
        raise InputError(
            f"labels {spec!r} names a column, but {path} is not a .csv file; expected one, whose "
            "first line names the columns. Save it as such."
        )
    if suffix == ".npy":
        return stored_npy(path).read()
    if IDX_NAME.search(path.name):
        return stored_idx(path).read()
    if suffix not in (".csv", ".tsv", ".txt"):
        known = converting(path) or f"labels cannot be read from {path}; expected {_LABEL_FILES}."
        raise InputError(f"labels (--labels): {known}")
    rows = read_rows(path)
    if column is not None:
        place = column_of(rows[0], column, path)
        rows, first = rows[1:], 2
    else:
        place, first = 0, 1
        if len(rows[0]) > 1:
            raise InputError(
                f"{path} has several columns ({listed(rows[0])}); expected one. Name the column "
                f'of labels: "{spec}:NAME".'
            )
        if len(rows) == n + 1:
            rows, first = rows[1:], 2
    return typed([cell(row, place, path, k) for k, row in enumerate(rows, first)])


def _vector(path: Path, key: str | None) -> np.ndarray:
    """The array `key` of an .npz or .mat, else the only one with one value for each point."""
    read: Callable[[str], np.ndarray]
    if path.suffix.lower() == ".npz":
        shapes = {name: shape for name, (shape, _) in npz_headers(path).items()}
        read = lambda name: stored_npz(path, name).read()  # noqa: E731
    else:
        headers, _ = mat_headers(path)
        shapes = {name: shape for name, (shape, _) in headers.items()}
        read = lambda name: mat_array(path, name, *headers[name])  # noqa: E731
    fitting = [x for x, shape in shapes.items() if shape and max(shape) == prod(shape) > 1]
    name = key or (fitting[0] if len(fitting) == 1 else "labels")
    if name not in fitting:
        raise InputError(
            f"labels (--labels) is {path}{':' + key if key else ''}, which holds "
            f"{listed([f'{x} {y}' for x, y in shapes.items()])}; expected one array with a label "
            f'for each point. Name it: "{path}:NAME".'
        )
    return read(name).reshape(-1)


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a file of labels that are not blank; a .txt file has one cell a line."""
    check_fits(
        8 * check_regular(path, "a text file").st_size, f"the text in {path}", "Expected labels."
    )
    with readable(path, "a text file", f"expected UTF-8, and cells of {_MOST_CELL} characters."):
        return rows_of(path.read_text(encoding="utf-8-sig"), path)


def rows_of(text: str, path: object) -> list[list[str]]:
    """The same from the text of a file; `path` names it."""
    if text.startswith(POINTER.decode()):
        raise InputError(pull(path))
    lines = [line for line in text.splitlines() if line.strip()]
    mark = next((c for c in ",;\t" if lines and c in lines[0]), ",")
    table = not str(path).lower().endswith(".txt")
    rows = list(csv.reader(lines, delimiter=mark)) if table else [[line] for line in lines]
    longest = max((len(x) for row in rows for x in row), default=0)
    if longest > _MOST_CELL:  # every label takes the room of the longest
        raise ValueError(f"a cell has {longest} characters")
    if not rows:
        raise InputError(f"{path} is empty; expected one label for each point.")
    return rows


def column_of(header: Sequence[str], column: str, path: object) -> int:
    names = [name.strip() for name in header]
    if column not in names:
        raise InputError(
            f"{path} has no column {column!r}; it has {listed(names)}. Name one of these."
        )
    return names.index(column)


def cell(row: Sequence[str], place: int, path: object, line: int) -> str:
    text = row[place].strip() if place < len(row) else ""
    if not text:
        raise InputError(
            f"{path} has no entry in column {place + 1} of row {line}; expected one in every row. "
            "Fill it in."
        )
    return text


def typed(values: Sequence[str]) -> np.ndarray:
    """Integers if all are (np.savetxt writes 1 as 1.0e+00), else strings."""

    def whole(text: str) -> Any:
        try:
            number = float(text)
        except ValueError:
            return None
        # Beyond 2^53 floats skip integers: such labels stay strings.
        return int(number) if number.is_integer() and abs(number) < 2**53 else None

    numbers = [whole(x) for x in values]
    return np.array(values if None in numbers else numbers)
