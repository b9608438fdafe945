"""Datasets from files: the only file input of the package.

Sources: the word "digits", .npz, .npy, IDX files (the MNIST layout, gzipped or not), folders of
images, and "gmm:d=1024,n=20000" for samples of a known law. Nothing executable is ever loaded:
arrays that need pickle are refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from ..common.checks import InputError
from ..populations.mixture import from_spec
from ..populations.specs import EXAMPLE, FULL_EXAMPLE, parse_gmm
from .arrayfiles import IDX_NAME, labels_in_order, npz_headers, read_idx, read_npy, read_npz
from .classes import listed
from .datasets import Dataset, from_arrays
from .imagefolder import SUFFIXES, holds_images, read_folder

ACCEPTED = (
    f'the word "digits", {EXAMPLE} (samples of two Gaussian classes), an .npz or .npy file, an IDX '
    "file or a folder with the IDX files of MNIST, or a folder of images with one subfolder a class"
)
_COLUMN = re.compile(r"(?:column:)?(-?\d+)$")


@dataclass(frozen=True)
class _Raw:
    """What a file holds, before classes are chosen and pixels scaled."""

    points: np.ndarray
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    white: int | None = None


def load(
    source: str | PathLike[str],
    *,
    labels: str | int | PathLike[str] | None = None,
    key: str | None = None,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
    pixel_range: tuple[float, float] | None = None,
    pad: int = 0,
    skip_unreadable: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Dataset:
    """The dataset in `source`.

    - "digits": scikit-learn's handwritten digits (1797, 8, 8); a file of that name is "./digits".
    - "gmm:d=1024,n=20000,mu=1,sigma=1,weight=0.5,seed=0": n points drawn from the two Gaussian
      classes of `populations.two_gaussians`, in exact shares; the law is `Dataset.population`.
      d and n are required, the others are these values unless given, and no option of this
      function changes the law; a file of such a name is "./gmm:...".
    - .npz: `images` (n, H, W[, C]) or `points` (n, d), or the array named by `key`, or the only
      one that can be meant; with the array `labels`, or the only one that can be labels.
    - .npy: points or images.
    - IDX: a folder (train-* is preferred) or an images file; the labels file lies beside it.
    - a folder of images (PNG, JPEG, WebP, BMP, TIFF, first frame of a GIF), one subfolder a class,
      or all in the folder itself. All grey, or all RGB if any has colour; alpha is dropped.

    `labels`: a key in the .npz; a column of a 2-D array ("-1" or "column:3"), which is then taken
    out of the points; a file (.npy, .txt, .csv, "file.csv:column", IDX) of labels in the order
    of the points, or for a folder of images a .csv of file names and labels; or "none" to leave
    labels out. `classes`, `per_class`, `pixel_range` and `pad` are those of `from_arrays`.
    `skip_unreadable` leaves out the images of a folder that cannot be read and counts them in a
    note. `progress(done, total, text)` is called for each image of a folder.

    Raises `InputError` for what cannot be read, with the way out.
    """
    text, wanted = str(source), None if labels is None else str(labels)
    path = Path(text).expanduser()
    if text.startswith("gmm:"):
        given = {
            "labels (--labels)": labels,
            "key (--key)": key,
            "classes (--classes)": classes,
            "per_class (--per-class)": per_class,
            "pixel_range (--range)": pixel_range,
            "pad (--pad)": pad or None,
        }
        return _drawn(text, {name: x for name, x in given.items() if x is not None})
    if key is not None and path.suffix.lower() != ".npz":
        raise InputError(
            f"key (--key) is {key!r} but {text!r} is not an .npz file; only these hold arrays by "
            "name. Leave it out."
        )
    try:
        if text == "digits":
            raw = _with_labels(_read_digits(), wanted)
        elif not text or not path.exists():
            raise InputError(_missing(text, path))
        elif path.is_dir() and holds_images(path):
            points, values, notes = read_folder(
                path,
                wanted,
                classes=classes,
                per_class=per_class,
                skip_unreadable=skip_unreadable,
                progress=progress,
            )
            raw = _Raw(points, values, tuple(notes))
        else:
            raw = _read_arrays(path, key, wanted)
    except OSError as error:  # a folder that may not be listed, a disk that fails
        raise InputError(
            f"{text} cannot be read ({error}); check that it is there and that you may read it."
        ) from error
    return from_arrays(
        raw.points,
        raw.labels,
        classes=classes,
        per_class=per_class,
        pixel_range=pixel_range,
        pad=pad,
        white=raw.white,
        source=text,
        notes=raw.notes,
    )


def _read_arrays(path: Path, key: str | None, wanted: str | None) -> _Raw:
    if path.is_dir():
        return _with_labels(_read_idx_folder(path), wanted)
    if path.suffix.lower() == ".npz":
        return _read_npz(path, key, wanted)
    if path.suffix.lower() == ".npy":
        return _with_labels(_Raw(read_npy(path)), wanted)
    if IDX_NAME.search(path.name):
        return _with_labels(_read_idx_pair(path, find_labels=wanted is None), wanted)
    raise InputError(_unknown(path))


def _read_digits() -> _Raw:
    from sklearn.datasets import load_digits  # late: takes more than a second to import

    digits = load_digits()
    return _Raw(digits.images.astype(np.uint8), digits.target, white=16)


def _drawn(text: str, options: dict[str, object]) -> Dataset:
    """Samples of the law that `text` names; `options` were given and make no sense with it."""
    for name, value in options.items():
        raise InputError(
            f"{name} is {value!r} with {text!r}, which names a known law; expected none, since it "
            f"would change the law. Leave it out, and set the law itself: {FULL_EXAMPLE}."
        )
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
    data = from_arrays(points, codes, class_names=("+m", "-m"), source=text, notes=[note])
    return replace(data, population=mixture)


def _with_labels(raw: _Raw, wanted: str | None, keys: str = "") -> _Raw:
    """`raw` with the labels that were asked for: none, a column of the points, or a file's."""
    if wanted is None:
        return raw
    if wanted == "none":
        return replace(raw, labels=None)
    if column := _COLUMN.match(wanted):
        return _split_column(raw, int(column[1]))
    try:
        return replace(raw, labels=labels_in_order(wanted, len(raw.points)))
    except InputError as error:
        if keys and "no such file" in str(error):
            raise InputError(
                f"labels (--labels) is {wanted!r}, neither a key of the archive nor a file; the "
                f"archive holds {keys}. Name one of these, a column or a file of labels."
            ) from None
        raise


