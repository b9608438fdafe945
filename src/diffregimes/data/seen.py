"""What is known of the points before the pass: the different ones, their cloud, their neighbours.

Of points in a file, which may be too many to be compared with one another, equal ones are found by
their digests. Near duplicates, points far out and the spectrum are those of `SOME` points drawn at
random, or of as many as memory is for, and their errors those of so many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.pieces import Pieces
from ..common.rng import numpy_generator
from .cloud import Cloud
from .datasets import Dataset
from .filecloud import prepare_file
from .infile import FilePoints
from .neighbours import Clusters, Neighbourhood, different, equal
from .streams import IN_MEMORY

SOME = 8192
_FEWEST = 2048  # of them, however little memory there is


@dataclass(frozen=True)
class Seen:
    """The different points `own`, the clusters of all that were listed, and the cloud of the
    different ones; `shown`, in memory, those whose spectrum and `neighbours` are known."""

    own: Dataset
    twins: Clusters
    cloud: Cloud
    shown: Dataset
    neighbours: Neighbourhood

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of it."""
        if not self.own.in_file:
            return ()
        return (
            f"spectrum, near duplicates and points far out are those of {self.shown.n} of the "
            f"{self.own.n} points, drawn at random; the curves are of all",
        )


def look(dataset: Dataset, seed: int = 0, keep: Path | None = None, client: Any = None) -> Seen:
    """At all points, or, of those in a file, at some; finished pieces of passes over these are kept
    in the folder `keep`, and the workers of the cluster of `client` take their shards. Raises
    `InputError` where too few differ, or where the cluster cannot reach them."""
    if client is not None:
        _check_reached(dataset, client)
    if not isinstance(dataset.points, FilePoints):
        own, twins, near = different(dataset)
        return Seen(own, twins, near.cloud, own, near)
    twins = equal(dataset.points)
    own = dataset
    if len(twins.kept) < dataset.n:
        own = dataset.take(twins.kept)
        own = own if own.labelled else own.split()
    assert isinstance(own.points, FilePoints)
    some = numpy_generator(seed, "shown").permutation(own.n)[: _shown(own.points)]
    shown, _, near = different(own.take(np.sort(some)).in_memory())
    pieces = None if keep is None else Pieces(keep, f"{own.fingerprint} {version('diffregimes')}")
    cloud = prepare_file(own.points, own.labels, pieces, client)
    return Seen(own, twins, cloud, shown, near)


def _shown(points: FilePoints) -> int:
    """How many points are looked at: their floats and their covariance, in float64 and decomposed,
    take half the memory budget each at the most."""
    budget, d = points.stored.budget, points.shape[1]
    if budget is None:
        return SOME
    half = budget * 2**20 / 2
    most = half / (4 * d)
    if 16 * d**2 > half:  # then it is better that of few points in their own span
        most = min(most, d / 2, math.sqrt(half / 16))
    return int(np.clip(most, min(SOME, _FEWEST), SOME))


def _check_reached(dataset: Dataset, client: Any) -> None:
    """Raise `InputError` unless workers can read the points themselves."""
    if not isinstance(dataset.points, FilePoints) or dataset.points.stored.kind == IN_MEMORY:
        raise InputError(
            f"the points of {dataset.source} are in the memory of this process; a cluster takes "
            "those that stay in a file: .npy, plain .npz, IDX, .safetensors, zarr or HDF5, larger "
            "than the memory budget. Lower memory_mib (--memory-mib), or save them as one array."
        )
    here = ("inproc://", "tcp://127.0.0.1")  # workers that share this working directory
    local = client.scheduler.address.startswith(here)
    path = dataset.points.stored.path
    if not local and "://" not in str(path) and not Path(path).is_absolute():
        raise InputError(
            f"the points are in {path}; expected a path from the root, for "
            "workers of a cluster have working directories of their own."
        )
