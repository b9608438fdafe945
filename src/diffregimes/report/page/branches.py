"""What the page shows of the tree of classes: mean images of its branches, rows of its pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.datasets import Dataset
from ...results import Analysis, Pair
from ..words import clipped, time_text, told_pairs
from .pictures import Painter

_POINTS = 200  # of a leaf that its mean image is taken from
_PAIRS = 8
_NAME = 24  # letters


def mean_images(analysis: Analysis, dataset: Dataset | None) -> dict[int, np.ndarray]:
    """The mean image of the classes under each node, in 0..1; none of data that are no images."""
    tree = analysis.tree
    if tree is None or dataset is None or not dataset.is_image:
        return {}
    painter = Painter(dataset)
    members = tree.members or tuple((x,) for x in tree.leaves)
    number = {name: k for k, name in enumerate(dataset.class_names)}
    means, counts = [], []
    for names in members:
        rows = np.flatnonzero(np.isin(dataset.labels, [number[x] for x in names]))
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _POINTS)).astype(int)]
        means.append(dataset.points[some].mean(axis=0, dtype=np.float64))
        counts.append(len(rows))
    out = {}
    for node in range(tree.root + 1):
        leaves = list(tree.under(node))
        weights = np.array(counts)[leaves] / np.sum(np.array(counts)[leaves])
        out[node] = painter.shown(weights @ np.array(means)[leaves])
    return out


def pair_rows(analysis: Analysis) -> list[dict[str, Any] | None]:
    """The pairs that part first and last; None for those between."""
    return [None if x is None else _row(x) for x in told_pairs(analysis.pairs, _PAIRS)]


def _row(pair: Pair) -> dict[str, Any]:
    names = [clipped(x, _NAME) for x in (pair.one, pair.other)]
    warnings = dict.fromkeys((*pair.balance.warnings, *pair.clone.warnings))
    times = time_text(pair.balance), time_text(pair.clone)
    return {"names": names, "times": times, "warnings": list(warnings)}