def _split_column(raw: _Raw, column: int) -> _Raw:
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


def _read_npz(path: Path, key: str | None, wanted: str | None) -> _Raw:
    headers = npz_headers(path)
    shown = listed([f"{name} {shape} {dtype}" for name, (shape, dtype) in headers.items()])
    shown = shown or "no arrays"
    if key is not None and key not in headers:
        raise InputError(
            f"{path} has no array {key!r} (--key); it holds {shown}. Name one of these."
        )
    if key is None:
        label_key = wanted if wanted in headers else "labels"
        known = [name for name in ("images", "points") if name in headers]
        arrays = [
            name
            for name, (shape, dtype) in headers.items()
            if len(shape) >= 2 and dtype.kind in "buif" and name != label_key
        ]
        found = known or arrays
        if len(found) != 1:
            what = (
                f"several arrays that could be the data ({listed(found)})" if found else "no data"
            )
            raise InputError(
                f"{path} holds {what}; expected one called images (n, H, W[, C]) or points (n, d). "
                f"It has {shown}. Name the one to read by key (--key), and its labels by labels "
                "(--labels)."
            )
        key = found[0]
    raw = _Raw(read_npz(path, key))
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


def _read_idx_folder(folder: Path) -> _Raw:
    names = sorted(x.name for x in folder.iterdir() if IDX_NAME.search(x.name))
    images = [name for name in names if "images" in name]
    if not images:
        raise InputError(_no_data(folder, names))
    # Plain before gzipped: both are often there, with one content.
    chosen = next((name for name in images if name.startswith("train")), images[0])
    same = chosen.removesuffix(".gz")
    others = [name for name in images if name.removesuffix(".gz") != same]
    raw = _read_idx_pair(folder / chosen)
    left = f" ({listed(others)} left out)" if others else ""
    return replace(raw, notes=(f"read {chosen}{left}", *raw.notes))


def _read_idx_pair(path: Path, *, find_labels: bool = True) -> _Raw:
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
    found = [x for x in beside if x.is_file() and x.name != path.name]
    if not find_labels:
        return _Raw(images)
    if not found:
        return _Raw(images, notes=(f"no labels file {beside[0].name}[.gz] beside {path.name}",))
    labels = read_idx(found[0])
    if labels.shape != images.shape[:1]:
        raise InputError(
            f"{path.name} holds {len(images)} images but {found[0].name} has labels of the shape "
            f"{labels.shape}; expected one label for each image. The two files do not belong "
            "together: download both again."
        )
    return _Raw(images, labels)


def _no_data(folder: Path, idx: Sequence[str]) -> str:
    shown = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
    inside = [x.name + "/" * x.is_dir() for x in shown]
    found = f"it holds {listed(inside, 6)}" if inside else "it is empty"
    if idx:
        return (
            f"the folder {folder} has IDX files but none of images ({listed(idx, 6)}); expected "
            "for example train-images-idx3-ubyte.gz. Download the images too."
        )
    deeper = [x for x in shown if x.is_dir() and holds_images(x)]
    files = [x.name for x in shown if x.suffix.lower() in (".npz", ".npy")]
    hint = "Give another folder or put data into it."
    if deeper:
        hint = f"Images lie deeper: give {deeper[0]} instead."
    elif files:
        hint = f"Give a file of it, for example {folder / files[0]}."
    return (
        f"no data in the folder {folder}: {found}; expected images ({', '.join(SUFFIXES)}) in it "
        f"or in its subfolders, one a class, or MNIST's IDX files. {hint}"
    )


def _missing(text: str, path: Path) -> str:
    parent = path.parent
    names = ["digits"]
    if parent.is_dir():
        names += [str(x) for x in parent.iterdir() if not x.name.startswith(".")]
    close = difflib.get_close_matches(str(path), names, n=3, cutoff=0.6)
    if text.lower().startswith("gmm"):
        hint = f"Did you mean {EXAMPLE}?"
    elif close:
        hint = f"Did you mean {' or '.join(close)}?"
    else:
        hint = "Check the spelling" + (
            "." if parent.is_dir() else f"; there is no folder {parent}."
        )
    return f"there is no file or folder {text!r}; expected {ACCEPTED}. {hint}"


def _unknown(path: Path) -> str:
    suffix = path.suffix.lower()
    hint = "Convert the data to .npz: np.savez(path, images=images, labels=labels)."
    if suffix == ".mat":
        hint = (
            "Convert it: np.savez(path, images=scipy.io.loadmat(file)[name]), with the axis of "
            "the points first."
        )
    elif suffix in (".pt", ".pth", ".pkl", ".pickle", ".ckpt"):
        hint = "Such files can run code and are never loaded. " + hint
    elif suffix in SUFFIXES:
        hint = f"It is a single image: give its folder, {path.parent}."
    kind = suffix or "no suffix"
    return f"{path} is of a kind that is not read ({kind}); expected {ACCEPTED}. {hint}"
