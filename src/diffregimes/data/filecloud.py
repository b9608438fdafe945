"""A cloud whose points stay in their file, read shard by shard.

Mean, scale and which features vary come from one reading; a shard is a set of consecutive rows of
the file, made a cloud of its own. The moments of the posterior weights over shards merge
(`posterior.shards`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..common.pieces import Pieces
from .cloud import COLUMNS, Cloud, square_distances
from .infile import FilePoints, parts

_SHARD = 2 * COLUMNS  # points of a shard
_TOGETHER = 32  # rows whose near points are read at a time
_SPARE = 8  # more near points than are asked for
_ERROR = 4e-6  # of |a|^2 + |b|^2: what a float32 product may be off by


@dataclass(frozen=True)
class FileRows:
    """The coordinates (n, r) of a `FileCloud`; `rows[k]` reads these alone. `pieces` are what was
    computed of them before, `client` is that of a cluster (Dask) whose workers take the shards."""

    points: FilePoints
    order: np.ndarray
    varying: np.ndarray
    mean: np.ndarray
    scale: float
    device: torch.device
    pieces: Pieces | None = None
    client: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.order), len(self.varying)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, rows: Any) -> Tensor:
        rows = rows.cpu().numpy() if isinstance(rows, Tensor) else rows
        return self.of(self.points[self.order[rows]])

    def part(self, rows: slice, turn: np.ndarray) -> Tensor:
        """The coordinates of points in this part of the file, in the order `turn` of them."""
        affine = self.points.pixels.affine
        if affine is None or self.points.pad:
            return self.of(self.points[rows])[torch.from_numpy(turn)]
        factor, offset = affine
        values = self.points.values(self.points.places[rows]).reshape(len(turn), -1)[turn]
        if len(self.varying) < values.shape[1]:
            values = values[:, self.varying]
        shift = torch.from_numpy((offset - self.mean) / self.scale).float()
        found = torch.from_numpy(values.astype(np.float32))
        return found.mul_(factor / self.scale).add_(shift).to(self.device)

    def of(self, points: np.ndarray) -> Tensor:
        """The coordinates of points (k, d)."""
        inside = points if len(self.varying) == points.shape[1] else points[:, self.varying]
        # as `prepare` does it, to the last bit
        found = np.subtract(inside, self.mean, dtype=np.float64).astype(np.float32)
        found /= self.scale
        return torch.from_numpy(found).to(self.device)


class FileCloud(Cloud):
    """See the module. `coordinates` are `FileRows`."""

    @property
    def _rows(self) -> FileRows:
        return cast(FileRows, self.coordinates)

    @property
    def pieces(self) -> Pieces | None:
        """Where finished pieces of passes over it are kept."""
        return self._rows.pieces

    @property
    def client(self) -> Any:
        """That of the cluster whose workers take the shards; None without one."""
        return self._rows.client

    def alone(self) -> FileCloud:
        """The same as it goes to a worker."""
        coordinates = cast(Tensor, replace(self._rows, pieces=None, client=None))
        return FileCloud(coordinates, self.labels, self.order, self.bounds, self.scale, self.d)

    def permuted(self, rows: np.ndarray) -> Cloud:
        order = self.order[rows]
        coordinates = cast(Tensor, replace(self._rows, order=order))
        labels = self.labels[torch.from_numpy(rows)]
        return FileCloud(coordinates, labels, order, self.bounds, self.scale, self.d)

    def relabelled(self, labels: np.ndarray) -> Cloud:
        out = cast(FileCloud, super().relabelled(labels))
        if self.pieces is None:
            return out
        digest = sha256(labels.astype(np.int64).tobytes()).hexdigest()
        pieces = replace(self.pieces, key=f"{self.pieces.key} {digest}")
        coordinates = cast(Tensor, replace(out._rows, pieces=pieces))
        return FileCloud(coordinates, out.labels, out.order, out.bounds, out.scale, out.d)

    def to(self, device: str | torch.device) -> Cloud:
        coordinates = cast(Tensor, replace(self._rows, device=torch.device(device)))
        labels = self.labels.to(device)
        return FileCloud(coordinates, labels, self.order, self.bounds, self.scale, self.d)

    def shards(self) -> Iterator[tuple[Cloud, np.ndarray]]:
        return map(self.shard, self.parts)

    @property
    def parts(self) -> list[slice]:
        """Where the shards lie in the file."""
        return list(parts(self._rows.points, _SHARD))

    def shard(self, part: slice) -> tuple[Cloud, np.ndarray]:
        """One of them."""
        rows = self.row_of[part]
        turn = np.argsort(rows)
        rows = rows[turn]
        coordinates = self._rows.part(part, turn)
        labels, bounds = self.labels[torch.from_numpy(rows)], np.searchsorted(rows, self.bounds)
        ends = tuple(bounds.tolist())
        return Cloud(coordinates, labels, self.order[rows], ends, self.scale, self.d), rows


def nearest(cloud: Cloud, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest others of these rows (p,), the nearest first: their rows (p, count), and
    distances in data units.

    A float32 product finds a few more, whose distances are taken again; where one that was left out
    could be as near, all are, in float64.
    """
    own = cloud.coordinates[torch.from_numpy(rows)]
    rough, found = _least(cloud, rows, own, count + _SPARE, _rough)
    exact = torch.full_like(rough, math.inf, dtype=torch.float64)
    for start in range(0, len(rows), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        near = found[part]
        gaps = cloud.coordinates[near.ravel()].view(*near.shape, -1) - own[part, None]
        exact[part] = torch.linalg.vector_norm(gaps, dim=-1, dtype=torch.float64).square_()
    exact[rough == math.inf] = math.inf
    order = exact.argsort(dim=1, stable=True)[:, :count]
    square, near = exact.gather(1, order), found.gather(1, order)
    norms = own.square().sum(1)
    unsure = square[:, -1] > rough[:, -1] - _ERROR * (2 * norms + rough[:, -1])
    if unsure.any():
        few = unsure.cpu().numpy()
        again = _least(cloud, rows[few], own[unsure], count, square_distances)
        square[unsure], near[unsure] = again[0].double(), again[1]
    return near.cpu().numpy(), square.sqrt().cpu().numpy() * cloud.scale


def _rough(rows: Tensor, columns: Tensor) -> Tensor:
    """|a_i - a_j|^2 (p, c) from a float32 product."""
    square = rows.square().sum(1)[:, None] + columns.square().sum(1)
    return square.addmm_(rows, columns.T, alpha=-2)


def _least(
    cloud: Cloud,
    rows: np.ndarray,
    own: Tensor,
    count: int,
    distances: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """The least squared distances of these rows from others, and whose they are (p, count)."""
    least = torch.full((len(rows), count), math.inf, device=own.device)
    found = torch.zeros((len(rows), count), dtype=torch.int64, device=own.device)
    for shard, inside in cloud.shards():
        square = distances(own, shard.coordinates)
        square[torch.from_numpy(rows[:, None] == inside).to(own.device)] = math.inf
        some = square.topk(min(count, shard.n), largest=False)
        both = torch.cat([least, some.values], dim=1)
        places = torch.from_numpy(inside).to(own.device)[some.indices]
        least, kept = both.topk(count, largest=False)
        found = torch.cat([found, places], dim=1).gather(1, kept)
    return least, found


def prepare_file(
    points: FilePoints, labels: np.ndarray, pieces: Pieces | None = None, client: Any = None
) -> FileCloud:
    """Of `points` (n, d) with `labels` (n,) in 0..K-1."""
    n, d = points.shape
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    total, square = np.zeros(d), np.zeros(d)
    first = points[:1].astype(np.float64)
    for part in parts(points):
        found = points[part]
        low, high = np.minimum(low, found.min(axis=0)), np.maximum(high, found.max(axis=0))
        for few in np.array_split(found, math.ceil(len(found) / COLUMNS)):
            gap = few - first
            total += gap.sum(axis=0)
            square += np.einsum("ij,ij->j", gap, gap)
    varying = np.flatnonzero(high > low)
    mean = total / n
    scale = math.sqrt(float((square / n - mean**2)[varying].sum()))
    order = np.argsort(labels, kind="stable")
    coordinates = FileRows(
        points,
        order,
        varying,
        (first[0] + mean)[varying],
        scale,
        torch.device("cpu"),
        pieces,
        client,
    )
    return FileCloud(
        cast(Tensor, coordinates),
        torch.from_numpy(labels[order].astype(np.int64)),
        order,
        (0, *np.cumsum(np.bincount(labels)).tolist()),
        scale,
        d,
    )
