"""What each kind of source holds: its points as they came, with labels, before classes are chosen
and pixels scaled.

Nothing here needs torch but the law of a mixture, which loads it when it is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.checks import InputError, MissingFile
from ..populations.specs import FULL_EXAMPLE, parse_gmm
from .arrayfiles import (
    IDX_NAME,
    Headers,
    labels_in_order,
    npz_headers,
    read_idx,
    read_npy,
    read_npz,
)
from .classes import listed
from .imagefolder import read_folder
from .pixels import PixelMap, Range, scaling

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..populations.mixture import GaussianMixture

_COLUMN = re.compile(r"(?:column:)?(-?\d+)$")


@dataclass(frozen=True)
class Request:
    """A source and the options of `readers.load` that came with it."""

    text: str
    path: Path
    labels: str | None = None
    key: str | None = None
    classes: Sequence[int | str] | str | None = None
    per_class: int | None = None
    pixel_range: Range = None
    pad: int = 0
    standardize: bool = False
    skip_unreadable: bool = False
    progress: Progress | None = None


@dataclass(frozen=True)
class Raw:
    """What a source holds; `white`, `class_names` and `files` are those of `from_arrays`.

    `indices` and `classes` where a part of the source was read alone: where the points stand in it,
    and the sorted names of all of its classes.
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


def digits(request: Request) -> Raw:
    """scikit-learn's handwritten digits (1797, 8, 8); a file of that name is "./digits"."""
    from sklearn.datasets import load_digits  # late: takes more than a second to import

    found = load_digits()
    raw = Raw(found.images.astype(np.uint8), found.target, white=16)
    return _with_labels(raw, request.labels)


def drawn(request: Request) -> Raw:
    """n points drawn from the two Gaussian classes of `populations.two_gaussians`, in exact shares.

    The law is `Dataset.population`. d and n are required; mu, sigma, weight and seed have the
    values of `specs.FULL_EXAMPLE` unless given. A file of such a name is "./gmm:...".
    """
    import torch  # late: readers are listed in --help

    from ..populations.mixture import from_spec

    text = request.text
    mixture, n, seed = from_spec(text)
    points, codes = mixture.sample(n, seed, stratified=True, dtype=torch.float32)
    counts = torch.bincount(codes, minlength=2)
    if counts.min() < 2:
        raise InputError(
            f"{text!r} gives the classes +m and -m {counts[0]} and {counts[1]} points; expected "
            "at least 2 in each. Raise n, or bring weight nearer to 0.5."
        )
    law = ", ".join(f"{key} = {x if x % 1 else int(x)}" for key, x in parse_gmm(text).items())
    note = f"drawn from two Gaussian classes, means ±mu (1, ..., 1): {law}"
    return Raw(points, codes, (note,), class_names=("+m", "-m"), population=mixture)


def npz(request: Request) -> Raw:
    """An .npz: `images` (n, H, W[, C]) or `points` (n, d), or the array named by `key`, or the only
    one that can be meant; with the array `labels`, or the only one that can be labels."""
    path, wanted = request.path, request.labels
    headers = npz_headers(path)
    shown = listed([f"{name} {shape} {dtype}" for name, (shape, dtype) in headers.items()])
    shown = shown or "no arrays"
    key = _data_key(request, headers, shown)
    raw = Raw(read_npz(path, key))
    if key not in ("images", "points"):
        raw = replace(raw, notes=(f"the points are the array {key}",))
    if wanted in headers:
        return replace(raw, labels=read_npz(path, str(wanted)))
    if wanted is not None:
        return _with_labels(raw, wanted, shown)
    if "labels" in headers:
        return replace(raw, labels=read_npz(path, "labels"))
    fitting = [
        name
        for name, (shape, dtype) in headers.items()
        if shape == (len(raw.points),) and dtype.kind in "iuUS"
    ]
    if len(fitting) > 1:
        raise InputError(
            f"{path} holds several arrays that could be labels ({listed(fitting)}); name one by "
            'labels (--labels), or "none" to leave labels out.'
        )
    if not fitting:
        return raw
    note = f"the labels are the array {fitting[0]}"
    return replace(raw, labels=read_npz(path, fitting[0]), notes=(*raw.notes, note))


def npy(request: Request) -> Raw:
    """An .npy file: points or images."""
    return _with_labels(Raw(read_npy(request.path)), request.labels)


def images(request: Request) -> Raw:
    """A folder of images (PNG, JPEG, WebP, BMP, TIFF, first frame of a GIF), one subfolder a class,
    or all in the folder itself. All grey, or all RGB if any has colour; alpha is dropped."""
    read = read_folder(
        request.path,
        request.labels,
        classes=request.classes,
        per_class=request.per_class,
        skip_unreadable=request.skip_unreadable,
        progress=request.progress,
    )
    return Raw(
        read.pixels,
        read.labels,
        read.notes,
        indices=read.indices,
        files=read.files,
        classes=read.classes,
    )


def idx(request: Request) -> Raw:
    """IDX: an images file, or a folder with one (train-* is preferred); the labels file lies beside
    it."""
    if request.path.is_dir():
        return _with_labels(_idx_folder(request.path), request.labels)
    raw = _idx_pair(request.path, find_labels=request.labels is None)
    return _with_labels(raw, request.labels)


def idx_names(folder: Path) -> list[str]:
    """Names of the IDX files in a folder."""
    return sorted(x.name for x in folder.iterdir() if IDX_NAME.search(x.name))


