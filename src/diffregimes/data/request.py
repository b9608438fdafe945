"""What a reader is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .pixels import Range

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..populations.mixture import GaussianMixture


@dataclass(frozen=True)
class Request:
    """A source and the options of `readers.load` that came with it; `held` is a source that is an
    object in memory and no file. `group` and `given` name what are no values of a point either;
    with `labels_only` all labels are asked for and no points. Points may take `memory_mib` in
    memory, where that is not None, and are decoded into the folder `keep` else."""

    text: str
    path: Path
    labels: str | None = None
    key: str | None = None
    classes: Sequence[int | str] | str | None = None
    per_class: int | None = None
    pixel_range: Range = None
    pad: int = 0
    split: str | None = None
    resize: int | None = None
    crop: bool = False
    standardize: bool = False
    skip_unreadable: bool = False
    progress: Progress | None = None
    held: Any = None
    group: str | None = None
    labels_only: bool = False
    memory_mib: int | None = None
    keep: Path | None = None
    given: str | None = None

    @property
    def beside(self) -> tuple[str, ...]:
        """What is told of a point beside its values and its label."""
        return tuple(x for x in (self.group, self.given) if x is not None)


@dataclass(frozen=True)
class Raw:
    """What a source holds; `white`, `class_names` and `files` are those of `from_arrays`.

    `indices` and `classes` where a part of the source was read alone: where the points stand in it,
    and the sorted names of all of its classes. `columns_taken` where labels were a column of the
    points. `columns` are the names of those of a table.
    """

    points: Any
    labels: Any = None
    notes: tuple[str, ...] = ()
    white: int | None = None
    class_names: tuple[str, ...] | None = None
    population: GaussianMixture | None = None
    indices: np.ndarray | None = None
    files: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    columns_taken: bool = False
    columns: tuple[str, ...] = ()

    def noting(self, *notes: str) -> Raw:
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))
