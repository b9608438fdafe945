"""A dataset: n points in R^d with a class each, in a stated pixel scale.

The Ornstein-Uhlenbeck clock measures noise against the spread of the data, so a rescaled
dataset shifts every time (t -> t + log(scale) at large t). The scale is therefore part of a
`Dataset` and of every result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Points (n, d), float32, with integer labels (n,) into `class_names`.

    `sample_shape` is (H, W, C) for images and (d,) otherwise: a point is its image flattened in
    that order. `scale` is the pixel range (low, high), None where the floats were taken as they
    came. `labelled` is False when the labels are the two sides of the first principal component.
    `notes` says in words what was done to the data.
    """

    points: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    sample_shape: tuple[int, ...]
    scale: tuple[float, float] | None = None
    source: str = "arrays"
    labelled: bool = True
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.points)

    @property
    def d(self) -> int:
        return int(self.points.shape[1])

    @property
    def is_image(self) -> bool:
        return len(self.sample_shape) == 3

    @property
    def class_counts(self) -> tuple[int, ...]:
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return tuple(int(x) for x in counts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over points and labels: two datasets with one fingerprint are the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.points))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()
