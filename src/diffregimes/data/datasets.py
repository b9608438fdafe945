"""A dataset: n points in R^d with a class each, in a stated pixel scale.

The Ornstein-Uhlenbeck clock measures noise against the spread of the data, so a rescaled
dataset shifts every time (t -> t + log(scale) at large t). The scale is therefore part of a
`Dataset` and of every result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..common.checks import InputError, check_real
from ..common.provenance import INDEXED, DatasetFacts
from ..common.readable import printable
from .classes import (
    check_counts,
    check_no_choice,
    checked_labels,
    conditions,
    grouped,
    listed,
    select,
    to_numpy,
)
from .infile import SHOWN, FilePoints, left_in_file, parts, stays, taken
from .pixels import PixelMap, Range, Scaling, map_of, of_all, sample_shape, scaling
from .sides import principal_sides
from .stored import Stored, check_room, extremes, picked

if TYPE_CHECKING:
    from ..populations.mixture import GaussianMixture


@dataclass(frozen=True)
class Dataset:
    """Points (n, d), float32, with integer labels (n,) into `class_names`.

    `sample_shape` is (H, W, C) for images and (d,) otherwise: a point is its image flattened in
    that order. `scale` is the pixel range (low, high), None where the values were taken as they
    came, and `pixel_map` what was done to them, to be done to whatever is compared with them.
    `labelled` is False when the labels are the two sides of the first principal component.
    `notes` says in words what was done to the data. `population` is the law that the points were
    drawn from, where it is known.

    Points are named by `indices` (n,), where they stand in the source, and by `files` (n,), their
    paths inside a folder, whatever part of the source was taken. `conditions` are the numbers by
    which a conditional network that was trained on the source is asked for each class. `groups`
    (n,) name what points have in common that count as one, such as a patient, `given` (n,) the
    condition that each is learned under. `captions` (n,) are the texts of the points, for a model
    of text and images. `columns` (d,) are the names that the features of a table have. `decode`
    makes pictures (m, H, W, C) in [0, 1] of points (m, d) that are a code of images.
    """

    points: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    sample_shape: tuple[int, ...]
    scale: tuple[float, float] | None = None
    source: str = "arrays"
    labelled: bool = True
    notes: tuple[str, ...] = ()
    population: GaussianMixture | None = None
    pixel_map: PixelMap | None = None
    indices: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    files: tuple[str, ...] = ()
    conditions: tuple[int, ...] = ()
    groups: np.ndarray | None = None
    captions: np.ndarray | None = None
    given: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    decode: Callable[[np.ndarray], np.ndarray] | None = field(
        default=None, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not len(self.indices):
            object.__setattr__(self, "indices", np.arange(self.n))
        # here names from outside come in; from here they go to terminals, pages and tables
        object.__setattr__(self, "source", printable(self.source))
        for name in ("class_names", "files", "notes", "columns"):
            object.__setattr__(self, name, tuple(map(printable, getattr(self, name))))

    @property
    def n(self) -> int:
        return len(self.points)

    @property
    def d(self) -> int:
        return int(self.points.shape[1])

    @property
    def in_file(self) -> bool:
        """Whether the points are `FilePoints`, which are read some at a time."""
        return isinstance(self.points, FilePoints)

    def in_memory(self) -> Dataset:
        """The same with the points as an array."""
        return replace(self, points=self.points[:]) if self.in_file else self

    @property
    def is_image(self) -> bool:
        return len(self.sample_shape) == 3

    @property
    def class_counts(self) -> tuple[int, ...]:
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return tuple(int(x) for x in counts)

    @property
    def standardized(self) -> bool:
        """Whether each feature was divided by its standard deviation."""
        return self.pixel_map is not None and self.pixel_map.spread is not None

    def class_of(self, place: int) -> str:
        """The name of the class of the point in a row."""
        return self.class_names[int(self.labels[place])]

    @cached_property
    def _places(self) -> dict[int, int]:
        return {int(index): place for place, index in enumerate(self.indices)}

    def place_of(self, index: int) -> int | None:
        """The row of the point that has this index in the source, None where it is not here."""
        return self._places.get(index)

    def file_of(self, place: int) -> str | None:
        """The file of the point in a row, None where points do not come from files."""
        return self.files[place] if self.files else None

    def take(self, places: np.ndarray) -> Dataset:
        """The points in these rows only; their names, classes, scale and source stay."""
        return replace(
            self,
            points=taken(self.points, places),
            labels=self.labels[places],
            indices=self.indices[places],
            files=tuple(self.files[int(k)] for k in places) if self.files else (),
            groups=None if self.groups is None else self.groups[places],
            captions=None if self.captions is None else self.captions[places],
            given=None if self.given is None else self.given[places],
        )

    def split(self) -> Dataset:
        """The points without labels, on the two sides of their own first principal component."""
        return replace(self, labels=principal_sides(self.points, self.files))

    def only(self, name: str) -> Dataset:
        """The points of one class only."""
        code = self.class_names.index(name)
        mine = self.take(np.flatnonzero(self.labels == code))
        return replace(
            mine,
            labels=np.zeros(mine.n, dtype=np.int64),
            class_names=(name,),
            population=None,
            conditions=self.conditions[code : code + 1],
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over points and labels: two datasets with one fingerprint are the same."""
        digest = hashlib.sha256()
        for part in parts(self.points):
            digest.update(np.ascontiguousarray(self.points[part]).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


def from_arrays(
    points: Any,
    labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    classes: Sequence[int | str] | str | None = None,
    groups: Any = None,
    per_class: int | None = None,
    pixel_range: Range = None,
    pad: int = 0,
    white: int | None = None,
    standardize: bool = False,
    source: str = "arrays",
    files: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Dataset:
    """A `Dataset` from numpy arrays or torch tensors; the order of the points is kept.

    `points`: (n, d), or images (n, H, W) or (n, H, W, C). Integers are pixels: 0..white becomes
    `pixel_range`, (0, 1) unless given, where `white` is 255 for uint8, 65535 for uint16 and 1 for
    bool unless given; for other integers it is 255 if no value is larger, else the largest value.
    Floats are taken as they are, unless `pixel_range` is given: then the smallest value of the
    whole array goes to its lower end and the largest to its upper end. "none" takes integers, too,
    as they are; a `PixelMap` does what was done to other data (`pixel_range=data.pixel_map`), and a
    `Scaling` tells integers from floats. `standardize` takes the features of a table (n, d) each
    minus its mean and over its standard deviation, constant ones as 0. Where values lie far from
    zero for their spread a constant is taken off, and a note says so.

    `labels`: (n,) or (n, 1), integers or strings. Without them the two classes are the two sides
    of the first principal component, and `labelled` is False. `class_names` names integer labels
    by index where all of them are indices into it, else the distinct labels in sorted order.
    `classes` keeps these classes (labels or names) and sets their order, sorted otherwise;
    `per_class` keeps the first so many points of each; `pad` adds so many pixels to each side of
    images, at the lower end of the scale. `files` names the file of each point, `groups` (n,),
    integers or strings, what it has in common with others.

    Raises `InputError` for anything that cannot be analysed, with what to do about it.
    """
    array = _checked_points(points)
    wanted = scaling(pixel_range, standardize)
    _check_pad(pad, array)
    said = list(notes)
    known: tuple[int, ...] = ()
    if labels is None:
        check_no_choice(classes, per_class)
        indices = np.arange(len(array))
    else:
        indices, codes, names, known = _chosen(
            checked_labels(labels, len(array)), class_names, classes, per_class, said
        )
    own_groups = None if groups is None else grouped(groups, len(array))[indices]
    flat, done = _made(array, indices, wanted, white, pad, said)
    if pad:
        said.append(f"{pad} pixels added on each side of the images")
    own_files = tuple(files[int(k)] for k in indices) if len(files) else ()
    _check_varied(flat)
    if labels is None:
        codes, names = principal_sides(flat, own_files), ("PC1-", "PC1+")
        said.append("no labels: the two classes are the two sides of the first principal component")
    return Dataset(
        flat, codes, names, sample_shape(array.shape, pad), done.scale, source,
        labels is not None, tuple(said), None, done, indices, own_files, known, own_groups,
    )  # fmt: skip


def _made(
    array: np.ndarray | Stored,
    indices: np.ndarray,
    wanted: Scaling,
    white: int | None,
    pad: int,
    said: list[str],
) -> tuple[np.ndarray, PixelMap]:
    """The points of these rows (n, d), and the map that made them."""
    ends_of_all = of_all(array.dtype, wanted, white)
    if stays(array, len(indices), pad, ends_of_all):
        check_room(array, min(len(indices), SHOWN), pad)
        points = left_in_file(cast(Stored, array), indices, wanted, white, pad, ends_of_all, said)
        return cast(np.ndarray, points), points.pixels
    check_room(array, len(indices), pad)
    values = picked(array, indices)
    ends = extremes(array, values, indices, ends_of_all)
    done = map_of(values, ends, wanted, white, said)
    return done.points(values, pad), done


def _check_varied(flat: np.ndarray) -> None:
    if all((flat[part] == flat[0]).all() for part in parts(flat)):
        raise InputError(
            f"all {len(flat)} points are identical (in float32); expected data that vary. Check "
            "that the right array was read and that its values were not cut off or rounded."
        )


def _chosen(
    values: np.ndarray,
    class_names: Sequence[str] | None,
    classes: Sequence[int | str] | str | None,
    per_class: int | None,
    said: list[str],
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], tuple[int, ...]]:
    """What `select` says of the labels, and the numbers of the classes in the source."""
    indices, codes, names = select(values, class_names, classes, per_class)
    counts = np.bincount(codes, minlength=len(names))
    check_counts(counts, names)
    few = [
        f"{name} ({count})"
        for name, count in zip(names, counts, strict=True)
        if per_class is not None and count < per_class
    ]
    if few:
        said.append(f"all points taken of classes with fewer than {per_class}: {listed(few)}")
    return indices, codes, names, conditions(values, indices, codes)


def describe(dataset: Dataset) -> DatasetFacts:
    """The dataset as results name it."""
    # a mixture's text is its name, not a path with a suffix
    name = dataset.source if dataset.population else PurePath(dataset.source).stem or "dataset"
    return DatasetFacts(
        source=dataset.source,
        name=name,
        n=dataset.n,
        d=dataset.d,
        classes=dataset.class_names,
        class_counts=dataset.class_counts,
        scale=dataset.scale,
        fingerprint=dataset.fingerprint,
        sample_shape=dataset.sample_shape,
        labelled=dataset.labelled,
        indexed=INDEXED,
        standardized=dataset.standardized,
    )


def _checked_points(points: Any) -> np.ndarray | Stored:
    array = points if isinstance(points, Stored) else to_numpy(points, "points")
    kinds = "(n, d), (n, H, W) or (n, H, W, C)"
    check_real(array.dtype)
    if array.ndim not in (2, 3, 4):
        hint = "points[:, None] makes one feature a point." if array.ndim == 1 else "Reshape them."
        raise InputError(f"points have the shape {array.shape}; expected {kinds}. {hint}")
    looks = ""
    if array.ndim == 4 and array.shape[1] <= 4 < array.shape[3]:
        looks = "channels first: .transpose(0, 2, 3, 1) of numpy, .permute of torch, moves them"
    elif array.dtype == np.uint8 and array.shape[2:] in ((3,), (4,)) and min(array.shape[:2]) > 4:
        looks = "one image in colours: np.stack(images) puts some together"
    if looks:
        raise InputError(
            f"points have the shape {array.shape}; expected {kinds}. It looks like {looks}."
        )
    if len(array) < 2:
        raise InputError(
            f"there are {len(array)} point(s) (shape {array.shape}); expected at least 2, and many "
            f"more to learn something. The shape must be {kinds}, with n the number of points."
        )
    if array.size == 0:
        raise InputError(
            f"points are empty (shape {array.shape}); expected {kinds} with no axis of length 0. "
            "Check that the right array was read."
        )
    return array


def _check_pad(pad: int, array: np.ndarray | Stored) -> None:
    if not isinstance(pad, int | np.integer) or pad < 0:
        raise InputError(
            f"pad (--pad) is {pad!r}; expected the number of pixels to add on each side, "
            "0 or more. To crop, cut the arrays."
        )
    if pad and array.ndim == 2:
        raise InputError(
            f"pad (--pad) is {pad} but the points have the shape {array.shape}: they are not "
            "images. Leave it out, or reshape them to (n, H, W) or (n, H, W, C)."
        )