def no_options(request: Request) -> None:
    """Raise `InputError` for options that would change a known law."""
    floats = scaling(request.pixel_range).floats
    kept = floats is None or (isinstance(floats, PixelMap) and floats.scale is None)
    given = {
        "labels (--labels)": request.labels,
        "key (--key)": request.key,
        "classes (--classes)": request.classes,
        "per_class (--per-class)": request.per_class,
        "pixel_range (--range)": None if kept else request.pixel_range,
        "pad (--pad)": request.pad or None,
        "standardize (--standardize)": request.standardize or None,
    }
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"{name} is {value!r} with {request.text!r}, which names a known law; expected "
                "none, since it would change the law. Leave it out, and set the law itself: "
                f"{FULL_EXAMPLE}."
            )


def no_key(request: Request) -> None:
    """Raise `InputError` for the key of an array where arrays have no names."""
    if request.key is not None:
        raise InputError(
            f"key (--key) is {request.key!r} but {request.text!r} is not an .npz file; only these "
            "hold arrays by name. Leave it out."
        )


def any_options(request: Request) -> None:
    """All options make sense."""


def _data_key(request: Request, headers: Headers, shown: str) -> str:
    """The array of an .npz that is the data."""
    path, key, wanted = request.path, request.key, request.labels
    if key is not None:
        if key not in headers:
            raise InputError(
                f"{path} has no array {key!r} (--key); it holds {shown}. Name one of these."
            )
        return key
    label_key = wanted if wanted in headers else "labels"
    known = [name for name in ("images", "points") if name in headers]
    arrays = [
        name
        for name, (shape, dtype) in headers.items()
        if len(shape) >= 2 and dtype.kind in "buif" and name != label_key
    ]
    candidates = known or arrays
    if len(candidates) == 1:
        return candidates[0]
    what = "no data"
    if candidates:
        what = f"several arrays that could be the data ({listed(candidates)})"
    raise InputError(
        f"{path} holds {what}; expected one called images (n, H, W[, C]) or points (n, d). "
        f"It has {shown}. Name the one to read by key (--key), and its labels by labels (--labels)."
    )


def _with_labels(raw: Raw, wanted: str | None, keys: str = "") -> Raw:
    """`raw` with the labels that were asked for: none, a column of the points, or a file's."""
    if wanted is None:
        return raw
    if wanted == "none":
        return replace(raw, labels=None)
    if column := _COLUMN.match(wanted):
        return _split_column(raw, int(column[1]))
    try:
        return replace(raw, labels=labels_in_order(wanted, len(raw.points)))
    except MissingFile:
        if keys:
            raise InputError(
                f"labels (--labels) is {wanted!r}, neither a key of the archive nor a file; the "
                f"archive holds {keys}. Name one of these, a column or a file of labels."
            ) from None
        raise


def _split_column(raw: Raw, column: int) -> Raw:
    shape = raw.points.shape
    if len(shape) != 2 or not -shape[1] <= column < shape[1] or shape[1] < 2:
        raise InputError(
            f"labels (--labels) name column {column} but the points have the shape {shape}; "
            "expected (n, d) with that column, counted from 0 (-1 is the last), and one more. Give "
            "a column that exists, or a file of labels."
        )
    note = f"column {column} of the points was taken out as their labels"
    points = np.delete(raw.points, column, axis=1)
    return replace(raw, points=points, labels=raw.points[:, column], notes=(*raw.notes, note))


def _idx_folder(folder: Path) -> Raw:
    names = idx_names(folder)
    images = [name for name in names if "images" in name]
    if not images:
        raise InputError(
            f"the folder {folder} has IDX files but none of images ({listed(names, 6)}); expected "
            "for example train-images-idx3-ubyte.gz. Download the images too."
        )
    # Plain before gzipped: both are often there, with one content.
    chosen = next((name for name in images if name.startswith("train")), images[0])
    same = chosen.removesuffix(".gz")
    others = [name for name in images if name.removesuffix(".gz") != same]
    raw = _idx_pair(folder / chosen)
    left = f" ({listed(others)} left out)" if others else ""
    return replace(raw, notes=(f"read {chosen}{left}", *raw.notes))


def _idx_pair(path: Path, *, find_labels: bool = True) -> Raw:
    """An IDX file of images and, by its name, the labels beside it."""
    images = read_idx(path)
    if images.ndim < 2:
        raise InputError(
            f"{path} has the shape {images.shape}: labels, it seems; expected a file of images "
            "(n, H, W). Give that one (*-images-idx3-ubyte): the labels beside it are found by "
            "their name."
        )
    stem = IDX_NAME.sub("", path.name).replace("images", "labels")
    beside = [path.with_name(f"{stem}idx1-ubyte{end}") for end in ("", ".gz")]
    labels_files = [x for x in beside if x.is_file() and x.name != path.name]
    if not find_labels:
        return Raw(images)
    if not labels_files:
        return Raw(images, notes=(f"no labels file {beside[0].name}[.gz] beside {path.name}",))
    labels = read_idx(labels_files[0])
    if labels.shape != images.shape[:1]:
        raise InputError(
            f"{path.name} holds {len(images)} images but {labels_files[0].name} has labels of the "
            f"shape {labels.shape}; expected one label for each image. The two files do not belong "
            "together: download both again."
        )
    return Raw(images, labels)
