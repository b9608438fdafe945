"""Rows of an array by the names that points have: their places in the source, files and groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..data.datasets import Dataset
from ..data.neighbours import Clusters
from ..results import Duplicate
from .copies import origins
from .findings import Copies, Origin


def named(
    copies: Copies,
    clusters: Clusters,
    shared: tuple[Duplicate, ...],
    dataset: Dataset,
    held_out: Dataset | None,
) -> dict[str, Any]:
    """Copies, origins and duplicates with the names that points have in the source."""
    return {
        "copies": _copies_named(copies, dataset),
        "origins": tuple(_origin_named(x, dataset) for x in origins(copies, clusters)),
        "duplicates": tuple(_named(x, dataset, dataset) for x in clusters.pairs),
        "shared": tuple(_named(x, dataset, held_out or dataset) for x in shared),
    }


def _named(pair: Duplicate, one: Dataset, two: Dataset) -> Duplicate:
    """A pair of rows of two datasets, by their indices in the source and their files."""
    return replace(
        pair,
        index=int(one.indices[pair.index]),
        other=int(two.indices[pair.other]),
        file=one.file_of(pair.index),
        other_file=two.file_of(pair.other),
    )


def _copies_named(copies: Copies, dataset: Dataset) -> Copies:
    """The training points by their index in the source, and their files, in place of their rows."""
    shown = np.unique([copies.point, copies.second]).tolist() if dataset.files else []
    files = {int(dataset.indices[k]): dataset.files[k] for k in shown}
    point, second = dataset.indices[copies.point], dataset.indices[copies.second]
    return replace(copies, point=point, second=second, files=files)


def _origin_named(origin: Origin, dataset: Dataset) -> Origin:
    return replace(
        origin,
        index=int(dataset.indices[origin.index]),
        twins=tuple(int(x) for x in dataset.indices[list(origin.twins)]),
        file=dataset.file_of(origin.index),
        group=None if dataset.groups is None else str(dataset.groups[origin.index]),
    )
