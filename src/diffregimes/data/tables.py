"""Tables of numbers: each row a point, each column one of its values, one column the labels.

The labels are the column that was named, else the one called label, target, class or the like,
else the only one of words. Columns that number or name the rows, and empty ones, are no values of a
point and are left out; whatever was decided is told in a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from ..common.checks import InputError
from .arrayfiles import split_column
from .classes import label_name, listed
from .labelled import with_labels
from .request import Raw, Request

_INDEX = {"", "id", "index", "unnamed: 0", "row", "row_id", "sample_id"}
_PIXEL = re.compile(r"pixel_?\d+$|\d+x\d+$", re.IGNORECASE)
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
_EMPTY, _NAMES, _WORDS, _VALUES = "is empty", "names the rows", "has words", "has values"
_SPARE = _EMPTY, _NAMES


@dataclass(frozen=True)
class Table:
    """Columns by name in their order, whether each is of numbers, and `read(names)`: an array (n,
    columns) of float64, or for one column that is not of numbers (n,) of strings."""

    where: str
    numeric: Mapping[str, bool]
    read: Callable[[Sequence[str]], np.ndarray]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def from_table(request: Request, table: Table) -> Raw:
    """The points and labels of a table."""
    label, aside, notes = _label_column(request, table)
    labels = None if label is None else table.read([label])
    if request.labels_only and labels is not None:
        return Raw(np.empty((len(labels), 0)), labels.reshape(len(labels)))
    if labels is not None and labels.ndim == 2:
        labels = labels[:, 0]
        if request.labels is None and (labels % 1 != 0).any():
            notes.append(f"the column {label} holds numbers that are no classes: read as a value")
            label = labels = None
    group = _column("group (--group)", request.group, table)
    others = [x for x in table.numeric if x not in (label, group, *aside)]
    values = [x for x in others if table.numeric[x]]
    words = [x for x in others if not table.numeric[x]]
    if words or not values:
        came = f" (the first has {_odd(table.read(words[:1]))!r})" if words else ""
        raise InputError(
            f"{table.where}: the columns {listed(words, 6) or '(none)'} are not numbers{came}, and "
            f"the labels are {'the column ' + label if label else 'no column'}; expected numbers "
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


def _label_column(request: Request, table: Table) -> tuple[str | None, list[str], list[str]]:
    """The column of the labels, None without or where they lie in a file of their own; the columns
    that are left out; and notes."""
    wanted, group = request.labels, _column("group (--group)", request.group, table)
    names = [x for x in table.numeric if x != group]
    said = label_name(names)
    if wanted is not None:
        said = None if wanted == "none" else _column("labels (--labels)", wanted, table)
    kinds = {x: _kind(table.read([x])) for x in names if x != said and not table.numeric[x]}
    aside = [x for x, kind in kinds.items() if kind in _SPARE]
    notes = [f"the column {x!r}, which {kinds[x]}, was left out" for x in aside]
    words = [x for x in kinds if x not in aside]
    if said is None and wanted is None and [kinds[x] for x in words] == [_WORDS]:
        said = words[0] if len(names) - len(aside) > 1 else None
    return said, aside, [*table.notes, *notes]


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
