"""Data that are in memory already: data frames, torch Datasets and DataLoaders, `datasets`.

Each is known by what it can do, so that none of these packages is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..common.checks import InputError
from .arrow import from_rows
from .classes import listed, to_numpy
from .labelled import with_labels
from .lists import Part, Rows
from .request import Raw, Request
from .splits import choose
from .tables import Table, from_table

_BATCH = 1024  # rows of a `datasets.Dataset`


def is_frame(held: Any) -> bool:
    """A pandas or polars data frame."""
    return hasattr(held, "columns") and hasattr(held, "to_numpy")


def is_rows(held: Any) -> bool:
    """A `datasets.Dataset`, or a DatasetDict of them."""
    one = next(iter(held.values()), None) if isinstance(held, Mapping) else held
    return hasattr(one, "features") and hasattr(one, "with_format")


def is_loader(held: Any) -> bool:
    """A torch DataLoader."""
    return hasattr(held, "dataset") and hasattr(held, "batch_size") and hasattr(held, "__iter__")


def is_map(held: Any) -> bool:
    """A torch Dataset that can be indexed."""
    plain = isinstance(held, list | tuple | str | bytes | Mapping | np.ndarray)
    can = hasattr(held, "__getitem__") and hasattr(held, "__len__")
    return can and not plain and not hasattr(held, "dtype")


def frame(request: Request) -> Raw:
    """A pandas or polars data frame: a table of numbers, as in a .csv."""
    held = request.held
    names = [str(x) for x in held.columns]
    columns = [np.asarray(held[x].to_numpy()) for x in held.columns]
    known = dict(zip(names, columns, strict=True))
    if len(known) < len(names):
        raise InputError(f"the data frame has two columns of one name ({listed(names)}).")
    numeric = {name: x.dtype.kind in "buif" for name, x in known.items()}

    def read(wanted: Sequence[str]) -> np.ndarray:
        if len(wanted) == 1 and not numeric[wanted[0]]:
            return known[wanted[0]]
        return np.column_stack([known[x].astype(np.float64) for x in wanted])

    return from_table(request, Table(request.text, numeric, read))


def hugging_face(request: Request) -> Raw:
    """A `datasets.Dataset`, or one of a DatasetDict: as a folder of its parquet files."""
    held, notes = request.held, list[str]()
    if isinstance(held, Mapping):
        names, notes = choose(list(held), request.split, request.text)
        if len(names) > 1:
            raise InputError(
                f"{request.text} holds the datasets {listed(names)}; give one of them."
            )
        held, request = held[names[0]], replace(request, split=None)
    shown = held.with_format("arrow")

    def batches(columns: Sequence[str]) -> Iterator[Any]:
        part = shown.select_columns(list(columns))
        for start in range(0, len(held), _BATCH):
            yield from part[start : start + _BATCH].combine_chunks().to_batches()

    rows = Rows(request.text, held.features.arrow_schema, (Part(len(held), batches),))
    return from_rows(request, rows, notes)


def loader(request: Request) -> Raw:
    """A torch DataLoader: what it yields in one pass, batches of points or of (points, labels)."""
    held = request.held
    if not hasattr(held.dataset, "__len__"):
        raise InputError(
            "the dataset of the DataLoader has no length and may never end; expected one with. "
            "Take so many of it, and give arrays: from_arrays(points, labels)."
        )
    parts, labels = list[np.ndarray](), list[np.ndarray]()
    for batch in held:
        one, label = _pair(batch)
        parts.append(to_numpy(one, "a batch"))
        if label is not None:
            labels.append(to_numpy(label, "the labels of a batch"))
    if not parts:
        raise InputError("the DataLoader yields nothing; expected batches. Check its dataset.")
    points, notes = _channels_last(np.concatenate(parts), 1)
    if len(held.dataset) != len(points):
        notes.append(
            f"{len(points)} of {len(held.dataset)} points: what one pass of the DataLoader yields"
        )
    if "Sequential" not in type(getattr(held, "sampler", None)).__name__:
        notes.append(
            "the DataLoader shuffles: points are numbered in the order of this pass (give its "
            "dataset to have them numbered as there)"
        )
    known = np.concatenate(labels) if labels else None
    return _of_objects(request, points, known, notes)


def map_style(request: Request) -> Raw:
    """A torch Dataset of points, or of pairs (point, label): tensors (C, H, W), arrays or PIL
    images."""
    held, n = request.held, len(request.held)
    if n == 0:
        raise InputError(f"{request.text} is empty; expected points.")
    first, notes = _one(held, 0)[0], list[str]()
    if not np.array_equal(first, _one(held, 0)[0]):
        notes.append(
            "the same point has other values each time it is asked for (random transforms, it "
            "seems): one of them was taken of each"
        )
    out = np.empty((n, *first.shape), first.dtype)
    labels = []
    for k in range(n):
        point, label = _one(held, k)
        if point.shape != first.shape:
            raise InputError(
                f"point {k} of {request.text} has the shape {point.shape}, the first "
                f"{first.shape}; expected one shape. Add a transform that resizes or crops."
            )
        out[k] = point
        labels.append(label)
        if request.progress is not None:
            request.progress(k + 1, n, "reading points")
    known = None if labels[0] is None else np.asarray(labels)
    names = getattr(held, "classes", None)
    points, said = _channels_last(out, 1)
    return _of_objects(request, points, known, [*notes, *said], _names(names, known))


def _names(names: Any, labels: np.ndarray | None) -> tuple[str, ...] | None:
    """The `classes` of torchvision's datasets, where they name integer labels."""
    if labels is None or labels.dtype.kind not in "iu" or not isinstance(names, list | tuple):
        return None
    known = tuple(str(x) for x in names)
    return known if len(set(known)) == len(known) and labels.max() < len(known) else None


def _one(held: Any, k: int) -> tuple[np.ndarray, Any]:
    point, label = _pair(held[k])
    point = to_numpy(point, f"point {k}")
    label = label.item() if hasattr(label, "item") else label
    return point, label


def _pair(item: Any) -> tuple[Any, Any]:
    """Point and label of what a Dataset gives: a pair, a mapping, or a point alone."""
    if isinstance(item, Mapping):
        keys = list(item)
        point = next((x for x in ("image", "images", "img", "pixel_values", "x", "data")
                      if x in item), keys[0])  # fmt: skip
        label = next((x for x in ("label", "labels", "target", "y") if x in item), None)
        return item[point], None if label is None else item[label]
    if isinstance(item, list | tuple):
        if len(item) > 2 or not item:
            raise InputError(
                f"the Dataset gives {len(item)} things for a point; expected a point, or a point "
                "and its label. Wrap it so that it gives these two."
            )
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _channels_last(points: np.ndarray, axis: int) -> tuple[np.ndarray, list[str]]:
    """torch's images have their channels first."""
    if points.ndim == 4 and points.shape[axis] in (1, 3, 4) and points.shape[-1] not in (1, 3, 4):
        return np.moveaxis(points, axis, -1), ["channels were moved last"]
    return points, []


def _of_objects(
    request: Request,
    points: np.ndarray,
    labels: np.ndarray | None,
    notes: Sequence[str],
    class_names: tuple[str, ...] | None = None,
) -> Raw:
    raw = Raw(points, labels, tuple(notes), class_names=class_names)
    return with_labels(raw, request.labels)
