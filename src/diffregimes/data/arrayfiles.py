"""Arrays and labels from single files: .npy, .npz, IDX, and lists of labels in .txt and .csv.

Files are data, never programs: an array that needs pickle is refused, since unpickling runs code.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..common.checks import InputError, MissingFile
from .classes import listed

IDX_NAME = re.compile(r"idx\d-ubyte(\.gz)?$")
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_HEADERS = (np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0)
Headers = dict[str, tuple[tuple[int, ...], np.dtype]]  # shape and dtype, by key
_POINTER = "version https://git-lfs.github.com/"  # how a pointer of Git LFS begins
_LABEL_FILES = "a .csv, .txt, .npy or IDX file"


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read into an `InputError` that names it."""
    try:
        yield
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as {kind} ({error or type(error).__name__}); the file may be "
            "damaged, cut short or of another kind. Copy, download or save it again."
        ) from error


def is_pointer(opener: Callable[[], Any]) -> bool:
    """Whether what `opener` gives, a path or a binary file, is a pointer of Git LFS."""
    try:
        opened = opener()
        with opened.open("rb") if isinstance(opened, Path) else opened as file:
            return bool(file.read(len(_POINTER)) == _POINTER.encode())
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):  # damaged: it is none
        return False


def pull(what: object) -> str:
    """What is said of a pointer of Git LFS."""
    return (
        f"{what} is a pointer of Git LFS, not the data; expected the file that it stands for. Run "
        "git lfs pull in the repository."
    )


def read_npy(path: Path) -> np.ndarray:
    """The array in an .npy file. Raises `InputError`."""
    with readable(path, "an .npy file"), path.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"
        file.seek(0)
        dtype = None if zipped else _header(file)[1]
    if dtype is None:
        raise InputError(f"{path} is an .npz archive under the name .npy. Rename it to .npz.")
    _check_plain(path, dtype)
    with readable(path, "an .npy file"):
        return np.asarray(np.load(path, allow_pickle=False))


def npz_headers(path: Path) -> Headers:
    """Shape and dtype of every array in an .npz, by key, without reading them."""
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path} is not an .npz archive (a zip file of arrays), or was cut short; expected "
            "what np.savez writes. Save, copy or download it again."
        )
    headers = {}
    with readable(path, "an .npz file"), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as member:
                    headers[name.removesuffix(".npy")] = _header(member)
    return headers


def read_npz(path: Path, key: str) -> np.ndarray:
    """One array of an .npz. Raises `InputError`."""
    _check_plain(path, npz_headers(path)[key][1])
    with readable(path, "an .npz file"), np.load(path, allow_pickle=False) as archive:
        return np.asarray(archive[key])


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the array in an .npy file; nothing of it is read but its header."""
    version = np.lib.format.read_magic(file)
    # Later versions are for huge or structured headers and read alike.
    shape, _, dtype = _HEADERS[0 if version == (1, 0) else 1](file)
    return shape, dtype


def _check_plain(path: Path, dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise InputError(
            f"{path} needs pickle, which can run code and is never loaded; expected arrays of "
            "a plain dtype. Save it again as one, for example "
            "np.savez(path, images=np.stack(images).astype(np.uint8), labels=labels)."
        )


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not (read-only: a view of the bytes read)."""
    with readable(path, "an IDX file"):
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":  # by content: gzipped files come under either name
            data = gzip.decompress(data)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES or data[3] == 0:
        raise InputError(
            f"{path} is not an IDX file: it starts with the bytes {data[:4].hex(' ') or '(none)'}; "
            "expected 00 00, a type (08 for bytes) and the number of axes. Download it again, or "
            "save the data as .npz."
        )
    dtype, start = np.dtype(_IDX_TYPES[data[2]]), 4 + 4 * data[3]
    if len(data) < start:
        raise InputError(
            f"{path} is truncated: its header alone has {start} bytes, the file {len(data)}. Copy "
            "or download it again."
        )
    shape = tuple(int(x) for x in np.frombuffer(data, ">u4", count=data[3], offset=4))
    expected = start + prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise InputError(
            f"{path} is {'truncated' if len(data) < expected else 'too long'}: it has {len(data)} "
            f"bytes (unpacked) where its header, shape {shape}, asks for {expected}. Copy or "
            "download it again."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def split_column(spec: str) -> tuple[Path, str | None]:
    """ "file.csv:column" as (path, column); the column is None where none is named."""
    path = Path(spec).expanduser()
    head, colon, tail = spec.rpartition(":")
    if path.exists() or not colon or not head:
        return path, None
    return Path(head).expanduser(), tail


def labels_in_order(spec: str, n: int) -> np.ndarray:
    """Labels for n points, in their order, from the file `spec` ("file.csv:column" for one column).

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
    if column is not None and suffix != ".csv":
        raise InputError(f"labels {spec!r} names a column, but {path} is not a .csv file.")
    if suffix == ".npy":
        return read_npy(path)
    if IDX_NAME.search(path.name):
        return read_idx(path)
    if suffix not in (".csv", ".txt"):
        raise InputError(f"labels cannot be read from {path}; expected {_LABEL_FILES}. Convert it.")
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


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a file of labels that are not blank; a .txt file has one cell a line."""
    with readable(path, "a text file"):
        text = path.read_text(encoding="utf-8-sig")
    if text.startswith(_POINTER):
        raise InputError(pull(path))
    return rows_of(text, path)


def rows_of(text: str, path: object) -> list[list[str]]:
    """The same from the text of a file; `path` names it."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty; expected one label for each point.")
    if str(path).lower().endswith(".txt"):
        return [[line] for line in lines]
    mark = next((c for c in ",;\t" if c in lines[0]), ",")
    return list(csv.reader(lines, delimiter=mark))


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
