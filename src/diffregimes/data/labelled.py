"""The labels that were asked for by an option, or that lie beside the points."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import InputError, MissingFile
from ..common.readable import printable
from .arrayfiles import cell, column_of, labels_in_order, read_rows, split_column, typed
from .classes import checked_labels, label_name, listed, select
from .pixels import of_all, scaling
from .request import Raw, Request
from .stored import Stored

_SAMPLED = 400  # rows that tell how many values a column has
_MOST_CLASSES = 20
_COLUMN = re.compile(r"(?:column:)?(-?\d{1,9})$")


def with_labels(raw: Raw, wanted: str | None, keys: str = "") -> Raw:
    """`raw` with the labels that were asked for: none, a column of the points, or a file's."""
    if wanted is None:
        return raw
    if wanted == "none":
        return replace(raw, labels=None)
    if column := _COLUMN.match(wanted):
        return _split_column(raw, int(column[1]))
    try:
        return replace(raw, labels=labels_in_order(wanted, len(raw.points)))
    except MissingFile:
        if keys:
            raise InputError(
                f"labels (--labels) is {wanted!r}, neither a key of the archive nor a file; the "
                f"archive holds {keys}. Name one of these, a column or a file of labels."
            ) from None
        raise


def _split_column(raw: Raw, column: int) -> Raw:
    shape = raw.points.shape
    if len(shape) != 2 or not -shape[1] <= column < shape[1] or shape[1] < 2:
        raise InputError(
            f"labels (--labels) name column {column} but the points have the shape {shape}; "
            "expected (n, d) with that column, counted from 0 (-1 is the last), and one more. Give "
            "a column that exists, or a file of labels."
        )
    note = f"column {column} of the points was taken out as their labels"
    if isinstance(raw.points, Stored):
        points, labels = raw.points.leaving(column), raw.points.column(column)
    else:
        points, labels = np.delete(raw.points, column, axis=1), raw.points[:, column]
    return replace(raw, points=points, labels=labels, notes=(*raw.notes, note), columns_taken=True)


def only_rows(raw: Raw, rows: np.ndarray, points: Any = None) -> Raw:
    """`raw` without the labels of other rows, whose points could not be read; `points` are those of
    these rows where its own are of all."""
    labels = raw.labels
    known = raw.classes
    if labels is not None:
        labels = checked_labels(labels, len(labels))
        if labels.dtype.kind == "U" and not known:
            known = tuple(map(printable, np.unique(labels).tolist()))
        labels = labels[rows]
    return replace(
        raw,
        points=raw.points if points is None else points,
        labels=labels,
        indices=rows if raw.indices is None else raw.indices[rows],
        classes=known,
    )


