"""Whether points belong to others: to an analysis that was made of them, beside data that were
prepared in the same way.

A point that was scaled otherwise is another point, and lies at another noise level.
"""

from __future__ import annotations

import numpy as np

from ..common.checks import InputError
from ..results import Analysis
from .datasets import Dataset


def different_points(analysis: Analysis, dataset: Dataset) -> Dataset:
    """The different points that the analysis is of, where the dataset lists some more than once."""
    listed = analysis.listed
    if listed is None or dataset.fingerprint != listed.fingerprint:
        return dataset
    own = dataset.take(np.flatnonzero(~np.isin(dataset.indices, listed.left_out)))
    return own if own.labelled else own.split()


def analyzed_points(analysis: Analysis, dataset: Dataset) -> Dataset:
    """The same; raise `InputError` where the analysis is of another dataset."""
    own = different_points(analysis, dataset)
    if analysis.dataset.fingerprint != own.fingerprint:
        raise InputError(
            f"this analysis is of a dataset with fingerprint {analysis.dataset.fingerprint[:12]}"
            f" and the dataset given has {dataset.fingerprint[:12]}; pass the dataset analysed."
        )
    return own


def check_alike(dataset: Dataset, other: Dataset | None, words: str = "held-out points") -> None:
    """Raise `InputError` unless other points were prepared as the data were."""
    if other is None:
        return
    for what in ("sample_shape", "scale"):
        one, two = getattr(dataset, what), getattr(other, what)
        if one != two:
            raise InputError(
                f"{what} of the {words} ({other.source}) is {two}, of the data {one}; "
                "expected the same: prepare both alike."
            )
    one, two = dataset.pixel_map, other.pixel_map
    if one and two and not one.agrees(two):
        raise InputError(
            f"the {words} ({other.source}) are {two}, the data {one}; expected one map "
            f"for both, or the same image is two points: load the {words} with "
            "pixel_range=data.pixel_map."
        )
