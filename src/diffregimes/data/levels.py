"""A hierarchy of labels: super-classes that each class belongs to, one or more levels of them.

From a table of class and super-class, from a mapping, or from the folders of images within folders.
A level is a function of the class: each class has one super-class, and every class has one.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from ..common.checks import InputError
from ..common.readable import printable
from ..common.reading import check_regular, readable
from .classes import listed
from .datasets import Dataset

FOLDERS = "folders"
Given = str | os.PathLike[str] | Mapping[str, Mapping[str, str]]
_KIND = "a table (.csv) of classes and their super-classes"


@dataclass(frozen=True)
class Grouping:
    """One level: `names` (S,) of the super-classes, and which of them each class (K,) is in."""

    name: str
    names: tuple[str, ...]
    of_class: np.ndarray


def groupings(given: Given, classes: Sequence[str]) -> tuple[Grouping, ...]:
    """The levels of a CSV file, a class and its super-classes in a row, or of a mapping
    {level: {class: super-class}}; for the `classes` of a dataset, in their order.

    The first row of a file is a header where its first cell is no class.
    """
    if isinstance(given, Mapping):
        return tuple(_grouping(x, [*of.items()], classes, "levels") for x, of in given.items())
    path = Path(given).expanduser()
    check_regular(path, _KIND)
    with readable(path, _KIND), open(path, encoding="utf-8-sig", newline="") as file:
        rows = [[x.strip() for x in row] for row in csv.reader(file)]
    rows = [row for row in rows if any(row)]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or min(widths) < 2:
        raise InputError(
            f"{path} has rows of {listed([str(x) for x in sorted(widths)]) or 'no'} columns; "
            "expected the class first and its super-class, or several, behind it in each."
        )
    head = [f"level {k}" for k in range(len(rows[0]))]
    if rows[0][0] not in classes:
        head, rows = rows[0], rows[1:]
    return tuple(
        _grouping(printable(name), [(row[0], row[k]) for row in rows], classes, str(path))
        for k, name in enumerate(head[1:], 1)
    )


def _grouping(
    name: str, pairs: Sequence[tuple[str, str]], classes: Sequence[str], where: str
) -> Grouping:
    known: dict[str, str] = {}
    for own, above in ((printable(str(a)), printable(str(b))) for a, b in pairs):
        if known.setdefault(own, above) != above:
            raise InputError(
                f"{where} puts class {own!r} into both {known[own]!r} and {above!r} ({name}); "
                "expected one super-class for each class. Rename the class, or give the finer one."
            )
    missing = [x for x in classes if not known.get(x)]
    unknown = [x for x in known if x not in classes]
    if missing or unknown:
        said = [f"none for {listed(missing, 6)}"] if missing else []
        said += [f"one for {listed(unknown, 6)}, which the data do not have"] if unknown else []
        raise InputError(
            f"{where} has {' and '.join(said)} ({name}); expected a super-class for each class of "
            f"the data: {listed([*classes], 10)}."
        )
    names = tuple(dict.fromkeys(known[x] for x in classes))
    if len(names) < 2:
        raise InputError(
            f"{where} puts all classes into {names[0]!r} ({name}); expected two super-classes or "
            "more. Leave the level out."
        )
    return Grouping(name, names, np.array([names.index(known[x]) for x in classes]))


def by_folders(dataset: Dataset) -> tuple[Dataset, dict[str, dict[str, str]]]:
    """Images in folders within folders: the innermost folder is the class, those around it are its
    levels, for `groupings`."""
    paths = [PurePosixPath(x).parent.parts for x in dataset.files]
    first, last = min(paths, default=()), max(paths, default=())
    shared = 0  # folders that all lie in
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    paths = [x[shared:] for x in paths]
    deepest = max(map(len, paths), default=0)
    if deepest < 2 or min(map(len, paths)) < 1:
        raise InputError(
            f"{dataset.source} holds no images in folders within folders; expected "
            "super-class/class/image. Give a table of classes and super-classes (.csv) instead."
        )
    own = ["/".join(x) for x in paths]
    names, labels = np.unique(own, return_inverse=True)
    levels = {
        f"folder {k + 1}": {x: "/".join(x.split("/")[: k + 1]) for x in names.tolist()}
        for k in range(deepest - 1)
    }
    changed = replace(
        dataset, labels=labels.astype(np.int64), class_names=tuple(names.tolist()), labelled=True,
        conditions=(), notes=(*dataset.notes, "classes are the innermost folders"),
    )  # fmt: skip
    return changed, levels
