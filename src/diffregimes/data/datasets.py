"""A dataset: n points in R^d with a class each, in a stated pixel scale.

The Ornstein-Uhlenbeck clock measures noise against the spread of the data, so a rescaled
dataset shifts every time (t -> t + log(scale) at large t). The scale is therefore part of a
`Dataset` and of every result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.checks import InputError, finite_points
from ..common.provenance import DatasetFacts
from .classes import check_counts, check_no_choice, checked_labels, listed, select, to_numpy

if TYPE_CHECKING:
    from ..populations.mixture import GaussianMixture


@dataclass(frozen=True)
class Dataset:
    """Points (n, d), float32, with integer labels (n,) into `class_names`.

    `sample_shape` is (H, W, C) for images and (d,) otherwise: a point is its image flattened in
    that order. `scale` is the pixel range (low, high), None where the floats were taken as they
    came. `labelled` is False when the labels are the two sides of the first principal component.
    `notes` says in words what was done to the data. `population` is the law that the points were
    drawn from, where it is known.
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

    def class_of(self, index: int) -> str:
        """The name of the class of a point."""
        return self.class_names[int(self.labels[index])]

    def take(self, indices: np.ndarray) -> Dataset:
        """These points only; classes, scale and source stay."""
        return replace(self, points=self.points[indices], labels=self.labels[indices])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over points and labels: two datasets with one fingerprint are the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.points).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


def from_arrays(
    points: Any,
    labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
    pixel_range: tuple[float, float] | None = None,
    pad: int = 0,
    white: int | None = None,
    source: str = "arrays",
    notes: Sequence[str] = (),
) -> Dataset:
    """A `Dataset` from numpy arrays or torch tensors; the order of the points is kept.

    `points`: (n, d), or images (n, H, W) or (n, H, W, C). Integers are pixels: 0..white becomes
    `pixel_range`, (0, 1) unless given, where `white` is 255 for uint8, 65535 for uint16 and 1 for
    bool unless given; for other integers it is 255 if no value is larger, else the largest value.
    Floats are taken as they are, unless `pixel_range` is given: then the smallest value of the
    whole array goes to its lower end and the largest to its upper end.

    `labels`: (n,) or (n, 1), integers or strings. Without them the two classes are the two sides
    of the first principal component, and `labelled` is False. `class_names` names integer labels
    by index where all of them are indices into it, else the distinct labels in sorted order.
    `classes` keeps these classes (labels or names) and sets their order, sorted otherwise;
    `per_class` keeps the first so many points of each; `pad` adds so many pixels to each side of
    images, at the lower end of the scale.

    Raises `InputError` for anything that cannot be analysed, with what to do about it.
    """
    array = _checked_points(points)
    scale = None if pixel_range is None else _checked_range(pixel_range)
    _check_pad(pad, array)
    said = list(notes)
    if labels is None:
        check_no_choice(classes, per_class)
        indices = np.arange(len(array))
    else:
        values = checked_labels(labels, len(array))
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
    flat, shape, scale = _scaled(array, indices, scale, pad, white, said)
    if (flat == flat[0]).all():
        raise InputError(
            f"all {len(flat)} points are identical (in float32); expected data that vary. Check "
            "that the right array was read and that its values were not cut off or rounded."
        )
    if labels is None:
        codes, names = _principal_sides(flat), ("PC1-", "PC1+")
        said.append("no labels: the two classes are the two sides of the first principal component")
    return Dataset(flat, codes, names, shape, scale, source, labels is not None, tuple(said))


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
    )


def _checked_points(points: Any) -> np.ndarray:
    array = to_numpy(points, "points")
    kinds = "(n, d), (n, H, W) or (n, H, W, C)"
    if array.dtype.kind not in "buif":
        raise InputError(
            f"points have the dtype {array.dtype}; expected integers or real floats. Convert them "
            "first, for example by np.asarray(points, dtype=np.float32)."
        )
    if array.ndim not in (2, 3, 4):
        hint = "points[:, None] makes one feature a point." if array.ndim == 1 else "Reshape them."
        raise InputError(f"points have the shape {array.shape}; expected {kinds}. {hint}")
    if array.ndim == 4 and array.shape[1] <= 4 < array.shape[3]:
        raise InputError(
            f"points have the shape {array.shape}, which looks like channels first; expected "
            "(n, H, W, C). Move the channels last: points.transpose(0, 2, 3, 1) for numpy, "
            "points.permute(0, 2, 3, 1) for torch."
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
    if array.dtype.kind == "f":
        finite_points(array)
    return array


def _checked_range(pixel_range: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(x) for x in pixel_range)
        good = bool(np.isfinite([low, high]).all() and low < high)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            f"pixel_range (--range) is {pixel_range!r}; expected two finite numbers, the lower "
            "one first, such as (0, 1) or (-1, 1) (--range=-1,1)."
        )
    return low, high