def like_classes(points: np.ndarray, names: Sequence[str]) -> list[str]:
    """A note where the first or the last column of points (n, d), and no other, has few values, as
    one of classes has; `names` of the columns where these have some."""
    some = np.sort(points[:: max(1, len(points) // _SAMPLED)], axis=0)
    different = (np.diff(some, axis=0) > 0).sum(axis=0) + 1
    few = np.flatnonzero(different <= min(_MOST_CLASSES, len(some) // 4))
    last = points.shape[1] - 1
    if last < 1 or len(few) != 1 or few[0] not in (0, last) or different[few[0]] < 2:
        return []
    name = names[few[0]] if names else "0" if few[0] == 0 else "-1"
    return [
        f"the column {name} has {len(np.unique(points[:, few[0]]))} values, all others many: if "
        f"it tells the classes, name it by labels (--labels {name})"
    ]


def rows_of_classes(
    labels: np.ndarray | None,
    n: int,
    request: Request,
    dtype: np.dtype,
    class_names: Sequence[str] | None = None,
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """The rows of the classes that were asked for, None for all n; the labels; and the sorted names
    of all classes, as `Raw` has them. All rows where the scale follows from all values."""
    every = labels is None or of_all(dtype, scaling(request.pixel_range), None)
    if labels is None or every or (request.classes is None and request.per_class is None):
        return None, labels, ()
    values = checked_labels(labels, n)
    words = values.dtype.kind == "U"
    known = tuple(map(printable, np.unique(values).tolist())) if words else ()
    rows, _, _ = select(values, class_names, request.classes, request.per_class)
    return rows, values[rows], known


def names_files(spec: str, names: Sequence[str], root: str = "") -> bool:
    """Whether labels in the file of `spec` stand beside file names: in a .csv or .tsv always, in a
    .txt where it names half of the files."""
    path, _ = split_column(spec)
    suffix = path.suffix.lower()
    if suffix != ".txt" or not path.is_file():
        return suffix in (".csv", ".tsv")
    return _named(_rows(path, names, root), _known(names, root)) >= len(names) / 2


def _rows(path: Path, names: Sequence[str], root: str) -> list[list[str]]:
    """The cells of a table of labels. Those of a .txt are parted by spaces, which names and labels
    may have as well; before them the number of rows may stand, as CelebA has it, and their header
    may have no word for the file names."""
    rows = read_rows(path)
    if path.suffix.lower() != ".txt":
        return rows
    lines = [row[0] for row in rows]
    if lines[0].strip() in (str(len(lines) - 1), str(len(lines) - 2)):
        lines = lines[1:]
    mark = next((c for c in "\t,;" if all(c in x for x in lines)), None)
    pairs = [[x.split(mark, 1) for x in lines], [x.rsplit(mark, 1) for x in lines]]
    cells, known = [x.split(mark) for x in lines], _known(names, root)
    headless = any(_named(x[:1], known) for x in pairs)
    ways = [*pairs, cells] if headless else [cells, *pairs]
    best = max(ways, key=lambda rows: _named(rows, known))
    if len(best) > 1 and len(best[0]) == len(best[1]) - 1:
        best[0] = ["file", *best[0]]
    return best


def _known(names: Sequence[str], root: str) -> set[str]:
    """Whatever a list may call the files."""
    return {way(name) for way in _ways(root) for name in names}


def _named(rows: Sequence[Sequence[str]], known: set[str]) -> int:
    """How many files the column names that names most."""
    columns = zip_longest(*rows, fillvalue="")
    return max(sum(x.strip() in known for x in column) for column in columns)


def labels_by_name(spec: str, names: Sequence[str], root: str = "") -> tuple[np.ndarray, list[str]]:
    """Labels for the files `names` from a table of file names and labels (.csv, .tsv, .txt); and
    notes.

    Two columns, with or without a header, or several: then the label is the column named in
    "file.csv:column", or the one called label. Raises `InputError` for a file without a label.
    """
    path, column = split_column(spec)
    if not path.is_file():
        raise MissingFile(
            f"labels (--labels) is {spec!r}, but there is no such file; expected a .csv with the "
            "columns file name and label. Correct the path."
        )
    rows = _rows(path, names, root)
    width = len(rows[0])
    files, headless = _names_column(rows, names, root)
    if column is not None:
        place = column_of(rows[0], column, path)
        others = [k for k in range(width) if k != place]
        files, headless = files if files != place else (others or [0])[0], False
    elif width == 2:
        place = 1 - files
    else:
        label = None if headless else label_name([x.strip() for x in rows[0]])
        if label is None or width < 2:
            raise InputError(
                f"{path} has {width} column(s) ({listed(rows[0])}); expected two, file name and "
                f'label. Name the column of labels: "{spec}:NAME".'
            )
        place = column_of(rows[0], label, path)
    if headless:
        rows = [[f"column {k + 1}" for k in range(width)], *rows]
    return by_name(rows, files, place, path, names, root)


def by_name(
    rows: Sequence[Sequence[str]],
    files: int,
    place: int,
    path: object,
    names: Sequence[str],
    root: str = "",
) -> tuple[np.ndarray, list[str]]:
    """Labels for the images `names` from rows with a header, whose column `files` names the images
    and whose column `place` has their labels; and notes."""
    column = f"column {files + 1} ({rows[0][files].strip()!r})"
    table: dict[str, str] = {}
    two: dict[str, str] = {}  # names with another label further down
    for k, row in enumerate(rows[1:], 2):
        name, label = cell(row, files, path, k), cell(row, place, path, k)
        if table.setdefault(name, label) != label:
            two.setdefault(name, f"{table[name]} and {label} (row {k})")
    how = max(_ways(root), key=lambda way: sum(way(x) in table for x in names))
    missing = [name for name in names if how(name) not in table]
    if missing:
        came = listed(list(table), 3)
        raise InputError(
            f"{path} has no label for {len(missing)} of {len(names)} images, the first "
            f"{missing[0]}; the file names were taken from {column}: {came}. Expected a row for "
            "each, with the file's path inside the folder, its name, or that without its suffix. "
            "Add the rows or move these images away."
        )
    keys = [how(name) for name in names]
    if (wrong := next((x for x in keys if x in two), None)) is not None:
        raise InputError(
            f"{path} names {wrong} twice, with the labels {two[wrong]}; expected one. Remove the "
            "wrong row."
        )
    double, count = Counter(keys).most_common(1)[0] if keys else ("", 0)
    if count > 1:
        raise InputError(
            f"{path} says {double!r} of {count} images ({column}); expected their "
            "paths inside the folder, which tell them apart. Write these."
        )
    left, twice = len(table) - len(keys), len(rows) - 1 - len(table)
    notes = [f"{left} rows of {path} name no image of the folder"] if left else []
    notes += [f"{twice} rows of {path} repeat another"] if twice else []
    return typed([table[key] for key in keys]), notes


def _ways(root: str) -> list[Callable[[str], str]]:
    """How a list may name a file: its path, that below the root, its name, its stem."""

    def last(name: str) -> str:
        return name.rsplit("/", 1)[-1]

    return [
        lambda name: name,
        lambda name: name.removeprefix(root),
        last,
        lambda name: last(name).rpartition(".")[0],
    ]


def _names_column(
    rows: Sequence[Sequence[str]], names: Sequence[str], root: str
) -> tuple[int, bool]:
    """The column that names images, the first where none does, and whether the first row is no
    header but names one as well."""
    known = _known(names, root)
    first = [x.strip() for x in rows[0]]
    counts = [
        sum(k < len(row) and row[k].strip() in known for row in rows) for k in range(len(first))
    ]
    best = int(np.argmax(counts))
    return best, first[best] in known
