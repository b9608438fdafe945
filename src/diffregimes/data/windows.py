"""Parts of a sample: square windows of images, windows of neighbouring features, named groups.

Windows of one width lie half a width apart, and the last one ends with the sample: every feature is
seen. In images a window holds all channels of its pixels.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.readable import printable
from ..common.reading import check_regular, read_json, readable
from .classes import listed
from .datasets import Dataset

FeatureGroups = str | os.PathLike[str] | Mapping[str, Sequence[int | str]]
_KIND = "a table (.csv) of feature and group, or .json of group: [features]"


@dataclass(frozen=True)
class Part:
    """`features` are places in the flattened sample, `centre` that of a window in pixels, or in
    features (0 is the middle of the first), `name` that of a group."""

    features: np.ndarray
    centre: tuple[float, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Parts:
    """Windows of one `width`, or named groups (None)."""

    width: int | None
    parts: tuple[Part, ...]


def parts_of(
    dataset: Dataset, windows: Sequence[int] | None, groups: FeatureGroups | None
) -> tuple[Parts, ...]:
    """The parts of samples of `dataset` that are asked for. Raises `InputError`."""
    if dataset.in_file and (windows is not None or groups is not None):
        raise InputError(
            f"windows (--windows) and feature_groups (--groups) take points in memory, and those "
            f"of {dataset.source} stay in their file; raise memory_mib (--memory-mib), or take "
            "fewer points by per_class (--per-class)."
        )
    widths = [] if windows is None else _widths(windows, dataset.sample_shape)
    out = [Parts(width, _squares(dataset.sample_shape, width)) for width in widths]
    if groups is not None:
        out.append(Parts(None, _named(groups, dataset)))
    return tuple(out)


def _widths(given: Sequence[int], shape: tuple[int, ...]) -> list[int]:
    """The different widths, in order."""
    try:
        widths = [int(x) for x in given if int(x) == x]
    except (TypeError, ValueError, OverflowError):
        widths = []
    side = min(shape[:2]) if len(shape) == 3 else shape[0]
    what = "pixels" if len(shape) == 3 else "features"
    if not len(given) or len(widths) < len(given):
        raise InputError(
            f"windows (--windows) is {given!r}; expected one or more widths in {what}, such as "
            f"{max(1, side // 4)},{max(1, side // 2)}."
        )
    wrong = [x for x in widths if not 1 <= x <= side]
    if wrong:
        sample = " x ".join(map(str, shape[:2])) if len(shape) == 3 else str(side)
        raise InputError(
            f"windows (--windows) has a width of {wrong[0]} {what}, and a sample has {sample}; "
            f"expected widths from 1 to {side}."
        )
    return sorted(set(widths))


def _starts(length: int, width: int) -> list[int]:
    return sorted({*range(0, length - width + 1, max(width // 2, 1)), length - width})


def _squares(shape: tuple[int, ...], width: int) -> tuple[Part, ...]:
    """The windows of a width, row by row."""
    places = np.arange(int(np.prod(shape))).reshape(shape)
    axes = min(len(shape), 2)
    out = []
    for corner in product(*(_starts(n, width) for n in shape[:axes])):
        inside = tuple(slice(a, a + width) for a in corner)
        centre = tuple(a + (width - 1) / 2 for a in corner)
        out.append(Part(places[inside].ravel(), centre))
    return tuple(out)


def _named(given: FeatureGroups, dataset: Dataset) -> tuple[Part, ...]:
    """The groups of a mapping or a file, each of some of the features."""
    where = "feature_groups"
    if not isinstance(given, Mapping):
        path = Path(given).expanduser()
        where = str(path)
        given = _of_json(path) if path.suffix.lower() == ".json" else _of_csv(path)
    place = {name: k for k, name in enumerate(dataset.columns)}
    owner: dict[int, str] = {}
    groups: dict[str, list[int]] = {}
    for name, features in given.items():
        own = [_place(x, place, dataset.d, where) for x in _several(features, name, where)]
        name = printable(str(name).strip())
        for k in own:
            if owner.setdefault(k, name) != name:
                raise InputError(
                    f"{where} has feature {_called(k, dataset)} in both {owner[k]!r} and {name!r}; "
                    "expected each feature in one group at most."
                )
        groups.setdefault(name, []).extend(own)
    if not groups:
        raise InputError(f"{where} holds no groups; expected {_KIND}.")
    return tuple(_group(name, own, dataset, where) for name, own in groups.items())


def _group(name: str, own: list[int], dataset: Dataset, where: str) -> Part:
    features = np.unique(np.array(own, dtype=np.int64))
    if not len(features):
        raise InputError(f"{where} has no features for group {name!r}; expected one or more.")
    if len(features) == dataset.d:
        raise InputError(
            f"{where} puts all {dataset.d} features into group {name!r}; expected a part of them: "
            "the whole is measured in any case. Leave the group out, or divide it."
        )
    return Part(features, name=name)


def _several(features: Any, name: str, where: str) -> Iterable[int | str]:
    if isinstance(features, str | bytes) or not isinstance(features, Iterable):
        raise InputError(f"{where} has {features!r} for group {name!r}; expected a list.")
    return features


def _place(feature: Any, place: Mapping[str, int], d: int, where: str) -> int:
    """The place of a feature given by its name, or by its number from 0 on."""
    known = place.get(str(feature).strip())
    if known is not None:
        return known
    try:
        number = -1 if isinstance(feature, bool | float) else int(feature)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < d:
        names = f", or a name: {listed([*place], 6)}" if place else ""
        raise InputError(
            f"{where} names feature {feature!r}, which the data do not have; expected a number "
            f"from 0 to {d - 1}{names}."
        )
    return number


def _called(k: int, dataset: Dataset) -> str:
    return repr(dataset.columns[k]) if dataset.columns else str(k)


def _of_csv(path: Path) -> dict[str, list[str]]:
    check_regular(path, _KIND)
    with readable(path, _KIND), open(path, encoding="utf-8-sig", newline="") as file:
        rows = [[x.strip() for x in row] for row in csv.reader(file)]
    rows = [row for row in rows if any(row)]
    odd = next((row for row in rows if len(row) != 2 or not row[1]), None)
    if odd is not None:
        raise InputError(f"{path} has the row {','.join(odd)!r}; expected a feature and its group.")
    if rows and [x.lower() for x in rows[0]] == ["feature", "group"]:
        rows = rows[1:]
    out: dict[str, list[str]] = {}
    for feature, group in rows:
        out.setdefault(group, []).append(feature)
    return out


def _of_json(path: Path) -> Mapping[str, Any]:
    held = read_json(path, _KIND)
    if not isinstance(held, Mapping):
        raise InputError(f"{path} holds a {type(held).__name__}; expected {_KIND}.")
    return held
