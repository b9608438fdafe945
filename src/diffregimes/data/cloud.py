"""Training points ready for the pass: centred, in their own span, sorted by class; distances.

Squared distances come from float64 products of centred data, because near-duplicates differ by
less than float32 keeps of their norms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

COLUMNS = 4096  # training points at a time: the working set stays in the processor's cache


@dataclass(frozen=True)
class Cloud:
    """Training points ready for the pass: centred, in their own span, sorted by class.

    `coordinates` (n, r) float32 in units of `scale` (the root mean square norm, so that a
    typical squared norm is 1); distances are those of the original points. `order[i]` is the
    index of row i in the dataset, `labels[i]` its class and `bounds` (K + 1,) where classes begin.
    `d` is the number of features, those that the span leaves out included.
    """

    coordinates: Tensor
    labels: Tensor
    order: np.ndarray
    bounds: tuple[int, ...]
    scale: float
    d: int

    @property
    def n(self) -> int:
        return len(self.coordinates)

    @cached_property
    def row_of(self) -> np.ndarray:
        """Row of each point of the dataset, the inverse of `order`."""
        return np.argsort(self.order)

    @cached_property
    def norms(self) -> Tensor:
        """Squared norms of the points (n,), float64."""
        parts = torch.split(self.coordinates, together(self.coordinates.shape[1]))
        return torch.cat([part.double().square_().sum(1) for part in parts])

    def permuted(self, rows: np.ndarray) -> Cloud:
        """The same points within the same bounds, in the order of these rows."""
        return replace(
            self, coordinates=self.coordinates[rows], labels=self.labels[rows],
            order=self.order[rows],
        )  # fmt: skip

    def merged(self, of_class: np.ndarray) -> Cloud:
        """The same points with classes put together: `of_class` (K,) is the new one of each."""
        return self.relabelled(of_class[self.labels.cpu().numpy()])

    def relabelled(self, labels: np.ndarray) -> Cloud:
        """The same points with other classes: `labels` (n,) of the rows, 0..K - 1."""
        rows = np.argsort(labels, kind="stable")
        again = torch.from_numpy(labels[rows].astype(np.int64)).to(self.labels.device)
        bounds = (0, *np.cumsum(np.bincount(labels)).tolist())
        return replace(self.permuted(rows), labels=again, bounds=bounds)

    def shards(self) -> Iterator[tuple[Cloud, np.ndarray]]:
        """Disjoint sets of the points that are clouds, each with the rows of its points in this
        one, which ascend: of points in memory all."""
        yield self, np.arange(self.n)

    def to(self, device: str | torch.device) -> Cloud:
        moved = self.coordinates.to(device), self.labels.to(device)
        return Cloud(*moved, self.order, self.bounds, self.scale, self.d)


def prepare(points: np.ndarray, labels: np.ndarray) -> Cloud:
    """Centre, drop what is constant, express in the span of the data, sort by class.

    `points` (n, d), `labels` (n,) in 0..K-1. If 2 n <= d the coordinates are the triangular
    factor of a QR decomposition (n numbers a point instead of d), taken in float64 over
    slices of the features; with more points it would cost more than it saves.
    """
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    varying = np.flatnonzero(points.max(axis=0) > points.min(axis=0))
    n = len(points)
    if 2 * n <= len(varying):
        factor = np.empty((0, n))
        for columns in np.array_split(varying, math.ceil(len(varying) / max(n, 4096))):
            part = points[:, columns].astype(np.float64)
            part -= part.mean(axis=0)
            stacked = np.concatenate([factor, part[order].T])
            factor = np.asarray(np.linalg.qr(stacked, mode="r"))
        coordinates = factor.T
    else:
        mean = points.mean(axis=0, dtype=np.float64)[varying]
        coordinates = np.empty((n, len(varying)), dtype=np.float32)
        for rows in np.array_split(np.arange(n), math.ceil(n / together(len(varying)))):
            coordinates[rows] = points[np.ix_(order[rows], varying)] - mean
    scale = math.sqrt(np.einsum("ij,ij->", coordinates, coordinates, dtype=np.float64) / n)
    coordinates /= scale
    return Cloud(
        torch.from_numpy(np.ascontiguousarray(coordinates, dtype=np.float32)),
        torch.from_numpy(labels[order].astype(np.int64)),
        order,
        (0, *np.cumsum(counts).tolist()),
        scale,
        points.shape[1],
    )


def together(r: int) -> int:
    """Points of r coordinates at a time: `COLUMNS`, or as many as take 8 MiB in float64."""
    return int(np.clip(2**20 // max(r, 1), 128, COLUMNS))


def square_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """|a_i - a_j|^2 (p, c), float32 from float64 products of some columns at a time."""
    out = rows.new_empty(len(rows), len(columns))
    rows = rows.double()
    own = rows.square().sum(1)[:, None]
    step = together(rows.shape[1])
    for start in range(0, len(columns), step):
        part = columns[start : start + step].double()
        square = own + part.square().sum(1)
        square.addmm_(rows, part.T, alpha=-2)
        out[:, start : start + step] = square.clamp_(min=0)
    return out


def all_square_distances(cloud: Cloud, memory_mib: int) -> Tensor | None:
    """All n x n squared distances, if half the budget holds them; else None."""
    n = cloud.n
    if n * n * 4 > memory_mib * 2**20 / 2:
        return None
    out = torch.empty(n, n, device=cloud.coordinates.device)
    for start in range(0, n, 256):
        stop = min(start + 256, n)
        rows = square_distances(cloud.coordinates[start:stop], cloud.coordinates[start:])
        out[start:stop, start:] = rows
        out[stop:, start:stop] = rows[:, stop - start :].T
    return out
