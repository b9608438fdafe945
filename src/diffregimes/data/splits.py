"""Parts of a dataset that are told apart by a word in a name: train, validation, test.

A folder, a file or an array belongs to a part: test/, x_train, train-00000-of-00002.parquet,
t10k-images-idx3-ubyte. Points of two parts are never mixed: the one that was asked for is read,
train where none was, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..common.checks import InputError
from .classes import listed

_PARTS = {
    "train": "train", "training": "train", "trainset": "train", "trainval": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "valset": "validation", "test": "test", "testing": "test", "testset": "test", "t10k": "test",
}  # fmt: skip
_YEAR = re.compile(r"\d+$")
# words are parted by signs, and by capitals: trainImages, XTrain
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SIGNS = re.compile(r"[^A-Za-z0-9]+")


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: x, train for X_train."""
    return [x.lower() for x in _SIGNS.split(_CAPITALS.sub("_", name)) if x]


def part_of(name: str) -> str | None:
    """train, validation or test if the name has such a word."""
    return next((_PARTS[x] for x in map(_plain, words_of(name)) if x in _PARTS), None)


def without_part(name: str) -> tuple[str, ...]:
    """The other words of a name: x for x_train."""
    return tuple(x for x in words_of(name) if _plain(x) not in _PARTS)


def _plain(word: str) -> str:
    """A word without the number at its end: train for train2017."""
    return _YEAR.sub("", word)


def are_parts(names: Iterable[str]) -> bool:
    """Whether names are those of the parts of one set: all are, or train and another are among
    them. A lone train beside car and bus is a class."""
    parts = [part_of(x) for x in names]
    found = {x for x in parts if x is not None}
    return bool(found) and (None not in parts or ("train" in found and len(found) > 1))


def choose(names: Sequence[str], wanted: str | None, where: object) -> tuple[list[str], list[str]]:
    """The names of the part that is `wanted`, train without; and notes.

    Names that tell no part are all kept where none does. Raises `InputError` for a part that is not
    there, and where several are but none is train.
    """
    parts = {name: part_of(name) for name in names}
    found = sorted({x for x in parts.values() if x is not None})
    if not found:
        if wanted is not None:
            raise InputError(
                f"split (--split) is {wanted!r}, but nothing in {where} is named by a part such as "
                f"train or test ({listed(list(names), 6)}). Leave it out."
            )
        return list(names), []
    asked = _PARTS.get(wanted.lower(), wanted) if wanted is not None else "train"
    if asked not in found and (wanted is not None or len(found) > 1):
        came = "is missing" if wanted is None else f"is {wanted!r}"
        raise InputError(
            f"split (--split) {came}, and {where} has the parts {listed(found)}; expected one of "
            "these. Name it."
        )
    taken = asked if asked in found else found[0]
    left = [x for x in found if x != taken] + [x for x, part in parts.items() if part is None]
    notes = []
    if left:
        how = "" if wanted else "; another is read by split (--split)"
        notes.append(f"the part {taken} was read ({listed(left, 6)} left out{how})")
    return [name for name, part in parts.items() if part == taken], notes
