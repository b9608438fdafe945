"""Tables of numbers: each row a point, each column one of its values, one column the labels.

The labels are the column that was named, else the one called label, target, class or the like,
else the only one of words. Columns that number the rows are no values of a point and are left out;
whatever was decided is told in a note.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isqrt
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..common.checks import InputError
from ..common.memory import check_fits
from ..common.reading import check_regular, readable
from .arrayfiles import split_column
from .classes import label_name, listed
from .labelled import with_labels
from .request import Raw, Request

TABLES = (".csv", ".tsv", ".data", ".txt")
_SNIFFED = 1000  # rows that say which columns are numbers
_INDEX = {"", "id", "index", "unnamed: 0", "row", "row_id", "sample_id"}
_PIXEL = re.compile(r"pixel_?\d+$|\d+x\d+$", re.IGNORECASE)
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True)
class Table:
    """Columns by name in their order, whether each is of numbers, and `read(names)`: an array (n,
    columns) of float64, or for one column that is not of numbers (n,) of strings."""

    where: str
    numeric: Mapping[str, bool]
    read: Callable[[Sequence[str]], np.ndarray]
    class_names: tuple[str, ...] | None = None


def csv_table(request: Request) -> Raw:
    """A table of numbers in text (.csv, .tsv, .data, .txt), with a header or without: each row is a
    point. `labels` names their column; without, one called label, target, class, y or species is
    it, else the only one of words."""
    path = request.path
    size = check_regular(path, "a table of text").st_size
    check_fits(5 * size, f"the table {path}", "Give a smaller one, or save it as .npy.")
    with readable(path, "a table of text"), path.open(encoding="utf-8-sig", newline="") as file:
        mark = _mark(file)
        rows = [x for x in islice(_cells(file, mark), _SNIFFED + 1) if any(y.strip() for y in x)]
    if not rows:
        raise InputError(f"{path} is empty; expected a row of numbers for each point.")
    has_header = len(rows) > 1 and _is_header(rows)
    names = [x.strip() if has_header else str(k) for k, x in enumerate(rows[0])]
    if len(set(names)) < len(names):
        double = next(x for x in names if names.count(x) > 1)
        raise InputError(f"{path} has two columns called {double!r}. Rename one of them.")
    body = rows[1:] if has_header else rows
    for k, row in enumerate(body, 1 + has_header):
        if len(row) != len(names):
            raise InputError(
                f"{path} has {len(row)} cells in row {k} and {len(names)} in the first; expected "
                "a table with one row for each point. Correct the row."
            )
    numeric = {
        name: all(_is_number(row[k]) for row in body)
        and any(row[k].strip().lower() not in _MISSING for row in body)
        for k, name in enumerate(names)
    }

    def read(wanted: Sequence[str]) -> np.ndarray:
        places = [names.index(x) for x in wanted]
        words = len(wanted) == 1 and not numeric[wanted[0]]
        return _columns(path, mark, places, skip=int(has_header), words=words)

    return from_table(request, Table(str(path), numeric, read))


def from_table(request: Request, table: Table) -> Raw:
    """The points and labels of a table."""
    label, notes = _label_column(request, table)
    labels = None if label is None else table.read([label])
    if request.labels_only and labels is not None:
        return Raw(np.empty((len(labels), 0)), labels.reshape(len(labels)))
    if labels is not None and labels.ndim == 2:
        labels = labels[:, 0]
        if request.labels is None and (labels % 1 != 0).any():
            notes.append(f"the column {label} holds numbers that are no classes: read as a value")
            label = labels = None
    group = _column("group (--group)", request.group, table)
    others = [x for x in table.numeric if x not in (label, group)]
    values = [x for x in others if table.numeric[x]]
    words = [x for x in others if not table.numeric[x]]
    if words or not values:
        raise InputError(
            f"{table.where}: the columns {listed(words, 6) or '(none)'} are not numbers, and the "
            f"labels are {'the column ' + label if label else 'no column'}; expected numbers in "
            "all columns but that of the labels. Name that one by labels (--labels COLUMN), and "
            "remove the others or make them numbers."
        )
    if label is not None:
        notes.append(f"the labels are the column {label}")
    points = table.read(values)
    counting = [x for k, x in enumerate(values) if x.lower() in _INDEX and _counts(points[:, k])]
    if counting and len(counting) < len(values):
        points = np.delete(points, [values.index(x) for x in counting], axis=1)
        values = [x for x in values if x not in counting]
        shown = listed([repr(x) for x in counting])
        notes.append(f"the column {shown}, which numbers the rows, was left out")
    if label is None and request.labels not in (None, "none"):
        return with_labels(Raw(points, None, tuple(notes)), request.labels)
    points = _as_images(points, values, notes)
    return Raw(points, labels, tuple(notes), class_names=table.class_names)


def _label_column(request: Request, table: Table) -> tuple[str | None, list[str]]:
    """The column of the labels, None without or where they lie in a file of their own."""
    wanted, names = request.labels, list(table.numeric)
    if wanted == "none":
        return None, []
    if wanted is not None:
        return _column("labels (--labels)", wanted, table), []
    group = _column("group (--group)", request.group, table)
    names = [x for x in names if x != group]
    said = label_name(names)
    if said is None:
        words = [x for x in names if not table.numeric[x]]
        said = words[0] if len(words) == 1 and len(names) > 1 else None
    return said, []


def _column(option: str, wanted: str | None, table: Table) -> str | None:
    """The column that an option names by its name or number, None where it names a file."""
    if wanted is None:
        return None
    names, bare = list(table.numeric), wanted.removeprefix("column:")
    if wanted in names or bare in names:
        return wanted if wanted in names else bare
    if re.fullmatch(r"-?\d{1,9}", bare) and -len(names) <= int(bare) < len(names):
        return names[int(bare)]
    if split_column(wanted)[0].is_file():
        return None
    raise InputError(
        f"{option} is {wanted!r}, neither a column of {table.where} nor a file; its columns are "
        f"{listed(names)}. Name one of these."
    )


def _counts(values: np.ndarray) -> bool:
    """Whether the values are 0, 1, 2, ... or 1, 2, 3, ..."""
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def _as_images(points: np.ndarray, names: Sequence[str], notes: list[str]) -> np.ndarray:
    """Pixels as such, where the columns say that they are: pixel0, pixel1, ... or 1x1, 1x2, ..."""
    side = isqrt(len(names))
    if side < 2 or not all(_PIXEL.match(x) for x in names):
        return points
    if points.min() < 0 or points.max() > 255 or (points % 1 != 0).any():
        return points
    if side * side != len(names):
        notes.append(
            f"{len(names)} columns of pixels are no square image: their values are taken as they "
            "came, unless --range 0,1 is given"
        )
        return points
    notes.append(f"the columns {names[0]} to {names[-1]} are the pixels of {side}×{side} images")
    return points.astype(np.uint8).reshape(-1, side, side)


def _mark(file: IO[str]) -> str | None:
    """What parts the cells, by the first line that is not blank; None for spaces."""
    line = next((x for x in file if x.strip()), "")
    file.seek(0)
    counts = {c: line.count(c) for c in ",;\t"}
    best = max(counts, key=lambda c: counts[c])
    return best if counts[best] else None


def _cells(file: IO[str], mark: str | None) -> Iterable[list[str]]:
    return csv.reader(file, delimiter=mark) if mark else (line.split() for line in file)


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is words above numbers, words alone, or 0, 1, 2, ... as pandas numbers
    columns that have no names, with nothing above those of the rows."""
    first = [x.strip() for x in rows[0]]
    counted = [str(k) for k in range(len(first))]
    if (first == counted[: len(first)] != [] and len(first) > 1) or first == ["", *counted[:-1]]:
        return True
    if not any(_is_number(x) for x in first):
        return True
    columns = zip(first, zip(*rows, strict=False), strict=False)
    return any(not _is_number(x) and all(_is_number(y) for y in cells[1:]) for x, cells in columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in _MISSING
    return True


def _columns(
    path: Path, mark: str | None, places: Sequence[int], *, skip: int, words: bool
) -> np.ndarray:
    """Columns of numbers (n, k), or one of words (n,)."""

    def load(**more: Any) -> np.ndarray:
        return np.loadtxt(
            path, dtype=np.str_ if words else np.float64, delimiter=mark, skiprows=skip,
            usecols=list(places), comments=None, quotechar='"', encoding="utf-8-sig",
            ndmin=1 if words else 2, **more,
        )  # fmt: skip

    def number(text: str) -> float:
        return np.nan if text.strip().lower() in _MISSING else float(text)

    with readable(path, "a table of numbers"):
        try:
            out = load()
        except ValueError:  # an empty cell; told by the caller, which counts such points
            out = load(converters=number)
    return np.char.strip(out) if words else out