def _check_pad(pad: int, array: np.ndarray) -> None:
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


def _scaled(
    array: np.ndarray,
    indices: np.ndarray,
    scale: tuple[float, float] | None,
    pad: int,
    white: int | None,
    said: list[str],
) -> tuple[np.ndarray, tuple[int, ...], tuple[float, float] | None]:
    """The chosen points, flat, in float32 and padded; the sample shape; the scale.

    Integers are cast straight into the padded buffer and scaled there: nothing as large as the
    data is ever held in float64.
    """
    low, high = array.min().item(), array.max().item()
    if array.dtype.kind == "f":
        _check_magnitude(low, high, array.dtype, said)
        bottom, top = low, high
        if scale is not None:
            said.append(f"values from {low:g} to {high:g} mapped to [{scale[0]:g}, {scale[1]:g}]")
    else:
        bottom, top = 0, _white(array.dtype, low, high, white, said)
        scale = scale or (0.0, 1.0)
        said.append(f"{array.dtype} values 0..{top} mapped to [{scale[0]:g}, {scale[1]:g}]")
    chosen = array if len(indices) == len(array) else array[indices]
    shape = array.shape[1:] if array.ndim != 3 else (*array.shape[1:], 1)
    chosen = chosen.reshape(len(chosen), *shape)
    if pad:
        said.append(f"{pad} pixels added on each side of the images")
        shape = (shape[0] + 2 * pad, shape[1] + 2 * pad, shape[2])
    fill = low if scale is None else scale[0]
    out = np.full((len(chosen), *shape), fill, dtype=np.float32)
    inner = out[:, pad:-pad, pad:-pad] if pad else out
    inner[...] = chosen
    if scale is not None and top > bottom:  # equal: constant data, refused by the caller
        if bottom != 0:
            inner -= np.float32(bottom)
        inner /= np.float32(top - bottom)
        if scale != (0.0, 1.0):
            inner *= np.float32(scale[1] - scale[0])
            inner += np.float32(scale[0])
    return out.reshape(len(out), -1), tuple(int(x) for x in shape), scale


def _white(dtype: np.dtype, low: int, high: int, white: int | None, said: list[str]) -> int:
    """The integer that stands for the upper end of the pixel range."""
    if low < 0:
        raise InputError(
            f"{dtype} values go down to {low}; expected integer pixels of 0 or more. Convert the "
            "array to float32 if its values are to be taken as they are."
        )
    if white is None:
        if dtype.kind == "b":
            return 1
        if dtype.itemsize <= 2 and dtype.kind == "u":
            white = int(np.iinfo(dtype).max)
        else:
            white = 255 if high <= 255 else high
            said.append(f"{white} is taken as white: the largest of the {dtype} values is {high}")
    if white < 1 or high > white:
        raise InputError(
            f"white is {white} but the pixels go up to {high}; expected the largest value that a "
            "pixel can have. Raise it, or leave it out."
        )
    if 8 * high < white:
        said.append(
            f"the largest pixel is {high} of {white}: if {high} is white, the data are scaled too "
            "small and every time is shifted (pass white=..., or save the array as floats)"
        )
    return white


def _check_magnitude(low: float, high: float, dtype: np.dtype, said: list[str]) -> None:
    peak = max(abs(low), abs(high))
    if peak > 1e15:
        raise InputError(
            f"values reach {peak:.3g}; expected less than 1e15, since squared distances must stay "
            "finite in float32. Rescale the data, or set pixel_range (--range)."
        )
    if dtype.itemsize > 4 and 0 < high - low < 1e-2 * peak:
        said.append(
            f"values lie between {low:.9g} and {high:.9g}, far from zero for their spread: float32 "
            "blurs their differences (subtract a constant first)"
        )


def _principal_sides(points: np.ndarray) -> np.ndarray:
    """0 or 1 for each point (n, d): its side of the first principal component."""
    centred = points - points.mean(axis=0, dtype=np.float64).astype(np.float32)
    if min(centred.shape) <= 32:
        direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    else:
        from scipy.sparse.linalg import svds  # late: most runs have labels

        start = np.random.default_rng(0).standard_normal(min(centred.shape)).astype(np.float32)
        direction = svds(centred, k=1, v0=start, tol=1e-5)[2][0]
    if direction[np.argmax(np.abs(direction))] < 0:  # a singular vector has no sign of its own
        direction = -direction
    codes: np.ndarray = (centred @ direction > 0).astype(np.int64)
    counts = np.bincount(codes, minlength=2)
    if counts.min() < 2:
        index = int(np.flatnonzero(codes == np.argmin(counts))[0])
        raise InputError(
            f"without labels the first principal component splits the {len(points)} points into "
            f"{counts[0]} and {counts[1]}: point {index} stands alone; expected at least 2 on each "
            "side. Remove it if it is an outlier, add points, or pass labels."
        )
    return codes
