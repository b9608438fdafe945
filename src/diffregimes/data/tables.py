"""Tables of numbers: each row a point, each column one of its values, one column the labels.

The labels are the column that was named, else the one called label, target, class or the like,
else the only one of words. Columns that number or name the rows, and empty ones, are no values of a
point and are left out; one whose words are train, test and the like tells the part of a row;
whatever was decided is told in a note. A column of lists of numbers, where there is one, holds the
points, and what is beside it does not belong to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np

from ..common.checks import InputError
from .arrayfiles import split_column
from .classes import label_name, listed
from .labelled import with_labels
from .request import Raw, Request
from .splits import choose, part_of, words_of

_INDEX = {"", "id", "index", "unnamed: 0", "row", "row_id", "sample_id"}
_PIXEL = re.compile(r"pixel_?\d+$|\d+x\d+$", re.IGNORECASE)
_PICTURES = {"pixel", "pixels", "image", "images", "img"}
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
_EMPTY, _NAMES, _WORDS, _VALUES = "is empty", "names the rows", "has words", "has values"
_SPARE = _EMPTY, _NAMES


@dataclass(frozen=True)
class Table:
    """Columns by name in their order, whether each is of numbers, and `read(names)`: an array (n,
    columns) of float64, or for one column that is not of numbers (n,) of strings. `lists` is a
    column of lists of numbers, which is not among them, by its name and what reads it (n, d)."""

    where: str
    numeric: Mapping[str, bool]
    read: Callable[[Sequence[str]], np.ndarray]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    lists: tuple[str, Callable[[], np.ndarray]] | None = None


def from_table(request: Request, table: Table) -> Raw:
    """The points and labels of a table."""
    if not request.labels_only:
        table, rows = _of_part(request, table)
        if rows is not None:
            request = replace(request, split=None)
            raw = from_table(request, table)
            return replace(raw, indices=rows)
    label, aside, notes = _label_column(request, table)
    labels = None if label is None else table.read([label])
    if request.labels_only and labels is not None:
        return Raw(np.empty((len(labels), 0)), labels.reshape(len(labels)))
    if request.labels_only and request.labels not in (None, "none"):
        n = len(table.read([next(iter(table.numeric))]))
        return with_labels(Raw(np.empty((n, 0))), request.labels)
    if labels is not None and labels.ndim == 2:
        labels = labels[:, 0]
    others = [x for x in table.numeric if x not in (label, *_beside(request, table), *aside)]
    if table.lists is not None:
        return _of_lists(request, table, label, labels, others, notes)
    values = [x for x in others if table.numeric[x]]
    words = [x for x in others if not table.numeric[x]]
    if words or not values:
        came = "there is no column of numbers"
        if words:
            came = (
                f"the columns {listed(words, 6)} are not numbers (the first has "
                f"{_odd(table.read(words[:1]))!r}), and the labels are "
                f"{'the column ' + label if label else 'no column'}"
            )
        raise InputError(
            f"{table.where}: {came}; expected numbers "
            "in all columns but that of the labels. Name that one by labels (--labels COLUMN), and "
            "remove the others or make them numbers (pandas.get_dummies makes them of words)."
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
    names = tuple(values) if points.ndim == 2 else ()
    return Raw(points, labels, tuple(notes), class_names=table.class_names, columns=names)


def _of_part(request: Request, table: Table) -> tuple[Table, np.ndarray | None]:
    """The rows of the part that was asked for, train without, where a column of words tells the
    part of each: the table of them without that column, and which they are."""
    words = {
        name: np.array([str(x) for x in table.read([name])])
        for name, numeric in table.numeric.items()
        if not numeric and name not in (request.labels, *request.beside)
    }
    least = 1 if request.split is not None else 2
    name = next((x for x, found in words.items() if _tells_part(found, least)), None)
    if name is None and request.split is not None:
        raise InputError(
            f"split (--split) is {request.split!r}, but no column of {table.where} tells parts "
            f"such as train and test; it has {listed(list(table.numeric))}. Leave it out."
        )
    if name is None:
        return table, None
    where = f"the column {name} of {table.where}"
    kept, said = choose(np.unique(words[name]).tolist(), request.split, where)
    rows = np.flatnonzero(np.isin(words[name], kept))
    lists = table.lists
    return replace(
        table,
        numeric={x: y for x, y in table.numeric.items() if x != name},
        read=lambda names: table.read(names)[rows],
        lists=None if lists is None else (lists[0], lambda: lists[1]()[rows]),
        notes=(*table.notes, *(f"{x}, by the column {name}" for x in said)),
    ), rows  # fmt: skip


def _tells_part(words: np.ndarray, least: int) -> bool:
    """Whether words are those of parts of a set, and so many of them."""
    found = np.unique(words).tolist()
    return len(found) >= least and all(part_of(x) is not None for x in found)


def _of_lists(
    request: Request, table: Table, label: str | None, labels: np.ndarray | None,
    others: Sequence[str], notes: list[str],
) -> Raw:  # fmt: skip
    """Points that are the lists in one column; images where it says pixels and they are square."""
    assert table.lists is not None
    name, read = table.lists
    notes.append(f"the points are the lists in the column {name}")
    if label is not None:
        notes.append(f"the labels are the column {label}")
    if others:
        notes.append(f"left out beside them: {listed([repr(x) for x in others], 6)}")
    points = read()
    if label is None and request.labels not in (None, "none"):
        return with_labels(Raw(points, None, tuple(notes)), request.labels)
    side = isqrt(points.shape[1])
    square = side > 1 and side**2 == points.shape[1]
    if square and points.dtype == np.uint8 and _PICTURES & {*words_of(name)}:
        notes.append(f"they are the pixels of {side}×{side} images")
        points = points.reshape(-1, side, side)
    return Raw(points, labels, tuple(notes), class_names=table.class_names)


def _label_column(request: Request, table: Table) -> tuple[str | None, list[str], list[str]]:
    """The column of the labels, None without or where they lie in a file of their own; the columns
    that are left out; and notes."""
    wanted, beside = request.labels, _beside(request, table)
    names = [x for x in table.numeric if x not in beside]
    said = label_name(names)
    if wanted is not None:
        said = None if wanted == "none" else _column("labels (--labels)", wanted, table)
    values = list[str]()
    found = said is not None and wanted is None and table.numeric[said]
    if said is not None and found and (table.read([said]) % 1 != 0).any():
        values.append(f"the column {said} holds numbers that are no classes: read as a value")
        said = None
    kinds = {x: _kind(table.read([x])) for x in names if x != said and not table.numeric[x]}
    aside = [x for x, kind in kinds.items() if kind in _SPARE]
    notes = [f"the column {x!r}, which {kinds[x]}, was left out" for x in aside]
    words = [x for x in kinds if x not in aside]
    if said is None and wanted is None and [kinds[x] for x in words] == [_WORDS]:
        said = words[0] if len(names) - len(aside) > 1 or table.lists is not None else None
    return said, aside, [*table.notes, *values, *notes]


def _kind(words: np.ndarray) -> str:
    """What the words of a column do."""
    found = [str(x).strip() for x in words]
    if all(x.lower() in MISSING for x in found):
        return _EMPTY
    if len(set(found)) < len(found):
        return _WORDS
    # numbers in the main, such as '12 %' or '1.200,50', are values; days have dashes
    digits = sum(y.isdigit() or y in "., +-%eE" for x in found for y in x)
    days = any("-" in x[1:-1] for x in found)
    return _VALUES if digits > 0.8 * sum(map(len, found)) and not days else _NAMES


def _odd(words: np.ndarray) -> str:
    """The first word that is no number."""
    for text in map(str, np.ravel(words)):
        try:
            float(text)
        except ValueError:
            if text.strip().lower() not in MISSING:
                return text if len(text) <= 40 else f"{text[:40]}..."
    return str(np.ravel(words)[0])


def _beside(request: Request, table: Table) -> tuple[str | None, ...]:
    """The columns that are no values of a point."""
    group = _column("group (--group)", request.group, table)
    return group, _column("given (--given)", request.given, table)


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
